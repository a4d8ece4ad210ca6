"""The events and the answer of one request: their keys, their order and what stands in them."""

import json

import numpy as np
import pytest
from scripted_models import (
    END,
    SIZE,
    ScriptedModel,
    WithPromptLogits,
    byte_vocabulary,
    hash_model,
    hash_row,
    joined,
    request,
    wire,
)

from sampler import GenerateRequest, SamplingParameters, StoppingCriteria
from sampler.events import to_sse

HI = ScriptedModel({"a": b"hi"})


def log_softmax(row):
    row = row.astype(np.float64)
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def test_each_token_is_an_event_and_the_last_one_has_the_text(make_generator):
    events = wire(make_generator(HI).generate_stream(request()))
    logprob = pytest.approx(0.0, abs=1e-6)
    tokens = [
        {"id": ord("h"), "text": "h", "logprob": logprob, "special": False},
        {"id": ord("i"), "text": "i", "logprob": logprob, "special": False},
        {"id": END, "text": "<|end|>", "logprob": logprob, "special": True},
    ]
    assert events == [
        {"index": 1, "token": tokens[0], "generated_text": None, "details": None},
        {"index": 2, "token": tokens[1], "generated_text": None, "details": None},
        {"index": 3, "token": tokens[2], "generated_text": "hi", "details": None},
    ]


def test_keys_are_in_the_order_of_the_schema(make_generator):
    stream = make_generator(HI).generate_stream(request(details=True, top_n_tokens=1))
    *_, last = wire(stream)
    assert list(last) == ["index", "token", "top_tokens", "generated_text", "details"]
    assert list(last["token"]) == ["id", "text", "logprob", "special"]
    assert list(last["details"]) == ["finish_reason", "generated_tokens", "seed", "input_length"]


def test_details_come_in_the_last_event_when_asked_for(make_generator):
    events = wire(make_generator(HI).generate_stream(request(details=True)))
    assert [event["details"] for event in events[:-1]] == [None, None]
    assert events[-1]["details"] == {
        "finish_reason": "eos_token",
        "generated_tokens": 3,
        "seed": None,
        "input_length": 1,
    }


def test_the_seed_is_told_when_sampling_whether_given_or_drawn(make_generator):
    generator = make_generator(hash_model)

    def seed(**parameters):
        given = request(details=True, max_new_tokens=5, **parameters)
        response = generator.generate(given).to_dict()
        *_, last = wire(generator.generate_stream(given))
        return response["details"]["seed"], last["details"]["seed"]

    assert seed(do_sample=True, seed=0) == (0, 0)
    assert seed(temperature=0.5, seed=2**64 - 1) == (2**64 - 1, 2**64 - 1)
    assert seed(seed=7) == (None, None)
    assert seed(temperature=0, do_sample=True, seed=7) == (None, None)
    drawn = [seed(do_sample=True) for _ in range(3)]
    assert len({number for pair in drawn for number in pair}) == 6


def test_a_drawn_seed_replays_the_request(make_generator):
    generator = make_generator(hash_model)
    first = generator.generate(request(details=True, max_new_tokens=30, do_sample=True))
    again = request(details=True, max_new_tokens=30, do_sample=True, seed=first.details.seed)
    assert generator.generate(again).to_dict() == first.to_dict()


def test_top_tokens_come_only_when_asked_for_and_are_exactly_so_many(make_generator):
    generator = make_generator(hash_model)
    for event in generator.generate_stream(request(max_new_tokens=3)):
        assert "top_tokens" not in event.to_dict()
    context = [ord("a")]
    for event in generator.generate_stream(request(max_new_tokens=3, top_n_tokens=4)):
        logprobs = log_softmax(hash_row(context))
        best = np.argsort(-logprobs, kind="stable")[:4]
        top = event.to_dict()["top_tokens"]
        assert [token["id"] for token in top] == best.tolist()
        assert [token["logprob"] for token in top] == pytest.approx(logprobs[best].tolist(), 1e-5)
        assert [token["text"] for token in top] == [
            byte_vocabulary().token_text(token_id) for token_id in best
        ]
        assert [token["special"] for token in top] == [token_id >= END for token_id in best]
        context.append(event.token.id)


def test_the_answer_without_details_is_the_text_alone(make_generator):
    assert make_generator(HI).generate(request()).to_dict() == {"generated_text": "hi"}


def test_the_answer_with_details_has_the_events_tokens(make_generator):
    generator = make_generator(hash_model)
    asked = request(details=True, top_n_tokens=2, max_new_tokens=4, do_sample=True, seed=5)
    events = wire(generator.generate_stream(asked))
    answer = generator.generate(asked).to_dict()
    assert list(answer) == ["generated_text", "details"]
    assert answer == {
        "generated_text": events[-1]["generated_text"],
        "details": {
            "finish_reason": "length",
            "generated_tokens": 4,
            "seed": 5,
            "prefill": [],
            "tokens": [event["token"] for event in events],
            "top_tokens": [event["top_tokens"] for event in events],
        },
    }


