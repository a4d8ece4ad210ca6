"""Reading a row of logits once: what is high in it, and where.

    maxima = the highest edited, allowed logit of each lane (ids equal modulo 16) of each block
    bound  = a value that at least k of the maxima reach
    gather = allowed ids whose edited logit reaches a bound

Each maximum is another element, so at least k elements reach the bound and nothing below it can be
among the first k. The row is read in full once; the ids above a bound are then few, and lie in
blocks whose maximum says so.

A row is seen through its `view`: (logits, changed, touched, any touched, bitmask, masked). Ids that
penalties or biases change ("touched") have their edited logit in `changed`; the row itself is never
written. The watermark is not part of the view: see `candidates`.
"""

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
from sampler.kernels.lanes import LANES, Lanes, load, splat, store
from sampler.kernels.row import BLOCK

NOTHING = np.float32(-np.inf)
_INFINITY = np.float32(np.inf)
_ONE = np.uint32(1)


@inlined
def lane_bits_of(words: Array, start: int) -> Word:
    """Bits start .. start + 15 of packed int32 words."""
    return np.uint32((np.int64(words[start >> 5]) >> (start & 16)) & 0xFFFF)


@inlined
def any_bits_of(words: Array, start: int) -> bool:
    """Whether any bit of the block at `start` is set."""
    bits = words[start >> 5]
    for word in range((start >> 5) + 1, (start + BLOCK) >> 5):
        bits |= words[word]
    return bool(bits != 0)


@inlined
def width_of(view: Arrays) -> int:
    """Ids below this can be allowed."""
    changed, bitmask, masked = view[1], view[4], view[5]
    return min(len(changed), 32 * len(bitmask)) if masked else len(changed)


@inlined
def is_plain(view: Arrays, start: int, stop: int) -> bool:
    """Whether a block is as the model gave it: all allowed and nothing touched."""
    if view[5] or stop - start < BLOCK:
        return not (view[5] or view[3])
    return not (view[3] and any_bits_of(view[2], start))


@inlined
def plain_view(view: Arrays) -> Arrays:
    """The row as the model gave it, known as such to the compiler."""
    logits, changed, touched, _, bitmask, _ = view
    return logits, changed, touched, False, bitmask, False


@inlined
def is_touched(view: Arrays, i: int) -> bool:
    """Whether penalties or biases change id `i`."""
    return view[3] and (view[2][i >> 5] >> (i & 31)) & 1 != 0


@inlined
def edited_lanes(view: Arrays, start: int) -> Lanes:
    """The edited logits of ids start .. start + 15, -inf where they are forbidden."""
    logits, changed, touched, any_touched, bitmask, masked = view
    z = load(logits, start)
    if any_touched:
        z = where(lane_bits_of(touched, start), load(changed, start), z)
    if masked:
        z = where(lane_bits_of(bitmask, start), z, splat(NOTHING))
    return z


@inlined
def edited_logit(view: Arrays, i: int) -> np.float32:
    """As `edited_lanes`, of one id below `width_of`."""
    logits, changed, _, _, bitmask, masked = view
    if masked and (bitmask[i >> 5] >> (i & 31)) & 1 == 0:
        return NOTHING
    if is_touched(view, i):
        return changed[i]  # type: ignore[no-any-return]
    return logits[i]  # type: ignore[no-any-return]


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
def _edited_block(view: Arrays, start: int, maxima: Array, at: int) -> Word:
    """As `_block`, after edits and mask; a block without an allowed id is not read."""
    nothing, infinity = splat(NOTHING), splat(_INFINITY)
    greatest = nothing
    bad = np.uint32(0)
    if not view[5] or any_bits_of(view[4], start):
        for i in range(start, start + BLOCK, LANES):
            z = edited_lanes(view, i)
            bad |= not_below(z, infinity)
            greatest = maximum(z, greatest)
    store(maxima, at, greatest)
    return bad


@kernel
def lane_maxima(view: Arrays, maxima: Array) -> tuple[int, bool]:
    """The number of maxima written, and whether an allowed logit is NaN or +inf."""
    logits = view[0]
    width = width_of(view)
    whole = width - width % BLOCK
    bad = np.uint32(0)
    size = 0
    for start in range(0, whole, BLOCK):
        if is_plain(view, start, start + BLOCK):
            bad |= _block(logits, start, maxima, size)
        else:
            bad |= _edited_block(view, start, maxima, size)
        size += LANES
    if whole < width:
        store(maxima, size, splat(NOTHING))
        for i in range(whole, width):
            lane = size + (i & (LANES - 1))
            z = edited_logit(view, i)
            if not z < _INFINITY:
                bad |= _ONE
            elif z > maxima[lane]:
                maxima[lane] = z
        size += LANES
    return size, bad != 0


@inlined
def highest_of(maxima: Array, size: int) -> np.float32:
    """The highest of the first `size` maxima."""
    greatest = splat(NOTHING)
    for i in range(0, size, LANES):
        greatest = maximum(load(maxima, i), greatest)
    return highest(greatest)  # type: ignore[return-value]


@inlined
def _count(maxima: Array, size: int, bound: np.float32) -> int:
    limit = splat(bound)
    count = 0
    for i in range(0, size, LANES):
        count += count_bits(at_least(load(maxima, i), limit))
    return count


@kernel
def bound_of(maxima: Array, size: int, k: int) -> np.float32:
    """A float32 that at least k of the maxima reach, and hardly more; -inf when there is none."""
    if size < k:
        return NOTHING
    above = top = highest_of(maxima, size)
    step = np.float32(2.0)
    low = np.float32(top - step)
    count = _count(maxima, size, low)
    while count < k:
        step *= np.float32(2.0)
        above = low
        low = np.float32(top - step)
        if not low > NOTHING:
            return NOTHING
        count = _count(maxima, size, low)
    for _ in range(40):
        middle = np.float32(np.float32(0.5) * low + np.float32(0.5) * above)
        if count <= k + (k >> 3) + 4 or not low < middle < above:
            break
        reached = _count(maxima, size, middle)
        if reached >= k:
            low, count = middle, reached
        else:
            above = middle
    return low


@inlined
def _gather_block(
    view: Arrays, span: tuple[int, int], bound: np.float32, count: int, out: Arrays
) -> int:
    ids, z = out
    limit = splat(bound)
    start, stop = span
    whole = stop - stop % LANES
    for i in range(start, whole, LANES):
        bits = at_least(edited_lanes(view, i), limit)
        while bits != 0:
            token_id = i + lowest_bit(bits)
            bits &= bits - _ONE
            ids[count] = token_id
            z[count] = edited_logit(view, token_id)
            count += 1
    for token_id in range(whole, stop):
        value = edited_logit(view, token_id)
        if value >= bound:
            ids[count] = token_id
            z[count] = value
            count += 1
    return count


@kernel
def gather(view: Arrays, maxima: Array, size: int, bound: np.float32, out: Arrays) -> int:
    """The number of ids whose edited logit is >= bound > -inf, written in ascending order.

    maxima : `size` of them, of this view; out : (int32 ids, float64 logits).
    """
    limit = splat(bound)
    width = width_of(view)
    plain = plain_view(view)
    count = 0
    for at in range(0, size, LANES):
        if at_least(load(maxima, at), limit) == 0:
            continue
        start = at // LANES * BLOCK
        span = (start, min(start + BLOCK, width))
        if view[3] or view[5]:
            count = _gather_block(view, span, bound, count, out)
        else:
            count = _gather_block(plain, span, bound, count, out)
    return count
