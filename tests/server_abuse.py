"""Clients that mean no good, and how an answer to one of them may look."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scripted_models import request
from server_client import Client

DOCUMENTED = frozenset({200, 400, 401, 403, 404, 405, 408, 413, 424, 429, 431})
_LEAKS = (b"Traceback", b'File "', b".py", b"Error(", b"Error:")
_NEIGHBOUR = request("n", max_new_tokens=20, ignore_eos=True, do_sample=True, seed=3, details=True)


def check(path: str, status: int, body: bytes, said: bytes = b"") -> None:
    """Fails unless it is a documented answer, in its shape, that tells nothing of the inside.

    `said` is the request: what stands in it may come back.
    """
    assert status in DOCUMENTED, (path, status, body[:500], said[:500])
    if status >= 400:
        for leak in _LEAKS:
            assert leak not in body or leak in said, (path, leak, body[:500], said[:500])
        assert len(body) < 20_000, (path, len(body), said[:500])
        value = json.loads(body)
        if path.startswith("/v1/"):
            (value,) = value.values()
            assert set(value) == {"message", "type", "param", "code"}, (path, body[:500])
        else:
            assert {"error"} <= set(value) <= {"error", "error_type"}, (path, body[:500])


def head(path: str, *fields: str) -> bytes:
    """The head of a POST of JSON."""
    lines = [f"POST {path} HTTP/1.1", "host: a", "content-type: application/json", *fields]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def whole(path: str, body: bytes) -> bytes:
    """A POST."""
    return head(path, f"content-length: {len(body)}") + body


def reset(connection: socket.socket) -> None:
    """Ends the connection as a machine does that crashed: without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def unharmed(client: Client) -> Iterator[None]:
    """Another client streams the same request all through the block, and always has its answer."""
    alone = client.post("/generate_stream", _NEIGHBOUR)
    assert alone.status == 200
    done, failures, answers = threading.Event(), [], []

    def ask() -> None:
        try:
            while not (done.is_set() and answers):
                answers.append(client.post("/generate_stream", _NEIGHBOUR).body == alone.body)
                done.wait(0.02)  # it is there all the time, and leaves room to the others
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not failures
    assert all(answers)
