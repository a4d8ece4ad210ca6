"""What work on grammars may take: time, memory, and how much of the interpreter's attention."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sampler.errors import GrammarLimitError
from sampler.forking import call_in_children
from sampler.grammar.cache import check_wanted, never
from sampler.limits import Limits

_SECONDS_A_LOOK = 0.001  # to ask whether somebody waits takes longer than a step
_PIECES_A_LOOK = 32  # that are made between two looks at the clock
_PIECE_BYTES = 512  # a term of a few parts, with what it has
_SWITCH_SECONDS = 0.0002  # how long others wait for the interpreter while grammars are worked on


def check_size(text: str, limits: Limits) -> None:
    """None; raises GrammarLimitError for a text of more than ``max_grammar_bytes``."""
    size = (
        len(text) if len(text) > limits.max_grammar_bytes else len(text.encode("utf-8", "replace"))
    )
    if size > limits.max_grammar_bytes:
        raise GrammarLimitError("size of the grammar in bytes", size, limits.max_grammar_bytes)


class Budget:
    """What one stretch of work may take, from the making of this object on.

    Inside of ``with budget:`` the work of this thread counts against it, whatever it calls:
    `spend` and `check_time` say so. Where another budget is open already, that one goes on.

    While it is open, Python's threads take turns more often than otherwise: those that decode need
    the interpreter for moments, again and again, and would wait for 5 ms each time.

    Parameters
    ----------
    seconds : wall-clock time, > 0
    max_bytes : memory for what is made, an estimate
    abandoned : says that nobody waits for it any more
    """

    def __init__(
        self, seconds: float, max_bytes: int, abandoned: Callable[[], bool] = never
    ) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._abandoned = abandoned
        self._deadline = time.monotonic() + seconds
        self._next_time = 0.0
        self._pieces = 0
        self._next_look = _PIECES_A_LOOK

    @classmethod
    def of_compile(cls, limits: Limits, abandoned: Callable[[], bool] = never) -> Self:
        """The budget of one compile."""
        return cls(limits.grammar_compile_seconds, limits.grammar_compile_bytes, abandoned)

    def __enter__(self) -> Self:
        self._outer = _thread.budget
        if self._outer is None:
            _thread.budget = self
            _switching.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _thread.budget = self._outer
        if self._outer is None:
            _switching.end()

    @property
    def nbytes(self) -> int:
        """An estimate of the memory that the work has taken."""
        return self._pieces * _PIECE_BYTES

    def spend(self, pieces: int) -> None:
        """None; see the function `spend`."""
        self._pieces += pieces
        if self._pieces >= self._next_look:
            self._next_look = self._pieces + _PIECES_A_LOOK
            if self.nbytes > self._max_bytes:
                what = "bytes of the grammar compile"
                raise GrammarLimitError(what, self.nbytes, self._max_bytes)
            self.check_time()

    def check_time(self) -> None:
        """None; see the function `check_time`."""
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = min(now + _SECONDS_A_LOOK, self._deadline)
        check_wanted(self._abandoned)
        if now > self._deadline:
            raise GrammarLimitError(
                "seconds of the grammar compile", f"> {self._seconds}", self._seconds
            )


class _Switching:
    """How often Python's threads take turns: more often while any budget is open."""

    def __init__(self) -> None:
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """With nothing open: at first, and in a forked process."""
        self._lock = threading.Lock()
        self._open = 0

    def begin(self) -> None:
        """None; one more that is open."""
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, _SWITCH_SECONDS))

    def end(self) -> None:
        """None; one less. Whoever has set another interval meanwhile is not overruled."""
        with self._lock:
            self._open -= 1
            if self._open == 0 and sys.getswitchinterval() <= _SWITCH_SECONDS:
                sys.setswitchinterval(self._before)


_switching = _Switching()


class _Thread(threading.local):
    budget: Budget | None = None


_thread = _Thread()


def spend(pieces: int = 1) -> None:
    """None; counts `pieces` of about half a kibibyte that this thread makes.

    Raises
    ------
    GrammarLimitError : the budget that is open in this thread is spent
    IncompleteGenerationError : nobody waits any more
    """
    budget = _thread.budget
    if budget is not None:
        budget.spend(pieces)


def check_time() -> None:
    """None; as `spend`, for work that keeps nothing."""
    budget = _thread.budget
    if budget is not None:
        budget.check_time()
