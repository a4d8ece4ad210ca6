"""Upper and lower case as one: sets of characters closed under simple case folding.

Source: ECMA-262, Canonicalize with the flags ``i`` and ``u``; Unicode, CaseFolding.txt, of which
the statuses C and S are taken.
"""

from bisect import bisect_right
from functools import cache

from sampler.grammar.characters import Ranges, union

_BEYOND_CASED = 0x20000  # no character from here on has another case


def closed(ranges: Ranges) -> Ranges:
    """`ranges` with every character that differs from one of them in case only."""
    starts = [low for low, _ in ranges]

    def contains(point: int) -> bool:
        at = bisect_right(starts, point) - 1
        return at >= 0 and point <= ranges[at][1]

    families = _ascii_families() if not ranges or ranges[-1][1] < 0x80 else _families()
    added = (point for family in families if any(map(contains, family)) for point in family)
    return union((*ranges, *((point, point) for point in added)))


@cache
def _families() -> tuple[tuple[int, ...], ...]:
    """The characters that differ in case only, where there is more than one."""
    families: dict[str, list[int]] = {}
    for point in range(_BEYOND_CASED):
        folded = _folded(chr(point))
        if folded != chr(point):
            families.setdefault(folded, [ord(folded)]).append(point)
    return tuple(map(tuple, families.values()))


@cache
def _ascii_families() -> tuple[tuple[int, ...], ...]:
    signs = {"K": "\u212a", "S": "\u017f"}  # Kelvin sign, long s
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return tuple(tuple(map(ord, x + x.lower() + signs.get(x, ""))) for x in letters)


def _folded(character: str) -> str:
    """The simple case folding of `character`; `str.casefold` does the full one, of any length."""
    for form in (character.casefold(), character.lower()):
        if len(form) == 1:
            return form
    return character
