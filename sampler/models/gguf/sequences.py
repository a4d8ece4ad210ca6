"""What a model has of each sequence: which of its tokens are in the cache, and why it has failed.

The oldest sequences come first: when the cache is full, the newest one fails and the others go on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from sampler.errors import InvalidParameterError, OverloadedError, SamplerError
from sampler.models.gguf.cache import BLOCK_TOKENS, BlockCache, Ids


class ContextLengthError(InvalidParameterError):
    """A sequence has more tokens than the model was made for."""


class CacheFullError(OverloadedError):
    """The cache of keys and values has no room for a sequence; older ones go on."""


@dataclass(slots=True, eq=False)
class State:
    """What the model has of a sequence.

    Attributes
    ----------
    token_ids : those whose keys and values are in `blocks`
    blocks : places in the cache
    published : how many of these, from the first on, other sequences can find
    error : why the sequence gets no logits any more
    """

    token_ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    blocks: list[int] = field(default_factory=list)
    published: int = 0
    error: SamplerError | None = None


class Sequences:
    """The states of the sequences that were not released yet.

    Parameters
    ----------
    cache : where their keys and values are
    context_length : tokens that a sequence may have
    vocab_size : token ids are below it
    """

    def __init__(self, cache: BlockCache, context_length: int, vocab_size: int) -> None:
        self._cache = cache
        self._context_length = context_length
        self._vocab_size = vocab_size
        self._states: dict[object, State] = {}  # in the order of arrival

    def prepare(self, contexts: Mapping[object, Ids]) -> list[State]:
        """The states of some sequences, in order: failed, or with room for the whole context.

        A state that has not failed has a beginning of the context, without its last token.
        """
        states = {key: self._states.setdefault(key, State()) for key in contexts}
        for key, ids in contexts.items():
            self._match(states[key], ids)
        for key in [key for key in self._states if key in contexts]:
            self._reserve(states[key], len(contexts[key]))
        return list(states.values())

    def restart(self, key: object, ids: Ids) -> State:
        """The state of a sequence of which nothing is known: failed, or with room for `ids`."""
        state = self._states.setdefault(key, State())
        self._clear(state)
        self._check(state, ids)
        self._reserve(state, len(ids))
        return state

    def publish(self, state: State, ids: Ids) -> None:
        """Notes that the keys and values of all `ids` are in the cache."""
        state.token_ids = ids
        state.published = self._cache.publish(state.blocks, ids, state.published)

    @contextmanager
    def cleared_on_error(self, states: list[State]) -> Iterator[None]:
        """A block of code whose failure leaves nothing half written for others to find."""
        try:
            yield
        except BaseException:
            for state in states:
                self._clear(state)
            raise

    def error(self, key: object) -> SamplerError | None:
        """Why a sequence has failed; None when it has not."""
        state = self._states.get(key)
        return None if state is None else state.error

    def fail(self, key: object, error: SamplerError) -> None:
        """Ends a sequence; its blocks may serve others."""
        self._fail(self._states.setdefault(key, State()), error)

    def forget(self, key: object) -> None:
        """Ends a sequence, and forgets its error."""
        state = self._states.pop(key, None)
        if state is not None:
            self._clear(state)

    def forget_all(self) -> None:
        """Ends all sequences, whatever was under way with them; the cache is empty."""
        self._states = {}
        self._cache.forget_all()

    def _match(self, state: State, ids: Ids) -> None:
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

    def _check(self, state: State, ids: Ids) -> None:
        """Fails a sequence that the model cannot take."""
        if not 0 < len(ids) <= self._context_length:
            message = f"a sequence must have 1 to {self._context_length} tokens. Given: {len(ids)}"
            self._fail(state, ContextLengthError(message))
        elif not 0 <= ids.min() <= ids.max() < self._vocab_size:
            message = f"`token_ids` must be >= 0 and < {self._vocab_size}."
            message += f" Given: {ids.min()} to {ids.max()}"
            self._fail(state, InvalidParameterError(message))
        elif -(-len(ids) // BLOCK_TOKENS) > len(self._cache.blocks):
            # it could not even run alone, so no other sequence may suffer for it
            most = len(self._cache.blocks) * BLOCK_TOKENS
            message = f"`kv_cache_bytes` of {self._cache.limit} has room for {most} tokens."
            self._fail(state, CacheFullError(f"{message} Given: {len(ids)}"))

    def _reserve(self, state: State, length: int) -> None:
        """Takes blocks until there are enough for `length` tokens, or the sequence has failed.

        Where no block is left, the newest sequence fails and gives back its own, be it this one or
        another.
        """
        while state.error is None and len(state.blocks) * BLOCK_TOKENS < length:
            block = self._cache.take()
            if block is not None:
                state.blocks.append(block)
                continue
            newest = next(s for s in reversed(self._states.values()) if s.error is None)
            message = f"`kv_cache_bytes` of {self._cache.limit} is used up by older sequences"
            self._fail(newest, CacheFullError(message))

    def _fail(self, state: State, error: SamplerError) -> None:
        state.error = error
        self._clear(state)

    def _clear(self, state: State) -> None:
        self._cache.give_back(state.blocks)
        state.blocks, state.published, state.token_ids = [], 0, state.token_ids[:0]
