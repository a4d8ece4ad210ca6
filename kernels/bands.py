"""A row parted by its logits, where what is kept is too much to be listed.

    listed  : bound <= z ("head"), and the bands outer_low <= z < low and high <= z < outer_high
    inside  : low <= z < high, summed for each block
    outside : all others, summed

All that is listed is below `outer_high` or at least `bound`. A truncation keeps what is inside and
drops what is outside; its boundary lies among the listed ids, which float64 weighs. The sums are
float32 with a bound on their error, or float64.
"""

from typing import NamedTuple

import numpy as np

from sampler.kernels._jit import Array, Arrays, inlined, kernel
from sampler.kernels.lane_bits import highest, maximum
from sampler.kernels.lane_choice import (
    Choice,
    any_chosen,
    but_not,
    choose,
    count_chosen,
    either,
    reaches,
    store_chosen,
    store_ids,
    wide_choose,
)
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    add,
    add_widened,
    fold,
    fused,
    load,
    splat,
    store,
    wide_add,
    wide_fold,
    wide_fused,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative, total
from sampler.kernels.precise import ERROR as PRECISE_ERROR
from sampler.kernels.precise import LOG2_E, powers_of_two, weight_of_one, weights_of_wide
from sampler.kernels.row import BLOCK, EXPONENT, RANK, UNDECIDED, WEIGHT, Z
from sampler.kernels.view import (
    NOTHING,
    edited_lanes,
    edited_logit,
    is_plain,
    mask_of,
    plain_view,
    width_of,
)
from sampler.kernels.weights import (
    DEEPEST,
    LN_2,
    chunk_of,
    error_of,
    lanes_of,
    scale_of,
    weights_of,
)

_LOWEST = np.float32(-3.4028235e38)
_ZERO = np.float32(0.0)
_ONE_FLOAT = np.float32(1.0)


class Bands(NamedTuple):
    """Where a row is parted: float32 numbers, ascending."""

    outer_low: float
    low: float
    high: float
    outer_high: float
    bound: float


class Parts(NamedTuple):
    """The sums of a parted row, relative to the weight of the highest id.

    Attributes
    ----------
    inside, outside, listed : weights; error : a bound on the error of any part of them, relative
    centre : the mean exponent by weight; centre_error : a bound on its error
    factor : from the sums of the blocks in the workspace to weights
    unit : from the float32 weights of the listed ids to weights
    precise : whether the sums are float64
    """

    inside: float
    outside: float
    listed: float
    error: float
    centre: float
    centre_error: float
    factor: float
    unit: float
    precise: bool


@inlined
def lists_of(work: Arrays) -> Arrays:
    """Of the listed ids: logits, weights, ranks and the weights of those kept; float32[V] each."""
    size = len(work[0])
    first, second = work[2].view(np.float32), work[1][RANK].view(np.float32)
    return first[:size], first[size:], second[:size], second[size:]


