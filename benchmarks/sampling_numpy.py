"""What one would write with NumPy: the textbook way, and the best one that avoids sorting.

Both end in the same few lines over candidates in rank order; they differ in how they find these.
Sums are float64, so that the kept sets are those of the definition.
"""

from typing import Any

import numpy as np

from benchmarks.sampling_contenders import Contender, Distribution, uses
from benchmarks.sampling_rows import SEED, Array, Chain, Problem

BLOCKS = 64  # rows of the grid whose column maxima bound the k-th largest logit


class NumpySort(Contender):
    """Ranks the row by a sort, or by a partition where top-k follows, and cuts it."""

    name = "numpy-sort"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.context = problem.context
        self.everything = np.arange(problem.vocab_size)
        self.inputs = list(zip(problem.logits, problem.bitmasks, strict=True))
        self.generator = np.random.default_rng(SEED)
        self.ranks = uses(problem.chain, "top_k", "top_p", "typical_p")

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        return "has no green list" if uses(chain, "watermark") else super().refuses(chain)

    def step(self, one: Any) -> tuple[list[int], list[float]]:
        drawn = [self._draw(*self._kept(row, mask)) for row, mask in rows_of(one)]
        return [token_id for token_id, _ in drawn], [logprob for _, logprob in drawn]

    def distributions(self, one: Any) -> list[Distribution]:
        found = []
        for row, mask in rows_of(one):
            ids, weights, total = self._kept(row, mask)
            with np.errstate(divide="ignore"):  # a weight may be 0
                found.append((ids, np.log(weights / total)))
        return found

    def places(self, values: Array) -> Array:
        """Where the values that top-k can keep stand, ascending; everywhere without top-k."""
        k = self.given.top_k
        if not 0 < k < len(values):
            return np.arange(len(values))
        return np.flatnonzero(values >= np.partition(values, -k)[-k])

    def _kept(self, row: Array, mask: Array | None) -> tuple[Array, Array, float]:
        """Ids, their weights and the total; greedy: the best id and the total of the row."""
        ids, values = self._allowed(row, mask)
        if self.given.is_greedy:
            best = int(values.argmax())
            total = np.exp(values - values[best]).sum(dtype=float)
            return np.array([ids[best]]), np.ones(1), float(total)
        if self.ranks:
            places = self.places(values)
            order = np.argsort(-values[places], kind="stable")
            chosen = places[order][: self.given.top_k or None]
            ids, values = ids[chosen], values[chosen]
        weights = np.exp((values - values.max()) / np.float32(self.given.temperature))
        return truncated(ids, weights, self.given)

    def _allowed(self, row: Array, mask: Array | None) -> tuple[Array, Array]:
        """The ids that the mask allows and their logits, penalised."""
        if len(self.context):
            row = row.copy()
            z, penalty = row[self.context], np.float32(self.given.repetition_penalty)
            row[self.context] = np.where(z < 0, z * penalty, z / penalty)
        if mask is None:
            return self.everything, row
        bits = np.unpackbits(mask.view(np.uint8), count=len(row), bitorder="little")
        ids = np.flatnonzero(bits.view(bool))
        return ids, row[ids]

    def _draw(self, ids: Array, weights: Array, total: float) -> tuple[int, float]:
        place = 0
        if len(ids) > 1:
            sums = np.cumsum(weights, dtype=float)
            place = int(np.searchsorted(sums, self.generator.random() * sums[-1], side="right"))
        return int(ids[place]), float(np.log(weights[place] / total))


class NumpyBlocks(NumpySort):
    """Bounds the k-th largest logit by the maxima of columns of a grid, and reads those above.

    At least k of the maxima reach the k-th largest of them, so nothing below it is in the first k.
    """

    name = "numpy-blocks"

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        return super().refuses(chain) if uses(chain, "top_k") else "needs top-k"

    def places(self, values: Array) -> Array:
        width, k = len(values) // BLOCKS, self.given.top_k
        if width < k:
            return super().places(values)
        grid = values[: BLOCKS * width].reshape(BLOCKS, width)
        maxima = grid.max(axis=0)
        bound = np.partition(maxima, -k)[-k]
        columns = np.flatnonzero(maxima >= bound)
        blocks, chosen = np.nonzero(grid[:, columns] >= bound)
        rest = np.flatnonzero(values[BLOCKS * width :] >= bound)
        return np.concatenate([blocks * width + columns[chosen], BLOCKS * width + rest])


def rows_of(one: tuple[Array, Array | None]) -> list[tuple[Array, Array | None]]:
    """Each row of a set with its mask."""
    logits, bitmask = one
    return [(row, None if bitmask is None else bitmask[b]) for b, row in enumerate(logits)]


def truncated(ids: Array, weights: Array, given: Any) -> tuple[Array, Array, float]:
    """What top-p, typical-p and min-p leave of ranked ids, and the total weight."""
    if given.top_p < 1.0:
        ids, weights = cut(ids, weights, given.top_p)
    if given.typical_p < 1.0:
        probs = weights / weights.sum(dtype=float)
        surprise = -np.log(np.maximum(probs, np.finfo(float).tiny))
        order = np.argsort(np.abs(surprise - (probs * surprise).sum()), kind="stable")
        ids, weights = cut(ids[order], weights[order], given.typical_p)
    if given.min_p > 0.0:
        stays = weights >= given.min_p * weights.max()
        ids, weights = ids[stays], weights[stays]
    return ids, weights, float(weights.sum(dtype=float))


def cut(ids: Array, weights: Array, p: float) -> tuple[Array, Array]:
    """The first of an order whose predecessors hold less than p of the mass."""
    sums = np.cumsum(weights, dtype=float)
    count = 1 + int(np.searchsorted(sums[:-1], p * sums[-1]))
    return ids[:count], weights[:count]
