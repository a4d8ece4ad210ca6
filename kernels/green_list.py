"""Which tokens are green: one keyed hash per id instead of a permutation of the vocabulary.

    seed = key; for each context token: seed = mix64((seed ^ token) + golden)
    green(id) = fmix32(fmix32(id * golden32 + low(seed)) + high(seed)) < gamma * 2**32

A permutation would cost the whole vocabulary per token and differ between devices; a hash decides
each id alone, so only candidates need it, and gamma * V ids are green in expectation.
Source: Kirchenbauer et al. (arXiv 2301.10226), algorithm 2; mix64 is the finaliser of SplitMix64
(Steele, Lea and Flood 2014), fmix32 the one of MurmurHash3 (Appleby 2011).
"""

import numpy as np

from sampler.kernels._jit import Array, Word, inlined, kernel

_LOW = np.uint64(0xFFFFFFFF)
_GOLDEN64 = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_GOLDEN32 = np.uint64(0x9E3779B1)
_FMIX_A = np.uint64(0x85EBCA6B)
_FMIX_B = np.uint64(0xC2B2AE35)
_13 = np.uint64(13)
_16 = np.uint64(16)
_27 = np.uint64(27)
_30 = np.uint64(30)
_31 = np.uint64(31)
_32 = np.uint64(32)


@inlined
def _mix64(x: Word) -> Word:
    x = (x ^ (x >> _30)) * _MIX_A
    x = (x ^ (x >> _27)) * _MIX_B
    return x ^ (x >> _31)


@inlined
def _fmix32(x: Word) -> Word:
    x = ((x ^ (x >> _16)) * _FMIX_A) & _LOW
    x = ((x ^ (x >> _13)) * _FMIX_B) & _LOW
    return x ^ (x >> _16)


@kernel
def context_seed(key: Word, recent: Array, size: int, width: int) -> Word:
    """The seed (uint64) of the list that follows a context of `size` >= `width` tokens.

    recent : int64[n], n >= width, the last tokens as a ring: the i-th of the context at i % n.
    """
    seed = np.uint64(key)
    for i in range(size - width, size):
        seed = _mix64((seed ^ np.uint64(recent[i % len(recent)])) + _GOLDEN64)
    return seed


@inlined
def is_green(seed: Word, token_id: int, threshold: Word) -> bool:
    """Whether `token_id` is in the list of `seed`; `threshold` is gamma * 2**32 as uint64."""
    hashed = (np.uint64(token_id) * _GOLDEN32 + (seed & _LOW)) & _LOW
    hashed = (_fmix32(hashed) + (seed >> _32)) & _LOW
    return bool(_fmix32(hashed) < threshold)
