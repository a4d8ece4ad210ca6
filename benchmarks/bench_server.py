"""What the server adds to a token: many streams over HTTP beside the same requests without it.

    python benchmarks/bench_server.py         64 streams, then 4 times what the server takes

The model gives one fixed array, so everything that is measured is the library: sampling at 151,669
tokens (temperature, top-k 50, top-p 0.95), text, events, HTTP. The server and the load generator
are two processes on the same machine. Overhead is the difference in CPU time per token between the
requests over HTTP and the same ones in the same process without it. The streams all begin at once;
the crowd, four times as many as there are rows and places in the queue, comes within a second. The
last line is one JSON document.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.server_load import Stream, load, percentile

CHILD = Path(__file__).with_name("server_child.py")
CHAIN = {"temperature": 0.7, "top_k": 50, "top_p": 0.95, "ignore_eos": True}


def requests(count: int, tokens: int) -> list[dict[str, Any]]:
    """Requests that differ in their seeds."""
    return [
        {"inputs": "a", "parameters": {**CHAIN, "seed": seed, "max_new_tokens": tokens}}
        for seed in range(count)
    ]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; Linux."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(
    port: int, asked: list[dict[str, Any]], pid: int, seconds: float = 0.0
) -> tuple[list[Stream], dict[str, float]]:
    """What the clients saw, with wall and CPU seconds of the server and its memory at the end."""
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    seen = asyncio.run(load(port, asked, seconds))
    taken = {
        "wall": time.perf_counter() - wall,
        "cpu": cpu_seconds(pid) - cpu,
        "resident_mb": resident_bytes(pid) / 1e6,
    }
    return seen, taken


def figures(seen: list[Stream]) -> dict[str, float]:
    """Of the streams that were accepted: tokens, first token and gaps in milliseconds."""
    accepted = [stream for stream in seen if stream.status == 200]
    gaps = [gap * 1000 for stream in accepted for gap in stream.gaps]
    first = [stream.arrivals[0] * 1000 for stream in accepted if stream.arrivals]
    return {
        "accepted": len(accepted),
        "unfinished": sum(not stream.finished for stream in accepted),
        "tokens": sum(len(stream.arrivals) for stream in accepted),
        "first_ms_p50": percentile(first, 0.5),
        "first_ms_p99": percentile(first, 0.99),
        "gap_ms_p50": percentile(gaps, 0.5),
        "gap_ms_p99": percentile(gaps, 0.99),
        "gap_ms_max": max(gaps, default=float("nan")),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures of a run."""
    asked = requests(options.streams, options.tokens)
    given = {
        "streams": options.streams,
        "vocab_size": options.vocab_size,
        "rows": options.rows,
        "model_ms": options.model_ms,
        "max_waiting": options.streams,
        "requests": asked,
    }
    command = [sys.executable, str(CHILD), json.dumps(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            said = json.loads(child.stdout.readline())
            run(said["port"], asked, child.pid)  # to warm up
            served = served_figures(*run(said["port"], asked, child.pid), said["engine"])
            crowd = requests(8 * options.streams, options.tokens)
            overload = overload_figures(*run(said["port"], crowd, child.pid, seconds=1.0))
        finally:
            child.terminate()
    return {"options": vars(options), "served": served, "overload": overload}


def served_figures(
    seen: list[Stream], taken: dict[str, float], engine: dict[str, float]
) -> dict[str, float]:
    """Figures of a run within capacity."""
    found = figures(seen)
    tokens = found["tokens"]
    return {
        **found,
        "tokens_per_second": tokens / taken["wall"],
        "engine_tokens_per_second": tokens / engine["wall"],
        "cpu_us_per_token": taken["cpu"] / tokens * 1e6,
        "engine_cpu_us_per_token": engine["cpu"] / tokens * 1e6,
        "overhead_us_per_token": (taken["cpu"] - engine["cpu"]) / tokens * 1e6,
        "resident_mb": taken["resident_mb"],
    }


def overload_figures(seen: list[Stream], taken: dict[str, float]) -> dict[str, float]:
    """Figures of a run beyond capacity."""
    refused = [stream.answered * 1000 for stream in seen if stream.status == 429]
    return {
        **figures(seen),
        "refused": len(refused),
        "broken": sum(stream.status not in (200, 429) for stream in seen),
        "refused_ms_p50": percentile(refused, 0.5),
        "refused_ms_p99": percentile(refused, 0.99),
        "refused_ms_max": max(refused, default=float("nan")),
        "tokens_per_second": sum(len(s.arrivals) for s in seen) / taken["wall"],
        "resident_mb": taken["resident_mb"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=256, help="of each stream")
    parser.add_argument("--vocab-size", type=int, default=151_669)
    parser.add_argument("--rows", choices=("peaked", "flat"), default="peaked")
    parser.add_argument("--model-ms", type=float, default=0.0, help="what the model takes")
    found = measure(parser.parse_args())
    for name in ("served", "overload"):
        print(name)
        for key, value in found[name].items():
            print(f"  {key:26}{value:>12,.1f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
