"""Rows of sampling state, and the one kernel call that draws a token for each of them.

A row is what one sequence needs between its tokens: its parameters, which tokens it has seen how
often, and its random position. Rows live in slots of arrays that the kernel reads in place; nothing
of one row enters another's arithmetic.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from operator import index
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sampler.arrays import as_bitmask, as_logits
from sampler.errors import InvalidParameterError, LogitsError, SamplerError
from sampler.kernels.few import sample_few
from sampler.kernels.row import (
    NOT_FINITE,
    NOTHING_ALLOWED,
    UNDECIDED,
)
from sampler.kernels.sampling import sample_plain, score_tokens
from sampler.kernels.wide import sample_wide
from sampler.parameters import SamplingParameters
from sampler.readiness import Kernel, answering
from sampler.slots import Slots

_PLAIN: Kernel = sample_plain
_new_tuple = tuple.__new__  # of a NamedTuple, in a third of the time of `_make`
_append = list.append
_INT64, _FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)

STATUS_TEXTS = {
    NOT_FINITE: "logits must not be NaN or +inf at an allowed token",
    NOTHING_ALLOWED: "no token is allowed: every logit is -inf or masked",
}


class SampledTokens(NamedTuple):
    """One token for each row, in the order of the rows that were asked for.

    Attributes
    ----------
    token_ids : int64[B], -1 where the row has an error
    logprobs : float32[B], as the row's `logprobs` parameter says; -inf where it has an error
    processed_logprobs : float32[B], always those of the distribution that was drawn from
    top_token_ids : int64[B, n], n the largest `top_n_tokens` of the rows, padded with -1
    top_logprobs : float32[B, n], padded with -inf
    errors : what went wrong, by index in these arrays
    """

    token_ids: npt.NDArray[np.int64]
    logprobs: npt.NDArray[np.float32]
    processed_logprobs: npt.NDArray[np.float32]
    top_token_ids: npt.NDArray[np.int64]
    top_logprobs: npt.NDArray[np.float32]
    errors: dict[int, SamplerError]


class _Row:
    """The history of one row, and where each of its distinct tokens stands in the arrays."""

    def __init__(self, parameters: SamplingParameters, seed: int, slot: int) -> None:
        self.parameters = parameters
        self.seed = seed
        self.slot = slot
        self.kernel = _PLAIN
        self.history: list[int] = []
        self.prompt_length = 0
        self.counts_tokens = parameters.counts_tokens


class _Batch(NamedTuple):
    """Rows to draw for, and how.

    Attributes
    ----------
    rows : in the order of the logits
    histories : of these rows
    calls : a kernel each, with int64[2, n]: rows of the logits and their slots
    is_lasting : whether these are the kernels that the rows want, and not what answers for them
        until they are compiled
    width : how many alternatives are reported at most
    no_top : the arrays of alternatives when there are none: nobody can write to them
    """

    size: int
    rows: list[_Row]
    histories: list[list[int]]
    calls: list[tuple[Kernel, npt.NDArray[np.int64]]]
    is_lasting: bool
    width: int
    no_top: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None


# Rows shorter than this are read several times faster than a call is made
_SHORTEST = 1024
_IDS_PER_CANDIDATE = 64


def _kernel_for(parameters: SamplingParameters, vocab_size: int) -> Kernel:
    """The kernel that is fastest for a row; each gives the same tokens, or says UNDECIDED."""
    if vocab_size < _SHORTEST:
        return _PLAIN
    if parameters.is_greedy:
        return sample_wide
    if parameters.top_k > 0:
        return sample_few if parameters.top_k * _IDS_PER_CANDIDATE <= vocab_size else _PLAIN
    if parameters.top_p < 1.0 or parameters.typical_p < 1.0 or parameters.min_p == 0.0:
        return sample_wide
    return sample_few


class BatchSampler:
    """Draws the next token of up to `max_batch_size` independent sequences.

    Parameters
    ----------
    vocab_size : ids are 0 to vocab_size - 1; logits may have more columns, which are never drawn
    max_batch_size : rows that can be held at once

    Not thread-safe: one thread at a time. `sample` releases the GIL in its kernel.

    Raises
    ------
    InvalidParameterError : a size below 1
    """

    def __init__(self, vocab_size: int, max_batch_size: int) -> None:
        _check_size("vocab_size", vocab_size)
        _check_size("max_batch_size", max_batch_size)
        self.vocab_size = int(vocab_size)
        self.max_batch_size = int(max_batch_size)
        self._rows: dict[int, _Row] = {}
        self._next_handle = 0
        self._everyone: _Batch | None = None  # all rows, until one joins or leaves
        self._free = list(range(max_batch_size - 1, -1, -1))
        self._slots = Slots(max_batch_size, vocab_size)
        self._no_bitmask = np.zeros((max_batch_size, 1), np.int32)

    def add(self, parameters: SamplingParameters, prompt_token_ids: Sequence[int] = ()) -> int:
        """The handle of a new row, placed after those already there.

        Parameters
        ----------
        parameters : how its tokens are drawn
        prompt_token_ids : its context so far, ids below `vocab_size`

        Raises
        ------
        InvalidParameterError : no free row, an id outside the vocabulary in the prompt or the bias
        """
        if not isinstance(parameters, SamplingParameters):
            raise InvalidParameterError(
                f"`parameters` must be SamplingParameters. Given: {parameters!r}"
            )
        prompt = self._checked_ids("prompt_token_ids", prompt_token_ids)
        self._checked_ids("logit_bias", parameters.logit_bias or {})
        if not self._free:
            raise InvalidParameterError(
                f"rows must be <= `max_batch_size` = {self.max_batch_size}. "
                f"Given: {self.max_batch_size + 1}"
            )
        seed = secrets.randbits(64) if parameters.seed is None else parameters.seed
        row = _Row(parameters, seed, self._free[-1])
        row.kernel = _kernel_for(parameters, self.vocab_size)
        row.history, row.prompt_length = prompt, len(prompt)
        self._slots.begin(row.slot, parameters, seed, prompt, len(prompt))
        handle = self._next_handle
        self._next_handle += 1
        self._everyone = None
        self._free.pop()  # not before all is done: an interrupt would lose the slot
        self._rows[handle] = row
        return handle

    def remove(self, handle: int) -> None:
        """Frees the row. Raises InvalidParameterError for a handle that is not held."""
        row = self._row(handle)
        del self._rows[handle]
        self._everyone = None
        self._slots.end(row.slot)
        self._free.append(row.slot)

    def seed(self, handle: int) -> int:
        """The seed in use, 0 to 2**64 - 1, also when it was drawn."""
        return self._row(handle).seed

    def push(self, handle: int, token_id: int) -> None:
        """Appends a token that was not drawn here; it counts as generated and takes a position."""
        (checked,) = self._checked_ids("token_id", [token_id])
        row = self._row(handle)
        try:
            row.history.append(checked)
            if row.counts_tokens:
                self._slots.count(row.slot, checked, 1)
            self._slots.set_context(row.slot, row.history, len(row.history) - row.prompt_length)
        except BaseException:
            self._restore([row])
            raise

    def rollback(self, handle: int, n: int) -> None:
        """Takes back the last `n` generated tokens, drawn or pushed, and their positions.

        Raises InvalidParameterError when fewer than `n` were generated.
        """
        row = self._row(handle)
        generated = len(row.history) - row.prompt_length
        if isinstance(n, bool) or not isinstance(n, Integral) or not 0 <= n <= generated:
            raise InvalidParameterError(f"`n` must be >= 0 and <= {generated}. Given: {n!r}")
        kept = len(row.history) - n
        taken = row.history[kept:]
        try:
            del row.history[kept:]
            for token_id in taken if row.counts_tokens else ():
                self._slots.count(row.slot, token_id, -1)
            self._slots.set_context(row.slot, row.history, generated - n)
        except BaseException:
            self._restore([row])
            raise

    def sample(
        self,
        logits: npt.ArrayLike,
        bitmask: npt.NDArray[np.int32] | None = None,
        rows: Sequence[int] | None = None,
    ) -> SampledTokens:
        """One token for each row; each drawn token enters its row's history.

        Parameters
        ----------
        logits : float32[B, columns], columns >= vocab_size; float16, bfloat16 and float64 are
            converted once; unchanged on return
        bitmask : int32[B, words], bit i % 32 of word i // 32 set where id i is allowed; ids beyond
            it are forbidden; None allows all
        rows : the B handles that the rows of logits belong to; None is all, in the order added

        A row that cannot be drawn (NaN or +inf at an allowed id, nothing allowed) gets token -1 and
        an entry in `errors`; its history and random position do not move. An interrupt
        (KeyboardInterrupt) leaves all rows as they were, or all with their tokens.

        Raises
        ------
        InvalidParameterError : wrong shape or dtype, an unknown or repeated handle
        """
        batch = self._everyone if rows is None else self._batch_of(rows)
        if batch is None:
            batch = self._batch(list(self._rows.values()))
            self._everyone = batch if batch.is_lasting else None
        size = batch.size
        logits = as_logits(logits, size, self.vocab_size)
        masked = bitmask is not None
        mask = as_bitmask(bitmask, size) if bitmask is not None else self._no_bitmask
        out: tuple[Any, ...] = (
            np.empty(size, _INT64),
            np.empty(size, _FLOAT32),
            np.empty(size, _FLOAT32),
            *(batch.no_top or _top_arrays(size, batch.width)),
        )
        slots = self._slots
        if slots.draws_left == 0:
            slots.make_room()
        slots.draws_left -= 1
        failed = 0
        try:
            for kernel, pairs in batch.calls:
                failed += kernel(logits, mask, masked, pairs, *slots.arrays, *out)
            errors = self._failed((logits, mask, masked), batch, out) if failed else {}
            histories, token_ids = batch.histories, out[0].tolist()
            if errors:
                histories, token_ids = _drawn(histories, token_ids)
            # interrupts come between bytecodes: a loop could end when only some rows moved on
            any(map(_append, histories, token_ids))
        except BaseException:
            self._restore(batch.rows)
            raise
        return _new_tuple(SampledTokens, (*out, errors))

    def _restore(self, rows: Iterable[_Row]) -> None:
        """Makes the slots of rows what their histories say."""
        for row in rows:
            self._slots.begin(row.slot, row.parameters, row.seed, row.history, row.prompt_length)

    def _failed(
        self, given: tuple[Any, ...], batch: _Batch, out: tuple[Any, ...]
    ) -> dict[int, SamplerError]:
        """Draws where a fast kernel could not tell; the errors of the rows that cannot be drawn."""
        token_ids, logprobs, processed_logprobs = out[:3]
        for _, pairs in batch.calls:
            undecided = pairs[:, token_ids[pairs[0]] == UNDECIDED]
            if undecided.size:
                # a copy in the order of rows, since kernels are compiled for one order only
                undecided = undecided.copy(order="C")
                answering(_PLAIN)(*given, undecided, *self._slots.arrays, *out)
        errors: dict[int, SamplerError] = {}
        for b in np.flatnonzero(token_ids < 0).tolist():
            errors[b] = LogitsError(STATUS_TEXTS[int(token_ids[b])])
            token_ids[b] = -1
            logprobs[b] = processed_logprobs[b] = -np.inf
        return errors

    def score(self, logits: npt.ArrayLike, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """The model's own logprob of token_ids[i] in logits[i], float32[n]; changes no row.

        Parameters
        ----------
        logits : float32[n, columns], as for `sample`
        token_ids : n ids below `vocab_size`

        Raises
        ------
        InvalidParameterError : wrong shape or dtype, an id out of range
        LogitsError : a row with NaN or +inf
        """
        ids = np.array(self._checked_ids("token_ids", token_ids), np.int64)
        logprobs = np.empty(len(ids), np.float32)
        score_tokens(
            as_logits(logits, len(ids), self.vocab_size), ids, self._slots.arrays[4], logprobs
        )
        if np.isnan(logprobs).any():
            raise LogitsError("logits must not be NaN or +inf")
        return logprobs

    def _batch_of(self, handles: Sequence[int]) -> _Batch:
        rows = [self._row(handle) for handle in _elements("rows", handles, "handles")]
        if len({row.slot for row in rows}) != len(rows):
            raise InvalidParameterError(f"`rows` must be distinct. Given: {handles!r}")
        return self._batch(rows)

    def _batch(self, rows: list[_Row]) -> _Batch:
        width = max((row.parameters.top_n_tokens for row in rows), default=0)
        pairs: dict[Kernel, list[tuple[int, int]]] = {}
        for b, row in enumerate(rows):
            pairs.setdefault(row.kernel, []).append((b, row.slot))
        calls = [
            (answering(kernel), np.array(of_kernel, np.int64).T.copy())
            for kernel, of_kernel in pairs.items()
        ]
        is_lasting = [kernel for kernel, _ in calls] == list(pairs)
        width = min(width, self.vocab_size)
        no_top = None if width else _top_arrays(len(rows), 0)
        histories = [row.history for row in rows]
        return _Batch(len(rows), rows, histories, calls, is_lasting, width, no_top)

    def _row(self, handle: int) -> _Row:
        known = isinstance(handle, Integral) and not isinstance(handle, bool)
        if not known or handle not in self._rows:
            raise InvalidParameterError(f"`handle` must be a row that was added. Given: {handle!r}")
        return self._rows[handle]

    def _checked_ids(self, name: str, token_ids: Iterable[int]) -> list[int]:
        checked = []
        for token_id in _elements(name, token_ids, "ids"):
            try:
                checked.append(-1 if isinstance(token_id, bool) else index(token_id))
            except TypeError:
                checked.append(-1)
            if not 0 <= checked[-1] < self.vocab_size:
                raise InvalidParameterError(
                    f"`{name}` must have integer ids >= 0 and < {self.vocab_size}. "
                    f"Given: {token_id!r}"
                )
        return checked


def _elements(name: str, given: Iterable[int], what: str) -> Iterator[int]:
    try:
        return iter(given)
    except TypeError as error:  # of a scalar array too, which claims to be iterable
        raise InvalidParameterError(
            f"`{name}` must be a sequence of {what}. Given: {given!r}"
        ) from error


def _drawn(histories: list[list[int]], token_ids: list[int]) -> tuple[list[list[int]], list[int]]:
    """The histories of rows without an error, and their tokens."""
    drawn = [b for b, token_id in enumerate(token_ids) if token_id >= 0]
    return [histories[b] for b in drawn], [token_ids[b] for b in drawn]


def _top_arrays(size: int, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    return np.empty((size, width), np.int64), np.empty((size, width), np.float32)


def _check_size(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidParameterError(f"`{name}` must be an integer >= 1. Given: {value!r}")
