"""A draw from more ids than are listed, found by the sums of the blocks of a row.

The block in which the cumulative weight passes u * total, the sixteen ids of it, then the id itself
in float64. What float32 sums before it is uncertain by is held against the distance to the edges.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.bulk import ROUNDING, Bulk
from sampler.kernels.lanes import LANES
from sampler.kernels.numeric import exp_of_negative
from sampler.kernels.philox import uniform
from sampler.kernels.precise import precise_sixteen
from sampler.kernels.row import BLOCK, UNDECIDED
from sampler.kernels.view import edited_logit, mask_of, width_of
from sampler.kernels.weights import bulk_of_sixteen


@kernel
def _listed_until(ids: Array, weights: Array, span: tuple[int, int, int]) -> tuple[int, float]:
    """The first listed index from span[0] on, below span[1], with an id >= span[2]; the weights."""
    head, size, stop = span
    here = 0.0
    while head < size and ids[head] < stop:
        here += weights[head]
        head += 1
    return head, here


@kernel
def _find_sixteen(
    view: Arrays, row: Record, r: float, listed: Arrays, bulk: Bulk, work: Arrays
) -> tuple[int, float, float]:
    """The first of the sixteen ids among which the cumulative weight passes r.

    Also the weight before them, in all and as far as it is a sum of blocks.
    """
    weights, size, unit, _ = listed
    ids, sums = work[0], work[7]
    factor, low, bound = bulk.factor, bulk.low, bulk.bound
    width = width_of(mask_of(view), len(view[1]))
    below = bulk_below = 0.0
    head = 0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        after, here = _listed_until(ids, weights, (head, size, stop))
        summed = factor * sums[start // BLOCK]
        here = unit * here + summed
        if below + here <= r:
            below, bulk_below, head = below + here, bulk_below + summed, after
            continue
        for at in range(start, stop - stop % LANES, LANES):
            after, here = _listed_until(ids, weights, (head, size, at + LANES))
            if bulk.precise:
                summed = factor * precise_sixteen(view, at, low, bound, row["temperature"])
            else:
                summed = factor * bulk_of_sixteen(view, at, low, bound, bulk.scale)
            here = unit * here + summed
            if below + here > r:
                return at, below, bulk_below
            below, bulk_below, head = below + here, bulk_below + summed, after
        return stop - stop % LANES, below, bulk_below
    return width, below, bulk_below


@inlined
def _slack(u: float, below: float, mass: float) -> float:
    """How far off `below` may be from u * mass, relative to the error of both.

    An error of the weight before counts for 1 - u of it, as it is part of the mass too, and one of
    the weight behind for u of it.
    """
    return (1.0 - u) * below + u * max(mass - below, 0.0)


@kernel
def draw_of_all(
    view: Arrays, row: Record, known: Arrays, listed: Arrays, bulk: Bulk, work: Arrays
) -> tuple[int, float]:
    """The token and its exponent; or UNDECIDED.

    known : (the mass of the listed ids and the bulk, the highest logit); listed : (weights of the
    ids in `work`, how many, what they are to be multiplied by, a bound on their relative error).
    """
    ids = work[0]
    mass, highest = known
    weights, size, unit, listed_error = listed
    u = uniform(row["seed"], row["position"])
    r = u * mass
    start, below, bulk_below = _find_sixteen(view, row, r, listed, bulk, work)
    slack = ROUNDING * mass + listed_error * _slack(u, below - bulk_below, mass - bulk.weight)
    if bulk.weight > 0.0:
        slack += bulk.error / bulk.weight * _slack(u, bulk_below, bulk.weight)
    head = 0
    for token_id in range(start, min(start + LANES, width_of(mask_of(view), len(view[1])))):
        z = np.float64(edited_logit(view, token_id))
        exponent = (z - highest) / row["temperature"] if z < highest else 0.0
        if bulk.low <= z < bulk.bound:
            weight = exp_of_negative(exponent)
        else:
            while head < size and ids[head] < token_id:
                head += 1
            if head == size or ids[head] != token_id:
                continue
            weight = unit * weights[head]
        if below + weight > r:
            if r - below > slack and below + weight - r > slack:
                return token_id, exponent
            break
        below += weight
    return UNDECIDED, 0.0
