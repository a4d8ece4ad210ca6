"""Clients that leave, are slow, are many or are strangers; servers that end."""

import asyncio
import http.client
import json
import logging

import pytest
from scripted_models import PATIENCE, Watched, byte_vocabulary, request
from server_client import JSON, running, until
from starlette.applications import Starlette
from starlette.routing import Mount

from sampler import Generator
from sampler.limits import ServerLimits
from sampler.server import create_app

LONG = {"max_new_tokens": 400, "ignore_eos": True, "do_sample": True, "seed": 1, "details": True}
SHORT = {**LONG, "max_new_tokens": 5}


@pytest.fixture
def held():
    return Watched(held=True)


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_a_client_that_leaves_frees_its_row_before_the_next_step(serve, held, path):
    client = serve(held, max_batch_size=1)
    connection = client.begin("POST", path, request("first", **LONG))
    held.allow(1)
    held.wait_for_call(2)
    connection.close()
    until(lambda: not client.server.config.app.state.service.exchanges)
    held.let_go()
    assert client.post("/generate", request("next", **SHORT)).status == 200
    assert held.calls == [[0]] * 2 + [[1]] * 5
    assert held.released == [0, 1]


def test_a_client_that_leaves_amid_a_stream_frees_its_row(serve, held):
    client = serve(held, max_batch_size=1)
    connection = client.begin("POST", "/generate_stream", request("first", **LONG))
    held.allow(2)
    response = connection.getresponse()
    assert b'"index":1' in response.readline()
    held.wait_for_call(3)
    response.close()
    connection.close()
    until(lambda: not client.server.config.app.state.service.exchanges)
    held.let_go()
    assert client.post("/generate", request("next", **SHORT)).status == 200
    assert held.calls == [[0]] * 3 + [[1]] * 5


def test_a_client_that_leaves_the_queue_gives_its_place_back(serve, held):
    client = serve(held, max_batch_size=1, max_waiting=1)
    first = client.begin("POST", "/generate", request("first", **SHORT))
    held.wait_for_call(1)
    waiting = client.begin("POST", "/generate_stream", request("second", **SHORT))
    until(lambda: client.generator.load.waiting == 1)
    waiting.close()
    until(lambda: client.generator.load.waiting == 0)
    third = client.begin("POST", "/generate", request("third", **SHORT))
    until(lambda: client.generator.load.waiting == 1)
    held.let_go()
    assert [first.getresponse().status, third.getresponse().status] == [200, 200]
    assert held.released == [0, 1]
    first.close()
    third.close()


def test_a_client_that_leaves_amid_its_body_asks_for_nothing(serve):
    model = Watched()
    client = serve(model)
    connection = client.raw()
    head = b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    connection.sendall(head + b'content-length: 50\r\n\r\n{"inputs": ')
    connection.close()
    until(lambda: client.metric('sampler_requests_total{path="/generate",status="499"}') == 1)
    assert model.entered == 0


def test_the_event_loop_answers_while_the_model_works(serve, held):
    client = serve(held)
    connection = client.begin("POST", "/generate", request("a", **SHORT))
    held.wait_for_call(1)
    assert client.get("/health").status == 200
    assert client.metric("sampler_running_rows") == 1
    assert client.post("/tokenize", {"inputs": "ab"}).json()[1]["id"] == ord("b")
    assert client.post("/generate", request("", **SHORT)).status == 400
    held.let_go()
    assert connection.getresponse().status == 200
    connection.close()


class SlowReader:
    """An ASGI connection whose `send` waits until it is let through."""

    def __init__(self, app, body):
        self.app = app
        self.sent = []
        self.permits = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        self.body = [{"type": "http.request", "body": json.dumps(body).encode()}]
        self.task = asyncio.create_task(app(self.scope(), self.receive, self.send))

    @staticmethod
    def scope():
        headers = [(b"content-type", b"application/json"), (b"host", b"a")]
        return {
            "type": "http",
            "method": "POST",
            "path": "/generate_stream",
            "raw_path": b"/generate_stream",
            "query_string": b"",
            "headers": headers,
            "client": ("1.2.3.4", 5),
        }

    async def receive(self):
        if self.body:
            return self.body.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.permits.acquire()
        self.sent.append(message)

    def read(self, messages):
        for _ in range(messages):
            self.permits.release()


def read_slowly(generator, limits, scenario):
    """Runs `scenario` with a slow reader of a long stream."""

    async def bounded():
        async with asyncio.timeout(PATIENCE):
            reader = SlowReader(create_app(generator, limits=limits), request("a", **LONG))
            await scenario(reader)

    asyncio.run(bounded())


