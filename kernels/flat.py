"""The first reading of a flat row that typical_p cuts: the mean exponent, and all weights kept.

    centre = sum of weight * exponent / sum of weight, over the head and the bulk

Thousands of ids lie about the boundary on either side of the centre, and an error of the centre
moves the sides against each other. So the terms of the bulk are counted from the middle of the row,
where its weight is: they are small and of both signs. The next reading (`bands`) takes the weights
as they are; until then they lie in work[3].
"""

import numpy as np

from sampler.kernels._jit import Arrays, inlined, kernel
from sampler.kernels.bulk import LONGEST_HEAD, ROUNDING
from sampler.kernels.lane_bits import not_below, where
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    add,
    add_widened,
    fused,
    load,
    multiply,
    splat,
    store,
    subtract,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.listed import sum_of, sum_of_products
from sampler.kernels.numeric import exp_of_negative
from sampler.kernels.pivots import Known
from sampler.kernels.row import BLOCK, EXPONENT, WEIGHT, Z
from sampler.kernels.truncation import weigh_few
from sampler.kernels.view import (
    NOTHING,
    edited_logit,
    is_plain,
    mask_of,
    plain_view,
    width_of,
)
from sampler.kernels.weights import (
    LN_2,
    chunk_of,
    error_of,
    error_of_one,
    head_bits,
    lanes_of,
    rest_of_bulk,
    scale_of,
    take,
    take_chunk,
    weights_of,
    without,
)

# of sums of weight * (z - origin): the difference, a product, the two additions of a chunk
_ERROR_OF_PRODUCTS = 2.4e-7
_ONE = np.uint32(1)


