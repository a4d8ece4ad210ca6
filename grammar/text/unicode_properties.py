r"""Sets of characters by Unicode property, as ``\p{...}`` names them.

General categories and what Python knows exactly are taken from there, so they are of the version of
Unicode that `unicodedata` has; scripts are of the version that unicode_tables.py says.
"""

import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import accumulate, groupby

from sampler.grammar.characters import ALL, LAST, Ranges, complement, difference, of, union
from sampler.grammar.text import unicode_tables

_CATEGORIES = {
    "Letter": "L",
    "Cased_Letter": "LC",
    "Uppercase_Letter": "Lu",
    "Lowercase_Letter": "Ll",
    "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm",
    "Other_Letter": "Lo",
    "Mark": "M",
    "Combining_Mark": "M",
    "Nonspacing_Mark": "Mn",
    "Spacing_Mark": "Mc",
    "Enclosing_Mark": "Me",
    "Number": "N",
    "Decimal_Number": "Nd",
    "digit": "Nd",
    "Letter_Number": "Nl",
    "Other_Number": "No",
    "Punctuation": "P",
    "punct": "P",
    "Connector_Punctuation": "Pc",
    "Dash_Punctuation": "Pd",
    "Open_Punctuation": "Ps",
    "Close_Punctuation": "Pe",
    "Initial_Punctuation": "Pi",
    "Final_Punctuation": "Pf",
    "Other_Punctuation": "Po",
    "Symbol": "S",
    "Math_Symbol": "Sm",
    "Currency_Symbol": "Sc",
    "Modifier_Symbol": "Sk",
    "Other_Symbol": "So",
    "Separator": "Z",
    "Space_Separator": "Zs",
    "Line_Separator": "Zl",
    "Paragraph_Separator": "Zp",
    "Other": "C",
    "Control": "Cc",
    "cntrl": "Cc",
    "Format": "Cf",
    "Surrogate": "Cs",
    "Private_Use": "Co",
    "Unassigned": "Cn",
}
_CATEGORY_CODES = frozenset(_CATEGORIES.values())
_UNASSIGNED = (0x40000, 0xDFFFF)  # planes without a character; there is no plan for any
_HEX_DIGITS = of("0123456789ABCDEFabcdef")


@cache
def property_ranges(name: str) -> Ranges | None:
    r"""The characters that ``\p{name}`` stands for, or None if `name` is not known."""
    key, separator, value = name.partition("=")
    if separator:
        if key in ("gc", "General_Category"):
            return _category(value)
        if key in ("sc", "Script", "scx", "Script_Extensions"):
            return _script(value, is_extended=key in ("scx", "Script_Extensions"))
        return None
    known = _BINARY.get(name)
    return known() if known is not None else _category(name)


def _category(name: str) -> Ranges | None:
    code = _CATEGORIES.get(name, name)
    if code not in _CATEGORY_CODES:
        return None
    codes = ("Lu", "Ll", "Lt") if code == "LC" else (code,)
    return union(
        pair
        for known, ranges in _general_categories().items()
        if known.startswith(codes)
        for pair in ranges
    )


@cache
def _general_categories() -> dict[str, list[tuple[int, int]]]:
    """The characters of each general category of two letters."""
    found: dict[str, list[tuple[int, int]]] = {"Cn": [_UNASSIGNED]}
    for first, last in ((0, _UNASSIGNED[0] - 1), (_UNASSIGNED[1] + 1, LAST)):
        start = first
        categories = map(unicodedata.category, map(chr, range(first, last + 1)))
        for code, run in groupby(categories):
            end = start + sum(1 for _ in run)
            found.setdefault(code, []).append((start, end - 1))
            start = end
    return found


def _script(name: str, is_extended: bool) -> Ranges | None:
    """The characters of a script; if extended, of other scripts too that are written with it."""
    number = _script_numbers().get(name)
    if number is None:
        return None
    ranges = union(_script_runs().get(number, ()))
    if is_extended:
        for first, last, numbers in _script_extensions():
            here = ((first, last),)
            ranges = union((*ranges, *here)) if number in numbers else difference(ranges, here)
    return ranges


@cache
def _script_numbers() -> dict[str, int]:
    names = enumerate(unicode_tables.SCRIPT_NAMES.split())
    return {name: number for number, known in names for name in known.split("/")}


@cache
def _script_runs() -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    start = 0
    for run in unicode_tables.SCRIPT_RUNS.split():
        end = start + int(run[:-2], 36)
        found.setdefault(int(run[-2:], 36), []).append((start, end - 1))
        start = end
    return found


@cache
def _script_extensions() -> list[tuple[int, int, set[int]]]:
    found = []
    for entry in unicode_tables.SCRIPT_EXTENSIONS.split():
        place, scripts = entry.split(":")
        first, count = (int(digits, 36) for digits in place.split("+"))
        numbers = {int(scripts[at : at + 2], 36) for at in range(0, len(scripts), 2)}
        found.append((first, first + count - 1, numbers))
    return found


def _alphabetic() -> Ranges:
    ends = list(accumulate(int(run, 36) for run in unicode_tables.ALPHABETIC_RUNS.split()))
    return union((start, end - 1) for start, end in zip(ends[::2], ends[1::2], strict=False))


def _where(holds: Callable[[str], bool]) -> Ranges:
    return union((point, point) for point in range(LAST + 1) if holds(chr(point)))


_BINARY: dict[str, Callable[[], Ranges]] = {
    "Any": lambda: ALL,
    "ASCII": lambda: ((0, 0x7F),),
    "Assigned": lambda: complement(_category("Cn") or ()),
    "Alphabetic": _alphabetic,
    "Alpha": _alphabetic,
    "ASCII_Hex_Digit": lambda: _HEX_DIGITS,
    "AHex": lambda: _HEX_DIGITS,
    "Uppercase": lambda: _where(str.isupper),
    "Upper": lambda: _where(str.isupper),
    "Lowercase": lambda: _where(str.islower),
    "Lower": lambda: _where(str.islower),
}
