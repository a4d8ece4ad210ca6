"""Rows of which every candidate counts: greedy logprobs, plain temperature, top_p, typical_p.

    total = head + bulk (see `bulk`)

What is kept lies in the head, or is drawn by the sums of the blocks; where a truncation keeps more
than the head, `nucleus` parts the row otherwise. Each decision is checked against the error of
`total`: where that could change it, the bulk is summed in float64, and then the answer is UNDECIDED
and the plain path decides. Most rows are read once.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.block_draw import draw_of_all
from sampler.kernels.bulk import (
    LONG_HEAD,
    ROUNDING,
    SHORT_HEAD,
    Bulk,
    are_near,
    bound_of_head,
    is_flat,
    is_near,
    raw_view,
    weigh_again,
    weigh_row,
)
from sampler.kernels.candidates import sparse_candidates
from sampler.kernels.edits import edit_row
from sampler.kernels.finish import finish, first_highest, logprob_of, write_top
from sampler.kernels.flat import weigh_flat
from sampler.kernels.listed import list_from, sum_of, sum_of_products
from sampler.kernels.nucleus import sample_nucleus
from sampler.kernels.numeric import log
from sampler.kernels.pivots import Known
from sampler.kernels.row import EXPONENT, RANK, ROW, UNDECIDED, WEIGHT, Z, edits_of, views_of
from sampler.kernels.rows import begin_row, end_row
from sampler.kernels.selection import FEW, keep_prefix, last_of, order_keys, value_of_few
from sampler.kernels.truncation import (
    cut_by_min_p,
    cut_by_typical_p,
    weigh,
    weigh_and_truncate,
)
from sampler.kernels.view import (
    edit_touched,
    view_of,
)

_IDS_PER_SAMPLED = 2**15  # of the head of a row that typical_p cuts
_BEYOND = -4  # what is kept is more than the head


@kernel
def _greedy(row: Record, size: int, bulk: Bulk, work: Arrays, top: Arrays) -> tuple[int, float]:
    ids, columns = work[0], work[1]
    chosen = first_highest(columns[Z], size)
    token_id = ids[chosen]
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    log_mass = log(mass)
    logprob = logprob_of(columns[EXPONENT, chosen], log_mass)
    if not is_near(bulk.error / mass, logprob) or row["top_n"] > size:
        return UNDECIDED, 0.0
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        write_top(size, row["top_n"], log_mass, work, top)
    return token_id, logprob


@kernel
def _sample_all(
    view: Arrays, row: Record, size: int, bulk: Bulk, work: Arrays, top: Arrays
) -> tuple[int, float]:
    columns = work[1]
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    known = (mass, bulk.highest)
    listed = (columns[WEIGHT], size, 1.0, 0.0)
    token_id, exponent = draw_of_all(view, row, known, listed, bulk, work)
    log_mass = log(mass)
    logprob = logprob_of(exponent, log_mass)
    near = are_near(bulk.error / mass, logprob, log_mass, row["top_n"])
    if token_id < 0 or not near or row["top_n"] > size:
        return UNDECIDED, 0.0
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        write_top(size, row["top_n"], log_mass, work, top)
    return token_id, logprob


@kernel
def _certain_cut(
    size: int, span: tuple[float, float], limits: tuple[float, float, float, float], work: Arrays
) -> int:
    """How many of the head stay when ranked by RANK up to a weight; or UNDECIDED, or _BEYOND.

    span : what the RANK of an id outside the head is below, and the highest there may be;
    limits : (the weight, a bound on its error, one on that of a difference of ranks, the centre
    from which they are counted). An error of the centre cannot change the order of ids to the same
    side of it.
    """
    limit, error, slack, centre = limits
    ids, columns, keys, indices, bins = work[:5]
    ranks, weights = columns[RANK], columns[WEIGHT]
    if sum_of(weights, size) + error < limit:
        return _BEYOND
    low = value_of_few(ranks, weights, size, span, limit + error)
    listed = list_from(ranks, size, low - 2.0 * slack, indices)
    order_keys(ranks, size, keys)
    last = last_of(keys, weights, listed, limit, (indices, bins))
    if listed > FEW:  # written over
        listed = list_from(ranks, size, -np.inf, indices)
    rank, below = ranks[last], columns[EXPONENT, last] < centre
    if rank - slack < span[0]:
        return _BEYOND
    before = 0.0
    for j in range(listed):
        i = indices[j]
        above = ranks[i] - rank
        if above > slack:
            before += weights[i]
        elif above >= -slack:
            is_tie = columns[Z, i] == columns[Z, last]
            other_side = (columns[EXPONENT, i] < centre) != below or -rank <= slack
            if not is_tie and (other_side or above == 0.0):
                return UNDECIDED
            if above > 0.0 or (is_tie and i < last):
                before += weights[i]
    if not before + error < limit <= before + weights[last] - error:
        return UNDECIDED
    return keep_prefix(ranks, last, size, columns, (ids, indices))


@kernel
def _cut_top_p(row: Record, size: int, bulk: Bulk, work: Arrays) -> int:
    columns = work[1]
    for i in range(size):
        columns[RANK, i] = columns[Z, i]
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    error = bulk.error + ROUNDING * mass
    span = (np.float64(bulk.bound), np.float64(bulk.highest))
    return _certain_cut(size, span, (row["top_p"] * mass, error, 0.0, 0.0), work)


@kernel
def _centre_of(row: Record, size: int, bulk: Bulk, columns: Array) -> tuple[float, float, float]:
    """The mass, and the mean exponent by weight with a bound on its error.

    Errors d of the weights move the mean by at most d * sum of weight * |exponent - mean|.
    """
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    products = sum_of_products(columns[WEIGHT], columns[EXPONENT], size)
    centre = (products + bulk.exponents) / mass
    bound = (bulk.bound - bulk.highest) / row["temperature"]
    off = abs(bound - centre)
    error = bulk.exponents_error
    if bulk.weight > 0.0:
        relative = bulk.error / bulk.weight
        error += relative * (abs(bulk.weight * bound - bulk.exponents) + 2.0 * bulk.weight * off)
    return mass, centre, 1.01 * error / mass + ROUNDING * (1.0 + abs(centre))


@kernel
def _cut_typical(row: Record, size: int, bulk: Bulk, work: Arrays) -> int:
    columns = work[1]
    mass, centre, slack = _centre_of(row, size, bulk, columns)
    error = bulk.error + ROUNDING * mass
    lowest = (bulk.bound - bulk.highest) / row["temperature"]
    if lowest >= centre:
        return _BEYOND
    for i in range(size):
        columns[RANK, i] = -abs(centre - columns[EXPONENT, i]) + 0.0
    span = (lowest - centre + 2.0 * slack, 0.0)
    return _certain_cut(size, span, (row["typical_p"] * mass, error, 2.0 * slack, centre), work)


@kernel
def _decide(
    view: Arrays, row: Record, size: int, bulk: Bulk, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """The token of a row with this head and bulk, and its processed logprob; or a status."""
    if row["greedy"]:
        return _greedy(row, size, bulk, work, top)
    if row["top_p"] < 1.0:
        size = _cut_top_p(row, size, bulk, work)
        if size > 0:
            size = cut_by_typical_p(row, size, work)
    elif row["typical_p"] < 1.0:
        size = _cut_typical(row, size, bulk, work)
    else:
        return _sample_all(view, row, size, bulk, work, top)
    if size < 0:
        return size, 0.0
    return finish(row, cut_by_min_p(row, size, work), work, top)


@kernel
def _known(row: Record, size: int, bulk: Bulk, work: Arrays) -> Known:
    _, centre, slack = _centre_of(row, size, bulk, work[1])
    return Known(
        size, bulk.weight, bulk.highest + centre * row["temperature"], centre, slack, False
    )


@kernel
def _sample_dense(view: Arrays, row: Record, work: Arrays, top: Arrays) -> tuple[int, float]:
    """The token of a row whose mask is not sparse, and its processed logprob; or a status."""
    truncated = not row["greedy"] and (row["top_p"] < 1.0 or row["typical_p"] < 1.0)
    with_exponents = truncated and row["top_p"] == 1.0
    temperature = 1.0 if row["greedy"] else row["temperature"]
    sampled = SHORT_HEAD
    if with_exponents:  # what is typical reaches farther down, the more ids there are
        sampled = max(sampled, (len(view[1]) + _IDS_PER_SAMPLED // 2) // _IDS_PER_SAMPLED)
    bound = bound_of_head(view, sampled, work)
    if truncated and is_flat(view, bound, temperature, work):
        known = Known(0, 0.0, 0.0, 0.0, 0.0, False)
        if with_exponents:
            known = weigh_flat(view, temperature, bound, work)
            if known.head < 0:
                return known.head, 0.0
        token_id, logprob = sample_nucleus(view, row, bound, known, work, top)
        if token_id != UNDECIDED:
            return token_id, logprob
    size, bulk = weigh_row(view, temperature, with_exponents, bound, work)
    if size < 0:
        return size, 0.0
    token_id, logprob = _decide(view, row, size, bulk, work, top)
    if token_id == _BEYOND:
        bound = bound_of_head(view, LONG_HEAD, work)
        size, bulk = weigh_row(view, temperature, with_exponents, bound, work)
        if size < 0:
            return size, 0.0
        token_id, logprob = _decide(view, row, size, bulk, work, top)
    if token_id == UNDECIDED:
        bulk = weigh_again(view, temperature, bulk, work)
        token_id, logprob = _decide(view, row, size, bulk, work, top)
    if token_id == _BEYOND:
        known = _known(row, size, bulk, work)
        token_id, logprob = sample_nucleus(view, row, bound, known, work, top)
    return token_id, logprob


@kernel
def wide_row(
    logits: Array, mask: Arrays, row: Record, edits: Arrays, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """The token and its processed logprob, or a status."""
    size = sparse_candidates(logits, mask, row, edits, work)
    if size != UNDECIDED:
        if size < 0:
            return size, 0.0
        if row["greedy"]:
            weigh(work[1], size, 1.0)
        else:
            size = weigh_and_truncate(row, size, work)
        return finish(row, size, work, top)
    changed = work[6]
    if row["green"]:  # every id may be changed, so none is looked up
        edit_row(logits, row, edits[0], changed)
        bits = mask[0]
        return _sample_dense((changed, changed, bits, False, bits, mask[1]), row, work, top)
    edit_touched(logits, row, edits[0], changed)
    return _sample_dense(view_of(logits, mask, row, edits[1], changed), row, work, top)


@kernel
def raw_score(
    logits: Array, token_id: int, count: int, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """A status (0 is good) and the log-softmax of the model's own row at `token_id`.

    Its `count` highest are written to `top`.
    """
    columns = work[1]
    view = raw_view(logits, work)
    size, bulk = weigh_row(view, 1.0, False, bound_of_head(view, SHORT_HEAD, work), work)
    if size < count or size < 1:
        return UNDECIDED, 0.0  # the mask may forbid what is not finite: it then counts as -inf
    mass = sum_of(columns[WEIGHT], size) + bulk.weight
    log_mass = log(mass)
    highest = bulk.highest
    logprob = logprob_of(min(np.float64(logits[token_id]) - highest, 0.0), log_mass)
    if not are_near(bulk.error / mass, logprob, log_mass, count):
        bulk = weigh_again(view, 1.0, bulk, work)
        log_mass = log(sum_of(columns[WEIGHT], size) + bulk.weight)
        logprob = logprob_of(min(np.float64(logits[token_id]) - highest, 0.0), log_mass)
    if count > 0:
        write_top(size, count, log_mass, work, top)
    return 0, logprob


@kernel
def sample_wide(
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
        token_id, processed = wide_row(logits[b], mask, row, edits, views, top)
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
