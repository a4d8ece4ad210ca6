"""Requests over HTTP whose answers are under way: a generation from its body to its last event.

Each ends when its client leaves, whatever is awaited at that moment: its row is free before the
next step.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from starlette.requests import ClientDisconnect, Request

from sampler.errors import IncompleteGenerationError, IncompleteStreamError, SamplerError
from sampler.events import GenerateResponse, StreamEvent
from sampler.request import GenerateRequest

if TYPE_CHECKING:
    from sampler.server.service import Service

_T = TypeVar("_T")


class OpenRequest(ABC):
    """A request whose answer is under way; it is told when its client leaves. To be closed."""

    def __init__(self, service: "Service", request: Request) -> None:
        self._service = service
        self._request = request
        self._watcher = asyncio.create_task(self._watch())
        service.exchanges.add(self)

    @property
    def request_id(self) -> str:
        """What logs and headers call it."""
        request_id: str = self._request.state.request_id
        return request_id

    @abstractmethod
    def drop(self) -> None:
        """Ends it with an error, as the server ends."""

    @abstractmethod
    def _leave(self) -> None:
        """Ends it, as its client has left."""

    def close(self) -> None:
        """None; nobody waits for it any more."""
        self._watcher.cancel()
        self._service.exchanges.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._leave()


class Exchange(OpenRequest):
    """A request and its events; made by `Service.exchange`, to be closed.

    Attributes
    ----------
    events : of the generator
    inputs : the prompt that was given, "" when it is not even a text
    generated_tokens : so far
    """

    def __init__(self, service: "Service", request: Request, body: Any, stream: bool) -> None:
        self.events = service.generator.open_stream(
            body, stream=stream, max_buffered_events=service.limits.max_buffered_events
        )
        given = body.get("inputs") if isinstance(body, dict) else None
        self.inputs = given if isinstance(given, str) else ""
        self.generated_tokens = 0
        self._asked: GenerateRequest | None = None
        self._last: float | None = None
        self._gone = False
        super().__init__(service, request)  # there is nothing to watch where there was no room

    @property
    def asked(self) -> GenerateRequest | None:
        """The validated request; None while it is not known to be valid."""
        return self._asked

    async def next_events(self) -> list[StreamEvent]:
        """All events that have come by now, at least one; none after the last one.

        Raises
        ------
        SamplerError : the generator's
        ClientDisconnect : nobody waits any more
        """
        if self._asked is None:
            self._asked = await self._or_gone(self.events.prepared())
            self._service.metrics.prompt_tokens.inc(self.events.prompt_tokens)
        events = await self._or_gone(self.events.next_events())
        if events:
            self._note(events)
        return events

    async def _or_gone(self, awaited: Awaitable[_T]) -> _T:
        try:
            value = await awaited
        except SamplerError:
            self._check_present()
            raise
        self._check_present()
        return value

    def _check_present(self) -> None:
        if self._gone:
            raise ClientDisconnect

    def _note(self, events: list[StreamEvent]) -> None:
        metrics, times, now = self._service.metrics, self.events.times, time.perf_counter()
        if self._last is None:
            first = now if self.events.job.stream else times.first or now
            metrics.first_token.observe(first - times.begun)
        else:
            metrics.between_tokens.observe(now - self._last)
        for _ in events[1:]:  # they leave together
            metrics.between_tokens.observe(0.0)
        self._last = now
        generated = events[-1].index - self.generated_tokens
        self.generated_tokens = events[-1].index
        metrics.generated_tokens.inc(generated)
        if events[-1].generated_text is not None:
            metrics.duration.observe(now - times.begun)

    async def whole(self) -> GenerateResponse:
        """The answer, when it is there; errors as `next_events`."""
        while await self.next_events():
            pass
        return self.events.response()

    def note_error(self, error: SamplerError) -> None:
        """None; counts what ended it after its status was sent."""
        self._service.metrics.note_error(error)

    def drop(self) -> None:
        """Ends it with an error, as the server ends."""
        stream = self.events.job.stream
        self.events.fail(IncompleteStreamError() if stream else IncompleteGenerationError())

    def close(self) -> None:
        """Ends it; what it has come to stands in the log."""
        super().close()
        self.events.close()
        self._request.state.noted = {"generated_tokens": self.generated_tokens}

    def _leave(self) -> None:
        self._gone = True
        self.events.close()
