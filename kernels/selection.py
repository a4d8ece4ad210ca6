"""Finding where a ranked set is cut, without sorting it.

Every truncation keeps a prefix of some rank: the first k (mass 1 each), or the shortest one whose
mass reaches a limit. `last_kept` finds the end of that prefix by radix descent: masses are summed
per digit of the key, the digit where the limit is reached is opened, and so on; only the elements
under that digit are looked at again. Sorting was rejected: it costs 10 ms for 150,000
elements where this takes a few passes, and a comparison quickselect has quadratic inputs.

Elements are stored in ascending token id, so "then lower id" is "then lower index" here.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Word, inlined, kernel
from sampler.kernels.lane_bits import count_bits, wide_at_least
from sampler.kernels.lanes import LANES, wide_load, wide_splat
from sampler.kernels.listed import list_from, mass_from

DIGITS = 2048
_MANY = 4096  # from so many on, that many digits are worth their while
FEW = 128  # a group of this size is sorted instead of opened further
_HANDFUL = 32  # the fewer, the faster they are ranked, and the longer it takes to find them
_HALVINGS = 16
_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_ALL = np.uint32((1 << LANES) - 1)


@inlined
def order_keys(values: Array, size: int, keys: Array) -> None:
    """keys[i] < keys[j] exactly when values[i] < values[j] (float64, no NaN, no -0.0)."""
    bits = values.view(np.int64)
    for i in range(size):
        keys[i] = bits[i] if bits[i] >= 0 else bits[i] ^ _MAGNITUDE


@kernel
def _range(keys: Array, group: Array) -> tuple[int, int]:
    """The lowest and the highest key of `group`."""
    low = high = keys[group[0]]
    for i in group:
        low = min(low, keys[i])
        high = max(high, keys[i])
    return low, high


@kernel
def _digit_shift(low: int, high: int, digits: int) -> Word:
    """By how many bits a key's distance from `high` is shifted to give less than `digits`."""
    distance = np.uint64(high) - np.uint64(low)  # beyond int64 where the signs differ
    shift = np.uint64(0)
    while distance >> shift >= np.uint64(digits):
        shift += np.uint64(1)
    return shift


@inlined
def _digit(key: int, high: int, shift: Word) -> int:
    """0 for the highest keys."""
    return np.int64((np.uint64(high) - np.uint64(key)) >> shift)  # type: ignore[return-value]


@kernel
def _add_by_digit(
    keys: Array, masses: Array, group: Array, span: tuple[int, Word, int], bins: Array
) -> None:
    """bins[0] + bins[1] = compensated mass, bins[2] = count, for each digit of the group's keys.

    span : (highest key, shift, digits).
    """
    high, shift, digits = span
    for digit in range(digits):
        bins[0, digit] = bins[1, digit] = bins[2, digit] = 0.0
    for i in group:
        digit = _digit(keys[i], high, shift)
        mass = masses[i]
        before = bins[0, digit]
        after = before + mass
        # Knuth's TwoSum: what the rounding of `after` lost; equal weights would add up a bias
        part = after - before
        bins[1, digit] += (before - (after - part)) + (mass - part)
        bins[0, digit] = after
        bins[2, digit] += 1.0


@kernel
def _keep_digit(keys: Array, group: Array, high: int, shift: Word, digit: int) -> int:
    """The number of elements of `group` that have `digit`, moved to its front in their order."""
    size = 0
    for i in group:
        if _digit(keys[i], high, shift) == digit:
            group[size] = i
            size += 1
    return size


