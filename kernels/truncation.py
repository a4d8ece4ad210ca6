"""The weights of the candidates, and the truncations that keep part of them.

Each truncation only finds where its rank is cut (`selection.last_kept`) and drops the rest in
place, so the candidates stay in ascending id and nothing has to be sorted back for the draw. Each
works on what the one before kept; masses are relative to that set's total.
"""

from sampler.kernels._jit import Array, Arrays, kernel
from sampler.kernels.numeric import exp_of_negative, log, total
from sampler.kernels.row import EXPONENT, RANK, WEIGHT, Z
from sampler.kernels.selection import keep_prefix, last_kept, order_keys


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
def _cut(size: int, masses: Array, limit: float, work: Arrays) -> int:
    """The number of candidates that stay when ranked by RANK with `masses` up to `limit`."""
    ids, columns, keys, indices, bins = work[:5]
    order_keys(columns[RANK], size, keys)
    last = last_kept(keys, masses, size, limit, (indices, bins))
    return keep_prefix(keys, last, size, ids, columns)


@kernel
def cut_top_k(size: int, k: int, work: Arrays) -> int:
    """The first k by logit, then lower id."""
    columns = work[1]
    columns[RANK, :size] = columns[Z, :size]
    columns[WEIGHT, :size] = 1.0
    return _cut(size, columns[WEIGHT], float(k), work)


@kernel
def cut_top_p(size: int, p: float, work: Arrays) -> int:
    """The shortest most probable set of mass p (Holtzman et al., arXiv 1904.09751, section 3.1)."""
    columns = work[1]
    columns[RANK, :size] = columns[Z, :size]
    limit = p * total(columns[WEIGHT], size)
    return _cut(size, columns[WEIGHT], limit, work)


@kernel
def cut_typical(size: int, p: float, work: Arrays) -> int:
    """The shortest most typical set of mass p (Meister et al., arXiv 2202.00666, section 3.1).

    With t the exponent and Z the total, -log p = log Z - t and the entropy is log Z - sum(w t) / Z,
    so |-log p - H| = |sum(w t) / Z - t|: no logarithm, and equal logits have equal keys.
    """
    columns = work[1]
    mass = total(columns[WEIGHT], size)
    for i in range(size):
        weight = columns[WEIGHT, i]
        columns[RANK, i] = weight * columns[EXPONENT, i] if weight > 0.0 else 0.0
    centre = total(columns[RANK], size) / mass
    for i in range(size):
        columns[RANK, i] = -abs(centre - columns[EXPONENT, i]) + 0.0
    return _cut(size, columns[WEIGHT], p * mass, work)


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
def log_total(work: Arrays, size: int) -> float:
    """log(sum of the weights of the first `size` candidates)."""
    return log(total(work[1][WEIGHT], size))
