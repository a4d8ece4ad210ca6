"""Sums, comparisons and cuts of lists of float64, against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.kernels.listed import highest_of, list_from, mass_from, sum_of, sum_of_products
from sampler.kernels.selection import (
    DIGITS,
    FEW,
    keep_prefix,
    last_kept,
    last_of,
    order_keys,
    value_of_few,
)

SIZES = (1, 15, 16, 17, 100, 128, 129, 700)


@st.composite
def ranked(draw):
    """Ranks with ties and masses, behind which other values follow that nobody may read."""
    size, seed = draw(st.sampled_from(SIZES)), draw(st.integers(0, 2**32))
    roll = np.random.default_rng(seed)
    ranks = roll.normal(size=size + 20).round(draw(st.sampled_from([0, 1, 9]))) + 0.0
    masses = np.exp(3 * roll.normal(size=size + 20))
    ranks[size:], masses[size:] = 1e9, np.nan
    return ranks, masses, size


@settings(max_examples=60, deadline=None)
@given(ranked(), st.floats(-2, 2))
def test_lists_are_summed_and_compared_as_numpy_does(given_, low):
    ranks, masses, size = given_
    reached = np.flatnonzero(ranks[:size] >= low)
    assert sum_of(masses, size) == pytest.approx(math.fsum(masses[:size]), rel=1e-14)
    mean = sum_of_products(masses, ranks, size)
    assert mean == pytest.approx(np.dot(masses[:size], ranks[:size]), rel=1e-12, abs=1e-9)
    assert highest_of(ranks, size) == ranks[:size].max()
    mass, count = mass_from(ranks, masses, size, low)
    assert mass == pytest.approx(math.fsum(masses[reached]), rel=1e-14)
    assert count == len(reached)
    indices = np.full(size, -1, np.int32)
    assert list_from(ranks, size, low, indices) == len(reached)
    assert indices[: len(reached)].tolist() == reached.tolist()


def test_a_value_of_minus_infinity_counts_for_nothing_without_weight():
    values, weights = np.full(17, -np.inf), np.zeros(17)
    values[[3, 16]], weights[[3, 16]] = (-1.0, -2.0), (2.0, 3.0)
    assert sum_of_products(weights, values, 17) == -8.0


@settings(max_examples=60, deadline=None)
@given(ranked(), st.floats(0.01, 0.99))
def test_a_prefix_of_few_ends_where_that_of_all_does(given_, share):
    ranks, masses, size = given_
    limit = share * masses[:size].sum()
    work = np.zeros(size, np.int32), np.zeros((3, DIGITS))
    keys = np.zeros(size, np.int64)
    order_keys(ranks, size, keys)
    last = last_kept(keys, masses, size, limit, work)

    order = np.lexsort((np.arange(size), -ranks[:size]))
    before = np.cumsum(masses[order]) - masses[order]
    kept = order[before < limit * (1 - 1e-12)]
    assert last == kept[-1]

    span = (ranks[:size].min(), ranks[:size].max())
    low = value_of_few(ranks, masses, size, span, limit * (1 + 1e-9))
    listed = list_from(ranks, size, low, work[0])
    if low == -np.inf:
        assert listed == size
    assert last_of(keys, masses, listed, limit, work) == last

    ids, columns = np.arange(size, dtype=np.int32) + 7, np.stack([ranks[:size], masses[:size]])
    count = keep_prefix(columns[0], last, size, columns, (ids, work[0]))
    assert ids[:count].tolist() == (np.sort(kept) + 7).tolist()
    assert columns[1, :count].tolist() == masses[np.sort(kept)].tolist()


def test_few_are_found_where_few_will_do():
    ranks, masses = np.linspace(-8, 0, 1000), np.exp(np.linspace(-30, 0, 1000))
    low = value_of_few(ranks, masses, 1000, (-8.0, 0.0), 0.9 * masses.sum())
    assert low > -np.inf
    assert list_from(ranks, 1000, low, np.zeros(1000, np.int32)) <= FEW
    assert value_of_few(ranks, masses, 1000, (-8.0, 0.0), 1.1 * masses.sum()) == -np.inf
