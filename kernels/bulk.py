"""What is known of a row's softmax without weighing each id in float64.

head = the few hundred highest ids, weighed in float64
bulk = the sum of all the others, in float32 with a bound on its error, or in float64
"""

import math
from typing import NamedTuple

import numpy as np

from sampler.kernels._jit import Array, Arrays, inlined, kernel
from sampler.kernels.finish import logprob_of
from sampler.kernels.lane_bits import count_bits, not_below, where
from sampler.kernels.lanes import (
    LANES,
    add_widened,
    load,
    splat,
    store,
    wide_fold,
    wide_zeros,
)
from sampler.kernels.numeric import exp_of_negative, total
from sampler.kernels.precise import ERROR as PRECISE_ERROR
from sampler.kernels.precise import precise_bulk
from sampler.kernels.row import BLOCK, UNDECIDED, Z
from sampler.kernels.scan import bound_of
from sampler.kernels.truncation import weigh_few
from sampler.kernels.view import (
    NOTHING,
    edited_lanes,
    mask_of,
    width_of,
)
from sampler.kernels.weights import (
    ERROR_OF_PRODUCTS,
    LN_2,
    error_of,
    head_and_bulk,
    lanes_of,
    scale_of,
    weights_of,
)

ROUNDING = 1e-12  # of sums and boundaries in float64, relative to the total


class Bulk(NamedTuple):
    """The sums of all ids that are not in the head, relative to the weight of the highest id.

    Attributes
    ----------
    weight : their weight; error : a bound on its error
    exponents : the sum of weight * exponent, where asked for; exponents_error : a bound on the
        error of adding it up, not on that of the weights
    factor : from the sums of the blocks in the workspace to weights
    low, bound : the bulk is low <= logit < bound
    scale : of `weights`
    precise : whether the sums are float64
    highest : the highest logit of the head
    """

    weight: float
    error: float
    exponents: float
    exponents_error: float
    factor: float
    low: float
    bound: float
    scale: tuple[float, float]
    precise: bool
    highest: float


# The bound of the head is so far down in one id of 64: enough for most truncations and small sums
# of the bulk, and for truncations that keep thousands
SHORT_HEAD = 4
LONG_HEAD = 64
LONGEST_HEAD = 16384
_FLAT = 9.0  # weights of the bulk to those of a head that ends at once; peaked rows have 1 to 6


@kernel
def bound_of_head(view: Arrays, sampled: int, work: Arrays) -> float:
    """A logit that about 64 * `sampled` ids reach, by the first sixteen of every other block."""
    maxima = work[5]
    width = width_of(mask_of(view), len(view[1]))
    size = 0
    for start in range(0, width - LANES + 1, 2 * BLOCK):
        store(maxima, size, edited_lanes(view, start))
        size += LANES
    return np.float64(bound_of(maxima, size, sampled))


@kernel
def is_flat(view: Arrays, bound: float, temperature: float, work: Arrays) -> bool:
    """Whether the bulk seems to be most of the softmax, by the sample of `bound_of_head`."""
    scale = scale_of(bound, temperature)
    if not bound > -np.inf or math.isnan(scale[1]):
        return False
    maxima = work[5]
    width = width_of(mask_of(view), len(view[1]))
    registers, limit = lanes_of(scale), splat(np.float32(bound))
    weights = wide_zeros()
    count = 0
    for i in range(0, LANES * ((width - LANES) // (2 * BLOCK) + 1), LANES):
        z = load(maxima, i)
        head = not_below(z, limit)
        count += count_bits(head)
        weights = add_widened(weights, weights_of(where(head, splat(NOTHING), z), registers)[0])
    at_bound = 2.0 ** (bound * scale[0] - scale[1])
    return bool(wide_fold(weights) > _FLAT * count * at_bound)


@kernel
def weigh_row(
    view: Arrays, temperature: float, with_exponents: bool, bound: float, work: Arrays
) -> tuple[int, Bulk]:
    """The size of the weighed head in `work`, or a status, and the bulk.

    bound : the head reaches it, as `bound_of_head` finds it.
    """
    ids, columns, sums = work[0], work[1], work[7]
    scale = scale_of(bound, temperature)
    nothing = Bulk(0.0, 0.0, 0.0, 0.0, 0.0, -np.inf, bound, scale, False, np.nan)
    if not bound > -np.inf or math.isnan(scale[1]):
        return UNDECIDED, nothing
    most = min(len(ids), LONGEST_HEAD)
    out = (ids[:most], columns[Z, :most])
    size, products = head_and_bulk(view, bound, scale, with_exponents, sums, out)
    if size < 0:
        return size, nothing
    for j in range(size):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    highest = weigh_few(columns, size, temperature)
    return size, _bulk_of(view, (bound, highest), scale, products, work[7])


@kernel
def _bulk_of(
    view: Arrays, edges: tuple[float, float], scale: Arrays, products: float, sums: Array
) -> Bulk:
    """What the sums in float32 tell of the bulk; edges : its bound and the highest logit."""
    bound, highest = edges
    c, reference = scale
    width = width_of(mask_of(view), len(view[1]))
    raw = total(sums, -(-width // BLOCK))
    error = error_of(scale)
    shift = (reference - highest * c) * LN_2  # from the bulk's reference to the highest
    factor = 2.0 * exp_of_negative(min(shift - LN_2, 0.0))
    bulk = factor * raw
    from_bound, unit = (bound - highest) * c * LN_2, factor * c * LN_2
    exponents = unit * products + bulk * from_bound
    exponents_error = ERROR_OF_PRODUCTS * abs(unit * products)
    return Bulk(
        bulk,
        error * bulk,
        exponents,
        exponents_error,
        factor,
        -np.inf,
        bound,
        scale,
        False,
        highest,
    )


@kernel
def weigh_again(view: Arrays, temperature: float, bulk: Bulk, work: Arrays) -> Bulk:
    """The same bulk in float64."""
    sums = work[7]
    bound, scale, highest = bulk.bound, bulk.scale, bulk.highest
    products = precise_bulk(view, bound, temperature, work)
    width = width_of(mask_of(view), len(view[1]))
    raw = total(sums, -(-width // BLOCK))
    shift = (bound - highest) / temperature if bound < highest else 0.0
    factor = exp_of_negative(shift)
    weight, exponents = factor * raw, factor * (products + raw * shift)
    exponents_error = PRECISE_ERROR * (abs(exponents) + weight * (1.0 + abs(shift)))
    error = PRECISE_ERROR * weight
    return Bulk(
        weight, error, exponents, exponents_error, factor, -np.inf, bound, scale, True, highest
    )


@kernel
def is_near(error: float, logprob: float) -> bool:
    """Whether the error is at most that of rounding the logprob to float32 (or 1e-9)."""
    rounding = math.ldexp(1.0, math.frexp(logprob)[1] - 25) if logprob != 0.0 else 0.0
    return error <= 1e-9 + rounding


@kernel
def are_near(error: float, logprob: float, log_mass: float, count: int) -> bool:
    """As `is_near`, for the logprobs of the `count` highest too, which are the nearest to 0."""
    return is_near(error, logprob) and (count == 0 or is_near(error, logprob_of(0.0, log_mass)))


@inlined
def raw_view(logits: Array, work: Arrays) -> Arrays:
    """The model's own row."""
    no_bits = work[0].view(np.uint16)
    return logits, work[6], no_bits, False, no_bits, False
