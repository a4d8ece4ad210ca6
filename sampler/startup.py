"""Getting the kernels ready: compiled once on a machine, loaded from the cache after that."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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


def waits_for_compiler(grammar: bool, model: bool) -> bool:
    """Whether a first request would wait for kernels that the cache of this machine does not have.

    Sampling alone never does: NumPy answers until its kernels are compiled.

    Parameters
    ----------
    grammar : whether the request has one
    model : whether the model is one of this library's that runs on kernels (a GGUF file)
    """
    from sampler.kernels.grammar.matching import fill_rows
    from sampler.kernels.llama import attend

    kernels = [fill_rows] * grammar + [attend] * model
    return not all(map(_is_in_cache, kernels))


def _is_in_cache(kernel: Any) -> bool:
    if not hasattr(kernel, "stats"):  # without compilation kernels are plain functions
        return True
    folder = kernel.stats.cache_path
    return folder is not None and any(Path(folder).glob(f"*.{kernel.__name__}-*.nbi"))


def keeps_compiled() -> bool:
    """Whether there is a folder in which compiled kernels are kept."""
    from sampler.kernels._jit import IS_KEPT

    return IS_KEPT


def _run_all() -> None:
    for _, step in steps():
        step()
