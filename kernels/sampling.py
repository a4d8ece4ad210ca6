"""From a row of logits to a token: edits, mask, truncations, draw, logprobs.

    z = edits(logits); candidates = allowed ids with z > -inf, ascending
    weights = exp((z - max z) / T)
    top_k, top_p, typical_p, min_p: each keeps part of what the one before kept
    token = first id whose cumulative weight exceeds u * total;  logprob = log(weight / total)

The order stands in `distribution_of_row` and nowhere else. Kernels do not raise: a row answers with
its number of candidates, NOT_FINITE or NOTHING_ALLOWED. These are the plain kernels, a definition
that can be read; arithmetic after the edits is float64 throughout.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.edits import collect, edit_row
from sampler.kernels.numeric import BLOCK, block_sum, total
from sampler.kernels.philox import uniform
from sampler.kernels.prefilter import top_candidates
from sampler.kernels.row import EXPONENT, NOT_FINITE, UNDECIDED, WEIGHT, Z
from sampler.kernels.truncation import (
    cut_min_p,
    cut_top_k,
    cut_top_p,
    cut_typical,
    log_total,
    weigh,
)

# top_k candidates are looked for among lane maxima when there are enough of them to tell
_LANES_PER_CANDIDATE = 2


@kernel
def distribution_of_row(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays
) -> int:
    """What one row is drawn from: ids[:n] ascending, their EXPONENT and WEIGHT; n or a status.

    logits : float32[>= V], V = len(ids); mask : (int32[words], whether to look at it);
    edits : (table, touched) of the row. A greedy row keeps every candidate, at temperature 1.
    """
    ids, columns = work[0], work[1]
    size = UNDECIDED
    if not row["greedy"] and 0 < row["top_k"] * _LANES_PER_CANDIDATE * 32 <= len(ids):
        size = top_candidates(logits, mask, row, edits, work, row["top_k"])
    if size == UNDECIDED:
        edit_row(logits, row, edits[0], columns[Z])
        size = collect(columns[Z], mask, False, ids)
    if size < 0:
        return size
    if row["greedy"]:
        weigh(columns, size, 1.0)
        return size
    if 0 < row["top_k"] < size:
        size = cut_top_k(size, row["top_k"], work)
    weigh(columns, size, row["temperature"])
    if row["top_p"] < 1.0:
        size = cut_top_p(size, row["top_p"], work)
    if row["typical_p"] < 1.0:
        size = cut_typical(size, row["typical_p"], work)
    if row["min_p"] > 0.0:
        size = cut_min_p(size, row["min_p"], work)
    return size


@kernel
def _draw(weights: Array, size: int, r: float) -> int:
    """The first index whose cumulative weight exceeds r < total(weights, size)."""
    below = 0.0
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        after = below + block_sum(weights, start, stop)
        if after > r:
            # the same additions as block_sum, so the block's last sum is `after` itself
            partial = 0.0
            for i in range(start, stop):
                partial += weights[i]
                if below + partial > r:
                    return i
        below = after
    return size - 1


@kernel
def _first_highest(z: Array, size: int) -> int:
    best = 0
    for i in range(1, size):
        if z[i] > z[best]:
            best = i
    return best


@kernel
def _write_top(size: int, count: int, work: Arrays, out: Arrays) -> None:
    """The `count` highest candidates by logit, then lower id, with their logprobs.

    out : (int64[n] ids, float32[n] logprobs), already -1 and -inf. Candidates are moved.
    """
    ids, columns = work[0], work[1]
    log_mass = log_total(work, size)
    if count < size:
        size = cut_top_k(size, count, work)
    _sort_by_rank(ids, columns, size)
    top_ids, top_logprobs = out
    for i in range(size):
        top_ids[i] = ids[i]
        top_logprobs[i] = np.float32(min(columns[EXPONENT, i] - log_mass, 0.0))


@kernel
def _sort_by_rank(ids: Array, columns: Array, size: int) -> None:
    """Orders candidates by Z, descending, then lower id (Shell 1959: insertion sort for a few)."""
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, size):
            token_id, z, exponent = ids[i], columns[Z, i], columns[EXPONENT, i]
            at = i
            while at >= gap and (
                columns[Z, at - gap] < z or (columns[Z, at - gap] == z and ids[at - gap] > token_id)
            ):
                ids[at] = ids[at - gap]
                columns[Z, at] = columns[Z, at - gap]
                columns[EXPONENT, at] = columns[EXPONENT, at - gap]
                at -= gap
            ids[at], columns[Z, at], columns[EXPONENT, at] = token_id, z, exponent
        gap //= 3


@kernel
def _raw_distribution(logits: Array, lenient: bool, work: Arrays) -> int:
    """The model's own softmax as EXPONENT and WEIGHT of ids[:n]; n or a status, as `collect`."""
    ids, columns = work[0], work[1]
    for i in range(len(ids)):
        columns[Z, i] = logits[i]
    size = collect(columns[Z], (ids, False), lenient, ids)
    if size > 0:
        weigh(columns, size, 1.0)
    return size


