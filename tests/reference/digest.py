"""What this process samples, for comparing processes bit by bit: ``python -m reference.digest``.

With ``short`` it is only the short rows, for which one kernel is needed.
"""

import hashlib
import json
import sys

import numba
import numpy as np
from numba.core.registry import cpu_target

from reference.cases import Case, random_case
from reference.comparison import distribution_of, sampled
from sampler import SamplingParameters
from sampler.kernels.sampling import sample_plain
from sampler.readiness import KERNELS, make_ready

CASES = 200
ARRAYS = ("token_ids", "logprobs", "processed_logprobs", "top_token_ids", "top_logprobs")


WIDE = (
    {"top_p": 0.99, "typical_p": 0.98, "temperature": 1.7},
    {"top_k": 50, "top_p": 0.95, "temperature": 0.7, "top_n_tokens": 5},
    {"top_k": 50, "logprobs": "raw", "top_n_tokens": 5},
    {"repetition_penalty": 1.3},
    {"temperature": 0.9},
    {"temperature": 0.5, "top_p": 0.9},
    {"typical_p": 0.9, "temperature": 0.5},
    {"min_p": 0.01},
)
FLAT = (
    {"top_p": 0.9},
    {"top_p": 0.9, "temperature": 0.7, "top_n_tokens": 5},
    {"typical_p": 0.95},
    {"typical_p": 0.5, "temperature": 1.5},
)


def short_cases() -> list[Case]:
    """Rows for which `sample_plain` is the kernel."""
    return [random_case(8, index, 1 + index) for index in range(CASES)]


def long_cases() -> list[Case]:
    """Rows that take every path of the others."""
    wide = np.random.default_rng(1).normal(0.0, 3.0, 50_000).astype(np.float32)
    wide[::1_000] += 12.0
    flat = [np.random.default_rng(i).normal(size=40_000).astype(np.float32) for i in range(8)]
    return [
        *(Case(row, SamplingParameters(seed=3, **values)) for values in FLAT for row in flat),
        *(Case(wide, SamplingParameters(seed=3, **values), prompt=(5, 1_000)) for values in WIDE),
    ]


def digest(cases: list[Case]) -> tuple[str, list[int], list[float]]:
    """A hash of the bits of all that is sampled from these rows; the tokens and their logprobs."""
    sha = hashlib.sha256()
    token_ids, logprobs = [], []
    for case in cases:
        tokens = sampled(case)
        token_ids += tokens.token_ids.tolist()
        logprobs += tokens.logprobs.tolist()
        arrays = [getattr(tokens, name) for name in ARRAYS]
        if distribution := distribution_of(case):
            arrays += [distribution.token_ids, distribution.logprobs]
        for array in arrays:
            sha.update(array.tobytes())
    return sha.hexdigest(), token_ids, logprobs


def report(only_short: bool) -> dict[str, object]:
    """The digests, and how the kernels came to be."""
    compiled = not numba.config.DISABLE_JIT
    kernels = [sample_plain] if only_short else list(KERNELS.values())
    for name, kernel in KERNELS.items():
        if kernel in kernels:
            make_ready(name)
    short, token_ids, logprobs = digest(short_cases())
    long, *of_long = digest([] if only_short else long_cases())
    return {
        "short": short,
        "long": long,
        "token_ids": token_ids + of_long[0],
        "logprobs": logprobs + of_long[1],
        "cpu": cpu_target.target_context.codegen().magic_tuple() if compiled else None,
        "cache_path": sample_plain.stats.cache_path if compiled else None,
        "signatures": [len(k.signatures) for k in kernels] if compiled else None,
        "compiled_here": [len(k.stats.cache_misses) for k in kernels] if compiled else None,
    }


if __name__ == "__main__":
    print(json.dumps(report("short" in sys.argv[1:])))
