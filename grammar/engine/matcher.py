"""The state of one text under a grammar."""

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.grammar.bitmask import checked_row, words_per_row
from sampler.kernels.grammar.matching import BYTES, FORCED, TOKEN, fill_rows, follow

if TYPE_CHECKING:
    from sampler.grammar.engine.compiled import CompiledGrammar

_ENDED = -1  # the position after an end of sequence
_INT32 = np.dtype(np.int32)
_FORCED_AT_ONCE = 256  # bytes
_MOST_FORCED = 1 << 16


class GrammarMatcher:
    """Follows one text and tells which token may come next; made by `CompiledGrammar.matcher`.

    A step is one accepted token, or one `accept_bytes`. After an end-of-sequence token only
    end-of-sequence tokens are allowed, and nothing raises. Not thread-safe: one text, one matcher;
    matchers of one grammar may be in different threads.

    Every method may raise GrammarLimitError, when the automaton would grow beyond a limit.
    """

    def __init__(self, grammar: "CompiledGrammar", start: int) -> None:
        self._grammar = grammar
        self._automaton = grammar.automaton
        self._address = grammar.automaton.address
        self._vocab_size = grammar.tokens.vocab_size
        self._eos = frozenset(grammar.tokens.eos_token_ids)
        self._positions = [start]  # after each step
        self._is_shared = False  # whether a fork has the same list
        self._job = array("q", (self._address, start, 0, 0))  # what `fill_rows` is called for
        self._job_address = self._job.buffer_info()[0]

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
        is_usual = (
            type(bitmask) is np.ndarray
            and bitmask.dtype is _INT32
            and bitmask.ndim == 2
            and bitmask.flags.carray
        )
        if not is_usual or type(row) is not int:
            self._fill_unusual(bitmask, row)
            return
        position = self._positions[-1]
        if position == _ENDED:
            self._fill_ends(bitmask, row)
            return
        job = self._job
        job[1], job[2] = position, row
        with self._grammar.lock:
            if fill_rows(self._job_address, 1, bitmask, False):
                self._check(bitmask, row)
                self._automaton.serve()
                while fill_rows(self._job_address, 1, bitmask, True):
                    self._automaton.serve()

    def accept_token(self, token_id: int) -> bool:
        """Whether `token_id` is allowed; if so it becomes part of the text, else nothing changes.

        Raises
        ------
        InvalidParameterError : an id that is not an integer
        """
        position = self._after_token(self._positions[-1], token_id)
        if position:
            self._append(position)
        return position != 0

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
        position = self._positions[-1]
        count = 0
        for token_id in token_ids:
            position = self._after_token(position, token_id)
            if not position:
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
        if self._positions[-1] == _ENDED:
            return False
        array = np.frombuffer(data, np.uint8)
        with self._grammar.lock:
            address, size = array.ctypes.data, array.size
            position = self._automaton.follow(BYTES, self._positions[-1], address, size)
        if position:
            self._append(position)
        return position != 0

    def rollback(self, n: int) -> None:
        """None; takes back the last `n` steps.

        Raises
        ------
        InvalidParameterError : fewer than `n` steps were accepted, or `n` is not an integer >= 0
        """
        steps = len(self._positions) - 1
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 0 <= n <= steps:
            raise InvalidParameterError(
                f"`n` must be an integer >= 0 and <= {steps}, the accepted steps. Given: {n!r}"
            )
        self._own()
        del self._positions[steps + 1 - n :]

    def is_accepting(self) -> bool:
        """Whether the text is complete, so that an end of sequence is allowed now."""
        return self._may_end(self._positions[-1])

    def is_terminated(self) -> bool:
        """Whether an end-of-sequence token was accepted."""
        return self._positions[-1] == _ENDED

    def find_jump_forward_bytes(self) -> bytes:
        """The bytes that every text of the grammar has next; b"" where there is a choice.

        Never more than 64 KiB at once.
        """
        position = self._positions[-1]
        if position == _ENDED:
            return b""
        room = _FORCED_AT_ONCE
        while True:
            data = np.empty(room, np.uint8)
            with self._grammar.lock:
                count = self._automaton.follow(FORCED, position, data.ctypes.data, room)
            if count < room or room >= _MOST_FORCED:
                return data[:count].tobytes()
            room *= 4

    def fork(self) -> "GrammarMatcher":
        """A second matcher in the same state, independent from here on."""
        twin = GrammarMatcher(self._grammar, 0)
        twin._positions = self._positions
        twin._is_shared = self._is_shared = True
        return twin

    def reset(self) -> None:
        """None; goes back to the beginning of the text."""
        self._own()
        del self._positions[1:]

    def _own(self) -> None:
        """None; the steps are no fork's any more."""
        if self._is_shared:
            self._positions = list(self._positions)
            self._is_shared = False

    def _append(self, position: int) -> None:
        if self._is_shared:
            self._own()
        self._positions.append(position)

    def _after_token(self, position: int, token_id: int) -> int:
        """The position after a token; 0 where it is refused."""
        if type(token_id) is not int:
            token_id = _checked_id(token_id)
        if token_id in self._eos:
            return _ENDED if self._may_end(position) else 0
        if position == _ENDED or not 0 <= token_id < self._vocab_size:
            return 0
        with self._grammar.lock:
            after = follow(self._address, TOKEN, position, token_id, 0)
            if after < 0:
                self._automaton.serve()
                after = self._automaton.follow(TOKEN, position, token_id, 0)
        return after

    def _may_end(self, position: int) -> bool:
        return position == _ENDED or self._automaton.accepts(position)

    def _check(self, bitmask: object, row: int) -> npt.NDArray[np.int32]:
        return checked_row(bitmask, row, words_per_row(self._vocab_size))

    def _fill_unusual(self, bitmask: npt.NDArray[np.int32], row: int) -> None:
        """As `fill_next_token_bitmask`, of an array that kernels do not take."""
        words = self._check(bitmask, row)
        whole = np.empty((1, len(words)), np.int32)
        self.fill_next_token_bitmask(whole)
        words[:] = whole[0]

    def _fill_ends(self, bitmask: npt.NDArray[np.int32], row: int) -> None:
        words = self._check(bitmask, row).view(np.uint32)
        words[:] = 0
        for token_id in self._eos:
            words[token_id // 32] |= np.uint32(1 << token_id % 32)


def _checked_id(token_id: object) -> int:
    if isinstance(token_id, bool) or not isinstance(token_id, int | np.integer):
        raise InvalidParameterError(f"`token_id` must be an integer. Given: {token_id!r}")
    return int(token_id)