@kernel
def score_tokens(logits: Array, token_ids: Array, work: Arrays, logprobs: Array) -> None:
    """logprobs[i] = log-softmax of logits[i] at token_ids[i]; NaN for a row with NaN or +inf.

    logits : float32[n, >= V]; token_ids : int64[n]; logprobs : float32[n], out.
    """
    ids, columns = work[0], work[1]
    for b in range(len(token_ids)):
        size = _raw_distribution(logits[b], False, work)
        at = np.searchsorted(ids[:size], token_ids[b]) if size > 0 else 0
        logprobs[b] = np.nan if size == NOT_FINITE else -np.inf
        if at < size and ids[at] == token_ids[b]:
            logprobs[b] = min(columns[EXPONENT, at] - log_total(work, size), 0.0)


@kernel
def sample_row(
    logits: Array,
    mask: Arrays,
    row: Record,
    edits: Arrays,
    work: Arrays,
    top: Arrays,
) -> tuple[int, float, float]:
    """One token, its logprob as asked for and the processed one, or (status, -inf, -inf).

    `top` is filled as `_write_top` says.
    """
    ids, columns = work[0], work[1]
    size = distribution_of_row(logits, mask, row, edits, work)
    if size < 0:
        return size, -np.inf, -np.inf
    if row["greedy"]:
        chosen = _first_highest(columns[Z], size)
    else:
        u = uniform(row["seed"], row["position"])
        chosen = _draw(columns[WEIGHT], size, u * total(columns[WEIGHT], size))
    token_id = ids[chosen]
    # rounding must not make a certain token more than certain
    processed = min(columns[EXPONENT, chosen] - log_total(work, size), 0.0)
    logprob = processed
    if row["raw_logprobs"]:
        # the mask may forbid what is not finite: it then counts as -inf
        size = _raw_distribution(logits, True, work)
        chosen = np.searchsorted(ids[:size], token_id)
        logprob = min(columns[EXPONENT, chosen] - log_total(work, size), 0.0)
    if row["top_n"] > 0:
        _write_top(size, row["top_n"], work, top)
    return token_id, logprob, processed


@kernel
def sample_batch(
    logits: Array,
    mask: Arrays,
    rows: Arrays,
    edits: Arrays,
    work: Arrays,
    out: Arrays,
) -> None:
    """One token for each row of `logits`; rows share nothing but the workspace.

    logits : float32[B, >= V]; mask : (int32[B, words], whether to look at it);
    rows : (int64[B] slots, ROW[slots]); edits : (TOUCHED[slots, n], int32[slots, ceil(V / 32)]);
    out : token ids int64[B] (negative: a status), logprobs as asked for and processed ones
    float32[2, B], top ids int64[B, n], top logprobs float32[B, n].
    """
    bitmask, masked = mask
    slots, parameters = rows
    tables, touched = edits
    token_ids, logprobs, top_ids, top_logprobs = out
    for b in range(len(slots)):
        slot = slots[b]
        top_ids[b] = -1
        top_logprobs[b] = -np.inf
        token_id, logprob, processed = sample_row(
            logits[b],
            (bitmask[b], masked),
            parameters[slot],
            (tables[slot], touched[slot]),
            work,
            (top_ids[b], top_logprobs[b]),
        )
        token_ids[b] = token_id
        logprobs[0, b] = logprob
        logprobs[1, b] = processed
