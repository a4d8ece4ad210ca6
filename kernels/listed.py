"""Sums and comparisons of a list of float64, sixteen at a time.

They add in another order than `numeric.total`, the same on every processor: for sums whose last bit
decides nothing.
"""

import numpy as np

from sampler.kernels._jit import Array, kernel
from sampler.kernels.lane_bits import lowest_bit, wide_at_least, wide_highest
from sampler.kernels.lane_choice import count_chosen, reaches, wide_choose
from sampler.kernels.lanes import (
    LANES,
    wide_add,
    wide_fold,
    wide_fused,
    wide_load,
    wide_maximum,
    wide_splat,
    wide_zeros,
)

_LOWEST = -1e300
_ONE = np.uint32(1)


@kernel
def sum_of(values: Array, size: int) -> float:
    """The sum of values[:size]."""
    whole = size - size % LANES
    sums = wide_zeros()
    for i in range(0, whole, LANES):
        sums = wide_add(sums, wide_load(values, i))
    result = wide_fold(sums)
    for i in range(whole, size):
        result += values[i]
    return float(result)


@kernel
def sum_of_products(weights: Array, values: Array, size: int) -> float:
    """The sum of weight * value; a value of -inf counts as very low."""
    whole = size - size % LANES
    sums, lowest = wide_zeros(), wide_splat(_LOWEST)
    for i in range(0, whole, LANES):
        sums = wide_fused(wide_load(weights, i), wide_maximum(wide_load(values, i), lowest), sums)
    result = wide_fold(sums)
    for i in range(whole, size):
        result += weights[i] * max(values[i], _LOWEST)
    return float(result)


@kernel
def highest_of(values: Array, size: int) -> float:
    """The highest of values[:size], none of which is NaN; size >= 1."""
    whole = size - size % LANES
    greatest = wide_splat(values[0])
    for i in range(0, whole, LANES):
        greatest = wide_maximum(wide_load(values, i), greatest)
    result = wide_highest(greatest)
    for i in range(whole, size):
        result = max(result, values[i])
    return float(result)


@kernel
def mass_from(values: Array, masses: Array, size: int, low: float) -> tuple[float, int]:
    """The mass of the values >= low, and their number."""
    whole = size - size % LANES
    sums, zero, limit = wide_zeros(), wide_zeros(), wide_splat(low)
    count = 0
    for i in range(0, whole, LANES):
        reached = reaches(wide_load(values, i), limit)
        sums = wide_add(sums, wide_choose(reached, wide_load(masses, i), zero))
        count += count_chosen(reached)
    mass = wide_fold(sums)
    for i in range(whole, size):
        if values[i] >= low:
            mass += masses[i]
            count += 1
    return float(mass), count


@kernel
def list_from(values: Array, size: int, low: float, indices: Array) -> int:
    """Lists the indices of the values >= low, ascending; how many."""
    whole = size - size % LANES
    limit = wide_splat(low)
    count = 0
    for start in range(0, whole, LANES):
        bits = wide_at_least(wide_load(values, start), limit)
        while bits != 0:
            indices[count] = start + lowest_bit(bits)
            bits &= bits - _ONE
            count += 1
    for i in range(whole, size):
        if values[i] >= low:
            indices[count] = i
            count += 1
    return count
