"""`create_app`: routes, error handlers and the guard, put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sampler.errors import InvalidParameterError, SamplerError, shown
from sampler.generator import Generator
from sampler.limits import ServerLimits
from sampler.server.answers import (
    CLIENT_GONE,
    JSONAnswer,
    error_answer,
    http_error_answer,
)
from sampler.server.assets import PAGE_PATH, PageRoutes
from sampler.server.generation import GenerationRoutes
from sampler.server.guard import Guard, logger
from sampler.server.information import InformationRoutes
from sampler.server.openai import OpenAIRoutes
from sampler.server.openapi import document
from sampler.server.service import Service
from sampler.server.tracing import TraceRoutes

if TYPE_CHECKING:
    from sampler.models.gguf.chat import ChatTemplate


def create_app(
    generator: Generator,
    *,
    limits: ServerLimits | None = None,
    model_name: str = "token-sampler",
    chat_template: "ChatTemplate | None" = None,
    api_key: str | None = None,
    cors_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] | None = None,
) -> Starlette:
    """An ASGI application that serves `generator`, to run alone or to mount in another one.

    At the end of its lifespan, which a mount in another application does not run, requests that are
    unfinished end with an error and their ids are logged; the generator is left open.

    Parameters
    ----------
    generator : generates; its limits are those of each request
    limits : what one client may take
    model_name : what clients are told
    chat_template : for ``/v1/chat/completions``, which is refused by name without one
    api_key : the bearer token that every request but ``/health`` must have; None asks for none
    cors_origins : origins whose pages may read the answers, "*" for all; none by default
    allowed_hosts : names that the Host header may have, IPv6 addresses in brackets; None for any

    Raises
    ------
    InvalidParameterError : `api_key` is empty or not ASCII, or `limits` of another type
    """
    if not isinstance(limits, ServerLimits | None):
        raise InvalidParameterError(f"`limits` must be ServerLimits. Given: {shown(limits)}")
    if api_key is not None and not (api_key and api_key.isascii() and api_key.isprintable()):
        raise InvalidParameterError("`api_key` must be printable ASCII, and not empty")
    service = Service(generator, limits or ServerLimits(), model_name, chat_template)
    page = PageRoutes()
    described = document(generator.limits, api_key is not None, page.types)
    routes = _routes(service, page, described)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "x-request-id"],
    )
    guard = Middleware(
        Guard,
        limits=service.limits,
        metrics=service.metrics,
        paths=frozenset(route.path for route in routes),
        open_files=frozenset(page.types),
        api_key=api_key,
        allowed_hosts=allowed_hosts,
    )
    app = Starlette(
        routes=routes,
        middleware=[cors, guard] if cors_origins else [guard],
        exception_handlers=_handlers(service),  # type: ignore[arg-type]
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _routes(service: Service, page: PageRoutes, openapi: dict[str, Any]) -> list[Route]:
    async def described(request: Request) -> Response:
        return JSONAnswer(openapi)

    generation, information = GenerationRoutes(service), InformationRoutes(service)
    openai = OpenAIRoutes(service)

    async def root(request: Request) -> Response:
        return await (generation.root if request.method == "POST" else page.file)(request)

    return [
        Route(PAGE_PATH, root, methods=["GET", "POST"]),
        *page.routes(),
        Route("/generate", generation.generate, methods=["POST"]),
        Route("/generate_stream", generation.generate_stream, methods=["POST"]),
        Route("/v1/completions", openai.completions, methods=["POST"]),
        Route("/v1/chat/completions", openai.chat, methods=["POST"]),
        Route("/trace", TraceRoutes(service).trace, methods=["POST"]),
        Route("/tokenize", information.tokenize, methods=["POST"]),
        Route("/health", information.health, methods=["GET"]),
        Route("/info", information.info, methods=["GET"]),
        Route("/metrics", information.metrics, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
    ]


def _handlers(service: Service) -> dict[type[Exception], object]:
    retry_after = service.limits.retry_after_seconds

    async def refused(request: Request, error: SamplerError) -> Response:
        service.metrics.note_error(error)
        return error_answer(request, error, retry_after)

    async def not_http(request: Request, error: HTTPException) -> Response:
        service.metrics.rejected.labels("http").inc()
        return http_error_answer(request, error)

    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_GONE)

    return {
        SamplerError: refused,
        HTTPException: not_http,
        ClientDisconnect: gone,
    }


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    if dropped := app.state.service.drop_all():
        logger.warning("the server ends; dropped: %s", ", ".join(dropped))
