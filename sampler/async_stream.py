"""The events of a request, for a task of an event loop: no thread waits for them.

The scheduler's thread posts what it has drawn; what it posts in one step wakes the loop once. A
stream may have a bound: with so many events that nobody took, its row is left out of the steps.
"""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Self

from sampler.errors import SamplerError
from sampler.events import GenerateResponse, StreamEvent
from sampler.job import Job, Times
from sampler.request import GenerateRequest
from sampler.scheduler import Scheduler

Item = StreamEvent | SamplerError


class LoopMailbox:
    """Calls of other threads into one event loop, which is woken once for all that are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._posted: list[tuple[Callable[[Item], None], Item]] = []

    def post(self, receive: Callable[[Item], None], item: Item) -> None:
        """Calls `receive(item)` in the loop, in the order of posting.

        Raises RuntimeError when the loop is closed.
        """
        if self._loop.is_closed():
            raise RuntimeError("the event loop is closed")
        with self._lock:
            self._posted.append((receive, item))
            is_first = len(self._posted) == 1
        if is_first:
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            posted, self._posted = self._posted, []
        for receive, item in posted:
            receive(item)


class AsyncEventStream(AsyncIterable[StreamEvent]):
    """The events of one request, one for each token; made by `Generator.open_stream`.

    It belongs to the event loop in which it was made and has one reader. It must be closed, also by
    ``with``: that ends the request and frees its row before the next step.

    Parameters
    ----------
    scheduler : generates
    mailbox : of the loop
    stream : whether each event is wanted, not the last one alone
    max_buffered_events : with so many untaken events the row is held up; None for no bound
    """

    def __init__(
        self,
        scheduler: Scheduler,
        mailbox: LoopMailbox,
        stream: bool,
        max_buffered_events: int | None,
    ) -> None:
        self.job = Job(self._post, stream, self._is_full)
        self._scheduler = scheduler
        self._mailbox = mailbox
        self._bound = max_buffered_events
        self._sent = 0  # written by the scheduler's thread alone
        self._taken = 0  # written by the loop alone
        self._events: list[StreamEvent] = []
        self._error: SamplerError | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._preparation: asyncio.Future[None] | None = None

    def begin(self, preparation: "asyncio.Future[None]") -> None:
        """None; the request is submitted when `preparation` is done."""
        self._preparation = preparation
        preparation.add_done_callback(_retrieve)

    async def prepared(self) -> GenerateRequest:
        """The validated request, once nothing can be wrong with it any more.

        Raises
        ------
        InvalidParameterError, GrammarError : what is wrong with it
        """
        if self._preparation is not None:
            await asyncio.shield(self._preparation)  # a reader that gives up may come again
            self._preparation = None
        return self.job.plan.request

    @property
    def times(self) -> Times:
        """When the request got where."""
        return self.job.times

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt after truncation; known when it is prepared."""
        return len(self.job.plan.prompt_token_ids)

    def response(self) -> GenerateResponse:
        """The whole answer; known after the last event."""
        return self.job.response()

    async def next_events(self) -> list[StreamEvent]:
        """All events that have come by now, at least one; none after the last one.

        Raises
        ------
        SamplerError : what is wrong with the request; generation failed; the generator was closed
        """
        await self.prepared()
        while not (self._events or self._error or self._ended):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._events or self._error is None:
            return self._take()
        error, self._error, self._ended = self._error, None, True
        try:
            raise error
        finally:
            del error  # it knows this frame: together they would stay until collected

    def _take(self) -> list[StreamEvent]:
        events, self._events = self._events, []
        before = self._taken
        self._taken += len(events)
        # in this order: the scheduler, too, writes before it reads
        if self._bound is not None and self._sent - before >= self._bound:
            self._scheduler.wake()
        return events

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        while events := await self.next_events():
            for event in events:
                yield event

    def fail(self, error: SamplerError) -> None:
        """Ends the request with `error` behind the events that have come."""
        self._scheduler.drop(self.job)
        self._receive(error)

    def close(self) -> None:
        """Ends the request; a reader that waits sees the end of the events."""
        self._ended = True
        self._events.clear()
        self._scheduler.drop(self.job)
        self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_full(self) -> bool:
        return self._bound is not None and self._sent - self._taken >= self._bound

    def _post(self, item: Item) -> None:
        if not self.job.stream and isinstance(item, StreamEvent) and item.generated_text is None:
            return
        self._sent += 1
        self._mailbox.post(self._receive, item)

    def _receive(self, item: Item) -> None:
        if self._ended:
            return
        if isinstance(item, SamplerError):
            self._error = item
        else:
            self._events.append(item)
            self._ended = item.generated_text is not None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _retrieve(preparation: "asyncio.Future[Any]") -> None:
    """None; its exception may stay unread: who closes a stream does not ask."""
    if not preparation.cancelled():
        preparation.exception()
