"""An application on a real port of this machine, and a client that hides nothing of HTTP."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripted_models import PATIENCE

from sampler.server.serving import Server

JSON = {"content-type": "application/json"}


class Answer:
    """A whole answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def events(self) -> list[dict]:
        """The values of all data lines; the body must have nothing but events and comments."""
        blocks = self.body.decode().split("\n\n")
        assert blocks.pop() == ""
        assert all(block.startswith("data: ") or block == ":" for block in blocks), blocks
        return [json.loads(block[6:]) for block in blocks if block != ":"]


class Client:
    """Requests to one port, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def begin(self, method: str, path: str, body=None, headers=None):
        """The connection, with a request sent on it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, headers if headers is not None else JSON)
        return connection

    def ask(self, method: str, path: str, body=None, headers=None) -> Answer:
        connection = self.begin(method, path, body, headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, headers=None) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body, headers=None) -> Answer:
        return self.ask("POST", path, body, headers)

    def raw(self) -> socket.socket:
        """A connection on which nothing was sent."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def metric(self, line: str) -> float:
        """The value of a metric; 0 when it does not stand there."""
        lines = self.get("/metrics").body.decode().splitlines()
        return float(next((x.split()[-1] for x in lines if x.startswith(line + " ")), "0"))


@contextmanager
def running(app) -> Iterator[Client]:
    """A client of `app`, which runs in a thread until the end of the block."""
    server = Server(app, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        client = Client(server.servers[0].sockets[0].getsockname()[1])
        client.server = server
        yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


def until(holds) -> None:
    """Returns when `holds()`; fails the test when that takes too long."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, however it does."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)