def test_a_request_object_and_its_wire_form_give_the_same_events(make_generator):
    generator = make_generator(hash_model)
    typed = GenerateRequest(
        inputs="ab",
        parameters=SamplingParameters(temperature=0.7, seed=3),
        stopping=StoppingCriteria(max_new_tokens=6),
        details=True,
    )
    same = wire(generator.generate_stream(typed.to_dict()))
    assert wire(generator.generate_stream(typed)) == same


def test_ignored_parameters_are_named_in_the_warnings(make_generator):
    generator = make_generator(HI, unknown_parameters="ignore")
    asked = request(details=True, tpo_k=3)
    *_, last = generator.generate_stream(asked)
    assert last.to_dict()["details"]["warnings"] == ["`parameters.tpo_k` is ignored"]
    assert generator.generate(asked).details.warnings == ("`parameters.tpo_k` is ignored",)


def test_penalized_and_raw_logprobs_differ_and_the_raw_are_the_models_own(make_generator):
    generator = make_generator(hash_model)
    settings = {"max_new_tokens": 5, "do_sample": True, "seed": 1, "temperature": 0.5}
    context = [ord("a")]
    raw = generator.generate_stream(request(logprobs="raw", **settings))
    processed = generator.generate_stream(request(**settings))
    for own, other in zip(raw, processed, strict=True):
        row = hash_row(context)
        assert own.token.id == other.token.id
        assert own.token.logprob == pytest.approx(log_softmax(row)[own.token.id], rel=1e-5)
        assert other.token.logprob == pytest.approx(log_softmax(2 * row)[own.token.id], rel=1e-5)
        context.append(own.token.id)


def test_a_prompt_token_that_the_model_rules_out_has_null_as_its_logprob(make_generator):
    def model(batch):
        logits = np.full((len(batch), SIZE), -np.inf, np.float32)
        logits[:, :2] = 0.0
        return logits

    asked = request("pq", max_new_tokens=1, decoder_input_details=True)
    (event,) = make_generator(model).generate_stream(asked)
    told = json.loads(to_sse(event).removeprefix("data: "))
    assert [token["logprob"] for token in told["details"]["prefill"]] == [None, None]
    assert told["token"]["logprob"] == pytest.approx(-np.log(2), rel=1e-6)


@pytest.mark.parametrize("prompt", ["p", "a longer prompt"])
@pytest.mark.parametrize("best_of", [1, 3])
def test_the_prompt_is_scored_the_same_at_once_and_token_by_token(make_generator, prompt, best_of):
    asked = request(
        prompt,
        decoder_input_details=True,
        details=True,
        max_new_tokens=4,
        do_sample=True,
        seed=9,
        best_of=best_of,
        top_n_tokens=2,
        temperature=0.7,
    )
    at_once, by_token = make_generator(WithPromptLogits()), make_generator(hash_model)
    answer = by_token.generate(asked).to_dict()
    assert answer == at_once.generate(asked).to_dict()
    ids = list(prompt.encode())
    first, *rest = answer["details"]["prefill"]
    assert first == {"id": ids[0], "text": prompt[0], "logprob": None}
    assert [token["id"] for token in rest] == ids[1:]
    for place, token in enumerate(rest, start=1):
        expected = log_softmax(hash_row(ids[:place]))[ids[place]]
        assert token["logprob"] == pytest.approx(expected, rel=1e-5)
    for loser in answer["details"].get("best_of_sequences", []):
        assert loser["prefill"] == answer["details"]["prefill"]


@pytest.mark.parametrize("model", [hash_model, WithPromptLogits()])
def test_scoring_the_prompt_leaves_the_events_as_they_are(make_generator, model):
    generator = make_generator(model)
    settings = {"details": True, "max_new_tokens": 8, "do_sample": True, "seed": 2}
    plain = wire(generator.generate_stream(request("some prompt", **settings)))
    scored = wire(
        generator.generate_stream(request("some prompt", decoder_input_details=True, **settings))
    )
    prefill = scored[-1]["details"].pop("prefill")
    assert len(prefill) == len("some prompt")
    assert scored == plain


def test_return_full_text_puts_the_whole_prompt_in_front(make_generator):
    generator = make_generator(hash_model)
    settings = {"max_new_tokens": 10, "truncate": 3, "do_sample": True, "seed": 1}
    short = list(generator.generate_stream(request("a long prompt", **settings)))
    full = list(
        generator.generate_stream(request("a long prompt", return_full_text=True, **settings))
    )
    assert full[-1].generated_text == "a long prompt" + short[-1].generated_text
    assert joined(full) == joined(short) == short[-1].generated_text


def test_truncate_keeps_the_end_of_the_prompt(make_generator):
    generator = make_generator(hash_model)
    settings = {"max_new_tokens": 5, "details": True, "decoder_input_details": True}
    cut = generator.generate(request("a long prompt", truncate=6, **settings)).to_dict()
    alone = generator.generate(request("prompt", **settings)).to_dict()
    assert cut == alone
    *_, last = generator.generate_stream(request("a long prompt", truncate=6, **settings))
    assert last.details.input_length == 6
