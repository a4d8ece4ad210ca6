"""The kernels' work in NumPy: what answers while they are still being compiled.

Same arguments, same state of the rows, same tokens (unless a draw falls within 1e-12 of an edge of
the cumulative weights), logprobs right to one step of a float32. A row of 128,256 logits takes one
to three milliseconds.

Sources of the arithmetic are named in the kernels: `edits`, `green_list`, `philox`, `truncation`.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sampler.kernels._jit import Array, Arrays, Record
from sampler.kernels.row import NOT_FINITE, NOTHING_ALLOWED, RECENT, ROW, edits_at
from sampler.numpy_truncation import Candidates, by_rank, cumulative

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
            entries = edits_at(row, slot, tables, touched)
            begin(row, recent[slot])
            top[0][:], top[1][:] = -1, -np.inf
            raw = z = logits[b, :vocab_size]
            for _, z in edits(raw, row, entries[0][: row["touched_size"]]):  # noqa: B007 (the last)
                pass
            candidates = _candidates(z, bitmask[b] if masked else None, row)
            if isinstance(candidates, int):
                token_ids[b] = candidates
                failed += 1
                continue
            token_id, processed = _drawn(candidates, row, top)
            logprob = _raw_logprob(raw, token_id, row, top) if row["raw_logprobs"] else processed
            token_ids[b], logprobs[b], processed_logprobs[b] = token_id, logprob, processed
            _end(row, entries, recent[slot], token_id)
    return failed


def begin(row: Record, recent: Array) -> None:
    """Nothing; the green list of the next token has its seed."""
    size, width = int(row["context_size"]), int(row["green_width"])
    row["green"] = 0 < width <= size
    if row["green"]:
        context = [int(recent[i % RECENT]) for i in range(size - width, size)]
        row["green_seed"] = context_seed(int(row["green_key"]), context)


def _end(row: Record, entries: Arrays, recent: Array, token_id: int) -> None:
    if row["counts_tokens"]:
        table, touched = entries
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


def edits(logits: Array, row: Record, table: Array) -> Iterator[tuple[str, Array]]:
    """Each edit of a row that has begun, by its parameter, with float32[V], the row after it.

    `logits` stays as it is; the same array is written again by the next edit. `table` has the ids
    that the row touches.
    """
    if not (row["green"] or row["counts_tokens"] or len(table)):
        return
    z = logits.copy()
    if row["green"]:
        green = green_ids(int(row["green_seed"]), int(row["green_threshold"]), len(z))
        z[green] = z[green].astype(np.float64) + row["green_delta"]
        yield "watermark", z
    ids, generated = table["id"], table["generated"]
    if (penalty := float(row["repetition_penalty"])) != 1.0:
        value = z[ids].astype(np.float64)
        penalised = np.where(value < 0.0, value * penalty, value / penalty)
        z[ids] = np.where(table["occurrences"] > 0, penalised, value)
        yield "repetition_penalty", z
    for name, count in (("frequency_penalty", generated), ("presence_penalty", generated > 0)):
        if (penalty := float(row[name])) != 0.0:
            z[ids] = z[ids].astype(np.float64) - penalty * count
            yield name, z
    if table["bias"].any():
        z[ids] = z[ids].astype(np.float64) + table["bias"]
        yield "logit_bias", z


def allowed(z: Array, bitmask: Array | None) -> tuple[Array, Array] | int:
    """The ids that the mask allows and that are above -inf, and their logits; or a status."""
    if bitmask is None:
        ids = np.arange(len(z))
    else:
        bits = np.unpackbits(bitmask.view(np.uint8), bitorder="little")
        ids = np.flatnonzero(bits[: len(z)])
        z = z[ids]
    if not z.max(initial=-np.inf) < np.inf:  # NaN is not, either
        return NOT_FINITE
    if z.min(initial=np.inf) == -np.inf:
        finite = np.flatnonzero(z > -np.inf)
        ids, z = ids[finite], z[finite]
    return (ids, z) if len(z) else NOTHING_ALLOWED


def truncations(candidates: Candidates, row: Record) -> Iterator[str]:
    """Each truncation of a row that is not greedy, by its parameter, when it is done."""
    if row["top_k"] > 0:
        candidates.keep_top_k(int(row["top_k"]))
        yield "top_k"
    if row["top_p"] < 1.0:
        candidates.keep_top_p(float(row["top_p"]))
        yield "top_p"
    if row["typical_p"] < 1.0:
        candidates.keep_typical(float(row["typical_p"]))
        yield "typical_p"
    if row["min_p"] > 0.0:
        candidates.keep_min_p(float(row["min_p"]))
        yield "min_p"


def _candidates(z: Array, bitmask: Array | None, row: Record) -> Candidates | int:
    """What the row is drawn from, or a status. A greedy row keeps all, at temperature 1."""
    found = allowed(z, bitmask)
    if isinstance(found, int):
        return found
    if row["greedy"]:
        return Candidates(*found, 1.0)
    candidates = Candidates(*found, float(row["temperature"]))
    for _ in truncations(candidates, row):
        pass
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


def finite(z: Array) -> tuple[Array, Array]:
    """The ids whose logit is finite, and their logits."""
    ids = np.flatnonzero(np.isfinite(z))
    return ids, z[ids]


def _raw_logprob(logits: Array, token_id: int, row: Record, top: tuple[Array, Array]) -> float:
    """The log-softmax of the model's own row, of which what is not finite is no part."""
    candidates = Candidates(*finite(logits), 1.0)
    log_mass = math.log(candidates.weights.sum())
    if row["top_n"] > 0:
        _write_top(candidates, log_mass, int(row["top_n"]), top)
    at = np.searchsorted(candidates.ids, token_id)
    return min(float(candidates.exponents[at]) - log_mass, 0.0)


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
