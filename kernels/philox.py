"""Counter-based random numbers: (seed, position) -> the same bits anywhere, without state.

    for 10 rounds:
        x0, x1, x2, x3 = hi(M1 x2) ^ x1 ^ k0, lo(M1 x2), hi(M0 x0) ^ x3 ^ k1, lo(M0 x0)
        k0, k1 = k0 + W0, k1 + W1

A stateful generator was rejected: its stream depends on who drew before, so a request's tokens
would change with its neighbours. Source: Salmon et al., "Parallel random numbers: as easy as
1, 2, 3" (SC 2011), Philox4x32-10.
"""

import numpy as np

from sampler.kernels._jit import Word, kernel

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_21 = np.uint64(21)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO_TO_MINUS_53 = 1.0 / 9007199254740992.0


@kernel
def philox4x32(
    key_low: Word, key_high: Word, counter0: Word, counter1: Word, counter2: Word, counter3: Word
) -> tuple[Word, Word, Word, Word]:
    """Four random words of 32 bits (held in uint64) for a key and a counter of such words."""
    k0, k1 = np.uint64(key_low), np.uint64(key_high)
    x0, x1 = np.uint64(counter0), np.uint64(counter1)
    x2, x3 = np.uint64(counter2), np.uint64(counter3)
    for _ in range(10):
        product0 = _M0 * x0
        product1 = _M1 * x2
        x0 = (product1 >> _32) ^ x1 ^ k0
        x2 = (product0 >> _32) ^ x3 ^ k1
        x1 = product1 & _LOW
        x3 = product0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return x0, x1, x2, x3


@kernel
def uniform(seed: Word, position: int) -> float:
    """The draw of the token at `position`: 53 random bits as a float64, 0 <= u < 1."""
    key, counter = np.uint64(seed), np.uint64(position)
    x0, x1, _, _ = philox4x32(key & _LOW, key >> _32, counter & _LOW, counter >> _32, _ZERO, _ZERO)
    return float((x0 << _21) | (x1 >> _11)) * _TWO_TO_MINUS_53


@kernel
def derived_seed(seed: Word, candidate: int) -> Word:
    """The seed (uint64) of candidate i of a best_of request; i = 0 keeps the request's own."""
    key, i = np.uint64(seed), np.uint64(candidate)
    if i == _ZERO:
        return key
    # the last counter word is 1 here and 0 in `uniform`: no draw is ever used as a seed
    low, high, _, _ = philox4x32(key & _LOW, key >> _32, i & _LOW, i >> _32, _ZERO, _ONE)
    return (high << _32) | low
