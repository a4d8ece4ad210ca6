"""SmolLM2-135M-Instruct in the engine: every parameter at once, and the same bytes in any batch."""

import json
import threading

import jsonschema
import numpy as np
import pytest

from sampler import Generator
from sampler.errors import InvalidParameterError
from sampler.models import open_model

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["island", "mountain", "river"]},
        "height": {"type": "integer", "minimum": 0, "maximum": 9999},
        "cities": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 8},
            "minItems": 1,
            "maxItems": 2,
        },
    },
    "required": ["name", "kind", "cities"],
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
    "logit_bias": {"500": -1.0, "3000": 0.5},
    "logprobs": "raw",
    "max_new_tokens": 300,
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
WORDS = ["the", "river", "of", "an", "island", "is", "not", "small", "it", "was", "12", "miles"]
PROMPT = "A short description, in JSON, of one river, island or mountain of the world:"


def opened_or_skipped(**options):
    try:
        return open_model("smollm2", **options)
    except InvalidParameterError as reason:
        pytest.skip(str(reason))


def generator_of(opened, max_batch_size=32):
    return Generator(
        opened.model, opened.tokenizer, max_batch_size, eos_token_ids=opened.eos_token_ids
    )


# --- every parameter


@pytest.fixture(scope="module")
def generator():
    with generator_of(opened_or_skipped()) as generator:
        yield generator


def check_stream(generator, seed):
    """One stream with every parameter; its text."""
    request = {"inputs": PROMPT, "parameters": {**PARAMETERS, "seed": seed}}
    events = [event.to_dict() for event in generator.generate_stream(request)]
    details = events[-1]["details"]
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    assert all(len(event["top_tokens"]) == 3 for event in events)
    assert all(event["token"]["logprob"] <= 0.0 for event in events)
    assert (details["finish_reason"], details["grammar_complete"]) == ("eos_token", True)
    assert details["generated_tokens"] == len(events)
    assert details["input_length"] == len(details["prefill"]) == 12
    assert len(details["best_of_sequences"]) == 1
    texts = [event["token"]["text"] for event in events if not event["token"]["special"]]
    assert "".join(texts) == events[-1]["generated_text"]
    return events[-1]["generated_text"]


def check_seeds(generator, seeds):
    texts = [check_stream(generator, seed) for seed in seeds]
    for text in texts:
        jsonschema.validate(json.loads(text), SCHEMA)
    assert len(set(texts)) == len(texts)


def test_a_stream_with_every_parameter_keeps_to_the_schema(generator):
    check_seeds(generator, range(2))


@pytest.mark.slow
def test_a_hundred_seeds_keep_to_the_schema(generator):
    check_seeds(generator, range(100))


# --- the same bytes


def mixed_requests(count):
    """Seeded requests of many lengths; every second one begins like others."""
    random = np.random.default_rng(0)
    requests = []
    for number in range(count):
        start = "Once upon a time there was a little model that wrote stories. " * (number % 2)
        more = " ".join(random.choice(WORDS, random.integers(1, 60)))
        parameters = {"seed": number, "temperature": 0.9, "top_p": 0.95, "details": True}
        parameters["max_new_tokens"] = int(random.integers(1, 13))
        parameters["top_n_tokens"] = number % 3
        requests.append({"inputs": start + more, "parameters": parameters})
    return requests


def events_of(generator, requests):
    """The bytes of the events of each request, all submitted at once."""
    events = [""] * len(requests)

    def run(number):
        stream = generator.generate_stream(requests[number])
        events[number] = "\n".join(json.dumps(event.to_dict()) for event in stream)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return events


def check_batches(count, settings):
    requests = mixed_requests(count)
    expected = []
    with generator_of(opened_or_skipped(prefix_reuse=False, prefill_rows=16), 1) as generator:
        for request in requests:
            expected += events_of(generator, [request])
    assert all(expected)
    for batch_size, prefix_reuse in settings:
        opened = opened_or_skipped(prefix_reuse=prefix_reuse, kv_cache_bytes=128 << 20)
        with generator_of(opened, batch_size) as generator:
            assert events_of(generator, requests) == expected, (batch_size, prefix_reuse)


def test_events_are_the_same_bytes_alone_and_in_a_batch():
    check_batches(6, [(4, True)])


@pytest.mark.slow
def test_a_hundred_requests_have_the_same_bytes_in_batches_of_any_size():
    check_batches(100, [(size, reuse) for size in (1, 4, 16) for reuse in (False, True)])
