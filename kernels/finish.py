"""From the kept candidates of a row to its token, its logprobs and its top tokens.

token = first id whose cumulative weight exceeds u * total;  logprob = log(weight / total)
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.numeric import BLOCK, block_sum, total
from sampler.kernels.philox import uniform
from sampler.kernels.row import EXPONENT, WEIGHT, Z
from sampler.kernels.truncation import cut_top_k, log_total


@kernel
def draw(weights: Array, size: int, r: float) -> int:
    """The first index whose cumulative weight exceeds r < total(weights, size)."""
    below = 0.0
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        after = below + block_sum(weights, start, stop)
        if after > r:
            # the same additions as block_sum, so the block's last sum is `after` itself
            partial = 0.0
            for i in range(start, stop):
                partial += weights[i]
                if below + partial > r:
                    return i
        below = after
    return size - 1


@kernel
def first_highest(z: Array, size: int) -> int:
    """The lowest index of the highest of z[:size]."""
    best = 0
    for i in range(1, size):
        if z[i] > z[best]:
            best = i
    return best


@kernel
def chosen_index(row: Record, size: int, columns: Array) -> int:
    """Which of the kept candidates is the token."""
    if row["greedy"]:
        return first_highest(columns[Z], size)
    u = uniform(row["seed"], row["position"])
    return draw(columns[WEIGHT], size, u * total(columns[WEIGHT], size))


@kernel
def logprob_of(exponent: float, log_mass: float) -> float:
    """The logprob; rounding must not make a certain token more than certain."""
    return min(exponent - log_mass, 0.0)


@kernel
def write_top(size: int, count: int, log_mass: float, work: Arrays, out: Arrays) -> None:
    """The `count` highest candidates by logit, then lower id, with their logprobs.

    out : (int64[n] ids, float32[n] logprobs), already -1 and -inf. Candidates are moved.
    """
    ids, columns = work[0], work[1]
    if count < size:
        size = cut_top_k(size, count, work)
    _sort_by_rank(ids, columns, size)
    top_ids, top_logprobs = out
    for i in range(size):
        top_ids[i] = ids[i]
        top_logprobs[i] = np.float32(logprob_of(columns[EXPONENT, i], log_mass))


@kernel
def _sort_by_rank(ids: Array, columns: Array, size: int) -> None:
    """Orders candidates by Z, descending, then lower id (Shell 1959: insertion sort for a few)."""
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, size):
            token_id, z, exponent = ids[i], columns[Z, i], columns[EXPONENT, i]
            at = i
            while at >= gap and (
                columns[Z, at - gap] < z or (columns[Z, at - gap] == z and ids[at - gap] > token_id)
            ):
                ids[at] = ids[at - gap]
                columns[Z, at] = columns[Z, at - gap]
                columns[EXPONENT, at] = columns[EXPONENT, at - gap]
                at -= gap
            ids[at], columns[Z, at], columns[EXPONENT, at] = token_id, z, exponent
        gap //= 3


@kernel
def finish(row: Record, size: int, work: Arrays, top: Arrays) -> tuple[int, float]:
    """The token of a row whose kept candidates are in `work`, and its processed logprob.

    The top tokens are written unless raw ones are asked for.
    """
    ids, columns = work[0], work[1]
    chosen = chosen_index(row, size, columns)
    log_mass = log_total(work, size)
    token_id, logprob = ids[chosen], logprob_of(columns[EXPONENT, chosen], log_mass)
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        write_top(size, row["top_n"], log_mass, work, top)
    return token_id, logprob
