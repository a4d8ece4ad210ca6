"""What work on grammars may take, and that it gives way to other threads."""

import sys
import threading
import types

import pytest

from sampler.errors import GrammarLimitError, IncompleteGenerationError
from sampler.grammar import budget
from sampler.grammar.budget import Budget, check_time, spend

PLENTY = 1 << 30


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    clock = types.SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(budget, "time", clock)
    return clock


def test_time_is_counted_from_the_making_and_only_while_the_budget_is_open(clock):
    short = Budget(5.0, PLENTY)
    clock.now += 4.9
    with short:
        check_time()
        clock.now += 0.2
        with pytest.raises(GrammarLimitError, match="seconds of the grammar compile") as caught:
            check_time()
    assert (caught.value.given, caught.value.limit) == ("> 5.0", 5.0)
    check_time()
    spend(PLENTY)


def test_memory_is_counted_by_the_pieces_that_are_made():
    with Budget(60.0, 100 * 512):
        for _ in range(60):
            spend()
        with pytest.raises(GrammarLimitError, match="bytes of the grammar compile") as caught:
            spend(60)
    assert caught.value.given == 120 * 512


def test_work_that_nobody_waits_for_ends_a_millisecond_later(clock):
    wanted = [True]
    with Budget(60.0, PLENTY, lambda: not wanted):
        check_time()
        wanted.clear()
        clock.now += 0.0011
        with pytest.raises(IncompleteGenerationError):
            spend(1_000)


def test_a_budget_inside_of_another_one_counts_nothing(clock):
    with Budget(5.0, PLENTY):
        with Budget(1.0, 0):
            spend(1_000)
            clock.now += 2.0
            check_time()
        clock.now += 4.0
        with pytest.raises(GrammarLimitError):
            check_time()


def test_a_budget_is_that_of_its_thread():
    failed = []

    def work():
        try:
            spend(1_000)
        except GrammarLimitError as error:
            failed.append(error)

    with Budget(60.0, 0):
        other = threading.Thread(target=work)
        other.start()
        other.join()
        work()
    assert len(failed) == 1


def test_threads_take_turns_more_often_while_budgets_are_open():
    usual = sys.getswitchinterval()
    first, second = Budget(60.0, PLENTY), Budget(60.0, PLENTY)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with second:
            inside.set()
            leave.wait(60)

    other = threading.Thread(target=work)
    with first:
        assert sys.getswitchinterval() < 0.001
        other.start()
        inside.wait(60)
    assert sys.getswitchinterval() < 0.001
    leave.set()
    other.join()
    assert sys.getswitchinterval() == usual


def test_an_interval_that_somebody_else_sets_meanwhile_stays():
    usual = sys.getswitchinterval()
    try:
        with Budget(60.0, PLENTY):
            sys.setswitchinterval(0.02)
        assert sys.getswitchinterval() == 0.02
    finally:
        sys.setswitchinterval(usual)
