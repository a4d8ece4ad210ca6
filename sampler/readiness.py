"""Which kernels are ready, and how the others become so while NumPy answers for them.

A kernel is loaded where the cache has it: a few hundredths of a second. Else it must be compiled,
for half a minute. A thread is not the place for that: meanwhile Numba would let no other kernel of
this process be compiled or loaded, the interpreter could not end in peace, and a forked child would
find Numba's lock held for ever. So another process compiles the kernel into the cache, one kernel
at a time, and ends with this one. Where no process can be started, or it fails, the kernel is
compiled here, when it is first called.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from sampler.kernels._jit import CACHE_FOLDER
from sampler.kernels.few import sample_few
from sampler.kernels.sampling import sample_plain
from sampler.kernels.wide import sample_wide
from sampler.numpy_sampling import sample_rows
from sampler.slots import Slots

Kernel = Callable[..., int]  # see `kernels.rows`

KERNELS: dict[str, Any] = {
    "sample_plain": sample_plain,
    "sample_few": sample_few,
    "sample_wide": sample_wide,
}

# Without compilation kernels are plain functions, and always ready
_ready = {kernel for kernel in KERNELS.values() if not hasattr(kernel, "signatures")}


def answering(kernel: Kernel) -> Kernel:
    """`kernel` where it is ready; until then `sample_rows`, which does the same in NumPy."""
    return kernel if kernel in _ready or _compiler.is_ready(kernel) else sample_rows


def make_ready(name: str) -> None:
    """Nothing; afterwards the kernel of this name is loaded, or compiled."""
    kernel = KERNELS[name]
    while kernel not in _ready and not _compiler.is_ready(kernel):
        _compiler.wait()
    if hasattr(kernel, "compile"):
        kernel.compile(signature())  # at once, where it could not be compiled elsewhere


@cache
def signature() -> tuple[Any, ...]:
    """The Numba types of what `BatchSampler` gives every kernel."""
    logits, bitmask, pairs = np.empty((1, 1), np.float32), np.empty((1, 1), np.int32), [[0], [0]]
    out = np.empty(1, np.int64), np.empty(1, np.float32), np.empty(1, np.float32)
    top = np.empty((1, 0), np.int64), np.empty((1, 0), np.float32)
    given = (logits, bitmask, False, np.array(pairs, np.int64), *Slots(1, 1).arrays, *out, *top)
    return tuple(numba.typeof(argument) for argument in given)  # type: ignore[no-untyped-call]


def _load(kernel: Any) -> bool:
    """Whether `kernel` is compiled, here or in the cache; it is then loaded.

    The first half of Numba's `compile`, whose second half compiles what is not in the cache.
    """
    with global_compiler_lock:
        if kernel.signatures:
            return True
        context = kernel.targetctx
        found = kernel._cache.load_overload(signature(), context)
        if found is None:
            return False
        context.insert_user_function(found.entry_point, found.fndesc, [found.library])
        kernel.add_overload(found)
    return True


class _Compiler:
    """The process that compiles for this one, if there is one."""

    def __init__(self) -> None:
        self._begin_anew()
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):  # there is no fork on Windows
            os.register_at_fork(after_in_child=self._begin_in_child)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._tried: set[Kernel] = set()

    def _begin_in_child(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()  # it is to end with the first process
            process.returncode = 0  # nobody waits for another's child
        self._begin_anew()

    def is_ready(self, kernel: Kernel) -> bool:
        """Whether `kernel` is to be called now; if not, it is compiled elsewhere, or will be."""
        with self._lock:
            if not _load(kernel) and self._is_elsewhere(kernel):
                return False
            _ready.add(kernel)
            return True

    def _is_elsewhere(self, kernel: Kernel) -> bool:
        """Whether a process compiles; one for `kernel` is started if there is none."""
        if self._process is not None and self._process.poll() is None:
            return True
        if kernel in self._tried or CACHE_FOLDER is None or getattr(sys, "frozen", False):
            return False
        self._tried.add(kernel)
        self._end()
        self._process = _start(kernel.__name__)
        return self._process is not None

    def wait(self) -> None:
        """Nothing, once the process that compiles has ended."""
        process = self._process
        if process is not None:
            process.wait()

    def _end(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.kill()
            process.wait()
            process.stdin.close()


_compiler = _Compiler()


def _start(name: str) -> subprocess.Popen[bytes] | None:
    """A process that compiles one kernel into the cache of this one, which ends when this one does.

    None where processes cannot be started.
    """
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    folder = str(CACHE_FOLDER.parent.parent) if CACHE_FOLDER else ""
    try:
        return subprocess.Popen(
            [sys.executable or "", "-P", "-m", "sampler.readiness", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": folder},
        )
    except OSError:
        return None


def _main(name: str) -> None:
    """Compiles one kernel into the cache; ends at once when standard input does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    with _alone():
        KERNELS[name].compile(signature())
    os._exit(0)  # the thread may be inside `read`, which the interpreter would wait for


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keeps processes that were started together from compiling the same, where files have locks.

    The first one compiles; the others then find the kernel in the cache.
    """
    try:
        import fcntl

        file = open(f"{CACHE_FOLDER}/compiling", "wb")  # noqa: SIM115 (as long as the process)
        fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass
    yield


if __name__ == "__main__":
    _main(sys.argv[1])
