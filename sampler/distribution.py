"""What the next token is drawn from, for one row: the batch sampler's own path, opened up."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import numpy.typing as npt

from sampler.arrays import as_array, as_bitmask, as_logits
from sampler.batch_sampler import STATUS_TEXTS, BatchSampler
from sampler.errors import InvalidParameterError, LogitsError
from sampler.kernels.row import EXPONENT, ROW, Z, arrays_of, edits_at
from sampler.kernels.rows import begin_row
from sampler.kernels.sampling import distribution_of_row
from sampler.kernels.truncation import log_total
from sampler.parameters import SamplingParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What the next token is drawn from: most probable first, ties by lower id.

    Attributes
    ----------
    token_ids : int64[n]
    logprobs : float64[n], natural logarithms
    greedy : whether the one id is the argmax, with its log-softmax of the processed row
    """

    token_ids: npt.NDArray[np.int64]
    logprobs: npt.NDArray[np.float64]
    greedy: bool


def next_token_distribution(
    logits: npt.ArrayLike,
    parameters: SamplingParameters,
    context_token_ids: Sequence[int] = (),
    prompt_length: int = 0,
    bitmask: npt.NDArray[np.int32] | None = None,
) -> Distribution:
    """Exactly what `BatchSampler` would draw the next token from.

    Parameters
    ----------
    logits : float32[V], one row (float16, bfloat16 and float64 are converted)
    parameters : how it is processed; `seed`, `logprobs` and `top_n_tokens` change nothing here
    context_token_ids : prompt and generated tokens, ids below V
    prompt_length : how many of them are the prompt
    bitmask : int32[ceil(V / 32)], bit set = allowed; None allows all

    Raises
    ------
    InvalidParameterError : wrong shape, dtype, ids or prompt_length
    LogitsError : NaN or +inf at an allowed id, or nothing allowed
    """
    sampler, row, mask = open_row(logits, bitmask)
    context = sampler._checked_ids("context_token_ids", context_token_ids)
    size = len(context)
    integer = isinstance(prompt_length, Integral) and not isinstance(prompt_length, bool)
    if not integer or not 0 <= prompt_length <= size:
        raise InvalidParameterError(
            f"`prompt_length` must be >= 0 and <= {size}. Given: {prompt_length!r}"
        )
    add_row(sampler, parameters, context[:prompt_length], context[prompt_length:])
    return _distribution(sampler, row, mask)


def open_row(
    logits: npt.ArrayLike, bitmask: npt.NDArray[np.int32] | None
) -> tuple[BatchSampler, npt.NDArray[np.float32], npt.NDArray[np.int32] | None]:
    """A sampler for one row of float32[V], that row, and its mask, int32[1, words] or None.

    Raises InvalidParameterError for a wrong shape or dtype.
    """
    rows = as_array("logits", logits)
    if rows.ndim != 1 or rows.size == 0:
        raise InvalidParameterError(f"`logits` must have shape [>= 1]. Given: {list(rows.shape)}")
    rows = as_logits(rows[None], 1, 1)
    mask = None if bitmask is None else as_bitmask(as_array("bitmask", bitmask)[None], 1)
    return BatchSampler(rows.shape[1], 1), rows[0], mask


def add_row(
    sampler: BatchSampler, parameters: SamplingParameters, prompt: list[int], generated: list[int]
) -> None:
    """None; gives `sampler` a row with this context."""
    handle = sampler.add(parameters, prompt)
    for token_id in generated:
        sampler.push(handle, token_id)


def _distribution(
    sampler: BatchSampler, logits: npt.NDArray[np.float32], bitmask: npt.NDArray[np.int32] | None
) -> Distribution:
    """The distribution of the only row of `sampler`."""
    parameters, tables, touched, recent, workspace = sampler._slots.arrays
    row = parameters.view(ROW)[0]
    work = arrays_of(workspace)
    ids, columns, *_ = work
    nothing = np.empty(0, np.int64), np.empty(0, np.float32)
    begin_row(row, recent[0], nothing)
    size = distribution_of_row(
        logits,
        (sampler._no_bitmask[0] if bitmask is None else bitmask[0], bitmask is not None),
        row,
        edits_at(row, 0, tables, touched),
        work,
    )
    if size < 0:
        raise LogitsError(STATUS_TEXTS[size])
    order = np.argsort(-columns[Z, :size], kind="stable")
    log_mass = log_total(work, size)
    greedy = bool(row["greedy"])
    if greedy:
        order = order[:1]
    return Distribution(
        token_ids=ids[order].astype(np.int64),
        logprobs=np.minimum(columns[EXPONENT, order] - log_mass, 0.0),
        greedy=greedy,
    )
