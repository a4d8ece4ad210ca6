"""The kinds of terms: what languages of texts are built of. `TermPool` in terms.py builds them."""

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Protocol

from sampler.errors import GrammarLimitError
from sampler.grammar.characters import Ranges
from sampler.grammar.text.partitions import Partition

if TYPE_CHECKING:
    from sampler.grammar.text.terms import TermPool

INFINITE = float("inf")
MAX_NESTING = 150  # terms in terms; what runs along them calls itself at each level
Row = tuple[Partition, tuple["Term", ...]]  # the derivative by each class of a partition


class Machine(Protocol):
    """A deterministic automaton given by code: a leaf for what is regular but no fun as a term.

    Attributes
    ----------
    symbols : the characters that it reads, each once, ascending; all others end in no state
    """

    symbols: str

    def step(self, state: Hashable, symbol: str) -> Hashable | None:
        """The next state, from which some text is accepted; None if there is none."""

    def accepts(self, state: Hashable) -> bool:
        """Whether a text may end in `state`."""


class Term:
    """A language of texts.

    Attributes
    ----------
    pool : what made it; terms of two pools never meet
    nullable : whether the empty text is one of its texts
    shortest, longest : bounds of the lengths of its texts, in code points
    is_plain : whether it is built without and, not and assertions, so that it has a text
        (but for `pool.empty`)
    is_exact : whether `shortest` is the length of a text
    has_assertions : whether it is a part of a pattern and only means something inside of `Placed`;
        then `nullable` says whether it takes the empty text whatever stands around it
    depth : how deeply terms are nested in it
    """

    __slots__ = (
        "__weakref__",
        "alphabet",
        "depth",
        "emptiness",
        "has_assertions",
        "is_exact",
        "is_plain",
        "longest",
        "nullable",
        "pool",
        "row",
        "shortest",
    )

    def __init__(self, pool: "TermPool", nullable: bool, shortest: float, longest: float) -> None:
        self.pool = pool
        self.nullable = nullable
        self.shortest = shortest
        self.longest = longest
        self.is_plain = self.is_exact = True
        self.has_assertions = False
        self.depth = 0
        self.row: Row | None = None  # kept by derivatives.py
        self.alphabet: Partition | None = None  # kept by derivatives.py
        self.emptiness: bool | None = None  # kept by emptiness.py

    def _nest(self, parts: Iterable["Term"]) -> None:
        """None; takes over what is true of this term because it is true of its parts."""
        for part in parts:
            self.is_plain &= part.is_plain
            self.is_exact &= part.is_exact
            self.has_assertions |= part.has_assertions
            self.depth = max(self.depth, part.depth + 1)
        if self.depth > MAX_NESTING:
            raise GrammarLimitError("nesting of a language of texts", self.depth, MAX_NESTING)

    def __or__(self, other: "Term") -> "Term":
        return self.pool.alternation((self, other))

    def __and__(self, other: "Term") -> "Term":
        return self.pool.intersection((self, other))

    def __invert__(self) -> "Term":
        return self.pool.complement(self)

    def __add__(self, other: "Term") -> "Term":
        return self.pool.before(self, other)


class Characters(Term):
    """One code point out of `ranges`; `member` is its class in `partition`."""

    __slots__ = ("member", "partition", "ranges")

    def __init__(self, pool: "TermPool", ranges: Ranges) -> None:
        super().__init__(pool, False, 1, 1)
        self.ranges = ranges
        self.partition = pool.partitions.of_ranges(ranges)
        self.member = self.partition.class_of(ranges[0][0])


class WordTable:
    """Sorted, distinct words; the same table is the same object."""

    __slots__ = ("words",)

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words


class Words(Term):
    """What follows after `at` characters in some words of a table that are equal up to there.

    They are those from number `low` to `high` - 1.
    """

    __slots__ = ("at", "high", "low", "table")

    def __init__(self, pool: "TermPool", table: WordTable, low: int, high: int, at: int) -> None:
        lengths = [len(word) - at for word in table.words[low:high]]
        super().__init__(pool, lengths[0] == 0, min(lengths), max(lengths))
        self.table, self.low, self.high, self.at = table, low, high, at


class Automaton(Term):
    """The texts that `machine` accepts from `state` on."""

    __slots__ = ("machine", "state")

    def __init__(self, pool: "TermPool", machine: Machine, state: Hashable) -> None:
        super().__init__(pool, machine.accepts(state), 0, INFINITE)
        self.machine, self.state = machine, state
        self.is_exact = self.nullable


class Concat(Term):
    """A text of `first`, which is no `Concat`, and then one of `rest`."""

    __slots__ = ("first", "rest")

    def __init__(self, pool: "TermPool", first: Term, rest: Term) -> None:
        super().__init__(
            pool,
            first.nullable and rest.nullable,
            first.shortest + rest.shortest,
            first.longest + rest.longest,
        )
        self.first, self.rest = first, rest
        self._nest((first, rest))
        self.depth = max(first.depth + 1, rest.depth)  # chains are walked, not descended


class Repeat(Term):
    """Texts of `inner`, `low` to `high` times; `high` None is without end."""

    __slots__ = ("high", "inner", "low")

    def __init__(self, pool: "TermPool", inner: Term, low: int, high: int | None) -> None:
        longest = inner.longest * high if high is not None else INFINITE
        super().__init__(pool, low == 0 or inner.nullable, inner.shortest * low, longest)
        self.inner, self.low, self.high = inner, low, high
        self._nest((inner,))


class Alternation(Term):
    """A text of any of `parts`, of which there are at least two."""

    __slots__ = ("parts",)

    def __init__(self, pool: "TermPool", parts: frozenset[Term]) -> None:
        super().__init__(
            pool,
            any(part.nullable for part in parts),
            min(part.shortest for part in parts),
            max(part.longest for part in parts),
        )
        self.parts = parts
        self._nest(parts)


class Intersection(Term):
    """The texts that all of `parts` have, of which there are at least two."""

    __slots__ = ("parts",)

    def __init__(self, pool: "TermPool", parts: frozenset[Term]) -> None:
        super().__init__(
            pool,
            all(part.nullable for part in parts),
            max(part.shortest for part in parts),
            min(part.longest for part in parts),
        )
        self.parts = parts
        self._nest(parts)
        self.is_plain = self.is_exact = False


class Complement(Term):
    """All texts that `inner` does not have."""

    __slots__ = ("inner",)

    def __init__(self, pool: "TermPool", inner: Term) -> None:
        super().__init__(pool, not inner.nullable, int(inner.nullable), INFINITE)
        self.inner = inner
        self._nest((inner,))
        self.is_plain = self.is_exact = False


def chain(term: Term) -> Iterable[Term]:
    """The terms that `term` is a concatenation of."""
    while isinstance(term, Concat):
        yield term.first
        term = term.rest
    yield term
