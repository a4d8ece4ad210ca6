"""Whether a language has a text, how short its shortest one is, and what its texts are.

Terms without and, not and assertions have a text by construction. For the others the derivatives
are searched for one that takes the empty text, the most promising first, and what is learnt about
any term on the way is kept on it: the terms that lead to a text have one, and those that a search
ended in without finding one have none.

Source: Brzozowski (1964), theorem 5.2: there are finitely many derivatives, so the search ends; how
far it may go is `MAX_STEPS`.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count

from sampler.errors import GrammarLimitError
from sampler.grammar.budget import check_time
from sampler.grammar.text.derivatives import row
from sampler.grammar.text.term_kinds import Alternation, Concat, Intersection, Repeat, chain
from sampler.grammar.text.terms import MAX_WORK, Term, bounded_work

MAX_STEPS = 20_000  # derivatives looked at to decide one question
_STEPS_A_LOOK = 64  # derivatives between two looks at the clock


def is_empty(term: Term) -> bool:
    """Whether `term` has no text.

    Raises
    ------
    GrammarLimitError : more than `MAX_STEPS` derivatives to look at, or the time is over
    """
    known = _known(term)
    if known is None:
        known = term.emptiness = _decide(term)
    return known


def _known(term: Term) -> bool | None:
    if term.nullable:
        return False
    if term.is_plain:
        return term is term.pool.empty
    if term.emptiness is None and isinstance(term, Intersection) and _is_window(term):
        return False
    return term.emptiness


def _is_window(term: Intersection) -> bool:
    """Whether `term` is a language with a window of lengths that its shortest text is in."""
    character = term.pool.character
    windows = [part for part in term.parts if isinstance(part, Repeat) and part.inner is character]
    if len(windows) != 1 or len(term.parts) != 2:
        return False
    (other,) = term.parts - {*windows}
    return other.is_exact and windows[0].shortest <= other.shortest <= windows[0].longest


def _decide(term: Term) -> bool:
    if isinstance(term, Alternation):
        return all(is_empty(part) for part in term.parts)
    if isinstance(term, Concat):
        return any(is_empty(part) for part in chain(term))
    if isinstance(term, Repeat):
        return is_empty(term.inner)
    with bounded_work(MAX_WORK):
        return _search(term)


def _search(root: Term) -> bool:
    """`is_empty` by looking at derivatives; what is found out is kept on all of them."""
    order = count(1)
    reached_from: dict[Term, Term | None] = {root: None}
    done: set[Term] = set()
    # Where no bound tells one way from another, one queue goes deep and the other one wide.
    queues = [(root.shortest, 0, root)], [(root.shortest, 0, root)]
    turn = 0
    while queues[turn]:
        term = heappop(queues[turn])[2]
        turn = 1 - turn
        if term in done:
            continue
        done.add(term)
        _spend(len(done))
        for part in _next(term)[1]:
            if part in reached_from:
                continue
            known = _known(part)
            if known is False:
                _mark_filled(term, reached_from)
                return False
            if known is None:
                reached_from[part] = term
                number = next(order)
                heappush(queues[0], (part.shortest, -number, part))
                heappush(queues[1], (part.shortest, number, part))
    for term in reached_from:
        term.emptiness = True
    return True


def _next(term: Term) -> tuple[int, Iterable[Term]]:
    """What the texts of `term` come from, and how many characters it takes to get there.

    Alternatives are gone into one by one, inside of intersections too: so the search goes through
    their combinations, of which there are fewer than there are sets of them.
    """
    if isinstance(term, Alternation):
        return 0, term.parts
    if isinstance(term, Intersection):
        choice = next((part for part in term.parts if isinstance(part, Alternation)), None)
        if choice is not None:
            others = term.parts - {choice}
            return 0, [term.pool.intersection((part, *others)) for part in choice.parts]
    return 1, dict.fromkeys(row(term)[1])


def _mark_filled(term: Term | None, reached_from: dict[Term, Term | None]) -> None:
    while term is not None:
        term.emptiness = False
        term = reached_from[term]


def _spend(steps: int) -> None:
    if steps > MAX_STEPS:
        raise GrammarLimitError("steps to see whether any text is possible", steps, MAX_STEPS)
    if steps % _STEPS_A_LOOK == 0:
        check_time()


def shortest_length(term: Term) -> int:
    """The number of code points of the shortest text of `term`, which is not empty.

    Raises
    ------
    GrammarLimitError : more than `MAX_STEPS` derivatives to look at
    """
    with bounded_work(MAX_WORK):
        return _shortest_length(term)


def _shortest_length(term: Term) -> int:
    order = count()
    lengths = {term: 0}
    pending = [(term.shortest, next(order), term)]
    while pending:
        bound, _, at = heappop(pending)
        if at.is_exact or at.nullable:
            return int(bound)
        step, parts = _next(at)
        length = lengths[at] + step
        _spend(len(lengths))
        for part in parts:
            if lengths.get(part, length + 1) > length and part is not term.pool.empty:
                lengths[part] = length
                heappush(pending, (length + part.shortest, next(order), part))
    raise ValueError("the language is empty")


def texts_of(term: Term, limit: int) -> list[str] | None:
    """All texts of `term`, the shortest first; None if there are more than `limit`.

    Raises
    ------
    GrammarLimitError : more than `MAX_STEPS` derivatives to look at
    """
    with bounded_work(MAX_WORK):
        return _texts_of(term, limit)


def _texts_of(term: Term, limit: int) -> list[str] | None:
    found: list[str] = []
    level = [] if is_empty(term) else [("", term)]
    steps = 0
    while level:
        found += [text for text, at in level if at.nullable]
        if len(found) > limit or len(level) > limit:
            return None
        following: list[tuple[str, Term]] = []
        for text, at in level:
            partition, targets = row(at)
            steps += 1
            _spend(steps)
            for number, target in enumerate(targets):
                if is_empty(target):
                    continue
                for low, high in partition.ranges(number):
                    if high - low >= limit:
                        return None
                    following += [(text + chr(point), target) for point in range(low, high + 1)]
        level = following
    return found
