"""How far an array with counts has come, and from where it can still be completed."""

from collections.abc import Iterator
from typing import NamedTuple

from sampler.errors import GrammarLimitError
from sampler.grammar.budget import check_time
from sampler.grammar.schema.shapes import CountedArrayShape, Option

MAX_STATES = 20_000


class Progress(NamedTuple):
    """`items` so far, and how many of them count for each count; as far as both matter."""

    items: int
    counts: tuple[int, ...]


def options_at(shape: CountedArrayShape, at: Progress) -> tuple[Option, ...]:
    """What the next item may be, if there may be one."""
    if at.items == shape.max_items:
        return ()
    return shape.prefix[at.items] if at.items < len(shape.prefix) else shape.rest


def after(shape: CountedArrayShape, at: Progress, option: Option) -> Progress | None:
    """Where an item leads; None where too many count then."""
    counts = []
    for number, (least, most) in enumerate(shape.limits):
        count = at.counts[number] + (number in option.counts)
        if most is not None and count > most:
            return None
        counts.append(count if most is not None else min(count, least))
    # whether there is an item matters always
    matters = shape.max_items or max(len(shape.prefix), shape.min_items, 1)
    return Progress(min(at.items + 1, matters), tuple(counts))


def may_end(shape: CountedArrayShape, at: Progress) -> bool:
    """Whether the array may end here."""
    enough = all(at.counts[c] >= least for c, (least, _) in enumerate(shape.limits))
    return enough and at.items >= shape.min_items


def live_states(shape: CountedArrayShape) -> frozenset[Progress]:
    """All that can be reached and completed; none if there is no such array.

    Raises
    ------
    GrammarLimitError : there are too many
    """
    start = Progress(0, (0,) * len(shape.limits))
    before: dict[Progress, list[Progress]] = {start: []}
    waiting = [start]
    while waiting:
        check_time()
        at = waiting.pop()
        for following in _following(shape, at):
            if following not in before:
                before[following] = []
                waiting.append(following)
            before[following].append(at)
        if len(before) > MAX_STATES:
            raise GrammarLimitError("places in an array with counts", len(before), MAX_STATES)
    live = {at for at in before if may_end(shape, at)}
    waiting = list(live)
    while waiting:
        for at in before[waiting.pop()]:
            if at not in live:
                live.add(at)
                waiting.append(at)
    return frozenset(live) if start in live else frozenset()


def _following(shape: CountedArrayShape, at: Progress) -> Iterator[Progress]:
    for option in options_at(shape, at):
        following = after(shape, at, option)
        if following is not None:
            yield following
