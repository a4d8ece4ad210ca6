"""The few candidates that `top_k` can keep, found at the speed of reading the logits once.

    maxima = the largest allowed logit of each lane (ids equal modulo 16) of each block of 512
    bound  = a value that at least k of the maxima reach
    candidates = allowed ids whose edited logit may reach the bound: a few more than k

Each maximum is another element, so at least k elements reach the bound and nothing below it can be
among the first k. What the plain path then does to all candidates it does to these, in the same
order, and the bits of the result are the same.

Edits without a copy of the row: a green logit gains at most delta, so the logits are read down to
bound - delta. Ids that penalties or biases change ("touched") may fall; a lane whose maximum is one
of them does not count for the bound, and they are candidates in any case, with their edited value.

Where that says nothing (fewer lanes than k, -inf everywhere) the answer is UNDECIDED.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, Word, kernel
from sampler.kernels.edits import edited, marked
from sampler.kernels.lane_bits import (
    at_least,
    count_bits,
    highest,
    lowest_bit,
    maximum,
    not_below,
    where,
)
from sampler.kernels.lanes import LANES, load, splat, store
from sampler.kernels.row import BLOCK, NOT_FINITE, RANK, UNDECIDED, Z

_NOTHING = np.float32(-np.inf)
_ONE = np.uint32(1)
_INFINITY = np.float32(np.inf)


@kernel
def is_allowed(mask: Arrays, i: int) -> bool:
    """Whether `mask`, (int32[words], whether to look at it), allows id `i`."""
    bitmask, masked = mask
    if not masked:
        return True
    return i >> 5 < len(bitmask) and (bitmask[i >> 5] >> (i & 31)) & 1 != 0


@kernel
def _allowed_bits(bitmask: Array, start: int) -> Word:
    """The mask bits of ids start .. start + 15."""
    return np.uint32((np.int64(bitmask[start >> 5]) >> (start & 16)) & 0xFFFF)


@kernel
def _any_allowed(bitmask: Array, start: int) -> bool:
    """Whether the mask allows any id of the block at `start`."""
    bits = bitmask[start >> 5]
    for word in range((start >> 5) + 1, (start + BLOCK) >> 5):
        bits |= bitmask[word]
    return bool(bits != 0)


@kernel
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


@kernel
def _masked_block(logits: Array, bitmask: Array, start: int, maxima: Array, at: int) -> Word:
    """As `_block`, for allowed ids alone; a block without any is not read."""
    nothing, infinity = splat(_NOTHING), splat(_INFINITY)
    greatest = nothing
    bad = np.uint32(0)
    if _any_allowed(bitmask, start):
        for i in range(start, start + BLOCK, LANES):
            allowed = where(_allowed_bits(bitmask, i), load(logits, i), nothing)
            bad |= not_below(allowed, infinity)
            greatest = maximum(allowed, greatest)
    store(maxima, at, greatest)
    return bad


@kernel
def lane_maxima(logits: Array, mask: Arrays, width: int, maxima: Array) -> tuple[int, bool]:
    """The number of maxima written, and whether an allowed logit is NaN or +inf."""
    bitmask, masked = mask
    bad = np.uint32(0)
    whole = width - width % BLOCK
    size = 0
    if masked:
        for start in range(0, whole, BLOCK):
            bad |= _masked_block(logits, bitmask, start, maxima, size)
            size += LANES
    else:
        for start in range(0, whole, BLOCK):
            bad |= _block(logits, start, maxima, size)
            size += LANES
    if whole < width:
        for lane in range(size, size + LANES):
            maxima[lane] = _NOTHING
        for i in range(whole, width):
            if is_allowed(mask, i):
                lane = size + (i & (LANES - 1))
                if not logits[i] < _INFINITY:
                    bad |= _ONE
                elif logits[i] > maxima[lane]:
                    maxima[lane] = logits[i]
        size += LANES
    return size, bad != 0


@kernel
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
        return _NOTHING
    greatest = splat(_NOTHING)
    for i in range(0, size, LANES):
        greatest = maximum(load(maxima, i), greatest)
    above = top = highest(greatest)
    step = np.float32(2.0)
    low = np.float32(top - step)
    count = _count(maxima, size, low)
    while count < k:
        step *= np.float32(2.0)
        above = low
        low = np.float32(top - step)
        if not low > -np.inf:
            return _NOTHING
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


@kernel
def _gather(logits: Array, mask: Arrays, lanes: Arrays, bound: np.float32, out: Arrays) -> int:
    """The number of allowed ids with logit >= bound, written in ascending order.

    lanes : (maxima, how many, width of the row); out : (int32 ids, float64 logits).
    """
    maxima, size, width = lanes
    ids, z = out
    bitmask, masked = mask
    limit = splat(bound)
    count = 0
    for at in range(0, size, LANES):
        if at_least(load(maxima, at), limit) == 0:
            continue
        start = at // LANES * BLOCK
        stop = min(start + BLOCK, width)
        whole = stop - stop % LANES
        for i in range(start, whole, LANES):
            bits = at_least(load(logits, i), limit)
            if masked and bits != 0:
                bits &= _allowed_bits(bitmask, i)
            while bits != 0:
                token_id = i + lowest_bit(bits)
                bits &= bits - _ONE
                ids[count] = token_id
                z[count] = logits[token_id]
                count += 1
        for token_id in range(whole, stop):
            if logits[token_id] >= bound and is_allowed(mask, token_id):
                ids[count] = token_id
                z[count] = logits[token_id]
                count += 1
    return count


@kernel
def _lane_of(token_id: int) -> int:
    return token_id // BLOCK * LANES + (token_id & (LANES - 1))


@kernel
def _bound_without(logits: Array, table: Array, lanes: Arrays, k: int, saved: Array) -> np.float32:
    """`bound_of`, with the lanes left out whose maximum may be an id of `table`."""
    maxima, size, width = lanes
    for j in range(len(table)):
        i = table[j]["id"]
        if i < width:
            lane = _lane_of(i)
            saved[j] = maxima[lane]
            if logits[i] >= maxima[lane]:
                maxima[lane] = _NOTHING
    bound = bound_of(maxima, size, k)
    for j in range(len(table) - 1, -1, -1):  # backwards: a lane may have been saved twice
        i = table[j]["id"]
        if i < width:
            maxima[_lane_of(i)] = saved[j]
    return bound


@kernel
def _mark_untouched(row: Record, touched: Array, size: int, out: Arrays) -> int:
    """Drops the touched ids from `out` and gives the others their watermark; how many are left."""
    ids, z = out
    if row["touched_size"] == 0 and not row["green"]:
        return size
    kept = 0
    for j in range(size):
        i = ids[j]
        if row["touched_size"] == 0 or (touched[i >> 5] >> (i & 31)) & 1 == 0:
            ids[kept] = i
            z[kept] = marked(z[j], row, i)
            kept += 1
    return kept


@kernel
def _insert_touched(
    logits: Array, mask: Arrays, row: Record, entry: Record, bound: float, size: int, out: Arrays
) -> int:
    """Adds the id of `entry` if its edited logit reaches `bound`; the new size, or NOT_FINITE."""
    ids, z = out
    token_id = entry["id"]
    if not is_allowed(mask, token_id):
        return size
    value = edited(marked(np.float64(logits[token_id]), row, token_id), row, entry)
    if not value < np.inf:
        return NOT_FINITE
    if value < bound or value == -np.inf:
        return size
    at = size
    while at > 0 and ids[at - 1] > token_id:
        ids[at] = ids[at - 1]
        z[at] = z[at - 1]
        at -= 1
    ids[at] = token_id
    z[at] = value
    return size + 1


@kernel
def top_candidates(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays, k: int
) -> int:
    """The number of candidates, among them the first k: ids[:n] ascending and their Z in `work`.

    Or NOT_FINITE, or UNDECIDED.
    """
    ids, columns, maxima = work[0], work[1], work[5]
    table, touched = edits
    table = table[: row["touched_size"]]
    width = len(ids)
    if mask[1]:
        width = min(width, 32 * len(mask[0]))
    size, bad = lane_maxima(logits, mask, width, maxima)
    if bad:
        return NOT_FINITE
    lanes = (maxima, size, width)
    bound = _bound_without(logits, table, lanes, k, columns[RANK])
    if bound == -np.inf:
        return UNDECIDED
    read_down_to = bound
    if row["green"]:
        # lower by a little more than delta: adding it rounds
        slack = 1e-6 * (abs(np.float64(bound)) + row["green_delta"])
        read_down_to = np.float32(np.float64(bound) - row["green_delta"] - slack)
    out = (ids, columns[Z])
    count = _gather(logits, mask, lanes, read_down_to, out)
    count = _mark_untouched(row, touched, count, out)
    for j in range(len(table)):
        count = _insert_touched(logits, mask, row, table[j], np.float64(bound), count, out)
        if count < 0:
            return NOT_FINITE
    for j in range(count):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    return count
