"""``POST /trace``: what each processor makes of one token, for the page and for the curious."""

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sampler.errors import IncompleteGenerationError
from sampler.server.answers import JSONAnswer, ignored_header
from sampler.server.exchange import OpenRequest
from sampler.server.service import Service
from sampler.step_trace import StepTrace


class TraceRoutes:
    """The endpoint of this module over `service`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def trace(self, request: Request) -> Response:
        """The stages of the next token, and what becomes of its alternatives."""
        body = await self._service.body(request)
        with TraceExchange(self._service, request, body) as exchange:
            traced = await exchange.answer()
        headers = ignored_header(traced.request)
        return await asyncio.to_thread(lambda: JSONAnswer(traced.to_dict(), headers=headers))


class TraceExchange(OpenRequest):
    """A trace that was asked for. To be closed."""

    def __init__(self, service: Service, request: Request, body: Any) -> None:
        self._ended: Exception | None = None  # what ended it from outside
        self._task = asyncio.create_task(service.generator.atrace(body))
        super().__init__(service, request)

    async def answer(self) -> StepTrace:
        """The trace, when it is there.

        Raises
        ------
        SamplerError : the generator's; the server ends
        ClientDisconnect : nobody waits any more
        """
        try:
            return await self._task
        except asyncio.CancelledError:
            if self._ended is None:
                raise
            raise self._ended from None

    def drop(self) -> None:
        """Ends it with an error, as the server ends."""
        self._end(IncompleteGenerationError())

    def close(self) -> None:
        """None; nobody waits for it any more."""
        super().close()
        self._task.cancel()

    def _leave(self) -> None:
        self._end(ClientDisconnect())

    def _end(self, error: Exception) -> None:
        self._ended = self._ended or error
        self._task.cancel()
