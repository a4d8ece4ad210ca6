"""The request in both forms, and the one entry that validates it."""

import json
from pathlib import Path

import numpy as np
import pytest
from request_checks import EVERY_PARAMETER, problems, validate

from sampler.errors import InvalidParameterError
from sampler.limits import Limits
from sampler.parameters import SamplingParameters, Watermark
from sampler.request import GenerateRequest, StoppingCriteria, validate_request
from sampler.wire import PARAMETERS

EXAMPLE = Path(__file__).parents[3] / "shared" / "example-payload.json"
CLIENT_PARAMETERS = {  # what text-generation sends when only the prompt is given
    "adapter_id": None,
    "best_of": None,
    "frequency_penalty": None,
    "grammar": None,
    "repetition_penalty": None,
    "seed": None,
    "temperature": None,
    "top_k": None,
    "top_n_tokens": None,
    "top_p": None,
    "truncate": None,
    "typical_p": None,
    "decoder_input_details": False,
    "details": True,
    "do_sample": False,
    "max_new_tokens": 20,
    "return_full_text": False,
    "stop": [],
    "watermark": False,
}

# ---- both forms


def test_every_parameter_reaches_its_field():
    assert set(EVERY_PARAMETER) == set(PARAMETERS)
    assert validate({"inputs": "one", "parameters": EVERY_PARAMETER}) == GenerateRequest(
        inputs="one",
        parameters=SamplingParameters(
            do_sample=True,
            temperature=0.7,
            top_k=40,
            top_p=0.9,
            typical_p=0.95,
            min_p=0.05,
            repetition_penalty=1.1,
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            logit_bias={3: -5.0, 99: 2.5},
            watermark=Watermark(gamma=0.25, delta=1.5, key=7, context_width=2),
            seed=2**64 - 1,
            logprobs="raw",
            top_n_tokens=3,
        ),
        stopping=StoppingCriteria(
            max_new_tokens=50,
            min_new_tokens=10,
            stop=("###", "\n\n"),
            ignore_eos=True,
            trim_stop=True,
        ),
        best_of=4,
        truncate=30,
        return_full_text=True,
        details=True,
        decoder_input_details=True,
        grammar={"type": "regex", "value": "[a-z]+"},
    )


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": "one"},
        {"inputs": "one", "parameters": {}},
        {"inputs": "one", "parameters": None},
        {"inputs": "one", "stream": True},
        {"inputs": "one", "parameters": {"top_p": None, "logit_bias": None, "stop": []}},
    ],
)
def test_what_is_not_given_is_neutral(body):
    assert validate(body) == GenerateRequest(inputs="one")


@pytest.mark.parametrize("details", [True, False])
def test_takes_what_the_text_generation_client_sends(details):
    parameters = {**CLIENT_PARAMETERS, "details": details}
    assert validate({"inputs": "one", "parameters": parameters, "stream": details}) == (
        GenerateRequest(inputs="one", stopping=StoppingCriteria(max_new_tokens=20), details=details)
    )


def test_the_wire_form_of_a_request_reads_back_as_the_same_request():
    request = validate({"inputs": "one", "parameters": EVERY_PARAMETER})
    body = json.loads(json.dumps(request.to_dict()))
    assert GenerateRequest.from_dict(body) == request
    assert GenerateRequest(inputs="one").to_dict() == {"inputs": "one", "parameters": {}}


def test_a_valid_request_made_in_python_is_returned_as_it_is():
    request = GenerateRequest(inputs="one", best_of=2, parameters=SamplingParameters(top_k=5))
    assert validate(request) is request


def test_a_request_made_in_python_meets_the_same_limits():
    request = GenerateRequest(
        inputs="one two",
        parameters=SamplingParameters(logit_bias={100: 1.0}, top_n_tokens=9),
        stopping=StoppingCriteria(stop=("",), max_new_tokens=9),
        best_of=3,
        truncate=9,
    )
    limits = Limits(max_best_of=2, max_top_n_tokens=3, max_input_tokens=8, max_total_tokens=10)
    with pytest.raises(InvalidParameterError) as raised:
        validate(request, limits=limits)
    assert raised.value.problems == (
        "`best_of` must be > 0 and <= 2. Given: 3",
        "you must use sampling when `best_of` is > 1. Given: 3",
        "`stop[0]` must have 1 to 1024 characters. Given: 0",
        "`top_n_tokens` must be >= 0 and <= 3. Given: 9",
        "`logit_bias` ids must be < 100. Given: 100",
        "`truncate` must be strictly positive and less than 8. Given: 9",
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"inputs": ""}, "`inputs` cannot be empty"),
        ({"inputs": None}, "`inputs` must be a string. Given: None"),
        ({"best_of": 0}, "`best_of` must be strictly positive. Given: 0"),
        ({"best_of": True}, "`best_of` must be an integer, strictly positive"),
        ({"best_of": None}, "`best_of` cannot be None"),
        ({"truncate": -1}, "`truncate` must be strictly positive. Given: -1"),
        ({"details": 0}, "`details` must be true or false. Given: 0"),
        ({"grammar": {"type": "ebnf", "value": ""}}, "`grammar.type` must be 'json', "),
        ({"parameters": {"top_p": 0.5}}, "`parameters` must be SamplingParameters. Given: {'top_"),
        ({"stopping": None}, "`stopping` must be StoppingCriteria. Given: None"),
    ],
)
def test_a_request_made_in_python_refuses_wrong_values(fields, problem):
    with pytest.raises(InvalidParameterError) as raised:
        GenerateRequest(**{"inputs": "one", **fields})
    assert [text[: len(problem)] for text in raised.value.problems] == [problem]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive. Given: 0"),
        ({"min_new_tokens": -1}, "`min_new_tokens` must be >= 0. Given: -1"),
        ({"min_new_tokens": None}, "`min_new_tokens` cannot be None"),
        (
            {"min_new_tokens": 3, "max_new_tokens": 2},
            "`min_new_tokens` must be <= `max_new_tokens`. Given: 3 and 2",
        ),
        ({"stop": "abc"}, "`stop` must be a list of strings. Given: 'abc'"),
        ({"stop": (1,)}, "`stop[0]` must be a string. Given: 1"),
        ({"ignore_eos": 1}, "`ignore_eos` must be true or false. Given: 1"),
    ],
)
def test_stopping_criteria_refuse_wrong_values(fields, problem):
    with pytest.raises(InvalidParameterError) as raised:
        StoppingCriteria(**fields)
    assert raised.value.problems == (problem,)


