"""Compiles that run away, workers that are lost, and threads."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sampler.errors import GrammarError, GrammarLimitError, IncompleteGenerationError
from sampler.grammar.outlines.processes import Processes
from sampler.limits import Limits

pytest.importorskip("outlines_core", reason="outlines-core, an extra, is not installed")

RUNAWAY = "(?:a|b)*a(?:a|b){26}"  # 2 to the power of 26 states


@pytest.fixture
def make_backend():
    backends = []

    def make(**limits):
        backends.append(Processes(Limits(**limits)))
        return backends[-1]

    yield make
    for backend in backends:
        backend.close()


def process_of(backend):
    (worker,) = {*backend._idle, *backend._busy}
    return worker._process


def wait_until(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def accepts(automaton, text):
    state = automaton.advance(automaton.initial, text)
    return state >= 0 and bool(automaton.accepting[state])


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a|ab|abc", [b"a", b"ab", b"abc"], [b"", b"b", b"abcd"]),
        ("", [b""], [b"a"]),
        ("(?:a|b)*?c", [b"c", b"abc"], [b"ab"]),
        (
            "[\\x{1}-\\x{10ffff}]",
            [b"\x01", "é😀".encode()[2:], b"\x7f"],
            [b"\x00", b"\xff", b"\xc3"],
        ),
        # 2 to the power of 50 states if a match could begin at each inner quotation mark
        (
            '"(?:[^"\\\\\\x{0}]|\\\\"){0,50}"',
            [b'"' + b'\\"' * 50 + b'"'],
            [b'"' + b"x" * 51 + b'"'],
        ),
    ],
)
def test_automata_accept_whole_texts(pattern, yes, no, make_backend):
    automaton = make_backend().compile(pattern)
    assert [text for text in yes if not accepts(automaton, text)] == []
    assert [text for text in no if accepts(automaton, text)] == []


def test_the_limit_of_time_ends_the_worker_and_the_next_compile_starts_another(make_backend):
    backend = make_backend(grammar_compile_seconds=0.5)
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile") as refusal:
        backend.compile(RUNAWAY)
    assert refusal.value.limit == 0.5
    assert not backend._idle and not backend._busy
    assert accepts(backend.compile("ab"), b"ab")


def test_the_limit_of_memory_is_an_error_of_its_own(make_backend):
    backend = make_backend(grammar_compile_bytes=150 << 20)
    with pytest.raises(GrammarLimitError, match="memory of the grammar compile") as refusal:
        backend.compile(RUNAWAY)
    assert refusal.value.limit == 150 << 20
    assert accepts(backend.compile("ab"), b"ab")


def test_a_worker_is_reused_while_it_lives(make_backend):
    backend = make_backend()
    backend.compile("ab")
    first = process_of(backend).pid
    backend.compile("abc")
    assert process_of(backend).pid == first


def test_a_worker_that_died_between_compiles_is_replaced(make_backend):
    backend = make_backend()
    backend.compile("ab")
    process_of(backend).kill()
    process_of(backend).wait()
    assert accepts(backend.compile("abc"), b"abc")


def test_a_worker_that_is_lost_during_a_compile_is_an_error_and_replaced(make_backend):
    backend = make_backend()
    backend.compile("ab")
    killer = threading.Timer(0.3, process_of(backend).send_signal, [signal.SIGSEGV])
    killer.start()
    with pytest.raises(GrammarError, match="ended with code -11") as error:
        backend.compile(RUNAWAY)
    killer.join()
    assert not isinstance(error.value, GrammarLimitError)
    assert accepts(backend.compile("abc"), b"abc")


def test_a_stopped_worker_does_not_hang_the_caller(make_backend):
    backend = make_backend(grammar_compile_seconds=0.5)
    backend.compile("ab")
    process_of(backend).send_signal(signal.SIGSTOP)
    with pytest.raises(GrammarLimitError, match="seconds"):
        backend.compile("abc" * 50_000)  # more than a pipe holds
    assert accepts(backend.compile("abc"), b"abc")


def test_close_ends_the_worker_and_a_forgotten_backend_too(make_backend):
    backend = make_backend()
    backend.compile("ab")
    process = process_of(backend)
    backend.close()
    assert process.poll() is not None
    with pytest.raises(IncompleteGenerationError, match="the grammar compiler is closed"):
        backend.compile("ab")
    forgotten = Processes(Limits())
    forgotten.compile("ab")
    process = process_of(forgotten)
    del forgotten
    assert process.poll() is not None


def test_the_worker_ends_with_its_parent(tmp_path):
    """A script without a ``__main__`` guard, which ends without closing anything."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os\n"
        "from sampler.grammar.outlines.processes import Processes\n"
        "from sampler.limits import Limits\n"
        "backend = Processes(Limits())\n"
        "backend.compile('ab')\n"
        "print(backend._idle[0]._process.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    worker = int(done.stdout)
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlived its parent")


