"""What is kept of a set of candidates, in NumPy: the truncations and what they are made of.

Nothing here sorts a vocabulary. The first k are those above the k-th highest value; the shortest
set of a given weight is found in a histogram, of which only one bin is sorted.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]

_BLOCK = 256
_BINS = 2048
_FARTHEST = 1024.0  # from the highest key; what is farther weighs nothing
_STRIPES = 64
_SUM_ERROR = 1e-9  # more than that of adding a vocabulary one by one, relative


def cumulative(weights: Floats) -> Floats:
    """The inclusive sums of float64[n], n >= 1, each within 1e-13 of the last one.

    One long chain of additions would be off by 1e-11: blocks of 256 and then their sums are not.
    """
    blocks = np.zeros((-(-len(weights) // _BLOCK), _BLOCK))
    blocks.ravel()[: len(weights)] = weights
    sums = blocks.cumsum(axis=1)
    sums[1:] += sums[:-1, -1].cumsum()[:, None]
    return sums.ravel()[: len(weights)]


def first(values: Floats, count: int) -> Indices:
    """The ascending indices of the `count` highest values, of equal ones those of lower index."""
    if count >= len(values):
        return np.arange(len(values))
    reached = np.flatnonzero(values >= _reached_by(values, count))
    bound = np.partition(values[reached], -count)[-count]
    kept = reached[values[reached] >= bound]
    last_ones = np.flatnonzero(values[kept] == bound)
    return np.delete(kept, last_ones[len(last_ones) - (len(kept) - count) :])


def _reached_by(values: Floats, count: int) -> float:
    """A bound that at least `count` of the values reach; hardly more where they are many.

    The maxima of stripes are that many different values, so their own first ones are such a bound.
    """
    width = len(values) // _STRIPES
    if width < count:
        return -np.inf
    maxima = values[: _STRIPES * width].reshape(_STRIPES, width).max(axis=0)
    return float(np.partition(maxima, -count)[-count])


def by_rank(values: Floats, count: int) -> Indices:
    """The indices of the `count` highest values, highest first, of equal ones lower index first."""
    kept = first(values, count)
    return kept[np.argsort(-values[kept], kind="stable")]


def shortest(keys: Floats, weights: Floats, limit: float, ranks: Floats | None = None) -> Indices:
    """The ascending indices of the highest keys, of equal ones lower index first, that weigh limit.

    Each stays whose higher ones weigh less than `limit`. Both are float64[n], n >= 1; keys are
    exponents of the weights or distances of them, not NaN. `ranks`, in their order, tells apart
    what rounding has made equal among the keys.
    """
    bins = _bins(keys)
    sums = np.bincount(bins, weights).cumsum()
    # the bins that the error of these sums leaves open; mostly one
    low = np.searchsorted(sums, limit * (1.0 - _SUM_ERROR))
    high = np.searchsorted(sums, limit * (1.0 + _SUM_ERROR))
    certain, opened = bins < low, np.flatnonzero((bins >= low) & (bins <= high))
    above = float(weights[certain].sum())
    ranked = opened[np.argsort(-(keys if ranks is None else ranks)[opened], kind="stable")]
    count = 1 + int(np.searchsorted(above + cumulative(weights[ranked]), limit))
    certain[ranked[:count]] = True
    return np.flatnonzero(certain)


def _bins(keys: Floats) -> npt.NDArray[np.int64]:
    """A bin for each key, in their order, 0 for the highest."""
    distance = np.minimum(keys.max() - keys, _FARTHEST)
    scale = (_BINS - 1) / max(float(distance.max()), 1e-300)
    bins: npt.NDArray[np.int64] = (distance * scale).astype(np.int64)
    return bins


class Candidates:
    """Ids that can be drawn, ascending, and what is known of each.

    Attributes
    ----------
    ids : integer[n], n >= 1
    z : float32[n], the edited logits, above -inf
    exponents : float64[n], (z - z_max) / T, of the z that there were at first; made when needed
    weights : float64[n], e ** exponents; made when needed
    """

    def __init__(self, ids: npt.NDArray[Any], z: Floats, temperature: float) -> None:
        self.ids = ids
        self.z = z
        self._highest = float(z.max())
        self._temperature = temperature

    @cached_property
    def exponents(self) -> Floats:
        """See the class."""
        exponents = self.z.astype(np.float64)
        exponents -= self._highest
        exponents /= self._temperature
        return exponents

    @cached_property
    def weights(self) -> Floats:
        """See the class."""
        weights: Floats = np.exp(self.exponents)
        return weights

    def keep(self, indices: Indices) -> None:
        """Nothing; all others are dropped."""
        known = self.__dict__
        for name in known.keys() & {"ids", "z", "exponents", "weights"}:
            known[name] = known[name][indices]

    def keep_top_k(self, count: int) -> None:
        """The `count` most probable ones, of equal ones those of lower id."""
        self.keep(first(self.z, count))

    def keep_top_p(self, share: float) -> None:
        """The shortest most probable set of this mass (Holtzman et al., arXiv 1904.09751, 3.1)."""
        limit = share * float(self.weights.sum())
        self.keep(shortest(self.exponents, self.weights, limit, self.z))

    def keep_typical(self, share: float) -> None:
        """The shortest most typical set of this mass (Meister et al., arXiv 2202.00666, 3.1).

        |-log p - entropy| is |centre - exponent|, the centre being the mean exponent.
        """
        mass = float(self.weights.sum())
        products = np.where(self.weights > 0.0, self.weights * self.exponents, 0.0)
        centre = float(products.sum()) / mass
        self.keep(shortest(-np.abs(centre - self.exponents), self.weights, share * mass))

    def keep_min_p(self, share: float) -> None:
        """Those at least `share` times as probable as the best (arXiv 2407.01082, section 3)."""
        self.keep(np.flatnonzero(self.weights >= share * self.weights.max()))
