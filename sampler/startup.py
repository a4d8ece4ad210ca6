"""Getting the kernels ready: compiled once on a machine, loaded from the cache after that."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np


def warmup(wait: bool = True) -> threading.Thread:
    """The thread that compiles or loads every kernel; already ended when `wait` is true.

    Parameters
    ----------
    wait : return only when all kernels are ready (neutral: True)
    """
    thread = threading.Thread(target=_run_all, name="sampler-warmup", daemon=True)
    thread.start()
    if wait:
        thread.join()
    return thread


def steps() -> Iterator[tuple[str, Callable[[], object]]]:
    """Each group of kernels by name, and the call that makes it ready."""
    from sampler.batch_sampler import BatchSampler
    from sampler.distribution import next_token_distribution
    from sampler.grammar.engine.warmup import compile_kernels as compile_grammar_kernels
    from sampler.kernels.philox import derived_seed
    from sampler.models.gguf.warmup import compile_kernels
    from sampler.parameters import SamplingParameters
    from sampler.readiness import KERNELS, make_ready

    logits = np.zeros((1, 2), np.float32)
    sampler = BatchSampler(2, 1)
    penalised = SamplingParameters(repetition_penalty=2.0)
    yield "penalties", lambda: sampler.push(sampler.add(penalised, [0]), 0)
    yield "seeds", lambda: derived_seed(np.uint64(0), 1)
    for name in KERNELS:
        yield name, partial(make_ready, name)
    yield "prompt scores", lambda: sampler.score(logits, [0])
    yield "distributions", lambda: next_token_distribution(logits[0], SamplingParameters())
    yield "grammars", compile_grammar_kernels
    yield "models", compile_kernels


def compiled() -> bool:
    """Whether the sampling kernels of this version are in the cache of this machine."""
    from sampler.kernels._jit import CACHE_FOLDER

    return CACHE_FOLDER is not None and any(CACHE_FOLDER.rglob("*sample_few*.nbi"))


def keeps_compiled() -> bool:
    """Whether there is a folder in which compiled kernels are kept."""
    from sampler.kernels._jit import IS_KEPT

    return IS_KEPT


def _run_all() -> None:
    for _, step in steps():
        step()
