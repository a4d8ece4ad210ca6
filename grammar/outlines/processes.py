"""Regular expression -> automaton over bytes, by outlines-core in a process of its own.

A native compile cannot be interrupted and may take any amount of memory, so it runs in a worker
process that is killed at the limit, or when nobody waits any more; a later compile starts a fresh
one. The worker is this
interpreter started as a script (`worker.py`): unlike `multiprocessing` that needs no
``__main__`` guard of the caller and is safe with threads. It ends when its standard input does,
that is with this process at the latest.
"""

import os
import pickle
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from sampler.errors import GrammarError, GrammarLimitError, IncompleteGenerationError
from sampler.forking import call_in_children
from sampler.grammar.cache import POLL_SECONDS, check_wanted, never
from sampler.grammar.outlines.automaton import ByteAutomaton
from sampler.limits import Limits

BOUNDARY = "\x00"  # never part of a text: see worker.py
MAX_NESTING = 240  # of groups; outlines-core refuses more than 250 without saying so


class Processes:
    """Compiles patterns, each in a worker process of its own; thread-safe.

    Workers are started when needed, up to `grammar_compile_workers`; further patterns wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._closed = False
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """Without workers: at first, and in a forked process, which has none of its own."""
        self._changed = threading.Condition()  # guards what follows, and `_closed`
        self._idle: list[_Worker] = []
        # weak, so that the worker of a thread that was interrupted anywhere takes no place for ever
        self._busy: weakref.WeakSet[_Worker] = weakref.WeakSet()

    def compile(self, pattern: str, cancelled: Callable[[], bool] = never) -> ByteAutomaton:
        """The automaton of the texts that `pattern` (Rust syntax) matches as a whole.

        Parameters
        ----------
        pattern : the regular expression
        cancelled : asked from time to time; when it says True, the compile is ended

        Raises
        ------
        GrammarError : a pattern that matches nothing or that outlines-core refuses; a lost worker
        GrammarLimitError : more time or memory than the limits allow
        IncompleteGenerationError : cancelled, or the backend was closed
        """
        nesting = _nesting(pattern)
        if nesting > MAX_NESTING:
            raise GrammarLimitError("nesting of the regular expression", nesting, MAX_NESTING)
        answer = self._ask(pattern, cancelled)
        if answer.get("out_of_memory"):
            raise _too_much_memory(self._limits)
        if "error" in answer:
            raise GrammarError(f"outlines-core cannot compile it: {answer['error']}")
        edges = np.frombuffer(answer["edges"], dtype=np.int64).reshape(-1, 3)
        accepting = np.zeros(answer["states"], dtype=np.bool_)
        accepting[np.frombuffer(answer["accepting"], dtype=np.int64)] = True
        automaton = ByteAutomaton.from_edges(edges, accepting, initial=0)
        if automaton is None:
            raise GrammarError("no text matches")
        return automaton

    def close(self) -> None:
        """None; ends the worker processes at once, and with them the compiles that wait."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            self._changed.notify_all()
        for worker in busy:
            worker.interrupt()  # its thread still reads from it, and clears up
        for worker in idle:
            worker.kill()

    def _ask(self, pattern: str, cancelled: Callable[[], bool]) -> dict[str, Any]:
        request = pickle.dumps((pattern, BOUNDARY))
        worker = self._take(cancelled)
        try:
            answer = worker.ask(request, cancelled)
        except BaseException as error:
            # also after KeyboardInterrupt: an answer that nobody read must not reach the next
            self._drop(worker)
            if self._closed and isinstance(error, GrammarError):
                raise IncompleteGenerationError("the grammar compiler is closed") from error
            raise
        self._give_back(worker)
        return answer

    def _take(self, cancelled: Callable[[], bool]) -> "_Worker":
        """A worker that is busy from now on, as soon as there is one."""
        with self._changed:
            while True:
                if self._closed:
                    raise IncompleteGenerationError("the grammar compiler is closed")
                check_wanted(cancelled)
                self._idle = [worker for worker in self._idle if worker.is_usable()]
                if self._idle or len(self._busy) < self._limits.grammar_compile_workers:
                    worker = self._idle.pop() if self._idle else _Worker(self._limits)
                    self._busy.add(worker)
                    return worker
                self._changed.wait(POLL_SECONDS)

    def _give_back(self, worker: "_Worker") -> None:
        with self._changed:
            if not self._closed:
                self._busy.discard(worker)
                self._idle.append(worker)
                self._changed.notify()
                return
        self._drop(worker)

    def _drop(self, worker: "_Worker") -> None:
        worker.kill()
        with self._changed:
            self._busy.discard(worker)
            self._changed.notify()


