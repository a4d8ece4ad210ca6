"""Weights of a whole row in one pass of float32, with a bound on their error.

    weight(z) = 2**(z c - K),  c = log2(e) / T,  K an integer near B c
    exponent(z) = z c - K - origin; the nearer its origin to their mean, the more exact is their sum

Ids whose edited logit reaches a bound B ("head") are listed and left to float64. The others
("bulk") are summed for each block: z c = k + r with an integer k, a polynomial for 2**r on [-1/2,
1/2], an addition to the exponent, sums of four in float32 and of these in float64. Their relative
error is at most `error_of`; what lies 100 powers of two below B counts as that much, too little to
matter. The sums serve where that error decides nothing; the caller checks, and asks float64 else.

Source of the method: Cody and Waite, "Software Manual for the Elementary Functions" (1980),
chapter 6; the polynomial is a least maximum relative error fit, 1.1e-7 with rounded coefficients.
"""

import math

import numpy as np

from sampler.kernels._jit import Array, Arrays, Word, inlined, kernel
from sampler.kernels.lane_bits import lowest_bit, maximum, not_below, where
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    add,
    add_widened,
    fused,
    splat,
    subtract,
    times_power,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative
from sampler.kernels.row import BLOCK, NOT_FINITE, UNDECIDED
from sampler.kernels.view import (
    NOTHING,
    edited_lanes,
    edited_logit,
    is_plain,
    mask_of,
    plain_view,
    width_of,
)

LN_2 = 0.6931471805599453
_ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the lowest bits
DEEPEST = 100.0  # powers of two below B that are told apart
_LARGEST = 32768.0  # of |z c|
_SMALLEST_C, _LARGEST_C = 1e-30, 1e30
_1 = np.float32(0.6931470036506653)
_2 = np.float32(0.24022242426872253)
_3 = np.float32(0.05550733953714371)
_4 = np.float32(0.009671502746641636)
_5 = np.float32(0.001326467958278954)
_ZERO = np.float32(0.0)
_ONE_FLOAT = np.float32(1.0)
_ONE = np.uint32(1)
_ERROR_OF_ONE = 2.6e-7  # polynomial 1.1e-7, r 0.3e-7, rounding of both 1.1e-7
_ERROR = _ERROR_OF_ONE + 1.2e-7  # and the two additions of a chunk
# of sums of weight * (z - bound): the difference, the product, the eight additions of a block
ERROR_OF_PRODUCTS = 6e-7
_PRODUCT_ERROR = 1.2e-7  # of z c where a product is rounded before it is added


@kernel
def is_fused() -> bool:
    """Whether `fused` rounds once on this processor."""
    x = splat(np.float32(1.000244140625))  # 1 + 2**-12, whose square needs 25 bits
    squares = fused(x, x, splat(np.float32(-1.00048828125)))
    return bool(wide_fold(add_widened(wide_zeros(), squares)) != 0.0)


@kernel
def scale_of(bound: float, temperature: float) -> tuple[float, float]:
    """(c, K) for a row whose bulk lies below `bound`; K is NaN where float32 would not do."""
    c = 1.4426950408889634 / temperature
    if not abs(bound) * c < _LARGEST or not _SMALLEST_C < c < _LARGEST_C:
        return c, np.nan
    return c, math.ceil(bound * c)


@kernel
def error_of(scale: Arrays) -> float:
    """A bound on the relative error of the weights and their sums."""
    return _ERROR if is_fused() else _ERROR + _PRODUCT_ERROR * (abs(scale[1]) + DEEPEST)


@kernel
def error_of_one(scale: Arrays) -> float:
    """A bound on the relative error of one weight."""
    return error_of(scale) - (_ERROR - _ERROR_OF_ONE)


@inlined
def lanes_of(scale: Arrays) -> Arrays:
    """The scale in registers: c in two parts, the rounding constant, the lowest logit."""
    c, reference = scale
    lowest = np.float32((reference - DEEPEST) / c)
    return (
        splat(np.float32(c)),
        splat(np.float32(c - np.float64(np.float32(c)))),
        splat(np.float32(_ROUND - reference)),
        splat(lowest),
    )


