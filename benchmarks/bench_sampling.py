"""What one token costs, as multiples of np.max over the same rows, beside other libraries.

    python benchmarks/bench_sampling.py                     one size, every chain, a minute or two
    python benchmarks/bench_sampling.py --all --output DIR  every size and batch, under an hour
    pytest benchmarks/bench_sampling.py --benchmark-only    the same calls under pytest-benchmark

The script is the measurement: contenders take turns in one process pinned to one core, CPU time,
minimum and median over the rounds, each checked against the definition before it is timed. np.max
is the yardstick because it is near the time that memory needs to deliver the row, which no sampler
that reads every logit can beat; absolute times do not travel between machines. At B = 1 everybody
rotates through 8 rows, at B = 64 the rows come from DRAM. The last line is one JSON document; with
--output it is a file there, beside a picture. pytest-benchmark measures one after another, in wall
time; use it to compare two versions of this library with `--benchmark-compare`.

Peers: PyTorch, transformers and llama-cpp-python take part where they are installed.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

# the root, and the definition that everybody is checked against
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import sampling_report as report
from benchmarks.sampling_checks import WrongAnswer, check
from benchmarks.sampling_contenders import HOMES, Contender, find
from benchmarks.sampling_rows import CHAINS, SHAPES, Problem, problems
from benchmarks.sampling_timing import measure
from sampler import warmup

VOCAB_SIZES = (32_000, 128_256, 151_936, 256_000)
BATCH_SIZES = (1, 8, 64)
ROUNDS = 31


def compete(
    problem: Problem, kinds: list[type[Contender]], rounds: int
) -> tuple[list[report.Record], list[str]]:
    """The records of one problem, and who answered wrongly and was not timed."""
    contenders, kept, wrong = [], {}, []
    for kind in kinds:
        if kind.refuses(problem.chain) is None:
            contender = kind(problem)
            try:
                kept[kind.name] = check(contender, problem)
                contenders.append(contender)
            except WrongAnswer as error:
                wrong.append(f"{kind.name}, {problem.chain.title}, {problem.shape}: {error}")
    return report.records(problem, measure(contenders, rounds), kept), wrong


def run(options: argparse.Namespace) -> tuple[report.Record, bool]:
    """The document of a whole run, printed as it grows; and whether everybody was right."""
    names = ["np.max", *[name for name in options.contenders if name != "np.max"]]
    kinds, missing = find(names)
    names = [kind.name for kind in kinds]
    skipped = [f"{name}: {reason}" for name, reason in missing.items()]
    warmup()
    results: list[report.Record] = []
    mistakes, title = [], ""
    for problem in problems(options.chains, options.vocab_sizes, options.batch_sizes, options.rows):
        size = f"V = {problem.vocab_size:,}, B = {problem.batch_size}, {problem.shape} rows"
        if size != title:
            title = size
            print(f"\n{size}; time per row, multiples of np.max\n{report.heading(names)}")
        found, wrong = compete(problem, kinds, options.rounds)
        print(report.line(found, names), flush=True)
        results += found
        mistakes += wrong
    for heading, lines in (
        ("Skipped", skipped),
        ("Rounding at a boundary", list(report.inexact(results))),
        ("Wrong, not timed", mistakes),
    ):
        if lines:
            print(f"\n{heading}:", *lines, sep="\n  ")
    return report.document(results, skipped + mistakes), not mistakes


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chains", nargs="+", choices=CHAINS, default=list(CHAINS))
    parser.add_argument("--contenders", nargs="+", choices=HOMES, default=list(HOMES))
    parser.add_argument("--rows", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--vocab-sizes", nargs="+", type=int, default=[128_256])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--all", action="store_true", help="every vocabulary and batch size")
    parser.add_argument("--output", type=Path, help="folder for sampling.json and sampling.png")
    options = parser.parse_args(arguments)
    if options.all:
        options.vocab_sizes, options.batch_sizes = list(VOCAB_SIZES), list(BATCH_SIZES)
    return options


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    outcome, right = run(options)
    if options.output is None:
        print(json.dumps(outcome))
        return 0 if right else 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "sampling.json").write_text(json.dumps(outcome, indent=1) + "\n", "utf-8")
    try:
        from benchmarks.sampling_plot import plot
    except ImportError as error:
        print(f"no picture: {error}")
    else:
        plot(outcome["results"], options.output / "sampling.png")
    return 0 if right else 1


def pytest_generate_tests(metafunc: Any) -> None:
    metafunc.parametrize("contender", HOMES)
    metafunc.parametrize("chain", CHAINS)
    metafunc.parametrize("shape", SHAPES)


def test_one_token(benchmark: Any, shape: str, chain: str, contender: str) -> None:
    import pytest

    kinds, missing = find([contender])
    reason = missing.get(contender) or kinds[0].refuses(CHAINS[chain])
    if reason is not None:
        pytest.skip(f"{contender}: {reason}")
    (problem,) = problems([chain], [128_256], [1], [shape])
    competitor = kinds[0](problem)
    check(competitor, problem)
    benchmark.group = f"{problem.chain.title}, {shape}, V = {problem.vocab_size:,}, 8 tokens"

    def one_pass() -> None:
        for one in competitor.inputs:
            competitor.step(one)

    benchmark.pedantic(one_pass, setup=competitor.restart, rounds=20, warmup_rounds=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