class _Worker:
    """One child process and the pipes to it. It is killed when nobody holds this object."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        script = Path(__file__).with_name("worker.py")
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        try:
            self._process = subprocess.Popen(
                [sys.executable or "", "-P", str(script), str(int(limits.grammar_compile_bytes))],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": path, "RUST_BACKTRACE": "0"},
            )
        except OSError as error:
            self._errors.close()
            raise GrammarError(f"the grammar compiler did not start: {error}") from error
        self.kill = weakref.finalize(self, _end, self._process, self._errors, os.getpid())

    def is_usable(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Kills the process, also while another thread waits for its answer."""
        self._process.kill()

    def ask(self, request: bytes, cancelled: Callable[[], bool]) -> dict[str, Any]:
        """The worker's answer to `request`, within the limit of time."""
        deadline = time.monotonic() + self._limits.grammar_compile_seconds

        def wait(descriptor: int, event: int) -> None:
            poll = select.poll()
            poll.register(descriptor, event)
            while not poll.poll(POLL_SECONDS * 1000):
                check_wanted(cancelled)
                if time.monotonic() > deadline:
                    limit = self._limits.grammar_compile_seconds
                    raise GrammarLimitError("seconds of the grammar compile", f"> {limit}", limit)

        try:
            self._write(struct.pack("<Q", len(request)) + request, wait)
            (length,) = struct.unpack("<Q", self._read(8, wait))
            answer: dict[str, Any] = pickle.loads(self._read(length, wait))
        except (BrokenPipeError, EOFError) as error:
            raise self._failure() from error
        return answer

    def _write(self, content: bytes, wait: Callable[[int, int], None]) -> None:
        descriptor = self._process.stdin.fileno()  # type: ignore[union-attr]
        left = memoryview(content)
        while left:
            wait(descriptor, select.POLLOUT)
            left = left[os.write(descriptor, left[: select.PIPE_BUF]) :]

    def _read(self, count: int, wait: Callable[[int, int], None]) -> bytes:
        descriptor = self._process.stdout.fileno()  # type: ignore[union-attr]
        content = bytearray()
        while len(content) < count:
            wait(descriptor, select.POLLIN)
            chunk = os.read(descriptor, min(count - len(content), 1 << 20))
            if not chunk:
                raise EOFError
            content += chunk
        return bytes(content)

    def _failure(self) -> GrammarError:
        """Why the worker is gone: out of memory, which Rust reports by aborting, or a crash."""
        code = self._process.wait()
        self._errors.seek(0)
        report = self._errors.read().decode(errors="replace").strip()
        if "memory allocation" in report or "MemoryError" in report:
            return _too_much_memory(self._limits)
        last = "".join(f": {line}" for line in report.splitlines()[-1:])
        return GrammarError(f"the grammar compiler ended with code {code}{last}")


def _end(process: subprocess.Popen[bytes], errors: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # a forked process must not end the worker of the first one
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, errors):
        if stream is not None:
            stream.close()


def _too_much_memory(limits: Limits) -> GrammarLimitError:
    limit = limits.grammar_compile_bytes
    return GrammarLimitError("memory of the grammar compile in bytes", f"> {limit}", limit)


def _nesting(pattern: str) -> int:
    """The deepest nesting of groups; escaped brackets and those of classes do not count."""
    depth = deepest = 0
    escaped = in_class = False
    for character in pattern:
        if escaped or character == "\\":
            escaped = not escaped
        elif in_class or character == "[":
            in_class = character != "]"
        elif character == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif character == ")":
            depth -= 1
    return deepest
