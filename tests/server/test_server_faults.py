"""Hostile connections: an answer or an end in bounded time, and nobody else is harmed."""

import json
import resource
from contextlib import suppress

import pytest
from scripted_models import request
from server_abuse import check, head, nothing_is_left, reset, unharmed, whole
from server_client import received
from server_process import serving

from sampler.limits import ServerLimits

BODY = json.dumps(request("a", max_new_tokens=5, ignore_eos=True)).encode()
WHOLE = whole("/generate", BODY)
CONNECTIONS = 10_000
QUICK = ServerLimits(idle_seconds=1, header_seconds=1, body_seconds=1)
PATIENT = ServerLimits(idle_seconds=1, header_seconds=1, body_seconds=30)


def answers(data):
    """The status and body of each answer on a connection."""
    found = []
    while data:
        top, _, data = data.partition(b"\r\n\r\n")
        fields = [line.partition(b":") for line in top.lower().split(b"\r\n")]
        sizes = [int(value) for name, _, value in fields if name == b"content-length"]
        size = sizes[0] if sizes else 0
        found.append((int(top.split(b" ", 2)[1]), data[:size]))
        data = data[size:]
    return found


def statuses(client, data):
    """Of the answers to `data`, until the server closes; each is a documented one."""
    with client.raw() as connection:
        with suppress(OSError):  # it may have closed by now; what it said is still there
            connection.sendall(data)
        found = answers(received(connection))
    statuses = {status for status, _ in found} - {100}  # go on
    for status, body in found:
        if status in statuses:
            check("/generate", status, body, data)
    return statuses


