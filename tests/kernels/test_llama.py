import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.kernels.lanes import LANES
from sampler.kernels.llama import attend, cosine_and_sine, gate, remember, rms_norm, rotations

angles = st.floats(0, 2.0**20)


@given(angles)
def test_cosine_and_sine_are_those_of_the_library(angle):
    cosine, sine = cosine_and_sine(angle)
    assert cosine == pytest.approx(math.cos(angle), abs=1e-15)
    assert sine == pytest.approx(math.sin(angle), abs=1e-15)


def test_cosine_and_sine_at_the_ends_of_the_quarters():
    for quarter in range(9):
        for nearby in (-1e-9, 0.0, 1e-9):
            angle = max(0.0, (quarter + 0.5) * math.pi / 2 + nearby)
            expected = math.cos(angle), math.sin(angle)
            assert cosine_and_sine(angle) == pytest.approx(expected, abs=1e-15)
    assert cosine_and_sine(0.0) == (1.0, 0.0)


def test_rotations_are_cosines_and_sines_of_positions_times_frequencies():
    positions, frequencies = np.array([0, 3, 8191]), np.array([1.0, 0.25, 1e-5])
    out = np.empty((3, 3, 2), np.float32)
    rotations(positions, frequencies, out)
    angle = np.outer(positions, frequencies)
    np.testing.assert_allclose(out[..., 0], np.cos(angle), rtol=1e-6)
    np.testing.assert_allclose(out[..., 1], np.sin(angle), rtol=1e-6)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40))
def test_the_gate_is_silu_times_the_other_half(values):
    x = np.array([values, values], np.float32)
    by = np.array([[1] * len(values), [-3] * len(values)], np.float32)
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = wide / (1 + np.exp(-wide)) * by
    gate(x, by)
    np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-30)


def test_a_norm_is_the_root_of_the_mean_square():
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 7 * LANES)).astype(np.float32)
    weight = random.normal(size=7 * LANES).astype(np.float32)
    out = np.empty_like(x)
    rms_norm(x, weight, 0.01, out)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 0.01) * weight
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_a_norm_that_overflows_is_nan_and_not_zero():
    x = np.full((2, LANES), 1e25, np.float32)
    x[1] = 1
    out = np.empty_like(x)
    rms_norm(x, np.ones(LANES, np.float32), 1e-5, out)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


def attended(random, count, heads, kv_heads, size):
    """One sequence through the cache, its blocks in any order, and what is expected."""
    tokens = 4
    cache = np.full((9, 2, 2, kv_heads, tokens, size), np.nan, np.float32)
    table = random.permutation(9)[None]
    queries = random.normal(size=(count, heads * size)).astype(np.float32)
    keys = random.normal(size=(count, kv_heads * size)).astype(np.float32)
    values = random.normal(size=(count, kv_heads * size)).astype(np.float32)
    rows = np.arange(count), np.zeros(count, np.int64), table
    out = np.empty_like(queries)
    remember(rows, 1, keys, values, cache)
    attend(rows, 1, queries, cache, np.empty(count, np.float32), out)
    assert np.isnan(cache[:, 0]).all()
    expected = np.empty((count, heads, size))
    for h in range(heads):
        part = slice(h * kv_heads // heads * size, (h * kv_heads // heads + 1) * size)
        scores = queries.astype(float)[:, h * size : (h + 1) * size] @ keys[:, part].T
        weights = np.exp(scores / math.sqrt(size)) * np.tri(count)
        expected[:, h] = weights / weights.sum(axis=1, keepdims=True) @ values[:, part]
    return out, expected.reshape(out.shape)


@given(st.integers(1, 36), st.sampled_from([(1, 1), (4, 2), (3, 1)]), st.sampled_from([32, 96]))
def test_attention_is_the_average_of_values_by_the_softmax_of_scores(count, heads, size):
    out, expected = attended(np.random.default_rng(count), count, *heads, size)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
