"""The page at ``GET /``: files that go out as they are, and the headers that keep them to us.

Whoever may connect may read them, with or without a token: there is nothing of the model in them,
and a browser cannot send a token for a page. What the page then asks for needs it.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sampler.server.answers import route_path

PAGE_PATH = "/"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


class PageRoutes:
    """The page and its files.

    Attributes
    ----------
    types : the content type of each path
    """

    def __init__(self) -> None:
        self._contents = _contents()
        self.types: Mapping[str, str] = {
            path: _TYPES[_suffix(path)] for path in sorted(self._contents)
        }

    async def file(self, request: Request) -> Response:
        """The file of the path that was asked for."""
        path = route_path(request.scope)
        return Response(self._contents[path], media_type=self.types[path], headers=_HEADERS)

    def routes(self) -> list[Route]:
        """Of all files but the page itself, which shares its path with ``POST /``."""
        return [Route(path, self.file, methods=["GET"]) for path in self.types if path != PAGE_PATH]


def _contents() -> dict[str, bytes]:
    """The bytes of each file, by path."""
    found = {}
    for item in files("sampler.server").joinpath("page").iterdir():
        if PurePath(item.name).suffix in _TYPES:
            path = PAGE_PATH if item.name == "index.html" else f"/page/{item.name}"
            found[path] = item.read_bytes()
    return found


def _suffix(path: str) -> str:
    return ".html" if path == PAGE_PATH else PurePath(path).suffix
