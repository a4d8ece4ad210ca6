"""Regular languages of texts as terms, closed under and, or and not.

A term is immutable and belongs to a `TermPool`, which makes each term once: equal terms are the
same object, and what is found out about one (its derivatives, whether it is empty) is kept on it.
A text is a sequence of code points without surrogates. Derivatives are in `derivatives.py`, the
question whether a language is empty in `emptiness.py`; the kinds are in `term_kinds.py`. Only
`TermPool` builds them, and brings them into a normal form, so that there are finitely many
derivatives:

    (a b) c = a (b c)      x | x = x      a | b = b | a      x | nothing = x      ~~x = x
    x{2} x* = x{2,}        x{1,3} y | x{2,5} y = x{1,5} y    [ab] & [bc] = [b]    ...

Sources: Brzozowski, "Derivatives of Regular Expressions" (1964); Owens, Reppy, Turon,
"Regular-expression derivatives re-examined" (2009).

Rejected design: automata instead of terms. Complement needs a deterministic one, all of it.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

from sampler.errors import GrammarLimitError
from sampler.grammar import characters
from sampler.grammar.budget import spend
from sampler.grammar.characters import Ranges
from sampler.grammar.text.partitions import Partitions
from sampler.grammar.text.term_kinds import (
    INFINITE,
    Alternation,
    Automaton,
    Characters,
    Complement,
    Concat,
    Intersection,
    Machine,
    Repeat,
    Term,
    Words,
    WordTable,
    chain,
)

__all__ = ["MAX_WORK", "Machine", "Term", "TermPool", "bounded_work", "current_pool"]

MAX_PARTS = 2000  # of one alternation or intersection
_FEW_PARTS = 8  # that are put together without counting it as work
MAX_WORK = 2_000_000  # parts put together to answer one question; about a second
SCALARS: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))  # all code points that texts are made of

_T = TypeVar("_T", bound=Term)


class _Work(threading.local):
    left = INFINITE


_work = _Work()


@contextmanager
def bounded_work(limit: float) -> Iterator[None]:
    """While it is open, this thread may put together `limit` parts of alternations and the like.

    Raises
    ------
    GrammarLimitError : inside, when it wants to put together more
    """
    before = _work.left
    _work.left = min(before, limit)
    allowed = _work.left
    try:
        yield
    finally:
        _work.left = before - (allowed - _work.left)


def _count_work(parts: set[Term]) -> None:
    if len(parts) > _FEW_PARTS:
        spend(len(parts) // _FEW_PARTS)
        _work.left -= len(parts)
        if _work.left < 0:
            raise GrammarLimitError("work on a language of texts", f"> {MAX_WORK}", MAX_WORK)
    if len(parts) > MAX_PARTS:
        raise GrammarLimitError("parts of a language of texts", len(parts), MAX_PARTS)


class TermPool:
    """Terms, each of them once.

    Several threads may use a pool: everything that is kept is kept by one operation of a `dict`.

    Attributes
    ----------
    partitions : the classes of code points that derivatives are taken by
    empty : the language without a text
    epsilon : the language of the empty text alone
    character : any one code point
    anything : all texts
    patterns : regular expressions that have been read, by what they were read with
    """

    def __init__(self) -> None:
        self.partitions = Partitions()
        self._terms: dict[Any, Term] = {}
        self.patterns: dict[Hashable, Term] = {}
        self._word_count = 0  # of tables
        self._tables: dict[tuple[str, ...], WordTable] = {}
        self.empty = Term(self, False, INFINITE, -1)
        self.epsilon = Term(self, True, 0, 0)
        self.empty.row = self.epsilon.row = (self.partitions.whole, (self.empty, self.empty))
        self.character = self.characters(SCALARS)
        self.anything = self.repeat(self.character, 0)
        self._first_terms = dict(self._terms)

    def __len__(self) -> int:
        return len(self._terms) + len(self.partitions) + len(self.patterns) + self._word_count // 8

    def forget(self) -> None:
        """None; frees the terms that nobody holds: not even this pool does so any more.

        Equal terms that are made later are other objects. That costs time and changes no language.
        """
        self._terms = dict(self._first_terms)
        self.patterns = {}
        self._tables = {}
        self._word_count = 0

    def interned(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The term kept under `key`, made by `make` the first time."""
        known = self._terms.get(key)
        if known is None:
            spend()
            known = self._terms.setdefault(key, make())
        return known  # type: ignore[return-value]

    def characters(self, ranges: Iterable[tuple[int, int]]) -> Term:
        """One code point out of `ranges`, which may overlap and stand in any order."""
        united = characters.union(ranges)
        if united and united[-1][1] >= SCALARS[0][1]:
            united = characters.intersection(united, SCALARS)
        return self._characters(united)

    def _characters(self, ranges: Ranges) -> Term:
        if not ranges:
            return self.empty
        return self.interned((Characters, ranges), lambda: Characters(self, ranges))

    def literal(self, text: str) -> Term:
        """`text` alone."""
        if _has_surrogates(text):
            return self.empty
        if len(text) < 2:
            return self._characters(((ord(text), ord(text)),)) if text else self.epsilon
        return self.interned((Words, text), lambda: Words(self, WordTable((text,)), 0, 1, 0))

    def words(self, texts: Iterable[str]) -> Term:
        """The texts in `texts`; those with surrogates are none."""
        words = tuple(sorted(text for text in set(texts) if not _has_surrogates(text)))
        table = self._tables.get(words)
        if table is None:
            table = self._tables.setdefault(words, WordTable(words))
            self._word_count += len(words)
        return self.words_from(table, 0, len(words), 0)

    def words_from(self, table: WordTable, low: int, high: int, at: int) -> Term:
        """What follows after `at` characters in some words of `table`; see `Words`."""
        if low == high:
            return self.empty
        if high - low == 1:
            return self.literal(table.words[low][at:])
        key = (Words, table, low, high, at)
        return self.interned(key, lambda: Words(self, table, low, high, at))

    def automaton(self, machine: Machine, state: Hashable) -> Term:
        """The texts that `machine` accepts from `state` on, of which there must be one."""
        key = (Automaton, machine, state)
        return self.interned(key, lambda: Automaton(self, machine, state))

    def concat(self, terms: Iterable[Term]) -> Term:
        """Texts of `terms`, one after the other."""
        result = self.epsilon
        for term in reversed(tuple(terms)):
            result = self.before(term, result)
        return result

    def before(self, first: Term, rest: Term) -> Term:
        """A text of `first` and then one of `rest`."""
        if first is self.epsilon or rest is self.empty:
            return rest
        if rest is self.epsilon or first is self.empty:
            return first
        if isinstance(first, Concat):
            return self.concat((*chain(first), rest))
        known = self._terms.get((Concat, first, rest))
        if known is not None:
            return known
        head, tail = (rest.first, rest.rest) if isinstance(rest, Concat) else (rest, self.epsilon)
        result: Term
        if _repeated(first)[0] is _repeated(head)[0] and not first.has_assertions:
            (inner, low, high), (_, more, most) = _repeated(first), _repeated(head)
            both = None if high is None or most is None else high + most
            result = self.before(self.repeat(inner, low + more, both), tail)
        else:
            result = Concat(self, first, rest)
        return self._terms.setdefault((Concat, first, rest), result)

    def star(self, term: Term) -> Term:
        """Texts of `term`, any number of them."""
        return self.repeat(term, 0)

    def optional(self, term: Term) -> Term:
        """A text of `term`, or the empty text."""
        return self.alternation((term, self.epsilon))

    def repeat(self, term: Term, low: int, high: int | None = None) -> Term:
        """Texts of `term`, `low` to `high` times, `high` None is without end."""
        if high is not None and high < low:
            return self.empty
        if high == 0 or term is self.epsilon:
            return self.epsilon
        if term is self.empty:
            return self.epsilon if low == 0 else self.empty
        if term.longest == 0:  # an assertion: once or not at all
            return term if low > 0 else self.epsilon
        if term.nullable:
            low = 0
        if (low, high) == (1, 1):
            return term
        if isinstance(term, Repeat) and term.low <= 1 and not term.has_assertions:
            most = None if high is None or term.high is None else high * term.high
            return self.repeat(term.inner, low * term.low, most)
        return self.interned((Repeat, term, low, high), lambda: Repeat(self, term, low, high))

    def alternation(self, terms: Iterable[Term]) -> Term:
        """A text of any of `terms`."""
        parts: set[Term] = set()
        for term in terms:
            if isinstance(term, Alternation):
                parts |= term.parts
            else:
                parts.add(term)
        parts.discard(self.empty)
        if len(parts) <= 1:
            return parts.pop() if parts else self.empty
        if self.anything in parts:
            return self.anything
        _count_work(parts)
        key = (Alternation, frozenset(parts))
        known = self._terms.get(key)
        return known or self._terms.setdefault(key, self._alternation(parts))

    def _alternation(self, parts: set[Term]) -> Term:
        self._unite_characters(parts)
        self._unite_repeats(parts)
        if self.epsilon in parts and any(
            part.nullable for part in parts if part is not self.epsilon
        ):
            parts.remove(self.epsilon)
        if any(isinstance(part, Complement) and part.inner in parts for part in parts):
            return self.anything
        if len(parts) == 1:
            return parts.pop()
        united = frozenset(parts)
        return self.interned((Alternation, united), lambda: Alternation(self, united))

    def _unite_characters(self, parts: set[Term]) -> None:
        """None; one term for all sets of characters."""
        sets = [part for part in parts if isinstance(part, Characters)]
        if len(sets) > 1:
            parts.difference_update(sets)
            parts.add(self.characters(pair for part in sets for pair in part.ranges))

    def _unite_repeats(self, parts: set[Term]) -> None:
        """None; one term for ``x{1,3} y | x{2,5} y`` and the like."""
        groups: dict[tuple[Term, Term], list[tuple[int, int | None, Term]]] = {}
        for part in parts:
            head, tail = (
                (part.first, part.rest) if isinstance(part, Concat) else (part, self.epsilon)
            )
            if isinstance(head, Repeat):
                groups.setdefault((head.inner, tail), []).append((head.low, head.high, part))
        for (inner, tail), found in groups.items():
            if len(found) > 1:
                parts.difference_update(part for _, _, part in found)
                for low, high in _united((low, high) for low, high, _ in found):
                    parts.add(self.before(self.repeat(inner, low, high), tail))

    def intersection(self, terms: Iterable[Term]) -> Term:
        """The texts that all of `terms` have; of no terms, all texts."""
        parts: set[Term] = set()
        for term in terms:
            if isinstance(term, Intersection):
                parts |= term.parts
            else:
                parts.add(term)
        parts.discard(self.anything)
        if len(parts) <= 1:
            return parts.pop() if parts else self.anything
        if self.empty in parts:
            return self.empty
        _count_work(parts)
        key = (Intersection, frozenset(parts))
        known = self._terms.get(key)
        return known or self._terms.setdefault(key, self._intersection(parts))

    def _intersection(self, parts: set[Term]) -> Term:
        if self.epsilon in parts:
            return self.epsilon if all(part.nullable for part in parts) else self.empty
        self._meet_runs(parts)
        if any(isinstance(part, Complement) and part.inner in parts for part in parts):
            return self.empty
        if max(part.shortest for part in parts) > min(part.longest for part in parts):
            return self.empty
        if len(parts) == 1:
            return parts.pop()
        met = frozenset(parts)
        return self.interned((Intersection, met), lambda: Intersection(self, met))

    def _meet_runs(self, parts: set[Term]) -> None:
        """None; one term for ``[ab]{1,3} & [bc]{2,}`` and the like."""
        runs = [part for part in parts if isinstance(_repeated(part)[0], Characters)]
        if len(runs) < 2:
            return
        parts.difference_update(runs)
        ranges, low, high = SCALARS, 0, None
        for inner, least, most in map(_repeated, runs):
            ranges = characters.intersection(ranges, inner.ranges)  # type: ignore[attr-defined]
            low = max(low, least)
            high = most if high is None else high if most is None else min(high, most)
        parts.add(self.repeat(self._characters(ranges), low, high))

    def complement(self, term: Term) -> Term:
        """All texts that `term` does not have."""
        if isinstance(term, Complement):
            return term.inner
        if term is self.empty or term is self.anything:
            return self.anything if term is self.empty else self.empty
        inner, low, high = (self.character, 0, 0) if term is self.epsilon else _repeated(term)
        if inner is self.character:
            longer = self.empty if high is None else self.repeat(inner, high + 1)
            shorter = self.empty if low == 0 else self.repeat(inner, 0, low - 1)
            return self.alternation((shorter, longer))
        return self.interned((Complement, term), lambda: Complement(self, term))


