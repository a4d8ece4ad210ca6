"""One step under the microscope: what each processor makes of a row of logits.

The stages come in the order in which `sampler.numpy_sampling` takes the steps, and are those steps:
nothing is computed here but logprobs. That path draws the tokens of the kernels; a kept set may
differ from theirs by an id that lies within 1e-12 of the boundary.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sampler.batch_sampler import STATUS_TEXTS
from sampler.distribution import add_row, open_row
from sampler.errors import InvalidParameterError, LogitsError, shown
from sampler.kernels.row import NOTHING_ALLOWED, ROW, edits_at
from sampler.numpy_sampling import allowed, begin, edits, finite, truncations
from sampler.numpy_truncation import Candidates, by_rank
from sampler.parameters import SamplingParameters, is_integer

MODEL, MASK, GREEDY = "model", "mask", "greedy"  # the stages that no parameter names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """The distribution after one processor. ``token_id in stage`` is whether an id is left.

    Attributes
    ----------
    name : "model", then the name of a parameter, or "mask"; "greedy" is where one id is taken
    size : ids that are left, >= 1
    token_ids : int64[min(n, size)], the most probable of them, ties by lower id
    logprobs : float64[min(n, size)], natural logarithms; that of a greedy id is its log-softmax
        among those that were left before
    """

    name: str
    size: int
    token_ids: npt.NDArray[np.int64]
    logprobs: npt.NDArray[np.float64]
    _ids: npt.NDArray[np.int64] = field(repr=False)  # all, ascending
    _logprobs: npt.NDArray[np.float64] = field(repr=False)

    def __contains__(self, token_id: int) -> bool:
        at = np.searchsorted(self._ids, token_id)
        return bool(at < self.size and self._ids[at] == token_id)

    def logprob(self, token_id: int) -> float:
        """The logprob of any id; -inf where it is not left."""
        if token_id not in self:
            return -math.inf
        return float(self._logprobs[np.searchsorted(self._ids, token_id)])


def trace_step(
    logits: npt.ArrayLike,
    parameters: SamplingParameters,
    prompt_token_ids: Sequence[int] = (),
    generated_token_ids: Sequence[int] = (),
    *,
    bitmask: npt.NDArray[np.int32] | None = None,
    n: int = 10,
) -> list[Stage]:
    """What is left of one row after each processor, from the model's own to what is drawn from.

    The first stage is "model", the log-softmax of the row; then each processor that is not neutral,
    in the order in which they are applied: watermark, repetition_penalty, frequency_penalty,
    presence_penalty, logit_bias, mask, temperature, top_k, top_p, typical_p, min_p; or "greedy" in
    place of the last five. A watermark is none while the context is shorter than it needs. The last
    stage is `next_token_distribution` of the same row.

    Parameters
    ----------
    logits : float32[V], one row (float16, bfloat16 and float64 are converted)
    parameters : how it is processed; `seed`, `logprobs` and `top_n_tokens` change nothing here
    prompt_token_ids, generated_token_ids : the context, ids below V
    bitmask : int32[ceil(V / 32)], bit set = allowed; ids beyond it are forbidden; None allows all
    n : how many ids each stage lists, >= 1

    NaN and +inf, which the mask must forbid, count as -inf before the mask.

    Raises
    ------
    InvalidParameterError : wrong shape, dtype, ids or n
    LogitsError : NaN or +inf at an allowed id, or nothing allowed
    """
    if not is_integer(n) or n < 1:
        raise InvalidParameterError(f"`n` must be an integer >= 1. Given: {shown(n)}")
    sampler, row, mask = open_row(logits, bitmask)
    prompt = sampler._checked_ids("prompt_token_ids", prompt_token_ids)
    generated = sampler._checked_ids("generated_token_ids", generated_token_ids)
    add_row(sampler, parameters, prompt, generated)
    slots, tables, touched, recent, _ = sampler._slots.arrays
    record = slots.view(ROW)[0]
    table = edits_at(record, 0, tables, touched)[0][: record["touched_size"]]
    with np.errstate(all="ignore"):  # infinities have a meaning here
        begin(record, recent[0])
        steps = _steps(row, record, table, None if mask is None else mask[0])
        return [_stage(name, candidates, n) for name, candidates in steps]


def removed_by(stages: Iterable[Stage], token_id: int) -> str | None:
    """The name of the first stage that does not have `token_id`; None if all of them have it."""
    return next((stage.name for stage in stages if token_id not in stage), None)


def _steps(
    logits: npt.NDArray[np.float32],
    row: np.void,
    table: npt.NDArray[np.void],
    bitmask: npt.NDArray[np.int32] | None,
) -> Iterator[tuple[str, Candidates]]:
    """Each stage with its candidates, which the next stage changes."""
    yield MODEL, _lenient(logits, bitmask)
    z = logits
    for name, z in edits(logits, row, table):
        yield name, _lenient(z, bitmask)
    found = allowed(z, bitmask)
    if isinstance(found, int):
        raise LogitsError(STATUS_TEXTS[found])
    if bitmask is not None:
        yield MASK, Candidates(*found, 1.0)
    if row["greedy"]:
        yield GREEDY, Candidates(*found, 1.0)
        return
    candidates = Candidates(*found, float(row["temperature"]))
    if row["temperature"] != 1.0:
        yield "temperature", candidates
    for name in truncations(candidates, row):
        yield name, candidates


def _lenient(z: npt.NDArray[np.float32], bitmask: npt.NDArray[np.int32] | None) -> Candidates:
    """All ids that are finite: the mask may still forbid the others."""
    ids, values = finite(z)
    if not len(ids):  # neither will there be any behind the mask
        status = allowed(z, bitmask)
        raise LogitsError(STATUS_TEXTS[status if isinstance(status, int) else NOTHING_ALLOWED])
    return Candidates(ids, values, 1.0)


def _stage(name: str, candidates: Candidates, n: int) -> Stage:
    logprobs = np.minimum(candidates.exponents - math.log(candidates.weights.sum()), 0.0)
    ids = candidates.ids
    ranked = by_rank(candidates.z, 1 if name == GREEDY else n)
    if name == GREEDY:
        ids, logprobs = ids[ranked], logprobs[ranked]
        ranked = np.zeros(1, np.intp)
    return Stage(
        name=name,
        size=len(ids),
        token_ids=ids[ranked],
        logprobs=logprobs[ranked],
        _ids=ids,
        _logprobs=logprobs,
    )
