"""Reading the logits once: no token of the first k is lost, and what cannot be told is said."""

from dataclasses import replace

import numpy as np
import pytest
from reference.cases import Case, packed, random_case
from reference.comparison import SAME, compare, verdicts

from sampler import SamplingParameters, Watermark
from sampler.kernels.row import BLOCK
from sampler.kernels.scan import bound_of, lane_maxima


def wide_case(seed, index):
    """A random row that is wide enough for its top_k to be looked for among lane maxima."""
    rng = np.random.default_rng([seed, index])
    size = int(rng.integers(600, 9_000))
    case = random_case(seed, index, size)
    changes = {"top_k": int(rng.integers(1, size // 64 + 1)), "do_sample": True}
    if case.parameters.temperature == 0.0:
        changes["temperature"] = 1.0
    if rng.random() < 0.2:
        changes["watermark"] = Watermark(delta=float(rng.uniform(0, 6)), key=int(rng.integers(99)))
    return replace(case, parameters=replace(case.parameters, **changes))


def check(seed, count):
    return verdicts(wide_case(seed, index) for index in range(count))


def test_wide_rows_are_the_reference_ones():
    assert check(seed=31, count=600)[SAME] >= 595


@pytest.mark.slow
def test_many_wide_rows_are_the_reference_ones():
    assert check(seed=32, count=20_000)[SAME] >= 19_950


@pytest.mark.parametrize("size", [1_024, 1_025, 1_535, 1_536, 1_543])
def test_the_last_ids_of_a_row_are_seen(size):
    for token_id in range(size - 20, size):
        logits = np.zeros(size, np.float32)
        logits[token_id] = 1.0
        parameters = SamplingParameters(top_k=1, seed=1)
        assert compare(Case(logits, parameters)) == SAME
        allowed = np.arange(size) != token_id
        assert compare(Case(logits, parameters, bitmask=packed(allowed))) == SAME


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.nan])
@pytest.mark.parametrize("place", [0, 15, 16, 511, 512, 1_029])
def test_what_is_not_finite_ends_the_row_only_where_it_is_allowed(bad, place):
    logits = np.random.default_rng(1).normal(size=1_030).astype(np.float32)
    logits[place] = bad
    parameters = SamplingParameters(top_k=3, seed=1)
    assert compare(Case(logits, parameters)) == SAME
    allowed = np.arange(1_030) != place
    assert compare(Case(logits, parameters, bitmask=packed(allowed))) == SAME


def test_penalised_tokens_leave_the_first_k_and_others_enter():
    logits = np.linspace(0.0, 20.0, 2_000, dtype=np.float32)
    prompt = tuple(range(1_990, 2_000))
    for penalty in (0.5, 1.5, 40.0):
        parameters = SamplingParameters(top_k=8, repetition_penalty=penalty, seed=3)
        assert compare(Case(logits, parameters, prompt=prompt)) == SAME


def test_biases_lift_tokens_into_the_first_k_and_out_of_them():
    logits = np.linspace(0.0, 20.0, 2_000, dtype=np.float32)
    bias = {5: 100.0, 1_999: -100.0, 1_998: -np.inf, 700: 19.9}
    parameters = SamplingParameters(top_k=4, logit_bias=bias, seed=3)
    assert compare(Case(logits, parameters)) == SAME


@pytest.mark.parametrize("k", [1, 2, 7, 50, 64])
def test_at_least_k_maxima_reach_the_bound_and_hardly_more(k):
    rng = np.random.default_rng(k)
    for scale in (1e-3, 1.0, 1e6, 1e30):
        logits = (rng.normal(size=40 * BLOCK) * scale).astype(np.float32)
        maxima = np.empty(40 * 16, np.float32)
        no_mask = (np.zeros(1, np.uint16), False)
        size, bad = lane_maxima(logits, no_mask, len(logits), maxima)
        assert (size, bad) == (len(maxima), False)
        assert np.array_equal(maxima, logits.reshape(40, 32, 16).max(axis=1).ravel())
        reached = int(np.sum(maxima >= bound_of(maxima, size, k)))
        assert k <= reached <= k + k // 8 + 4


def test_there_is_no_bound_for_more_than_there_are_or_for_nothing_but_minus_infinity():
    maxima = np.full(32, -np.inf, np.float32)
    assert bound_of(maxima, 32, 33) == -np.inf
    assert bound_of(maxima, 32, 1) == -np.inf
    maxima[3] = 5.0
    assert bound_of(maxima, 32, 1) <= 5.0
    assert bound_of(maxima, 32, 2) == -np.inf


def test_tiny_temperatures_leave_one_candidate():
    """What is deeper than any float64 weighs nothing, and no sum of exponents counts it."""
    rng = np.random.default_rng(4)
    for temperature in (5e-324, 1e-308, 1e-300, 1e-30):
        for values in ({"typical_p": 0.5, "top_k": 50}, {"typical_p": 0.9}, {"min_p": 1e-303}):
            for size in (2, 40, 2_000):
                logits = (rng.normal(size=size) * 3).astype(np.float32)
                parameters = SamplingParameters(seed=1, temperature=temperature, **values)
                assert compare(Case(logits, parameters)) == SAME
