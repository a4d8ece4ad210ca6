"""KeyboardInterrupt anywhere in a call leaves each row as it was, or as the call was to make it."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from reference.batches import DRAW, EVERYTHING, bits, noise

from sampler import BatchSampler, SamplingParameters, numpy_sampling, slots
from sampler import batch_sampler as batch_sampler_module

VOCAB_SIZE = 70
FILES = {module.__file__ for module in (batch_sampler_module, slots, numpy_sampling)}
PENALISED = SamplingParameters(temperature=1.5, repetition_penalty=1.5, seed=4)
ROWS = [EVERYTHING, DRAW, PENALISED, EVERYTHING]


def is_interrupted(call: Callable, after: int, event: str) -> bool:
    """Whether `call` ends by an interrupt after so many lines or opcodes of ours."""
    left = after

    def trace(frame, found, _):
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = event == "opcode"
        if found == event:
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return trace

    others = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(others)
    return False


def filled(steps: int) -> BatchSampler:
    """Rows that have drawn so many tokens; the last one always has an error."""
    sampler = BatchSampler(VOCAB_SIZE, len(ROWS))
    for parameters in ROWS:
        sampler.add(parameters, [2, 3, 5])
    for step in range(steps):
        sampler.sample(logits(step))
    return sampler


def logits(step: int) -> np.ndarray:
    drawn = noise(len(ROWS), VOCAB_SIZE, seed=step)
    drawn[-1, 9] = np.nan
    return drawn


def outlook(sampler: BatchSampler) -> list[tuple]:
    """What the next tokens are, of the histories and counts as they are."""
    tokens = [sampler.sample(noise(len(ROWS), VOCAB_SIZE, seed=seed)) for seed in (100, 101)]
    for handle in range(len(ROWS)):
        sampler.rollback(handle, 2)
    tokens.append(sampler.sample(noise(len(ROWS), VOCAB_SIZE, seed=102)))
    return [bits(each, row, 3) for each in tokens for row in range(len(ROWS))]


def check(call: Callable, event: str, steps: int = 2) -> None:
    before = outlook(filled(steps))
    moved = filled(steps)
    call(moved)
    after = outlook(moved)
    interrupted = filled(steps)
    count, found = 0, set()
    while is_interrupted(lambda sampler=interrupted: call(sampler), count, event):
        given = outlook(interrupted)
        assert given in (before, after), f"after {count} of {event}"
        found.add(given == after)
        interrupted = filled(steps)
        count += 1
    assert count > 10 and found == {False, True}


@pytest.mark.parametrize("steps", [0, 2], ids=["tables-move", "tables-stay"])
def test_an_interrupted_draw_moves_all_rows_or_none(steps):
    check(lambda sampler: sampler.sample(logits(steps)), "opcode", steps)


def test_an_interrupted_draw_in_numpy_moves_all_rows_or_none(monkeypatch):
    monkeypatch.setattr(
        batch_sampler_module, "answering", lambda kernel: numpy_sampling.sample_rows
    )
    check(lambda sampler: sampler.sample(logits(2)), "line")


def test_an_interrupted_push_is_done_or_not():
    check(lambda sampler: sampler.push(2, 8), "opcode")


def test_an_interrupted_rollback_is_done_or_not():
    check(lambda sampler: sampler.rollback(0, 2), "opcode")
