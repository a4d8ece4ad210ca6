"""Sampling parameters: neutral defaults, ranges at their ends, every problem told."""

import copy
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler import BatchSampler
from sampler.errors import InvalidParameterError
from sampler.parameters import (
    MAX_BIAS,
    MAX_SEED,
    RANGES,
    SamplingParameters,
    Watermark,
    range_problem,
)

TINY = 5e-324
ENDS = {  # name: legal values at the ends of the range, the nearest illegal ones
    "temperature": ([0, 0.0, TINY, 1e308], [-TINY, -1]),
    "repetition_penalty": (
        [1e-29, 1e29],
        [0, -0.0, -1.0, math.nextafter(1e-29, 0.0), math.nextafter(1e29, math.inf)],
    ),
    "frequency_penalty": ([-2, 2.0], [-2.0000001, 2.0000001]),
    "presence_penalty": ([-2, 2.0], [-2.0000001, 2.0000001]),
    "top_p": ([TINY, 1, 1.0], [0, 0.0, math.nextafter(1.0, 2.0), 42.5]),
    "typical_p": ([TINY, 1, 1.0], [0, 0.0, math.nextafter(1.0, 2.0), 42.5]),
    "min_p": ([0, 0.0, 1, 1.0], [-TINY, math.nextafter(1.0, 2.0)]),
    "top_k": ([0, 1, 2**40], [-1]),
    "seed": ([0, MAX_SEED], [-1, MAX_SEED + 1]),
    "top_n_tokens": ([0, 100], [-1]),
}


def problems(**values):
    with pytest.raises(InvalidParameterError) as raised:
        SamplingParameters(**values)
    return raised.value.problems


def test_every_range_is_tried_at_its_ends():
    assert ENDS.keys() == RANGES.keys()


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in ENDS for v in ENDS[n][0]])
def test_takes_the_ends_of_each_range(name, value):
    assert getattr(SamplingParameters(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in ENDS for v in ENDS[n][1]])
def test_refuses_what_is_just_outside_and_says_what_is_legal(name, value):
    assert problems(**{name: value}) == (f"`{name}` must be {RANGES[name].text}. Given: {value!r}",)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", ["1", True, [1], math.nan, math.inf, -math.inf, b"1", 1j])
def test_refuses_what_is_no_finite_number_of_the_kind(name, value):
    (problem,) = problems(**{name: value})
    noun = "an integer" if RANGES[name].kind is int else "a finite number"
    assert problem == f"`{name}` must be {noun}, {RANGES[name].text}. Given: {value!r}"


@pytest.mark.parametrize("name", [name for name in RANGES if RANGES[name].kind is int])
def test_an_integer_is_no_float(name):
    assert len(problems(**{name: 1.0})) == 1


def test_an_integer_too_large_for_a_float_is_not_finite():
    assert problems(temperature=10**400) == (
        "`temperature` must be a finite number, >= 0.0. Given: an integer of 1329 bits",
    )


def test_all_problems_are_told_at_once():
    found = problems(
        temperature=-1, top_p=2, seed="x", do_sample=1, watermark=None, logprobs="x", logit_bias=5
    )
    assert [text.split("`")[1] for text in found] == [
        "temperature",
        "top_p",
        "seed",
        "do_sample",
        "watermark",
        "logprobs",
        "logit_bias",
    ]


@given(st.from_type(object) | st.recursive(st.none() | st.text(), st.lists))
def test_a_range_problem_is_a_text_or_none_for_any_value(value):
    for name in RANGES:
        problem = range_problem(name, value)
        assert problem is None or problem.startswith(f"`{name}` must be ")


@pytest.mark.parametrize(
    ("values", "greedy"),
    [
        ({}, True),
        ({"do_sample": True}, False),
        ({"temperature": 0.5}, False),
        ({"top_k": 1}, False),
        ({"top_p": 0.5}, False),
        ({"typical_p": 0.5}, False),
        ({"min_p": 0.5}, False),
        ({"temperature": 0, "do_sample": True, "top_k": 5}, True),
        ({"temperature": 1, "top_p": 1, "typical_p": 1}, True),
        ({"seed": 5, "repetition_penalty": 2.0, "presence_penalty": 1, "watermark": True}, True),
        ({"logit_bias": {1: 2.0}, "top_n_tokens": 5, "frequency_penalty": 1}, True),
    ],
)
def test_sampling_is_switched_on_only_by_what_shapes_the_distribution(values, greedy):
    assert SamplingParameters(**values).is_greedy is greedy


def test_a_bias_takes_finite_numbers_and_minus_infinity():
    bias = {0: 1, 5: -2.5, 7: -math.inf, 8: 3.4028235e38, 9: -3.4028235e38}
    assert SamplingParameters(logit_bias=bias).logit_bias == bias


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, 10**400])
def test_a_bias_that_is_no_number_is_refused(value):
    (problem,) = problems(logit_bias={3: value})
    assert problem.startswith(
        "`logit_bias` of id 3 must be a number from -3.4028235e+38 to 3.4028235e+38, or -inf."
        " Given: "
    )


@pytest.mark.parametrize("value", [1e39, -1e39, 3.4028236e38, 10**39])
def test_a_bias_that_float32_does_not_hold_is_refused(value):
    (problem,) = problems(logit_bias={3: value})
    assert problem.endswith(f"to 3.4028235e+38, or -inf. Given: {value!r}")


