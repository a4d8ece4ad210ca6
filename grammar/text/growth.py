"""What can be seen of a language without deriving it; False may mean that it cannot be seen."""

from sampler.grammar import characters
from sampler.grammar.text.emptiness import is_empty
from sampler.grammar.text.term_kinds import (
    INFINITE,
    Alternation,
    Characters,
    Complement,
    Concat,
    Intersection,
    Repeat,
    chain,
)
from sampler.grammar.text.terms import Term

# What may stand in a JSON string as it is.
PLAIN = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, 0x10FFFF))


def takes_plain_text(term: Term) -> bool:
    """Whether `term` has a text that begins with t, for each text t of `PLAIN` characters."""
    if term.longest < INFINITE:
        return False
    if isinstance(term, Repeat):
        return term.high is None and _is_wide(term.inner)
    if isinstance(term, Concat):
        return takes_plain_text(term.first) and not is_empty(term.rest)
    if isinstance(term, Alternation):
        return any(map(takes_plain_text, term.parts))
    if isinstance(term, Complement):
        return term.inner.longest < INFINITE
    if isinstance(term, Intersection):  # without end, less texts that are not
        others = [part for part in term.parts if not _leaves_long_texts(part)]
        return len(others) == 0 or (len(others) == 1 and takes_plain_text(others[0]))
    return False


def grows(term: Term) -> bool:
    """Whether each text of `term` or of a derivative begins one that is longer by one character."""
    if isinstance(term, Repeat):
        return term.high is None and isinstance(term.inner, Characters)
    if isinstance(term, Concat):
        *_, last = chain(term)
        return grows(last)
    if isinstance(term, Alternation):
        return all(map(grows, term.parts))
    return _leaves_long_texts(term)


def _leaves_long_texts(term: Term) -> bool:
    return isinstance(term, Complement) and term.inner.longest < INFINITE


def _is_wide(term: Term) -> bool:
    return isinstance(term, Characters) and (
        term is term.pool.character or not characters.difference(PLAIN, term.ranges)
    )
