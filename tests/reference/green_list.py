"""The green list of the watermark: which ids gain `delta`, decided by a keyed hash.

Source: Kirchenbauer et al., "A Watermark for Large Language Models" (arXiv 2301.10226),
algorithm 2; membership is a hash of (key, last tokens, id) instead of a seeded permutation.
"""

from collections.abc import Sequence

from sampler import Watermark

UINT32 = 2**32
UINT64 = 2**64


def mix64(x: int) -> int:
    """The finaliser of splitmix64, a bijection of 64 bits."""
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 % UINT64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB % UINT64
    return x ^ x >> 31


def fmix32(x: int) -> int:
    """The finaliser of murmur3, a bijection of 32 bits."""
    x ^= x >> 16
    x = x * 0x85EBCA6B % UINT32
    x ^= x >> 13
    x = x * 0xC2B2AE35 % UINT32
    return x ^ x >> 16


def context_seed(key: int, last_token_ids: Sequence[int]) -> int:
    """The 64 bits that stand for the last tokens, oldest first, under a key."""
    seed = key
    for token_id in last_token_ids:
        seed = mix64(((seed ^ int(token_id)) + 0x9E3779B97F4A7C15) % UINT64)
    return seed


def is_green(seed: int, token_id: int, gamma: float) -> bool:
    """Whether an id is on the green list of a context seed."""
    low, high = seed % UINT32, seed // UINT32
    inner = fmix32((token_id * 0x9E3779B1 + low) % UINT32)
    return fmix32((inner + high) % UINT32) < int(gamma * 2**32)


def green_ids(watermark: Watermark, context_token_ids: Sequence[int], size: int) -> list[int]:
    """The green ids below `size`; none while the context is shorter than the width."""
    width = watermark.context_width
    if len(context_token_ids) < width:
        return []
    seed = context_seed(watermark.key, context_token_ids[len(context_token_ids) - width :])
    return [i for i in range(size) if is_green(seed, i, watermark.gamma)]
