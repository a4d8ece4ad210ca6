"""What a process does whose kernels are not compiled yet, each test in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import sampler
from sampler import BatchSampler, SamplingParameters, readiness
from sampler.kernels._jit import CACHE_FOLDER

PACKAGE = Path(sampler.__file__).parent

FIRST_TOKENS = """
import json, os, sys, time
began = time.perf_counter()
import numpy as np
from sampler import BatchSampler, SamplingParameters
rows = [SamplingParameters(**values, seed=1) for values in (
    {"temperature": 0.7, "top_k": 50, "top_p": 0.95}, {}, {"temperature": 2.0}, {"top_p": 0.9},
    {"repetition_penalty": 1.1, "logprobs": "raw", "top_n_tokens": 2, "watermark": True},
)]
sampler = BatchSampler(128_256, len(rows))
for row in rows:
    sampler.add(row, [1, 2])
logits = np.random.default_rng(0).normal(size=(len(rows), 128_256)).astype(np.float32)
token_ids = sampler.sample(logits).token_ids
seconds = time.perf_counter() - began
from sampler.readiness import KERNELS, _compiler
print(json.dumps({
    "compiled": sum(len(kernel.signatures) for kernel in KERNELS.values()),
    "process": _compiler._process.pid if _compiler._process else None,
    "token_ids": token_ids.tolist(),
    "seconds": seconds,
}), flush=True)
"""

# Until the kernel answers; then the same stream again, all of it by the kernel
TAKE_OVER = """
import json, time
import numpy as np
from sampler import BatchSampler, SamplingParameters
from sampler.readiness import _compiler
from sampler.kernels.sampling import sample_plain
logits = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)

def stream():
    sampler = BatchSampler(64, 1)
    sampler.add(SamplingParameters(top_p=0.9, watermark=True, frequency_penalty=0.1, seed=1), [2])
    while True:
        yield int(sampler.sample(logits).token_ids[0])

tokens, began, answered = [], len(sample_plain.signatures), 0
process = _compiler._process
for token in stream():
    tokens.append(token)
    process = process or _compiler._process
    answered += len(sample_plain.signatures)
    if answered == 20:
        break
    time.sleep(0.0 if answered else 0.05)
again = [token for _, token in zip(tokens, stream())]
print(json.dumps({
    "same": tokens == again,
    "waited": len(tokens) > 20,
    "elsewhere": process is not None,
    "signatures": len(sample_plain.signatures),
    "compiled_here": sum(sample_plain.stats.cache_misses.values()),
}))
"""

FORKED = """
import os
process = _compiler._process.pid
pid = os.fork()
if pid == 0:
    assert len(sampler.sample(logits).errors) == 0
    assert _compiler._process is not None and _compiler._process.pid != process
    os._exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0
assert _compiler._process.poll() is None
"""

IN_PYTHON = """
from sampler.readiness import KERNELS, answering, make_ready
for name, kernel in KERNELS.items():
    make_ready(name)
    assert answering(kernel) is kernel and not hasattr(kernel, "signatures")
"""


def start(code: str, **environment: str) -> subprocess.Popen:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "COV_"))}
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-c", code],
        env={**inherited, "PYTHONPATH": str(PACKAGE.parent), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, **environment: str) -> str:
    """What a fresh Python prints that warns of nothing."""
    output, errors = (process := start(code, **environment)).communicate(timeout=600)
    assert (process.returncode, errors) == (0, "")
    return output


def is_running(pid: int) -> bool:
    """Whether the process runs; one that ended and that nobody waited for does not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def first_tokens(code: str, **environment: str) -> dict:
    return json.loads(run(FIRST_TOKENS + code, **environment))


def test_the_first_tokens_wait_for_no_kernel(tmp_path, capsys):
    cold = first_tokens("", NUMBA_CACHE_DIR=str(tmp_path))
    assert cold["compiled"] == 0
    assert cold["process"] is not None
    # where this process has its kernels from
    warm = first_tokens("", NUMBA_CACHE_DIR=str(CACHE_FOLDER.parent.parent))
    assert warm["compiled"] >= 2
    assert warm["process"] is None
    assert warm["token_ids"] == cold["token_ids"]
    with capsys.disabled():
        print(f"\nfirst tokens after {cold['seconds']:.2f} s, from cache {warm['seconds']:.2f} s")


WAITING = """
from sampler.grammar.engine.warmup import compile_kernels
from sampler.startup import waits_for_compiler as waits
before = [waits(False, False), waits(True, False), waits(False, True)]
compile_kernels()
print(before, waits(True, False))
"""


def test_only_grammars_and_models_wait_for_kernels_that_are_not_in_the_cache(tmp_path):
    cold = run(WAITING, NUMBA_CACHE_DIR=str(tmp_path))
    assert cold == "[False, True, True] False\n"


def test_the_process_that_compiles_ends_with_its_parent(tmp_path):
    """Also where the parent had no time to say so."""
    process = start(FIRST_TOKENS + "time.sleep(600)", NUMBA_CACHE_DIR=str(tmp_path))
    compiling = json.loads(process.stdout.readline())["process"]
    assert is_running(compiling)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while is_running(compiling):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ended = first_tokens("", NUMBA_CACHE_DIR=str(tmp_path))["process"]
    assert not is_running(ended)


def test_a_kernel_takes_over_once_it_is_compiled_and_draws_the_same(tmp_path):
    first = json.loads(run(TAKE_OVER, NUMBA_CACHE_DIR=str(tmp_path)))
    right = {"same": True, "waited": True, "elsewhere": True, "signatures": 1, "compiled_here": 0}
    assert first == right
    second = json.loads(run(TAKE_OVER, NUMBA_CACHE_DIR=str(tmp_path)))
    assert second == right | {"waited": False, "elsewhere": False}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_waits_for_nobody(tmp_path):
    assert first_tokens(FORKED, NUMBA_CACHE_DIR=str(tmp_path))["compiled"] == 0


def test_a_kernel_that_no_process_can_compile_is_compiled_when_it_is_called(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    kernel = numba.njit(lambda value: value + 1)
    assert readiness.answering(kernel) is kernel
    assert kernel(1) == 2


def test_a_kernel_that_a_process_fails_to_compile_is_compiled_when_it_is_called():
    kernel = numba.njit(lambda value: value + 1)  # a name that no module has
    compiler = readiness._Compiler()
    assert not compiler.is_ready(kernel)
    assert compiler._process.wait() != 0
    assert compiler.is_ready(kernel)
    compiler._end()


def test_without_compilation_everything_is_ready():
    run(IN_PYTHON, NUMBA_DISABLE_JIT="1")


def test_every_kernel_has_one_signature():
    """Another one would be compiled in the middle of serving."""
    rng = np.random.default_rng(0)
    sampler = BatchSampler(2_000, 4)
    for values in ({}, {"top_k": 5}, {"top_p": 0.5, "top_n_tokens": 3}, {"watermark": True}):
        sampler.add(SamplingParameters(seed=1, **values), [1])
    logits = rng.normal(size=(4, 2_000)).astype(np.float32)
    for given in (logits, logits.astype(np.float64), np.broadcast_to(logits[0], (4, 2_000))):
        for bitmask in (None, np.full((4, 63), -1, np.int32)):
            sampler.sample(given, bitmask)
    logits[:, 1:] = -np.inf  # too little for a fast kernel, in many rows
    sampler.sample(logits)
    for name, kernel in readiness.KERNELS.items():
        assert kernel.signatures == [readiness.signature()], name
