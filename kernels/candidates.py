"""The few candidates that a row can keep, found while it is read once.

`top_k` bounds them by the k-th highest lane maximum, `min_p` alone by the highest, and a mask that
allows hardly anything by its set bits. What the plain path does to all candidates is then done to
these, in the same order, and the result is the same. Where that says nothing (fewer lanes than k,
-inf everywhere) the answer is UNDECIDED.

The watermark only adds, at most delta: ids are read down to bound - delta, and only these are
hashed.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, Word, inlined, kernel
from sampler.kernels.edits import edited, marked
from sampler.kernels.lane_bits import lowest_bit
from sampler.kernels.lanes import LANES, splat, store
from sampler.kernels.numeric import log
from sampler.kernels.row import BLOCK, NOT_FINITE, NOTHING_ALLOWED, UNDECIDED, Z
from sampler.kernels.scan import bound_of, gather, highest_of, lane_maxima
from sampler.kernels.view import (
    NOTHING,
    any_set,
    edit_touched,
    edited_logit,
    is_allowed,
    is_touched,
    view_of,
    width_of,
)

_ONE = np.uint32(1)
_TOO_MANY = 1.3  # times top_k: what the watermark leaves is then looked at once more
_LEAST_MIN_P = 1e-290  # below, weights are subnormal: their rounding is coarse

# A mask is walked bit by bit when it allows at most one id in this many
_SPARSE = 128


@kernel
def is_sparse(mask: Arrays, width: int) -> bool:
    """Whether a mask may allow so few ids that visiting each is quicker than reading the row."""
    bits, masked = mask
    if not masked:
        return False
    words = bits.view(np.uint32)
    used = 0
    for at in range(len(words)):
        used += words[at] != 0
    return used * _SPARSE <= width


@inlined
def _gather_word(view: Arrays, row: Record, at: int, size: int, out: Arrays) -> int:
    """Adds the allowed ids of word `at` of the mask to `out`; the new size, or NOT_FINITE."""
    ids, z = out
    bits: Word = view[4].view(np.uint32)[at]
    while bits != 0:
        token_id = 32 * at + lowest_bit(bits)
        bits &= bits - _ONE
        if token_id >= len(view[1]):
            break
        value = float(edited_logit(view, token_id))
        if not is_touched(view, token_id):
            value = marked(value, row, token_id)
        if not value < np.inf:
            return NOT_FINITE
        ids[size] = token_id
        z[size] = value + 0.0  # -0.0 becomes 0.0, as in `few_candidates`
        size += value > -np.inf
    return size


@kernel
def allowed_candidates(view: Arrays, row: Record, out: Arrays) -> int:
    """The number of allowed ids above -inf, written in ascending order; or a status.

    UNDECIDED when there are many after all.
    """
    words = view[4].view(np.uint32)
    size = 0
    for first in range(0, len(words), BLOCK // 32):
        last = min(first + BLOCK // 32, len(words))
        if last - first == BLOCK // 32 and not any_set(view[4], 32 * first):
            continue
        for at in range(first, last):
            size = _gather_word(view, row, at, size, out)
            if size < 0:
                return size
        if size * _SPARSE > len(view[1]):
            return UNDECIDED
    return size if size > 0 else NOTHING_ALLOWED


@kernel
def _bound(row: Record, maxima: Array, size: int) -> np.float32:
    """What each kept id reaches before the watermark; -inf where that cannot be told."""
    if row["top_k"] > 0:
        return bound_of(maxima, size, row["top_k"])
    if row["min_p"] < _LEAST_MIN_P:
        return NOTHING
    highest = np.float64(highest_of(maxima, size))
    drop = -row["temperature"] * log(row["min_p"])
    # lower by more than the rounding of weights and of this line
    return np.float32(highest - drop - 1e-6 * (abs(highest) + drop + row["temperature"]))


@inlined
def _lane_of(token_id: int) -> int:
    return token_id // BLOCK * LANES + (token_id & (LANES - 1))


@kernel
def _leave_lanes_out(
    logits: Array, row: Record, table: Array, lanes: Arrays, left_out: Array
) -> int:
    """Leaves out the lanes whose maximum may be touched: it says nothing of the edited row.

    lanes : (maxima, how many). How many are left out; `left_out` has their entries of the table.
    """
    maxima, size = lanes
    count = 0
    for j in range(row["touched_size"]):
        i = table[j]["id"]
        lane = _lane_of(i)
        if lane < size and logits[i] >= maxima[lane]:
            table[j]["lane_maximum"] = maxima[lane]
            maxima[lane] = NOTHING
            left_out[count] = j
            count += 1
    return count


@kernel
def _put_lanes_back(table: Array, maxima: Array, left_out: Array, count: int) -> None:
    """Undoes `_leave_lanes_out`, backwards because a lane may have been left out twice."""
    for n in range(count - 1, -1, -1):
        entry = table[left_out[n]]
        maxima[_lane_of(entry["id"])] = entry["lane_maximum"]


@kernel
def _mark_untouched(touched: Array, row: Record, bound: float, size: int, out: Arrays) -> int:
    """Drops touched ids from `out`, and what its watermark leaves below `bound`; the new size."""
    ids, z = out
    kept = 0
    for j in range(size):
        i = ids[j]
        value = marked(z[j], row, i)
        if not value < np.inf:
            return NOT_FINITE
        ids[kept] = i
        z[kept] = value
        kept += (value >= bound) & ((touched[i >> 5] >> (i & 31)) & 1 == 0)
    return kept


@kernel
def _touched_candidates(
    logits: Array, mask: Arrays, row: Record, table: Array, bound: float, found: Arrays
) -> int:
    """Writes the touched ids whose edited logit reaches `bound`; their number, or NOT_FINITE."""
    ids, z = found
    size = 0
    lowers = row["repetition_penalty"] >= 1.0 and (
        row["frequency_penalty"] >= 0.0 and row["presence_penalty"] >= 0.0
    )
    gain = row["green_delta"] if row["green"] else 0.0
    for j in range(row["touched_size"]):
        token_id = table[j]["id"]
        logit = np.float64(logits[token_id])
        # rounding keeps the order, so most ids are settled without their edits
        if lowers and table[j]["bias"] <= 0.0 and np.float64(np.float32(logit + gain)) < bound:
            continue
        value = edited(marked(logit, row, token_id), row, table[j])
        if value < bound or value == -np.inf or not is_allowed(mask, token_id):
            continue
        if not value < np.inf:
            return NOT_FINITE
        ids[size] = token_id
        z[size] = value
        size += 1
    return size


@kernel
def _merge(found: Arrays, count: int, size: int, out: Arrays) -> int:
    """Adds `count` found ids to the `size` ones of `out`, both ascending; the new size."""
    ids, z = out
    end = size + count
    for n in range(count - 1, -1, -1):
        token_id = found[0][n]
        while size > 0 and ids[size - 1] > token_id:
            size -= 1
            ids[size + n + 1] = ids[size]
            z[size + n + 1] = z[size]
        ids[size + n] = token_id
        z[size + n] = found[1][n]
    return end


@kernel
def high_candidates(logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays) -> int:
    """The number of ids that may be among those `top_k` or, without it, `min_p` keeps; or a status.

    They are written to `work` in ascending order. The row is read without its edits: touched ids
    are looked at one by one.
    """
    table, touched = edits
    maxima, out = work[5], (work[0], work[1][Z])
    width = width_of(mask, len(work[0]))
    size, bad = lane_maxima(logits, mask, width, maxima)
    if bad:
        return NOT_FINITE
    left_out = work[3]
    count = _leave_lanes_out(logits, row, table, (maxima, size), left_out)
    bound = _bound(row, maxima, size)
    _put_lanes_back(table, maxima, left_out, count)
    if not bound > -np.inf:
        return UNDECIDED
    read_down_to = bound
    if row["green"]:
        # lower by a little more than delta: adding it rounds
        slack = 1e-6 * (abs(np.float64(bound)) + row["green_delta"])
        read_down_to = np.float32(np.float64(bound) - row["green_delta"] - slack)
    size = gather(logits, mask, (maxima, size, width), read_down_to, out)
    if row["green"] or row["touched_size"] > 0:
        size = _mark_untouched(touched, row, np.float64(bound), size, out)
        if size < 0:
            return size
    found = (work[3], work[6])
    count = _touched_candidates(logits, mask, row, table, np.float64(bound), found)
    return _merge(found, count, size, out) if count >= 0 else count


@kernel
def _prune(k: int, size: int, work: Arrays) -> int:
    """The number of candidates that may be among the first `k`, moved to the front."""
    ids, z, scratch = work[0], work[1][Z], work[5]
    store(scratch, size - size % LANES, splat(NOTHING))
    for j in range(size):
        scratch[j] = np.float32(z[j])
    bound = np.float64(bound_of(scratch, size + -size % LANES, k))
    kept = 0
    for j in range(size):
        if z[j] >= bound:
            ids[kept] = ids[j]
            z[kept] = z[j]
            kept += 1
    return kept


@kernel
def sparse_candidates(logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays) -> int:
    """All candidates of a row whose mask allows few ids, as `few_candidates`; else UNDECIDED."""
    ids, columns, changed = work[0], work[1], work[6]
    if not is_sparse(mask, len(ids)):
        return UNDECIDED
    edit_touched(logits, row, edits[0], changed)
    view = view_of(logits, mask, row, edits[1], changed)
    return allowed_candidates(view, row, (ids, columns[Z]))


@kernel
def few_candidates(logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays) -> int:
    """The number of candidates, all that can be kept: ids[:n] ascending and their Z in `work`.

    Or NOT_FINITE, NOTHING_ALLOWED or UNDECIDED. `row` has a top_k, or a min_p and no top_p and
    typical_p.
    """
    columns = work[1]
    size = sparse_candidates(logits, mask, row, edits, work)
    if size == UNDECIDED:
        size = high_candidates(logits, mask, row, edits, work)
        if row["top_k"] > 0 and _TOO_MANY * row["top_k"] < size <= len(work[5]) - LANES:
            size = _prune(row["top_k"], size, work)
    for j in range(size):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    return size