def test_a_slow_compile_holds_up_no_other_and_ends_when_it_is_cancelled(make_backend):
    backend, cancelled, failures = make_backend(), threading.Event(), []

    def compile_slowly():
        try:
            backend.compile(RUNAWAY, cancelled.is_set)
        except IncompleteGenerationError as error:
            failures.append(str(error))

    slow = threading.Thread(target=compile_slowly)
    slow.start()
    wait_until(lambda: len(backend._busy) == 1)
    (worker,) = backend._busy
    for text in ("ab", "cd"):
        assert accepts(backend.compile(text), text.encode())
    assert (list(backend._busy), len(backend._idle)) == ([worker], 1)
    cancelled.set()
    slow.join(60)
    assert failures == ["the request was cancelled"]
    assert worker._process.poll() is not None
    assert not backend._busy


def test_a_compile_that_is_cancelled_before_its_turn_starts_no_worker(make_backend):
    backend, failures = make_backend(grammar_compile_workers=1), []

    def compile_slowly(cancelled):
        with pytest.raises(IncompleteGenerationError) as failure:
            backend.compile(RUNAWAY, cancelled)
        failures.append(failure.value)

    first, second = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=compile_slowly, args=(event.is_set,)) for event in (first, second)
    ]
    threads[0].start()
    wait_until(lambda: len(backend._busy) == 1)
    (worker,) = backend._busy
    threads[1].start()
    second.set()
    threads[1].join(60)
    assert list(backend._busy) == [worker] and not backend._idle
    assert worker._process.poll() is None
    first.set()
    threads[0].join(60)
    assert len(failures) == 2
    assert accepts(backend.compile("ab"), b"ab")
    with pytest.raises(IncompleteGenerationError):
        backend.compile("ab", lambda: True)


def test_no_more_workers_than_the_limit_are_started(make_backend):
    backend = make_backend(grammar_compile_workers=3)
    threads = [threading.Thread(target=backend.compile, args=(f"a{{{n}}}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(backend._idle) <= 3
    assert not backend._busy


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_workers_of_its_own(make_backend):
    backend, cancelled = make_backend(grammar_compile_workers=2), threading.Event()
    backend.compile("ab")

    def compile_slowly():
        with pytest.raises(IncompleteGenerationError):
            backend.compile(RUNAWAY, cancelled.is_set)

    slow = threading.Thread(target=compile_slowly)
    slow.start()
    wait_until(lambda: len(backend._busy) == 1)
    (worker,) = backend._busy
    child = os.fork()
    if child == 0:
        try:
            good = all(accepts(backend.compile(text), text.encode()) for text in ("a", "b"))
            backend.close()
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert worker._process.poll() is None
    cancelled.set()
    slow.join(60)


def test_threads_take_turns(make_backend):
    backend, results = make_backend(), {}

    def compile_one(number):
        automaton = backend.compile(f"a{{{number}}}")
        results[number] = [n for n in range(30) if accepts(automaton, b"a" * n)]

    threads = [threading.Thread(target=compile_one, args=(number,)) for number in range(1, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number] for number in range(1, 20)}


def test_what_the_library_cannot_nest_is_a_limit(make_backend):
    backend = make_backend()
    with pytest.raises(GrammarLimitError, match="nesting of the regular expression"):
        backend.compile("(" * 300 + ")" * 300)
    assert accepts(backend.compile("(" * 240 + "[(]\\(" + ")" * 240), b"((")


def test_a_pattern_that_matches_nothing_is_an_error(make_backend):
    with pytest.raises(GrammarError):
        make_backend().compile("a[^\\x{0}-\\x{10ffff}]")
