"""Rows of which few candidates can be kept: they are found, then treated as the plain path does."""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.bulk import SHORT_HEAD, bound_of_head, is_near, raw_view, weigh_row
from sampler.kernels.candidates import few_candidates
from sampler.kernels.finish import finish, logprob_of
from sampler.kernels.listed import sum_of
from sampler.kernels.numeric import log
from sampler.kernels.row import ROW, UNDECIDED, WEIGHT, edits_of, views_of
from sampler.kernels.rows import begin_row, end_row
from sampler.kernels.truncation import weigh_and_truncate
from sampler.kernels.wide import raw_score


@kernel
def few_row(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """The token and its processed logprob, or a status."""
    size = few_candidates(logits, mask, row, edits, work)
    if size < 0:
        return size, 0.0
    return finish(row, weigh_and_truncate(row, size, work), work, top)


@kernel
def _raw_row(logits: Array, mask: Arrays, row: Record, work: Arrays) -> tuple[int, float, float]:
    """The token, its raw logprob and its processed one, in one reading; or a status.

    For rows that nothing edits: the head of the model's own softmax has their candidates.
    """
    if mask[1] or row["touched_size"] > 0 or row["green"] or row["top_k"] == 0 or row["top_n"] > 0:
        return UNDECIDED, 0.0, 0.0
    view = raw_view(logits, work)
    size, bulk = weigh_row(view, 1.0, False, bound_of_head(view, SHORT_HEAD, work), work)
    if size < row["top_k"]:
        return UNDECIDED, 0.0, 0.0
    columns = work[1]
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    no_top = (work[2][:0], work[6][:0])
    token_id, processed = finish(row, weigh_and_truncate(row, size, work), work, no_top)
    logprob = logprob_of(min(np.float64(logits[token_id]) - bulk.highest, 0.0), log(mass))
    if not is_near(bulk.error / mass, logprob):
        return UNDECIDED, 0.0, 0.0
    return token_id, logprob, processed


@kernel
def _sample_row(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays, top: Arrays
) -> tuple[int, float, float]:
    """The token, its logprob as asked for and its processed one; or a status."""
    if row["raw_logprobs"]:
        token_id, logprob, processed = _raw_row(logits, mask, row, work)
        if token_id >= 0:
            return token_id, logprob, processed
    token_id, processed = few_row(logits, mask, row, edits, work, top)
    if token_id < 0 or not row["raw_logprobs"]:
        return token_id, processed, processed
    status, logprob = raw_score(logits, token_id, row["top_n"], work, top)
    return status if status < 0 else token_id, logprob, processed


@kernel
def sample_few(
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
        mask = (bitmask[b].view(np.uint16), masked)
        edits = edits_of(row, slot, tables, touched)
        token_id, logprob, processed = _sample_row(logits[b], mask, row, edits, views, top)
        token_ids[b] = token_id
        if token_id < 0:
            failed += 1
            continue
        logprobs[b], processed_logprobs[b] = logprob, processed
        end_row(row, edits, recent[slot], token_id)
    return failed
