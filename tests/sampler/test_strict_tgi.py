"""TGI's validation table, row by row (data/strict_tgi.json)."""

import json
from pathlib import Path

import pytest

from sampler.errors import InvalidParameterError
from sampler.limits import Limits
from sampler.parameters import Watermark
from sampler.request import GenerateRequest, SamplingParameters, validate_request

TABLE = json.loads((Path(__file__).parent / "data" / "strict_tgi.json").read_text())
RULES_ON_ONE_TEXT_REQUEST = {str(number) for number in range(1, 22)} - {"4"}


def validate(case):
    def count_tokens(text):
        if "tokenizer_error" in case:
            raise RuntimeError(case["tokenizer_error"])
        return len(text.split())

    return validate_request(
        case["body"],
        limits=Limits(**{**TABLE["limits"], **case.get("limits", {})}),
        count_tokens=count_tokens,
        vocab_size=100,
        stream=case.get("stream", False),
        strict_tgi=True,
    )


def select(condition):
    cases = [case for case in TABLE["cases"] if condition(case)]
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


@select(lambda case: case.get("error"))
def test_refuses_with_the_text_of_tgi_and_nothing_else(case):
    with pytest.raises(InvalidParameterError) as raised:
        validate(case)
    assert raised.value.problems == (case["error"],)
    assert raised.value.to_dict() == {
        "error": f"Input validation error: {case['error']}",
        "error_type": "validation",
    }


@select(lambda case: "error_begins" in case)
def test_refuses_schemas_that_are_not_valid(case):
    with pytest.raises(InvalidParameterError) as raised:
        validate(case)
    (problem,) = raised.value.problems
    assert problem.startswith(case["error_begins"])
    assert len(problem) > len(case["error_begins"])


@select(lambda case: "unreadable" in case)
def test_names_the_first_field_that_cannot_be_read(case):
    with pytest.raises(InvalidParameterError) as raised:
        validate(case)
    (problem,) = raised.value.problems
    field = case["unreadable"].removeprefix("parameters.")
    assert problem.replace("`", "").startswith(f"{field} ")


@select(lambda case: "error" in case and case["error"] is None)
def test_accepts_what_tgi_accepts(case):
    request = validate(case)
    for name, expected in case.get("values", {}).items():
        holders = (request.stopping, request.parameters, request)
        value = next(getattr(holder, name) for holder in holders if hasattr(holder, name))
        assert (list(value) if isinstance(value, tuple) else value) == expected, name
    assert request.ignored_parameters == ()


def test_the_table_has_a_refusal_and_an_acceptance_for_every_rule():
    refused = {case["rule"] for case in TABLE["cases"] if case.get("error")}
    accepted = {case["rule"] for case in TABLE["cases"] if case.get("error", "") is None}
    assert refused >= RULES_ON_ONE_TEXT_REQUEST
    # a tokenizer that does not fail is in every other row
    assert accepted >= RULES_ON_ONE_TEXT_REQUEST - {"18"}


def test_a_request_made_in_python_is_judged_like_its_wire_form():
    request = GenerateRequest(inputs="one", parameters=SamplingParameters(top_p=0.5, min_p=0.1))
    assert validate_request(request, strict_tgi=True).parameters == SamplingParameters(top_p=0.5)
    watermarked = SamplingParameters(watermark=Watermark(gamma=0.25))
    with pytest.raises(InvalidParameterError, match=r"^`watermark` must be true or false"):
        validate_request(GenerateRequest(inputs="one", parameters=watermarked), strict_tgi=True)
