"""From a row of logits to a token, by the definition.

    z = edits(logits); candidates = allowed ids with z > -inf, ascending
    weights = exp((z - max z) / T)
    top_k, top_p, typical_p, min_p: each keeps part of what the one before kept
    token = first id whose cumulative weight exceeds u * total;  logprob = log(weight / total)

These are the plain kernels, a definition that can be read: every candidate, float64 throughout
after the edits. `few` and `wide` give the same tokens faster where they can. Kernels do not raise:
a row answers with its number of candidates, NOT_FINITE or NOTHING_ALLOWED.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.edits import collect, edit_row
from sampler.kernels.finish import finish, logprob_of, write_top
from sampler.kernels.row import EXPONENT, NOT_FINITE, ROW, Z, edits_of, views_of
from sampler.kernels.rows import begin_row, end_row
from sampler.kernels.truncation import log_total, weigh, weigh_and_truncate


@kernel
def distribution_of_row(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays
) -> int:
    """What one row is drawn from: ids[:n] ascending, their EXPONENT and WEIGHT; n or a status.

    logits : float32[>= V], V = len(ids); mask : (int32[words], whether to look at it);
    edits : (table, touched) of the row. A greedy row keeps every candidate, at temperature 1.
    """
    ids, columns = work[0], work[1]
    edit_row(logits, row, edits[0], columns[Z])
    size = collect(columns[Z], mask, False, ids)
    if size < 0:
        return size
    if row["greedy"]:
        weigh(columns, size, 1.0)
        return size
    return weigh_and_truncate(row, size, work)


@kernel
def raw_distribution(logits: Array, lenient: bool, work: Arrays) -> int:
    """The model's own softmax as EXPONENT and WEIGHT of ids[:n]; n or a status, as `collect`."""
    ids, columns = work[0], work[1]
    for i in range(len(ids)):
        columns[Z, i] = logits[i]
    size = collect(columns[Z], (ids, False), lenient, ids)
    if size > 0:
        weigh(columns, size, 1.0)
    return size


@kernel
def raw_logprob(logits: Array, token_id: int, count: int, work: Arrays, top: Arrays) -> float:
    """The log-softmax of the model's own row at `token_id`; its `count` highest are written."""
    ids, columns = work[0], work[1]
    # the mask may forbid what is not finite: it then counts as -inf
    size = raw_distribution(logits, True, work)
    at = np.searchsorted(ids[:size], token_id)
    log_mass = log_total(work, size)
    logprob = logprob_of(columns[EXPONENT, at], log_mass)
    if count > 0:
        write_top(size, count, log_mass, work, top)
    return logprob


@kernel
def score_tokens(logits: Array, token_ids: Array, work: Array, logprobs: Array) -> None:
    """logprobs[i] = log-softmax of logits[i] at token_ids[i]; NaN for a row with NaN or +inf.

    logits : float32[n, >= V]; token_ids : int64[n]; logprobs : float32[n], out.
    """
    views = views_of(work)
    ids, columns = views[0], views[1]
    for b in range(len(token_ids)):
        size = raw_distribution(logits[b], False, views)
        at = np.searchsorted(ids[:size], token_ids[b]) if size > 0 else 0
        logprobs[b] = np.nan if size == NOT_FINITE else -np.inf
        if at < size and ids[at] == token_ids[b]:
            logprobs[b] = logprob_of(columns[EXPONENT, at], log_total(views, size))


@kernel
def sample_plain(
    logits: Array,
    bitmask: Array,
    masked: bool,
    pairs: Array,
    parameters: Array,
    tables: Array,
    touched: Array,
    recent: Array,
    work: Array,
    token_ids: Array,
    logprobs: Array,
    processed_logprobs: Array,
    top_ids: Array,
    top_logprobs: Array,
) -> int:
    """One token for each pair of a row of logits and a slot, as `rows` says."""
    views = views_of(work)
    rows = parameters.view(ROW)
    failed = 0
    for n in range(pairs.shape[1]):
        b, slot = pairs[0, n], pairs[1, n]
        row, top = rows[slot], (top_ids[b], top_logprobs[b])
        begin_row(row, recent[slot], top)
        edits = edits_of(row, slot, tables, touched)
        size = distribution_of_row(logits[b], (bitmask[b], masked), row, edits, views)
        if size < 0:
            token_ids[b] = size
            failed += 1
            continue
        token_id, processed = finish(row, size, views, top)
        logprob = processed
        if row["raw_logprobs"]:
            logprob = raw_logprob(logits[b], token_id, row["top_n"], views, top)
        token_ids[b], logprobs[b], processed_logprobs[b] = token_id, logprob, processed
        end_row(row, edits, recent[slot], token_id)
    return failed
