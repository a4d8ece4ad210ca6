"""Rows of which every candidate counts: greedy logprobs, plain temperature, top_p, typical_p.

    head = the few hundred highest ids, weighed in float64
    bulk = the sum of all the others in float32, with a bound on its error
    total = head + bulk

What is kept lies in the head, or is drawn by the sums of the blocks. Each decision is checked
against the error of `total`: where that could change it the answer is UNDECIDED, and the plain path
decides in float64. The row is read once.
"""

import math

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.candidates import sparse_candidates
from sampler.kernels.finish import finish, first_highest, logprob_of, write_top
from sampler.kernels.lanes import LANES, store
from sampler.kernels.numeric import exp_of_negative, log, total
from sampler.kernels.philox import uniform
from sampler.kernels.precise import ERROR as PRECISE_ERROR
from sampler.kernels.precise import precise_bulk, precise_sixteen
from sampler.kernels.row import BLOCK, EXPONENT, RANK, ROW, TOUCHED, UNDECIDED, WEIGHT, Z, views_of
from sampler.kernels.rows import begin_row, end_row
from sampler.kernels.scan import bound_of
from sampler.kernels.selection import keep_prefix, last_kept, order_keys
from sampler.kernels.truncation import (
    cut_by_min_p,
    cut_by_typical_p,
    weigh,
    weigh_and_truncate,
    weighted_exponents,
)
from sampler.kernels.view import (
    edit_touched,
    edited_lanes,
    edited_logit,
    mask_of,
    view_of,
    width_of,
)
from sampler.kernels.weights import LN_2, bulk_of_sixteen, corrected, head_and_bulk, scale_of

# The bound of the head is so far down in one id of 64; the second is tried where the first is short
SHORT_HEAD = 4
_LONG_HEAD = 64
_LONGEST_HEAD = 16384
_ROUNDING = 1e-12  # of sums and boundaries in float64, relative to the total


@kernel
def _bound_of_head(view: Arrays, sampled: int, maxima: Array) -> float:
    """A logit that about 64 * `sampled` ids reach, by the first sixteen of every other block."""
    width = width_of(mask_of(view), len(view[1]))
    size = 0
    for start in range(0, width - LANES + 1, 2 * BLOCK):
        store(maxima, size, edited_lanes(view, start))
        size += LANES
    return np.float64(bound_of(maxima, size, sampled))


@kernel
def weigh_row(
    view: Arrays, temperature: float, with_exponents: bool, sampled: int, work: Arrays
) -> tuple[int, Arrays]:
    """The size of the weighed head in `work`, or a status, and what is known of the bulk.

    Bulk: (weight, bound on its error, sum of weight * exponent, bound on that error, factor from
    the sums of `work` to weights, bound of the head, scale, whether the sums are float64), weights
    relative to the highest.
    """
    ids, columns, maxima, sums = work[0], work[1], work[5], work[7]
    bound = _bound_of_head(view, sampled, maxima)
    scale = scale_of(bound, temperature)
    nothing = (0.0, 0.0, 0.0, 0.0, 0.0, bound, scale, False)
    if not bound > -np.inf or math.isnan(scale[1]):
        return UNDECIDED, nothing
    most = min(len(ids), _LONGEST_HEAD)
    out = (ids[:most], columns[Z, :most])
    size, products = head_and_bulk(view, bound, scale, with_exponents, sums, out)
    if size < 0:
        return size, nothing
    for j in range(size):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    weigh(columns, size, temperature)
    return size, _bulk_of(view, size, bound, scale, products, work)


