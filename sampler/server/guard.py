"""What every request passes: its id, the host it names, the bearer token, its client's share.

Plain ASGI: nothing here buffers or waits, so a stream goes through as it is.
"""

import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sampler.errors import OverloadedError, SamplerError
from sampler.limits import ServerLimits
from sampler.server.answers import (
    CLIENT_GONE,
    JSONAnswer,
    error_body,
    http_error_body,
    route_path,
)
from sampler.server.metrics import Metrics

logger = logging.getLogger("sampler.server")
OPEN_PATHS = frozenset({"/health"})  # need no token: whoever starts servers asks for it
_MAJOR_VERSIONS = ("1", "2", "3")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Guard:
    """The application behind the rules of this module; see `sampler.server.create_app`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: ServerLimits,
        metrics: Metrics,
        paths: frozenset[str],
        open_files: frozenset[str],
        api_key: str | None,
        allowed_hosts: Sequence[str] | None,
    ) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._paths = paths
        self._open_files = open_files
        self._authorization = None if api_key is None else f"Bearer {api_key}".encode()
        self._hosts = None if allowed_hosts is None else frozenset(allowed_hosts)
        self._clients: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on or refuses it, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status = time.perf_counter(), CLIENT_GONE

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._pass(scope, receive, send_with_id)
        except Exception:
            logger.exception("request %s failed", request_id)
            if status != CLIENT_GONE:
                raise  # begun already: the connection has to be cut
            own = SamplerError("internal error")
            self._metrics.note_error(own)
            answer = JSONAnswer(error_body(route_path(scope), own), 500)
            await answer(scope, receive, send_with_id)
        finally:
            self._note(scope, status, time.perf_counter() - begun)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
            return
        client = (scope.get("client") or ("", 0))[0]
        if self._clients[client] >= self._limits.max_requests_per_client:
            self._metrics.rejected.labels("client").inc()
            overloaded = OverloadedError()
            headers = {"retry-after": str(self._limits.retry_after_seconds)}
            answer = JSONAnswer(error_body(route_path(scope), overloaded), 429, headers)
            await answer(scope, receive, send)
            return
        self._clients[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def _refusal(self, scope: Scope) -> JSONAnswer | None:
        headers, path = Headers(scope=scope), route_path(scope)
        if scope.get("http_version", "1.1").partition(".")[0] not in _MAJOR_VERSIONS:
            # what reads the connection takes any number for HTTP/1.1
            self._metrics.rejected.labels("http").inc()
            return JSONAnswer(http_error_body(path, 400, "this version of HTTP is not served"), 400)
        if (
            sum(len(name) + len(value) for name, value in headers.raw)
            > self._limits.max_header_bytes
        ):
            self._metrics.rejected.labels("size").inc()
            return JSONAnswer(http_error_body(path, 431, "the headers are too large"), 431)
        if self._hosts is not None and _host_name(headers.get("host", "")) not in self._hosts:
            # a page may have its own name lead to this machine, and would then be let in
            self._metrics.rejected.labels("host").inc()
            return JSONAnswer(http_error_body(path, 403, "this host name is not served"), 403)
        if self._authorization is None or self._is_open(scope["method"], path):
            return None
        given = headers.get("authorization", "").encode("latin-1")
        if secrets.compare_digest(given, self._authorization):
            return None
        self._metrics.rejected.labels("unauthorized").inc()
        text = "the header `authorization` must be the bearer token of this server"
        challenge = {"www-authenticate": "Bearer"}
        return JSONAnswer(http_error_body(path, 401, text), 401, challenge)

    def _is_open(self, method: str, path: str) -> bool:
        return path in OPEN_PATHS or (method in ("GET", "HEAD") and path in self._open_files)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = route_path(scope)
        path = path if path in self._paths else "other"
        self._metrics.requests.labels(path, status).inc()
        fields = {
            "request_id": scope["state"]["request_id"],
            "client": (scope.get("client") or ("", 0))[0],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 6),
            **scope["state"].get("noted", {}),
        }
        logger.info("request", extra={"fields": fields})


def _host_name(host: str) -> str:
    """The name in a Host header: without the port, an IPv6 address in its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
