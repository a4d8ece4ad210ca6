"""Compiled grammars kept for the next request."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from sampler.errors import GrammarError

if TYPE_CHECKING:
    from sampler.grammar.compiled import CompiledGrammar


class GrammarCache:
    """Values by key, least recently used out first; thread-safe.

    Threads that ask for the same key at the same time make its value once, and one that fails
    fails all of them; failures are not kept. A value larger than the whole cache is given out but
    not kept.

    Parameters
    ----------
    max_bytes : limit of the sum of ``nbytes`` of all kept values; 0 keeps nothing
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, CompiledGrammar] = OrderedDict()
        self._in_work: dict[Hashable, Future[CompiledGrammar]] = {}

    def get(self, key: Hashable, make: Callable[[], "CompiledGrammar"]) -> "CompiledGrammar":
        """The value of `key`; `make` is called, without any lock held, when there is none."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            future = self._in_work.get(key)
            is_first = future is None
            if future is None:
                future = self._in_work[key] = Future()
        if not is_first:
            return future.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._in_work[key]
            waiting_get = error if isinstance(error, Exception) else GrammarError("interrupted")
            future.set_exception(waiting_get)
            raise
        with self._lock:
            del self._in_work[key]
            self._keep(key, value)
        future.set_result(value)
        return value

    def _keep(self, key: Hashable, value: "CompiledGrammar") -> None:
        if value.nbytes > self._max_bytes:
            return
        self._kept[key] = value
        while sum(kept.nbytes for kept in self._kept.values()) > self._max_bytes:
            self._kept.popitem(last=False)
