"""TGI's routes: what the generator says, in TGI's shape, and errors with the right status."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scripted_models import ScriptedModel, Watched, hash_model, request, wire
from server_client import JSON, until

from sampler.limits import ServerLimits

SAMPLED = {"max_new_tokens": 12, "ignore_eos": True, "do_sample": True, "seed": 7, "details": True}
ROUTES = ("/", "/generate", "/generate_stream")


def test_generate_answers_as_the_generator(serve):
    client = serve()
    asked = request("a prompt", **SAMPLED, top_n_tokens=2, decoder_input_details=True)
    answer = client.post("/generate", asked)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == client.generator.generate(asked).to_dict()


def test_generate_stream_sends_the_events_of_the_generator(serve):
    client = serve()
    asked = request("a prompt", **SAMPLED, top_n_tokens=2, best_of=2)
    answer = client.post("/generate_stream", asked)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.events() == wire(client.generator.generate_stream(asked))


def test_the_root_answers_with_a_list_or_with_events(serve):
    client = serve()
    asked = request("a", **SAMPLED)
    expected = client.generator.generate(asked).to_dict()
    assert client.post("/", asked).json() == [expected]
    assert client.post("/", {**asked, "stream": False}).json() == [expected]
    events = client.post("/", {**asked, "stream": True}).events()
    assert events == wire(client.generator.generate_stream(asked))


def test_elsewhere_the_path_says_whether_there_is_a_stream(serve):
    client = serve()
    asked = request("a", **SAMPLED)
    assert "generated_text" in client.post("/generate", {**asked, "stream": True}).json()
    assert len(client.post("/generate_stream", {**asked, "stream": False}).events()) == 12


def test_many_streams_at_once_have_the_bytes_that_each_has_alone(serve):
    client = serve(max_batch_size=8, max_waiting=64)
    asked = [request(f"prompt {n}", **{**SAMPLED, "seed": n}) for n in range(24)]
    alone = [client.post("/generate_stream", one).body for one in asked]
    with ThreadPoolExecutor(len(asked)) as threads:
        together = list(threads.map(lambda one: client.post("/generate_stream", one).body, asked))
    assert together == alone


def test_a_whole_answer_says_how_long_it_took(serve):
    headers = serve().post("/generate", request("abc", **SAMPLED)).headers
    assert headers["x-compute-type"] == "cpu"
    assert headers["x-compute-characters"] == "3"
    assert headers["x-prompt-tokens"] == "3"
    assert headers["x-generated-tokens"] == "12"
    assert float(headers["x-compute-time"]) > 0
    for name in ("total", "validation", "queue", "inference"):
        assert int(headers[f"x-{name}-time"]) >= 0
    assert int(headers["x-time-per-token"]) >= 0


def test_a_request_keeps_its_id_or_is_given_one(serve):
    client = serve()
    named = client.post("/generate", request("a", **SAMPLED), {**JSON, "x-request-id": "my-id"})
    assert named.headers["x-request-id"] == "my-id"
    ids = {client.get("/health").headers["x-request-id"] for _ in range(2)}
    ids.add(client.get("/nowhere").headers["x-request-id"])
    assert len(ids) == 3
    bad = client.get("/health", {"x-request-id": "a b"}).headers["x-request-id"]
    assert bad != "a b"


@pytest.mark.parametrize("path", ROUTES)
def test_all_that_is_wrong_with_a_request_is_told_with_status_400(serve, path):
    answer = serve().post(path, request("", top_p=42.5, typical_p=42.5, tempratur=1))
    assert answer.status == 400
    assert answer.json()["error_type"] == "validation"
    for name in ("top_p", "typical_p", "inputs", "parameters.tempratur"):
        assert f"`{name}`" in answer.json()["error"]


BAD_BODIES = {
    b"": "the body must be JSON",
    b'{"inputs": "a"': "the body must be JSON",
    b'{"inputs": "\xff"}': "not UTF-8 at byte 12",
    b'{"inputs": NaN}': "NaN is no JSON value",
    b"[" * 100_000: "recursion limit",
    b'{"inputs": "a", "parameters": {"seed": ' + b"9" * 5000 + b"}}": "the body must be JSON",
    b'{"inputs": "a", "parameters": {"temperature": 1e999}}': "`temperature`",
    b'{"inputs": "a", "parameters": {"max_new_tokens": -1}}': "`max_new_tokens`",
    b'{"inputs": "a", "parameters": {"best_of": 99999999999999}}': "`best_of`",
    b'{"inputs": "\\ud800"}': "lone surrogate",
    b'{"inputs": "a", "stream": "yes"}': "`stream`",
    b"[]": "the request must be an object",
    b"null": "the request must be an object",
}


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bodies_that_are_no_requests_are_refused_in_the_same_shape(serve, body):
    client = serve()
    for path in ROUTES:
        answer = client.post(path, body)
        assert answer.status == 400
        assert answer.json()["error_type"] == "validation"
        assert answer.json()["error"].startswith("Input validation error: ")
        assert BAD_BODIES[body] in answer.json()["error"]


def test_null_bytes_are_text(serve):
    answer = serve().post("/generate", request("\0a\0", **SAMPLED))
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_nothing_but_json_is_taken_which_pages_elsewhere_cannot_send_unasked(serve, kind):
    headers = {"content-type": kind} if kind else {}
    answer = serve().post("/generate", request("a", **SAMPLED), headers)
    assert answer.status == 400
    assert "content-type" in answer.json()["error"]


def test_a_grammar_that_is_not_valid_is_status_400(serve):
    grammar = {"type": "regex", "value": "("}
    answer = serve().post("/generate_stream", request("a", grammar=grammar))
    assert answer.status == 400
    assert "grammar is not valid" in answer.json()["error"]


@pytest.mark.parametrize(
    ("size", "status"), [(2_000, 200), (2_001, 413), (9_000, 413), (99_000, 413)]
)
def test_a_body_may_be_as_large_as_the_limit(serve, size, status):
    client = serve(limits=ServerLimits(max_body_bytes=2_000))
    body = b'{"inputs": "a", "parameters": {"max_new_tokens": 1}}'
    answer = client.post("/generate", body + b" " * (size - len(body)))
    assert answer.status == status
    if status == 413:
        assert answer.json()["error_type"] == "validation"
        assert "<= 2000 bytes" in answer.json()["error"]
        assert client.metric('sampler_rejected_total{reason="size"}') == 1


def test_what_is_ignored_stands_in_a_header_and_in_the_warnings(serve):
    client = serve(unknown_parameters="ignore")
    asked = request("a", **SAMPLED, typo=1)
    for path in ("/generate", "/generate_stream"):
        assert client.post(path, asked).headers["x-ignored-parameters"] == "parameters.typo"
    details = client.post("/generate", asked).json()["details"]
    assert details["warnings"] == ["`parameters.typo` is ignored"]
    assert "x-ignored-parameters" not in client.post("/generate", request("a", **SAMPLED)).headers


def failing_after(calls):
    """A model that raises when it has been called so often."""
    left = [calls]

    def model(batch):
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("no")
        return hash_model(batch)

    return model


@pytest.mark.parametrize("path", ROUTES)
def test_a_failure_before_the_first_token_is_status_424(serve, path):
    client = serve(failing_after(0))
    answer = client.post(path, request("a", **SAMPLED))
    assert answer.status == 424
    assert answer.json()["error_type"] == "generation"
    assert client.metric('sampler_failed_total{reason="generation"}') == 1


def test_a_failure_after_the_first_token_is_the_last_event(serve):
    client = serve(failing_after(3))
    answer = client.post("/generate_stream", request("a", **SAMPLED))
    assert answer.status == 200
    *tokens, error = answer.events()
    assert [event["index"] for event in tokens] == [1, 2, 3]
    assert error["error_type"] == "generation"
    assert set(error) == {"error", "error_type"}
    assert client.metric('sampler_failed_total{reason="generation"}') == 1


def test_a_row_that_cannot_be_drawn_from_ends_its_own_request_alone(serve):
    def model(batch):
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if view.token_ids[0] == ord("x") and len(view.token_ids) > 3:
                logits[row] = np.nan
        return logits

    client = serve(model)
    alone = client.post("/generate_stream", request("a", **SAMPLED)).body
    with ThreadPoolExecutor(8) as threads:
        bodies = list(
            threads.map(
                lambda prompt: client.post("/generate_stream", request(prompt, **SAMPLED)).body,
                ["a", "x"] * 4,
            )
        )
    assert bodies[::2] == [alone] * 4
    assert all(b"error_type" in body for body in bodies[1::2])


def test_silence_is_filled_with_comments(serve):
    model = Watched(held=True)
    client = serve(model, limits=ServerLimits(keep_alive_seconds=0.1))
    connection = client.begin("POST", "/generate_stream", request("a", **SAMPLED))
    response = connection.getresponse()  # after the first silence, before any token
    assert response.status == 200
    assert response.fp.readline() == b"3\r\n"
    comments = b"".join(response.fp.readline() for _ in range(8))
    assert comments.count(b":\n") == 2
    model.let_go()
    assert any(b'"index":12' in line for line in iter(response.fp.readline, b""))
    connection.close()


def test_an_error_after_a_comment_is_an_event(serve):
    def model(batch):
        time.sleep(0.4)
        raise ValueError("no")

    client = serve(model, limits=ServerLimits(keep_alive_seconds=0.1))
    answer = client.post("/generate_stream", request("a", **SAMPLED))
    assert answer.status == 200
    (error,) = answer.events()
    assert error["error_type"] == "generation"


@pytest.mark.parametrize("path", ROUTES)
def test_a_full_queue_is_status_429_with_a_time_to_come_again(serve, path):
    model = Watched(held=True)
    client = serve(model, max_batch_size=1, max_waiting=1)
    first = client.begin("POST", "/generate", request("a", **SAMPLED))
    model.wait_for_call(1)
    second = client.begin("POST", "/generate", request("b", **SAMPLED))
    until(lambda: client.generator.load.waiting == 1)
    answer = client.post(path, request("c", **SAMPLED))
    assert answer.status == 429
    assert answer.json() == {"error": "Model is overloaded", "error_type": "overloaded"}
    assert answer.headers["retry-after"] == "1"
    assert client.metric('sampler_rejected_total{reason="overloaded"}') == 1
    model.let_go()
    assert [one.getresponse().status for one in (first, second)] == [200, 200]
    first.close()
    second.close()


def test_limits_of_the_generator_hold(serve):
    client = serve()
    tokens = client.generator.limits.max_total_tokens + 1
    answer = client.post("/generate", request("a", max_new_tokens=tokens))
    assert answer.status == 400
    assert "`max_new_tokens` must be <= 8192" in answer.json()["error"]


def test_text_with_separators_of_lines_stays_one_event(serve):
    script = list("a\u2028b\u0085c\r\nd".encode())
    client = serve(ScriptedModel({"go": script}))
    events = client.post("/generate_stream", request("go", max_new_tokens=40)).events()
    assert events[-1]["generated_text"] == "a\u2028b\u0085c\r\nd"


def test_paths_and_methods_that_are_not_served_have_the_status_of_http(serve):
    client = serve()
    missing = client.post("/v2/generate", {})
    assert (missing.status, missing.json()) == (404, {"error": "Not Found"})
    assert client.post("/generate/", {}).status == 404
    wrong = client.get("/generate")
    assert (wrong.status, wrong.json()) == (405, {"error": "Method Not Allowed"})
    assert wrong.headers["allow"] == "POST"
