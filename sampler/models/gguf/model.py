"""`GGUFModel`: a language model of the Llama family as a model callback.

A call brings each sequence up to date: the tokens whose keys and values are not in the cache go
through the layers, some rows at a time, whichever sequences they belong to.

What goes wrong with one sequence is told of that sequence alone: its row of logits is NaN, which
fails the row, and `row_error` says why.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError, SamplerError, shown
from sampler.forking import call_in_children
from sampler.limits import MAX_PROMPT_LOGITS_BYTES
from sampler.models.gguf.cache import BLOCK_TOKENS, BlockCache, Ids
from sampler.models.gguf.chat import ChatTemplate
from sampler.models.gguf.llama import LlamaConfig, check_finite
from sampler.models.gguf.network import Floats, LlamaNetwork, Rows
from sampler.models.gguf.reader import read_gguf
from sampler.models.gguf.sequences import Sequences, State
from sampler.models.gguf.tokenizer import eos_token_ids_of, tokenizer_of
from sampler.parameters import is_integer


class SequenceView(Protocol):
    """What the model is shown of one sequence."""

    @property
    def id(self) -> object:
        """What tells this sequence from the others."""

    @property
    def token_ids(self) -> npt.ArrayLike:
        """The whole context, oldest token first."""


class GGUFModel:
    """A model callback over a GGUF file of the Llama family.

    Parameters
    ----------
    path : the file; it must not change while the model is in use
    kv_cache_bytes : limit of the cache of keys and values; when sequences need more, the newest
        fails with a CacheFullError. SmolLM2-135M takes 46080 bytes for a token: the default holds
        2912 tokens of all sequences together, 360 MiB a whole context. Memory is taken from the
        system when tokens first need it, and not given back
    prefill_rows : tokens that go through the layers together, 1 to 4096
    prefix_reuse : whether sequences with the same beginning share its keys and values, also after
        one has left
    threads : that share the larger products, 1 to 256

    Attributes
    ----------
    vocab_size : columns of the logits
    context_length : tokens that a sequence may have
    kv_cache_tokens : tokens that all sequences together may have
    tokenizer : a `tokenizers.Tokenizer`, made of the file's metadata
    eos_token_ids : ids that end a sequence
    chat_template : a `ChatTemplate`, or None

    It may serve several generators and threads; calls wait for each other.

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
        prefill_rows = _checked("prefill_rows", prefill_rows, 4096)
        threads = _checked("threads", threads, 256)
        if not isinstance(prefix_reuse, bool):
            raise InvalidParameterError(f"`prefix_reuse` must be a bool. Given: {prefix_reuse!r}")
        file = read_gguf(path)
        config = LlamaConfig.from_metadata(file.metadata)
        self._network = LlamaNetwork(file, config, prefill_rows, threads)
        self._cache = BlockCache(
            config.layers, config.kv_heads, config.head_size, kv_cache_bytes, prefix_reuse
        )
        self.tokenizer = tokenizer_of(file.metadata)
        self.eos_token_ids = eos_token_ids_of(file.metadata)
        self.chat_template = ChatTemplate.from_metadata(file.metadata)
        check_finite(file)  # reads all weights, so what else can be wrong comes first
        self.vocab_size = config.vocab_size
        self.context_length = config.context_length
        self.kv_cache_tokens = len(self._cache.blocks) * BLOCK_TOKENS
        self._sequences = Sequences(self._cache, self.context_length, self.vocab_size)
        self._lock = threading.RLock()  # its work arrays serve one call at a time
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """Without any sequence, in a forked process: another thread may have been amid a call."""
        self._lock = threading.RLock()
        self._sequences.forget_all()

    def __call__(self, batch: Sequence[SequenceView]) -> Floats:
        """Logits of the next token of each sequence: float32[len(batch), vocab_size].

        The row of a sequence that has failed is NaN; `row_error` says why.

        Raises
        ------
        InvalidParameterError : two sequences of the batch have the same id
        """
        with self._lock:
            return self._rows(batch)

    def _rows(self, batch: Sequence[SequenceView]) -> Floats:
        contexts: dict[object, Ids] = {}
        for view in batch:
            if view.id in contexts:
                raise InvalidParameterError(
                    f"`batch` must have each id once. Given twice: {shown(view.id)}"
                )
            contexts[view.id] = np.array(view.token_ids, np.int64)
        states = self._sequences.prepare(contexts)
        running = [row for row, state in enumerate(states) if state.error is None]
        ids_of = list(contexts.values())
        logits = self._last_logits(
            [states[row] for row in running], [ids_of[row] for row in running]
        )
        if len(running) == len(batch):
            return logits
        answer = np.full((len(batch), self.vocab_size), np.nan, np.float32)
        answer[running] = logits
        return answer

    def prompt_logits(self, view: SequenceView) -> Floats:
        """Logits after each token: row i is what a call gives for ``token_ids[: i + 1]``.

        float32[len(token_ids), vocab_size].

        Raises
        ------
        SamplerError : what `row_error` says of the sequence from then on; also when the answer
            would take more than `sampler.limits.MAX_PROMPT_LOGITS_BYTES`
        """
        with self._lock:
            return self._prompt_rows(view)

    def _prompt_rows(self, view: SequenceView) -> Floats:
        ids = np.array(view.token_ids, np.int64)
        most = MAX_PROMPT_LOGITS_BYTES // (4 * self.vocab_size)
        if len(ids) > most:
            error = InvalidParameterError(
                f"`decoder_input_details` must be false for prompts of > {most} tokens, whose"
                f" logits take > {MAX_PROMPT_LOGITS_BYTES} bytes. Given: {len(ids)} tokens"
            )
            self._sequences.fail(view.id, error)
        state = self._sequences.restart(view.id, ids)
        if state.error is not None:
            raise state.error
        with self._sequences.cleared_on_error([state]):
            logits = np.empty((len(ids), self.vocab_size), np.float32)
            for part, hidden in self._run([state], [ids]):
                logits[part] = self._network.logits(hidden)
        return logits

    def row_error(self, id: object) -> SamplerError | None:
        """Why the sequence `id` gets no logits any more; None while it does."""
        with self._lock:
            return self._sequences.error(id)

    def release(self, id: object) -> None:
        """Nothing; the sequence `id` is forgotten, its blocks may serve others."""
        with self._lock:
            self._sequences.forget(id)

    def _last_logits(self, states: list[State], contexts: list[Ids]) -> Floats:
        ends = np.cumsum(
            [len(ids) - len(state.token_ids) for state, ids in zip(states, contexts, strict=True)]
        )
        last: list[Floats] = []
        with self._sequences.cleared_on_error(states):
            for part, hidden in self._run(states, contexts):
                at = ends[(ends > part.start) & (ends <= part.stop)] - 1 - part.start
                last.extend(hidden[at])
        if not last:
            return np.empty((0, self.vocab_size), np.float32)
        return self._network.logits(np.array(last))

    def _run(self, states: list[State], contexts: list[Ids]) -> Iterator[tuple[slice, Floats]]:
        """Brings the states up to their contexts; hidden states of the rows that were new."""
        rows = _rows(states, contexts)
        for start in range(0, len(rows.token_ids), self._network.max_rows):
            part = slice(start, min(start + self._network.max_rows, len(rows.token_ids)))
            yield part, self._network.forward(rows[part], self._cache.blocks)
        for state, ids in zip(states, contexts, strict=True):
            self._sequences.publish(state, ids)


def _rows(states: list[State], contexts: list[Ids]) -> Rows:
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


def _checked(name: str, value: int, high: int) -> int:
    if not is_integer(value) or not 1 <= value <= high:
        raise InvalidParameterError(
            f"`{name}` must be an integer from 1 to {high}. Given: {value!r}"
        )
    return int(value)
