"""Where a truncation cuts a row, guessed from some of its ids.

    mass(rank) = share of the softmax that ranks no lower, of the sample, or of the head and the
                 sample in place of the bulk

A guess is a band of logits that holds the boundary all but certainly: some standard errors of the
sampled mass to both sides. Whatever uses it checks that it does.
"""

import math
from typing import NamedTuple

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.bands import Bands, lists_of, padded
from sampler.kernels.lane_bits import at_least, count_bits, highest, maximum, where
from sampler.kernels.lanes import (
    LANES,
    add_widened,
    load,
    multiply,
    splat,
    store,
    subtract,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.row import WEIGHT, Z
from sampler.kernels.view import NOTHING, edited_lanes, mask_of, width_of
from sampler.kernels.weights import lanes_of, weights_of

_STEP = 256  # ids for each sixteen that are looked at
_THINNED = 16  # of the sample, for a first guess
_HIGHEST = 60.0  # powers of two above the bound that are told apart
_ERRORS = 4.0  # one row of ten thousand or so is guessed wrong, and decided by the plain path
_LARGEST_ERROR = 0.05  # of the mass; a sample that tells no more is no guess
_ZERO = np.float32(0.0)
_LARGEST = np.float32(3e38)


class Sample(NamedTuple):
    """Ids with their weights: first those of the head, as they are, then those that stand for more.

    Attributes
    ----------
    values : what they are ranked by; weights : float32 both
    head, size : how many are of the head, and how many in all; multiples of 16
    whole : the weight of all behind the head
    unit : from weights behind the head to shares of the softmax, `thinned` of a thinned one
    """

    values: Array
    weights: Array
    head: int
    size: int
    whole: float
    unit: float
    thinned: float


class Known(NamedTuple):
    """What one reading of a row has told, for the next.

    Attributes
    ----------
    head : how many ids are in `work` with their weights, 0 where nothing is known
    bulk : the weight of the others
    middle : the mean logit by weight; centre : the mean exponent; error : a bound on its error
    kept : whether the float32 weights of the bulk are in `work`, as `flat` keeps them
    """

    head: int
    bulk: float
    middle: float
    centre: float
    error: float
    kept: bool


@kernel
def _take_head(columns: Array, count: int, mass: float, out: Arrays) -> int:
    """Writes the head's logits and shares, padded to lanes; how many."""
    values, weights = out
    for i in range(count):
        values[i] = columns[Z, i]
        weights[i] = columns[WEIGHT, i] / mass
    for i in range(count, padded(count)):
        values[i], weights[i] = NOTHING, _ZERO
    return int(padded(count))


@kernel
def _take_sample(
    view: Arrays, bound: float, scale: Arrays, head: int, out: Arrays
) -> tuple[int, float]:
    """Writes sampled logits and their weights times 2**-K behind a head.

    The size of both, and the weight of the sample. With a head, what reaches the bound is left to
    it.
    """
    values, weights = out
    mass = wide_zeros()
    registers = lanes_of(scale)
    top, limit = splat(np.float32(bound + _HIGHEST / scale[0])), splat(np.float32(bound))
    size = head
    for start in range(0, width_of(mask_of(view), len(view[1])) - LANES + 1, _STEP):
        z = edited_lanes(view, start)
        if head > 0:
            z = where(at_least(z, limit), splat(NOTHING), z)
        z = where(at_least(z, top), top, z)
        weight = weights_of(z, registers)[0]
        store(values, size, z)
        store(weights, size, weight)
        mass = add_widened(mass, weight)
        size += LANES
    return size, wide_fold(mass)


@inlined
def weight_from(
    values: Array, weights: Array, span: tuple[int, int, int], low: float
) -> tuple[float, int]:
    """The weight of the values >= low, and their number; of every span[2]th sixteen."""
    limit, zero = splat(np.float32(low)), splat(_ZERO)
    mass = wide_zeros()
    count = 0
    for i in range(span[0], span[1], span[2] * LANES):
        reached = at_least(load(values, i), limit)
        mass = add_widened(mass, where(reached, load(weights, i), zero))
        count += count_bits(reached)
    return float(wide_fold(mass)), count


@kernel
def _mass_from(sample: Sample, low: float) -> float:
    """The share of the softmax that has values >= low, by the thinned sample."""
    values, weights, head, size = sample.values, sample.weights, sample.head, sample.size
    mass = weight_from(values, weights, (0, head, 1), low)[0]
    return mass + sample.thinned * weight_from(values, weights, (head, size, _THINNED), low)[0]


@kernel
def _sample_of(view: Arrays, bound: float, scale: Arrays, known: Arrays, work: Arrays) -> Sample:
    """The sample, ranked by logit. known : (size of the head or 0, weight of the bulk)."""
    out = lists_of(work)[:2]
    columns = work[1]
    count, bulk = known
    sampled = LANES * (len(view[1]) // _STEP + 1)
    if count + LANES + sampled > len(out[0]):
        return Sample(out[0], out[1], 0, 0, 0.0, 0.0, 0.0)  # there is no room in so short a row
    mass = bulk
    for i in range(count):
        mass += columns[WEIGHT, i]
    head = _take_head(columns, count, mass, out)
    size, whole = _take_sample(view, bound, scale, head, out)
    share = bulk / mass if count > 0 else 1.0
    thinned = weight_from(out[0], out[1], (head, size, _THINNED), -np.inf)[0]
    return Sample(out[0], out[1], head, size, whole, share / whole, share / thinned)


@inlined
def _extent(sample: Sample) -> tuple[float, float]:
    """The lowest and the highest value of the head and the thinned sample, -inf aside."""
    highest_negative = highest_value = splat(-_LARGEST)
    zero, large = splat(_ZERO), splat(_LARGEST)
    i = 0
    while i < sample.size:
        value = load(sample.values, i)
        i += LANES if i < sample.head else _THINNED * LANES
        highest_value = maximum(value, highest_value)
        negative = subtract(zero, value)
        negative = where(at_least(negative, large), splat(-_LARGEST), negative)
        highest_negative = maximum(negative, highest_negative)
    return -np.float64(highest(highest_negative)), np.float64(highest(highest_value))


@kernel
def _value_at(sample: Sample, extent: Arrays, mass: float) -> float:
    """A value that about this share reaches."""
    low, high = extent
    for _ in range(10):
        middle = 0.5 * (low + high)
        if _mass_from(sample, middle) >= mass:
            low = middle
        else:
            high = middle
    return float(low)


@kernel
def _mass_and_spread(sample: Sample, low: float) -> tuple[float, float]:
    """As `_mass_from`, by the whole sample, and the standard error of that."""
    values, weights, head = sample.values, sample.weights, sample.head
    limit, zero = splat(np.float32(low)), splat(_ZERO)
    mass, squares, squares_above = wide_zeros(), wide_zeros(), wide_zeros()
    for i in range(head, sample.size, LANES):
        weight, reached = load(weights, i), at_least(load(values, i), limit)
        above = where(reached, weight, zero)
        mass = add_widened(mass, above)
        squares = add_widened(squares, multiply(weight, weight))
        squares_above = add_widened(squares_above, multiply(above, weight))
    sampled = wide_fold(mass)
    from_above = wide_fold(squares_above)
    from_below = wide_fold(squares) - from_above
    share = sampled / sample.whole
    variance = (1.0 - share) * (1.0 - share) * from_above + share * share * from_below
    of_head = weight_from(values, weights, (0, head, 1), low)[0]
    return of_head + sample.unit * sampled, sample.unit * math.sqrt(variance)


@kernel
def _band_of(sample: Sample, kept: float) -> tuple[float, float]:
    """A value near that which the share `kept` reaches, and how far off it may be, NaN if too far.

    Newton's step from a thinned sample to the whole one; the density is that between two more
    values, a little mass to both sides.
    """
    part = 0.5 * min(0.1, kept, 1.0 - kept)
    low_end, high_end = _extent(sample)
    value = _value_at(sample, (low_end, high_end), kept)
    low = _value_at(sample, (low_end, value), kept + part)
    high = _value_at(sample, (value, high_end), kept - part)
    density = 2.0 * part / (high - low)
    mass, spread = _mass_and_spread(sample, value)
    error = _ERRORS * spread
    if not error < _LARGEST_ERROR:
        return value, np.nan
    return value + (mass - kept) / density, error / density


@kernel
def _rank_by_distance(sample: Sample, centre: float, ranks: Array) -> Sample:
    """The same ids ranked by how near they are to `centre`; `ranks` is filled."""
    middle, zero = splat(np.float32(centre)), splat(_ZERO)
    for i in range(0, sample.size, LANES):
        z = load(sample.values, i)
        distance = maximum(subtract(z, middle), subtract(middle, z))
        store(ranks, i, subtract(zero, distance))
    return Sample(
        ranks,
        sample.weights,
        sample.head,
        sample.size,
        sample.whole,
        sample.unit,
        sample.thinned,
    )


@kernel
def _is_reached_by_few(sample: Sample, low: float, width: int) -> bool:
    """Whether about one of 64 ids at most reaches a logit."""
    values, weights, head = sample.values, sample.weights, sample.head
    count = weight_from(values, weights, (0, head, 1), low)[1]
    sampled = weight_from(values, weights, (head, sample.size, 1), low)[1]
    return bool(64 * (count + _STEP // LANES * sampled) <= width)


@inlined
def _rounded(edge: float, bound: float) -> float:
    return np.float64(np.float32(min(edge, bound)))


@kernel
def bands_for(
    view: Arrays, row: Record, bound: float, scale: Arrays, known: Known, work: Arrays
) -> Bands:
    """Bands about the logits at which `top_p` or `typical_p` cuts; NaN in them is no guess.

    top_p can be guessed without a head where the row is flat.
    """
    by_top_p = row["top_p"] < 1.0
    sample = _sample_of(view, bound, scale, (known.head, known.bulk), work)
    if sample.size == sample.head:
        return Bands(np.nan, np.nan, np.nan, np.nan, bound)
    if by_top_p:
        value, error = _band_of(sample, row["top_p"])
        low, high = _rounded(value - error, bound), _rounded(value + error, bound)
        return Bands(low, high, bound, bound, bound)
    centre = known.middle
    ranked = _rank_by_distance(sample, centre, lists_of(work)[2])
    value, error = _band_of(ranked, row["typical_p"])
    inner, outer = max(-value - error, 0.0), max(error - value, 0.0)
    high, outer_high = _rounded(centre + inner, bound), _rounded(centre + outer, bound)
    width = width_of(mask_of(view), len(view[1]))
    if _is_reached_by_few(sample, high, width):  # one edge less to compare with
        bound = outer_high = high
    return Bands(
        _rounded(centre - outer, bound), _rounded(centre - inner, bound), high, outer_high, bound
    )
