"""Sets of characters as sorted, disjoint ranges of code points."""

import unicodedata
from collections.abc import Iterable
from functools import cache

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
SURROGATES: Ranges = ((0xD800, 0xDFFF),)
ALL: Ranges = ((0, LAST),)
NONE: Ranges = ()


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The set of all code points in `ranges`, which may overlap and stand in any order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """All code points that are not in `ranges`."""
    result, start = [], 0
    for low, high in ranges:
        if start < low:
            result.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        result.append((start, LAST))
    return tuple(result)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """The code points that are in both sets."""
    return complement(union((*complement(left), *complement(right))))


def difference(left: Ranges, right: Ranges) -> Ranges:
    """The code points of `left` that are not in `right`."""
    return intersection(left, complement(right))


def size(ranges: Ranges) -> int:
    """The number of code points in the set."""
    return sum(high - low + 1 for low, high in ranges)


def of(text: str) -> Ranges:
    """The set of the characters of `text`."""
    return union((ord(character), ord(character)) for character in text)


def members(ranges: Ranges) -> Iterable[int]:
    """Each code point of the set, ascending."""
    for low, high in ranges:
        yield from range(low, high + 1)


def with_other_case(ranges: Ranges) -> Ranges:
    """The set together with the upper and lower case forms of its members, where single."""
    forms = [
        ord(form)
        for point in members(ranges)
        for form in (chr(point).lower(), chr(point).upper())
        if len(form) == 1
    ]
    return union((*ranges, *((form, form) for form in forms)))


@cache
def general_category(name: str) -> Ranges:
    """The characters whose Unicode general category is `name` or begins with it; maybe none."""
    points = (p for p in range(LAST + 1) if unicodedata.category(chr(p)).startswith(name))
    return union((point, point) for point in points)


# The classes of ECMA-262: \d and \w are ASCII, \s is white space and line ends of Unicode.
DIGIT: Ranges = of("0123456789")
WORD: Ranges = union(((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)))
SPACE: Ranges = union(
    ((9, 13), *of(" \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), (0x2000, 0x200A))
)
LINE_END: Ranges = of("\n\r\u2028\u2029")
