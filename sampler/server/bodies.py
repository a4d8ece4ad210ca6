"""The body of a request: read within its limits, then JSON or an error that says why not.

Nothing but ``application/json`` is taken: a web page may send any other type to a server on the
reader's own machine without asking.
"""

import asyncio
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from sampler.errors import InvalidParameterError, shown
from sampler.limits import ServerLimits
from sampler.wire import read_json

_DRAINED = (
    8  # times the limit: so much is read and thrown away, for clients that send before they read
)


class BodyTooLargeError(InvalidParameterError):
    """A body of more bytes than a server takes."""

    http_status = 413


async def read_body(request: Request, limits: ServerLimits) -> Any:
    """The JSON value of the body.

    Raises
    ------
    InvalidParameterError : it is not JSON
    BodyTooLargeError : it is larger than `max_body_bytes`
    HTTPException : 408, it did not come within `body_seconds`
    ClientDisconnect : it never came
    """
    _check_type(request)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _all_bytes(request, limits.max_body_bytes)
    except TimeoutError:
        headers = {"connection": "close"}  # what comes later would be taken for a request
        raise HTTPException(408, "the body did not come in time", headers) from None
    try:
        return read_json(body.decode())
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 at byte {error.start}"
    except ValueError as error:
        problem = str(error)
    raise InvalidParameterError(f"the body must be JSON: {problem}")


def _check_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidParameterError(
            f"the header `content-type` must be application/json. Given: {shown(given)}"
        )


async def _all_bytes(request: Request, limit: int) -> bytes:
    too_large = BodyTooLargeError(f"the body must have <= {limit} bytes")
    if _declared_size(request) > _DRAINED * limit:
        raise too_large
    body, size, more = bytearray(), 0, True
    while more and size <= _DRAINED * limit:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size <= limit:
            body += piece
        more = message.get("more_body", False)
    if size > limit:
        raise too_large
    return bytes(body)


def _declared_size(request: Request) -> int:
    given = request.headers.get("content-length", "0")
    return int(given) if given.isdecimal() and len(given) < 20 else 0
