"""The first reading of flat rows: what is known is right, and its errors keep their bounds."""

import numpy as np
import pytest
from reference.cases import packed

from sampler.kernels._jit import kernel
from sampler.kernels.bands import Bands, part_row
from sampler.kernels.bulk import bound_of_head
from sampler.kernels.flat import _spread, weigh_flat
from sampler.kernels.row import NOT_FINITE, arrays_of, views_of, workspace
from sampler.kernels.weights import error_of_one, scale_of

TEMPERATURES = (0.3, 0.7, 1.0, 1.3, 5.0)
SIZES = (1_024, 1_100, 2_047, 4_096, 12_001, 40_000)


@kernel
def _read(logits, changed, touched, bitmask, masked, temperature, words):
    work = views_of(words)
    view = (logits, changed, touched, True, bitmask, masked)
    bound = bound_of_head(view, 4, work)
    known = weigh_flat(view, temperature, bound, work)
    return known, bound


@kernel
def _part(logits, edges, temperature, bound, by_kept, words):
    work = views_of(words)
    bits = work[0].view(np.uint16)
    view = (logits, work[6], bits, False, bits, False)
    bands = Bands(edges[0], edges[1], edges[2], edges[3], edges[4])
    scale = scale_of(bound, temperature)
    if by_kept:
        return part_row(view, bands, scale, work[3].view(np.float32), work)
    return part_row(view, bands, scale, None, work)


@kernel
def _unit_error(bound, temperature):
    return error_of_one(scale_of(bound, temperature))


def read(row, temperature, changed=None, allowed=None):
    """(known, bound, workspace) and the row as it is seen, of float32[V] `row`."""
    size = len(row)
    seen = row.copy()
    touched = np.zeros(-(-size // 32) * 32, bool)
    edited = np.zeros(size, np.float32)
    for token_id, logit in (changed or {}).items():
        touched[token_id], edited[token_id], seen[token_id] = True, logit, logit
    masked = allowed is not None
    if masked:
        seen[~allowed] = -np.inf
    bits = (packed(allowed) if masked else np.zeros(-(-size // 32), np.int32)).view(np.uint16)
    words = workspace(size)
    touched_bits = packed(touched).view(np.uint16)
    known, bound = _read(row, edited, touched_bits, bits, masked, temperature, words)
    return known, bound, words, seen


def rows():
    """Flat rows, some wide or narrow, with -inf, edits or masks, and a temperature for each."""
    for index in range(120):
        rng = np.random.default_rng([7, index])
        size = int(rng.choice(SIZES))
        row = rng.normal(rng.choice([-30.0, 0.0, 8.0]), rng.choice([0.01, 0.3, 1.0, 2.0]), size)
        if rng.random() < 0.2:
            row[rng.random(size) < 0.3] = -np.inf
        changed = {int(i): -1.0 for i in rng.integers(0, size, 30)} if rng.random() < 0.3 else None
        allowed = rng.random(size) < 0.7 if rng.random() < 0.3 else None
        yield row.astype(np.float32), float(rng.choice(TEMPERATURES)), changed, allowed


def test_the_centre_is_within_its_bound():
    furthest = 0.0
    for row, temperature, changed, allowed in rows():
        known, bound, _, seen = read(row, temperature, changed, allowed)
        z = seen[seen > -np.inf].astype(np.float64)
        exponents = (z - z.max()) / temperature
        weights = np.exp(exponents)
        centre = (weights * exponents).sum() / weights.sum()
        assert known.kept
        assert known.head == np.count_nonzero(z >= bound)
        assert known.bulk == pytest.approx(weights[z < bound].sum(), rel=5e-7)
        assert known.middle == pytest.approx(z.max() + centre * temperature, abs=1e-5)
        assert abs(known.centre - centre) <= known.error
        furthest = max(furthest, abs(known.centre - centre) / known.error)
    assert furthest < 0.5  # the bound is one of the worst case, which roundings do not conspire for


def test_the_centre_of_normal_logits_is_known_to_a_millionth():
    for seed in range(10):
        row = np.random.default_rng(seed).normal(size=40_000).astype(np.float32)
        assert read(row, 1.0)[0].error < 1e-6


def test_the_spread_is_not_underestimated():
    for row, temperature, _, _ in rows():
        z = row[row > -np.inf].astype(np.float64)
        exponents = (z - z.max()) / temperature
        weights = np.exp(exponents)
        for origin in (exponents.min(), (weights * exponents).sum() / weights.sum(), -0.1):
            terms = weights * (exponents - origin)
            spread = _spread(terms.sum(), origin, len(row))
            assert np.abs(terms).sum() <= spread * (1.0 + 1e-12)


def test_the_weights_of_the_bulk_are_kept():
    for row, temperature, changed, allowed in rows():
        _, bound, words, seen = read(row, temperature, changed, allowed)
        kept = arrays_of(words)[3].view(np.float32)
        whole = len(row) // 64 * 64
        c, reference = scale_of(bound, temperature)
        ids = np.flatnonzero((seen[:whole] < bound) & (seen[:whole] * c - reference > -90.0))
        exact = np.exp2(seen[ids].astype(np.float64) * c - reference)
        assert np.allclose(kept[ids], exact, rtol=_unit_error(bound, temperature), atol=0.0)


@pytest.mark.parametrize("size", [1_024, 1_103, 4_000])
def test_a_row_is_parted_alike_by_kept_weights_and_new_ones(size):
    row = np.random.default_rng(size).normal(size=size).astype(np.float32)
    for below in ((2.5, 2.0, 1.0, 0.5, 0.0), (2.5, 2.0, 0.1, 0.1, 0.1)):
        _, bound, words, _ = read(row, 0.7)
        edges = (bound - np.array(below)).astype(np.float32).astype(np.float64)
        by_kept = _part(row, edges, 0.7, bound, True, words)
        assert by_kept[0] > 0 < by_kept[1]
        assert by_kept == _part(row, edges, 0.7, bound, False, words)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_told(bad):
    row = np.random.default_rng(1).normal(size=4_000).astype(np.float32)
    row[[1_234, 3_999]] = bad
    assert read(row, 1.0)[0].head == NOT_FINITE
