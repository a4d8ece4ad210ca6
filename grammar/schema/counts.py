"""How many texts a language has: keys of an object must differ, so there must be enough of them."""

from collections.abc import Iterator

from sampler.grammar.text.dfa import TextDfa

MAX_LISTED = 64  # texts of a language that are listed one by one
_MAX_STATES = 2000  # looked at


def listed(dfa: TextDfa) -> tuple[str, ...] | None:
    """All texts, the shorter ones first, if there are up to `MAX_LISTED`; else None."""
    texts: list[str] = []
    for text in _texts(dfa):
        if text is None or len(texts) == MAX_LISTED:
            return None
        texts.append(text)
    return tuple(texts)


def count(dfa: TextDfa, limit: int) -> int:
    """How many texts there are; `limit` stands for that many and more.

    All states go on to some text, so there are at least as many as beginnings of one length.
    """
    found, level = 0, {dfa.start: 1} if dfa.start else {}
    while level:
        if found + sum(level.values()) >= limit:
            return limit
        following: dict[int, int] = {}
        for state, times in level.items():
            found += times * dfa.is_accepting(state)
            for first, last, after in _edges(dfa, state):
                following[after] = following.get(after, 0) + times * (last - first + 1)
        level = following
    return min(found, limit)


def _texts(dfa: TextDfa) -> Iterator[str | None]:
    """The texts in the order of their lengths; ends with None where they are too many."""
    level = [("", dfa.start)] if dfa.start else []
    while level:
        following: list[tuple[str, int]] = []
        for text, state in level:
            if dfa.is_accepting(state):
                yield text
            for first, last, after in _edges(dfa, state):
                if last - first > _MAX_STATES or len(following) > _MAX_STATES:
                    yield None
                    return
                following += [(text + chr(point), after) for point in range(first, last + 1)]
        level = following


def _edges(dfa: TextDfa, state: int) -> Iterator[tuple[int, int, int]]:
    """What leads on from `state`: the first and the last code point, and the next state."""
    row = dfa.row(state)
    ends = (*(start - 1 for start in dfa.class_starts[1:]), 0x10FFFF)
    for first, last, number in zip(dfa.class_starts, ends, dfa.class_ids, strict=True):
        if row[number]:
            yield first, last, row[number]


def runs_out(dfa: TextDfa) -> bool:
    """Whether some beginning of a text goes on in a limited number of ways, or is not known not to.

    Each such beginning can go on to a text that nothing longer begins with, whose state leads
    nowhere; so it is enough to look for those.
    """
    waiting, seen = [dfa.start], {0, dfa.start}
    while waiting:
        following = set(dfa.row(waiting.pop())) - {0}
        if not following or len(seen) > _MAX_STATES:
            return True
        waiting.extend(following - seen)
        seen |= following
    return False
