"""The model callback: what it is shown, and what it may answer.

The smallest model is a function ``model(batch: Sequence[SequenceView]) -> logits``. This file is
the only place that calls one, so that whatever a callback does wrong ends as a `ModelCallbackError`
here and never as an exception of another kind in the loop.
"""

import logging
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sampler.arrays import as_logits
from sampler.errors import InvalidParameterError, ModelCallbackError, SamplerError, shown

logger = logging.getLogger(__name__)


class SequenceView:
    """What a model may see of one sequence: read-only, the same object from step to step."""

    __slots__ = ("_context", "_id")

    def __init__(self, sequence_id: int, context: "SequenceContext") -> None:
        self._id = sequence_id
        self._context = context

    @property
    def id(self) -> int:
        """A key for a KV cache: of this sequence alone, in all generators of the process."""
        return self._id

    @property
    def token_ids(self) -> npt.NDArray[np.int64]:
        """int64[n], the whole context: prompt, then generated tokens."""
        return self._context.read_only(0)

    @property
    def new_token_ids(self) -> npt.NDArray[np.int64]:
        """int64[m], the end of the context that the model has not been shown yet; m >= 1."""
        return self._context.read_only(self._context.shown)


class SequenceContext:
    """The token ids behind a view, and how much of them the model may see and has seen.

    Parameters
    ----------
    sequence_id : becomes the `id` of the view
    token_ids : the prompt, never empty
    feed_one_by_one : let the model see the first token only, until `feed` shows more
    """

    __slots__ = ("_ids", "_size", "_visible", "shown", "view")

    def __init__(self, sequence_id: int, token_ids: Sequence[int], feed_one_by_one: bool) -> None:
        self.view = SequenceView(sequence_id, self)
        self.shown = 0
        self._ids = np.array(token_ids, np.int64)
        self._size = len(token_ids)
        self._visible = 1 if feed_one_by_one else self._size

    def read_only(self, start: int) -> npt.NDArray[np.int64]:
        """The visible ids from `start`; the array cannot be made writable."""
        buffer = self._ids.data.toreadonly()
        return np.frombuffer(buffer, np.int64)[start : self._visible]

    def append(self, token_id: int) -> None:
        """Adds a generated token, visible at the next step."""
        if self._size == len(self._ids):
            self._ids = np.concatenate([self._ids, np.empty_like(self._ids)])
        self._ids[self._size] = token_id
        self._size += 1
        self._visible = self._size

    def mark_shown(self) -> None:
        """Notes that the model was called with what is visible."""
        self.shown = self._visible

    @property
    def hidden(self) -> int:
        """How many tokens of the prompt the model may not see yet."""
        return self._size - self._visible

    def feed(self) -> int:
        """The id of the first hidden token, visible from now on."""
        self._visible += 1
        return int(self._ids[self._visible - 1])


@runtime_checkable
class Model(Protocol):
    """A callable from sequences to logits.

    It gives floating-point [len(batch), columns]; columns beyond the vocabulary are padding. An
    object may also have ``release(id)``, called once when a sequence leaves; ``prompt_logits(view)
    -> [len(view.token_ids), columns]``, used for `decoder_input_details` (without it the prompt is
    fed token by token); ``row_error(id)``, the `SamplerError` behind a row that cannot be drawn
    from; and ``vocab_size``.
    """

    def __call__(self, batch: Sequence[SequenceView], /) -> Any:
        """The next-token logits of each sequence."""


class ModelCaller:
    """A model behind the checks: logits come back, or a `ModelCallbackError`.

    Raises
    ------
    InvalidParameterError : not callable, or fewer columns than the vocabulary has tokens
    """

    def __init__(self, model: Model, vocab_size: int) -> None:
        if not callable(model):
            raise InvalidParameterError(f"`model` must be callable. Given: {shown(model)}")
        columns = getattr(model, "vocab_size", None)
        if columns is not None and not (
            isinstance(columns, int | np.integer) and columns >= vocab_size
        ):
            raise InvalidParameterError(
                f"`model.vocab_size` must be an integer >= {vocab_size}, the size of the "
                f"vocabulary. Given: {shown(columns)}"
            )
        self._model = model
        self._vocab_size = vocab_size

    @property
    def scores_prompts(self) -> bool:
        """Whether the model has `prompt_logits`."""
        return hasattr(self._model, "prompt_logits")

    def logits(self, batch: Sequence[SequenceView]) -> npt.NDArray[np.float32]:
        """float32[len(batch), >= vocab_size], one row for each view."""
        return self._call(self._model, batch, len(batch))

    def prompt_logits(self, view: SequenceView) -> npt.NDArray[np.float32]:
        """float32[len(view.token_ids), >= vocab_size]: row i follows token i."""
        method = self._model.prompt_logits  # type: ignore[attr-defined]
        try:
            return self._call(method, view, len(view.token_ids))
        except ModelCallbackError:
            own = self.row_error(view.id)
            if own is None:
                raise
        raise own  # not where the other one is known: often that is caused by this very error

    def row_error(self, sequence_id: int) -> SamplerError | None:
        """Why the model gave no logits for a row, if it has `row_error` and says so."""
        method = getattr(self._model, "row_error", None)
        if method is None:
            return None
        try:
            error = method(sequence_id)
        except BaseException:
            logger.exception("the model's row_error(%d) raised", sequence_id)
            return None
        return error if isinstance(error, SamplerError) else None

    def release(self, sequence_id: int) -> None:
        """Tells the model that a sequence has left; what it raises is only logged."""
        try:
            if hasattr(self._model, "release"):
                self._model.release(sequence_id)
        except BaseException:  # as for a call: SystemExit must not end the worker thread
            logger.exception("the model's release(%d) raised", sequence_id)

    def _call(self, method: Any, argument: Any, rows: int) -> npt.NDArray[np.float32]:
        try:
            answer = method(argument)
        except BaseException as error:  # SystemExit too: it must not end the worker thread
            raise ModelCallbackError(
                f"the model callback raised {type(error).__name__}: {_text(error)}"
            ) from error
        try:
            return as_logits(answer, rows, self._vocab_size)
        except BaseException as error:  # an answer makes itself an array, by code of its own
            raise ModelCallbackError(
                f"the model callback returned wrong logits: {_text(error)}"
            ) from error


def _text(error: BaseException) -> str:
    """What `error` says of itself, also when saying it fails."""
    try:
        return str(error)
    except BaseException:
        return "(an error without a text)"