@kernel
def rank_few(values: Array, size: int, scratch: Array, order: Array) -> None:
    """order[:size] = the indices of `values` (float64) by value, descending, then lower index.

    scratch : float64[>= size + 15]. Each counts those ahead of it, sixteen at a time: that is n * n
    comparisons but no branch depends on one, and a sort of fifty would guess hundreds of branches
    wrong. So it is for a hundred or so.
    """
    for i in range(size):
        scratch[i] = values[i]
        order[i] = i  # NaN would leave places out: no index may come from old memory
    for i in range(size, size + LANES - 1):
        scratch[i] = -np.inf
    for i in range(size):
        value = wide_splat(values[i])
        ahead = 0
        for start in range(0, size, LANES):
            others = wide_load(scratch, start)
            reached = wide_at_least(others, value)
            later = _ALL << np.uint32(min(max(i - start, 0), LANES))
            ahead += count_bits(reached ^ (reached & wide_at_least(value, others) & later))
        order[ahead] = i


@kernel
def _sort_by_rank(keys: Array, group: Array, bins: Array) -> None:
    """Orders a small group by key, descending, then lower place; `bins` is written over."""
    values, order, before = bins[0], bins[1].view(np.int64), bins[2].view(np.int64)
    bits = values.view(np.int64)
    for j in range(len(group)):  # back from keys to what they were made of
        key = keys[group[j]]
        bits[j] = key if key >= 0 else key ^ _MAGNITUDE
    rank_few(values, len(group), bins[2], order)
    for j in range(len(group)):
        before[j] = group[j]
    for j in range(len(group)):
        group[j] = before[order[j]]


@kernel
def last_kept(keys: Array, masses: Array, size: int, limit: float, work: Arrays) -> int:
    """The index of the last element that stays when each stays whose higher ranks weigh < limit.

    keys : int64[size], rank descending, then lower index; masses : float64[size], >= 0;
    work : (int32[size] indices, float64[3, DIGITS] sums). size >= 1, limit > 0.
    """
    for i in range(size):
        work[0][i] = i
    return last_of(keys, masses, size, limit, work)


@kernel
def last_of(keys: Array, masses: Array, size: int, limit: float, work: Arrays) -> int:
    """As `last_kept`, of the elements whose indices are in work[0][:size], ascending.

    Up to FEW of these are left in the order of their ranks; more are written over.
    """
    indices, bins = work
    above = 0.0
    while size > FEW:
        low, high = _range(keys, indices[:size])
        if low == high:
            break
        digits = DIGITS if size > _MANY else DIGITS // 8
        shift = _digit_shift(low, high, digits)
        _add_by_digit(keys, masses, indices[:size], (high, shift, digits), bins)
        opened = 0
        above_opened = above
        for digit in range(digits):
            if bins[2, digit] == 0.0:
                continue
            opened = digit
            above_opened = above
            above += bins[0, digit] + bins[1, digit]
            if above >= limit:
                break
        above = above_opened
        size = _keep_digit(keys, indices[:size], high, shift, opened)
    if size <= FEW:  # else all keys are equal, and in order
        _sort_by_rank(keys, indices[:size], bins)
    for j in range(size):
        above += masses[indices[j]]
        if above >= limit:
            return int(indices[j])
    return int(indices[size - 1])


@kernel
def value_of_few(
    values: Array, masses: Array, size: int, span: tuple[float, float], limit: float
) -> float:
    """A value that a few of `values` reach whose mass is at least `limit`; -inf if there is none.

    span : between which values it is looked for.
    """
    low, high = span
    found = -np.inf
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        mass, count = mass_from(values, masses, size, middle)
        if mass < limit:
            high = middle
            continue
        low = found = middle
        if count <= _HANDFUL:
            break
    return found


@kernel
def keep_prefix(ranks: Array, last: int, size: int, columns: Array, lists: Arrays) -> int:
    """The number of elements ranked no lower than `last`, moved to the front in their order.

    An element is ids[i] together with columns[:, i], `ranks` may be one of them; ranks descending,
    then lower index. lists : (ids, indices to write over).
    """
    ids, indices = lists
    rank = ranks[last]
    count = list_from(ranks, size, rank, indices)
    kept = 0
    for j in range(count):
        i = indices[j]
        if i > last and ranks[i] == rank:
            continue
        ids[kept] = ids[i]
        for c in range(len(columns)):
            columns[c, kept] = columns[c, i]
        kept += 1
    return kept
