"""TGI's routes: ``POST /``, ``/generate`` and ``/generate_stream``."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sampler.events import GenerateResponse
from sampler.server.answers import JSONAnswer, ignored_header, stream_headers, timing_headers
from sampler.server.exchange import Exchange
from sampler.server.service import Service
from sampler.server.streaming import EventFormat, EventStreamResponse, TGIFormat, first_events


class GenerationRoutes:
    """The endpoints of TGI's API over `service`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def root(self, request: Request) -> Response:
        """Events if the body asks for a stream, else a list with one answer."""
        body = await self._service.body(request)
        if isinstance(body, dict) and body.get("stream") is True:
            return await self._stream(request, body)
        return await whole_answer(self._service, request, body, _listed)

    async def generate(self, request: Request) -> Response:
        """The whole answer."""
        body = await self._service.body(request)
        return await whole_answer(self._service, request, body, _plain)

    async def generate_stream(self, request: Request) -> Response:
        """The events."""
        body = await self._service.body(request)
        return await self._stream(request, body)

    async def _stream(self, request: Request, body: Any) -> Response:
        return await stream_answer(self._service, request, body, TGIFormat())


async def stream_answer(
    service: Service, request: Request, body: Any, form: EventFormat
) -> Response:
    """The events of what `body`, in TGI's form, asks for, written in `form`."""
    exchange = service.exchange(request, body, stream=True)
    try:
        first = await first_events(exchange, service.limits)
    except BaseException:
        exchange.close()
        raise
    headers = stream_headers(exchange.inputs, exchange.asked)
    return EventStreamResponse(exchange, first, form, service.limits, headers)


async def whole_answer(
    service: Service,
    request: Request,
    body: Any,
    shaped: Callable[[GenerateResponse, Exchange], Any],
) -> Response:
    """The answer to what `body`, in TGI's form, asks for, in the wire form that `shaped` makes."""
    with service.exchange(request, body, stream=False) as exchange:
        response = await exchange.whole()
        headers = _headers(exchange)
    # thousands of tokens with alternatives take a while to write down
    return await asyncio.to_thread(lambda: JSONAnswer(shaped(response, exchange), headers=headers))


def _plain(response: GenerateResponse, exchange: Exchange) -> dict[str, Any]:
    return response.to_dict()


def _listed(response: GenerateResponse, exchange: Exchange) -> list[dict[str, Any]]:
    return [response.to_dict()]


def _headers(exchange: Exchange) -> dict[str, str]:
    timings = timing_headers(
        exchange.inputs,
        exchange.events.times,
        exchange.events.prompt_tokens,
        exchange.generated_tokens,
    )
    return {**timings, **({} if exchange.asked is None else ignored_header(exchange.asked))}
