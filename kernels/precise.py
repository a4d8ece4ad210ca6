"""Weights of a whole row in float64, for what float32 cannot decide.

The same sums as `weights`, twice as slow and with an error of 1e-12 at most: no branches, no table,
and an exponential that needs neither. Its multiplications may be fused with additions; the last
bits of these sums may differ between processors that can do so and those that cannot.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, contracted, inlined, kernel
from sampler.kernels.lane_bits import not_below, where
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    splat,
    wide_add,
    wide_fold,
    wide_fused,
    wide_maximum,
    wide_multiply,
    wide_splat,
    wide_subtract,
    wide_times_power,
    wide_zeros,
    widened,
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
from sampler.kernels.weights import LN_2

LOG2_E = 1.4426950408889634
ERROR = 1e-12  # of the sums, relative
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the lowest bits
_DEEPEST = -1000.0  # powers of two; what lies deeper counts as that little
_TAYLOR = tuple(np.log(2.0) ** i / float(np.prod(np.arange(1.0, i + 1))) for i in range(13))
(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12) = _TAYLOR
# of least maximum relative error on [-1/2, 1/2]: 8e-13
_FIT = (
    0.9999999999997623,
    0.6931471805462479,
    0.24022650698862388,
    0.05550410940198661,
    0.009618128548639988,
    0.0013333451374256905,
    0.00015403847117372702,
    1.530989504830922e-05,
    1.3176918032221146e-06,
)


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
def weights_of_wide(z: Lanes, bound: float, c: float) -> tuple[Lanes, Lanes]:
    """2**x and x = (z - bound) c of sixteen float32 z; x < 1000, and -1000 where it is deeper.

    As `powers_of_two`, in registers, by a polynomial that is fit for it.
    """
    x = wide_multiply(wide_subtract(widened(z), wide_splat(bound)), wide_splat(c))
    x = wide_maximum(x, wide_splat(_DEEPEST))
    steps = wide_add(x, wide_splat(_ROUND))
    r = wide_subtract(x, wide_subtract(steps, wide_splat(_ROUND)))
    p = wide_fused(wide_splat(_FIT[8]), r, wide_splat(_FIT[7]))
    p = wide_fused(p, r, wide_splat(_FIT[6]))
    p = wide_fused(p, r, wide_splat(_FIT[5]))
    p = wide_fused(p, r, wide_splat(_FIT[4]))
    p = wide_fused(p, r, wide_splat(_FIT[3]))
    p = wide_fused(p, r, wide_splat(_FIT[2]))
    p = wide_fused(p, r, wide_splat(_FIT[1]))
    p = wide_fused(p, r, wide_splat(_FIT[0]))
    return wide_times_power(p, steps), x


@inlined
def weight_of_one(z: float, bound: float, c: float) -> tuple[float, float]:
    """As `weights_of_wide`, of one z."""
    x = max((z - bound) * c, _DEEPEST)
    weight = exp_of_negative(-abs(x) * LN_2)
    return weight if x <= 0.0 else 1.0 / weight, x


@inlined
def _bulk_of_block(view: Arrays, span: tuple[int, int], bound: float, c: float) -> Arrays:
    """The weights of ids span[0] .. span[1] - 1 below `bound`, and of weight * x."""
    start, stop = span
    whole = stop - (stop - start) % LANES
    limit, nothing = splat(np.float32(bound)), splat(NOTHING)
    weights, products = wide_zeros(), wide_zeros()
    for i in range(start, whole, LANES):
        logits = edited_lanes(view, i)
        z = where(not_below(logits, limit), nothing, logits)
        weight, x = weights_of_wide(z, bound, c)
        weights, products = wide_add(weights, weight), wide_fused(weight, x, products)
    mass, product = wide_fold(weights), wide_fold(products)
    for i in range(whole, stop):
        z = np.float64(edited_logit(view, i))
        if z < bound:
            weight, x = weight_of_one(z, bound, c)
            mass, product = mass + weight, product + weight * x
    return mass, product


@kernel
def precise_bulk(view: Arrays, bound: float, temperature: float, work: Arrays) -> float:
    """Writes the bulk of each block, relative to `bound`; the sum of weight * exponent, base e.

    All logits are below +inf and none is NaN. The bulk is what lies below `bound`.
    """
    sums = work[7]
    c = LOG2_E / temperature
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    products = 0.0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        if is_plain(view, start, stop):
            mass, product = _bulk_of_block(plain, (start, stop), bound, c)
        else:
            mass, product = _bulk_of_block(view, (start, stop), bound, c)
        sums[start // BLOCK] = mass
        products += product
    return products * LN_2


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