@pytest.mark.parametrize("values", [
    {"logit_bias": {0: MAX_BIAS, 1: -MAX_BIAS, 2: MAX_BIAS}},
    {"repetition_penalty": 1e-29},
    {"repetition_penalty": 1e29},
])  # fmt: skip
def test_no_legal_edit_takes_an_ordinary_logit_out_of_float32(values):
    parameters = SamplingParameters(top_n_tokens=3, **values)
    batch = BatchSampler(vocab_size=3, max_batch_size=1)
    batch.add(parameters, prompt_token_ids=[0, 1, 2])
    sampled = batch.sample(np.array([[1e9, -1e9, 1.0]], dtype=np.float32))
    assert sampled.errors == {}
    assert sorted(sampled.top_token_ids[0]) == [0, 1, 2]


@pytest.mark.parametrize("token_id", [-1, "1", 1.0, True, None])
def test_a_bias_of_no_token_is_refused(token_id):
    assert problems(logit_bias={token_id: 1.0}) == (
        f"`logit_bias` ids must be integers >= 0. Given: {token_id!r}",
    )


def test_a_bias_stays_when_the_mapping_it_came_from_changes():
    bias = {1: 2.0}
    parameters = SamplingParameters(logit_bias=bias)
    bias[1] = math.nan
    assert parameters.logit_bias == {1: 2.0}


def test_a_watermark_can_be_switched_or_described():
    described = Watermark(gamma=0.25)
    assert SamplingParameters().watermark_scheme is None
    assert SamplingParameters(watermark=True).watermark_scheme == Watermark()
    assert SamplingParameters(watermark=described).watermark_scheme is described


@pytest.mark.parametrize(
    ("name", "legal", "illegal"),
    [
        ("gamma", [TINY, 0.999], [0, 1, 1.5, math.nan, "0.5"]),
        ("delta", [0, 100.0], [-0.1, 100.1, math.inf]),
        ("key", [0, MAX_SEED], [-1, MAX_SEED + 1, 1.0]),
        ("context_width", [1, 16], [0, 17, True]),
        ("scheme", ["green_list"], ["red_list", None]),
    ],
)
def test_a_watermark_has_ranges(name, legal, illegal):
    for value in legal:
        assert getattr(Watermark(**{name: value}), name) == value
    for value in illegal:
        with pytest.raises(InvalidParameterError, match=rf"^`watermark\.{name}` must be "):
            Watermark(**{name: value})


def test_parameters_cannot_be_changed():
    with pytest.raises(AttributeError):
        SamplingParameters().top_k = 5


# ---- what is stored


BIASED = SamplingParameters(logit_bias={7: -math.inf, 1: 2.5}, top_k=3)


def test_a_bias_cannot_be_changed():
    with pytest.raises(TypeError):
        BIASED.logit_bias[7] = math.nan
    with pytest.raises(AttributeError):
        BIASED.logit_bias.clear()


def test_parameters_with_a_bias_are_hashed_and_compared_by_value():
    same = SamplingParameters(logit_bias={1: 2.5, 7: -math.inf}, top_k=3)
    assert same == BIASED
    assert {same, BIASED} == {BIASED}
    assert replace(BIASED, logit_bias={1: 2.5}) not in {BIASED}
    assert repr(same.logit_bias) == "{1: 2.5, 7: -inf}"


@pytest.mark.parametrize(
    "again", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy, replace]
)
def test_parameters_with_a_bias_can_be_copied(again):
    assert again(BIASED) == BIASED
    assert type(again(BIASED).logit_bias) is type(BIASED.logit_bias)


@pytest.mark.parametrize("name", RANGES)
def test_numbers_of_numpy_are_stored_as_numbers_of_python(name):
    kinds = [np.int64, np.uint8] if RANGES[name].kind is int else [np.float32, np.float64, np.int8]
    for kind in kinds:
        value = getattr(SamplingParameters(**{name: kind(1)}), name)
        assert (type(value), value) == (RANGES[name].kind, 1)


def test_numbers_of_numpy_are_stored_as_numbers_of_python_in_a_bias_and_a_watermark():
    bias = {np.int64(3): np.float32(0.5), 4: np.int8(1), 5: np.float32(-math.inf)}
    stored = SamplingParameters(logit_bias=bias).logit_bias
    assert stored == {3: 0.5, 4: 1.0, 5: -math.inf}
    assert {type(token_id) for token_id in stored} == {int}
    assert {type(value) for value in stored.values()} == {float}
    watermark = Watermark(gamma=np.float32(0.5), delta=np.int64(1), key=np.uint64(MAX_SEED))
    assert watermark == Watermark(gamma=0.5, delta=1.0, key=MAX_SEED)
    assert [type(getattr(watermark, n)) for n in ("gamma", "delta", "key")] == [float, float, int]


@pytest.mark.parametrize("value", [np.bool_(True), np.float32("nan"), np.array([1]), np.str_("1")])
@pytest.mark.parametrize("name", ["temperature", "top_k"])
def test_what_is_no_number_of_numpy_is_refused(name, value):
    assert len(problems(**{name: value})) == 1


def test_a_number_of_numpy_is_judged_as_the_number_that_is_stored():
    above = np.float32(1e29)  # rounded up
    assert len(problems(repetition_penalty=above)) == 1