async def settled(model):
    """How often the model was called when it is called no more."""
    calls = -1
    while calls != model.entered or calls == 0:
        calls = model.entered
        await asyncio.sleep(0.1)
    return calls


def test_a_row_waits_for_a_slow_reader_and_loses_nothing():
    model = Watched()
    with Generator(model, byte_vocabulary()) as generator:

        async def slow(reader):
            bound = 8
            assert await settled(model) <= 2 * bound  # in the hand of the writer, and in the buffer
            reader.read(3)
            assert await settled(model) <= 4 * bound
            reader.read(1000)
            await reader.task
            assert model.entered == 400
            events = b"".join(message.get("body", b"") for message in reader.sent)
            assert events.count(b"data: ") == 400
            assert b'"finish_reason":"length"' in events

        read_slowly(generator, ServerLimits(max_buffered_events=8), slow)


def test_a_reader_that_takes_nothing_is_given_up():
    model = Watched()
    with Generator(model, byte_vocabulary()) as generator:

        async def stalled(reader):
            while generator.load.running == 0:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(model.wait_until, lambda model: model.released == [0])
            assert model.entered < 400
            reader.read(1000)
            await reader.task

        limits = ServerLimits(max_buffered_events=8, write_seconds=0.2)
        read_slowly(generator, limits, stalled)


def test_a_connection_that_is_not_read_is_cut(serve):
    client = serve(limits=ServerLimits(write_seconds=0.3, max_buffered_events=8))
    connection = client.begin(
        "POST",
        "/generate_stream",
        request("a", **{**LONG, "max_new_tokens": 8000}, top_n_tokens=20),
    )
    exchanges = client.server.config.app.state.service.exchanges
    until(lambda: exchanges)
    until(lambda: not exchanges)  # 8000 events are more than all buffers on the way hold
    with pytest.raises((OSError, http.client.IncompleteRead)):
        connection.getresponse().read()
    connection.close()


def test_a_bearer_token_is_asked_for_everywhere_but_at_health(serve):
    client = serve(api_key="secret")
    for path in ("/", "/generate", "/generate_stream", "/tokenize", "/nowhere"):
        answer = client.post(path, request("a", **SHORT))
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "bearer token" in answer.json()["error"]
    for wrong in ("Bearer secre", "Bearer secrets", "secret", "Basic secret", "Bearer s\xe9cret"):
        assert client.get("/info", {"authorization": wrong}).status == 401
    assert client.get("/metrics").status == 401
    assert client.get("/health").status == 200
    right = {**JSON, "authorization": "Bearer secret"}
    assert client.post("/generate", request("a", **SHORT), right).status == 200


def test_other_hosts_are_not_served_when_some_are_named(serve):
    client = serve(allowed_hosts=["localhost", "127.0.0.1", "[::1]"])
    for host, status in {
        "localhost": 200,
        "localhost:80": 200,
        "[::1]:80": 200,
        "evil.example": 403,
        "localhost.evil.example": 403,
        "": 403,
    }.items():
        assert client.get("/health", {"host": host}).status == status


def test_pages_of_other_origins_may_read_nothing_unless_named(serve):
    origin = {"origin": "https://page.example"}
    closed, opened = serve(), serve(cors_origins=["https://page.example"])
    allow = "access-control-allow-origin"
    assert allow not in closed.get("/health", origin).headers
    assert opened.get("/health", origin).headers[allow] == "https://page.example"
    assert allow not in opened.get("/health", {"origin": "https://other.example"}).headers
    asked = {**origin, "access-control-request-method": "POST"}
    assert closed.ask("OPTIONS", "/generate", None, asked).status == 405
    assert opened.ask("OPTIONS", "/generate", None, asked).status == 200


def test_one_client_has_a_share_of_the_requests(serve, held):
    client = serve(held, limits=ServerLimits(max_requests_per_client=1))
    connection = client.begin("POST", "/generate", request("a", **SHORT))
    held.wait_for_call(1)
    answer = client.post("/generate", request("b", **SHORT))
    assert answer.status == 429
    assert answer.json()["error_type"] == "overloaded"
    assert answer.headers["retry-after"] == "1"
    held.let_go()
    assert connection.getresponse().status == 200
    connection.close()
    until(lambda: client.post("/generate", request("b", **SHORT)).status == 200)


def test_a_server_that_ends_lets_running_requests_finish():
    model = Watched(held=True)
    with (
        Generator(model, byte_vocabulary()) as generator,
        running(create_app(generator)) as client,
    ):
        connection = client.begin("POST", "/generate_stream", request("a", **LONG))
        model.wait_for_call(1)
        client.server.should_exit = True
        until(lambda: not client.server.servers[0].is_serving())
        with pytest.raises(OSError):
            client.get("/health")
        model.let_go()
        assert b'"index":400' in connection.getresponse().read()
        connection.close()


