"""CPU time of masks, and of the time to the first one, by contenders that take turns.

A round compiles the grammar anew for each contender, one after another, and follows the texts
twice: the first time as after any compile, then again with what the engine remembers of the
grammar. The cost of the clock is taken off every mask. Who compiles slowly sits out most rounds.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer

from benchmarks.grammar_cases import Case, State
from benchmarks.grammar_contenders import Contender, Refused

SLOW_BUDGET_NS = 3_000_000_000  # of compiles of one grammar, beyond which rounds are sat out
REPEATS = 5  # of a state in a round, after the first time


class WrongAnswer(Exception):
    """A contender refuses what is valid, or takes what is not."""


@dataclass
class Figures:
    """Samples of one contender and one case or state, in microseconds.

    `first` and `again` are fill + accept of a token along the texts (of a state: fill alone), after
    a compile and later; `compiled` is the time from the schema to the first mask.
    """

    contender: Contender
    compiled: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    allowed: int = 0  # tokens, in a state


class Course:
    """The token ids of texts, in one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, eos_token_id: int) -> None:
        self.tokenizer, self.eos_token_id = tokenizer, eos_token_id

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def check(self, contender: Contender, grammar: Any, case: Case) -> None:
        """None; raises WrongAnswer."""
        for text in case.texts:
            if not self._takes(contender, grammar, text):
                raise WrongAnswer(f"refuses {text[:60]}")
        for text in case.refused_texts:
            if self._takes(contender, grammar, text):
                raise WrongAnswer(f"takes {text[:60]}")

    def _takes(self, contender: Contender, grammar: Any, text: str) -> bool:
        matcher = contender.matcher(grammar)
        for token_id in self.ids(text):
            contender.fill(matcher)
            if not contender.allows(token_id):
                return False
            if not contender.accept(matcher, token_id):
                raise WrongAnswer("refuses a token that its mask allows")
        return contender.may_end(matcher, self.eos_token_id)


def clock_cost() -> float:
    """Microseconds of an empty measurement."""
    spans = []
    for _ in range(1001):
        started = time.thread_time_ns()
        spans.append(time.thread_time_ns() - started)
    return sorted(spans)[500] / 1000


def compile_and_fill(contender: Contender, source: str) -> tuple[Any, float]:
    """A new grammar, and microseconds to its first mask."""
    started = time.process_time_ns()
    grammar = contender.compile(source)
    contender.fill(contender.matcher(grammar))
    return grammar, (time.process_time_ns() - started) / 1000


def token_times(contender: Contender, grammar: Any, ids: list[int], clock: float) -> list[float]:
    """Microseconds of fill + accept of each token of a text."""
    matcher = contender.matcher(grammar)
    taken = []
    for token_id in ids:
        started = time.thread_time_ns()
        contender.fill(matcher)
        contender.accept(matcher, token_id)
        taken.append((time.thread_time_ns() - started) / 1000 - clock)
    return taken


def fill_time(contender: Contender, grammar: Any, ids: list[int], clock: float) -> float:
    """Microseconds of the mask after a text, every mask before it being filled too."""
    matcher = contender.matcher(grammar)
    for token_id in ids:
        contender.fill(matcher)
        contender.accept(matcher, token_id)
    started = time.thread_time_ns()
    contender.fill(matcher)
    return (time.thread_time_ns() - started) / 1000 - clock


def entrants(
    contenders: list[Contender], case: Case, course: Course, failures: list[str]
) -> Iterator[Figures]:
    """Figures to fill, of those who compile a case and answer rightly; `failures` of the others."""
    for contender in contenders:
        try:
            course.check(contender, contender.compile(case.source), case)
        except (Refused, WrongAnswer) as error:
            failures.append(f"{contender.name}, {case.title}: {error}")
        else:
            yield Figures(contender)


def measure_case(entered: list[Figures], case: Case, course: Course, rounds: int) -> None:
    """None; fills the figures of everybody along the texts of a case."""
    clock, texts = clock_cost(), [course.ids(text) for text in case.texts]
    for figures in _turns(entered, rounds):
        grammar, taken = compile_and_fill(figures.contender, case.source)
        figures.compiled.append(taken)
        for kept in (figures.first, figures.again):
            for ids in texts:
                kept += token_times(figures.contender, grammar, ids, clock)


def measure_state(entered: list[Figures], state: State, course: Course, rounds: int) -> None:
    """None; fills the figures of everybody in one state."""
    clock, ids = clock_cost(), course.ids(state.prefix)
    for figures in _turns(entered, rounds):
        contender = figures.contender
        grammar, taken = compile_and_fill(contender, state.case.source)
        figures.compiled.append(taken)
        figures.first.append(fill_time(contender, grammar, ids, clock))
        figures.allowed = contender.allowed()
        figures.again += [fill_time(contender, grammar, ids, clock) for _ in range(REPEATS)]


def _turns(entered: list[Figures], rounds: int) -> Iterator[Figures]:
    """Each contender in each round, but those whose compiles have used up their budget."""
    for _ in range(rounds):
        for figures in entered:
            if sum(figures.compiled) * 1000 < SLOW_BUDGET_NS:
                yield figures
