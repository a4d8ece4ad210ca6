"""Figures of a run as records, as tables, and with the facts of the machine as one document."""

import statistics
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.grammar_contenders import Contender
from benchmarks.grammar_timing import Figures
from benchmarks.sampling_report import machine, multiple

Record = dict[str, Any]
PACKAGES = ("numpy", "numba", "tokenizers", "llguidance", "xgrammar", "outlines-core", "torch")


def record(title: str, kind: str, figures: Figures) -> Record:
    """The figures of one contender; `kind` is "state" or "texts"."""
    return {
        "kind": kind,
        "title": title,
        "contender": figures.contender.name,
        "allowed": figures.allowed,
        "first_mask_us": statistics.median(figures.compiled),
        "first_us": _typical(kind, figures.first),
        "first_minimum_us": min(figures.first),
        "first_maximum_us": max(figures.first),
        "again_us": _typical(kind, figures.again),
        "again_minimum_us": min(figures.again),
        "again_maximum_us": max(figures.again),
        "compiles": len(figures.compiled),
        "masks": len(figures.first) + len(figures.again),
    }


def _typical(kind: str, samples: list[float]) -> float:
    """The median in one state; the mean along texts, whose masks are not alike."""
    return statistics.median(samples) if kind == "state" else statistics.fmean(samples)


def heading(names: list[str], kind: str) -> str:
    """The first line of a table."""
    columns = ("tokens", "first", "again") if kind == "state" else ("schema", "first", "again")
    ours = "".join(f"{column:>10}" for column in columns)
    return f"{'':<34}{ours}" + "".join(f"{name:>26}" for name in names if name != "sampler")


def line(found: list[Record], names: list[str]) -> str:
    """One state or case: this library in us, the others as multiples of it."""
    by_name = {one["contender"]: one for one in found}
    ours = by_name.get("sampler")
    lead = "allowed" if found[0]["kind"] == "state" else "first_mask_us"
    text = f"{found[0]['title']:<34}"
    if ours:
        text += f"{ours[lead]:>10,.0f}{ours['first_us']:>10,.1f}{ours['again_us']:>10,.1f}"
    else:
        text += f"{'-':>10}" * 3
    return text + "".join(f"{_peer(by_name.get(n), ours, lead):>26}" for n in names[1:])


def _peer(theirs: Record | None, ours: Record | None, lead: str) -> str:
    """Multiples of this library's times; microseconds where it has none."""
    if theirs is None:
        return "-"
    keys = ["first_us", "again_us"]
    if lead != "allowed":
        keys.insert(0, lead)
    if ours is None:
        return " ".join(f"{theirs[key]:,.1f}" for key in keys) + " us"
    return " ".join(multiple(theirs[key] / max(ours[key], 0.01)) for key in keys)


def document(results: list[Record], skipped: list[str], vocab_size: int) -> Record:
    facts = machine()
    for package in PACKAGES:
        try:
            facts["versions"][package] = version(package)
        except PackageNotFoundError:
            facts["versions"][package] = None
    return {"machine": facts, "vocab_size": vocab_size, "skipped": skipped, "results": results}


def names_of(contenders: list[Contender]) -> list[str]:
    return [contender.name for contender in contenders]
