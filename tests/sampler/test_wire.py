"""How JSON values are read, whatever they are."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_checks import EVERY_PARAMETER, problems, validate

from sampler.errors import InvalidParameterError
from sampler.request import GenerateRequest
from sampler.wire import PARAMETERS

# ---- JSON types


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("top_p", "0.5", "must be a finite number, > 0.0 and <= 1.0. Given: '0.5'"),
        ("top_p", True, "must be a finite number, > 0.0 and <= 1.0. Given: True"),
        ("temperature", math.nan, "must be a finite number, >= 0.0. Given: nan"),
        ("temperature", math.inf, "must be a finite number, >= 0.0. Given: inf"),
        ("temperature", 10**400, "must be a finite number, >= 0.0. Given: an integer of 1329 bits"),
        ("top_k", 10.0, "must be an integer, >= 0. Given: 10.0"),
        ("max_new_tokens", 1.5, "must be an integer, strictly positive. Given: 1.5"),
        ("stop", None, "must be a list of strings. Given: None"),
        ("stop", "a", "must be a list of strings. Given: 'a'"),
        ("watermark", None, "must be true, false or an object. Given: None"),
        ("watermark", 1, "must be true, false or an object. Given: 1"),
        ("logit_bias", [5], "must be an object. Given: [5]"),
        ("return_full_text", 1, "must be true or false. Given: 1"),
        ("ignore_eos", None, "must be true or false. Given: None"),
        ("grammar", "json", "must be an object. Given: 'json'"),
    ],
)
def test_a_wrong_json_type_is_named_with_its_field(name, value, problem):
    assert problems({name: value}) == (f"`{name}` {problem}",)


def test_wrong_items_of_a_list_are_named():
    assert problems({"stop": [1, "a", 5]}) == (
        "`stop[0]` must be a string. Given: 1",
        "`stop[2]` must be a string. Given: 5",
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "watermark",
            {"foo": 1, "gamma": 5, "key": "x", 7: 0},
            (
                "unknown field `watermark.foo`",
                "unknown field `watermark.7`",
                "`watermark.gamma` must be > 0.0 and < 1.0. Given: 5",
                f"`watermark.key` must be an integer, >= 0 and <= {2**64 - 1}. Given: 'x'",
            ),
        ),
        (
            "grammar",
            {"type": "x", "foo": 1},
            (
                "unknown field `grammar.foo`",
                "`grammar.type` must be 'json', 'json_object', 'json_schema' or 'regex'."
                " Given: 'x'",
                "`grammar.value` is missing",
            ),
        ),
        (
            "grammar",
            {"type": "json_schema", "value": {"name": 5, "foo": 1}},
            (
                "unknown field `grammar.value.foo`",
                "`grammar.value.schema` is missing",
                "`grammar.value.name` must be a string. Given: 5",
            ),
        ),
    ],
)
def test_all_that_is_wrong_inside_an_object_is_told(name, value, expected):
    assert problems({name: value}) == expected


@pytest.mark.parametrize("body", [[], None, 5, "text", [{"inputs": "one"}]])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidParameterError, match=r"^the request must be an object"):
        validate(body)


def test_the_prompt_is_required():
    with pytest.raises(InvalidParameterError, match=r"^`inputs` is missing$"):
        validate({"parameters": {}})


def test_lone_surrogates_are_refused_with_their_place():
    with pytest.raises(InvalidParameterError) as raised:
        validate({"inputs": "a\ud800", "parameters": {"stop": ["b\udfff"]}})
    assert raised.value.problems == (
        "`inputs` must be Unicode text; it has a lone surrogate at character 1. Given: 'a\\ud800'",
        "`stop[0]` must be Unicode text; it has a lone surrogate at character 1. Given: 'b\\udfff'",
    )
    json.dumps(raised.value.to_dict()).encode()


# ---- hostile values


def test_problems_stay_short_and_few_for_a_huge_request():
    huge = {f"x{number}": 0 for number in range(10_000)}
    found = problems({**huge, "top_p": "y" * 10**6, "stop": [["z"] * 10**5]})
    assert len(found) == 51
    assert found[-1] == "only the first 50 problems are listed"
    assert sum(map(len, found)) < 10_000


@pytest.mark.parametrize(
    ("name", "value"), [("stop", [1] * 10_000), ("watermark", dict.fromkeys(range(10_000)))]
)
def test_a_huge_value_has_few_problems_beside_those_of_others(name, value):
    found = problems({name: value, "top_p": 2})
    assert len(found) == 51
    assert found[-1] == "only the first 50 problems are listed"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**64, 10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["json", "regex", "json_schema", "\ud800", "{", "raw", "5"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "value", "schema", "name", "gamma", "key", "1"]) | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
one_wrong_parameter = st.builds(
    lambda name, value: {"inputs": "one", "parameters": {**EVERY_PARAMETER, name: value}},
    st.sampled_from(sorted(PARAMETERS)),
    json_values,
)
bodies = (
    json_values
    | one_wrong_parameter
    | st.fixed_dictionaries(
        {},
        optional={
            "inputs": st.text(max_size=5) | json_values,
            "stream": json_values,
            "parameters": st.dictionaries(st.sampled_from(sorted(PARAMETERS)), json_values)
            | json_values,
            "typo": json_values,
        },
    )
)


def accepted(body, **options):
    """The request, or None when it was refused in the one way there is."""
    try:
        return validate(body, **options)
    except InvalidParameterError as error:
        assert error.problems
        json.dumps(error.to_dict(), ensure_ascii=False).encode()
        return None


@given(body=bodies, ignore=st.booleans())
def test_any_json_value_is_accepted_or_refused_with_the_one_error(body, ignore):
    request = accepted(body, unknown_parameters="ignore" if ignore else "refuse")
    if request is not None:
        assert GenerateRequest.from_dict(request.to_dict()).to_dict() == request.to_dict()


@given(body=bodies, stream=st.booleans())
def test_any_json_value_is_accepted_or_refused_with_the_one_error_by_tgis_rules(body, stream):
    accepted(body, strict_tgi=True, stream=stream)


@pytest.mark.parametrize("strict_tgi", [False, True])
@pytest.mark.parametrize("name", ["inputs", *sorted(PARAMETERS)])
@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), json.loads("[" * 500 + "]" * 500), "x" * 10**6, ["y"] * 10**5],
    ids=["huge", "negative", "deep", "long", "many"],
)
def test_values_beyond_measure_are_accepted_or_refused_with_the_one_error(name, value, strict_tgi):
    body = {"inputs": "one", "parameters": {name: value}}
    accepted({"inputs": value} if name == "inputs" else body, strict_tgi=strict_tgi, stream=False)


@pytest.mark.parametrize("strict_tgi", [False, True])
def test_a_deep_schema_is_accepted_or_refused_with_the_one_error(strict_tgi):
    schema = {"properties": {}}
    for _ in range(5000):
        schema = {"properties": {"a": schema}}
    for value in (schema, '{"properties":' * 5000 + "{}" + "}" * 5000):
        body = {"inputs": "one", "parameters": {"grammar": {"type": "json", "value": value}}}
        accepted(body, strict_tgi=strict_tgi, stream=False)