@inlined
def weights_of(z: Lanes, scale: Arrays) -> tuple[Lanes, Lanes]:
    """2**(z c - K), and z as far down as it counts."""
    c, rest_of_c, round_to, lowest = scale
    z = maximum(z, lowest)
    steps = fused(z, c, round_to)
    r = fused(z, rest_of_c, fused(z, c, subtract(round_to, steps)))
    power = fused(splat(_5), r, splat(_4))
    power = fused(power, r, splat(_3))
    power = fused(power, r, splat(_2))
    power = fused(power, r, splat(_1))
    power = fused(power, r, splat(_ONE_FLOAT))
    return times_power(power, steps), z


@inlined
def chunk_of(view: Arrays, start: int) -> Arrays:
    """The edited logits of ids start .. start + 63."""
    return (
        edited_lanes(view, start),
        edited_lanes(view, start + LANES),
        edited_lanes(view, start + 2 * LANES),
        edited_lanes(view, start + 3 * LANES),
    )


@inlined
def head_bits(z: Arrays, limit: Lanes) -> Arrays:
    """Which lanes of a chunk are of the head, as four times sixteen bits."""
    a, b, c, d = z
    return not_below(a, limit), not_below(b, limit), not_below(c, limit), not_below(d, limit)


@inlined
def without(bits: Arrays, z: Arrays) -> Arrays:
    """`z` with -inf where a bit is set."""
    nothing = splat(NOTHING)
    return (
        where(bits[0], nothing, z[0]),
        where(bits[1], nothing, z[1]),
        where(bits[2], nothing, z[2]),
        where(bits[3], nothing, z[3]),
    )


@inlined
def _chunk_sum(z: Arrays, scale: Arrays) -> Lanes:
    """The weights of a chunk, added by fours."""
    left = add(weights_of(z[0], scale)[0], weights_of(z[1], scale)[0])
    right = add(weights_of(z[2], scale)[0], weights_of(z[3], scale)[0])
    return add(left, right)


@inlined
def _chunk_sums(z: Arrays, limit: Lanes, scale: Arrays, products: Arrays) -> Arrays:
    """As `_chunk_sum`, and four sums of weight * (z - limit) with those of this chunk."""
    first, second, third, fourth = products
    a, z_a = weights_of(z[0], scale)
    b, z_b = weights_of(z[1], scale)
    c, z_c = weights_of(z[2], scale)
    d, z_d = weights_of(z[3], scale)
    products = (
        fused(a, subtract(z_a, limit), first),
        fused(b, subtract(z_b, limit), second),
        fused(c, subtract(z_c, limit), third),
        fused(d, subtract(z_d, limit), fourth),
    )
    return add(add(a, b), add(c, d)), products


@kernel
def take(view: Arrays, start: int, bits: Word, size: int, out: Arrays) -> int:
    """Lists the ids of `bits`; how many there are then, NOT_FINITE, or UNDECIDED when full."""
    ids, z = out
    while bits != 0 and size >= 0:
        token_id = start + lowest_bit(bits)
        bits &= bits - _ONE
        value = edited_logit(view, token_id)
        if not value < np.inf:
            return NOT_FINITE
        if size == len(ids):
            return UNDECIDED
        ids[size] = token_id
        z[size] = value
        size += 1
    return size


@kernel
def take_chunk(view: Arrays, start: int, bits: Arrays, size: int, out: Arrays) -> int:
    """As `take`, of four times sixteen ids."""
    size = take(view, start, bits[0], size, out)
    size = take(view, start + LANES, bits[1], size, out)
    size = take(view, start + 2 * LANES, bits[2], size, out)
    return take(view, start + 3 * LANES, bits[3], size, out)


