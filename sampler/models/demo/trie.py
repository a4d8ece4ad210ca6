"""The n-grams of all kinds as one trie of flat arrays, and its form in the artefact.

Level 0 has a node for each kind; a node of level n is an n-gram of that kind, and its children are
the tokens seen after it. The nodes of a level are sorted by parent, then by token, so a node is its
place in the level. Place -1 means "no such n-gram"; every array ends with an entry for it.

In the file each number takes a byte or two, and what compresses apart is stored apart. Shares and
backing-off odds are powers of 2 ** (1/4): the distribution of a node's children is stored as
integers that need not sum to anything, and how much of the node's probability they get is stored
once, as odds. So what is read always sums to one, however coarse the numbers are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ORDER = 4
TOKEN_BITS = 12

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

# Written out, since a power taken from the C library may differ in its last bit.
_QUARTER_POWERS = np.array([1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429])
_EVEN_ODDS = 128  # the code of odds 1 : 1
_ONE_SHARE = 16  # the code of a share of 1


def powers(codes: Ints) -> Floats:
    """2 ** (codes / 4), the same bits everywhere."""
    return np.ldexp(_QUARTER_POWERS[codes % 4], codes // 4)


@dataclass(frozen=True)
class Level:
    """The nodes of one level and the way to them from the level above.

    Attributes
    ----------
    edges : int64[n], sorted; the parent's place and the token that leads to this node
    tokens : int64[n], that token
    weights : float64[n + 1], what the node adds to its token's probability
    first : int64[parents + 2], the place of each parent's first child
    backoff : float64[parents + 1], the share that each parent leaves to its suffix
    """

    edges: Ints
    tokens: Ints
    weights: Floats
    first: Ints
    backoff: Floats

    def find(self, parents: Ints, tokens: Ints) -> Ints:
        """The children of `parents` that `tokens` lead to, -1 where there is none."""
        wanted = (parents << TOKEN_BITS) | tokens
        places = np.minimum(np.searchsorted(self.edges, wanted), len(self.edges) - 1)
        return np.where(self.edges[places] == wanted, places, -1)


@dataclass(frozen=True)
class Counted:
    """All n-grams of one order, sorted, as they are estimated.

    Attributes
    ----------
    grams : int64[n]; the kind, then the tokens, oldest first, `TOKEN_BITS` bits each
    seen : float64[n], how often each occurs, less its discount
    shares : float64[n], the part of each among the n-grams of its context, to any scale
    weights : float64[n], the probability that each adds to backing off
    """

    grams: Ints
    seen: Floats
    shares: Floats
    weights: Floats

    def take(self, kept: npt.NDArray[np.bool_]) -> "Counted":
        """The n-grams that `kept` marks."""
        return Counted(self.grams[kept], self.seen[kept], self.shares[kept], self.weights[kept])


def unpack(arrays: Mapping[str, Bytes], kinds: int) -> list[Level]:
    """The levels of the trie, from what `pack` made of them."""
    levels: list[Level] = []
    parents = kinds
    for order in range(1, ORDER + 1):
        counts = _join(arrays[f"children_{order}"])
        tokens = _join(arrays[f"tokens_{order}"])
        owner = np.repeat(np.arange(parents), counts)
        shares = np.floor(powers(arrays[f"shares_{order}"].astype(np.int64) + 20))
        odds = powers(arrays[f"odds_{order}"].astype(np.int64) - _EVEN_ODDS)
        backoff = np.ones(parents + 1)
        backoff[:-1][counts > 0] = odds / (1 + odds)
        weights = np.zeros(len(tokens) + 1)
        # The shares are whole numbers, so that their sum does not depend on its order.
        totals = np.bincount(owner, shares, parents)
        weights[:-1] = shares * ((1 - backoff[:-1]) / np.maximum(totals, 1))[owner]
        first = np.concatenate([[0], np.cumsum(counts), [len(tokens)]])
        levels.append(Level((owner << TOKEN_BITS) | tokens, tokens, weights, first, backoff))
        parents = len(tokens)
    return levels


def pack(levels: Sequence[Counted], kinds: int) -> dict[str, Bytes]:
    """The arrays of the artefact.

    Parameters
    ----------
    levels : for each order its n-grams; with an n-gram its beginnings are there too
    kinds : number of nodes of level 0
    """
    arrays = {}
    parents = np.arange(kinds)
    for order, level in enumerate(levels, start=1):
        owner = np.searchsorted(parents, level.grams >> TOKEN_BITS)
        counts = np.bincount(owner, minlength=len(parents))
        taken = np.bincount(owner, level.weights, len(parents))[counts > 0]
        odds = np.round(4 * np.log2((1 - taken) / taken)) + _EVEN_ODDS
        shares = np.round(4 * np.log2(level.shares)) + _ONE_SHARE
        arrays[f"children_{order}"] = _split(counts)
        arrays[f"tokens_{order}"] = _split(level.grams & ((1 << TOKEN_BITS) - 1))
        arrays[f"shares_{order}"] = shares.clip(0, 255).astype(np.uint8)
        arrays[f"odds_{order}"] = odds.clip(0, 255).astype(np.uint8)
        parents = level.grams
    return arrays


def _split(values: Ints) -> Bytes:
    """Low bytes, then high bytes: uint8[2, n]."""
    return np.stack([values & 0xFF, values >> 8]).astype(np.uint8)


def _join(planes: Bytes) -> Ints:
    low, high = planes.astype(np.int64)
    joined: Ints = low | (high << 8)
    return joined
