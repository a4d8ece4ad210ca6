"""Small samplers and rows that the tests of `BatchSampler` start from."""

import math

import numpy as np

from sampler import BatchSampler, SampledTokens, SamplingParameters

DRAW = SamplingParameters(do_sample=True, seed=1234)
EVERYTHING = SamplingParameters(
    temperature=1.3,
    top_k=40,
    top_p=0.98,
    typical_p=0.97,
    min_p=1e-3,
    repetition_penalty=1.2,
    frequency_penalty=0.3,
    presence_penalty=0.2,
    logit_bias={3: 1.5, 7: -math.inf},
    watermark=True,
    seed=99,
    top_n_tokens=3,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 3.0, shape).astype(np.float32)


def one_row(parameters: SamplingParameters, vocab_size: int, prompt=()) -> tuple[BatchSampler, int]:
    sampler = BatchSampler(vocab_size, 1)
    return sampler, sampler.add(parameters, prompt)


def bits(tokens: SampledTokens, row: int, n: int) -> tuple:
    """Everything about one row of `SampledTokens`, as bytes."""
    return (
        int(tokens.token_ids[row]),
        tokens.logprobs[row].tobytes(),
        tokens.processed_logprobs[row].tobytes(),
        tokens.top_token_ids[row, :n].tobytes(),
        tokens.top_logprobs[row, :n].tobytes(),
        str(tokens.errors.get(row)),
    )
