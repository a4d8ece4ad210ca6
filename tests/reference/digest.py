"""``python -m reference.digest``: what this process samples, for comparing processes bit by bit."""

import hashlib
import json

import numba
import numpy as np
from numba.core.registry import cpu_target

from reference.cases import Case, random_case
from reference.comparison import distribution_of, sampled
from sampler import SamplingParameters
from sampler.kernels.few import sample_few
from sampler.kernels.sampling import sample_plain
from sampler.kernels.wide import sample_wide

CASES = 200
KERNELS = (sample_plain, sample_few, sample_wide)
ARRAYS = ("token_ids", "logprobs", "processed_logprobs", "top_token_ids", "top_logprobs")


def digest() -> str:
    """A hash of the bits of every token, logprob, top token and distribution of many rows."""
    sha = hashlib.sha256()
    wide = np.random.default_rng(1).normal(0.0, 2.0, 50_000).astype(np.float32)
    flat = Case(wide, SamplingParameters(top_p=0.99, typical_p=0.98, temperature=1.7, seed=3))
    for case in [flat, *(random_case(8, index, 1 + index) for index in range(CASES))]:
        tokens = sampled(case)
        arrays = [getattr(tokens, name) for name in ARRAYS]
        if distribution := distribution_of(case):
            arrays += [distribution.token_ids, distribution.logprobs]
        for array in arrays:
            sha.update(array.tobytes())
    return sha.hexdigest()


def report() -> dict[str, object]:
    """The digest, and how its kernels came to be."""
    compiled = not numba.config.DISABLE_JIT
    sampled_bits = digest()
    return {
        "digest": sampled_bits,
        "cpu": cpu_target.target_context.codegen().magic_tuple() if compiled else None,
        "cache_path": sample_plain.stats.cache_path if compiled else None,
        "cache_hits": sum(sum(k.stats.cache_hits.values()) for k in KERNELS) if compiled else 0,
        "cache_misses": sum(sum(k.stats.cache_misses.values()) for k in KERNELS) if compiled else 0,
    }


if __name__ == "__main__":
    print(json.dumps(report()))
