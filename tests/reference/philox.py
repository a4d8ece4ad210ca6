"""Philox4x32-10 and the numbers the sampler draws from it.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011),
section 3.3. The constants are those of the paper's table.
"""

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1
WORD = 2**32

Counter = tuple[int, int, int, int]
Key = tuple[int, int]


def philox4x32(key: Key, counter: Counter, rounds: int = 10) -> Counter:
    """Four random 32-bit words, the same for the same key and counter."""
    key0, key1 = key
    x0, x1, x2, x3 = counter
    for _ in range(rounds):
        high0, low0 = divmod(MULTIPLIERS[0] * x0, WORD)
        high1, low1 = divmod(MULTIPLIERS[1] * x2, WORD)
        x0, x1, x2, x3 = high1 ^ x1 ^ key0, low1, high0 ^ x3 ^ key1, low0
        key0 = (key0 + KEY_INCREMENTS[0]) % WORD
        key1 = (key1 + KEY_INCREMENTS[1]) % WORD
    return x0, x1, x2, x3


def halves(value: int) -> tuple[int, int]:
    """The low and the high 32 bits of a 64-bit value."""
    return value % WORD, value // WORD


def uniform(seed: int, position: int) -> float:
    """The number in [0, 1) that draws the generated token at `position`: 53 bits of Philox."""
    x0, x1, _, _ = philox4x32(halves(seed), (*halves(position), 0, 0))
    return (x0 * 2**21 + x1 // 2**11) / 2**53


def derived_seed(seed: int, candidate: int) -> int:
    """The seed of candidate 0, 1, ... of a `best_of` request; the first has the request's own."""
    if candidate == 0:
        return seed
    x0, x1, _, _ = philox4x32(halves(seed), (candidate, 0, 0, 1))
    return x0 + x1 * WORD
