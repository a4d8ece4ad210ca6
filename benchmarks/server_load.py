"""A load generator: many streams from one asyncio process, every event timed as it arrives.

It reads no more of HTTP than it needs, so that on a machine of few cores the server has most of
them.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stream:
    """What one client saw; times in seconds, from the request on.

    Attributes
    ----------
    status : of HTTP; 0 when the connection broke
    arrivals : of each event
    answered : when the status was there
    finished : whether the last event came
    """

    status: int = 0
    arrivals: list[float] = field(default_factory=list)
    answered: float = 0.0
    finished: bool = False

    @property
    def gaps(self) -> list[float]:
        """Between one event and the next."""
        return [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


async def stream(port: int, request: dict[str, Any]) -> Stream:
    """One request to ``/generate_stream``."""
    body = json.dumps(request).encode()
    head = (
        f"POST /generate_stream HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    seen = Stream()
    begun = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body)
        seen.status = int((await reader.readline()).split()[1])
        seen.answered = time.perf_counter() - begun
        while piece := await reader.read(65536):
            now = time.perf_counter() - begun
            seen.arrivals += [now] * piece.count(b"data: ")
            seen.finished |= b'"generated_text":"' in piece
        writer.close()
    except OSError:
        seen.status = 0
    return seen


async def load(port: int, requests: Sequence[dict[str, Any]], seconds: float) -> list[Stream]:
    """All requests, begun evenly over `seconds`; 0 is all at once."""

    async def later(number: int) -> Stream:
        await asyncio.sleep(seconds * number / len(requests))
        return await stream(port, requests[number])

    return await asyncio.gather(*map(later, range(len(requests))))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values are, 0 <= `share` < 1."""
    return sorted(values)[int(share * len(values))] if values else float("nan")