def _repeated(term: Term) -> tuple[Term, int, int | None]:
    return (term.inner, term.low, term.high) if isinstance(term, Repeat) else (term, 1, 1)


def _united(bounds: Iterable[tuple[int, int | None]]) -> Iterable[tuple[int, int | None]]:
    """The same numbers with the intervals that touch made one."""
    low, high = 0, -1
    for least, most in sorted(bounds, key=lambda pair: pair[0]):
        if least > high + 1:
            if high >= low:
                yield low, high
            low, high = least, -1
        if most is None:
            yield low, None
            return
        high = max(high, most)
    yield low, high


def _has_surrogates(text: str) -> bool:
    return not text.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in text)


MAX_POOL = 60_000  # terms and partitions, of which each takes about half a kibibyte
_current = TermPool()
_outgrown: "WeakSet[TermPool]" = WeakSet()


def current_pool() -> TermPool:
    """The pool for what is built now; ask once and build with that one throughout.

    It is a fresh one when the pool before has grown past `MAX_POOL`. That lives on with the terms
    that somebody holds, and forgets the others whenever it has outgrown that again: one small
    grammar that is kept must not keep the terms of a huge one that was given up.
    """
    global _current
    if len(_current) > MAX_POOL:
        _outgrown.add(_current)
        _current = TermPool()
    for pool in list(_outgrown):
        if len(pool) > MAX_POOL:
            pool.forget()
    return _current
