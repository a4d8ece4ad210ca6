"""Reading a row of logits once: what is high in it, and where.

    maxima = the highest allowed logit of each lane (ids equal modulo 16) of each block
    bound  = a value that at least k of the maxima reach
    gather = allowed ids whose logit reaches a bound

Each maximum is another element, so at least k elements reach the bound and nothing below it can be
among the first k. The row is read in full once; the ids above a bound are then few, and lie in
blocks whose maximum says so.

mask : (uint16[n] bits, whether to look at them), as in `view`.
"""

import math

import numpy as np

from sampler.kernels._jit import Array, Arrays, Word, inlined, kernel
from sampler.kernels.lane_bits import (
    at_least,
    count_bits,
    highest,
    lowest_bit,
    maximum,
    not_below,
    where,
)
from sampler.kernels.lanes import LANES, Lanes, add, fold, fused, load, splat, store, zeros
from sampler.kernels.row import BLOCK
from sampler.kernels.view import NOTHING, any_set, is_allowed, width_of

_INFINITY = np.float32(np.inf)
_LOWEST = np.float32(-3.4028235e38)
_ZERO, _HALF = np.float32(0.0), np.float32(0.5)
_ONE = np.uint32(1)


@inlined
def _block(logits: Array, start: int, maxima: Array, at: int) -> Word:
    """Writes the lane maxima of one block; nonzero where a logit is NaN or +inf."""
    infinity = splat(_INFINITY)
    even, odd = load(logits, start), load(logits, start + LANES)
    bad = not_below(even, infinity) | not_below(odd, infinity)
    for i in range(start + 2 * LANES, start + BLOCK, 2 * LANES):
        left, right = load(logits, i), load(logits, i + LANES)
        bad |= not_below(left, infinity) | not_below(right, infinity)
        even = maximum(left, even)
        odd = maximum(right, odd)
    store(maxima, at, maximum(even, odd))
    return bad


@inlined
def _masked_block(
    logits: Array, bits: Array, start: int, bad: Lanes, maxima: Array, at: int
) -> Lanes:
    """As `_block`, of the allowed ids; a block without any is not read.

    The result is `bad` plus zero times each of them: NaN where one is not finite. It takes the
    masks of comparisons less time than they take to get out of their registers.
    """
    nothing, lowest, zero = splat(NOTHING), splat(_LOWEST), splat(_ZERO)
    even = odd = nothing
    bad_even = bad_odd = zero
    if any_set(bits, start):
        for i in range(start, start + BLOCK, 2 * LANES):
            left = where(np.uint32(bits[i >> 4]), load(logits, i), nothing)
            right = where(np.uint32(bits[(i >> 4) + 1]), load(logits, i + LANES), nothing)
            bad_even = fused(maximum(lowest, left), zero, bad_even)
            bad_odd = fused(maximum(lowest, right), zero, bad_odd)
            even = maximum(left, even)
            odd = maximum(right, odd)
    store(maxima, at, maximum(even, odd))
    return add(bad, add(bad_even, bad_odd))