def test_a_server_that_ends_names_what_it_drops(caplog):
    model = Watched(held=True)
    limits = ServerLimits(shutdown_seconds=0.2)
    with Generator(model, byte_vocabulary()) as generator:
        with running(create_app(generator, limits=limits)) as client:
            headers = {**JSON, "x-request-id": "streamed"}
            stream = client.begin("POST", "/generate_stream", request("a", **LONG), headers)
            model.allow(1)
            response = stream.getresponse()
            headers = {**JSON, "x-request-id": "whole"}
            whole = client.begin("POST", "/generate", request("a", **LONG), headers)
            until(lambda: len(client.server.config.app.state.service.exchanges) == 2)
            caplog.set_level(logging.WARNING)
            client.server.should_exit = True
            assert b'"error_type":"incomplete_generation_stream"' in response.read()
            answer = whole.getresponse()
            assert answer.status == 500
            assert json.loads(answer.read())["error_type"] == "incomplete_generation"
            stream.close()
            whole.close()
        model.let_go()
    assert "streamed, whole" in caplog.text


def test_health_is_bad_when_the_generator_is_closed(serve):
    client = serve()
    client.generator.close()
    answer = client.get("/health")
    assert (answer.status, answer.json()["error"]) == (503, "unhealthy")
    answer = client.post("/generate", request("a", **SHORT))
    assert (answer.status, answer.json()["error_type"]) == (500, "incomplete_generation")


def test_an_error_that_nobody_expected_tells_nothing_of_itself(serve, monkeypatch, caplog):
    client = serve()
    service = client.server.config.app.state.service
    monkeypatch.setattr(service, "exchange", None)
    answer = client.post("/generate", request("a", **SHORT), {**JSON, "x-request-id": "mine"})
    assert answer.status == 500
    assert answer.json()["error"] == "Request failed during generation: internal error"
    assert answer.headers["x-request-id"] == "mine"
    assert "NoneType" in caplog.text


def test_each_request_is_a_line_of_the_log(serve, caplog):
    caplog.set_level(logging.INFO, logger="sampler.server")
    client = serve()
    client.post("/generate", request("a", **SHORT), {**JSON, "x-request-id": "mine"})
    until(lambda: caplog.records)
    fields = caplog.records[-1].fields
    assert fields.pop("seconds") > 0
    assert fields == {
        "request_id": "mine",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/generate",
        "status": 200,
        "generated_tokens": 5,
    }


def test_metrics_add_up_with_what_clients_saw(serve):
    client = serve(max_batch_size=4)
    grammar = {"type": "regex", "value": "[ab]{3}"}
    client.post("/generate", request("abc", **SHORT))
    client.post("/generate_stream", request("abcd", **SHORT))
    client.post("/generate_stream", request("a", **{**SHORT, "ignore_eos": False}, grammar=grammar))
    names = ("prompt_tokens_total", "generated_tokens_total", "time_to_first_token_seconds_count")
    assert [client.metric(f"sampler_{name}") for name in names] == [8, 14, 3]
    assert client.metric("sampler_time_between_tokens_seconds_count") == 4 + 3
    assert client.metric("sampler_request_seconds_count") == 3
    assert client.metric("sampler_grammar_compile_seconds_count") == 1
    assert client.metric("sampler_grammar_mask_seconds_count") == 4
    assert client.metric("sampler_batch_size_sum") == 14
    assert client.metric('sampler_requests_total{path="/generate",status="200"}') == 1
    assert client.metric("sampler_queue_size") == client.metric("sampler_running_rows") == 0
    client.get("/" + "x" * 50)
    assert client.metric('sampler_requests_total{path="other",status="404"}') == 1


def test_it_can_be_mounted_in_another_application():
    async def status(outer, path, headers=()):
        sent, body = [], [{"type": "http.request", "body": b"{}"}]

        async def receive():
            return body.pop() if body else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {**SlowReader.scope(), "path": path, "raw_path": path.encode()}
        scope["headers"] = [*scope["headers"], *headers]
        await outer(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def ask(app):
        outer = Starlette(routes=[Mount("/llm", app)])
        token = [(b"authorization", b"Bearer secret")]
        assert (await status(outer, "/llm/generate"))[0] == 401
        assert (await status(outer, "/llm/generate", token))[0] == 400
        code, body = await status(outer, "/llm/v1/completions", token)
        assert (code, body["error"]["type"]) == (400, "validation")
        assert (await status(outer, "/llm/health"))[0] == 405  # no token, but another method

    with Generator(Watched(), byte_vocabulary()) as generator:
        asyncio.run(ask(create_app(generator, api_key="secret")))
