"""One way to validate requests in tests: a token is a word, the vocabulary has a hundred ids."""

import pytest

from sampler.errors import InvalidParameterError
from sampler.request import validate_request

VOCAB_SIZE = 100
EVERY_PARAMETER = {
    "do_sample": True,
    "temperature": 0.7,
    "top_k": 40,
    "top_p": 0.9,
    "typical_p": 0.95,
    "min_p": 0.05,
    "repetition_penalty": 1.1,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logit_bias": {"3": -5.0, "99": 2.5},
    "watermark": {"gamma": 0.25, "delta": 1.5, "key": 7, "context_width": 2},
    "seed": 2**64 - 1,
    "logprobs": "raw",
    "top_n_tokens": 3,
    "max_new_tokens": 50,
    "min_new_tokens": 10,
    "stop": ["###", "\n\n"],
    "ignore_eos": True,
    "trim_stop": True,
    "best_of": 4,
    "truncate": 30,
    "return_full_text": True,
    "details": True,
    "decoder_input_details": True,
    "grammar": {"type": "regex", "value": "[a-z]+"},
    "adapter_id": None,
}


def words(text):
    return len(text.split())


def validate(body, **options):
    return validate_request(body, count_tokens=words, vocab_size=VOCAB_SIZE, **options)


def problems(parameters, *, inputs="one", **options):
    with pytest.raises(InvalidParameterError) as raised:
        validate({"inputs": inputs, "parameters": parameters}, **options)
    return raised.value.problems
