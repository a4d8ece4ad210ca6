"""Host names in the scripts of the world (RFC 5890 to 5893).

Which characters a name may have is derived from their properties, as RFC 5892 does, where a finite
automaton can tell: without those that depend on their neighbours, and without marks that another
character can absorb or change places with, so that every label is in normalization form C.
"""

import unicodedata
from functools import cache
from typing import NamedTuple

from sampler.grammar.characters import Ranges, union
from sampler.grammar.text.parts import Parts
from sampler.grammar.text.terms import Term, TermPool

MAX_LABELS = 3  # so many names of 63 octets fit into the 253 of a whole name
# How many characters beyond ASCII, among how many of a label, surely fit into 63 octets: Punycode
# (RFC 3492) writes the gaps between their sorted code points, which sum up to less than the last
# code point times one more than the length, at most 1, 2, 3, 4, 5 digits for a gap below 1, 36,
# 1261, 28886, 288886.
_WINDOWS = ((3, 43), (8, 22), (11, 13))

_DOTS = ".\u3002\uff0e\uff61"
_SMALL_SCRIPTS = range(0xA1, 0x3130)
_WHOLE_BLOCKS = ((0x4E00, 0x9FFC), (0xAC00, 0xD7A3))  # Han, and the syllables of Hangul
_CATEGORIES = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})
_VIRAMA = 9
_EXCLUDED = frozenset(
    [
        *(0x640, 0x7FA, 0x302E, 0x302F, 0x303B, *range(0x3031, 0x3036)),  # RFC 5892, 2.6
        *(0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB),  # depend on their neighbours
        *(*range(0x660, 0x66A), *range(0x6F0, 0x6FA)),
        *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810)),  # invisible
        *range(0x1100, 0x1200),  # the letters of Hangul apart
    ]
)
_INCLUDED = (0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007)


class _Characters(NamedTuple):
    """What labels are made of beyond ASCII: letters by direction, and marks on the first kind."""

    left_to_right: Ranges
    right_to_left: Ranges
    marks: Ranges


def international_label(pool: TermPool) -> Term:
    """A label with characters beyond ASCII."""
    parts = Parts(pool)
    return pool.alternation([_forward(parts), _backward(parts)])


def international_name(pool: TermPool) -> Term:
    """Up to three labels, some of which may be international.

    As soon as one runs from right to left, the others begin with a letter (RFC 5893, 2).
    """
    parts = Parts(pool)
    dot = parts.one_of(_DOTS)
    inner = parts.repeat(parts.one_of("A-Za-z0-9-"), 0, 61)
    end = parts.one_of("A-Za-z0-9")
    letter = parts.one_of("A-Za-z")
    plain = [
        without_hyphens(parts, parts.sequence(first, parts.optional(inner, end)))
        for first in (end, letter)
    ]
    forward = parts.either(plain[0], _forward(parts))
    mixed = parts.either(plain[1], _forward(parts, parts.one_of("a-z")), _backward(parts))
    names = [
        parts.sequence(label, parts.repeat(parts.sequence(dot, label), 0, MAX_LABELS - 1))
        for label in (forward, mixed)
    ]
    anything = parts.one_of("\0-\U0010ffff")
    numbered = parts.sequence(
        parts.optional(parts.repeat(anything), dot), parts.repeat(parts.one_of("0-9"))
    )
    return parts.both(parts.either(*names), pool.complement(numbered))


def without_hyphens(parts: Parts, label: Term) -> Term:
    """The labels without hyphens in third and fourth position, where encodings are told."""
    anything = parts.one_of("\0-\U0010ffff")
    return parts.both(
        label,
        parts.pool.complement(parts.sequence(anything, anything, "--", parts.repeat(anything))),
    )


def _forward(parts: Parts, ascii_first: Term | None = None) -> Term:
    """A label from left to right, that begins with a letter or `ascii_first`."""
    known = _characters()
    letter, mark = parts.pool.characters(known.left_to_right), parts.pool.characters(known.marks)
    alphanumeric = parts.one_of("a-z0-9")
    first = parts.either(letter, alphanumeric if ascii_first is None else ascii_first)
    last = parts.sequence(parts.either(letter, alphanumeric), parts.repeat(mark))
    inner = parts.repeat(parts.either(letter, mark, alphanumeric, "-"))
    label = parts.sequence(first, parts.either(parts.repeat(mark), parts.sequence(inner, last)))
    return _fitting(parts, without_hyphens(parts, label))


def _backward(parts: Parts) -> Term:
    """A label from right to left."""
    letter = parts.pool.characters(_characters().right_to_left)
    last = parts.either(letter, parts.one_of("0-9"))
    label = parts.sequence(letter, parts.optional(parts.repeat(parts.either(last, "-")), last))
    return _fitting(parts, without_hyphens(parts, label))


def _fitting(parts: Parts, label: Term) -> Term:
    """The labels with characters beyond ASCII that surely fit into 63 octets."""
    plain = parts.repeat(parts.one_of("\0-\x7f"))
    more = parts.sequence(plain, parts.one_of("\x80-\U0010ffff"))
    windows = [
        parts.both(
            parts.sequence(parts.repeat(more, 1, beyond), plain),
            parts.repeat(parts.one_of("\0-\U0010ffff"), 0, length),
        )
        for beyond, length in _WINDOWS
    ]
    return parts.both(label, parts.either(*windows))


@cache
def _characters() -> _Characters:
    absorbed = _absorbed()
    found: dict[str, list[tuple[int, int]]] = {"L": list(_WHOLE_BLOCKS), "R": [], "mark": []}
    for point in _SMALL_SCRIPTS:
        character = chr(point)
        if point not in _INCLUDED and not (_is_valid(point) and character not in absorbed):
            continue
        direction = unicodedata.bidirectional(character).replace("AL", "R")
        if unicodedata.category(character)[0] == "M":
            direction = "mark" if direction in ("L", "NSM") else ""
        if direction in found:
            found[direction].append((point, point))
    return _Characters(union(found["L"]), union(found["R"]), union(found["mark"]))


def _is_valid(point: int) -> bool:
    character = chr(point)
    if unicodedata.category(character) not in _CATEGORIES or point in _EXCLUDED:
        return False
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    return folded == character and unicodedata.combining(character) in (0, _VIRAMA)


def _absorbed() -> frozenset[str]:
    """The characters that form another one together with the one before them."""
    pairs = (unicodedata.decomposition(chr(point)).split() for point in _SMALL_SCRIPTS)
    return frozenset(
        chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and "<" not in pair[0]
    )
