r"""Strings of a schema as regular expressions over their JSON spelling.

Spelling: characters beyond ASCII as themselves, ``"`` ``\`` and the control characters by the
short escapes where there are any, else as ``\u00XX``; nothing else is escaped.
"""

import json
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar import characters
from sampler.grammar.characters import Ranges
from sampler.grammar.outlines.pattern import Chain, Characters, Node, Repeat, parse_pattern
from sampler.grammar.outlines.pattern_regex import (
    any_of,
    branches,
    length_bounds,
    literal,
    repeated,
    spell_text,
    to_regex,
)
from sampler.grammar.outlines.schema_flatten import Flat
from sampler.grammar.outlines.schema_formats import NARROWED, NOT_REGULAR, PATTERNS

_CONTROLS: Ranges = ((0, 0x1F),)
_ESCAPED = characters.union((*_CONTROLS, *characters.of('"\\')))
_ANY_NUMBER_OF_CHARACTERS = Repeat(Characters(characters.ALL), 0, None)


def spell_json(ranges: Ranges) -> str | None:
    """One character of `ranges` as it stands inside of a JSON string."""
    escaped = characters.members(characters.intersection(ranges, _ESCAPED))
    plain = spell_text(characters.difference(ranges, _ESCAPED))
    return any_of([plain, _escapes([json.dumps(chr(point))[1:-1] for point in escaped])])


def _escapes(spelled: list[str]) -> str | None:
    r"""Any of the escapes `spelled`, which are like ``\n`` or ``\u001f``; hex in either case."""
    if not spelled:
        return None
    short = "".join(f"\\{escape[1]}" if escape[1] in '"\\' else escape[1] for escape in spelled)
    options = [f"[{short.replace('u', '')}]"] if set(short) != {"u"} else []
    for start in ("u000", "u001"):
        digits = "".join(escape[5] for escape in spelled if escape[1:5] == start)
        if digits:
            capitals = "".join(filter(str.isalpha, digits)).upper()
            options.append(f"{start}[{digits}{capitals}]")
    return f"\\\\{any_of(options)}"


ANY_CHARACTER = spell_json(characters.ALL) or ""
ANY_STRING = f'"{repeated(ANY_CHARACTER, 0, None)}"'


def json_literal(value: str) -> str:
    """The regular expression of the one spelling of the string `value`, quotes included."""
    return literal(json.dumps(value, ensure_ascii=False))


def strings(flat: Flat, max_depth: int, formats: str, warnings: dict[str, None]) -> str | None:
    """The strings that `flat` allows, or None if there are none.

    Raises
    ------
    UnsupportedSchemaError : a combination of keywords that cannot be enforced exactly
    """
    low, high = flat.keywords.get("minLength", 0), flat.keywords.get("maxLength")
    low, high = int(low), None if high is None else int(high)
    if high is not None and low > high:
        return None
    pattern, keyword = _language(flat, formats, warnings)
    if pattern is None:
        return f'"{repeated(ANY_CHARACTER, low, high)}"'
    where = flat.where[keyword]
    options = []
    for at_start, content, at_end in branches(
        parse_pattern(pattern, max_depth, pointer=where), where
    ):
        before = () if at_start else (_ANY_NUMBER_OF_CHARACTERS,)
        after = () if at_end else (_ANY_NUMBER_OF_CHARACTERS,)
        node = _of_length(Chain((*before, content, *after)), low, high, flat)
        options.append(None if node is None else to_regex(node, spell_json))
    regex = any_of(options)
    return None if regex is None else f'"{regex}"'


def _language(flat: Flat, formats: str, warnings: dict[str, None]) -> tuple[str | None, str]:
    """The pattern that a string must match, and the keyword it comes from."""
    name: Any = flat.keywords.get("format")
    pattern = flat.keywords.get("pattern")
    if name is not None:
        where = flat.where["format"]
        if formats == "annotate" or (name not in PATTERNS and name not in NOT_REGULAR):
            warnings[f"{where}: format {name!r} is not enforced"] = None
            return pattern, "pattern"
        if name in NOT_REGULAR:
            raise UnsupportedSchemaError(f"{name!r} cannot be enforced exactly", "format", where)
        if pattern is not None:
            raise UnsupportedSchemaError("not supported together with pattern", "format", where)
        if name in NARROWED:
            warnings[f"{where}: format {name!r} is narrowed to {NARROWED[name]}"] = None
        return f"^(?:{PATTERNS[name]})$", "format"
    return pattern, "pattern"


def _of_length(node: Node, low: int, high: int | None, flat: Flat) -> Node | None:
    """The texts of `node` that have from `low` to `high` characters; None if there are none."""
    least, most = length_bounds(node)
    if least >= low and (high is None or (most is not None and most <= high)):
        return node
    if (high is not None and least > high) or (most is not None and most < low):
        return None
    parts = list(_parts(node))
    flexible = [i for i, part in enumerate(parts) if len(set(length_bounds(part))) > 1]
    if len(flexible) == 1 and isinstance(part := parts[flexible[0]], Repeat):
        unit = length_bounds(part.node)
        fixed = sum(length_bounds(other)[0] for other in parts if other is not part)
        if unit == (1, 1):
            fewest = max(part.low, low - fixed)
            ends = [
                end
                for end in (part.high, None if high is None else high - fixed)
                if end is not None
            ]
            parts[flexible[0]] = Repeat(part.node, fewest, min(ends) if ends else None)
            return Chain(tuple(parts))
    keyword = "maxLength" if "maxLength" in flat.where else "minLength"
    raise UnsupportedSchemaError(
        "not supported together with this pattern or format", keyword, flat.where[keyword]
    )


def _parts(node: Node) -> list[Node]:
    """The parts that follow each other in `node`, chains inside of chains taken apart."""
    if not isinstance(node, Chain):
        return [node]
    return [inner for part in node.parts for inner in _parts(part)]
