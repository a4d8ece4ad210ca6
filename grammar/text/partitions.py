"""Partitions of all code points into classes that a language does not tell apart.

A derivative is worked out once for each class instead of once for each code point: Owens, Reppy,
Turon, "Regular-expression derivatives re-examined" (2009), section 4.2. Partitions are interned, so
that the common refinement of two of them is worked out once for all the terms that have them.

Class 0 of every partition is the surrogates, U+D800 to U+DFFF, which are part of no text.

Rejected design: sets of ranges, intersected for each pair of derivatives. A class of Unicode
properties has hundreds of ranges, and the same two of them meet in every state.
"""

from bisect import bisect_right
from collections.abc import Iterable

from sampler.grammar.characters import Ranges

Run = tuple[int, int]  # first code point, label

_FIRST_SURROGATE, _BEYOND_SURROGATES = 0xD800, 0xE000


class Partition:
    """Classes of code points, numbered by their first code points; made by `Partitions` only.

    Attributes
    ----------
    starts : the first code point of each run of one class, ascending from 0
    ids : the class of each run
    count : the number of classes; 0 is the surrogates
    firsts : the first code point of each class
    """

    __slots__ = ("count", "firsts", "ids", "starts")

    def __init__(self, starts: tuple[int, ...], ids: tuple[int, ...]) -> None:
        self.starts = starts
        self.ids = ids
        self.count = max(ids) + 1
        firsts = dict(zip(reversed(ids), reversed(starts), strict=True))
        self.firsts = tuple(firsts[number] for number in range(self.count))

    def class_of(self, code_point: int) -> int:
        """The class that `code_point` is in."""
        return self.ids[bisect_right(self.starts, code_point) - 1]

    def projection(self, coarser: "Partition") -> tuple[int, ...]:
        """For each class the one of `coarser`, a partition that this one refines, around it."""
        starts, ids = coarser.starts, coarser.ids
        return tuple([ids[bisect_right(starts, first) - 1] for first in self.firsts])

    def ranges(self, number: int) -> Ranges:
        """The code points of one class."""
        ends = (*(start - 1 for start in self.starts[1:]), 0x10FFFF)
        return tuple(
            (start, end)
            for start, end, owner in zip(self.starts, ends, self.ids, strict=True)
            if owner == number
        )


Refinement = tuple[Partition, tuple[int, ...], tuple[int, ...]]


class Partitions:
    """Partitions, each of them once, and their common refinements."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], Partition] = {}
        self._refinements: dict[tuple[Partition, Partition], Refinement] = {}
        self.whole = self.of_runs([(0, 0)])

    def __len__(self) -> int:
        return len(self._known) + len(self._refinements)

    def of_runs(self, runs: Iterable[Run]) -> Partition:
        """The partition whose classes are the runs of equal labels; the first run starts at 0."""
        numbers: dict[int, int] = {}
        starts: list[int] = []
        ids: list[int] = []
        for start, label in _around_surrogates(runs):
            number = 0 if label is None else numbers.setdefault(label, len(numbers) + 1)
            if not ids or ids[-1] != number:
                starts.append(start)
                ids.append(number)
        key = (tuple(starts), tuple(ids))
        known = self._known.get(key)
        return known or self._known.setdefault(key, Partition(*key))

    def of_ranges(self, ranges: Ranges) -> Partition:
        """The partition into `ranges` and everything else."""
        runs: list[Run] = [(0, 0)]
        for low, high in ranges:
            runs += ((low, 1), (high + 1, 0))
        return self.of_runs(runs)

    def of_points(self, points: Iterable[int]) -> Partition:
        """The partition where each of `points` (ascending) is alone, beside everything else."""
        runs: list[Run] = [(0, 0)]
        for point in points:
            runs += ((point, point + 1), (point + 1, 0))
        return self.of_runs(runs)

    def refine(self, left: Partition, right: Partition) -> Refinement:
        """The common refinement, and for each of its classes the one of `left` and of `right`."""
        known = self._refinements.get((left, right))
        if known is None:
            refined = self.of_runs(_merged_runs(left, right))
            known = refined, refined.projection(left), refined.projection(right)
            self._refinements[left, right] = known
        return known


def _around_surrogates(runs: Iterable[Run]) -> Iterable[tuple[int, int | None]]:
    """The runs cut at the surrogates, which become a run of their own; empty runs are left out."""
    pending: Run | None = None
    is_before = True
    for start, label in (*runs, (0x110000, -1)):
        if pending is not None and pending[0] < start:
            if is_before and start > _FIRST_SURROGATE:
                is_before = False
                if pending[0] < _FIRST_SURROGATE:
                    yield pending
                yield _FIRST_SURROGATE, None
            if is_before:
                yield pending
            elif start > _BEYOND_SURROGATES:
                yield max(pending[0], _BEYOND_SURROGATES), pending[1]
        pending = (start, label)


def _merged_runs(left: Partition, right: Partition) -> list[Run]:
    starts = sorted({*left.starts, *right.starts})
    width = right.count
    runs: list[Run] = []
    at_left = at_right = -1
    for start in starts:
        if at_left + 1 < len(left.starts) and left.starts[at_left + 1] == start:
            at_left += 1
        if at_right + 1 < len(right.starts) and right.starts[at_right + 1] == start:
            at_right += 1
        runs.append((start, left.ids[at_left] * width + right.ids[at_right]))
    return runs