@inlined
def padded(size: int) -> int:
    """`size`, or the next multiple of the lanes: how far the lists are filled."""
    return -(-size // LANES) * LANES


@inlined
def _limits(bands: Bands, scale: Arrays) -> Arrays:
    """The edges and the scale in registers."""
    return (
        splat(np.float32(bands.outer_low)),
        splat(np.float32(bands.low)),
        splat(np.float32(bands.high)),
        splat(np.float32(bands.outer_high)),
        splat(np.float32(bands.bound)),
        lanes_of(scale),
    )


@inlined
def _places(z: Lanes, limits: Arrays, by_two: bool) -> tuple[Choice, Choice]:
    """Which lanes are listed, and which are inside; by_two : high < outer_high."""
    outer_low, low, high, outer_high, bound, _ = limits
    from_low, from_high = reaches(z, low), reaches(z, high if by_two else bound)
    listed = either(but_not(reaches(z, outer_low), from_low), reaches(z, bound))
    if by_two:
        listed = either(listed, but_not(from_high, reaches(z, outer_high)))
    return listed, but_not(from_low, from_high)


@inlined
def _weights_at(z: Lanes, start: int, scale: Arrays, kept: Array | None) -> Lanes:
    """The weights of ids start .. start + 15: `kept` ones, or None."""
    if kept is None:
        return weights_of(z, scale)[0]
    return load(kept, start)


@inlined
def _part(z: Lanes, weights: Lanes, limits: Arrays, by_two: bool) -> Arrays:
    """Which lanes are listed; the weights inside and outside."""
    listed, inside = _places(z, limits, by_two)
    zero = splat(_ZERO)
    outside = choose(either(listed, inside), zero, weights)
    return listed, choose(inside, weights, zero), outside


@inlined
def _list(z: Lanes, start: int, choice: Choice, size: int, out: Arrays) -> int:
    """Lists the chosen of ids start .. start + 15; how many there are then."""
    ids, logits = out
    store_ids(ids, size, start, choice)
    store_chosen(logits, size, z, choice)
    return int(size + count_chosen(choice))


@inlined
def _part_block(
    view: Arrays,
    span: tuple[int, int],
    limits: Arrays,
    by_two: bool,
    kept: Array | None,
    out: Arrays,
) -> tuple[int, float, float]:
    """The size of the list after ids span[0] .. span[1] - 1, chunks of 64; weights in and outside.

    out : (ids, logits, how many are listed before).
    """
    ids, logits, size = out
    scale = limits[5]
    inside, outside = wide_zeros(), wide_zeros()
    for i in range(span[0], span[1], 4 * LANES):
        z = chunk_of(view, i)
        a = _part(z[0], _weights_at(z[0], i, scale, kept), limits, by_two)
        b = _part(z[1], _weights_at(z[1], i + LANES, scale, kept), limits, by_two)
        c = _part(z[2], _weights_at(z[2], i + 2 * LANES, scale, kept), limits, by_two)
        d = _part(z[3], _weights_at(z[3], i + 3 * LANES, scale, kept), limits, by_two)
        if any_chosen(either(either(a[0], b[0]), either(c[0], d[0]))):
            size = _list(z[0], i, a[0], size, (ids, logits))
            size = _list(z[1], i + LANES, b[0], size, (ids, logits))
            size = _list(z[2], i + 2 * LANES, c[0], size, (ids, logits))
            size = _list(z[3], i + 3 * LANES, d[0], size, (ids, logits))
        inside = add_widened(inside, add(add(a[1], b[1]), add(c[1], d[1])))
        outside = add_widened(outside, add(add(a[2], b[2]), add(c[2], d[2])))
    return size, wide_fold(inside), wide_fold(outside)


@inlined
def _part_view(
    view: Arrays,
    span: tuple[int, int],
    limits: Arrays,
    by_two: bool,
    kept: Array | None,
    out: Arrays,
) -> tuple[int, float, float]:
    """As `_part_block`; where one edge will do, each lane is compared with less."""
    if by_two:
        return _part_block(view, span, limits, True, kept, out)
    return _part_block(view, span, limits, False, kept, out)


@inlined
def _is_inside(z: float, bands: Bands) -> bool:
    """Whether a logit is neither listed nor outside."""
    return bands.low <= z < bands.high


@inlined
def _is_listed(z: float, bands: Bands) -> bool:
    within = bands.outer_low <= z < bands.outer_high
    return not z < bands.bound or (within and not _is_inside(z, bands))  # NaN is listed


@kernel
def _part_rest(
    view: Arrays, span: tuple[int, int], bands: Bands, scale: Arrays, out: Arrays
) -> tuple[int, float, float]:
    """As `_part_block`, one by one."""
    ids, logits, size = out
    c, reference = scale
    inside = outside = 0.0
    for i in range(span[0], span[1]):
        z = np.float64(edited_logit(view, i))
        if _is_listed(z, bands):
            ids[size], logits[size] = i, z
            size += 1
            continue
        weight = exp_of_negative(max(z * c - reference, -DEEPEST) * LN_2)
        if _is_inside(z, bands):
            inside += weight
        else:
            outside += weight
    return size, inside, outside


@kernel
def part_row(
    view: Arrays, bands: Bands, scale: Arrays, kept: Array | None, work: Arrays
) -> tuple[int, float]:
    """How many ids are listed in `work`, ascending, with their logits; or UNDECIDED if too many.

    Also the weight outside, times 2**-K. The sums inside are those of the blocks in `work`.
    kept : the weights of what is below the bound, times 2**-K, as `flat` keeps them; or None.
    """
    ids, sums, logits = work[0], work[7], lists_of(work)[0]
    limits, by_two = _limits(bands, scale), bands.high < bands.bound
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    size = 0
    outside = 0.0
    for start in range(0, width, BLOCK):
        if size + BLOCK + LANES > len(ids):
            return UNDECIDED, 0.0
        stop = min(start + BLOCK, width)
        span = (start, stop - (stop - start) % (4 * LANES))
        out = (ids, logits, size)
        if is_plain(view, start, stop):
            size, inside, here = _part_view(plain, span, limits, by_two, kept, out)
        else:
            size, inside, here = _part_view(view, span, limits, by_two, kept, out)
        sums[start // BLOCK] = inside
        outside += here
        if span[1] < stop:
            out = (ids, logits, size)
            size, inside, here = _part_rest(view, (span[1], stop), bands, scale, out)
            sums[start // BLOCK] += inside
            outside += here
    return size, outside


@kernel
def weigh_listed(size: int, scale: Arrays, work: Arrays) -> tuple[float, float]:
    """Fills the float32 weights times 2**-K of the listed ids, padded with nothing to lanes.

    The highest logit (NaN if one is not finite), and their weight.
    """
    logits, weights = lists_of(work)[:2]
    registers = lanes_of(scale)
    for i in range(size, padded(size)):
        logits[i] = NOTHING
    greatest, zero = splat(NOTHING), splat(_ZERO)
    mass, bad = wide_zeros(), zero
    for i in range(0, padded(size), LANES):
        z = load(logits, i)
        greatest = maximum(z, greatest)
        bad = fused(maximum(splat(_LOWEST), z), zero, bad)  # NaN where one is not finite
        weight = weights_of(z, registers)[0]
        store(weights, i, weight)
        mass = add_widened(mass, weight)
    for i in range(size, padded(size)):
        weights[i] = _ZERO
    top = np.float64(highest(greatest)) if fold(bad) == 0.0 else np.nan
    return top, wide_fold(mass)


@kernel
def parts_of(
    view: Arrays, top: float, scale: Arrays, sums: Arrays, mean: Arrays, work: Arrays
) -> Parts:
    """What the sums in float32 tell; sums : outside, listed; mean : the centre and its error."""
    outside, listed = sums
    c, reference = scale
    width = width_of(mask_of(view), len(view[1]))
    inside = total(work[7], -(-width // BLOCK))
    shift = (reference - top * c) * LN_2  # from the reference of the sums to the highest
    factor = 2.0 * exp_of_negative(min(shift - LN_2, 0.0))
    return Parts(
        factor * inside,
        factor * outside,
        factor * listed,
        error_of(scale),
        mean[0],
        mean[1],
        factor,
        factor,
        False,
    )


@inlined
def _part_precisely(
    view: Arrays, span: tuple[int, int], bands: Bands, limits: Arrays, c: float
) -> tuple[float, float, float]:
    """The weights inside and outside, relative to `bands.high`, and of weight * exponent."""
    start, stop = span
    whole = stop - (stop - start) % LANES
    nothing, zero = splat(NOTHING), wide_zeros()
    inside, outside, products = wide_zeros(), wide_zeros(), wide_zeros()
    for i in range(start, whole, LANES):
        logits = edited_lanes(view, i)
        listed, is_inside = _places(logits, limits, True)
        weight, x = weights_of_wide(choose(listed, nothing, logits), bands.high, c)
        inside = wide_add(inside, wide_choose(is_inside, weight, zero))
        outside = wide_add(outside, wide_choose(is_inside, zero, weight))
        products = wide_fused(weight, x, products)
    within, without, product = wide_fold(inside), wide_fold(outside), wide_fold(products)
    for i in range(whole, stop):
        z = np.float64(edited_logit(view, i))
        if _is_listed(z, bands):
            continue
        weight, x = weight_of_one(z, bands.high, c)
        product += weight * x
        if _is_inside(z, bands):
            within += weight
        else:
            without += weight
    return within, without, product


@kernel
def part_again(
    view: Arrays, bands: Bands, temperature: float, found: Arrays, work: Arrays
) -> Parts:
    """The same sums in float64; the listed ids get their Z, EXPONENT and WEIGHT.

    found : (how many are listed, the highest logit, `unit`).
    """
    size, top, unit = found
    columns, sums, c = work[1], work[7], LOG2_E / temperature
    limits = _limits(bands, scale_of(bands.bound, temperature))
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    outside = products = 0.0
    for start in range(0, width, BLOCK):
        span = (start, min(start + BLOCK, width))
        if is_plain(view, span[0], span[1]):
            inside, here, product = _part_precisely(plain, span, bands, limits, c)
        else:
            inside, here, product = _part_precisely(view, span, bands, limits, c)
        sums[start // BLOCK] = inside
        outside, products = outside + here, products + product
    logits = lists_of(work)[0]
    for i in range(size):
        columns[Z, i] = np.float64(logits[i]) + 0.0
    powers_of_two(logits[:size], top, c, columns[WEIGHT], columns[EXPONENT])
    listed = listed_products = 0.0
    for i in range(size):
        columns[EXPONENT, i] = (columns[Z, i] - top) / temperature
        listed += columns[WEIGHT, i]
        listed_products += columns[WEIGHT, i] * columns[EXPONENT, i]
    shift = (bands.high - top) / temperature if bands.high < top else 0.0
    factor = exp_of_negative(shift)
    inside = factor * total(sums, -(-width // BLOCK))
    outside *= factor
    unlisted = inside + outside
    centre = (factor * products * LN_2 + unlisted * shift + listed_products) / (unlisted + listed)
    centre_error = PRECISE_ERROR * (abs(centre) + 1.0 + abs(shift))
    return Parts(
        inside,
        outside,
        listed,
        PRECISE_ERROR,
        centre,
        centre_error,
        factor,
        unit,
        True,
    )
