"""The state of one text under a grammar."""

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.grammar.bitmask import checked_row, words_per_row
from sampler.grammar.engine.distinct import DistinctScanner
from sampler.grammar.engine.keys import KeyScanner
from sampler.grammar.refusal import Explaining, Reason, reason_for
from sampler.kernels.grammar.matching import BYTES, FORCED, TOKEN, fill_rows, follow

if TYPE_CHECKING:
    from sampler.grammar.engine.automaton import Automaton
    from sampler.grammar.engine.compiled import CompiledGrammar

Scanner = KeyScanner | DistinctScanner
Step = tuple[int, Any]  # the position of the automaton, and the place of the scanner

ENDED = -1  # the position after an end of sequence
_INT32 = np.dtype(np.int32)
_FORCED_AT_ONCE = 256  # bytes
_MOST_FORCED = 1 << 16


class GrammarMatcher(Explaining):
    """Follows one text and tells which token may come next; made by `CompiledGrammar.matcher`.

    A step is one accepted token, or one `accept_bytes`. After an end-of-sequence token only
    end-of-sequence tokens are allowed, and nothing raises. Not thread-safe: one text, one matcher;
    matchers of one grammar may be in different threads.

    Every method may raise GrammarLimitError, when the automaton would grow beyond a limit.
    """

    def __init__(
        self,
        grammar: "CompiledGrammar",
        automaton: "Automaton",
        start: int,
        keys: Scanner | None,
    ) -> None:
        self.grammar = grammar
        self._keys = keys
        self._automaton = automaton
        self._address = automaton.address
        self._vocab_size = grammar.tokens.vocab_size
        self._eos = frozenset(grammar.tokens.eos_token_ids)
        self._steps: list[Step] = [(start, 0 if keys is None else keys.first)]
        self._is_shared = False  # whether a fork has the same list
        self._job = array("q", (self._address, start, 0, 0))  # what `fill_rows` is called for
        self._job_address = self._job.buffer_info()[0]
        self._lock = grammar.lock
        self._usual_bitmask: object = None  # the last one that can be filled as it is

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
        # a caller has the same one for all tokens, and looking at it takes as long as filling it
        if bitmask is not self._usual_bitmask and _is_usual(bitmask):
            self._usual_bitmask = bitmask
        if bitmask is self._usual_bitmask and type(row) is int:
            self.fill_step(self._steps[-1], bitmask, row)
            return
        words = self._checked(bitmask, row)
        whole = np.empty((1, len(words)), np.int32)
        self.fill_step(self._steps[-1], whole, 0)
        words[:] = whole[0]

    def fill_draft_bitmasks(
        self,
        draft_token_ids: Sequence[int],
        parents: Sequence[int],
        bitmask: npt.NDArray[np.int32],
    ) -> list[bool]:
        """Whether each token of a tree of drafts could be accepted after those on its way.

        The text stays where it is.

        Parameters
        ----------
        draft_token_ids : int[n], the tokens of the tree
        parents : int[n], the index of the token that comes before each, less than its own; -1
            where it comes next in the text
        bitmask : int32[n + 1, ceil(vocab / 32)]; row 0 is written as by
            `fill_next_token_bitmask`, row i + 1 with what may follow draft i: nothing if it is
            refused. More rows stay as they are

        Raises
        ------
        InvalidParameterError : a wrong dtype or shape, ids that are not integers, or parents that
            do not come before
        """
        if len(draft_token_ids) != len(parents):
            raise InvalidParameterError(
                f"`parents` must have {len(draft_token_ids)} entries, one for each draft token."
                f" Given: {len(parents)}"
            )
        steps: list[Step | None] = [self._steps[-1]]
        for i, (token_id, parent) in enumerate(zip(draft_token_ids, parents, strict=True)):
            if not -1 <= parent < i:
                raise InvalidParameterError(
                    f"`parents[{i}]` must be >= -1 and < {i}. Given: {parent!r}"
                )
            before = steps[parent + 1]
            steps.append(self._after_token(before, token_id) if before is not None else None)
        for row, step in enumerate(steps):
            words = self._checked(bitmask, row)
            if step is None:
                words[:] = 0
            else:
                whole = np.empty((1, len(words)), np.int32)
                self.fill_step(step, whole, 0)
                words[:] = whole[0]
        return [step is not None for step in steps[1:]]

    def accept_token(self, token_id: int) -> bool:
        """Whether `token_id` is allowed; if so it becomes part of the text, else nothing changes.

        Raises
        ------
        InvalidParameterError : an id that is not an integer
        """
        step = self._after_token(self._steps[-1], token_id)
        if step is None:
            return False
        if self._is_shared:
            self._own()
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
        step: Step | None = self._steps[-1]
        count = 0
        for token_id in token_ids:
            step = self._after_token(step, token_id) if step is not None else None
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
        position, place = self._steps[-1]
        if position == ENDED:
            return False
        text = np.frombuffer(bytes(data), np.uint8)
        with self._lock:
            after = self._automaton.follow(BYTES, position, text.ctypes.data, text.size)
            if after and self._keys is not None:
                place = self._keys.after_bytes(place, text, position, after)
        if not after or (self._keys is not None and not place):
            return False
        self._append((after, place))
        return True

    def _refused(self, token_id: int) -> tuple[Reason, bytes]:
        """Why a token is refused, and its text."""
        tokens = self.grammar.tokens
        data = tokens.token_bytes(token_id) if 0 <= token_id < self._vocab_size else b""
        reason = reason_for(token_id, data, tokens, self.is_terminated())
        if reason == "bytes" and self._keys is not None:
            heedless = GrammarMatcher(self.grammar, self._automaton, self._steps[-1][0], None)
            if heedless.accept_bytes(data):
                compares = isinstance(self._keys, DistinctScanner)
                reason = "repeated_value" if compares else "repeated_key"
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
        self._own()
        del self._steps[steps + 1 - n :]

    def is_accepting(self) -> bool:
        """Whether the text is complete, so that an end of sequence is allowed now."""
        return self._may_end(self._steps[-1][0])

    def is_terminated(self) -> bool:
        """Whether an end-of-sequence token was accepted."""
        return self._steps[-1][0] == ENDED

    def find_jump_forward_bytes(self) -> bytes:
        """The bytes that every text of the grammar has next; b"" where there is a choice.

        Never more than 64 KiB at once.
        """
        position = self._steps[-1][0]
        if position == ENDED:
            return b""
        room = _FORCED_AT_ONCE
        while True:
            data = np.empty(room, np.uint8)
            with self._lock:
                count = self._automaton.follow(FORCED, position, data.ctypes.data, room)
            if count < room or room >= _MOST_FORCED:
                return data[:count].tobytes()
            room *= 4

    def fork(self) -> "GrammarMatcher":
        """A second matcher in the same state, independent from here on."""
        twin = GrammarMatcher(self.grammar, self._automaton, 0, self._keys)
        twin._steps = self._steps
        twin._is_shared = self._is_shared = True
        return twin

    def reset(self) -> None:
        """None; goes back to the beginning of the text."""
        self._own()
        del self._steps[1:]

    @property
    def job(self) -> tuple[int, int]:
        """The address of the automaton and the position, for `fill_rows`."""
        return self._address, self._steps[-1][0]

    def fill_step(self, step: Step, bitmask: npt.NDArray[np.int32], row: int) -> None:
        """None; writes the tokens that are allowed at `step` to row `row` of `bitmask`.

        The bitmask is int32[rows, words], contiguous and writable.
        """
        position, _ = step
        if position == ENDED:
            self._fill_ends(bitmask, row)
            return
        job = self._job
        job[1], job[2] = position, row
        with self._lock:
            if fill_rows(self._job_address, 1, bitmask, False):
                self._checked(bitmask, row)
                with self._automaton.step():
                    self._automaton.serve()
                    while fill_rows(self._job_address, 1, bitmask, True):
                        self._automaton.serve()
            if self._keys is not None:
                self._keys.forbid_repeated(step[1], position, bitmask, row)

    def forbid_repeated(self, bitmask: npt.NDArray[np.int32], row: int) -> None:
        """None; forbids what would repeat a key in a row that was filled otherwise."""
        if self._keys is not None:
            with self._lock:
                position, place = self._steps[-1]
                self._keys.forbid_repeated(place, position, bitmask, row)

    def _own(self) -> None:
        """None; the steps are no fork's any more."""
        if self._is_shared:
            self._steps = list(self._steps)
            self._is_shared = False

    def _append(self, step: Step) -> None:
        if self._is_shared:
            self._own()
        self._steps.append(step)

    def _after_token(self, step: Step, token_id: int) -> Step | None:
        """The step after a token; None where it is refused."""
        if type(token_id) is not int:
            token_id = _checked_id(token_id)
        position, place = step
        if token_id in self._eos:
            return (ENDED, place) if self._may_end(position) else None
        if position == ENDED or not 0 <= token_id < self._vocab_size:
            return None
        with self._lock:
            after = follow(self._address, TOKEN, position, token_id, 0)
            if after < 0:  # what is needed stands in the block; `follow` finds it again
                after = self._automaton.follow(TOKEN, position, token_id, 0)
            if after and self._keys is not None:
                place = self._keys.after_token(place, token_id, position, after)
        return (after, place) if after and (place or self._keys is None) else None

    def _may_end(self, position: int) -> bool:
        return position == ENDED or self._automaton.accepts(position)

    def _checked(self, bitmask: object, row: int) -> npt.NDArray[np.int32]:
        return checked_row(bitmask, row, words_per_row(self._vocab_size))

    def _fill_ends(self, bitmask: npt.NDArray[np.int32], row: int) -> None:
        words = self._checked(bitmask, row).view(np.uint32)
        words[:] = 0
        for token_id in self._eos:
            words[token_id // 32] |= np.uint32(1 << token_id % 32)


def _is_usual(bitmask: object) -> bool:
    """Whether kernels can write to it as it is."""
    return (
        type(bitmask) is np.ndarray
        and bitmask.dtype is _INT32
        and bitmask.ndim == 2
        and bool(bitmask.flags.carray)
    )


def _checked_id(token_id: object) -> int:
    if isinstance(token_id, bool) or not isinstance(token_id, int | np.integer):
        raise InvalidParameterError(f"`token_id` must be an integer. Given: {token_id!r}")
    return int(token_id)