def chunks(data, size, extension=b""):
    """`data` in the chunked coding."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(x), extension, x) for x in [*pieces, b""])


def line(start, *fields):
    """A request without a body."""
    return b"\r\n".join([start, b"host: a", *fields, b"", b""])


CHUNKED = head("/generate", "transfer-encoding: chunked")
# what a connection says, and the statuses it may have; no answer at all is legal for all of them
SAID = {
    "chunks of a byte": (CHUNKED + chunks(BODY, 1), {200}),
    "a hundred thousand chunks": (CHUNKED + chunks(b" " * 100_000 + BODY, 1), {200}),
    "long chunk extensions": (CHUNKED + chunks(BODY, 1, b";x=" + b"x" * 1000), {200, 400}),
    "an endless chunk extension": (CHUNKED + b"1;x=" + b"x" * 3_000_000, {400, 431}),
    "an endless trailer": (CHUNKED + b"0\r\nx: " + b"x" * 3_000_000, {400, 431}),
    "a chunk of a huge size": (CHUNKED + b"f" * 30 + b"\r\n" + BODY, {400, 408, 413}),
    "a chunk of a negative size": (CHUNKED + b"-5\r\n" + BODY, {400}),
    "a coding beside a length": (
        head("/generate", "content-length: 5", "transfer-encoding: chunked") + chunks(BODY, 9),
        {200, 400},
    ),
    "many fields": (line(b"GET /health HTTP/1.1", *[b"x: y"] * 100_000), {400, 431}),
    "many fields that fit": (line(b"GET /health HTTP/1.1", *[b"x: y"] * 2000), {200, 400}),
    "a field over two lines": (line(b"GET /health HTTP/1.1", b"x: y", b" z"), {200, 400}),
    "a field without a name": (line(b"GET /health HTTP/1.1", b": y"), {400}),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", {400}),
    "two hosts": (line(b"GET /health HTTP/1.1", b"host: b"), {400}),
    "an endless method": (b"X" * 3_000_000, {400, 431}),
    "an endless path": (b"GET /" + b"x" * 3_000_000, {400, 431}),
    "a long path": (line(b"GET /" + b"x" * 10_000 + b" HTTP/1.1"), {404}),
    "a null in the path": (line(b"GET /%00 HTTP/1.1"), {404}),
    "a broken escape in the path": (line(b"GET /%zz%f HTTP/1.1"), {404}),
    "no UTF-8 in the path": (line(b"GET /%ff%c0%80 HTTP/1.1"), {404}),
    "raw bytes in the path": (line(b"GET /\xff\xfe HTTP/1.1"), {400, 404}),
    "a path out of the root": (line(b"GET /../../etc/passwd HTTP/1.1"), {404}),
    "a whole address": (line(b"GET http://b/health HTTP/1.1"), {200, 400, 404}),
    "an address that is none": (line(b"GET http://[ HTTP/1.1"), {400, 404}),
    "an asterisk": (line(b"OPTIONS * HTTP/1.1"), {400, 404, 405}),
    "a tunnel": (line(b"CONNECT a:1 HTTP/1.1"), {400, 404, 405}),
    "an unknown method": (line(b"BREW /generate HTTP/1.1"), {405}),
    "another protocol": (line(b"GET /health HTTP/1.1", b"upgrade: h2c"), {200, 400}),
    "a websocket": (
        line(
            b"GET /generate HTTP/1.1",
            *(b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"),
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        {400, 405},
    ),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", {400, 404}),
    "an unknown expectation": (
        head("/generate", f"content-length: {len(BODY)}", "expect: nothing") + BODY,
        {200, 400},
    ),
    "a body that is announced and never comes": (
        head("/generate", "content-length: 50", "expect: 100-continue"),
        {408},
    ),
    "a body of a terabyte": (head("/generate", f"content-length: {10**12}") + BODY, {413}),
    "more than was announced": (WHOLE + b"and more", {200, 400}),
    "a thousand requests at once": (WHOLE * 1000, {200}),
    "bytes of all values": (bytes(range(256)) * 100, {400, 431}),
    "line ends alone": (b"\r\n" * 100_000, {400, 431}),
    "line ends before a request": (b"\r\n" * 3 + WHOLE, {200, 400}),
}


@pytest.mark.parametrize(("data", "expected"), SAID.values(), ids=SAID)
def test_whatever_a_connection_says_is_answered_or_ended(serve, data, expected):
    # a body that is whole has to be read, however busy the machine is
    client = serve(limits=PATIENT if expected == {200} else QUICK)
    with unharmed(client):
        assert statuses(client, data) <= expected
    nothing_is_left(client)


@pytest.mark.parametrize("cut", [1, 20, 60, 110, len(WHOLE) - 1, len(WHOLE)])
def test_connections_that_are_reset_leave_nothing_behind(serve, cut):
    client = serve()
    with unharmed(client):
        for _ in range(50):
            connection = client.raw()
            connection.sendall(WHOLE[:cut])
            reset(connection)
    nothing_is_left(client)


def test_streams_that_are_reset_leave_nothing_behind(serve):
    client = serve()
    asked = json.dumps(request("a", max_new_tokens=5000, ignore_eos=True)).encode()
    with unharmed(client):
        for number in range(40):
            connection = client.raw()
            connection.sendall(whole("/generate_stream", asked))
            connection.recv(1 + 100 * number)
            reset(connection)
    nothing_is_left(client)


def test_many_slow_heads_and_bodies_at_once_are_ended(serve):
    client = serve(limits=QUICK)
    with unharmed(client):
        slow = [client.raw() for _ in range(300)]
        for number, connection in enumerate(slow):
            connection.sendall(WHOLE[: 1 + number % (len(WHOLE) - 1)])
        for number, connection in enumerate(slow):
            said = received(connection)
            connection.close()
            if number % (len(WHOLE) - 1) < len(head("/generate")):
                assert said == b""
            for status, body in answers(said):
                check("/generate", status, body)
                assert status == 408
    nothing_is_left(client)


@pytest.fixture
def many_files():
    """As many open files as this system lets us have, 10,000 and some at least."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < CONNECTIONS + 500:
        pytest.skip("this system does not allow so many open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], CONNECTIONS + 500), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.parametrize("most", [4096, 12_000])
def test_ten_thousand_connections_keep_nobody_away(many_files, most):
    limits = {"max_connections": most, "header_seconds": 120, "idle_seconds": 120}
    with serving(**limits) as client:
        kept = min(CONNECTIONS, most - 50)  # room for the neighbour
        with unharmed(client):
            connections = [client.raw() for _ in range(kept)]
            for number, connection in enumerate(connections):
                connection.sendall(WHOLE[: number % 30])
        connections += [client.raw() for _ in range(CONNECTIONS - kept)]
        connections[0].sendall(WHOLE)
        assert connections[0].recv(12) == b"HTTP/1.1 200"
        beyond = connections[most:]
        assert [received(connection) for connection in beyond] == [b""] * len(beyond)
        for connection in connections:
            connection.close()
        with unharmed(client):
            assert client.metric("sampler_running_rows") == 0
    assert client.warnings == ""
