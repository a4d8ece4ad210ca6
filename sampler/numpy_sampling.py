"""The kernels' work in NumPy: what answers while they are still being compiled.

Same arguments, same state of the rows, same tokens (unless a draw falls within 1e-12 of an edge of
the cumulative weights), logprobs right to one step of a float32. A row of 128,256 logits takes one
to three milliseconds.

Sources of the arithmetic are named in the kernels: `edits`, `green_list`, `philox`, `truncation`.
"""

import math

import numpy as np
import numpy.typing as npt

from sampler.kernels._jit import Array, Arrays, Record
from sampler.kernels.row import NOT_FINITE, NOTHING_ALLOWED, RECENT, ROW, edits_at
from sampler.numpy_truncation import Candidates, Floats, by_rank, cumulative, first

_LOW = 2**32 - 1
_UINT64 = 2**64 - 1


def sample_rows(
    logits: Array,
    bitmask: Array,
    masked: bool,
    pairs: Array,
    parameters: Array,
    tables: Array,
    touched: Array,
    recent: Array,
    work: Array,
    token_ids: Array,
    logprobs: Array,
    processed_logprobs: Array,
    top_ids: Array,
    top_logprobs: Array,
) -> int:
    """One token for each pair of a row of logits and a slot, as `kernels.rows` says."""
    rows, vocab_size = parameters.view(ROW), int(work[0])
    failed = 0
    with np.errstate(all="ignore"):  # infinities have a meaning here
        for b, slot in pairs.T.tolist():
            row, top = rows[slot], (top_ids[b], top_logprobs[b])
            edits = edits_at(row, slot, tables, touched)
            _begin(row, recent[slot], top)
            raw = logits[b, :vocab_size]
            z = _edited(raw, row, edits[0][: row["touched_size"]])
            candidates = _candidates(z, bitmask[b] if masked else None, row)
            if isinstance(candidates, int):
                token_ids[b] = candidates
                failed += 1
                continue
            token_id, processed = _drawn(candidates, row, top)
            logprob = _raw_logprob(raw, token_id, row, top) if row["raw_logprobs"] else processed
            token_ids[b], logprobs[b], processed_logprobs[b] = token_id, logprob, processed
            _end(row, edits, recent[slot], token_id)
    return failed


def _begin(row: Record, recent: Array, top: tuple[Array, Array]) -> None:
    size, width = int(row["context_size"]), int(row["green_width"])
    row["green"] = 0 < width <= size
    if row["green"]:
        context = [int(recent[i % RECENT]) for i in range(size - width, size)]
        row["green_seed"] = context_seed(int(row["green_key"]), context)
    top[0][:], top[1][:] = -1, -np.inf


def _end(row: Record, edits: Arrays, recent: Array, token_id: int) -> None:
    if row["counts_tokens"]:
        table, touched = edits
        j = _place(row, table, touched, token_id)
        table["occurrences"][j] += 1
        table["generated"][j] += 1
    recent[row["context_size"] % RECENT] = token_id
    row["context_size"] += 1
    row["position"] += 1


