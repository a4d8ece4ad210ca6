"""From token ids to the pruned n-grams that the model stores.

An n-gram is one int64: the kind, then up to four tokens of `TOKEN_BITS` bits, oldest first.
Dropping the newest token is a shift (the context), dropping the oldest a mask (the suffix to back
off to). The kind always stays, so each kind has n-grams of its own in one sorted array per order.

Interpolated modified Kneser-Ney smoothing: an n-gram seen c times in a context seen C times gets
(c - D(c)) / C, and what the discounts D free goes to the suffix. Below the highest order c counts
the distinct tokens seen before the n-gram instead. Source: Chen and Goodman, An Empirical Study of
Smoothing Techniques for Language Modeling (1998), section 3.

Pruning by weighted difference: an n-gram stays when its discounted count times the logarithm of
what it gains over backing off passes a threshold, or when a longer one that stays begins with it.
Source: K. Seymore and R. Rosenfeld, Scalable Backoff Language Models (1996), section 2.2.
"""

from collections.abc import Sequence

import numpy as np

from sampler.models.demo.trie import ORDER, TOKEN_BITS, Floats, Ints, NgramCounts

BOUNDARY = 0  # the token id that stands before and after each document


def estimate(documents: Sequence[Sequence[Ints]], threshold: float) -> list[NgramCounts]:
    """The n-grams that stay, orders 1 to `ORDER`.

    Parameters
    ----------
    documents : for each kind its documents, each the token ids of one text
    threshold : nats that an n-gram must save over the training text; 0 prunes hardly anything
    """
    occurrences = [_count(documents, order) for order in range(1, ORDER + 1)]
    levels = [
        _smooth(occurrences[order - 1], None if order == ORDER else occurrences[order][0], order)
        for order in range(1, ORDER + 1)
    ]
    return _prune(levels, threshold)


def context_of(grams: Ints) -> Ints:
    """Each n-gram without its newest token."""
    return grams >> TOKEN_BITS


def suffix_of(grams: Ints, order: int) -> Ints:
    """Each n-gram without its oldest token; the kind stays."""
    newest = TOKEN_BITS * (order - 1)
    kind = grams >> (TOKEN_BITS * order)
    return (kind << newest) | (grams & ((1 << newest) - 1))


def _count(documents: Sequence[Sequence[Ints]], order: int) -> tuple[Ints, Ints]:
    """The distinct n-grams of one order and how often each occurs."""
    grams = []
    for kind, of_kind in enumerate(documents):
        for ids in of_kind:
            padded = np.concatenate([[BOUNDARY], ids, [BOUNDARY]])
            packed = np.full(max(0, len(padded) - max(order, 2) + 1), kind, np.int64)
            first = 1 if order == 1 else 0  # the boundary before a document is not predicted
            for offset in range(first, first + order):
                packed = (packed << TOKEN_BITS) | padded[offset : offset + len(packed)]
            grams.append(packed)
    return np.unique(np.concatenate(grams), return_counts=True)


def _smooth(occurrences: tuple[Ints, Ints], longer: Ints | None, order: int) -> NgramCounts:
    """One order's n-grams with their discounted shares; `longer` are the n-grams one order up."""
    grams, seen = occurrences
    counts = seen
    if longer is not None:
        suffixes, preceding = np.unique(suffix_of(longer, order + 1), return_counts=True)
        counts = seen.copy()  # what begins a document has nothing before it: its plain count stays
        counts[np.searchsorted(grams, suffixes)] = preceding
    kinds = grams >> (TOKEN_BITS * order)
    discounted = counts - _discounts(kinds, counts)
    _, parent = np.unique(context_of(grams), return_inverse=True)
    totals = np.bincount(parent, counts)
    return NgramCounts(grams, seen * discounted / counts, discounted, discounted / totals[parent])


def _discounts(kinds: Ints, counts: Ints) -> Floats:
    """What Kneser-Ney takes off each count, estimated for each kind from its counts of counts."""
    discounts = np.empty(len(counts))
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        times = np.maximum(np.bincount(np.minimum(counts[of_kind], 5), minlength=6), 1)
        y = times[1] / (times[1] + 2 * times[2])
        by_count = np.array([0.0, *(n - (n + 1) * y * times[n + 1] / times[n] for n in (1, 2, 3))])
        by_count = by_count.clip([0, 0.1, 0.2, 0.3], [0, 0.9, 1.8, 2.7])  # tiny corpora
        discounts[of_kind] = by_count[np.minimum(counts[of_kind], 3)]
    return discounts


def _prune(levels: list[NgramCounts], threshold: float) -> list[NgramCounts]:
    """The n-grams worth their place, longest first so that a prefix knows who needs it."""
    gains = _gains(levels)
    kept: list[NgramCounts] = []
    for order in range(ORDER, 0, -1):
        level = levels[order - 1]
        stays = gains[order - 1] > threshold
        if order == 1:
            stays[:] = True
        elif kept:
            stays |= np.isin(level.grams, context_of(kept[0].grams))
        kept.insert(0, level.take(stays))
    return kept


def _gains(levels: list[NgramCounts]) -> list[Floats]:
    """Nats that each n-gram saves over backing off to its suffix."""
    probability = np.zeros(0)
    gains = []
    for order, level in enumerate(levels, start=1):
        _, parent = np.unique(context_of(level.grams), return_inverse=True)
        left = np.maximum(1 - np.bincount(parent, level.weights), 0)[parent]
        backed = left / (1 << TOKEN_BITS)
        if order > 1:
            backed = (
                left
                * probability[
                    np.searchsorted(levels[order - 2].grams, suffix_of(level.grams, order))
                ]
            )
        probability = level.weights + backed
        gains.append(level.seen * np.log(probability / backed))
    return gains
