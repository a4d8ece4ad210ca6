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

from sampler.kernels._jit import Arrays, inlined, kernel
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
)
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    absolute,
    add,
    add_widened,
    fold,
    fused,
    load,
    multiply,
    splat,
    store,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative, total
from sampler.kernels.precise import ERROR as PRECISE_ERROR
from sampler.kernels.precise import LOG2_E, lane_sum, powers_of_two
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
    exponents : the sum of weight * exponent of all; exponents_error : a bound on the error of their
        mean times the weight of all
    factor : from the sums of the blocks in the workspace to weights
    unit : from the float32 weights of the listed ids to weights
    precise : whether the sums are float64
    """

    inside: float
    outside: float
    listed: float
    error: float
    exponents: float
    exponents_error: float
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
def _places(z: Lanes, limits: Arrays) -> tuple[Choice, Choice]:
    """Which lanes are listed, and which are inside."""
    outer_low, low, high, outer_high, bound, _ = limits
    from_low, from_high = reaches(z, low), reaches(z, high)
    below = but_not(reaches(z, outer_low), from_low)
    above = but_not(from_high, reaches(z, outer_high))
    return either(either(below, above), reaches(z, bound)), but_not(from_low, from_high)


@inlined
def _part(z: Lanes, limits: Arrays) -> Arrays:
    """Which lanes are listed; the weights inside and outside, and their exponents."""
    listed, inside = _places(z, limits)
    weights, exponents = weights_of(z, limits[5])
    zero = splat(_ZERO)
    outside = choose(either(listed, inside), zero, weights)
    return listed, choose(inside, weights, zero), outside, exponents


@inlined
def _products(a: Arrays, b: Arrays) -> tuple[Lanes, Lanes]:
    """The sum of weight * exponent of two results of `_part`, and that of their sizes."""
    one, other = multiply(add(a[1], a[2]), a[3]), multiply(add(b[1], b[2]), b[3])
    return add(one, other), add(absolute(one), absolute(other))


@inlined
def _list(z: Lanes, start: int, choice: Choice, size: int, out: Arrays) -> int:
    """Lists the chosen of ids start .. start + 15; how many there are then."""
    ids, logits = out
    store_ids(ids, size, start, choice)
    store_chosen(logits, size, z, choice)
    return int(size + count_chosen(choice))


@inlined
def _part_block(
    view: Arrays, span: tuple[int, int], limits: Arrays, with_exponents: bool, out: Arrays
) -> tuple[int, float, float, float, float]:
    """The size of the list after ids span[0] .. span[1] - 1, chunks of 64, and the four sums.

    out : (ids, logits, how many are listed before).
    """
    ids, logits, size = out
    inside, outside, products = wide_zeros(), wide_zeros(), wide_zeros()
    sizes = splat(_ZERO)  # for a bound only, so in float32
    for i in range(span[0], span[1], 4 * LANES):
        z = chunk_of(view, i)
        a, b = _part(z[0], limits), _part(z[1], limits)
        c, d = _part(z[2], limits), _part(z[3], limits)
        if any_chosen(either(either(a[0], b[0]), either(c[0], d[0]))):
            size = _list(z[0], i, a[0], size, (ids, logits))
            size = _list(z[1], i + LANES, b[0], size, (ids, logits))
            size = _list(z[2], i + 2 * LANES, c[0], size, (ids, logits))
            size = _list(z[3], i + 3 * LANES, d[0], size, (ids, logits))
        inside = add_widened(inside, add(add(a[1], b[1]), add(c[1], d[1])))
        outside = add_widened(outside, add(add(a[2], b[2]), add(c[2], d[2])))
        if with_exponents:
            left, left_size = _products(a, b)
            right, right_size = _products(c, d)
            products = add_widened(products, add(left, right))
            sizes = add(sizes, add(left_size, right_size))
    size_of_products = 1.001 * np.float64(fold(sizes))
    return size, wide_fold(inside), wide_fold(outside), wide_fold(products), size_of_products


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
) -> tuple[int, float, float, float, float]:
    """As `_part_block`, one by one."""
    ids, logits, size = out
    c, reference, origin = scale
    inside = outside = products = sizes = 0.0
    for i in range(span[0], span[1]):
        z = np.float64(edited_logit(view, i))
        if _is_listed(z, bands):
            ids[size], logits[size] = i, z
            size += 1
            continue
        exponent = max(z * c - reference, -DEEPEST)
        weight = exp_of_negative(exponent * LN_2)
        products += weight * (exponent - origin)
        sizes += weight * abs(exponent - origin)
        if _is_inside(z, bands):
            inside += weight
        else:
            outside += weight
    return size, inside, outside, products, sizes


@kernel
def part_row(
    view: Arrays, bands: Bands, scale: Arrays, with_exponents: bool, work: Arrays
) -> tuple[int, float, float, float]:
    """How many ids are listed in `work`, ascending, with their logits; or UNDECIDED if too many.

    Also the weights outside and, if asked for, the sums of weight * exponent and of their sizes for
    all that is not listed, each times 2**-K. The sums inside are those of the blocks in `work`.
    """
    ids, sums, logits = work[0], work[7], lists_of(work)[0]
    limits = _limits(bands, scale)
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    size = 0
    outside = products = sizes = 0.0
    for start in range(0, width, BLOCK):
        if size + BLOCK + LANES > len(ids):
            return UNDECIDED, 0.0, 0.0, 0.0
        stop = min(start + BLOCK, width)
        span = (start, stop - (stop - start) % (4 * LANES))
        out = (ids, logits, size)
        if is_plain(view, start, stop):
            size, inside, here, product, product_size = _part_block(
                plain, span, limits, with_exponents, out
            )
        else:
            size, inside, here, product, product_size = _part_block(
                view, span, limits, with_exponents, out
            )
        sums[start // BLOCK] = inside
        outside, products, sizes = outside + here, products + product, sizes + product_size
        if span[1] < stop:
            rest = (ids, logits, size)
            size, inside, here, product, product_size = _part_rest(
                view, (span[1], stop), bands, scale, rest
            )
            sums[start // BLOCK] += inside
            outside, products, sizes = outside + here, products + product, sizes + product_size
    return size, outside, products, sizes


@kernel
def weigh_listed(size: int, scale: Arrays, work: Arrays) -> tuple[float, float, float, float]:
    """Fills the float32 weights times 2**-K of the listed ids, padded with nothing to lanes.

    The highest logit (NaN if one is not finite), their weight, and the sums of weight * exponent
    and of their sizes.
    """
    logits, weights = lists_of(work)[:2]
    registers = lanes_of(scale)
    for i in range(size, padded(size)):
        logits[i] = NOTHING
    greatest, zero = splat(NOTHING), splat(_ZERO)
    mass, products, sizes, bad = wide_zeros(), wide_zeros(), wide_zeros(), zero
    for i in range(0, padded(size), LANES):
        z = load(logits, i)
        greatest = maximum(z, greatest)
        bad = fused(maximum(splat(_LOWEST), z), zero, bad)  # NaN where one is not finite
        weight, exponent = weights_of(z, registers)
        store(weights, i, weight)
        product = multiply(weight, exponent)
        mass = add_widened(mass, weight)
        products = add_widened(products, product)
        sizes = add_widened(sizes, absolute(product))
    for i in range(size, padded(size)):
        weights[i] = _ZERO
    top = np.float64(highest(greatest)) if fold(bad) == 0.0 else np.nan
    return top, wide_fold(mass), wide_fold(products), wide_fold(sizes)


@kernel
def parts_of(view: Arrays, top: float, scale: Arrays, sums: Arrays, work: Arrays) -> Parts:
    """What the sums in float32 tell.

    sums : outside, listed, and of weight * exponent and their sizes, of all.
    """
    outside, listed, products, sizes = sums
    c, reference, origin = scale
    width = width_of(mask_of(view), len(view[1]))
    inside = total(work[7], -(-width // BLOCK))
    raw = inside + outside + listed
    error = error_of(scale)
    shift = (reference - top * c) * LN_2  # from the reference of the sums to the highest
    factor = 2.0 * exp_of_negative(min(shift - LN_2, 0.0))
    from_origin = factor * products * LN_2
    exponents = from_origin + factor * raw * (shift + origin * LN_2)
    # the origin is exact: only what is counted from it has an error
    exponents_error = error * (factor * (sizes + raw) + abs(from_origin))
    return Parts(
        factor * inside,
        factor * outside,
        factor * listed,
        error,
        exponents,
        exponents_error,
        factor,
        factor,
        False,
    )


@inlined
def _unlisted(
    view: Arrays, span: tuple[int, int], bands: Bands, limits: Arrays, out: Arrays
) -> int:
    """Writes the logits of a block, -inf where listed, and 1 for inside, else 0; how many."""
    z, inner = out
    start, stop = span
    whole = stop - stop % LANES
    nothing, one, zero = splat(NOTHING), splat(_ONE_FLOAT), splat(_ZERO)
    for i in range(start, whole, LANES):
        logits = edited_lanes(view, i)
        listed, inside = _places(logits, limits)
        store(z, i - start, choose(listed, nothing, logits))
        store(inner, i - start, choose(inside, one, zero))
    if whole == stop:
        return stop - start
    store(z, whole - start, nothing)
    store(inner, whole - start, zero)
    for i in range(whole, stop):
        value = np.float64(edited_logit(view, i))
        if not _is_listed(value, bands):
            z[i - start] = np.float32(value)
            inner[i - start] = _ONE_FLOAT if _is_inside(value, bands) else _ZERO
    return whole + LANES - start


@kernel
def part_again(
    view: Arrays, bands: Bands, temperature: float, found: Arrays, work: Arrays
) -> Parts:
    """The same sums in float64; the listed ids get their Z, EXPONENT and WEIGHT.

    found : (how many are listed, the highest logit, `unit`).
    """
    size, top, unit = found
    columns, bins, sums, changed = work[1], work[4], work[7], work[3].view(np.float32)
    z, inner = changed[:BLOCK], changed[BLOCK : 2 * BLOCK]
    weights, exponents = bins[0, :BLOCK], bins[1, :BLOCK]
    limits = _limits(bands, scale_of(bands.bound, temperature))
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    outside = products = 0.0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        if is_plain(view, start, stop):
            count = _unlisted(plain, (start, stop), bands, limits, (z, inner))
        else:
            count = _unlisted(view, (start, stop), bands, limits, (z, inner))
        powers_of_two(z[:count], bands.high, LOG2_E / temperature, weights, exponents)
        for i in range(count):
            exponents[i] *= weights[i]  # 2**-1000 times -1000 for what is listed: nothing
        products += lane_sum(exponents, count)
        everything = lane_sum(weights, count)
        for i in range(count):
            weights[i] *= inner[i]
        sums[start // BLOCK] = lane_sum(weights, count)
        outside += everything - sums[start // BLOCK]
    logits = lists_of(work)[0]
    for i in range(size):
        columns[Z, i] = logits[i]
    powers_of_two(logits[:size], top, LOG2_E / temperature, columns[WEIGHT], columns[EXPONENT])
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
    exponents_sum = factor * products * LN_2 + unlisted * shift + listed_products
    exponents_error = PRECISE_ERROR * (
        abs(exponents_sum) + (unlisted + listed) * (1.0 + abs(shift))
    )
    return Parts(
        inside,
        outside,
        listed,
        PRECISE_ERROR,
        exponents_sum,
        exponents_error,
        factor,
        unit,
        True,
    )
