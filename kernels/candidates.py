"""The few candidates that a row can keep, found while it is read once.

`top_k` bounds them by the k-th highest lane maximum, `min_p` alone by the highest, and a mask that
allows hardly anything by its set bits. What the plain path does to all candidates is then done to
these, in the same order, and the result is the same. Where that says nothing (fewer lanes than k,
-inf everywhere) the answer is UNDECIDED.

The watermark only adds, at most delta: ids are read down to bound - delta, and only these are
hashed.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.edits import edited, marked
from sampler.kernels.lane_bits import count_bits, lowest_bit
from sampler.kernels.numeric import log
from sampler.kernels.row import BLOCK, NOT_FINITE, NOTHING_ALLOWED, UNDECIDED, Z
from sampler.kernels.scan import (
    NOTHING,
    any_bits_of,
    bound_of,
    edited_logit,
    gather,
    highest_of,
    is_touched,
    lane_maxima,
)

_ONE = np.uint32(1)
_LEAST_MIN_P = 1e-290  # below, weights are subnormal: their rounding is coarse

# A mask is walked bit by bit when it allows at most one id in this many
_SPARSE = 128


@kernel
def edit_touched(logits: Array, row: Record, table: Array, changed: Array) -> None:
    """changed[i] = the logit of id i after watermark, penalties and bias, for each id of `table`."""
    for j in range(row["touched_size"]):
        i = table[j]["id"]
        changed[i] = edited(marked(np.float64(logits[i]), row, i), row, table[j])


@kernel
def view_of(logits: Array, mask: Arrays, row: Record, touched: Array, changed: Array) -> Arrays:
    """The row as `scan` sees it, once `edit_touched` has filled `changed`."""
    bitmask, masked = mask
    return logits, changed, touched, row["touched_size"] > 0, bitmask, masked


@inlined
def _count_allowed(bitmask: Array) -> int:
    count = 0
    for word in bitmask:
        count += count_bits(np.uint32(word))
    return count


@inlined
def is_sparse(mask: Arrays, width: int) -> bool:
    """Whether a mask allows so few ids that it is quicker to visit each than to read the row."""
    bitmask, masked = mask
    return masked and _count_allowed(bitmask) * _SPARSE <= width


@inlined
def _gather_word(view: Arrays, word: int, size: int, out: Arrays) -> int:
    """Adds the allowed ids of one mask word to the `size` in `out`; how many then, or NOT_FINITE."""
    ids, z = out
    bits = np.uint32(view[4][word])
    while bits != 0:
        token_id = 32 * word + lowest_bit(bits)
        bits &= bits - _ONE
        if token_id >= len(view[1]):
            break
        value = edited_logit(view, token_id)
        if not value < np.inf:
            return NOT_FINITE
        ids[size] = token_id
        z[size] = value
        size += value > -np.inf
    return size


@kernel
def allowed_candidates(view: Arrays, out: Arrays) -> int:
    """The number of allowed ids above -inf, written in ascending order; or a status."""
    bitmask = view[4]
    size = 0
    for first in range(0, len(bitmask), BLOCK // 32):
        last = min(first + BLOCK // 32, len(bitmask))
        if last - first == BLOCK // 32 and not any_bits_of(bitmask, 32 * first):
            continue
        for word in range(first, last):
            size = _gather_word(view, word, size, out)
            if size < 0:
                return size
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


@kernel
def high_candidates(view: Arrays, row: Record, maxima: Array, out: Arrays) -> int:
    """The number of ids that may be among those `top_k` or, without it, `min_p` keeps; or a status.

    They are written to `out` in ascending order; the watermark is still to be added.
    """
    size, bad = lane_maxima(view, maxima)
    if bad:
        return NOT_FINITE
    bound = _bound(row, maxima, size)
    if not bound > -np.inf:
        return UNDECIDED
    if row["green"]:
        # lower by a little more than delta: adding it rounds
        slack = 1e-6 * (abs(np.float64(bound)) + row["green_delta"])
        bound = np.float32(np.float64(bound) - row["green_delta"] - slack)
    return gather(view, maxima, size, bound, out)


@kernel
def few_candidates(logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays) -> int:
    """The number of candidates, all that can be kept: ids[:n] ascending and their Z in `work`.

    Or NOT_FINITE, NOTHING_ALLOWED or UNDECIDED. `row` has a top_k, or a min_p and no top_p and
    typical_p; or its mask is sparse.
    """
    ids, columns, maxima, changed = work[0], work[1], work[5], work[6]
    table, touched = edits
    edit_touched(logits, row, table, changed)
    view = view_of(logits, mask, row, touched, changed)
    out = (ids, columns[Z])
    if is_sparse(mask, len(ids)):
        size = allowed_candidates(view, out)
    else:
        size = high_candidates(view, row, maxima, out)
    for j in range(size):
        if row["green"] and not is_touched(view, ids[j]):
            columns[Z, j] = marked(columns[Z, j], row, ids[j])
            if not columns[Z, j] < np.inf:
                return NOT_FINITE
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    return size
