"""Partitions of all code points into classes that a language does not tell apart.

A derivative is worked out once for each class instead of once for each code point: Owens, Reppy,
Turon, "Regular-expression derivatives re-examined" (2009), section 4.2. Partitions are interned, so
that the common refinement of two of them is worked out once for all the terms that have them.

Class 0 of every partition is the surrogates, U+D800 to U+DFFF, which are part of no text.

Rejected design: sets of ranges, intersected for each pair of derivatives. A class of Unicode
properties has hundreds of ranges, and the same two of them meet in every state.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from sampler.grammar.budget import spend
from sampler.grammar.characters import Ranges

Event = tuple[int, int]  # a code point, and what is added to the label from there on

_RUNS_OF_A_PIECE = 16  # that take the memory `spend` counts by
_FIRST_SURROGATE, _BEYOND_SURROGATES, _BEYOND_LAST = 0xD800, 0xE000, 0x110000


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
        self.whole = self.of_runs([0], [0])

    def __len__(self) -> int:
        return len(self._known) + len(self._refinements)

    def of_runs(self, starts: Sequence[int], labels: Sequence[int]) -> Partition:
        """The partition whose classes are the runs of equal labels; `starts` ascends from 0."""
        before = bisect_left(starts, _FIRST_SURROGATE)
        after = bisect_right(starts, _BEYOND_SURROGATES)
        starts = [*starts[:before], _FIRST_SURROGATE, _BEYOND_SURROGATES, *starts[after:]]
        labels = [*labels[:before], -1, *labels[after - 1 :]]
        numbers = {-1: 0}
        kept: list[int] = []
        ids: list[int] = []
        last = -1
        for start, label in zip(starts, labels, strict=True):
            number = numbers.setdefault(label, len(numbers))
            if number != last:
                kept.append(start)
                ids.append(number)
                last = number
        key = (tuple(kept), tuple(ids))
        known = self._known.get(key)
        return known or self._known.setdefault(key, Partition(*key))

    def of_ranges(self, ranges: Ranges) -> Partition:
        """The partition into `ranges` and everything else."""
        return self.of_events(event for low, high in ranges for event in ((low, 1), (high + 1, -1)))

    def of_points(self, points: Iterable[int]) -> Partition:
        """The partition where each of `points` is alone, beside everything else."""
        events: list[Event] = []
        for label, point in enumerate(points, 1):
            events += ((point, label), (point + 1, -label))
        return self.of_events(events)

    def of_events(self, events: Iterable[Event]) -> Partition:
        """The partition by the sum of the events up to each code point; sums are >= 0."""
        changes = {0: 0}
        for start, change in events:
            changes[start] = changes.get(start, 0) + change
        changes.pop(_BEYOND_LAST, None)
        starts = sorted(changes)
        return self.of_runs(starts, [*accumulate(map(changes.__getitem__, starts))])

    def refine(self, left: Partition, right: Partition) -> Refinement:
        """The common refinement, and for each of its classes the one of `left` and of `right`."""
        known = self._refinements.get((left, right))
        if known is None:
            spend(1 + (len(left.starts) + len(right.starts)) // _RUNS_OF_A_PIECE)
            refined = self.of_runs(*_merged(left, right))
            known = refined, refined.projection(left), refined.projection(right)
            self._refinements[left, right] = known
        return known


def _merged(left: Partition, right: Partition) -> tuple[list[int], list[int]]:
    starts = sorted({*left.starts, *right.starts})
    width = right.count
    of_left = dict(zip(left.starts, left.ids, strict=True))
    of_right = dict(zip(right.starts, right.ids, strict=True))
    labels = []
    at_left = at_right = 0
    for start in starts:
        at_left = of_left.get(start, at_left)
        at_right = of_right.get(start, at_right)
        labels.append(at_left * width + at_right)
    return starts, labels
