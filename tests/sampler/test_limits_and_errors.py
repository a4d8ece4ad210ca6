"""Limits are positive; errors have the wire form that TGI's clients map."""

import copy
import json
import math
import pickle
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler import errors
from sampler.errors import GrammarError, InvalidParameterError, SamplerError, shown
from sampler.limits import Limits

NAMES = [field.name for field in fields(Limits)]
EXAMPLES = [
    (SamplerError("x"), "Request failed during generation: x", "generation", 424),
    (InvalidParameterError("x"), "Input validation error: x", "validation", 400),
    (InvalidParameterError(["x", "y"]), "Input validation error: x; y", "validation", 400),
    (GrammarError("x"), "Input validation error: grammar is not valid: x", "validation", 400),
    (
        errors.UnsupportedSchemaError("no such thing", "contains", "/a/b"),
        "Input validation error: grammar is not valid: `contains` at '/a/b': no such thing",
        "validation",
        400,
    ),
    (
        errors.UnsupportedSchemaError("no such thing", "not"),
        "Input validation error: grammar is not valid: `not` at the root: no such thing",
        "validation",
        400,
    ),
    (
        errors.GrammarLimitError("states", 12, 10),
        "Input validation error: grammar is not valid: states must be <= 10. Given: 12",
        "validation",
        400,
    ),
    (errors.OverloadedError(), "Model is overloaded", "overloaded", 429),
    (errors.LogitsError("x"), "Request failed during generation: x", "generation", 424),
    (errors.ModelCallbackError("x"), "Request failed during generation: x", "generation", 424),
    (
        errors.IncompleteGenerationError(),
        "Incomplete generation",
        "incomplete_generation",
        500,
    ),
    (
        errors.IncompleteStreamError(),
        "Incomplete generation stream",
        "incomplete_generation_stream",
        500,
    ),
]


def subclasses(kind):
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, None, "5", True])
def test_a_limit_that_is_not_positive_is_refused(name, value):
    with pytest.raises(InvalidParameterError, match=f"^`{name}` must be a finite "):
        Limits(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_only_seconds_may_have_a_fraction(name):
    if name.endswith("_seconds"):
        assert getattr(Limits(**{name: 0.5}), name) == 0.5
    else:
        with pytest.raises(InvalidParameterError, match=f"^`{name}` must be a finite integer > 0"):
            Limits(**{name: 1.5})


def test_all_wrong_limits_are_told_at_once():
    with pytest.raises(InvalidParameterError) as raised:
        Limits(max_best_of=0, max_input_tokens=-1)
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize(("error", "text", "error_type", "status"), EXAMPLES)
def test_an_error_has_the_wire_form_of_tgi(error, text, error_type, status):
    assert error.to_dict() == {"error": text, "error_type": error_type}
    assert error.http_status == status


@pytest.mark.parametrize("error", [error for error, *_ in EXAMPLES])
def test_an_error_can_be_pickled_and_copied(error):
    error.add_note("a note")
    pickled = [pickle.loads(pickle.dumps(error, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)]
    for again in (*pickled, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_every_error_of_the_module_is_shown_above():
    own = {kind for kind in subclasses(SamplerError) if kind.__module__ == errors.__name__}
    assert {type(error) for error, *_ in EXAMPLES} == own


def test_an_invalid_parameter_is_a_value_error():
    assert isinstance(InvalidParameterError("x"), ValueError)
    assert InvalidParameterError("x").problems == ("x",)


def test_a_limit_that_was_passed_tells_both_numbers():
    error = errors.GrammarLimitError("states", 12, 10)
    assert (error.given, error.limit) == (12, 10)
    unsupported = errors.UnsupportedSchemaError("no", "contains")
    assert (unsupported.keyword, unsupported.json_pointer) == ("contains", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(10, "10"), (0.5, "0.5"), ("é\n", "'é\\n'"), (None, "None"), ([1, {"a": 2}], "[1, {'a': 2}]")],
)
def test_an_ordinary_value_is_shown_as_it_is(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, ["x" * 10**6] * 1000, 10**5000, {"a": [[[[5]]]]}],
    ids=["long", "wide", "huge", "deep"],
)
def test_what_is_shown_stays_short(value):
    assert len(shown(value)) <= 1000


def test_a_value_that_cannot_be_shown_is_still_named():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert "Broken" in shown(Broken())


@given(st.text(st.characters()))
def test_what_is_shown_can_be_sent(text):
    assert json.dumps(shown(text), ensure_ascii=False).encode()
