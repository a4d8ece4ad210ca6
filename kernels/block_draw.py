"""A draw from every candidate of a row, found by the sums of its blocks and never written down.

The block in which the cumulative weight passes u * total, the sixteen ids of it, then the id itself
in float64. What float32 sums before it is uncertain by is held against the distance to the edges.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.bulk import ROUNDING, Bulk
from sampler.kernels.finish import first_highest
from sampler.kernels.lanes import LANES
from sampler.kernels.numeric import exp_of_negative, total
from sampler.kernels.philox import uniform
from sampler.kernels.precise import precise_sixteen
from sampler.kernels.row import BLOCK, UNDECIDED, WEIGHT, Z
from sampler.kernels.view import edited_logit, mask_of, width_of
from sampler.kernels.weights import bulk_of_sixteen


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
    view: Arrays, row: Record, r: float, size: int, bulk: Bulk, work: Arrays
) -> tuple[int, float]:
    """The first of the sixteen ids among which the cumulative weight passes r, and that before."""
    ids, weights, sums = work[0], work[1][WEIGHT], work[7]
    factor, bound, scale = bulk.factor, bulk.bound, bulk.scale
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
            if bulk.precise:
                here += factor * precise_sixteen(view, at, bound, row["temperature"])
            else:
                here += factor * bulk_of_sixteen(view, at, bound, scale)
            if below + here > r:
                return at, below
            below, head = below + here, after
        return stop - stop % LANES, below
    return width, below


@kernel
def draw_of_all(
    view: Arrays, row: Record, size: int, bulk: Bulk, work: Arrays
) -> tuple[int, float, float]:
    """The token, its exponent, and the total; or UNDECIDED."""
    columns = work[1]
    mass = total(columns[WEIGHT], size) + bulk.weight
    slack = bulk.error + ROUNDING * mass
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