@kernel
def _all_blocks(logits: Array, mask: Arrays, whole: int, maxima: Array) -> bool:
    """Writes the maxima of ids below `whole`; whether an allowed logit is NaN or +inf."""
    bits, masked = mask
    if masked:
        sums = zeros()
        for start in range(0, whole, BLOCK):
            sums = _masked_block(logits, bits, start, sums, maxima, start // BLOCK * LANES)
        return bool(fold(sums) != 0.0)  # NaN is not 0 either
    found: Word = np.uint32(0)
    for start in range(0, whole, BLOCK):
        found |= _block(logits, start, maxima, start // BLOCK * LANES)
    return bool(found != 0)


@kernel
def lane_maxima(logits: Array, mask: Arrays, size: int, maxima: Array) -> tuple[int, bool]:
    """The number of maxima written, and whether an allowed logit of the `size` is NaN or +inf."""
    width = width_of(mask, size)
    whole = width - width % BLOCK
    bad = _all_blocks(logits, mask, whole, maxima)
    count = whole // BLOCK * LANES
    if whole < width:
        store(maxima, count, splat(NOTHING))
        for i in range(whole, width):
            lane = count + (i & (LANES - 1))
            if is_allowed(mask, i):
                if not logits[i] < _INFINITY:
                    bad = True
                elif logits[i] > maxima[lane]:
                    maxima[lane] = logits[i]
        count += LANES
    return count, bad


@inlined
def highest_of(maxima: Array, size: int) -> np.float32:
    """The highest of the first `size` maxima."""
    greatest = splat(NOTHING)
    for i in range(0, size, LANES):
        greatest = maximum(load(maxima, i), greatest)
    return np.float32(highest(greatest))


@inlined
def _count(maxima: Array, size: int, bound: np.float32) -> int:
    limit = splat(bound)
    count = 0
    for i in range(0, size, LANES):
        count += count_bits(at_least(load(maxima, i), limit))
    return count


@inlined
def _share(few: int, many: int, wanted: int) -> np.float32:
    """Where the logarithm of `wanted` lies between those of `few` and `many`, inside of 0 to 1."""
    low, high = _rough_log(few), _rough_log(many)
    share = (_rough_log(wanted) - low) / (high - low) if high > low else _HALF
    return min(max(share, np.float32(0.05)), np.float32(0.95))


@inlined
def _rough_log(n: int) -> np.float32:
    """The binary logarithm of n >= 1, straight between powers of two."""
    mantissa, exponent = math.frexp(np.float32(n))
    return np.float32(2.0 * mantissa + exponent)


@kernel
def bound_of(maxima: Array, size: int, k: int) -> np.float32:
    """A float32 that at least k of the maxima reach, and hardly more; -inf when there is none."""
    if size < k:
        return NOTHING
    above = top = highest_of(maxima, size)
    few = 1  # reach `above`
    step = np.float32(2.0)
    low = np.float32(top - step)
    count = _count(maxima, size, low)
    while count < k:
        step *= np.float32(2.0)
        above, few = low, max(count, 1)
        low = np.float32(top - step)
        if not low > NOTHING:
            return NOTHING
        count = _count(maxima, size, low)
    most = k + (k >> 3) + 4
    for turn in range(40):
        if count <= most:
            break
        # tails are nearly exponential; where they are not, every third step halves
        share = _share(few, count, k + (k >> 4) + 2) if turn % 3 < 2 else _HALF
        middle = np.float32((np.float32(1.0) - share) * above + share * low)
        if not low < middle < above:
            break
        reached = _count(maxima, size, middle)
        if reached >= k:
            low, count = middle, reached
        else:
            above, few = middle, max(reached, 1)
    return low


@inlined
def _take(logits: Array, mask: Arrays, start: int, found: Word, count: int, out: Arrays) -> int:
    """Writes those of the ids start + bit that are allowed; how many there are then."""
    ids, z = out
    if mask[1] and found != 0:
        found &= np.uint32(mask[0][start >> 4])
    while found != 0:
        token_id = start + lowest_bit(found)
        found &= found - _ONE
        ids[count] = token_id
        z[count] = logits[token_id]
        count += 1
    return count


@inlined
def _gather_block(
    logits: Array, mask: Arrays, start: int, limit: Lanes, count: int, out: Arrays
) -> int:
    for i in range(start, start + BLOCK, 4 * LANES):
        a = at_least(load(logits, i), limit)
        b = at_least(load(logits, i + LANES), limit)
        c = at_least(load(logits, i + 2 * LANES), limit)
        d = at_least(load(logits, i + 3 * LANES), limit)
        if a | b | c | d != 0:
            count = _take(logits, mask, i, a, count, out)
            count = _take(logits, mask, i + LANES, b, count, out)
            count = _take(logits, mask, i + 2 * LANES, c, count, out)
            count = _take(logits, mask, i + 3 * LANES, d, count, out)
    return count


@kernel
def gather(logits: Array, mask: Arrays, lanes: Arrays, bound: np.float32, out: Arrays) -> int:
    """The number of allowed ids with a logit >= bound > -inf, written in ascending order.

    lanes : (maxima, how many, width of the row); out : (int32 ids, float64 logits).
    """
    maxima, size, width = lanes
    limit = splat(bound)
    count = 0
    for at in range(0, size, LANES):
        if at_least(load(maxima, at), limit) == 0:
            continue
        start = at // LANES * BLOCK
        if start + BLOCK <= width:
            count = _gather_block(logits, mask, start, limit, count, out)
            continue
        for token_id in range(start, width):
            if logits[token_id] >= bound and is_allowed(mask, token_id):
                out[0][count] = token_id
                out[1][count] = logits[token_id]
                count += 1
    return count