@kernel
def rest_of_bulk(
    view: Arrays, span: tuple[int, int], bound: float, scale: Arrays
) -> tuple[float, float]:
    """The bulk of ids span[0] .. span[1] - 1, one by one: weights, and weights * (z - bound)."""
    c, reference = scale
    total = products = 0.0
    for i in range(span[0], span[1]):
        z = edited_logit(view, i)
        if z < bound:
            exponent = max(z * c - reference, -DEEPEST)
            weight = exp_of_negative(exponent * LN_2)
            total += weight
            products += weight * (max(z, (reference - DEEPEST) / c) - bound)
    return total, products


@inlined
def _weigh_block(
    view: Arrays, span: tuple[int, int], limits: Arrays, size: int, out: Arrays
) -> tuple[int, float]:
    """The size of the head after ids span[0] .. span[1] - 1, chunks of 64, and their bulk.

    limits : (the bound, the scale in registers).
    """
    limit, scale = limits
    totals = wide_zeros()
    for i in range(span[0], span[1], 4 * LANES):
        z = chunk_of(view, i)
        bits = head_bits(z, limit)
        if bits[0] | bits[1] | bits[2] | bits[3] != 0:
            z = without(bits, z)
            size = take_chunk(view, i, bits, size, out)
        totals = add_widened(totals, _chunk_sum(z, scale))
    return size, wide_fold(totals)


@inlined
def _weigh_block_twice(
    view: Arrays, span: tuple[int, int], limits: Arrays, size: int, out: Arrays
) -> tuple[int, float, float]:
    """As `_weigh_block`, and the sum of weight * (z - bound)."""
    limit, scale = limits
    totals = wide_zeros()
    zero = splat(_ZERO)
    products = (zero, zero, zero, zero)  # in float32: each adds as many as there are chunks
    for i in range(span[0], span[1], 4 * LANES):
        z = chunk_of(view, i)
        bits = head_bits(z, limit)
        if bits[0] | bits[1] | bits[2] | bits[3] != 0:
            z = without(bits, z)
            size = take_chunk(view, i, bits, size, out)
        weights, products = _chunk_sums(z, limit, scale, products)
        totals = add_widened(totals, weights)
    product = wide_zeros()
    for part in products:
        product = add_widened(product, part)
    return size, wide_fold(totals), wide_fold(product)


@kernel
def head_and_bulk(
    view: Arrays, bound: float, scale: Arrays, with_exponents: bool, sums: Array, out: Arrays
) -> tuple[int, float]:
    """The size of the head, its ids ascending and float64 logits in `out`; or NOT_FINITE.

    sums : float64[blocks], the bulk of each block times 2**-K; the second result is the bulk's sum
    of weight * (z - bound), times 2**-K, where it is asked for. A head that does not fit into `out`
    is UNDECIDED.
    """
    limits = (splat(np.float32(bound)), lanes_of(scale))
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    size = 0
    products = total = product = 0.0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        span = (start, stop - (stop - start) % (4 * LANES))
        if is_plain(view, start, stop):
            if with_exponents:
                size, total, product = _weigh_block_twice(plain, span, limits, size, out)
            else:
                size, total = _weigh_block(plain, span, limits, size, out)
        elif with_exponents:
            size, total, product = _weigh_block_twice(view, span, limits, size, out)
        else:
            size, total = _weigh_block(view, span, limits, size, out)
        for i in range(span[1], stop):
            if not edited_logit(view, i) < bound:
                size = take(view, i, _ONE, size, out)
        if size < 0:
            return size, 0.0
        if span[1] < stop:
            rest, rest_product = rest_of_bulk(view, (span[1], stop), bound, scale)
            total, product = total + rest, product + rest_product
        sums[start // BLOCK] = total
        products += product
    return size, products


@inlined
def bulk_of_sixteen(view: Arrays, start: int, low: float, bound: float, scale: Arrays) -> float:
    """The weights times 2**-K of those of ids start .. start + 15 with low <= z < bound.

    `start` is a multiple of 16.
    """
    z = edited_lanes(view, start)
    inside = not_below(z, splat(np.float32(low))) & ~not_below(z, splat(np.float32(bound)))
    z = where(inside, z, splat(NOTHING))
    return float(wide_fold(add_widened(wide_zeros(), weights_of(z, lanes_of(scale))[0])))
