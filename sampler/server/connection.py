"""A connection that keeps its limits: uvicorn's HTTP/1.1 with a clock on everything a client does.

uvicorn itself waits for ever for the rest of a head, and for a reader that takes nothing.
"""

import asyncio
import json
import sys
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sampler.limits import ServerLimits


class Connection(H11Protocol):
    """One connection; `limits` is set by `limited`."""

    limits: ServerLimits

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses it when there are too many; else the clock for the first head starts."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            transport.abort()
            return
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """A piece of a request: a head has to be whole in time, whatever came before it."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop(self._head_timer)
            self._head_timer = None
        elif self._head_timer is None and self.conn.trailing_data[0]:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """None of the clocks goes on."""
        self._stop(self._head_timer)
        self._stop(self._write_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The reader is behind."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        super().resume_writing()
        self._stop(self._write_timer)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has too large a head, is told so in the form of the other errors."""
        if self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # an answer amid another one would be part of that
            return
        hint = getattr(sys.exc_info()[1], "error_status_hint", 400)
        status = HTTPStatus(hint if hint < 500 else 400)  # it is the client's fault in any case
        body = json.dumps({"error": f"{msg} {status.phrase}."}).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def limited(limits: ServerLimits) -> type[Connection]:
    """The class of connections with these limits, as uvicorn wants it."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
