"""Bytes on a socket that no honest client sends: an answer or an end, in bounded time."""

import json
import time

import pytest
from scripted_models import Watched, request
from server_abuse import head, reset, whole
from server_client import received, until

from sampler.limits import ServerLimits

SHORT = {"max_new_tokens": 5, "ignore_eos": True}
BODY = json.dumps(request("a", **SHORT)).encode()
POST = head("/generate").removesuffix(b"\r\n")  # more fields may follow
WHOLE = whole("/generate", BODY)
GARBAGE = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "null bytes": b"\0" * 100 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a later version": b"GET / HTTP/9.9\r\n\r\n",
    "null in a header": b"GET /health HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
    "a negative length": head("/generate", "content-length: -5") + BODY,
    "two lengths": head("/generate", "content-length: 5", "content-length: 6") + BODY,
    "a huge length": head("/generate", "content-length: " + "9" * 100) + BODY,
    "an unknown coding": head("/generate", "transfer-encoding: gzip") + BODY,
    "no chunks": head("/generate", "transfer-encoding: chunked") + b"zz\r\n",
}


def answered(client, data):
    """What comes back for `data`, until the server closes."""
    with client.raw() as connection:
        connection.sendall(data)
        return received(connection)


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_request_has_a_4xx_in_json_and_the_next_client_is_served(serve, data):
    client = serve(limits=ServerLimits(idle_seconds=1))
    answer = answered(client, data)
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 4")
    assert set(json.loads(body)) <= {"error", "error_type"}
    assert client.post("/generate", BODY).status == 200


@pytest.mark.parametrize("size", [20_000, 200_000, 3_000_000])
def test_large_heads_are_refused(serve, size):
    client = serve()
    data = (
        b"GET /health HTTP/1.1\r\nhost: a\r\nx: " + b"x" * size + b"\r\nconnection: close\r\n\r\n"
    )
    try:
        answer = answered(client, data)
    except (BrokenPipeError, ConnectionResetError):  # it was closed while we were writing
        answer = b"HTTP/1.1 431 "
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert client.get("/health").status == 200


@pytest.mark.parametrize("data", [b"", b"P", POST, WHOLE[:-1]])
def test_what_does_not_come_in_time_is_ended(serve, data):
    client = serve(limits=ServerLimits(header_seconds=0.3, body_seconds=0.3))
    answer = answered(client, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert (answer == b"") == (data != WHOLE[:-1])


def test_a_head_that_drips_is_ended(serve):
    client = serve(limits=ServerLimits(header_seconds=0.5))
    with client.raw() as connection, pytest.raises(OSError):
        for byte in POST * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


def test_a_connection_that_asks_for_nothing_more_is_ended(serve):
    client = serve(limits=ServerLimits(idle_seconds=1))
    assert answered(client, WHOLE).count(b"HTTP/1.1 200 OK") == 1


def test_a_request_may_come_byte_by_byte(serve):
    client = serve()
    with client.raw() as connection:
        for byte in WHOLE:
            connection.sendall(bytes([byte]))
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_requests_may_come_together(serve):
    client = serve(limits=ServerLimits(idle_seconds=1))
    answer = answered(client, WHOLE * 3)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_a_reset_frees_the_row(serve):
    model = Watched(held=True)
    client = serve(model)
    with client.raw() as connection:
        connection.sendall(WHOLE)
        model.wait_for_call(1)
        reset(connection)
    until(lambda: not client.server.config.app.state.service.exchanges)
    model.let_go()
    assert client.post("/generate", BODY).status == 200


def test_more_connections_than_the_limit_are_closed_and_the_others_served(serve):
    client = serve(limits=ServerLimits(max_connections=20))
    connections = [client.raw() for _ in range(60)]
    refused = 0
    for connection in connections[20:]:
        refused += received(connection) == b""
    assert refused == 40
    connections[0].sendall(WHOLE)
    assert connections[0].recv(12) == b"HTTP/1.1 200"
    for connection in connections:
        connection.close()
    until(lambda: len(client.server.server_state.connections) == 0)
    assert client.get("/health").status == 200


def test_a_thousand_connections_that_say_nothing_keep_nobody_away(serve):
    client = serve()
    connections = [client.raw() for _ in range(900)]
    assert client.post("/generate", BODY).status == 200
    for connection in connections:
        connection.close()
