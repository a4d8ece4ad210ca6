"""What is measured: chains of processors, rows of logits, masks and contexts, all from fixed seeds.

Two shapes of rows. "peaked" is what language models mostly say: a head of 200 tokens whose logits
fall with the logarithm of their rank over a wide tail, the best token at p = 0.70 at temperature
0.7. "flat" is N(0, 1), the worst case: no token stands out and a nucleus holds half of the
vocabulary.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler import SamplingParameters, Watermark

SEED = 1
SHAPES = ("peaked", "flat")
ROTATED_SETS = 8  # at B = 1, so that the rows do not stay in the nearest cache
HEAD_SIZE = 200
BEST_PROBABILITY = 0.70
TEMPERATURE = 0.7

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Chain:
    """Processors that are on together.

    `settings` go to `SamplingParameters`; `context_size` tokens precede; `allowed` is how many ids
    a mask allows, as a count or as a share of the vocabulary, None without a mask. A chain with a
    `vocab_size` of its own is measured at this size and one row alone.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    context_size: int = 0
    allowed: int | float | None = None
    vocab_size: int | None = None

    @cached_property
    def parameters(self) -> SamplingParameters:
        return SamplingParameters(**self.settings, seed=SEED)


TOP_K_TOP_P = {"temperature": TEMPERATURE, "top_k": 50, "top_p": 0.95}
EVERYTHING = {
    **TOP_K_TOP_P,
    "typical_p": 0.95,
    "repetition_penalty": 1.2,
    "watermark": Watermark(),
}
CHAINS = {
    "greedy": Chain("greedy + logprob"),
    "top-k-top-p": Chain("T + top-k 50 + top-p .95", TOP_K_TOP_P),
    "top-p": Chain("top-p .9", {"top_p": 0.9}),
    "typical-p": Chain("typical .95", {"typical_p": 0.95}),
    "penalty": Chain("penalty (512) + T + k + p", {**TOP_K_TOP_P, "repetition_penalty": 1.2}, 512),
    "everything": Chain("watermark + penalty + T + k + p + typical", EVERYTHING, 512),
    "mask": Chain("mask (10 %) + T + k + p", TOP_K_TOP_P, allowed=0.1),
    "mask-100": Chain("mask (100 ids) + T + k + p", TOP_K_TOP_P, allowed=100),
    "mask-10": Chain("mask (10 ids) + T + k + p", TOP_K_TOP_P, allowed=10),
    "min-p": Chain("min-p .05", {"min_p": 0.05}),
    "temperature": Chain("temperature", {"temperature": TEMPERATURE}),
    "raw": Chain("T + k + p, raw logprob", {**TOP_K_TOP_P, "logprobs": "raw"}),
    "top-tokens": Chain("T + k + p, top 5 tokens", {**TOP_K_TOP_P, "top_n_tokens": 5}),
    "call": Chain("T + k + p, V = 64", TOP_K_TOP_P, vocab_size=64),
    "call-greedy": Chain("greedy, V = 64", vocab_size=64),
}


@dataclass(frozen=True)
class Problem:
    """One cell of the grid, with its data: `sets` of logits and masks that a contender rotates."""

    chain: Chain
    shape: str
    vocab_size: int
    batch_size: int

    @property
    def rotated_sets(self) -> int:
        return ROTATED_SETS if self.batch_size == 1 else 1

    @cached_property
    def logits(self) -> list[Array]:
        """One float32[B, V] for each set; row b of set s is row s + b of the series."""
        return logits_of(self.shape, self.vocab_size, self.batch_size, self.rotated_sets)

    @cached_property
    def bitmasks(self) -> list[Array] | list[None]:
        """One int32[B, ceil(V / 32)] for each set, or None where everything is allowed."""
        allowed = self.chain.allowed
        if allowed is None:
            return [None] * self.rotated_sets
        starts, rows = range(self.rotated_sets), range(self.batch_size)
        masks = [[bitmask_of(allowed, self.vocab_size, s + b) for b in rows] for s in starts]
        return [np.stack(mask) for mask in masks]

    @cached_property
    def context(self) -> Array:
        """Distinct ids, the 8 most probable ones of 8 rows among them; every row has the same."""
        size = min(self.chain.context_size, self.vocab_size)
        others = np.random.default_rng(self.vocab_size).permutation(self.vocab_size)
        rows = (row_of(self.shape, self.vocab_size, number) for number in range(8))
        likely = [np.argpartition(row, -8)[-8:] for row in rows] if size else []
        ids = np.concatenate([*likely, others])
        _, first = np.unique(ids, return_index=True)
        return ids[np.sort(first)[:size]]


@lru_cache(maxsize=1)
def logits_of(shape: str, vocab_size: int, batch_size: int, sets: int) -> list[Array]:
    """The sets of a problem, which its chains share: the same memory is as fast for all."""
    rows = range(batch_size)
    return [np.stack([row_of(shape, vocab_size, s + b) for b in rows]) for s in range(sets)]


@lru_cache(maxsize=64)
def row_of(shape: str, vocab_size: int, number: int) -> Array:
    """float32[V], the row with this number of the endless series of its shape."""
    generator = np.random.default_rng([vocab_size, number])
    if shape == "flat":
        return generator.normal(size=vocab_size).astype(np.float32)
    logits = generator.normal(0.0, 2.2, vocab_size)
    size = min(HEAD_SIZE, vocab_size)
    head = generator.choice(vocab_size, size, replace=False)
    logits[head] = generator.normal(17.5 - 1.6 * np.log1p(np.arange(size)), 0.5)
    logits[head[0]] = -np.inf
    rest = math.log(np.exp((logits - logits.max()) / TEMPERATURE).sum())
    odds = math.log(BEST_PROBABILITY / (1.0 - BEST_PROBABILITY))
    logits[head[0]] = logits.max() + TEMPERATURE * (rest + odds)
    return logits.astype(np.float32)


def bitmask_of(allowed: int | float, vocab_size: int, number: int) -> Array:
    """int32[ceil(V / 32)] that allows so many ids (a share of V if below 1), at random."""
    count = min(vocab_size, round(allowed * vocab_size) if allowed < 1 else int(allowed))
    ids = np.random.default_rng([vocab_size, number, 1]).choice(vocab_size, count, replace=False)
    bits = np.zeros(-(-vocab_size // 32) * 32, np.uint8)
    bits[ids] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def problems(
    chains: list[str], vocab_sizes: list[int], batch_sizes: list[int], shapes: list[str]
) -> Iterator[Problem]:
    """Every cell of the grid; a chain with a size of its own comes once for each shape."""
    chosen = [CHAINS[name] for name in chains]
    for vocab_size in vocab_sizes:
        for batch_size in batch_sizes:
            for shape in shapes:
                for chain in chosen:
                    if chain.vocab_size is None:
                        yield Problem(chain, shape, vocab_size, batch_size)
    for shape in shapes:
        for chain in chosen:
            if chain.vocab_size is not None:
                yield Problem(chain, shape, chain.vocab_size, 1)
