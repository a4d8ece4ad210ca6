"""What a mask costs, and the first one after a schema, beside other libraries.

    python benchmarks/bench_grammar.py                      every state and case, some minutes
    python benchmarks/bench_grammar.py --tokenizer FILE     with the vocabulary of a tokenizer.json
    pytest benchmarks/bench_grammar.py --benchmark-only     the same calls under pytest-benchmark

The script is the measurement: contenders take turns in one process pinned to one core, CPU time.
Each is checked before it is timed: it must take the texts of a case token by token and refuse the
others. "first" is the first time after a compile that a mask is asked for, "again" is later with
the same compiled grammar; along texts both are the mean of fill + accept for a token. The last line
is one JSON document; with --output it is a file there.

Without --tokenizer the vocabulary is that of the embedded model, which is small: for figures that
mean something take that of a large model.

Peers: llguidance, xgrammar and outlines-core take part where they are installed.
"""

import argparse
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
    os.environ.setdefault(threads, "false" if threads.startswith("TOKENIZERS") else "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tokenizers import Tokenizer  # noqa: E402

from benchmarks import grammar_report as report  # noqa: E402
from benchmarks.grammar_cases import CASES, STATES  # noqa: E402
from benchmarks.grammar_contenders import HOMES, Contender, find  # noqa: E402
from benchmarks.grammar_timing import (  # noqa: E402
    Course,
    compile_and_fill,
    entrants,
    fill_time,
    measure_case,
    measure_state,
    token_times,
)
from sampler import Vocabulary  # noqa: E402

ROUNDS = 15
EMBEDDED = Path(__file__).resolve().parents[1] / "sampler" / "models" / "demo" / "tokenizer.json"


def run(options: argparse.Namespace) -> tuple[report.Record, bool]:
    """The document of a whole run, printed as it grows; and whether this library was right."""
    contenders, course, missing, vocab_size = prepared(options.contenders, options.tokenizer)
    names = report.names_of(contenders)
    print(f"vocabulary of {vocab_size:,} tokens; sampler in us, others as multiples of it")
    results: list[report.Record] = []
    failures: list[str] = []
    for kind, chosen in (("state", options.states), ("texts", options.cases)):
        print(f"\n{report.heading(names, kind)}")
        for name in chosen:
            found = measured(kind, name, contenders, course, options.rounds, failures)
            if found:
                print(report.line(found, names), flush=True)
            results += found
    skipped = [f"{name}: {reason}" for name, reason in missing.items()]
    failures = list(dict.fromkeys(failures))
    for title, lines in (("Skipped", skipped), ("Refused or wrong, not timed", failures)):
        if lines:
            print(f"\n{title}:", *lines, sep="\n  ")
    right = not any(failure.startswith("sampler,") for failure in failures)
    return report.document(results, skipped + failures, vocab_size), right


def measured(
    kind: str,
    name: str,
    contenders: list[Contender],
    course: Course,
    rounds: int,
    failures: list[str],
) -> list[report.Record]:
    """The records of one state or case."""
    if kind == "state":
        state = STATES[name]
        entered = list(entrants(contenders, state.case, course, failures))
        measure_state(entered, state, course, rounds)
        title = state.title
    else:
        entered = list(entrants(contenders, CASES[name], course, failures))
        measure_case(entered, CASES[name], course, rounds)
        title = CASES[name].title
    return [report.record(title, kind, figures) for figures in entered]


def prepared(names: list[str], path: Path) -> tuple[list[Contender], Course, dict[str, str], int]:
    """The contenders that are installed, how texts become tokens, who is missing, and V."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.normalizer = None  # the texts must arrive as they are written
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    kinds, missing = find(["sampler", *[name for name in names if name != "sampler"]])
    contenders = [kind(tokenizer, vocabulary) for kind in kinds]
    return contenders, Course(tokenizer, vocabulary.eos_token_ids[0]), missing, vocabulary.size


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokenizer", type=Path, default=EMBEDDED, help="a tokenizer.json")
    parser.add_argument("--states", nargs="*", choices=STATES, default=list(STATES))
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--contenders", nargs="+", choices=HOMES, default=list(HOMES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--output", type=Path, help="folder for grammar.json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    outcome, right = run(options)
    if options.output is None:
        print(json.dumps(outcome))
    else:
        options.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(outcome, indent=1) + "\n"
        (options.output / "grammar.json").write_text(text, "utf-8")
    return 0 if right else 1


@cache
def competitor(name: str) -> tuple[Contender | None, Course, str]:
    """One contender for pytest-benchmark; None, and why, where it is not installed."""
    path = Path(os.environ.get("BENCH_TOKENIZER", EMBEDDED))
    contenders, course, missing, _ = prepared([name], path)
    found = next((one for one in contenders if one.name == name), None)
    return found, course, missing.get(name, "")


def pytest_generate_tests(metafunc: Any) -> None:
    metafunc.parametrize("contender", HOMES)
    if "state" in metafunc.fixturenames:
        metafunc.parametrize("state", STATES)
    else:
        metafunc.parametrize("case", CASES)


def entered_or_skipped(contender: str, case: str) -> tuple[Contender, Course]:
    import pytest

    found, course, reason = competitor(contender)
    failures = [f"{contender}: {reason}"] * (found is None)
    if found is None or not list(entrants([found], CASES[case], course, failures)):
        pytest.skip(failures[0])
    return found, course


def test_mask_in_a_state(benchmark: Any, contender: str, state: str) -> None:
    chosen = STATES[state]
    case = next(name for name, one in CASES.items() if one is chosen.case)
    found, course = entered_or_skipped(contender, case)
    grammar = found.compile(chosen.case.source)
    matcher = found.matcher(grammar)
    fill_time(found, grammar, course.ids(chosen.prefix), 0.0)
    for token_id in course.ids(chosen.prefix):
        found.fill(matcher)
        found.accept(matcher, token_id)
    benchmark.group = f"mask: {chosen.title}"
    benchmark(found.fill, matcher)


def test_texts(benchmark: Any, contender: str, case: str) -> None:
    found, course = entered_or_skipped(contender, case)
    grammar = found.compile(CASES[case].source)
    texts = [course.ids(text) for text in CASES[case].texts]
    benchmark.group = f"texts, {sum(map(len, texts))} tokens: {CASES[case].title}"
    benchmark(lambda: [token_times(found, grammar, ids, 0.0) for ids in texts])


def test_first_mask(benchmark: Any, contender: str, case: str) -> None:
    found, _ = entered_or_skipped(contender, case)
    benchmark.group = f"first mask: {CASES[case].title}"
    benchmark.pedantic(lambda: compile_and_fill(found, CASES[case].source), rounds=5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
