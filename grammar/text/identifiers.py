"""Identifiers: pointers into JSON (RFC 6901) and UUIDs (RFC 9562)."""

from sampler.grammar.text.parts import Parts
from sampler.grammar.text.terms import Term, TermPool


def json_pointer(pool: TermPool) -> Term:
    """Names behind slashes, in which ``~0`` and ``~1`` stand for ``~`` and ``/``."""
    parts = Parts(pool)
    character = parts.either(parts.one_of("\0-.0-}\x7f-\U0010ffff"), "~0", "~1")
    return parts.repeat(parts.sequence("/", parts.repeat(character)))


def relative_json_pointer(pool: TermPool) -> Term:
    """How many levels up, then a pointer, or ``#`` for the name or index there."""
    parts = Parts(pool)
    levels = parts.either(
        "0", parts.sequence(parts.one_of("1-9"), parts.repeat(parts.one_of("0-9")))
    )
    return parts.sequence(levels, parts.either("#", json_pointer(pool)))


def uuid(pool: TermPool) -> Term:
    """32 hexadecimal digits in five groups."""
    parts = Parts(pool)
    digit = parts.one_of("0-9A-Fa-f")
    groups = [parts.repeat(digit, length, length) for length in (8, 4, 4, 4, 12)]
    return parts.sequence(groups[0], *(parts.sequence("-", group) for group in groups[1:]))
