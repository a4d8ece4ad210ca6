"""Clients of a soak: some stay to the end and count, some vanish wherever they happen to be."""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from scripted_models import PATIENCE, request
from server_abuse import head

VANISHING_PATHS = ("/generate", "/generate_stream")  # those who stay ask at another one
GRAMMARS = [{"type": "regex", "value": f"[ab]{{{number}}}"} for number in range(2, 12)]
MOST_TOKENS = 60


@dataclass
class Seen:
    """What the clients did and saw.

    Attributes
    ----------
    asked : requests whose head was sent, by path
    answered : answers to those who stayed, by status
    tokens : of those who stayed
    fewest, most : tokens that may have been sent to those who vanished
    """

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    tokens: int = 0
    fewest: int = 0
    most: int = 0


def wanted(roll: random.Random) -> dict:
    """A legal request; of some the tokens are known only when they come."""
    asked = request(
        "a" * roll.randint(1, 30),
        max_new_tokens=roll.randint(1, MOST_TOKENS),
        do_sample=True,
        seed=roll.getrandbits(64),
        details=True,
        ignore_eos=roll.random() < 0.5,
    )
    if roll.random() < 0.2:
        asked["parameters"] |= {"grammar": roll.choice(GRAMMARS), "ignore_eos": False}
    if roll.random() < 0.1:
        asked["parameters"]["best_of"] = 3
    return asked


def sent(path: str, asked: dict) -> bytes:
    body = json.dumps(asked).encode()
    return head(path, f"content-length: {len(body)}", "connection: close") + body


async def stay(port: int, roll: random.Random, seen: Seen) -> None:
    """One request, wrong now and then, and its whole answer."""
    asked = wanted(roll) | {"stream": roll.random() < 0.5}
    if roll.random() < 0.1:
        asked["parameters"]["top_p"] = 42.5
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent("/", asked))
    seen.asked["/"] += 1
    answer = await reader.read(-1)
    writer.close()
    top, _, body = answer.partition(b"\r\n\r\n")
    status = int(top.split()[1])
    seen.answered[status] += 1
    if status != 200:
        assert json.loads(body)["error_type"] == "validation", body
    elif asked["stream"]:
        assert b'"generated_text":"' in body, body[-500:]
        seen.tokens += body.count(b"data: ")
    else:
        seen.tokens += json.loads(body)[0]["details"]["generated_tokens"]


async def vanish(port: int, roll: random.Random, seen: Seen) -> None:
    """One request that is left amid its head, its body, the wait for an answer or the answer."""
    path, asked = roll.choice(VANISHING_PATHS), wanted(roll)
    data = sent(path, asked)
    cut = roll.choice([roll.randrange(len(data)), len(data), len(data)])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data[:cut])
    await writer.drain()
    seen.asked[path] += b"\r\n\r\n" in data[:cut]
    if cut == len(data):
        seen.most += asked["parameters"]["max_new_tokens"]
        if roll.random() < 0.7:
            answer = await reader.read(roll.choice([1, 300, 3000]))
            seen.fewest += answer.count(b'"special":') if path == "/generate_stream" else 0
    await asyncio.sleep(roll.choice([0, 0, 0.005, 0.05]))
    if roll.random() < 0.5:  # without a word
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def come_and_go(port: int, seed: int, seen: Seen, ended: asyncio.Event) -> None:
    """None, when `ended`: one client after the other."""
    roll = random.Random(seed)
    while not ended.is_set():
        async with asyncio.timeout(PATIENCE):
            await roll.choice([stay, vanish, vanish])(port, roll, seen)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), roll.random() * 0.05)
