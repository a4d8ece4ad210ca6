"""top_p and typical_p of rows that keep thousands of ids.

    kept = what is inside + the listed ids that rank before the boundary (see `bands`)

The row is read once: a sample says about where the boundary is, one pass sums what surely stays and
what surely goes and lists what lies between. Of the listed ids, float32 finds the few about the
boundary, and float64 decides there. Where the error of the sums could change the decision, or the
draw, they are summed in float64; then the answer is UNDECIDED.
"""

import math

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.bands import (
    Bands,
    Parts,
    lists_of,
    padded,
    part_again,
    part_row,
    parts_of,
    weigh_listed,
)
from sampler.kernels.block_draw import draw_of_all
from sampler.kernels.bulk import ROUNDING, Bulk, are_near
from sampler.kernels.finish import logprob_of, write_top
from sampler.kernels.lane_bits import at_least, lowest_bit, where
from sampler.kernels.lanes import (
    LANES,
    add_widened,
    load,
    splat,
    store,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative, log, total
from sampler.kernels.pivots import Known, bands_for, weight_from
from sampler.kernels.row import EXPONENT, NOT_FINITE, UNDECIDED, WEIGHT, Z
from sampler.kernels.selection import rank_few
from sampler.kernels.weights import scale_of

_CLOSE = 48  # ids about the boundary that are ranked in float64
_MOST_CLOSE = 512
_MISSED = -5
_HIGHEST = 30.0  # powers of two of the highest weight above the bound
_ZERO = np.float32(0.0)
_ONE = np.uint32(1)


@kernel
def _rank(row: Record, bands: Bands, parts: Parts, found: Arrays, work: Arrays) -> Arrays:
    """Fills the float32 ranks of the listed ids.

    Results: (the centre, a bound on the error of a difference of ranks, the lowest rank inside,
    the highest outside). The rank is the logit for top_p, else minus the distance of the exponent
    from the centre.
    """
    size, top = found
    logits, _, ranks, _ = lists_of(work)
    if row["top_p"] < 1.0:
        for i in range(padded(size)):
            ranks[i] = logits[i]
        return 0.0, 0.0, bands.low, bands.outer_low
    temperature, centre = row["temperature"], parts.centre
    error = parts.centre_error + ROUNDING * (1.0 + abs(centre))
    for i in range(padded(size)):  # to float32 by rounding, which keeps the order
        ranks[i] = _typical_rank(np.float64(logits[i]), centre, top, temperature)
    low, high = (top - bands.low) / temperature, (top - bands.high) / temperature
    inside = max(abs(centre + low), abs(centre + high))
    outside = centre + (top - bands.outer_low) / temperature
    if bands.outer_high < bands.bound:
        outside = min(outside, (bands.outer_high - top) / temperature - centre)
    return centre, 2.0 * error, -inside - error, -outside + error


@inlined
def _typical_rank(z: float, centre: float, top: float, temperature: float) -> float:
    return -abs(centre - (z - top) / temperature) + 0.0


@kernel
def _holds_boundary(ranks: Array, weights: Array, size: int, goal: Arrays, slack: float) -> bool:
    """Whether the weight that is missing is reached by ranks between, but for a little error."""
    low, high, limit = goal
    if weight_from(ranks, weights, (0, size, 1), low)[0] < limit - slack:
        return False
    return bool(weight_from(ranks, weights, (0, size, 1), high)[0] < limit + slack)


@kernel
def _close_ranks(ranks: Array, weights: Array, size: int, goal: Arrays) -> tuple[float, float]:
    """Float32 ranks low < high between which the boundary lies, with few ids between them.

    goal : (a rank below it, one above it, the weight that is missing there). By interpolation: the
    weight is spread evenly enough over a narrow band. Every third step halves the band.
    """
    low, high, limit = goal
    mass_low, count_low = weight_from(ranks, weights, (0, size, 1), low)
    mass_high, count_high = weight_from(ranks, weights, (0, size, 1), high)
    for step in range(60):
        if count_low - count_high <= _CLOSE:
            break
        share = (limit - mass_high) / (mass_low - mass_high)
        margin = 0.25 * _CLOSE / (count_low - count_high)
        if step % 3 == 2 or not 0.0 <= share <= 1.0:
            share = 0.5
        elif step % 3 == 0:
            share += margin
        else:
            share -= margin
        middle = np.float64(np.float32(high + min(max(share, 0.01), 0.99) * (low - high)))
        if not low < middle < high:
            break
        mass, count = weight_from(ranks, weights, (0, size, 1), middle)
        if mass >= limit:
            low, mass_low, count_low = middle, mass, count
        else:
            high, mass_high, count_high = middle, mass, count
    return low, high


@kernel
def _gather_close(ranks: Array, size: int, span: Arrays, close: Array) -> int:
    """Lists the indices with low <= rank < high, ascending; how many, or UNDECIDED."""
    low, high = splat(np.float32(span[0])), splat(np.float32(span[1]))
    count = 0
    for i in range(0, size, LANES):
        z = load(ranks, i)
        bits = at_least(z, low) & ~at_least(z, high)
        while bits != 0:
            if count == _MOST_CLOSE:
                return UNDECIDED
            close[count] = i + lowest_bit(bits)
            bits &= bits - _ONE
            count += 1
    return count


@inlined
def _reach_of(slack: float, rank: float) -> float:
    """The error of a rank, that of float32 included."""
    return slack + 1e-6 * (1.0 + abs(rank))


@kernel
def _is_apart(place: int, count: int, slack: float, span: Arrays, bins: Array) -> bool:
    """Whether no rank is so near to that of `place` that its error could put it on the other side.

    An error of the centre cannot change the order of ids to the same side of it.
    span : (low <= rank < high is close, in float32; the centre as a logit).
    """
    if slack == 0.0:
        return True
    rank, below = bins[1, place], bins[0, place] < span[2]
    for j in range(count):
        off = abs(bins[1, j] - rank)
        may_swap = off == 0.0 or -rank <= slack or (bins[0, j] < span[2]) != below
        if off <= slack and may_swap and bins[0, j] != bins[0, place]:
            return False
    reach = _reach_of(slack, rank)
    return bool(span[0] + reach < rank < span[1] - reach)


@kernel
def _mass_before(found: Arrays, high: float, parts: Parts, work: Arrays) -> float:
    """The weight of the listed ids of a float32 rank >= high."""
    size = found[0]
    columns = work[1]
    _, weights, ranks, _ = lists_of(work)
    if not parts.precise:
        return parts.unit * weight_from(ranks, weights, (0, padded(size), 1), high)[0]
    mass = 0.0
    for i in range(size):
        if ranks[i] >= np.float32(high):
            mass += columns[WEIGHT, i]
    return mass


@kernel
def _boundary(
    row: Record, bands: Bands, found: Arrays, parts: Parts, work: Arrays
) -> tuple[int, float]:
    """How many of the close ids, in `order`, are kept, or a status; and their highest rank's edge.

    All listed ids whose float32 rank reaches that edge are kept too. The status is _MISSED when the
    boundary is not among the listed ids, so that no better sums would help. The close ids are in
    work[3][:_MOST_CLOSE], their order behind; bins = logit, rank and weight of each.
    """
    size, top = found
    bins, close, order = work[4], work[3][:_MOST_CLOSE], work[3][_MOST_CLOSE:]
    logits, weights, ranks, _ = lists_of(work)
    centre, slack, inside, outside = _rank(row, bands, parts, found, work)
    by_top_p, temperature = row["top_p"] < 1.0, row["temperature"]
    p = row["top_p"] if by_top_p else row["typical_p"]
    mass = parts.inside + parts.outside + parts.listed
    limit = p * mass - parts.inside
    filled = padded(size)
    # what is inside is ahead of the boundary and what is outside behind it
    goal = np.float64(np.float32(outside)), np.float64(np.float32(inside)), limit / parts.unit
    if not _holds_boundary(ranks, weights, filled, goal, 1e-6 * mass / parts.unit):
        return _MISSED, 0.0
    low, high = _close_ranks(ranks, weights, filled, goal)
    if slack > 0.0:  # so that the boundary is apart from the edges too
        margin = 2.0 * _reach_of(slack, low)
        low, high = low - margin, high + margin
    count = _gather_close(ranks, filled, (low, high), close)
    if count <= 0:
        return UNDECIDED, 0.0
    for j in range(count):
        z = np.float64(logits[close[j]]) + 0.0
        bins[0, j] = z
        bins[1, j] = z if by_top_p else _typical_rank(z, centre, top, temperature)
        bins[2, j] = exp_of_negative(min((z - top) / temperature, 0.0))
    rank_few(bins[1], count, bins[1, _MOST_CLOSE:], order)
    before = _mass_before(found, high, parts, work)
    ahead = parts.inside + before
    error = parts.error * ((1.0 - p) * ahead + p * max(mass - ahead, 0.0)) + ROUNDING * mass
    for j in range(count):
        place = order[j]
        if before + bins[2, place] + error < limit:
            before += bins[2, place]
            continue
        certain = before + error < limit <= before + bins[2, place] - error
        between = outside <= bins[1, place] < inside
        span = (low, high, top + centre * temperature)
        if certain and between and _is_apart(place, count, slack, span, bins):
            return j + 1, high
        break
    return UNDECIDED, 0.0


@kernel
def _keep(kept: int, high: float, found: Arrays, parts: Parts, work: Arrays) -> float:
    """Fills the weights of the listed ids that are kept, 0.0 for the others; their sum.

    In float32 they are those of `lists_of`, times 1 / unit; in float64 they replace EXPONENT.
    """
    size = found[0]
    close, order = work[3][:_MOST_CLOSE], work[3][_MOST_CLOSE:]
    columns = work[1]
    _, weights, ranks, kept_weights = lists_of(work)
    if parts.precise:
        for i in range(size):
            stays = ranks[i] >= np.float32(high)
            columns[EXPONENT, i] = columns[WEIGHT, i] if stays else 0.0
        for j in range(kept):
            i = close[order[j]]
            columns[EXPONENT, i] = columns[WEIGHT, i]
        return float(total(columns[EXPONENT], size))
    limit, zero = splat(np.float32(high)), splat(_ZERO)
    mass = wide_zeros()
    for i in range(0, size, LANES):
        weight = where(at_least(load(ranks, i), limit), load(weights, i), zero)
        store(kept_weights, i, weight)
        mass = add_widened(mass, weight)
    kept_mass = wide_fold(mass)
    for j in range(kept):
        i = close[order[j]]
        kept_weights[i] = weights[i]
        kept_mass += weights[i]
    return float(kept_mass * parts.unit)


@kernel
def _write_top(
    row: Record, listed: Arrays, highest: Arrays, log_mass: float, work: Arrays, top: Arrays
) -> bool:
    """Writes the top tokens, if enough of what is listed ranks above all that is inside.

    listed : (weights of the kept ids, how many are listed); highest : (no logit inside reaches
    this, the highest).
    """
    ids, columns, logits = work[0], work[1], lists_of(work)[0]
    weights, size = listed
    kept = 0
    for i in range(size):
        if weights[i] > 0.0 and logits[i] >= highest[0]:
            ids[kept] = ids[i]
            logits[kept] = logits[i]
            kept += 1
    if kept < row["top_n"]:
        return False
    for j in range(kept):
        columns[Z, j] = np.float64(logits[j]) + 0.0  # -0.0 becomes 0.0: they are equal
        columns[EXPONENT, j] = (columns[Z, j] - highest[1]) / row["temperature"]
    write_top(kept, row["top_n"], log_mass, work, top)
    return True


@kernel
def _decide(
    view: Arrays, row: Record, found: Arrays, bands: Bands, parts: Parts, work: Arrays
) -> tuple[int, float, float]:
    """The token, its exponent and the kept weight; or a status.

    found : (how many are listed, the highest logit, the scale of the sums in float32).
    """
    size, top, scale = found
    kept, high = _boundary(row, bands, (size, top), parts, work)
    if kept < 0:
        return kept, 0.0, 0.0
    mass = _keep(kept, high, (size, top), parts, work) + parts.inside
    inside = Bulk(
        parts.inside,
        parts.error * parts.inside,
        0.0,
        0.0,
        parts.factor,
        bands.low,
        bands.high,
        scale,
        parts.precise,
        top,
    )
    if parts.precise:
        listed = (work[1][EXPONENT], size, 1.0, parts.error)
        token_id, exponent = draw_of_all(view, row, (mass, top), listed, inside, work)
    else:
        listed = (lists_of(work)[3], size, parts.unit, parts.error)
        token_id, exponent = draw_of_all(view, row, (mass, top), listed, inside, work)
    log_mass = log(mass)
    logprob = logprob_of(exponent, log_mass)
    if token_id < 0 or not are_near(parts.error, logprob, log_mass, row["top_n"]):
        return UNDECIDED, 0.0, 0.0
    return token_id, exponent, mass


@inlined
def _is_legal(bands: Bands, temperature: float) -> bool:
    ascending = bands.outer_low <= bands.low <= bands.high <= bands.outer_high <= bands.bound
    return ascending and (bands.bound - bands.high) / temperature < 300.0  # NaN is not ascending


@kernel
def sample_nucleus(
    view: Arrays, row: Record, bound: float, known: Known, work: Arrays, top: Arrays
) -> tuple[int, float]:
    """The token of a row with top_p or typical_p, and its processed logprob; or a status.

    bound : some hundred ids reach it; known : what is known of the row.
    """
    temperature = row["temperature"]
    scale = scale_of(bound, temperature)
    by_typical = row["typical_p"] < 1.0
    if math.isnan(scale[1]) or row["min_p"] > 0.0 or (by_typical and row["top_p"] < 1.0):
        return UNDECIDED, 0.0
    bands = bands_for(view, row, bound, scale, known, work)
    if not _is_legal(bands, temperature):
        return UNDECIDED, 0.0
    if known.kept:
        size, outside = part_row(view, bands, scale, work[3].view(np.float32), work)
    else:
        scale = scale_of(bands.bound, temperature)
        size, outside = part_row(view, bands, scale, None, work)
    if size <= 0:
        return UNDECIDED, 0.0
    mean = (known.centre, known.error)
    highest, listed = weigh_listed(size, scale, work)
    if math.isnan(highest):
        return NOT_FINITE, 0.0
    if highest * scale[0] - scale[1] > _HIGHEST:
        return UNDECIDED, 0.0
    parts = parts_of(view, highest, scale, (outside, listed), mean, work)
    found = (size, highest, scale)
    token_id, exponent, mass = _decide(view, row, found, bands, parts, work)
    if token_id == UNDECIDED:
        parts = part_again(view, bands, temperature, (size, highest, parts.unit), work)
        token_id, exponent, mass = _decide(view, row, found, bands, parts, work)
    if token_id < 0:
        return UNDECIDED, 0.0
    log_mass = log(mass)
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        edges = (bands.high, highest)
        if parts.precise:
            has_top = _write_top(row, (work[1][EXPONENT], size), edges, log_mass, work, top)
        else:
            has_top = _write_top(row, (lists_of(work)[3], size), edges, log_mass, work, top)
        if not has_top:
            return UNDECIDED, 0.0
    return token_id, logprob_of(exponent, log_mass)
