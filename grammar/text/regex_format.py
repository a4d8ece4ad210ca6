"""Regular expressions as texts: patterns that ECMA-262 (with its flag u) and Python both read.

Groups nest, which no finite automaton follows, so they do up to `MAX_NESTING` here. Without
references to groups and their names, properties and code points in braces, whose texts depend on
more than their neighbours or that only one of the two languages has.
"""

from sampler.grammar.text.parts import Part, Parts
from sampler.grammar.text.terms import Term, TermPool

MAX_NESTING = 4

_SYNTAX = "$()*+./?[\\]^{|}"  # what a backslash makes stand for itself
_PLAIN = "\0-#%-',--/->@-Z_-z~-\U0010ffff"  # all but those, and the slash
_LISTED = "\0-,.-[^-\U0010ffff"  # in brackets, all but \ ] and the hyphen


def regex(pool: TermPool) -> Term:
    """Patterns with groups up to `MAX_NESTING` deep."""
    parts = Parts(pool)
    character = parts.either(parts.one_of(_PLAIN), ".", _escape(parts), _brackets(parts))
    quantifier = _quantifier(parts)
    behind = parts.sequence("(?<", parts.one_of("=!"), parts.repeat(character), ")")
    items: list[Part] = [
        parts.one_of("|^$"),
        "\\b",
        "\\B",
        behind,
        parts.sequence(character, quantifier),
    ]
    pattern = parts.repeat(parts.either(*items))
    for _ in range(MAX_NESTING):
        ahead = parts.sequence("(?", parts.one_of("=!"), pattern, ")")
        group = parts.sequence("(", parts.optional("?:"), pattern, ")", quantifier)
        pattern = parts.repeat(parts.either(*items, ahead, group))
    return pattern


def _escape(parts: Parts) -> Term:
    """An escape that means the same inside of brackets and outside."""
    digit = parts.one_of("0-9A-Fa-f")
    named = parts.one_of(f"dDwWsSfnrtv{_SYNTAX}")
    two, four = parts.repeat(digit, 2, 2), parts.repeat(digit, 4, 4)
    return parts.sequence(
        "\\", parts.either(named, parts.sequence("x", two), parts.sequence("u", four))
    )


def _brackets(parts: Parts) -> Term:
    """A set: characters, escapes, ranges of digits or letters, and a hyphen at an end."""
    ranges = [
        parts.sequence(low, "-", parts.one_of(f"{low}-{alphabet[-1]}"))
        for alphabet in ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
        for low in alphabet[:-1]
    ]
    member = parts.either(parts.one_of(_LISTED), _escape(parts), "\\-", *ranges)
    members = parts.repeat(member, 1)
    hyphen = parts.optional("-")
    return parts.sequence("[", parts.optional("^"), hyphen, members, hyphen, "]")


def _quantifier(parts: Parts) -> Term:
    digit, above = parts.one_of("0-9"), parts.one_of("1-9")
    number = parts.repeat(digit, 1, 3)
    counts = [  # those whose order shows in one digit
        number,
        parts.sequence(number, ","),
        parts.sequence(digit, ",", above, parts.repeat(digit, 1, 2)),
        *(parts.sequence(f"{low},", parts.one_of(f"{low}-9")) for low in range(10)),
        *(parts.sequence(f"{tens}0,{tens}", digit) for tens in range(1, 10)),
        *(
            parts.sequence(str(tens), digit, ",", parts.one_of(f"{tens + 1}-9"), digit)
            for tens in range(1, 9)
        ),
    ]
    times = parts.either(parts.one_of("*+?"), parts.sequence("{", parts.either(*counts), "}"))
    return parts.optional(times, parts.optional("?"))