@kernel
def _bulk_of(
    view: Arrays, size: int, bound: float, scale: Arrays, products: float, work: Arrays
) -> Arrays:
    """What `weigh_row` tells of the bulk, from its sums in float32."""
    columns, sums = work[1], work[7]
    c, reference = scale
    width = width_of(mask_of(view), len(view[1]))
    raw = total(sums, -(-width // BLOCK))
    correction, error = corrected(raw, width, scale)
    highest = columns[Z, first_highest(columns[Z], size)]
    shift = (reference - highest * c) * LN_2  # from the bulk's reference to the highest
    factor = 2.0 * exp_of_negative(min(shift - LN_2, 0.0)) * correction
    off = abs(c - np.float64(np.float32(c))) / c
    bulk = factor * raw
    exponents = factor * (products * LN_2 + raw * shift)
    exponents_error = error * abs(exponents) + factor * (
        (error + 100.0 * off) * abs(products) + (error + off) * (abs(reference) + 100.0) * raw
    )
    return bulk, error * bulk, exponents, exponents_error, factor, bound, scale, False


@kernel
def weigh_again(
    view: Arrays, temperature: float, with_exponents: bool, size: int, bulk: Arrays, work: Arrays
) -> Arrays:
    """The same bulk in float64."""
    columns, sums = work[1], work[7]
    bound, scale = bulk[5], bulk[6]
    products = precise_bulk(view, bound, temperature, with_exponents, work)
    width = width_of(mask_of(view), len(view[1]))
    raw = total(sums, -(-width // BLOCK))
    highest = columns[Z, first_highest(columns[Z], size)]
    shift = (bound - highest) / temperature if bound < highest else 0.0
    factor = exp_of_negative(shift)
    weight, exponents = factor * raw, factor * (products + raw * shift)
    exponents_error = PRECISE_ERROR * (abs(exponents) + weight * (1.0 + abs(shift)))
    return weight, PRECISE_ERROR * weight, exponents, exponents_error, factor, bound, scale, True


@kernel
def is_near(error: float, logprob: float) -> bool:
    """Whether a logprob with this error is right to the last digit of a float32 but one."""
    return error <= 1e-9 + abs(logprob) * 2.0**-25


@kernel
def _greedy(row: Record, size: int, bulk: Arrays, work: Arrays, top: Arrays) -> tuple[int, float]:
    ids, columns = work[0], work[1]
    chosen = first_highest(columns[Z], size)
    token_id = ids[chosen]
    mass = total(columns[WEIGHT], size) + bulk[0]
    log_mass = log(mass)
    logprob = logprob_of(columns[EXPONENT, chosen], log_mass)
    if not is_near(bulk[1] / mass, logprob) or (row["top_n"] > size and bulk[0] > 0.0):
        return UNDECIDED, 0.0
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        write_top(size, row["top_n"], log_mass, work, top)
    return token_id, logprob


@kernel
def _head_until(ids: Array, weights: Array, span: tuple[int, int, int]) -> tuple[int, float]:
    """The first head index from span[0] on, below span[1], whose id is >= span[2]; the weights."""
    head, size, stop = span
    here = 0.0
    while head < size and ids[head] < stop:
        here += weights[head]
        head += 1
    return head, here


@kernel
def _find_sixteen(
    view: Arrays, row: Record, r: float, size: int, bulk: Arrays, work: Arrays
) -> tuple[int, float]:
    """The first of the sixteen ids among which the cumulative weight passes r, and that before."""
    ids, weights, sums = work[0], work[1][WEIGHT], work[7]
    factor, bound, scale = bulk[4], bulk[5], bulk[6]
    width = width_of(mask_of(view), len(view[1]))
    below = 0.0
    head = 0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        after, here = _head_until(ids, weights, (head, size, stop))
        here += factor * sums[start // BLOCK]
        if below + here <= r:
            below, head = below + here, after
            continue
        for at in range(start, stop - stop % LANES, LANES):
            after, here = _head_until(ids, weights, (head, size, at + LANES))
            if bulk[7]:
                here += factor * precise_sixteen(view, at, bound, row["temperature"])
            else:
                here += factor * bulk_of_sixteen(view, at, bound, scale)
            if below + here > r:
                return at, below
            below, head = below + here, after
        return stop - stop % LANES, below
    return width, below


@kernel
def _draw_of_all(
    view: Arrays, row: Record, size: int, bulk: Arrays, work: Arrays
) -> tuple[int, float, float]:
    """The token, its exponent, and the total; or UNDECIDED."""
    columns = work[1]
    mass = total(columns[WEIGHT], size) + bulk[0]
    slack = bulk[1] + _ROUNDING * mass
    r = uniform(row["seed"], row["position"]) * mass
    start, below = _find_sixteen(view, row, r, size, bulk, work)
    highest = columns[Z, first_highest(columns[Z], size)]
    for token_id in range(start, min(start + LANES, width_of(mask_of(view), len(view[1])))):
        difference = np.float64(edited_logit(view, token_id)) - highest
        exponent = difference / row["temperature"] if difference < 0.0 else 0.0
        weight = exp_of_negative(exponent)
        if below + weight > r:
            if r - below > slack and below + weight - r > slack:
                return token_id, exponent, mass
            break
        below += weight
    return UNDECIDED, 0.0, mass


@kernel
def _sample_all(
    view: Arrays, row: Record, size: int, bulk: Arrays, work: Arrays, top: Arrays
) -> tuple[int, float]:
    token_id, exponent, mass = _draw_of_all(view, row, size, bulk, work)
    log_mass = log(mass)
    logprob = logprob_of(exponent, log_mass)
    if token_id < 0 or not is_near(bulk[1] / mass, logprob) or row["top_n"] > size:
        return UNDECIDED, 0.0
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        write_top(size, row["top_n"], log_mass, work, top)
    return token_id, logprob


@kernel
def _certain_cut(size: int, limits: tuple[float, float, float, float], work: Arrays) -> int:
    """How many of the head stay when ranked by RANK up to a weight; or UNDECIDED.

    limits : (the weight, a bound on its error, one on that of each RANK, the highest RANK that an
    id outside the head may have).
    """
    limit, error, slack, outside = limits
    ids, columns, keys, indices, bins = work[:5]
    order_keys(columns[RANK], size, keys)
    last = last_kept(keys, columns[WEIGHT], size, limit, (indices, bins))
    rank = columns[RANK, last]
    before = 0.0
    for i in range(size):
        above = columns[RANK, i] - rank
        if above > slack:
            before += columns[WEIGHT, i]
        elif above >= -slack:
            if columns[Z, i] != columns[Z, last]:
                return UNDECIDED
            if i < last:
                before += columns[WEIGHT, i]
    certain = before + error < limit <= before + columns[WEIGHT, last] - error
    if not certain or rank - slack <= outside:
        return UNDECIDED
    return keep_prefix(keys, last, size, ids, columns)


@kernel
def _cut_top_p(row: Record, size: int, bulk: Arrays, work: Arrays) -> int:
    columns = work[1]
    for i in range(size):
        columns[RANK, i] = columns[Z, i]
    mass = total(columns[WEIGHT], size) + bulk[0]
    error = bulk[1] + _ROUNDING * mass
    return _certain_cut(size, (row["top_p"] * mass, error, 0.0, -np.inf), work)


@kernel
def _cut_typical(row: Record, size: int, bulk: Arrays, work: Arrays) -> int:
    columns = work[1]
    mass = total(columns[WEIGHT], size) + bulk[0]
    error = bulk[1] + _ROUNDING * mass
    centre = (weighted_exponents(size, columns) + bulk[2]) / mass
    slack = 2.0 * ((bulk[3] + abs(centre) * error) / mass + _ROUNDING * (1.0 + abs(centre)))
    highest = columns[Z, first_highest(columns[Z], size)]
    lowest = (bulk[5] - highest) / row["temperature"]
    for i in range(size):
        columns[RANK, i] = -abs(centre - columns[EXPONENT, i]) + 0.0
    if lowest >= centre:
        return UNDECIDED
    limits = (row["typical_p"] * mass, error, slack, lowest - centre + slack)
    return _certain_cut(size, limits, work)


@kernel
def _decide(
    view: Arrays, row: Record, size: int, bulk: Arrays, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """The token of a row with this head and bulk, and its processed logprob; or UNDECIDED."""
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
def _sample_dense(view: Arrays, row: Record, work: Arrays, top: Arrays) -> tuple[int, float]:
    """The token of a row whose mask is not sparse, and its processed logprob; or a status."""
    truncated = not row["greedy"] and (row["top_p"] < 1.0 or row["typical_p"] < 1.0)
    with_exponents = truncated and row["top_p"] == 1.0
    temperature = 1.0 if row["greedy"] else row["temperature"]
    size, bulk = weigh_row(view, temperature, with_exponents, SHORT_HEAD, work)
    if size < 0:
        return size, 0.0
    token_id, logprob = _decide(view, row, size, bulk, work, top)
    if token_id == UNDECIDED and truncated:
        size, bulk = weigh_row(view, temperature, with_exponents, _LONG_HEAD, work)
        if size < 0:
            return size, 0.0
        token_id, logprob = _decide(view, row, size, bulk, work, top)
    if token_id == UNDECIDED:
        bulk = weigh_again(view, temperature, with_exponents, size, bulk, work)
        token_id, logprob = _decide(view, row, size, bulk, work, top)
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
    if row["green"]:
        return UNDECIDED, 0.0
    edit_touched(logits, row, edits[0], work[6])
    return _sample_dense(view_of(logits, mask, row, edits[1], work[6]), row, work, top)


@inlined
def raw_view(logits: Array, work: Arrays) -> Arrays:
    """The model's own row."""
    no_bits = work[0].view(np.uint16)
    return logits, work[6], no_bits, False, no_bits, False


@kernel
def raw_score(
    logits: Array, token_id: int, count: int, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """A status (0 is good) and the log-softmax of the model's own row at `token_id`.

    Its `count` highest are written to `top`.
    """
    columns = work[1]
    view = raw_view(logits, work)
    size, bulk = weigh_row(view, 1.0, False, SHORT_HEAD, work)
    if size < count or size < 1:
        return UNDECIDED, 0.0  # the mask may forbid what is not finite: it then counts as -inf
    mass = total(columns[WEIGHT], size) + bulk[0]
    log_mass = log(mass)
    highest = columns[Z, first_highest(columns[Z], size)]
    logprob = logprob_of(min(np.float64(logits[token_id]) - highest, 0.0), log_mass)
    if not is_near(bulk[1] / mass, logprob):
        bulk = weigh_again(view, 1.0, False, size, bulk, work)
        log_mass = log(total(columns[WEIGHT], size) + bulk[0])
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
        mask, edits = (
            (bitmask[b].view(np.uint16), masked),
            (tables[slot].view(TOUCHED), touched[slot]),
        )
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