@kernel
def _middle_of(view: Arrays, bound: float, scale: Arrays, work: Arrays) -> float:
    """The mean logit of the bulk by weight, float32, by the sample of `bound_of_head`."""
    maxima = work[5]
    width = width_of(mask_of(view), len(view[1]))
    registers, limit = lanes_of(scale), splat(np.float32(bound))
    weights, products = wide_zeros(), wide_zeros()
    for i in range(0, LANES * ((width - LANES) // (2 * BLOCK) + 1), LANES):
        z = load(maxima, i)
        weight, z = weights_of(where(not_below(z, limit), splat(NOTHING), z), registers)
        weights = add_widened(weights, weight)
        products = add_widened(products, multiply(weight, subtract(z, limit)))
    return np.float64(np.float32(bound + wide_fold(products) / wide_fold(weights)))


@inlined
def _keep_block(
    view: Arrays, span: tuple[int, int], limits: Arrays, sums: Arrays, size: int, out: Arrays
) -> tuple[int, Lanes, Lanes]:
    """The size of the head after ids span[0] .. span[1] - 1, chunks of 64, and the sums with them.

    limits : (the bound, the origin, the scale in registers); sums : of the weights of the bulk, of
    weight * (z - origin); out : (ids, logits, where the weights are kept).
    """
    limit, origin, scale = limits
    totals, products = sums
    ids, logits, kept = out
    for i in range(span[0], span[1], 4 * LANES):
        z = chunk_of(view, i)
        bits = head_bits(z, limit)
        if bits[0] | bits[1] | bits[2] | bits[3] != 0:
            z = without(bits, z)
            size = take_chunk(view, i, bits, size, (ids, logits))
        a, z_a = weights_of(z[0], scale)
        b, z_b = weights_of(z[1], scale)
        c, z_c = weights_of(z[2], scale)
        d, z_d = weights_of(z[3], scale)
        store(kept, i, a)
        store(kept, i + LANES, b)
        store(kept, i + 2 * LANES, c)
        store(kept, i + 3 * LANES, d)
        left = fused(a, subtract(z_a, origin), multiply(b, subtract(z_b, origin)))
        right = fused(c, subtract(z_c, origin), multiply(d, subtract(z_d, origin)))
        totals = add_widened(totals, add(add(a, b), add(c, d)))
        products = add_widened(products, add(left, right))
    return size, totals, products


@kernel
def _keep_row(
    view: Arrays, edges: tuple[float, float], scale: Arrays, out: Arrays
) -> tuple[int, float, float]:
    """The size of the head, its ids ascending and float64 logits in `out`; or a status as `take`'s.

    Also the bulk, times 2**-K, and its sum of weight * (z - origin); edges : the bound, the origin.
    Of ids in whole chunks the weights are kept.
    """
    bound, origin = edges
    limits = (splat(np.float32(bound)), splat(np.float32(origin)), lanes_of(scale))
    plain = plain_view(view)
    width = width_of(mask_of(view), len(view[1]))
    totals, products = wide_zeros(), wide_zeros()
    rest = rest_products = 0.0
    size = 0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        span = (start, stop - (stop - start) % (4 * LANES))
        sums = (totals, products)
        if is_plain(view, start, stop):
            size, totals, products = _keep_block(plain, span, limits, sums, size, out)
        else:
            size, totals, products = _keep_block(view, span, limits, sums, size, out)
        for i in range(span[1], stop):
            if not edited_logit(view, i) < bound:
                size = take(view, i, _ONE, size, (out[0], out[1]))
        if size < 0:
            return size, 0.0, 0.0
        if span[1] < stop:
            rest, rest_products = rest_of_bulk(view, (span[1], stop), bound, scale)
    bulk = wide_fold(totals) + rest
    return size, bulk, wide_fold(products) + rest_products + rest * (bound - origin)


@kernel
def _spread(products: float, origin: float, width: int) -> float:
    """A bound on the sum of weight * |exponent - origin|; products : that of both signs.

    It is `products` and twice what is below the origin. An id at a distance x below it adds at most
    e**origin * x e**-x, and x e**-x is at most 1 / e.
    """
    return abs(products) + 2.0 * width * exp_of_negative(origin - 1.0)


@kernel
def weigh_flat(view: Arrays, temperature: float, bound: float, work: Arrays) -> Known:
    """What is known of a row once its head is weighed and the weights of its bulk are kept.

    bound : the head reaches it, as `bound_of_head` finds it; `is_flat` has answered. A head below 0
    is a status: NOT_FINITE, or UNDECIDED when it is too long.

    An error of the bulk moves the centre by as much as the middle is off it; errors d of the
    weights move the products by at most d * spread.
    """
    ids, columns = work[0], work[1]
    scale = scale_of(bound, temperature)
    c, reference = scale
    middle = _middle_of(view, bound, scale, work)
    most = min(len(ids), LONGEST_HEAD)
    out = (ids[:most], columns[Z, :most], work[3].view(np.float32))
    size, raw, raw_products = _keep_row(view, (bound, middle), scale, out)
    if size < 0:
        return Known(size, 0.0, 0.0, 0.0, 0.0, False)
    for j in range(size):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    highest = weigh_few(columns, size, temperature)
    shift = (reference - highest * c) * LN_2  # from the bulk's reference to the highest
    factor = 2.0 * exp_of_negative(min(shift - LN_2, 0.0))
    bulk, products = factor * raw, factor * c * LN_2 * raw_products
    origin = (middle - highest) / temperature
    mass = sum_of(columns[WEIGHT], size) + bulk
    of_head = sum_of_products(columns[WEIGHT], columns[EXPONENT], size)
    centre = (of_head + bulk * origin + products) / mass
    width = width_of(mask_of(view), len(view[1]))
    error = (error_of_one(scale) + _ERROR_OF_PRODUCTS) * _spread(products, origin, width)
    error += error_of(scale) * bulk * abs(origin - centre)
    slack = 1.01 * error / mass + ROUNDING * (1.0 + abs(centre))
    return Known(size, bulk, highest + centre * temperature, centre, slack, True)
