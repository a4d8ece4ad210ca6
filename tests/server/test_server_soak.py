"""Clients that come, read and vanish at random, for long: nothing is lost, nothing is left."""

import asyncio
import random
import re

import numpy as np
import pytest
from scripted_models import request
from server_client import until
from server_process import resident_bytes, serving
from soaking_clients import VANISHING_PATHS, Seen, come_and_go, stay

CLIENTS = 24
QUICK_SECONDS, LONG_SECONDS = 10, 30 * 60
ROWS = 32  # of the batch
WARM_SHARE = 0.2  # of the requests, until caches and allocators have what they keep
SLOPE_BYTES = 1 << 20  # for 10,000 requests


def requests_answered(client, path, status=r"\d+"):
    """How many the server says it had."""
    line = re.compile(rf'sampler_requests_total{{path="{path}",status="{status}"}} (\S+)')
    text = client.get("/metrics").body.decode()
    return sum(float(number) for number in line.findall(text))


async def soak(client, seconds):
    """What the clients saw, and (requests, bytes that the server uses) from time to time."""
    seen, ended, sizes = Seen(), asyncio.Event(), []
    async with asyncio.TaskGroup() as clients:
        for seed in range(CLIENTS):
            clients.create_task(come_and_go(client.port, seed, seen, ended))
        for _ in range(seconds):
            await asyncio.sleep(1)
            sizes.append((seen.asked.total(), resident_bytes(client.process.pid)))
        ended.set()
    return seen, sizes


def check_books(client, seen):
    """What the server counted is what the clients saw; to those who vanished, what it sent."""
    for path in VANISHING_PATHS:
        until(lambda path=path: requests_answered(client, path) == seen.asked[path])
    assert set(seen.answered) <= {200, 400}
    for status, count in seen.answered.items():
        assert requests_answered(client, "/", status) == count
    assert requests_answered(client, "/") == seen.asked["/"] == seen.answered.total()
    assert client.metric('sampler_rejected_total{reason="validation"}') == seen.answered[400]
    assert "sampler_failed_total{" not in client.get("/metrics").body.decode()
    generated = client.metric("sampler_generated_tokens_total")
    assert seen.tokens + seen.fewest <= generated <= seen.tokens + seen.most


def check_books_of_those_who_stay(client):
    """When nobody vanishes, tokens and times too are counted exactly."""
    names = ("generated_tokens_total", "time_to_first_token_seconds_count", "request_seconds_count")
    before = [client.metric(f"sampler_{name}") for name in names]
    seen, roll = Seen(), random.Random(0)

    async def ask():
        await asyncio.gather(*(stay(client.port, roll, seen) for _ in range(50)))

    asyncio.run(ask())
    after = [client.metric(f"sampler_{name}") for name in names]
    answered = seen.answered[200]
    assert [b - a for a, b in zip(before, after, strict=True)] == [seen.tokens, answered, answered]


def check_rows(client):
    """No row is taken, and all of them can be."""
    for gauge in ("running_rows", "queue_size"):
        until(lambda gauge=gauge: client.metric(f"sampler_{gauge}") == 0)
    asked = request("a", max_new_tokens=5000, ignore_eos=True)
    streams = [client.begin("POST", "/generate_stream", asked) for _ in range(ROWS)]
    until(lambda: client.metric("sampler_running_rows") == ROWS)
    for stream in streams:
        stream.close()
    until(lambda: client.metric("sampler_running_rows") == 0)


def soaked(seconds):
    """(requests, bytes that the server uses) from time to time, of a soak that was in order."""
    with serving() as client:
        seen, sizes = asyncio.run(soak(client, seconds))
        check_books(client, seen)
        check_books_of_those_who_stay(client)
        check_rows(client)
    assert "Traceback" not in client.warnings
    return sizes


def test_clients_that_vanish_take_nothing_with_them():
    soaked(QUICK_SECONDS)


@pytest.mark.slow
def test_clients_that_vanish_for_long_leave_no_memory_behind(capsys):
    sizes = soaked(LONG_SECONDS)
    warm = [size for size in sizes if size[0] > sizes[-1][0] * WARM_SHARE]
    slope = np.polyfit(*np.array(warm).T, 1)[0] * 10_000
    with capsys.disabled():
        print(f"\n{sizes[-1][0]} requests; {slope / 2**20:.3f} MB more for 10,000 of them")
    assert slope < SLOPE_BYTES
