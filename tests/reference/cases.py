"""One row to sample from, and a seeded generator of random ones for long parity runs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sampler import SamplingParameters, Watermark

LARGEST_VOCABULARY = 152_000


@dataclass(frozen=True)
class Case:
    """A row of logits, its parameters (with a seed), its tokens so far and its packed mask."""

    logits: np.ndarray  # float32[V]
    parameters: SamplingParameters
    prompt: tuple[int, ...] = ()
    generated: tuple[int, ...] = ()
    bitmask: np.ndarray | None = None  # int32[ceil(V / 32)], bit set = allowed

    @property
    def vocab_size(self) -> int:
        return len(self.logits)

    @property
    def context(self) -> tuple[int, ...]:
        return self.prompt + self.generated

    @cached_property
    def allowed(self) -> np.ndarray | None:
        return None if self.bitmask is None else unpacked(self.bitmask, self.vocab_size)


def packed(allowed: np.ndarray) -> np.ndarray:
    """The int32 bitmask of booleans: id i is bit i % 32 of word i // 32."""
    words = [0] * (-(-len(allowed) // 32))
    for i in np.flatnonzero(allowed).tolist():
        words[i // 32] |= 1 << i % 32
    return np.array(words, dtype=np.uint32).view(np.int32)


def unpacked(bitmask: np.ndarray, vocab_size: int) -> np.ndarray:
    """Which ids a bitmask allows; ids beyond the mask are forbidden."""
    ids = np.arange(min(vocab_size, 32 * len(bitmask)))
    allowed = np.zeros(vocab_size, dtype=bool)
    allowed[ids] = bitmask.view(np.uint32)[ids // 32] >> (ids % 32).astype(np.uint32) & 1 == 1
    return allowed


def random_case(seed: int, index: int, vocab_size: int | None = None) -> Case:
    """The case with this number of the endless series that belongs to `seed`."""
    rng = np.random.default_rng([seed, index])
    size = vocab_size or _size(rng)
    return Case(
        logits=_logits(rng, size),
        parameters=_parameters(rng, size),
        prompt=_tokens(rng, size, 12),
        generated=_tokens(rng, size, 8),
        bitmask=_bitmask(rng, size),
    )


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _size(rng: np.random.Generator) -> int:
    """Mostly small, from 1 to the largest vocabulary."""
    bounds = [(1, 1), (2, 8), (9, 300), (301, 3_000), (3_001, 20_000), (20_001, LARGEST_VOCABULARY)]
    low, high = bounds[rng.choice(6, p=[0.02, 0.14, 0.70, 0.119, 0.017, 0.004])]
    return high if _chance(rng, 0.05) else int(rng.integers(low, high + 1))


def _tokens(rng: np.random.Generator, size: int, most: int) -> tuple[int, ...]:
    """Up to `most` ids, often from a small range so that they repeat."""
    below = min(size, 5) if _chance(rng, 0.5) else size
    return tuple(rng.integers(0, below, rng.integers(0, most + 1)).tolist())


def _logits(rng: np.random.Generator, size: int) -> np.ndarray:
    kind = rng.choice(7, p=[0.45, 0.15, 0.15, 0.07, 0.06, 0.06, 0.06])
    row = rng.normal(0.0, 10.0 ** rng.uniform(-2, 1.5), size)
    if kind == 1:  # peaked: a realistic head over a flat tail
        row = rng.normal(0.0, 1.0, size)
        row[rng.integers(0, size, 4)] += rng.uniform(0.0, 25.0, 4)
    elif kind == 2:  # many ties
        row = np.round(row)
    elif kind == 3:  # few values, both zeros among them
        row = rng.choice(np.array([-1.5, -0.0, 0.0, 2.0]), size)
    elif kind == 4:
        row[:] = row[0]
    elif kind == 5:  # every magnitude that float32 has
        row = rng.choice([-1.0, 1.0], size) * 10.0 ** rng.uniform(-40, 38.5, size)
    elif kind == 6:  # a large offset leaves coarse steps
        row += 10.0 ** rng.uniform(2, 6)
    row = row.astype(np.float32)
    if _chance(rng, 0.15):
        row[rng.random(size) < rng.random()] = -np.inf
    if _chance(rng, 0.04):
        row[rng.integers(0, size, 2)] = rng.choice([np.nan, np.inf], 2)
    return row


def _bitmask(rng: np.random.Generator, size: int) -> np.ndarray | None:
    kind = rng.choice(5, p=[0.45, 0.42, 0.08, 0.04, 0.01])
    allowed = rng.random(size) < (rng.random() if kind == 1 else 0.02)
    allowed[rng.integers(0, size)] = True
    if kind == 0:
        return None
    if kind == 3:  # one id
        allowed = np.arange(size) == rng.integers(0, size)
    elif kind == 4:
        allowed[:] = False
    return packed(allowed)


def _parameters(rng: np.random.Generator, size: int) -> SamplingParameters:
    values: dict[str, object] = {"seed": int(rng.integers(0, 2**64, dtype=np.uint64))}
    for name, probability, draw in (
        ("do_sample", 0.5, lambda: True),
        ("temperature", 0.5, lambda: _temperature(rng)),
        (
            "top_k",
            0.3,
            lambda: int(rng.choice([1, 50, size, size + 1, *rng.integers(size, size=4)])),
        ),
        ("top_p", 0.35, lambda: _share(rng)),
        ("typical_p", 0.25, lambda: _share(rng)),
        ("min_p", 0.25, lambda: _share(rng) ** 4),
        ("repetition_penalty", 0.25, lambda: 10.0 ** rng.choice([-2, -0.1, 0.1, 2]) * rng.random()),
        ("frequency_penalty", 0.2, lambda: rng.uniform(-2.0, 2.0)),
        ("presence_penalty", 0.2, lambda: rng.uniform(-2.0, 2.0)),
        ("logit_bias", 0.2, lambda: _bias(rng, size)),
        ("watermark", 0.15 if size < 5_000 else 0.02, lambda: _watermark(rng)),
        ("logprobs", 0.3, lambda: "raw"),
        ("top_n_tokens", 0.3, lambda: int(rng.integers(1, 8))),
    ):
        if _chance(rng, probability):
            values[name] = draw()
    return SamplingParameters(**values)


def _temperature(rng: np.random.Generator) -> float:
    if _chance(rng, 0.1):
        return float(rng.choice([0.0, 1e-6, 1e-3, 1e3, 1e6]))
    return float(10.0 ** rng.uniform(-0.5, 0.7))


def _share(rng: np.random.Generator) -> float:
    """In (0, 1], often near an end."""
    if _chance(rng, 0.2):
        return float(rng.choice([1e-12, 1e-6, 1e-3, 0.9, 0.95, 0.99, 1.0 - 1e-6, 1.0]))
    return 1.0 - float(rng.random())


def _bias(rng: np.random.Generator, size: int) -> dict[int, float]:
    ids = rng.integers(0, size, rng.integers(0, 6)).tolist()
    special = [-np.inf, 1e38, -3.4e38, 100.0, -100.0]
    return {i: float(rng.choice(special) if _chance(rng, 0.3) else rng.normal() * 4) for i in ids}


def _watermark(rng: np.random.Generator) -> bool | Watermark:
    if _chance(rng, 0.3):
        return True
    return Watermark(
        gamma=float(rng.uniform(0.01, 0.99)),
        delta=float(rng.choice([0.0, 0.1, 2.0, 100.0, rng.uniform(0.0, 10.0)])),
        key=int(rng.integers(0, 2**64, dtype=np.uint64)),
        context_width=int(rng.integers(1, 4)),
    )
