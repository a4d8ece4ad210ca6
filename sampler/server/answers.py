"""Answers that are no stream: JSON, errors in both shapes, timing headers.

Statuses that belong to HTTP and not to a generation (401, 404, 405, ...) have no `error_type`:
clients that miss it go by the status, and by the type otherwise.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sampler.errors import SamplerError
from sampler.job import Times
from sampler.request import GenerateRequest

CLIENT_GONE = 499  # nobody reads it; stands in logs and metrics
OPENAI_PREFIX = "/v1/"


class JSONAnswer(Response):
    """A JSON value in plain ASCII, without NaN."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def route_path(scope: Scope) -> str:
    """The path within the application, wherever it is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def error_body(path: str, error: SamplerError) -> dict[str, Any]:
    """The wire form of `error`, in the shape of the API that `path` belongs to."""
    body = error.to_dict()
    return _shaped(path, body["error"], error.http_status, body["error_type"])


def error_answer(request: Request, error: SamplerError, retry_after: int) -> JSONAnswer:
    """The answer to a request that failed before anything was sent."""
    headers = {}
    if error.http_status == 429:
        headers["retry-after"] = str(retry_after)
    if error.http_status == 413:
        headers["connection"] = "close"  # the rest of the body may still come
    return JSONAnswer(error_body(route_path(request.scope), error), error.http_status, headers)


def http_error_answer(request: Request, error: HTTPException) -> JSONAnswer:
    """The answer to what is no request for this server."""
    body = http_error_body(route_path(request.scope), error.status_code, error.detail)
    return JSONAnswer(body, error.status_code, error.headers)


def http_error_body(path: str, status: int, text: str) -> dict[str, Any]:
    """The wire form of an error that belongs to HTTP, in the shape of the API of `path`."""
    return _shaped(path, text, status, None)


def _shaped(path: str, text: str, status: int, error_type: str | None) -> dict[str, Any]:
    if path.startswith(OPENAI_PREFIX):
        kind = error_type or "invalid_request_error"
        return {"error": {"message": text, "type": kind, "param": None, "code": status}}
    return {"error": text} if error_type is None else {"error": text, "error_type": error_type}


def stream_headers(inputs: str, asked: GenerateRequest | None) -> dict[str, str]:
    """TGI's headers of a stream; `asked` is None while the request is not known to be valid."""
    return {
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        **_compute_headers(inputs),
        **({} if asked is None else ignored_header(asked)),
    }


def ignored_header(asked: GenerateRequest) -> dict[str, str]:
    """Names the parameters that were not looked at, if there are any."""
    names = [name.encode("ascii", "backslashreplace").decode() for name in asked.ignored_parameters]
    return {"x-ignored-parameters": ", ".join(names)[:1024]} if names else {}


def timing_headers(
    inputs: str, times: Times, prompt_tokens: int, generated_tokens: int
) -> Mapping[str, str]:
    """TGI's headers of a whole answer; times in whole milliseconds, `x-compute-time` in seconds."""
    prepared = times.prepared or times.begun
    started = times.started or prepared
    ended = times.ended or started
    spans = {
        "x-total-time": ended - times.begun,
        "x-validation-time": prepared - times.begun,
        "x-queue-time": started - prepared,
        "x-inference-time": ended - started,
        "x-time-per-token": (ended - started) / max(generated_tokens, 1),
    }
    return {
        **_compute_headers(inputs),
        "x-compute-time": f"{ended - times.begun:.6f}",
        **{name: str(round(seconds * 1000)) for name, seconds in spans.items()},
        "x-prompt-tokens": str(prompt_tokens),
        "x-generated-tokens": str(generated_tokens),
    }


def _compute_headers(inputs: str) -> dict[str, str]:
    return {"x-compute-type": "cpu", "x-compute-characters": str(len(inputs))}
