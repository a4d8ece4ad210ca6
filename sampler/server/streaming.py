"""Server-sent events: every event as soon as it is there, a comment when there is silence.

The status is held back until the first event, an error or the first silence, so that what goes
wrong before it is a real HTTP error. Afterwards an error is one last event.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from sampler.errors import SamplerError
from sampler.events import StreamEvent, to_sse
from sampler.limits import ServerLimits
from sampler.server.exchange import Exchange

_COMMENT = b":\n\n"


class EventFormat(Protocol):
    """How one API writes events; each method gives whole server-sent events."""

    def event(self, event: StreamEvent) -> str:
        """A token."""

    def error(self, error: SamplerError) -> str:
        """What ended the stream."""

    def end(self, exchange: Exchange) -> str:
        """What follows the last token."""


class TGIFormat:
    """TGI's events: the wire form as it is, and nothing after the last one."""

    def event(self, event: StreamEvent) -> str:
        """A token."""
        return to_sse(event)

    def error(self, error: SamplerError) -> str:
        """What ended the stream."""
        return to_sse(error)

    def end(self, exchange: Exchange) -> str:
        """Nothing."""
        return ""


async def first_events(exchange: Exchange, limits: ServerLimits) -> list[StreamEvent] | None:
    """The first events, or None when there are none yet after `keep_alive_seconds`."""
    try:
        async with asyncio.timeout(limits.keep_alive_seconds):
            return await exchange.next_events()
    except TimeoutError:
        return None


class EventStreamResponse(Response):
    """The events of `exchange`, which it closes.

    Parameters
    ----------
    exchange : begun, without error so far
    first : what `first_events` gave
    form : of the API
    limits : of the server
    headers : besides the content type
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        exchange: Exchange,
        first: list[StreamEvent] | None,
        form: EventFormat,
        limits: ServerLimits,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]  # known at the end only
        self._exchange = exchange
        self._first = first
        self._form = form
        self._limits = limits
        self._sent_at = time.monotonic()
        self._sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, as ASGI has it."""
        ticker = asyncio.create_task(self._tick(send))
        try:
            with self._exchange:
                head = {"status": self.status_code, "headers": self.raw_headers}
                await self._send(send, {"type": "http.response.start", **head})
                await self._write_all(send)
                await self._write(send, b"", more=False)
        except ClientDisconnect:
            pass  # nobody is there to be told
        finally:
            ticker.cancel()

    async def _write_all(self, send: Send) -> None:
        events = self._first
        if events is None:
            await self._write(send, _COMMENT)
        try:
            while events is None or events:
                if events:
                    await self._write(send, "".join(map(self._form.event, events)).encode())
                events = await self._exchange.next_events()
        except SamplerError as error:
            self._exchange.note_error(error)
            await self._write(send, self._form.error(error).encode())
            return
        if end := self._form.end(self._exchange):
            await self._write(send, end.encode())

    async def _write(self, send: Send, data: bytes, more: bool = True) -> None:
        body = {"type": "http.response.body", "body": data, "more_body": more}
        await self._send(send, body)

    async def _send(self, send: Send, message: Message) -> None:
        self._sending += 1
        try:
            await send(message)
        finally:
            self._sending -= 1
            self._sent_at = time.monotonic()

    async def _tick(self, send: Send) -> None:
        """Comments in silence; frees the row of a reader that takes nothing."""
        limits = self._limits
        while True:
            await asyncio.sleep(min(limits.keep_alive_seconds, limits.write_seconds) / 2)
            silence = time.monotonic() - self._sent_at
            if self._sending and silence >= limits.write_seconds:
                self._exchange.events.close()
            elif not self._sending and silence >= limits.keep_alive_seconds:
                with suppress(TimeoutError):  # the next look finds the row
                    async with asyncio.timeout(limits.write_seconds):
                        await self._write(send, _COMMENT)
