"""The n-grams of all kinds as one trie of flat arrays, and its form in the artefact.

A node is an n-gram of one kind: its children are the tokens seen after it. Nodes are numbered
level by level: first the kinds, which are n-grams without a token, then the children of the first
kind, of the second, and so on. Number -1 means "no such n-gram".

In the file each number takes a byte or two, and the low and high bytes stand apart because they
compress better so. Shares and odds are quarter powers of two. How the children of a node share its
probability is stored as whole numbers that need not sum to anything, and how much of it they have
between them is stored once, as odds; so what is read sums to one, however coarse the numbers are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ORDER = 4
TOKEN_BITS = 12
TOKEN_MASK = (1 << TOKEN_BITS) - 1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

# Written out, since a power taken from the C library may differ in its last bit.
_QUARTER_POWERS = np.array([1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429])
_EVEN_ODDS = 128  # the code of odds 1 : 1
_ONE_SHARE = 16  # the code of a share of 1
_SHARE_UNIT = 20  # shares are read in units of 2 ** -(20 / 4), so that the least is not 0


@dataclass(frozen=True)
class Trie:
    """What the model looks up.

    Attributes
    ----------
    edges : int64[n], sorted: parent number and token; edge i leads to node number kinds + i
    first : int64[nodes that may have children + 1], the first edge of each
    backoff : float64[nodes that may have children + 1], what each leaves to its suffix; last: of -1
    weights : float64[kinds + n + 1], what each node adds to its token's probability; last: of -1
    kinds : number of kinds
    """

    edges: Ints
    first: Ints
    backoff: Floats
    weights: Floats
    kinds: int

    def find(self, nodes: Ints, token_id: int) -> Ints:
        """The children of `nodes` that the token leads to, -1 where there is none."""
        wanted = (nodes << TOKEN_BITS) | token_id
        places = self.edges.searchsorted(wanted)
        found = self.edges.take(places, mode="clip") == wanted
        return np.where(found, places + self.kinds, -1)

    def children(self, node: int) -> tuple[Ints, Floats]:
        """The tokens seen after `node`, ascending, and their weights."""
        edges = slice(self.first[node], self.first[node + 1])
        nodes = slice(edges.start + self.kinds, edges.stop + self.kinds)
        return self.edges[edges] & TOKEN_MASK, self.weights[nodes]


@dataclass(frozen=True)
class NgramCounts:
    """All n-grams of one order, sorted, as they are estimated.

    Attributes
    ----------
    grams : int64[n]; the kind, then the tokens, oldest first, `TOKEN_BITS` bits each
    seen : float64[n], how often each occurs, less its discount
    shares : float64[n], the part of each among the n-grams of its context, to any scale
    weights : float64[n], the probability that each adds to what backing off gives
    """

    grams: Ints
    seen: Floats
    shares: Floats
    weights: Floats

    def take(self, kept: npt.NDArray[np.bool_]) -> "NgramCounts":
        """The n-grams that `kept` marks."""
        return NgramCounts(self.grams[kept], self.seen[kept], self.shares[kept], self.weights[kept])


def pack(levels: Sequence[NgramCounts], kinds: int) -> dict[str, Bytes]:
    """The arrays of the artefact: ``children``, ``tokens``, ``shares`` and ``odds``.

    Parameters
    ----------
    levels : for each order its n-grams; with an n-gram its beginnings are there too
    kinds : number of kinds
    """
    counts, odds = [], []
    parents = np.arange(kinds)
    for level in levels:
        owner = np.searchsorted(parents, level.grams >> TOKEN_BITS)
        children = np.bincount(owner, minlength=len(parents))
        taken = np.bincount(owner, level.weights, len(parents))[children > 0]
        counts.append(children)
        odds.append((1 - taken) / taken)
        parents = level.grams
    return {
        "children": _split(np.concatenate(counts)),
        "tokens": _split(np.concatenate([level.grams & TOKEN_MASK for level in levels])),
        "shares": _quarter_logarithms(
            np.concatenate([level.shares for level in levels]), _ONE_SHARE
        ),
        "odds": _quarter_logarithms(np.concatenate(odds), _EVEN_ODDS),
    }


def unpack(arrays: Mapping[str, Bytes], kinds: int) -> Trie:
    """The trie, from what `pack` made of it."""
    counts, tokens = _join(arrays["children"]), _join(arrays["tokens"])
    owner = np.repeat(np.arange(len(counts)), counts)
    backoff = np.ones(len(counts) + 1)
    odds = _powers(-_EVEN_ODDS)[arrays["odds"]]
    backoff[:-1][counts > 0] = odds / (1 + odds)
    # Whole numbers, so that the sum of a node's shares does not depend on its order.
    shares = np.floor(_powers(_SHARE_UNIT - _ONE_SHARE)[arrays["shares"]])
    totals = np.bincount(owner, shares, len(counts))
    weights = np.zeros(kinds + len(tokens) + 1)
    weights[kinds:-1] = shares * ((1 - backoff[:-1]) / np.maximum(totals, 1))[owner]
    first = np.concatenate([[0], np.cumsum(counts)])
    return Trie((owner << TOKEN_BITS) | tokens, first, backoff, weights, kinds)


def _quarter_logarithms(values: Floats, code_of_one: int) -> Bytes:
    """The code of each value: 4 log2(value), rounded, so that 1 has the code given."""
    return np.round(4 * np.log2(values) + code_of_one).clip(0, 255).astype(np.uint8)


def _powers(lowest: int) -> Floats:
    """2 ** (n / 4) for the 256 whole numbers n from `lowest` on."""
    exponents = np.arange(lowest, lowest + 256)
    powers: Floats = np.ldexp(_QUARTER_POWERS[exponents % 4], exponents // 4)
    return powers


def _split(values: Ints) -> Bytes:
    """The low bytes and the high bytes of numbers below 2 ** 16: uint8[2, n]."""
    return np.stack([values & 0xFF, values >> 8]).astype(np.uint8)


def _join(planes: Bytes) -> Ints:
    """What `_split` took apart."""
    low, high = planes.astype(np.int64)
    joined: Ints = low | (high << 8)
    return joined
