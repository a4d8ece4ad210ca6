"""The weights of the candidates, and the truncations that keep part of them.

Each truncation only finds where its rank is cut (`selection.last_kept`) and drops the rest in
place, so the candidates stay in ascending id and nothing has to be sorted back for the draw. Each
works on what the one before kept; masses are relative to that set's total.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.listed import highest_of
from sampler.kernels.numeric import exp_of_negative, log, total
from sampler.kernels.precise import LOG2_E, powers_of_two
from sampler.kernels.row import EXPONENT, RANK, WEIGHT, Z
from sampler.kernels.selection import FEW, keep_prefix, last_kept, order_keys, rank_few

_DEEP = -690.0  # below, `powers_of_two` soon gives the same for all


@kernel
def weigh(columns: Array, size: int, temperature: float) -> None:
    """Fills EXPONENT and WEIGHT from Z."""
    highest = columns[Z, 0]
    for i in range(1, size):
        highest = max(highest, columns[Z, i])
    for i in range(size):
        # the highest is exactly 0 even when the temperature underflows the quotient to NaN
        difference = columns[Z, i] - highest
        exponent = difference / temperature if difference < 0.0 else 0.0
        columns[EXPONENT, i] = exponent
        columns[WEIGHT, i] = exp_of_negative(exponent)


@kernel
def weigh_few(columns: Array, size: int, temperature: float) -> float:
    """As `weigh`, several at a time and to another last bit; RANK is written over.

    The result is the highest logit.
    """
    z, weights, scratch = columns[Z, :size], columns[WEIGHT, :size], columns[RANK, :size]
    highest = highest_of(z, size)
    # so high a factor gives the same as any higher one, but 0 times it is 0
    powers_of_two(z, highest, min(LOG2_E / temperature, 1e300), weights, scratch)
    for i in range(size):
        difference = z[i] - highest
        exponent = difference / temperature if difference < 0.0 else 0.0
        columns[EXPONENT, i] = exponent
        if exponent < _DEEP:
            weights[i] = exp_of_negative(exponent)
    return highest


@kernel
def _cut(size: int, masses: Array, limit: float, work: Arrays) -> int:
    """The number of candidates that stay when ranked by RANK with `masses` up to `limit`."""
    ids, columns, keys, indices, bins = work[:5]
    order_keys(columns[RANK], size, keys)
    last = last_kept(keys, masses, size, limit, (indices, bins))
    return keep_prefix(columns[RANK], last, size, columns, (ids, indices))


@kernel
def cut_top_k(size: int, k: int, work: Arrays) -> int:
    """The first k by logit, then lower id."""
    columns = work[1]
    for i in range(size):
        columns[RANK, i] = columns[Z, i]
        columns[WEIGHT, i] = 1.0
    return _cut(size, columns[WEIGHT], float(k), work)


@kernel
def cut_top_p(size: int, limit: float, work: Arrays) -> int:
    """The shortest most probable set of weight `limit` (Holtzman et al., arXiv 1904.09751, 3.1)."""
    columns = work[1]
    for i in range(size):
        columns[RANK, i] = columns[Z, i]
    return _cut(size, columns[WEIGHT], limit, work)


@kernel
def weighted_exponents(size: int, columns: Array) -> float:
    """The sum of weight * exponent; RANK is written over."""
    for i in range(size):
        weight = columns[WEIGHT, i]
        columns[RANK, i] = weight * columns[EXPONENT, i] if weight > 0.0 else 0.0
    return total(columns[RANK], size)


@kernel
def cut_typical(size: int, centre: float, limit: float, work: Arrays) -> int:
    """The shortest most typical set of weight `limit` (Meister et al., arXiv 2202.00666, 3.1).

    With t the exponent and Z the total, -log p = log Z - t and the entropy is log Z - sum(w t) / Z,
    so |-log p - H| = |centre - t| with centre = sum(w t) / Z: no logarithm, and equal logits have
    equal keys.
    """
    columns = work[1]
    for i in range(size):
        columns[RANK, i] = -abs(centre - columns[EXPONENT, i]) + 0.0
    return _cut(size, columns[WEIGHT], limit, work)


@kernel
def cut_min_p(size: int, min_p: float, work: Arrays) -> int:
    """Candidates at least min_p times as probable as the best (arXiv 2407.01082, section 3)."""
    ids, columns = work[0], work[1]
    highest = 0.0
    for i in range(size):
        highest = max(highest, columns[WEIGHT, i])
    kept = 0
    for i in range(size):
        if columns[WEIGHT, i] >= min_p * highest:
            ids[kept] = ids[i]
            for c in range(len(columns)):
                columns[c, kept] = columns[c, i]
            kept += 1
    return kept


@kernel
def _keep_marked(size: int, work: Arrays) -> int:
    """The number of candidates whose index is marked by a key of 1, moved to the front."""
    ids, columns, keys = work[0], work[1], work[2]
    kept = 0
    for i in range(size):
        if keys[i] == 1:
            ids[kept] = ids[i]
            columns[Z, kept] = columns[Z, i]
            columns[EXPONENT, kept] = columns[EXPONENT, i]
            columns[WEIGHT, kept] = columns[WEIGHT, i]
            kept += 1
    return kept


@kernel
def truncate_ranked(row: Record, size: int, work: Arrays) -> int:
    """What top_k and top_p leave of a few candidates, weighed here; sorted only once."""
    columns, keys, indices, bins = work[1:5]
    rank_few(columns[Z], size, bins[0], indices)
    top_k = row["top_k"]
    kept = min(top_k, size) if top_k > 0 else size
    weigh_few(columns, size, row["temperature"])
    mass = 0.0
    for i in range(size):
        keys[i] = 0
    for j in range(kept):
        mass += columns[WEIGHT, indices[j]]
    limit = row["top_p"] * mass if row["top_p"] < 1.0 else np.inf
    above = 0.0
    for j in range(kept):
        weight = columns[WEIGHT, indices[j]]
        if above >= limit:
            break
        keys[indices[j]] = 1
        above += weight
    return _keep_marked(size, work)


@kernel
def cut_by_typical_p(row: Record, size: int, work: Arrays) -> int:
    """What `typical_p` of the row leaves of weighed candidates."""
    if row["typical_p"] == 1.0:
        return size
    columns = work[1]
    mass = total(columns[WEIGHT], size)
    centre = weighted_exponents(size, columns) / mass
    return cut_typical(size, centre, row["typical_p"] * mass, work)


@kernel
def cut_by_min_p(row: Record, size: int, work: Arrays) -> int:
    """What `min_p` of the row leaves of weighed candidates."""
    return cut_min_p(size, row["min_p"], work) if row["min_p"] > 0.0 else size


@kernel
def weigh_and_truncate(row: Record, size: int, work: Arrays) -> int:
    """What top_k and all other truncations leave of candidates that have their Z."""
    if size <= FEW:
        size = truncate_ranked(row, size, work)
    else:
        if 0 < row["top_k"] < size:
            size = cut_top_k(size, row["top_k"], work)
        weigh(work[1], size, row["temperature"])
        if row["top_p"] < 1.0:
            limit = row["top_p"] * total(work[1][WEIGHT], size)
            size = cut_top_p(size, limit, work)
    return cut_by_min_p(row, cut_by_typical_p(row, size, work), work)


@kernel
def log_total(work: Arrays, size: int) -> float:
    """log(sum of the weights of the first `size` candidates)."""
    return log(total(work[1][WEIGHT], size))
