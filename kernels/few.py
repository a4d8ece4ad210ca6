"""Rows of which few candidates can be kept: they are found, then treated as the plain path does."""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.candidates import few_candidates
from sampler.kernels.finish import finish
from sampler.kernels.row import views_of
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
    failed = 0
    for n in range(pairs.shape[1]):
        b, slot = pairs[0, n], pairs[1, n]
        row, top = parameters[slot], (top_ids[b], top_logprobs[b])
        begin_row(row, recent[slot], top)
        mask, edits = (bitmask[b].view(np.uint16), masked), (tables[slot], touched[slot])
        token_id, processed = few_row(logits[b], mask, row, edits, views, top)
        logprob = processed
        if token_id >= 0 and row["raw_logprobs"]:
            status, logprob = raw_score(logits[b], token_id, row["top_n"], views, top)
            token_id = status if status < 0 else token_id
        token_ids[b] = token_id
        if token_id < 0:
            failed += 1
            continue
        logprobs[b], processed_logprobs[b] = logprob, processed
        end_row(row, edits, recent[slot], token_id)
    return failed
