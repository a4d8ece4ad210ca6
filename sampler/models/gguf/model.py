"""`GGUFModel`: a language model of the Llama family as a model callback.

A call brings each sequence up to date: the tokens whose keys and values are not in the cache go
through the layers, some rows at a time, whichever sequences they belong to.

What goes wrong with one sequence is told of that sequence alone: its row of logits is NaN, which
fails the row, and `row_error` says why.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError, OverloadedError, SamplerError
from sampler.models.gguf.cache import BLOCK_TOKENS, BlockCache, Ids
from sampler.models.gguf.llama import LlamaConfig
from sampler.models.gguf.network import Floats, LlamaNetwork, Rows
from sampler.models.gguf.reader import read_gguf
from sampler.models.gguf.tokenizer import ChatTemplate, eos_token_ids_of, tokenizer_of

MAX_PROMPT_LOGITS_BYTES = 512 << 20


class SequenceView(Protocol):
    """What the model is shown of one sequence."""

    @property
    def id(self) -> object:
        """What tells this sequence from the others."""

    @property
    def token_ids(self) -> npt.ArrayLike:
        """The whole context, oldest token first."""


class ContextLengthError(InvalidParameterError):
    """A sequence has more tokens than the model was made for."""


class CacheFullError(OverloadedError):
    """The cache of keys and values has no room for a sequence; older ones go on."""


@dataclass(slots=True, eq=False)
class _State:
    """What the model has of a sequence.

    Attributes
    ----------
    token_ids : those whose keys and values are in `blocks`
    blocks : places in the cache; the first `published` can be found by other sequences
    error : why the sequence gets no logits any more
    """

    token_ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    blocks: list[int] = field(default_factory=list)
    published: int = 0
    error: SamplerError | None = None


class GGUFModel:
    """A model callback over a GGUF file of the Llama family.

    Parameters
    ----------
    path : the file; it must not change while the model is in use
    kv_cache_bytes : limit of the cache of keys and values; when sequences need more, the newest
        fails with a CacheFullError
    prefill_rows : tokens that go through the layers together, 1 to 4096
    prefix_reuse : whether sequences with the same beginning share its keys and values, also after
        one has left
    threads : that share the larger products, 1 to 256

    Attributes
    ----------
    vocab_size : columns of the logits
    context_length : tokens that a sequence may have
    tokenizer : a `tokenizers.Tokenizer`, made of the file's metadata
    eos_token_ids : ids that end a sequence
    chat_template : a `ChatTemplate`, or None

    Give each generator a model of its own: sequences are told apart by the ids of one generator.

    Raises
    ------
    GGUFError : the file cannot be read, or holds what is not supported
    InvalidParameterError : a value outside its range
    """

    def __init__(
        self,
        path: str | Path,
        *,
        kv_cache_bytes: int = 128 << 20,
        prefill_rows: int = 64,
        prefix_reuse: bool = True,
        threads: int = 1,
    ) -> None:
        _check_range("prefill_rows", prefill_rows, 4096)
        _check_range("threads", threads, 256)
        file = read_gguf(path)
        config = LlamaConfig.from_metadata(file.metadata)
        self._network = LlamaNetwork(file, config, prefill_rows, threads)
        self._cache = BlockCache(
            config.layers, config.kv_heads, config.head_size, kv_cache_bytes, prefix_reuse
        )
        self.tokenizer = tokenizer_of(file.metadata)
        self.eos_token_ids = eos_token_ids_of(file.metadata)
        self.chat_template = ChatTemplate.from_metadata(file.metadata)
        self.vocab_size = config.vocab_size
        self.context_length = config.context_length
        self._kv_cache_bytes = kv_cache_bytes
        self._states: dict[object, _State] = {}  # in the order of arrival
        self._lock = threading.RLock()  # its work arrays serve one call at a time

    def __call__(self, batch: Sequence[SequenceView]) -> Floats:
        """Logits of the next token of each sequence: float32[len(batch), vocab_size].

        The row of a sequence that has failed is NaN; `row_error` says why.
        """
        with self._lock:
            return self._rows(batch)

    def _rows(self, batch: Sequence[SequenceView]) -> Floats:
        contexts = {view.id: np.array(view.token_ids, np.int64) for view in batch}
        for key, ids in contexts.items():
            self._prepare(self._states.setdefault(key, _State()), ids)
        for key in [key for key in self._states if key in contexts]:
            self._reserve(self._states[key], len(contexts[key]))
        running = [key for key in contexts if self._states[key].error is None]
        states = [self._states[key] for key in running]
        ids_of = [contexts[key] for key in running]
        row_of = {key: row for row, key in enumerate(running)}
        try:
            logits = self._last_logits(states, ids_of)
        except BaseException:  # what was half written must not be found by others
            for state in states:
                self._clear(state)
            raise
        if len(running) == len(batch):
            return logits
        answer = np.full((len(batch), self.vocab_size), np.nan, np.float32)
        for row, view in enumerate(batch):
            if view.id in row_of:
                answer[row] = logits[row_of[view.id]]
        return answer

    def prompt_logits(self, view: SequenceView) -> Floats:
        """Logits after each token: row i is what a call gives for ``token_ids[: i + 1]``.

        float32[len(token_ids), vocab_size].

        Raises
        ------
        SamplerError : what `row_error` says of the sequence; more than MAX_PROMPT_LOGITS_BYTES
        """
        with self._lock:
            return self._prompt_rows(view)

    def _prompt_rows(self, view: SequenceView) -> Floats:
        ids = np.array(view.token_ids, np.int64)
        size = len(ids) * self.vocab_size * 4
        if size > MAX_PROMPT_LOGITS_BYTES:
            raise ContextLengthError(
                f"the logits of a prompt must take <= {MAX_PROMPT_LOGITS_BYTES} bytes."
                f" Given: {size}"
            )
        state = self._states.setdefault(view.id, _State())
        self._clear(state)
        self._check(state, ids)
        self._reserve(state, len(ids))
        if state.error is not None:
            raise state.error
        logits = np.empty((len(ids), self.vocab_size), np.float32)
        for part, hidden in self._run([state], [ids]):
            logits[part] = self._network.logits(hidden)
        return logits

    def row_error(self, id: object) -> SamplerError | None:
        """Why the sequence `id` gets no logits any more; None while it does."""
        with self._lock:
            state = self._states.get(id)
            return None if state is None else state.error

    def release(self, id: object) -> None:
        """Nothing; the sequence `id` is forgotten, its blocks may serve others."""
        with self._lock:
            state = self._states.pop(id, None)
            if state is not None:
                self._clear(state)

    def _prepare(self, state: _State, ids: Ids) -> None:
        """Makes the state one of `ids` without at least their last token."""
        if state.error is not None:
            return
        self._check(state, ids)
        known = len(state.token_ids)
        if known and not np.array_equal(state.token_ids, ids[:known]):
            self._clear(state)
        if not state.blocks and state.error is None:
            state.blocks = self._cache.find(ids[:-1])
            state.published = len(state.blocks)
            known = state.published * BLOCK_TOKENS
        state.token_ids = ids[: min(known, len(ids) - 1)]

    def _check(self, state: _State, ids: Ids) -> None:
        """Fails a sequence that the model cannot take."""
        if not 0 < len(ids) <= self.context_length:
            message = f"a sequence must have 1 to {self.context_length} tokens. Given: {len(ids)}"
            self._fail(state, ContextLengthError(message))
        elif not 0 <= ids.min() <= ids.max() < self.vocab_size:
            message = f"`token_ids` must be >= 0 and < {self.vocab_size}."
            message += f" Given: {ids.min()} to {ids.max()}"
            self._fail(state, InvalidParameterError(message))
        elif -(-len(ids) // BLOCK_TOKENS) > len(self._cache.blocks):
            # it could not even run alone, so no other sequence may suffer for it
            most = len(self._cache.blocks) * BLOCK_TOKENS
            message = f"`kv_cache_bytes` of {self._kv_cache_bytes} has room for {most} tokens."
            self._fail(state, CacheFullError(f"{message} Given: {len(ids)}"))

    def _reserve(self, state: _State, length: int) -> None:
        """Takes blocks for `length` tokens; where there are none, the newest sequence fails."""
        while state.error is None and len(state.blocks) * BLOCK_TOKENS < length:
            block = self._cache.take()
            if block is not None:
                state.blocks.append(block)
                continue
            newest = next(s for s in reversed(self._states.values()) if s.error is None)
            message = f"`kv_cache_bytes` of {self._kv_cache_bytes} is used up by older sequences"
            self._fail(newest, CacheFullError(message))

    def _fail(self, state: _State, error: SamplerError) -> None:
        state.error = error
        self._clear(state)

    def _clear(self, state: _State) -> None:
        self._cache.give_back(state.blocks)
        state.blocks, state.published, state.token_ids = [], 0, state.token_ids[:0]

    def _last_logits(self, states: list[_State], contexts: list[Ids]) -> Floats:
        ends = np.cumsum(
            [len(ids) - len(state.token_ids) for state, ids in zip(states, contexts, strict=True)]
        )
        last: list[Floats] = []
        for part, hidden in self._run(states, contexts):
            at = ends[(ends > part.start) & (ends <= part.stop)] - 1 - part.start
            last.extend(hidden[at])
        if not last:
            return np.empty((0, self.vocab_size), np.float32)
        return self._network.logits(np.array(last))

    def _run(self, states: list[_State], contexts: list[Ids]) -> Iterator[tuple[slice, Floats]]:
        """Brings the states up to their contexts; hidden states of the rows that were new."""
        rows = _rows(states, contexts)
        for start in range(0, len(rows.token_ids), self._network.max_rows):
            part = slice(start, min(start + self._network.max_rows, len(rows.token_ids)))
            yield part, self._network.forward(rows[part], self._cache.blocks)
        for state, ids in zip(states, contexts, strict=True):
            state.token_ids = ids
            state.published = self._cache.publish(state.blocks, ids, state.published)


def _rows(states: list[_State], contexts: list[Ids]) -> Rows:
    """The tokens that the states do not have yet."""
    tables = np.zeros((len(states), max((len(s.blocks) for s in states), default=0)), np.int64)
    new, positions, sequences = [], [], []
    for number, (state, ids) in enumerate(zip(states, contexts, strict=True)):
        known = len(state.token_ids)
        tables[number, : len(state.blocks)] = state.blocks
        new.append(ids[known:])
        positions.append(np.arange(known, len(ids)))
        sequences.append(np.full(len(ids) - known, number))
    if not states:
        empty = np.empty(0, np.int64)
        return Rows(empty, empty, empty, tables)
    return Rows(np.concatenate(new), np.concatenate(positions), np.concatenate(sequences), tables)


def _check_range(name: str, value: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise InvalidParameterError(
            f"`{name}` must be an integer from 1 to {high}. Given: {value!r}"
        )
