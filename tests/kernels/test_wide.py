"""Rows of which every candidate counts: one float32 pass, and float64 where it cannot decide."""

from dataclasses import replace

import numpy as np
import pytest
from reference.cases import Case, random_case
from reference.comparison import SAME, compare, verdicts

from sampler import SamplingParameters, Watermark
from sampler.kernels._jit import kernel
from sampler.kernels.row import arrays_of, views_of, workspace
from sampler.kernels.weights import error_of, head_and_bulk, scale_of

ONE_BY_ONE = {"top_k": 0, "do_sample": True}
GREEDY = {
    "do_sample": False,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "typical_p": 1.0,
    "min_p": 0.0,
}


def wide_case(seed, index):
    """A random row without top_k that is wide enough for its weights to be summed in lanes."""
    rng = np.random.default_rng([seed, index])
    size = int(rng.integers(1_024, 12_000))
    case = random_case(seed, index, size)
    changes = dict(GREEDY if rng.random() < 0.25 else ONE_BY_ONE)
    if rng.random() < 0.7:
        changes["watermark"] = False
    if rng.random() < 0.5:
        changes["min_p"] = 0.0
    return replace(case, parameters=replace(case.parameters, **changes))


def check(seed, count):
    return verdicts(wide_case(seed, index) for index in range(count))


def test_wide_rows_are_the_reference_ones():
    assert check(seed=41, count=600)[SAME] >= 595


def watermarked_case(seed, index):
    """As `wide_case`, with a green list."""
    case, rng = wide_case(seed, index), np.random.default_rng([seed, index, 1])
    scheme = Watermark(delta=float(rng.choice([0.1, 2.0, 30.0])), gamma=0.3)
    changed = replace(case.parameters, watermark=scheme)
    return replace(case, parameters=changed, prompt=(*case.prompt, 5))


def test_watermarked_rows_are_the_reference_ones():
    assert verdicts(watermarked_case(5, index) for index in range(250))[SAME] >= 245


@pytest.mark.slow
def test_many_watermarked_rows_are_the_reference_ones():
    assert verdicts(watermarked_case(6, index) for index in range(5_000))[SAME] >= 4_950


def test_top_tokens_of_no_weight_are_reported():
    """A penalty of 1e-3 leaves all but four ids so far behind that their weights are 0."""
    assert compare(random_case(9, 17_135)) == SAME


def test_zeros_of_either_sign_are_equal_top_tokens():
    assert compare(wide_case(42, 17_104)) == SAME


@pytest.mark.slow
def test_many_wide_rows_are_the_reference_ones():
    assert check(seed=42, count=20_000)[SAME] >= 19_950


@pytest.mark.parametrize("size", [1_024, 1_025, 1_535, 1_536, 1_599, 1_600, 1_601])
@pytest.mark.parametrize("values", [{}, {"temperature": 0.7}, {"top_p": 0.5}, {"typical_p": 0.5}])
def test_the_last_ids_of_a_row_count(size, values):
    for token_id in range(size - 70, size, 7):
        logits = np.random.default_rng(size).normal(size=size).astype(np.float32)
        logits[token_id] = 5.0
        assert compare(Case(logits, SamplingParameters(seed=token_id, **values))) == SAME


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.nan])
@pytest.mark.parametrize("place", [0, 15, 16, 511, 512, 1_087, 1_089])
def test_what_is_not_finite_ends_the_row(bad, place):
    logits = np.random.default_rng(1).normal(size=1_090).astype(np.float32)
    logits[place] = bad
    for values in ({}, {"temperature": 0.7}):
        assert compare(Case(logits, SamplingParameters(seed=1, **values))) == SAME


@kernel
def _bulk(logits, bound, temperature, with_exponents, work):
    views = views_of(work)
    bits = views[0].view(np.uint16)
    view = (logits, views[6], bits, False, bits, False)
    scale = scale_of(bound, temperature)
    out = (views[0], views[1][0])
    return head_and_bulk(view, bound, scale, with_exponents, views[7], out)


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.1, 3.0])
@pytest.mark.parametrize("offset", [0.0, -300.0, 1_000.0])
def test_the_error_of_the_bulk_is_within_its_bound(temperature, offset):
    rng = np.random.default_rng(7)
    for spread in (0.0, 0.3, 3.0, 30.0):
        logits = (rng.normal(offset, spread, 20_001)).astype(np.float32)
        bound = np.sort(logits)[-100]
        work = workspace(len(logits))
        size, _ = _bulk(logits, float(bound), temperature, True, work)
        assert size == np.sum(logits >= bound)
        scale = scale_of(float(bound), temperature)
        blocks = -(-len(logits) // 512)
        total = float(arrays_of(work)[7][:blocks].sum())
        below = logits[logits < bound].astype(np.float64)
        if below.size == 0:
            continue
        exact = np.sum(2.0 ** (below * scale[0] - scale[1]))
        error = error_of(scale)
        assert error < 1e-6
        assert abs(total / exact - 1.0) <= error
