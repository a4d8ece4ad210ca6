"""The state of one text under a grammar."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.grammar.bitmask import checked_row, words_per_row
from sampler.grammar.outlines.automaton import DEAD
from sampler.grammar.outlines.distinct_keys import KeyScanner
from sampler.grammar.refusal import Explaining, Reason, reason_for

if TYPE_CHECKING:
    from sampler.grammar.outlines.compiled import CompiledGrammar

_ENDED = -2


class _Step(NamedTuple):
    state: int
    scanner: KeyScanner | None


class GrammarMatcher(Explaining):
    """Follows one text and tells which token may come next; made by `CompiledGrammar.matcher`.

    A step is one accepted token, or one `accept_bytes`. After an end-of-sequence token only
    end-of-sequence tokens are allowed, and nothing raises. Not thread-safe: one text, one matcher.
    """

    def __init__(
        self, grammar: "CompiledGrammar", initial: int, scanner: KeyScanner | None
    ) -> None:
        self._grammar = grammar
        self._eos = frozenset(grammar.tree.eos_token_ids)
        self._steps = [_Step(initial, scanner)]

    def fill_next_token_bitmask(self, bitmask: npt.NDArray[np.int32], row: int = 0) -> None:
        """None; writes the allowed tokens to row `row` of `bitmask`.

        Parameters
        ----------
        bitmask : int32[ceil(vocab / 32)] or [batch, ceil(vocab / 32)]; other rows stay as they are
        row : index of the row, >= 0

        Raises
        ------
        InvalidParameterError : a wrong dtype, shape or row
        """
        words = checked_row(bitmask, row, words_per_row(self._grammar.tree.vocab_size))
        state, scanner = self._steps[-1]
        if state == _ENDED:
            words[:] = 0
            self._allow(words, self._eos)
            return
        words[:] = self._grammar.mask(state)
        if scanner is not None and self._grammar.quoted_tokens is not None:
            for token_id in self._grammar.quoted_tokens.repeating(scanner, words):
                words.view(np.uint32)[token_id // 32] &= np.uint32(
                    ~(1 << token_id % 32) & (2**32 - 1)
                )

    @staticmethod
    def _allow(words: npt.NDArray[np.int32], token_ids: Iterable[int]) -> None:
        for token_id in token_ids:
            words.view(np.uint32)[token_id // 32] |= np.uint32(1 << token_id % 32)

    def accept_token(self, token_id: int) -> bool:
        """Whether `token_id` is allowed; if so it becomes part of the text, else nothing changes.

        Raises
        ------
        InvalidParameterError : an id that is not an integer
        """
        step = self._after_token(self._steps[-1], token_id)
        if step is None:
            return False
        self._steps.append(step)
        return True

    def accept_tokens(self, token_ids: Iterable[int]) -> int:
        """How many of `token_ids` were accepted, in order, up to the first one that is refused."""
        count = 0
        for token_id in token_ids:
            if not self.accept_token(token_id):
                break
            count += 1
        return count

    def validate_tokens(self, token_ids: Iterable[int]) -> int:
        """How many of `token_ids` could be accepted in order; nothing changes."""
        step: _Step | None = self._steps[-1]
        count = 0
        for token_id in token_ids:
            step = self._after_token(step, token_id) if step else None
            if step is None:
                break
            count += 1
        return count

    def accept_bytes(self, data: bytes) -> bool:
        """Whether `data` can come next; if so it becomes part of the text, as one step.

        Raises
        ------
        InvalidParameterError : not bytes
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InvalidParameterError(f"`data` must be bytes. Given: {type(data).__name__}")
        step = self._after_bytes(self._steps[-1], bytes(data))
        if step is None:
            return False
        self._steps.append(step)
        return True

    def _refused(self, token_id: int) -> tuple[Reason, bytes]:
        """Why a token is refused, and its text."""
        tree, step = self._grammar.tree, self._steps[-1]
        data = tree.token_bytes[token_id] if 0 <= token_id < tree.vocab_size else b""
        reason = reason_for(token_id, data, tree, self.is_terminated())
        if reason == "bytes" and self._after_bytes(step._replace(scanner=None), data) is not None:
            reason = "repeated_key"
        return reason, data

    def rollback(self, n: int) -> None:
        """None; takes back the last `n` steps.

        Raises
        ------
        InvalidParameterError : fewer than `n` steps were accepted, or `n` is not an integer >= 0
        """
        steps = len(self._steps) - 1
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 0 <= n <= steps:
            raise InvalidParameterError(
                f"`n` must be an integer >= 0 and <= {steps}, the accepted steps. Given: {n!r}"
            )
        del self._steps[len(self._steps) - n :]

    def is_accepting(self) -> bool:
        """Whether the text is complete, so that an end of sequence is allowed now."""
        state = self._steps[-1].state
        return state == _ENDED or bool(self._grammar.automaton.accepting[state])

    def is_terminated(self) -> bool:
        """Whether an end-of-sequence token was accepted."""
        return self._steps[-1].state == _ENDED

    def find_jump_forward_bytes(self) -> bytes:
        """The bytes that every text of the grammar has next; b"" where there is a choice."""
        state = self._steps[-1].state
        return b"" if state == _ENDED else self._grammar.automaton.forced_bytes(state)

    def fork(self) -> "GrammarMatcher":
        """A second matcher in the same state, independent from here on."""
        twin = GrammarMatcher(self._grammar, *self._steps[0])
        twin._steps = list(self._steps)
        return twin

    def reset(self) -> None:
        """None; goes back to the beginning of the text."""
        del self._steps[1:]

    def _after_token(self, step: _Step, token_id: int) -> _Step | None:
        if isinstance(token_id, bool) or not isinstance(token_id, int | np.integer):
            raise InvalidParameterError(f"`token_id` must be an integer. Given: {token_id!r}")
        if token_id in self._eos:
            ends = step.state == _ENDED or self._grammar.automaton.accepting[step.state]
            return _Step(_ENDED, step.scanner) if ends else None
        if not 0 <= token_id < self._grammar.tree.vocab_size:
            return None
        data = self._grammar.tree.token_bytes[token_id]
        return self._after_bytes(step, data) if data else None

    def _after_bytes(self, step: _Step, data: bytes) -> _Step | None:
        if step.state == _ENDED:
            return None
        state = self._grammar.advance(step.state, data)
        if state == DEAD:
            return None
        if step.scanner is None:
            return _Step(state, None)
        scanner = step.scanner.after(data)
        return _Step(state, scanner) if scanner is not None else None
