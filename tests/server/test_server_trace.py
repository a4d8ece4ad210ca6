"""``POST /trace``: the stages of one token over HTTP, under the rules of all other requests."""

import json

import pytest
from scripted_models import END, SIZE, Watched, request
from server_client import JSON, until

from sampler.limits import Limits

CHAIN = {"temperature": 0.7, "top_k": 5, "presence_penalty": 0.5, "seed": 3}


def asked(tokens=(), **options) -> dict:
    return {**request("prompt", **options.pop("parameters", CHAIN)), "tokens": [*tokens], **options}


def exchanges(client):
    return client.server.config.app.state.service.exchanges


def test_each_stage_has_its_tokens_and_each_alternative_its_fate(serve):
    client = serve()
    body = request("prompt", **CHAIN, max_new_tokens=3, top_n_tokens=5, ignore_eos=True)
    events = client.post("/generate_stream", body).events()
    ids = [event["token"]["id"] for event in events]
    answer = client.post("/trace", asked(ids[:2], top_n=8, alternatives=[7]))
    assert answer.status == 200
    trace = answer.json()
    assert [stage["name"] for stage in trace["stages"]] == [
        *("model", "presence_penalty", "temperature", "top_k")
    ]
    assert [stage["size"] for stage in trace["stages"]] == [SIZE, SIZE, SIZE, 5]
    assert trace["stages"][-1]["tokens"] == [
        {**token, "logprob": pytest.approx(token["logprob"], rel=1e-6)}
        for token in events[2]["top_tokens"]
    ]
    told = {alternative["id"]: alternative for alternative in trace["alternatives"]}
    for place, stage in enumerate(trace["stages"]):
        for token in stage["tokens"]:
            assert told[token["id"]]["logprobs"][place] == token["logprob"]
    kept = {token["id"] for token in trace["stages"][-1]["tokens"]}
    for token_id, alternative in told.items():
        assert alternative["removed_by"] == (None if token_id in kept else "top_k")
        assert (alternative["logprobs"][-1] is None) == (token_id not in kept)
        assert alternative["reason"] is None
    assert 7 in told


def test_what_the_grammar_forbids_comes_with_the_reason(serve):
    grammar = {"type": "json", "value": {"type": "object", "required": ["a"]}}
    body = asked(b'{"', parameters={"grammar": grammar}, alternatives=[END, 0])
    told = {a["id"]: a for a in serve().post("/trace", body).json()["alternatives"]}
    assert told[END]["removed_by"] == "mask"
    assert told[END]["reason"].startswith('the text cannot end after `{"`; expected: ')
    assert told[0]["reason"].startswith('after `{"` there cannot be byte 0x00; expected: ')


def test_errors_are_those_of_every_route(serve):
    client = serve(api_key="secret", request_limits=Limits(max_top_n_tokens=4))
    assert client.post("/trace", asked()).status == 401
    headers = {**JSON, "authorization": "Bearer secret"}
    assert client.post("/trace", asked(), headers).status == 200
    wrong = asked([SIZE], top_n=5, parameters={"top_p": 7}, typo=1)
    refused = client.post("/trace", wrong, headers)
    assert (refused.status, refused.json()["error_type"]) == (400, "validation")
    for name in ("tokens[0]", "top_n", "top_p", "typo"):
        assert f"`{name}`" in refused.json()["error"]
    assert client.post("/trace", b"{", headers).status == 400
    assert client.ask("GET", "/trace", None, headers).status == 405


def test_ignored_parameters_are_named(serve):
    client = serve(unknown_parameters="ignore")
    answer = client.post("/trace", asked(parameters={"typo": 1}))
    assert answer.status == 200
    assert answer.headers["x-ignored-parameters"] == "parameters.typo"


def test_without_room_it_is_refused(serve):
    model = Watched(held=True)
    client = serve(model, max_batch_size=1, max_waiting=1)
    first = client.begin("POST", "/generate", request("first", max_new_tokens=2))
    model.wait_for_call(1)
    second = client.begin("POST", "/trace", asked())
    until(lambda: len(exchanges(client)) == 2)
    refused = client.post("/trace", asked())
    assert (refused.status, refused.json()["error_type"]) == (429, "overloaded")
    assert refused.headers["retry-after"]
    model.let_go()
    assert first.getresponse().status == second.getresponse().status == 200
    first.close()
    second.close()
    assert not exchanges(client)


def test_a_client_that_leaves_frees_its_row_before_the_next_step(serve):
    model = Watched(held=True)
    client = serve(model, max_batch_size=1)
    connection = client.begin("POST", "/trace", asked())
    model.wait_for_call(1)
    connection.close()
    until(lambda: not exchanges(client))
    model.let_go()
    assert client.post("/trace", asked()).status == 200
    assert model.calls == [[0], [1]]
    assert model.released == [0, 1]


def test_the_event_loop_answers_while_a_trace_waits_for_the_model(serve):
    model = Watched(held=True)
    client = serve(model)
    connection = client.begin("POST", "/trace", asked())
    model.wait_for_call(1)
    assert client.get("/health").status == 200
    model.let_go()
    answer = connection.getresponse()
    assert json.loads(answer.read())["stages"]
    connection.close()


def test_a_server_that_ends_drops_it_with_an_error(serve):
    model = Watched(held=True)
    client = serve(model)
    connection = client.begin("POST", "/trace", asked())
    model.wait_for_call(1)
    assert len(client.server.config.app.state.service.drop_all()) == 1
    answer = connection.getresponse()
    assert answer.status == 500
    assert json.loads(answer.read())["error_type"] == "incomplete_generation"
    connection.close()
    model.let_go()
