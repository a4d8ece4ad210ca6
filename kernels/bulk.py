"""What is known of a row's softmax without weighing each id in float64.

head = the few hundred highest ids, weighed in float64
bulk = the sum of all the others, in float32 with a bound on its error, or in float64
"""

import math
from typing import NamedTuple

import numpy as np

from sampler.kernels._jit import Array, Arrays, inlined, kernel
from sampler.kernels.finish import first_highest
from sampler.kernels.lanes import LANES, store
from sampler.kernels.numeric import exp_of_negative, total
from sampler.kernels.precise import ERROR as PRECISE_ERROR
from sampler.kernels.precise import LOG2_E, powers_of_two, precise_bulk
from sampler.kernels.row import BLOCK, EXPONENT, RANK, UNDECIDED, WEIGHT, Z
from sampler.kernels.scan import bound_of
from sampler.kernels.view import (
    edited_lanes,
    mask_of,
    width_of,
)
from sampler.kernels.weights import LN_2, corrected, head_and_bulk, scale_of

ROUNDING = 1e-12  # of sums and boundaries in float64, relative to the total


class Bulk(NamedTuple):
    """The sums of all ids that are not in the head, relative to the weight of the highest id.

    Attributes
    ----------
    weight : their weight; error : a bound on its error
    exponents : the sum of weight * exponent, where asked for; exponents_error : a bound
    factor : from the sums of the blocks in the workspace to weights
    bound : no logit of the bulk reaches it
    scale : of `weights`
    precise : whether the sums are float64
    """

    weight: float
    error: float
    exponents: float
    exponents_error: float
    factor: float
    bound: float
    scale: tuple[float, float]
    precise: bool


# The bound of the head is so far down in one id of 64: enough for top_p and small sums of the bulk,
# for typical_p, and for truncations that keep thousands
SHORT_HEAD = 4
MIDDLE_HEAD = 6
LONG_HEAD = 64
_LONGEST_HEAD = 16384


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
def _weigh_head(columns: Array, size: int, temperature: float) -> None:
    """As `weigh`, several at a time."""
    z, weights, scratch = columns[Z, :size], columns[WEIGHT, :size], columns[RANK, :size]
    highest = z[first_highest(z, size)]
    powers_of_two(z, highest, LOG2_E / temperature, weights, scratch)
    for i in range(size):
        columns[EXPONENT, i] = (z[i] - highest) / temperature


@kernel
def weigh_row(
    view: Arrays, temperature: float, with_exponents: bool, sampled: int, work: Arrays
) -> tuple[int, Bulk]:
    """The size of the weighed head in `work`, or a status, and the bulk.

    sampled : how long a head is wanted, SHORT_HEAD or LONG_HEAD.
    """
    ids, columns, maxima, sums = work[0], work[1], work[5], work[7]
    bound = _bound_of_head(view, sampled, maxima)
    scale = scale_of(bound, temperature)
    nothing = Bulk(0.0, 0.0, 0.0, 0.0, 0.0, bound, scale, False)
    if not bound > -np.inf or math.isnan(scale[1]):
        return UNDECIDED, nothing
    most = min(len(ids), _LONGEST_HEAD)
    out = (ids[:most], columns[Z, :most])
    size, products = head_and_bulk(view, bound, scale, with_exponents, sums, out)
    if size < 0:
        return size, nothing
    for j in range(size):
        columns[Z, j] += 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
    _weigh_head(columns, size, temperature)
    return size, _bulk_of(view, size, bound, scale, products, work)


@kernel
def _bulk_of(
    view: Arrays, size: int, bound: float, scale: Arrays, products: float, work: Arrays
) -> Bulk:
    """What the sums in float32 tell of the bulk."""
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
    return Bulk(bulk, error * bulk, exponents, exponents_error, factor, bound, scale, False)


@kernel
def weigh_again(
    view: Arrays, temperature: float, with_exponents: bool, size: int, bulk: Bulk, work: Arrays
) -> Bulk:
    """The same bulk in float64."""
    columns, sums = work[1], work[7]
    bound, scale = bulk.bound, bulk.scale
    products = precise_bulk(view, bound, temperature, with_exponents, work)
    width = width_of(mask_of(view), len(view[1]))
    raw = total(sums, -(-width // BLOCK))
    highest = columns[Z, first_highest(columns[Z], size)]
    shift = (bound - highest) / temperature if bound < highest else 0.0
    factor = exp_of_negative(shift)
    weight, exponents = factor * raw, factor * (products + raw * shift)
    exponents_error = PRECISE_ERROR * (abs(exponents) + weight * (1.0 + abs(shift)))
    error = PRECISE_ERROR * weight
    return Bulk(weight, error, exponents, exponents_error, factor, bound, scale, True)


@kernel
def is_near(error: float, logprob: float) -> bool:
    """Whether a logprob with this error is right to the last digit of a float32 but one."""
    return error <= 1e-9 + abs(logprob) * 2.0**-25


@inlined
def raw_view(logits: Array, work: Arrays) -> Arrays:
    """The model's own row."""
    no_bits = work[0].view(np.uint16)
    return logits, work[6], no_bits, False, no_bits, False
