"""Compiled grammars kept for the next request."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from sampler.errors import GrammarError, IncompleteGenerationError
from sampler.forking import call_in_children

if TYPE_CHECKING:
    from sampler.grammar.compiler import AnyGrammar

POLL_SECONDS = 0.05  # how long a cancelled request may go unnoticed
_KEPT_UNCOUNTED = 16  # values, which grow while they are used, until all are counted again


def never() -> bool:
    """False: of requests that are not cancelled."""
    return False


def check_wanted(cancelled: Callable[[], bool]) -> None:
    """None; raises IncompleteGenerationError when `cancelled` says True."""
    if cancelled():
        raise IncompleteGenerationError("the request was cancelled")


class _Work:
    """A value that is being made, and whether those who asked for it were cancelled."""

    def __init__(self) -> None:
        self.future: Future[AnyGrammar] = Future()
        self.cancelled: list[Callable[[], bool]] = []


class GrammarCache:
    """Values by key, least recently used out first; thread-safe.

    Threads that ask for the same key at the same time make its value once, and one that fails
    fails all of them; failures are not kept. A value larger than the whole cache is given out but
    not kept. One that says `is_worn` is made anew.

    Parameters
    ----------
    max_bytes : limit of the sum of ``nbytes`` of all kept values; 0 keeps nothing
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, AnyGrammar] = OrderedDict()
        self._size = 0  # of those kept, as it was when they were counted
        self._uncounted = 0  # kept since then
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """With nothing in work: at first, and in a forked process, which would wait for ever."""
        self._lock = threading.Lock()
        self._in_work: dict[Hashable, _Work] = {}

    def get(
        self,
        key: Hashable,
        make: Callable[[Callable[[], bool]], "AnyGrammar"],
        cancelled: Callable[[], bool] = never,
    ) -> "AnyGrammar":
        """The value of `key`.

        Parameters
        ----------
        key : of the value
        make : called, without any lock held, when there is none; its argument tells whether all
            who asked for the value were cancelled
        cancelled : whether the caller was

        Raises
        ------
        IncompleteGenerationError : the caller was cancelled while another thread made the value
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and not kept.is_worn:
                self._kept.move_to_end(key)
                return kept
            work = self._in_work.setdefault(key, _Work())
            work.cancelled.append(cancelled)
            is_first = len(work.cancelled) == 1
        if is_first:
            return self._make(key, work, make)
        while not wait([work.future], POLL_SECONDS).done:
            check_wanted(cancelled)
        return work.future.result()

    def _make(
        self,
        key: Hashable,
        work: _Work,
        make: Callable[[Callable[[], bool]], "AnyGrammar"],
    ) -> "AnyGrammar":
        try:
            value = make(lambda: self._give_up(key, work))
        except BaseException as error:
            with self._lock:
                self._forget(key, work)
            waiting_get = error if isinstance(error, Exception) else GrammarError("interrupted")
            work.future.set_exception(waiting_get)
            raise
        with self._lock:
            self._forget(key, work)
            self._keep(key, value)
        work.future.set_result(value)
        return value

    def _give_up(self, key: Hashable, work: _Work) -> bool:
        """Whether nobody waits for `work` any more; then nobody can join it either."""
        with self._lock:
            abandoned = all(cancelled() for cancelled in work.cancelled)
            if abandoned:
                self._forget(key, work)
            return abandoned

    def _forget(self, key: Hashable, work: _Work) -> None:
        if self._in_work.get(key) is work:
            del self._in_work[key]

    def _keep(self, key: Hashable, value: "AnyGrammar") -> None:
        self._kept.pop(key, None)  # one that is worn
        if value.nbytes > self._max_bytes:
            return
        self._kept[key] = value
        self._size += value.nbytes
        self._uncounted += 1
        if self._size > self._max_bytes or self._uncounted == _KEPT_UNCOUNTED:
            self._size = sum(kept.nbytes for kept in self._kept.values())
            self._uncounted = 0
        while self._kept and self._size > self._max_bytes:
            self._size -= self._kept.popitem(last=False)[1].nbytes
