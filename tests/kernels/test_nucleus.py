"""Truncations that keep thousands of ids: cut by a band about the boundary."""

import numpy as np
import pytest
from reference.cases import Case, packed
from reference.comparison import SAME, compare, verdicts

from sampler import BatchSampler, SamplingParameters
from sampler.kernels._jit import kernel
from sampler.kernels.bands import Bands, part_again, part_row, parts_of, weigh_listed
from sampler.kernels.bulk import are_near, is_near
from sampler.kernels.row import views_of, workspace
from sampler.kernels.weights import scale_of

TEMPERATURES = (0.3, 0.7, 1.0, 1.3, 5.0)
SIZES = (1_024, 1_100, 2_047, 4_000, 4_096, 12_000, 32_000, 50_000)


def flat_case(seed, index):
    """A row whose nucleus is wide, mostly; some with ties, -inf, edits or masks."""
    rng = np.random.default_rng([seed, index])
    size = int(rng.choice(SIZES))
    logits = rng.normal(0.0, rng.choice([0.01, 0.3, 1.0, 1.5, 2.0, 3.0]), size)
    if rng.random() < 0.2:
        logits = np.round(logits * rng.choice([1.0, 4.0, 50.0])) / 4.0
    if rng.random() < 0.3:
        logits[rng.integers(0, size, 20)] += rng.exponential(5.0, 20)
    if rng.random() < 0.1:
        logits[rng.random(size) < 0.5] = -np.inf
    values = {"temperature": float(rng.choice(TEMPERATURES))}
    if rng.random() < 0.5:
        values["top_p"] = float(rng.choice([0.05, 0.3, 0.5, 0.9, 0.99, 0.9999]))
    else:
        values["typical_p"] = float(rng.choice([0.05, 0.2, 0.5, 0.9, 0.95, 0.999]))
    if rng.random() < 0.2:
        values["repetition_penalty"] = 1.2
    if rng.random() < 0.1:
        values["min_p"] = 0.01
    if rng.random() < 0.2:
        values["top_n_tokens"] = int(rng.choice([1, 5, 20]))
    if rng.random() < 0.1:
        values["logprobs"] = "raw"
    prompt = tuple(rng.integers(0, size, 50).tolist())
    bitmask = packed(rng.random(size) < 0.5) if rng.random() < 0.15 else None
    parameters = SamplingParameters(seed=index, **values)
    return Case(logits.astype(np.float32), parameters, prompt, bitmask=bitmask)


def check(seed, count):
    return verdicts(flat_case(seed, index) for index in range(count))


def test_wide_nuclei_are_the_reference_ones():
    assert check(seed=1, count=300)[SAME] >= 290


@pytest.mark.slow
def test_many_wide_nuclei_are_the_reference_ones():
    assert check(seed=2, count=20_000)[SAME] >= 19_000


@pytest.mark.parametrize("values", [{"top_p": 0.9}, {"typical_p": 0.95}])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_flat_rows_are_seldom_left_to_the_plain_path(values, temperature, monkeypatch):
    left = []
    failed = BatchSampler._failed
    monkeypatch.setattr(
        BatchSampler, "_failed", lambda self, *given: left.append(1) or failed(self, *given)
    )
    sampler = BatchSampler(40_000, 1)
    sampler.add(SamplingParameters(seed=1, temperature=temperature, **values))
    for seed in range(40):
        sampler.sample(np.random.default_rng(seed).normal(size=(1, 40_000)).astype(np.float32))
    assert len(left) <= 2


def test_rows_of_equal_logits_are_cut_by_id():
    for size in (1_024, 5_000, 40_000):
        row = np.full(size, 1.5, np.float32)
        for values in ({"top_p": 0.25013}, {"typical_p": 0.25013}):
            assert compare(Case(row, SamplingParameters(seed=7, **values))) == SAME


def test_the_error_of_a_logprob_is_held_against_its_own_rounding():
    assert is_near(0.9e-9, 0.0)
    assert not is_near(2e-9, 0.0)
    for logprob in (-1e-3, -0.5, -1.0, -7.9, -8.0, -12.0):
        half = 0.5 * float(np.spacing(np.float32(-logprob)))
        assert is_near(0.99 * half, logprob)
        assert not is_near(1.01 * half + 1e-9, logprob)


def test_the_highest_logprobs_are_held_against_their_own_rounding():
    """The token is far down, where float32 sums are good enough; the highest is near 0."""
    assert compare(flat_case(2, 1_801)) == SAME
    assert are_near(5e-9, -8.0, 0.5, 0)
    assert not are_near(5e-9, -8.0, 1e-3, 5)


@kernel
def _part_twice(logits, bands, temperature, work):
    views = views_of(work)
    bits = views[0].view(np.uint16)
    view = (logits, views[6], bits, False, bits, False)
    scale = scale_of(bands.bound, temperature)
    size, outside = part_row(view, bands, scale, None, views)
    top, listed = weigh_listed(size, scale, views)
    parts = parts_of(view, top, scale, (outside, listed), (0.0, 0.0), views)
    return parts, part_again(view, bands, temperature, (size, top, parts.unit), views)


@pytest.mark.parametrize("size", [1_024, 1_025, 1_039, 1_103])
@pytest.mark.parametrize("edges", [(-1.0, -0.5, 0.5, 1.0, 2.0), (-1.0, -0.5, 2.0, 2.0, 2.0)])
def test_a_row_is_parted_alike_in_float32_and_float64(size, edges):
    logits = np.random.default_rng(size).normal(size=size).astype(np.float32)
    logits[-20:] = np.linspace(-3.0, 3.0, 20)  # one of each part in what is no whole register
    outer_low, low, high, outer_high, bound = edges
    rough, precise = _part_twice(logits, Bands(*edges), 0.7, workspace(size))
    z = logits.astype(np.float64)
    weights = np.exp((z - z.max()) / 0.7)
    listed = (z >= bound) | ((outer_low <= z) & (z < low)) | ((high <= z) & (z < outer_high))
    inside = (low <= z) & (z < high) & ~listed
    centre = np.sum(weights * (z - z.max()) / 0.7) / weights.sum()
    for parts, error in ((rough, 1e-6), (precise, 1e-12)):
        assert parts.inside == pytest.approx(weights[inside].sum(), rel=error)
        assert parts.outside == pytest.approx(weights[~inside & ~listed].sum(), rel=error)
        assert parts.listed == pytest.approx(weights[listed].sum(), rel=error)
    assert precise.centre == pytest.approx(centre, rel=1e-12)
