"""Figures of a run as records, as tables, and with the facts of the machine as one document.

Ratios are multiples of np.max over the same rows in the same run, minimum by minimum; the median is
of the quotients of each round.
"""

import os
import platform
import statistics
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.sampling_rows import Problem
from benchmarks.sampling_timing import Turns

PACKAGES = ("numpy", "numba", "torch", "transformers", "llama-cpp-python", "token-sampler")
Record = dict[str, Any]


def records(problem: Problem, turns: list[Turns], kept: dict[str, str]) -> list[Record]:
    """One record for each contender, of whom the yardstick is the first; times are per row."""
    yardstick = _per_row(turns[0], problem.batch_size)
    found = []
    for turn in turns:
        times = _per_row(turn, problem.batch_size)
        quotients = [taken / yardstick[number] for number, taken in times.items()]
        found.append(
            {
                "chain": problem.chain.title,
                "rows": problem.shape,
                "vocab_size": problem.vocab_size,
                "batch_size": problem.batch_size,
                "contender": turn.contender.name,
                "minimum_us": min(times.values()),
                "median_us": statistics.median(times.values()),
                "ratio": min(times.values()) / min(yardstick.values()),
                "median_ratio": statistics.median(quotients),
                "samples": len(times),
                "calls_per_sample": turn.calls,
                "kept": kept.get(turn.contender.name, ""),
            }
        )
    return found


def _per_row(turn: Turns, batch_size: int) -> dict[int, float]:
    """Microseconds per row of each sample, by its round."""
    rows = turn.calls * batch_size
    return {number: taken / rows / 1000 for number, taken in turn.samples.items()}


def multiple(ratio: float) -> str:
    """A ratio as text of three digits or more."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:#.3g}x"


def heading(names: list[str]) -> str:
    """The first line of each table."""
    columns = "".join(f"{name:>15}" for name in names[1:])
    return f"{'':<42}{'np.max us':>10}{'sampler us':>12}{'median':>9}{columns}"


def line(found: list[Record], names: list[str]) -> str:
    """One chain: np.max and this library in us per row, then everybody as multiples of np.max."""
    by_name = {record["contender"]: record for record in found}
    ours = by_name.get("sampler")
    times = f"{ours['minimum_us']:>12.2f}{ours['median_us']:>9.2f}" if ours else " " * 21
    ratios = [by_name[name]["ratio"] if name in by_name else None for name in names[1:]]
    columns = "".join(f"{'-' if ratio is None else multiple(ratio):>15}" for ratio in ratios)
    return f"{found[0]['chain']:<42}{by_name['np.max']['minimum_us']:>10.2f}{times}{columns}"


def inexact(results: list[Record]) -> Iterator[str]:
    """Who keeps other ids than the definition, and how many in the rows that were checked."""
    differing = [record for record in results if record["kept"] not in ("", "exact")]
    for record in differing:
        place = f"V = {record['vocab_size']:,}, B = {record['batch_size']}, {record['rows']}"
        yield f"{record['contender']}, {record['chain']} ({place}): {record['kept']}"


def machine() -> Record:
    """What the figures depend on: processor, interpreter, versions, load."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "pinned_to": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def document(results: list[Record], skipped: list[str]) -> Record:
    return {"machine": machine(), "skipped": skipped, "results": results}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    fields = dict(entry.partition("\t")[::2] for entry in text.partition("\n\n")[0].split("\n"))
    names = {key.strip(): value.strip(": \t") for key, value in fields.items()}
    vector = [flag for flag in ("avx2", "avx512f") if flag in names.get("flags", "").split()]
    return f"{names.get('model name', platform.processor())} ({', '.join(vector) or 'no AVX2'})"
