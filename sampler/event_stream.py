"""The events of a request, for a thread that waits for them; `async_stream` is for event loops."""

import os
import queue
from collections.abc import Iterator
from typing import Self

from sampler.errors import IncompleteStreamError, SamplerError
from sampler.events import StreamEvent
from sampler.job import Job

Item = StreamEvent | SamplerError | None  # what a stream is fed with; None wakes its readers


class EventStream(Iterator[StreamEvent]):
    """The events of one request, one for each token; the last one has `generated_text`.

    Closing it, or letting go of it, ends the request and frees its row before the next step. Any
    thread may close it, and a thread that waits for an event then sees the end of the events.
    """

    def __init__(self, generator: object, job: Job, items: "queue.SimpleQueue[Item]") -> None:
        self._generator = generator  # must not end before its streams do
        self._job = job
        self._items = items
        self._ended = False
        self._owner = os.getpid()

    def __next__(self) -> StreamEvent:
        if os.getpid() != self._owner:  # a forked process has no thread that generates
            raise IncompleteStreamError("the stream belongs to another process")
        if self._ended:
            raise StopIteration
        item = self._items.get()
        if isinstance(item, StreamEvent) and item.generated_text is None:
            return item
        self._end()
        if isinstance(item, StreamEvent):
            return item
        if item is None:
            raise StopIteration
        try:
            raise item
        finally:
            del item  # the error knows this frame: together they would stay until collected

    def close(self) -> None:
        """Ends the request; further events are not waited for."""
        self._job.cancel()
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._items.put(None)  # for another thread that waits; it passes this on to the next one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._job.cancel()