def _place(row: Record, table: Array, touched: Array, token_id: int) -> int:
    """Where `token_id` stands in `table`, which has room for another id; it is added if needed."""
    size = int(row["touched_size"])
    at = int(np.searchsorted(table["id"][:size], token_id))
    if at < size and table["id"][at] == token_id:
        return at
    table[at + 1 : size + 1] = table[at:size].copy()
    words = touched.view(np.uint32)
    words[token_id // 32] |= np.uint32(1 << token_id % 32)
    table[at] = np.zeros((), table.dtype)
    table["id"][at] = token_id
    row["touched_size"] = size + 1
    return at


def _edited(logits: Array, row: Record, table: Array) -> Array:
    """The row after watermark, penalties and bias, each rounded once; itself if there are none."""
    if not row["green"] and not len(table):
        return logits
    z = logits.copy()
    if row["green"]:
        green = green_ids(int(row["green_seed"]), int(row["green_threshold"]), len(z))
        z[green] = z[green].astype(np.float64) + row["green_delta"]
    value = z[table["id"]]
    generated = table["generated"]
    wide, penalty = value.astype(np.float64), float(row["repetition_penalty"])
    if penalty != 1.0:
        penalised = np.where(wide < 0.0, wide * penalty, wide / penalty)
        wide = _rounded(np.where(table["occurrences"] > 0, penalised, wide))
    wide = _rounded(wide - row["frequency_penalty"] * generated)
    wide = _rounded(wide - np.where(generated > 0, row["presence_penalty"], 0.0))
    z[table["id"]] = wide + table["bias"]
    return z


def _rounded(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def _candidates(z: Array, bitmask: Array | None, row: Record) -> Candidates | int:
    """What the row is drawn from, or a status. A greedy row keeps all, at temperature 1."""
    if bitmask is None:
        ids = np.arange(len(z))
    else:
        allowed = np.unpackbits(bitmask.view(np.uint8), bitorder="little")
        ids = np.flatnonzero(allowed[: len(z)])
        z = z[ids]
    if not z.max(initial=-np.inf) < np.inf:  # NaN is not, either
        return NOT_FINITE
    if z.min(initial=np.inf) == -np.inf:
        finite = np.flatnonzero(z > -np.inf)
        ids, z = ids[finite], z[finite]
    if not len(z):
        return NOTHING_ALLOWED
    if row["greedy"]:
        return Candidates(ids, z, 1.0)
    if row["top_k"] > 0:
        kept = first(z, int(row["top_k"]))
        ids, z = ids[kept], z[kept]
    candidates = Candidates(ids, z, float(row["temperature"]))
    if row["top_p"] < 1.0:
        candidates.keep_top_p(float(row["top_p"]))
    if row["typical_p"] < 1.0:
        candidates.keep_typical(float(row["typical_p"]))
    if row["min_p"] > 0.0:
        candidates.keep_min_p(float(row["min_p"]))
    return candidates


def _drawn(candidates: Candidates, row: Record, top: tuple[Array, Array]) -> tuple[int, float]:
    """The token and its processed logprob; the top tokens are written unless raw ones are wanted.

    The token is the first whose cumulative weight exceeds a uniform share of the total.
    """
    if row["greedy"]:
        chosen = int(np.argmax(candidates.z))  # the first of equal ones
    else:
        sums = cumulative(candidates.weights)
        u = uniform(int(row["seed"]), int(row["position"]))
        chosen = int(np.searchsorted(sums, u * sums[-1], side="right"))
    log_mass = math.log(candidates.weights.sum())
    if row["top_n"] > 0 and not row["raw_logprobs"]:
        _write_top(candidates, log_mass, int(row["top_n"]), top)
    return int(candidates.ids[chosen]), min(float(candidates.exponents[chosen]) - log_mass, 0.0)


def _raw_logprob(logits: Array, token_id: int, row: Record, top: tuple[Array, Array]) -> float:
    """The log-softmax of the model's own row, of which what is not finite is no part."""
    ids = np.flatnonzero(np.isfinite(logits))
    candidates = Candidates(ids, logits[ids], 1.0)
    log_mass = math.log(candidates.weights.sum())
    if row["top_n"] > 0:
        _write_top(candidates, log_mass, int(row["top_n"]), top)
    return min(float(candidates.exponents[np.searchsorted(ids, token_id)]) - log_mass, 0.0)


def _write_top(
    candidates: Candidates, log_mass: float, count: int, top: tuple[Array, Array]
) -> None:
    ranked = by_rank(candidates.z, count)
    top[0][: len(ranked)] = candidates.ids[ranked]
    top[1][: len(ranked)] = np.minimum(candidates.exponents[ranked] - log_mass, 0.0)


def uniform(seed: int, position: int) -> float:
    """The draw of the token at `position`, 0 <= u < 1: Philox4x32-10, as `kernels.philox`."""
    k0, k1 = seed & _LOW, seed >> 32
    x0, x1, x2, x3 = position & _LOW, position >> 32, 0, 0
    for _ in range(10):
        even, odd = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1, x2, x3 = (odd >> 32) ^ x1 ^ k0, odd & _LOW, (even >> 32) ^ x3 ^ k1, even & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & _LOW, (k1 + 0xBB67AE85) & _LOW
    return float((x0 << 21) | (x1 >> 11)) * 2.0**-53


def context_seed(key: int, token_ids: list[int]) -> int:
    """The seed of the green list that follows these tokens, as `kernels.green_list`."""
    seed = key
    for token_id in token_ids:
        seed = ((seed ^ token_id) + 0x9E3779B97F4A7C15) & _UINT64
        seed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & _UINT64
        seed = ((seed ^ (seed >> 27)) * 0x94D049BB133111EB) & _UINT64
        seed ^= seed >> 31
    return seed


def green_ids(seed: int, threshold: int, size: int) -> npt.NDArray[np.bool_]:
    """Which ids below `size` are green, bool[size]; `threshold` is gamma * 2**32."""
    hashed = np.arange(size, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed & _LOW)
    hashed = _fmix32(_fmix32(hashed) + np.uint32(seed >> 32))
    return hashed < np.uint32(threshold)


def _fmix32(x: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
