"""The main job: one stream with every parameter set, kept inside a JSON Schema."""

import json

import jsonschema
import pytest

import sampler

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 16},
        "kind": {"enum": ["island", "mountain", "river"]},
        "area": {"type": "integer"},
        "coast": {"type": "boolean"},
        "cities": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 8},
            "minItems": 1,
            "maxItems": 3,
        },
    },
    "required": ["name", "kind", "coast", "cities"],
    "additionalProperties": False,
}
# every parameter of the wire, none of which ends the text early or stands in front of it
PARAMETERS = {
    "best_of": 2,
    "decoder_input_details": True,
    "details": True,
    "do_sample": True,
    "frequency_penalty": 0.05,
    "grammar": {"type": "json", "value": SCHEMA},
    "ignore_eos": False,
    "logit_bias": {"5": -1.0, "300": 0.5},
    "logprobs": "raw",
    "max_new_tokens": 2000,
    "min_new_tokens": 3,
    "min_p": 0.001,
    "presence_penalty": 0.05,
    "repetition_penalty": 1.05,
    "return_full_text": False,
    "stop": ["no such text"],
    "temperature": 0.9,
    "top_k": 200,
    "top_n_tokens": 3,
    "top_p": 0.95,
    "trim_stop": True,
    "truncate": 12,
    "typical_p": 0.95,
    "watermark": {"gamma": 0.5, "delta": 1.0, "key": 42, "context_width": 2},
}
PROMPT = (
    '<|json|>Some rivers and islands of the world, the first of them described: {"name": "Elba"}'
)


@pytest.fixture(scope="module")
def generator():
    with sampler.default_generator() as generator:
        yield generator


def check_stream(generator, seed):
    """One stream as the contract describes it; the text."""
    request = {"inputs": PROMPT, "parameters": {**PARAMETERS, "seed": seed}}
    events = [event.to_dict() for event in generator.generate_stream(request)]
    *earlier, last = events
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        keys = ["index", "token", "top_tokens", "generated_text", "details"]
        assert list(event) == keys
        assert list(event["token"]) == ["id", "text", "logprob", "special"]
        assert event["token"]["logprob"] <= 0.0
        assert len(event["top_tokens"]) == 3
    assert all(event["generated_text"] is None and event["details"] is None for event in earlier)
    details = last["details"]
    assert details["finish_reason"] == "eos_token"
    assert details["generated_tokens"] == len(events)
    assert details["input_length"] == 12
    assert details["grammar_complete"] is True
    assert len(details["prefill"]) == 12
    assert len(details["best_of_sequences"]) == 1
    seeds = {details["seed"], details["best_of_sequences"][0]["seed"]}
    assert seed in seeds
    assert len(seeds) == 2
    texts = [event["token"]["text"] for event in events if not event["token"]["special"]]
    assert "".join(texts) == last["generated_text"]
    return last["generated_text"]


def check_seeds(generator, seeds):
    texts = [check_stream(generator, seed) for seed in seeds]
    for text in texts:
        jsonschema.validate(json.loads(text), SCHEMA)
    assert len(set(texts)) == len(texts)


def test_every_parameter_of_the_wire_is_set():
    from sampler.wire import PARAMETERS as known

    assert set(known) - {"adapter_id"} == {*PARAMETERS, "seed"}


def test_a_stream_with_every_parameter_keeps_to_the_contract_and_the_schema(generator):
    check_seeds(generator, range(3))


@pytest.mark.slow
def test_a_hundred_seeds_keep_to_the_contract_and_the_schema(generator):
    check_seeds(generator, range(100))
