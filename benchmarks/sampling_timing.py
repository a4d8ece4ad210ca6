"""CPU time per row of contenders that take turns.

Each round times one sample of every contender, one after another, so that whatever else the machine
does hits all alike. A sample is as many whole passes over the sets of rows as the clock needs;
before it the contender forgets what it drew and reads its rows once, untimed. Slow contenders, to
whom the caches are no matter, skip that and sit out most rounds.
"""

import time
from dataclasses import dataclass, field

from benchmarks.sampling_contenders import Contender

SAMPLE_NS = 1_000_000  # at least; the clock itself takes some hundred ns
SLOW_BUDGET_NS = 400_000_000  # of a contender in one problem, beyond which it sits out rounds
FEWEST_ROUNDS = 3


@dataclass
class Turns:
    """One contender's part in the rounds: passes in a sample, and the samples taken (ns)."""

    contender: Contender
    passes: int
    every: int
    samples: dict[int, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Calls of `step` in one sample."""
        return self.passes * len(self.contender.inputs)


def measure(contenders: list[Contender], rounds: int) -> list[Turns]:
    """The turns of each contender, every sample by its round."""
    turns = [_calibrated(contender, rounds) for contender in contenders]
    for number in range(rounds):
        for turn in turns:
            if number % turn.every == 0:
                turn.samples[number] = _sample(turn.contender, turn.passes, turn.every == 1)
    return turns


def _calibrated(contender: Contender, rounds: int) -> Turns:
    pass_ns = _sample(contender, 1, warm=False)
    if pass_ns < 10 * SAMPLE_NS:
        pass_ns = _sample(contender, 4, warm=True) // 4 or 1
    passes = -(-SAMPLE_NS // pass_ns)
    affordable = max(FEWEST_ROUNDS, SLOW_BUDGET_NS // (passes * pass_ns))
    return Turns(contender, passes, -(-rounds // affordable))


def _sample(contender: Contender, passes: int, warm: bool) -> int:
    """CPU nanoseconds of so many passes over all inputs; `warm` reads them once before."""
    contender.restart()
    step, inputs = contender.step, contender.inputs
    for one in inputs if warm else ():
        step(one)
    started = time.process_time_ns()
    for _ in range(passes):
        for one in inputs:
            step(one)
    return time.process_time_ns() - started
