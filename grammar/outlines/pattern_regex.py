"""Trees of regular expressions written out in the one syntax that is given to outlines-core.

What comes out uses groups, alternatives, counted repetitions and explicit character classes only,
so it means the same in any engine. None stands for "matches nothing".
"""

from collections.abc import Callable, Iterable, Iterator

from sampler.errors import UnsupportedSchemaError
from sampler.grammar import characters
from sampler.grammar.characters import Ranges
from sampler.grammar.outlines.pattern import Anchor, Chain, Characters, Choice, Node, Repeat

Spelling = Callable[[Ranges], str | None]

_META = frozenset("\\.+*?()|[]{}^$#&-~/")
_TEXT = characters.difference(
    characters.ALL, characters.union((*characters.SURROGATES, *characters.of("\0")))
)


def literal(text: str) -> str:
    """The regular expression that matches `text` and nothing else."""
    return "".join(
        f"\\{character}"
        if character in _META
        else character
        if character.isprintable()
        else f"\\x{{{ord(character):x}}}"
        for character in text
    )


def any_of(options: Iterable[str | None]) -> str | None:
    """Any of `options` that match something; None if none does."""
    distinct = list(dict.fromkeys(option for option in options if option is not None))
    if len(distinct) <= 1:
        return distinct[0] if distinct else None
    return f"(?:{'|'.join(distinct)})"


def repeated(option: str, low: int, high: int | None) -> str:
    """`option` from `low` to `high` times, without end if `high` is None."""
    if high == 0:
        return ""
    if (low, high) == (1, 1):
        return option
    counts = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(
        (low, high), f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"
    )
    return f"(?:{option}){counts}"


def spell_text(ranges: Ranges) -> str | None:
    """One character of `ranges` as it is; surrogates and U+0000 are never part of a text."""
    ranges = characters.intersection(ranges, _TEXT)
    if not ranges:
        return None
    if characters.size(ranges) == 1:
        return literal(chr(ranges[0][0]))
    return f"[{''.join(_class_range(low, high) for low, high in ranges)}]"


def _class_range(low: int, high: int) -> str:
    return f"\\x{{{low:x}}}" if low == high else f"\\x{{{low:x}}}-\\x{{{high:x}}}"


def to_regex(node: Node, spelling: Spelling) -> str | None:
    """`node` (without anchors) written out, each character by `spelling`."""
    match node:
        case Characters(ranges):
            return spelling(ranges)
        case Choice(options):
            return any_of(to_regex(option, spelling) for option in options)
        case Repeat(inner, low, high):
            regex = to_regex(inner, spelling)
            if regex is None:
                return "" if low == 0 else None
            return repeated(regex, low, high)
        case Chain(parts):
            regexes = [to_regex(part, spelling) for part in parts]
            return None if None in regexes else "".join(filter(None, regexes))
        case Anchor():
            raise AssertionError("anchors are taken off by `branches`")


def branches(node: Node, pointer: str = "") -> Iterator[tuple[bool, Node, bool]]:
    """The alternatives of `node` as (begins at the start, what it matches, ends at the end).

    Raises
    ------
    UnsupportedSchemaError : an anchor anywhere else than at the ends of a branch
    """
    if isinstance(node, Choice):
        for option in node.options:
            yield from branches(option, pointer)
        return
    parts = node.parts if isinstance(node, Chain) else (node,)
    first, last = 0, len(parts)
    while first < last and parts[first] == Anchor("^"):
        first += 1
    while last > first and parts[last - 1] == Anchor("$"):
        last -= 1
    at_start, at_end = first > 0, last < len(parts)
    inner = parts[first:last]
    if len(inner) == 1 and isinstance(inner[0], Choice | Chain):
        for starts, content, ends in branches(inner[0], pointer):
            yield at_start or starts, content, at_end or ends
        return
    if any(_has_anchor(part) for part in inner):
        raise UnsupportedSchemaError(
            "^ and $ are supported at the ends of the pattern or of its alternatives only",
            "pattern" if pointer else "regex",
            pointer,
        )
    yield at_start, Chain(inner), at_end


def _has_anchor(node: Node) -> bool:
    match node:
        case Anchor():
            return True
        case Choice(parts) | Chain(parts):
            return any(_has_anchor(part) for part in parts)
        case Repeat(inner):
            return _has_anchor(inner)
    return False


def character_sets(node: Node) -> Iterator[Ranges]:
    """The sets of characters that `node` is made of."""
    match node:
        case Characters(ranges):
            yield ranges
        case Choice(parts) | Chain(parts):
            for part in parts:
                yield from character_sets(part)
        case Repeat(inner):
            yield from character_sets(inner)


def length_bounds(node: Node) -> tuple[int, int | None]:
    """The fewest and the most characters that `node` matches; None is without end."""
    match node:
        case Characters():
            return 1, 1
        case Repeat(inner, low, high):
            least, most = length_bounds(inner)
            if high == 0 or most == 0:
                return 0, 0
            return least * low, None if most is None or high is None else most * high
        case Choice(parts):
            bounds = [length_bounds(part) for part in parts]
            mosts = [most for _, most in bounds]
            least = min(least for least, _ in bounds)
            return least, None if None in mosts else max(m for m in mosts if m is not None)
        case Chain(parts):
            bounds = [length_bounds(part) for part in parts]
            mosts = [most for _, most in bounds]
            least = sum(least for least, _ in bounds)
            return least, None if None in mosts else sum(m for m in mosts if m is not None)
        case _:
            return 0, 0
