"""Deterministic automata of languages of texts, derived while they are used.

A state is a derivative that has a text; 0 is the one that has none. Code points come in classes, so
that a state is one short row. Nothing is derived before it is asked for: making a `TextDfa` takes
microseconds, a new row some tens of them.

Rejected design: a table of all states. Intersections and complements have very many, and a text
goes through few.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sampler.errors import GrammarLimitError
from sampler.forking import call_in_children
from sampler.grammar.text.derivatives import alphabet, row
from sampler.grammar.text.emptiness import is_empty, shortest_length
from sampler.grammar.text.growth import PLAIN, grows, takes_plain_text
from sampler.grammar.text.partitions import Partition
from sampler.grammar.text.term_kinds import INFINITE, Characters, Complement, Repeat, Words
from sampler.grammar.text.terms import MAX_WORK, Term, bounded_work

if TYPE_CHECKING:  # program.py needs TextDfa to be there
    from sampler.grammar.engine.program import Spelling, Text

MAX_STATES = 100_000
_FEW_STATES = 24  # how far is looked for what is only good to know
_STATE_BYTES = 700  # a term with what it has, and its place here


class TextDfa:
    """The automaton of a term; several threads may use one at the same time.

    Attributes
    ----------
    class_starts : the first code point of each run of one class, ascending from 0
    class_ids : the class of each run; that of the surrogates is 0 and leads nowhere
    class_count : the number of classes
    start : the first state; 0 if the language is empty
    """

    def __init__(self, term: Term) -> None:
        self._partition = alphabet(term)
        self.class_starts = self._partition.starts
        self.class_ids = self._partition.ids
        self.class_count = self._partition.count
        empty = term.pool.empty
        self._terms = [empty]
        self._states = {empty: 0}
        self._rows: list[list[int] | None] = [[0] * self.class_count]
        self._projections: dict[Partition, tuple[int, ...]] = {}
        self._shortest: dict[int, int] = {}
        self._taking: dict[int, bool] | None = None
        self._plain_classes: list[int] = []
        self._has_any_length: bool | None = None
        self._renew_lock()
        call_in_children(self._renew_lock)
        self.start = self._state(term)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _state(self, term: Term) -> int:
        known = self._states.get(term)
        if known is None:
            if is_empty(term):
                known = 0
            else:
                known = len(self._terms)
                if known > MAX_STATES:
                    raise GrammarLimitError("states of a language of texts", known, MAX_STATES)
                self._terms.append(term)
                self._rows.append(None)
            self._states[term] = known
        return known

    def row(self, state: int) -> list[int]:
        """The next state for each class of code points; not to be changed.

        Raises
        ------
        GrammarLimitError : the language has grown past a limit
        """
        known = self._rows[state]
        if known is not None:
            return known
        with self._lock, bounded_work(MAX_WORK):
            partition, targets = row(self._terms[state])
            projection = self._projections.get(partition)
            if projection is None:
                projection = self._partition.projection(partition)
                self._projections[partition] = projection
            states = [self._state(target) for target in targets]
            derived = [states[number] for number in projection]
            self._rows[state] = derived
        return derived

    @property
    def excluded_words(self) -> Sequence[str] | None:
        """The words that are left out, sorted, where all other texts are in; else None."""
        term = self._terms[self.start]
        if isinstance(term, Complement) and isinstance(term.inner, Words) and term.inner.at == 0:
            return term.inner.table.words[term.inner.low : term.inner.high]
        return None

    def class_of(self, code_point: int) -> int:
        """The class of a code point."""
        return self._partition.class_of(code_point)

    def is_accepting(self, state: int) -> bool:
        """Whether a text may end in `state`."""
        return self._terms[state].nullable

    def shortest(self, state: int) -> int:
        """The number of code points of the shortest text from `state` (not 0) on."""
        term = self._terms[state]
        if term.is_exact:
            return int(term.shortest)
        known = self._shortest.get(state)
        if known is None:
            known = self._shortest[state] = shortest_length(term)
        return known

    def takes_everything(self, state: int) -> bool:
        """Whether each text of `PLAIN` characters leads from `state` to a state that is not 0.

        False may also mean that it takes long to find out.
        """
        if self._taking is None:
            self._taking = {0: False}
            self._plain_classes = sorted(
                {number for low, high in PLAIN for number in self._classes(low, high)} - {0}
            )
        known = self._taking.get(state)
        if known is None:
            known = self._taking[state] = self._takes_everything(state)
        return known

    def _classes(self, low: int, high: int) -> Iterable[int]:
        first = bisect_right(self.class_starts, low) - 1
        return self.class_ids[first : bisect_right(self.class_starts, high)]

    def _takes_everything(self, state: int) -> bool:
        if self._terms[state].longest < INFINITE:
            return False
        seen, pending = {state}, [state]
        while pending:
            at = pending.pop()
            if takes_plain_text(self._terms[at]):
                continue
            row = self.row(at)
            following = {row[number] for number in self._plain_classes} - seen
            seen |= following
            pending += following
            if 0 in following or len(seen) > _FEW_STATES:
                return False
        return True

    @property
    def has_any_length(self) -> bool:
        """Whether there is a longer text by one for each text from any state on.

        Then a minimum and a maximum of the length can be counted beside the automaton. False may
        also mean that it takes long to find out.
        """
        if self._has_any_length is None:
            self._has_any_length = self._every_text_grows()
        return self._has_any_length

    def _every_text_grows(self) -> bool:
        """Whether each accepting state leads to an accepting state."""
        seen, pending = {self.start}, [self.start]
        while pending:
            at = pending.pop()
            term = self._terms[at]
            if grows(term):
                continue
            if term.longest < INFINITE or len(seen) > _FEW_STATES:
                return False
            following = {*self.row(at)} - {0}
            if term.nullable and not any(map(self.is_accepting, following)):
                return False
            pending += following - seen
            seen |= following
        return self.start != 0

    @property
    def is_half_full(self) -> bool:
        """Whether the limit of states is nearer than the beginning."""
        return 2 * len(self._terms) > MAX_STATES

    @property
    def nbytes(self) -> int:
        """An estimate of the memory that this automaton takes."""
        rows = sum(known is not None for known in self._rows)
        return len(self._terms) * _STATE_BYTES + rows * (56 + 8 * self.class_count)


_shared: WeakValueDictionary[Term, TextDfa] = WeakValueDictionary()


def dfa_of(term: Term) -> TextDfa:
    """The automaton of `term`, the same one for everybody as long as anybody has it.

    Where it has grown, it is another one from then on.
    """
    known = _shared.get(term)
    if known is None or known.is_half_full:
        known = _shared[term] = TextDfa(term)
    return known


def text_of(
    term: Term,
    spelling: "Spelling",
    min_length: int = 0,
    max_length: int | None = None,
) -> "Text | None":
    """The texts of `term` of a length in a window, or None if there are none.

    The window is counted beside the automaton where that is exact, and else becomes a part of it.

    Parameters
    ----------
    term : the language; its pool keeps the automaton for the next one who asks
    spelling : how the characters are written
    min_length, max_length : in code points; `max_length` None is no maximum

    Raises
    ------
    GrammarLimitError : the language is too large to tell
    """
    from sampler.grammar.engine.program import Text

    pool = term.pool
    if isinstance(term, Repeat) and isinstance(term.inner, Characters):  # a window of its own
        min_length = max(min_length, term.low)
        max_length = _least(max_length, term.high)
        term = pool.star(term.inner)
    if max_length is not None and term.longest <= max_length:
        max_length = None
    if term.shortest >= min_length:
        min_length = 0
    dfa = dfa_of(term)
    if (min_length, max_length) == (0, None):
        return Text(dfa, spelling) if dfa.start else None
    if not dfa.has_any_length:
        dfa = dfa_of(term & pool.repeat(pool.character, min_length, max_length))
        return Text(dfa, spelling) if dfa.start else None
    if max_length is not None and max(min_length, dfa.shortest(dfa.start)) > max_length:
        return None
    return Text(dfa, spelling, min_length, -1 if max_length is None else max_length)


def _least(left: int | None, right: int | None) -> int | None:
    return left if right is None else right if left is None else min(left, right)
