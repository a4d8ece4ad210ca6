"""The server under load: a model that gives one fixed array, in a process of its own.

It measures the generator alone first, the same requests without HTTP, and says on standard output
what that took: one JSON line with the port.
"""

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from benchmarks.sampling_rows import row_of
from sampler import Generator, Vocabulary, warmup
from sampler.limits import ServerLimits
from sampler.server import create_app
from sampler.server.serving import Server


def vocabulary(size: int) -> Vocabulary:
    """Single bytes, then words of letters; nothing ends a sequence."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = "abcdefghijklmnopqrstuvwxyz"
    number = 0
    while len(tokens) < size:
        word, rest = "Ġ", number + 26
        while rest:
            rest, letter = divmod(rest, 26)
            word += letters[letter]
        tokens.append(word)
        number += 1
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(ids, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return Vocabulary.from_tokenizer(tokenizer, [])


class FixedArray:
    """A model whose logits are there already, or after a while: all else is measured."""

    def __init__(self, shape: str, vocab_size: int, batch_size: int, seconds: float) -> None:
        self._seconds = seconds
        self._logits = np.stack([row_of(shape, vocab_size, row) for row in range(batch_size)])

    def __call__(self, batch: Any) -> Any:
        if self._seconds:
            time.sleep(self._seconds)
        return self._logits[: len(batch)]


async def alone(generator: Generator, requests: list[dict[str, Any]]) -> dict[str, float]:
    """Wall and CPU seconds of the requests without HTTP."""
    await asyncio.gather(*(generator.agenerate(request) for request in requests))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(generator.agenerate(request) for request in requests))
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    asked = json.loads(sys.argv[1])
    warmup()
    streams = asked["streams"]
    seconds = asked["model_ms"] / 1000
    model = FixedArray(asked["rows"], asked["vocab_size"], streams, seconds)
    words = vocabulary(asked["vocab_size"])
    with Generator(model, words, streams, asked["max_waiting"]) as generator:
        engine = asyncio.run(alone(generator, asked["requests"]))
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        print(json.dumps({"port": port, "engine": engine}), flush=True)
        app = create_app(generator, limits=ServerLimits(shutdown_seconds=1))
        Server(app).run(sockets=[listener])


if __name__ == "__main__":
    main()
