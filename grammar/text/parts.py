"""Terms put together the way the grammars of standards are written."""

from functools import cache

from sampler.grammar.characters import Ranges, union
from sampler.grammar.text.terms import Term, TermPool

Part = Term | str


class Parts:
    """Terms of one pool; wherever a term is taken, a string stands for itself."""

    def __init__(self, pool: TermPool) -> None:
        self.pool = pool
        self._sets: dict[str, Term] = {}

    def one_of(self, characters: str) -> Term:
        """One character of a set such as ``"A-Za-z0-9_-"``; a hyphen at an end is itself."""
        known = self._sets.get(characters)
        if known is None:
            known = self._sets[characters] = self.pool.characters(ranges_of(characters))
        return known

    def sequence(self, *parts: Part) -> Term:
        """One part after the other."""
        return self.pool.concat(map(self.term, parts))

    def either(self, *parts: Part) -> Term:
        """One of the parts."""
        return self.pool.alternation(map(self.term, parts))

    def repeat(self, part: Part, low: int = 0, high: int | None = None) -> Term:
        """`part` at least `low` times and at most `high` times, None being any number."""
        return self.pool.repeat(self.term(part), low, high)

    def optional(self, *parts: Part) -> Term:
        """One part after the other, or nothing."""
        return self.pool.optional(self.sequence(*parts))

    def both(self, *parts: Term) -> Term:
        """What is each of the parts."""
        return self.pool.intersection(parts)

    def term(self, part: Part) -> Term:
        """A part as a term."""
        return self.pool.literal(part) if isinstance(part, str) else part


@cache
def ranges_of(characters: str) -> Ranges:
    """The code points of a set such as ``"A-Za-z0-9_-"``."""
    ranges, position = [], 0
    while position < len(characters):
        low = high = characters[position]
        if characters[position + 1 : position + 2] == "-" and position + 2 < len(characters):
            high = characters[position + 2]
            position += 2
        ranges.append((ord(low), ord(high)))
        position += 1
    return union(ranges)