def test_details_are_wanted_when_either_switch_asks():
    for details in (False, True):
        for prompt in (False, True):
            request = GenerateRequest(inputs="one", details=details, decoder_input_details=prompt)
            assert request.wants_details == (details or prompt)


def test_numbers_of_numpy_are_stored_as_numbers_of_python():
    stopping = StoppingCriteria(max_new_tokens=np.int64(5), min_new_tokens=np.int8(0))
    request = GenerateRequest(inputs="one", best_of=np.int64(1), truncate=np.uint8(3))
    stored = stopping.max_new_tokens, stopping.min_new_tokens, request.best_of, request.truncate
    assert stored == (5, 0, 1, 3)
    assert {type(value) for value in stored} == {int}


def test_a_request_with_a_bias_and_a_grammar_can_be_hashed():
    body = {"inputs": "one", "parameters": EVERY_PARAMETER}
    assert {validate(body), validate(body)} == {validate(body)}


@pytest.mark.parametrize("strict_tgi", [False, True])
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"unknown_parameters": "zzz"},
            "`unknown_parameters` must be 'refuse' or 'ignore'. Given: 'zzz'",
        ),
        ({"limits": {}}, "`limits` must be Limits. Given: {}"),
        ({"limits": 0}, "`limits` must be Limits. Given: 0"),
    ],
)
def test_wrong_options_are_named(options, problem, strict_tgi):
    with pytest.raises(InvalidParameterError) as raised:
        validate_request({"inputs": "one"}, strict_tgi=strict_tgi, **options)
    assert raised.value.problems == (problem,)


# ---- the example of the schema


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the example payload is not beside the project")
def test_the_example_payload_has_exactly_three_problems():
    body = json.loads(EXAMPLE.read_text())["requestExamples"][0]["example"]
    with pytest.raises(InvalidParameterError) as raised:
        validate(body)
    assert raised.value.problems == (
        "`top_p` must be > 0.0 and <= 1.0. Given: 42.5",
        "`typical_p` must be > 0.0 and <= 1.0. Given: 42.5",
        "grammar is not valid: expected value at line 1 column 1. Given: 'example_value'",
    )
    parameters = {**body["parameters"], "top_p": 0.5, "typical_p": 0.5}
    parameters["grammar"] = {"type": "json", "value": '{"type": "object"}'}
    request = validate({**body, "parameters": parameters})
    assert (request.best_of, request.parameters.seed, request.truncate) == (10, 10, 10)


# ---- unknown fields


def test_unknown_fields_are_refused_by_name():
    with pytest.raises(InvalidParameterError) as raised:
        validate({"inputs": "one", "model": "x", "parameters": {"stop_sequences": [], "a\nb": 1}})
    assert raised.value.problems == (
        "unknown field `model`",
        "unknown field `parameters.stop_sequences`",
        "unknown field `parameters.'a\\nb'`",
    )


def test_unknown_fields_can_be_ignored_and_are_then_listed():
    body = {"inputs": "one", "model": "x", "parameters": {"stop_sequences": []}}
    request = validate(body, unknown_parameters="ignore")
    assert request.ignored_parameters == ("model", "parameters.stop_sequences")
    assert validate(request) is request


def test_ignoring_unknown_fields_does_not_ignore_wrong_values():
    parameters = {"top_p": 2, "typo": 1, "watermark": {"gama": 0.5}}
    assert problems(parameters, unknown_parameters="ignore") == (
        "unknown field `watermark.gama`",
        "`top_p` must be > 0.0 and <= 1.0. Given: 2.0",
    )


def test_an_adapter_is_refused_by_name():
    assert problems({"adapter_id": "lora"}) == (
        "`adapter_id` must be null: there are no adapters. Given: 'lora'",
    )
