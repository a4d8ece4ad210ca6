"""The application under uvicorn: bound, limited, and ended in good order."""

import asyncio
import gc
import ipaddress
import logging
import math
import socket
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

from sampler.server.connection import limited
from sampler.server.service import Service

logger = logging.getLogger("sampler.server")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_BACKLOG = 2048


class Server(uvicorn.Server):
    """Runs an application of `create_app`; when it ends, running requests have time to finish.

    Parameters
    ----------
    app : made by `create_app`
    host, port : where it listens; port 0 takes a free one
    """

    def __init__(self, app: Starlette, host: str = "127.0.0.1", port: int = 8080) -> None:
        self._service: Service = app.state.service
        limits = self._service.limits
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=limited(limits),
                ws="none",
                h11_max_incomplete_event_size=limits.max_header_bytes,
                timeout_keep_alive=limits.idle_seconds,
                # by then `shutdown` has ended what was running
                timeout_graceful_shutdown=math.ceil(limits.shutdown_seconds) + 5,
                backlog=_BACKLOG,
                log_config=None,
                access_log=False,
                server_header=False,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen."""
        spare_the_collector()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more requests, waits for the running ones, ends those that take too long."""
        dropping = asyncio.create_task(self._drop_late_ones())
        try:
            await super().shutdown(sockets)
        finally:
            dropping.cancel()

    async def _drop_late_ones(self) -> None:
        await asyncio.sleep(self._service.limits.shutdown_seconds)
        if dropped := self._service.drop_all():
            logger.warning("dropped as the server ends: %s", ", ".join(dropped))


def spare_the_collector() -> None:
    """None; the garbage collector looks no more at what is there by now.

    Else every full collection goes through all that the compiler made, a million objects that stay
    for good, and holds up every stream for a quarter of a second.
    """
    gc.collect()
    gc.freeze()


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_to_allow(host: str, named: Sequence[str]) -> tuple[str, ...] | None:
    """The names that requests may ask for, where it listens on `host`; None for any name.

    On this machine alone: its own names and those `named`. Else those `named`, or any without them.
    """
    if is_loopback(host):
        return (*LOOPBACK_NAMES, *named)
    return tuple(named) or None
