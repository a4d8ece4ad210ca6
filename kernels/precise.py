"""Weights of a whole row in float64, for what float32 cannot decide.

The same sums as `weights`, three times as slow and with an error near 1e-14. The loops are plain,
so that the compiler may take eight elements at a time: no branches, no table, and an exponential
that needs neither. Its multiplications may be fused with additions; the last bits of these sums
may differ between processors that can do so and those that cannot.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, contracted, inlined, kernel
from sampler.kernels.lane_bits import not_below, where
from sampler.kernels.lanes import (
    LANES,
    splat,
    store,
    wide_add,
    wide_fold,
    wide_load,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative
from sampler.kernels.row import BLOCK
from sampler.kernels.view import (
    NOTHING,
    edited_lanes,
    edited_logit,
    is_plain,
    mask_of,
    plain_view,
    width_of,
)

LOG2_E = 1.4426950408889634
ERROR = 1e-13  # of the sums, relative
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the lowest bits
_DEEPEST = -1000.0  # powers of two; what lies deeper counts as that little
_TAYLOR = tuple(np.log(2.0) ** i / float(np.prod(np.arange(1.0, i + 1))) for i in range(13))
(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12) = _TAYLOR


@contracted
def powers_of_two(z: Array, bound: float, c: float, weights: Array, exponents: Array) -> None:
    """2**exponents, with exponents = (z - bound) c <= 0, or -1000 where that is deeper; float64[n].

    With k the nearest integer: a Taylor polynomial of 2**r on [-1/2, 1/2], remainder 2e-16, then an
    addition of k to the exponent.
    """
    steps = weights.view(np.int64)
    for i in range(len(z)):
        x = (np.float64(z[i]) - bound) * c
        exponents[i] = x if x > _DEEPEST else _DEEPEST
    for i in range(len(z)):
        x = exponents[i]
        r = x - ((x + _ROUND) - _ROUND)
        p = _12 * r + _11
        p = p * r + _10
        p = p * r + _9
        p = p * r + _8
        p = p * r + _7
        p = p * r + _6
        p = p * r + _5
        p = p * r + _4
        p = p * r + _3
        p = p * r + _2
        p = p * r + _1
        weights[i] = p * r + _0
    for i in range(len(z)):
        k = np.int64(exponents[i] + _ROUND - _ROUND)
        steps[i] += k << 52


@inlined
def lane_sum(values: Array, size: int) -> float:
    """The sum of the first `size` of a float64 array, in sixteen lanes."""
    totals = wide_zeros()
    whole = size - size % LANES
    for i in range(0, whole, LANES):
        totals = wide_add(totals, wide_load(values, i))
    result = float(wide_fold(totals))
    for i in range(whole, size):
        result += values[i]
    return result


@inlined
def _bulk_logits(view: Arrays, start: int, stop: int, bound: float, z: Array) -> int:
    """The logits of a block below `bound`, -inf in place of the others; how many are written."""
    limit, nothing = splat(np.float32(bound)), splat(NOTHING)
    whole = stop - stop % LANES
    for i in range(start, whole, LANES):
        logits = edited_lanes(view, i)
        store(z, i - start, where(not_below(logits, limit), nothing, logits))
    if whole == stop:
        return stop - start
    store(z, whole - start, nothing)
    for i in range(whole, stop):
        logit = edited_logit(view, i)
        z[i - start] = logit if logit < bound else NOTHING
    return whole + LANES - start


@kernel
def precise_bulk(
    view: Arrays, bound: float, temperature: float, with_exponents: bool, work: Arrays
) -> float:
    """Writes the bulk of each block, relative to `bound`; the sum of weight * exponent, base e.

    All logits are below +inf and none is NaN. The bulk is what lies below `bound`.
    """
    z, bins, sums = work[2].view(np.float32)[:BLOCK], work[4], work[7]
    weights, exponents = bins[0, :BLOCK], bins[1, :BLOCK]
    c = LOG2_E / temperature
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    products = 0.0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        if is_plain(view, start, stop):
            size = _bulk_logits(plain, start, stop, bound, z)
        else:
            size = _bulk_logits(view, start, stop, bound, z)
        powers_of_two(z[:size], bound, c, weights[:size], exponents[:size])
        sums[start // BLOCK] = lane_sum(weights, size)
        if with_exponents:
            for i in range(size):
                weights[i] *= exponents[i]
            products += lane_sum(weights, size)
    return products * 0.6931471805599453


@kernel
def precise_sixteen(
    view: Arrays, start: int, low: float, bound: float, temperature: float
) -> float:
    """The weights of those of ids start .. start + 15 with low <= z < bound, relative to it."""
    result = 0.0
    for i in range(start, start + LANES):
        z = np.float64(edited_logit(view, i))
        if low <= z < bound:
            result += exp_of_negative((z - bound) / temperature)
    return result
