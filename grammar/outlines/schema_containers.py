"""Arrays and objects as regular expressions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar import characters
from sampler.grammar.outlines.pattern_regex import any_of, literal, repeated, spell_text
from sampler.grammar.outlines.regex_grammar import checked_size
from sampler.grammar.outlines.schema_document import Schema
from sampler.grammar.outlines.schema_flatten import Flat
from sampler.grammar.outlines.schema_layout import Layout
from sampler.grammar.outlines.schema_strings import json_literal
from sampler.limits import Limits

_KEY_CHARACTERS = characters.difference(
    characters.ALL, characters.union(((0, 0x1F), *characters.of('"\\')))
)


@dataclass(frozen=True, slots=True)
class Member:
    """A part of a container: what it matches (one or more members) and whether it must be there."""

    regex: str
    required: bool


class Containers:
    """Writes containers; whoever uses it says how the values inside are written.

    Attributes
    ----------
    free_keys : whether some object keys were left free so far
    """

    def __init__(
        self,
        layout: Layout,
        limits: Limits,
        warnings: dict[str, None],
        any_value: Callable[[int], str],
        value: Callable[[Schema, int], str | None],
    ) -> None:
        self._layout = layout
        self._limits = limits
        self._warnings = warnings
        self._any_value = any_value
        self._value = value
        self.free_keys = False

    def objects(self, flat: Flat, level: int) -> str | None:
        """The objects that `flat` allows, or None if there are none."""
        keywords = flat.keywords
        required = list(dict.fromkeys(keywords.get("required", ())))
        properties: dict[str, Schema] = keywords.get("properties", {})
        members = []
        for name, schema in [*properties.items(), *self._undefined(flat, required)]:
            value = self._value(schema, level + 1)
            if value is not None:
                members.append(Member(self._member(json_literal(name), value), name in required))
            elif name in required:
                return None
        if len(members) > 1:
            self._warnings["objects: named properties are written in the order of the schema"] = (
                None
            )
        extra = self._extra_value(flat, level)
        return self._object(members, extra, flat, level)

    def _undefined(self, flat: Flat, required: list[str]) -> list[tuple[str, Schema]]:
        """The required names without a schema of their own."""
        extra = flat.keywords.get("additionalProperties", True)
        named = flat.keywords.get("properties", {})
        return [(name, extra) for name in required if name not in named]

    def _extra_value(self, flat: Flat, level: int) -> str | None:
        """The value of members that are not named, or None where none is written."""
        schema = flat.keywords.get("additionalProperties", True)
        named = flat.keywords.get("properties") or flat.keywords.get("required")
        if named and (schema is True or schema == {}):
            where = next(iter(flat.where.values())).rpartition("/")[0]
            self._warnings[f"{where or '/'}: properties that are not named are not written"] = None
            return None
        return self._value(schema, level + 1)

    def _object(
        self, members: list[Member], extra: str | None, flat: Flat, level: int
    ) -> str | None:
        least, most = self._counts(flat, "Properties")
        if most is not None and least > most:
            return None
        if extra is None or members:
            self._check_counts(members, extra, flat)
        if extra is not None:
            named = [*flat.keywords.get("properties", ()), *flat.keywords.get("required", ())]
            self.free_keys = True
            self._warnings["objects: free keys are written without escapes"] = None
            is_map = not members
            if most != 0:
                entry = self._member(_other_key(named), extra)
                run = self._run(entry, max(least, 1) if is_map else 1, most, level)
                members = [*members, Member(run, required=is_map and least > 0)]
        return self._wrapped("{}", members, level)

    def _check_counts(self, members: list[Member], extra: str | None, flat: Flat) -> None:
        """None; refuses counts of properties that the named ones do not satisfy by themselves."""
        least, most = self._counts(flat, "Properties")
        always = sum(member.required for member in members)
        if least > always:
            raise UnsupportedSchemaError(
                "supported for objects without named properties only",
                "minProperties",
                flat.where["minProperties"],
            )
        if most is not None and (extra is not None or most < len(members)):
            raise UnsupportedSchemaError(
                "supported for objects without named properties only",
                "maxProperties",
                flat.where["maxProperties"],
            )

    def arrays(self, flat: Flat, level: int) -> str | None:
        """The arrays that `flat` allows, or None if there are none."""
        least, most = self._counts(flat, "Items")
        prefix, rest = _item_schemas(flat)
        self._refuse_unique(flat, most)
        if most is not None and least > most:
            return None
        members = []
        for index, schema in enumerate(prefix[:most]):
            value = self._value(schema, level + 1)
            if value is None:
                most, rest = index, False
                break
            members.append(value)
        value = None if most is not None and most <= len(members) else self._value(rest, level + 1)
        if value is None and least > len(members):
            return None
        return self._array(members, value, (least, most), level)

    def _array(
        self, prefix: list[str], rest: str | None, counts: tuple[int, int | None], level: int
    ) -> str:
        """An array that begins with `prefix` and goes on with any number of `rest`."""
        least, most = counts
        tail = ""
        if rest is not None:
            fewest = max(least - len(prefix), 0)
            fullest = None if most is None else most - len(prefix)
            if not prefix:
                run = self._run(rest, max(fewest, 1), fullest, level)
                return self._wrapped("[]", [Member(run, fewest > 0)], level)
            tail = repeated(self._layout.comma(level) + rest, fewest, fullest)
        for index in range(len(prefix) - 1, 0, -1):
            tail = self._layout.comma(level) + prefix[index] + tail
            tail = tail if index < least else f"(?:{tail})?"
        members = [Member(prefix[0] + tail, least > 0)] if prefix else []
        return self._wrapped("[]", members, level)

    def _refuse_unique(self, flat: Flat, most: int | None) -> None:
        if flat.keywords.get("uniqueItems") and (most is None or most > 1):
            raise UnsupportedSchemaError(
                "comparing items is not supported", "uniqueItems", flat.where["uniqueItems"]
            )

    @staticmethod
    def _counts(flat: Flat, what: str) -> tuple[int, int | None]:
        most = flat.keywords.get(f"max{what}")
        return int(flat.keywords.get(f"min{what}", 0)), None if most is None else int(most)

    def array_of(self, item: str, level: int) -> str:
        """Arrays of any number of `item`."""
        return self._array([], item, (0, None), level)

    def map_of(self, value: str, level: int) -> str:
        """Objects with any number of free keys and values `value`."""
        self.free_keys = True
        run = self._run(self._member(_other_key([]), value), 1, None, level)
        return self._wrapped("{}", [Member(run, required=False)], level)

    def listed(self, items: list[str], level: int) -> str:
        """The array of exactly `items`."""
        return self._array(items, None, (len(items), len(items)), level)

    def mapped(self, members: dict[str, str], level: int) -> str:
        """The object of exactly `members`."""
        parts = [
            Member(self._member(json_literal(name), value), required=True)
            for name, value in members.items()
        ]
        return self._wrapped("{}", parts, level)

    def _member(self, key: str, value: str) -> str:
        return f"{key}{self._layout.colon()}{value}"

    def _run(self, item: str, least: int, most: int | None, level: int) -> str:
        """From `least` >= 1 to `most` of `item`, with commas."""
        more = repeated(
            self._layout.comma(level) + item, least - 1, None if most is None else most - 1
        )
        return f"{item}{more}"

    def _wrapped(self, brackets: str, members: list[Member], level: int) -> str:
        opening, closing = literal(brackets[0]), literal(brackets[1])
        empty = f"{opening}{self._layout.empty()}{closing}"
        content = self._some_of(members, level)
        if content is None:
            return empty
        inner, outer = self._layout.opening(level), self._layout.closing(level)
        filled = f"{opening}{inner}{content}{outer}{closing}"
        may_be_empty = not any(member.required for member in members)
        return any_of([empty, filled]) or "" if may_be_empty else filled

    def _some_of(self, members: list[Member], level: int) -> str | None:
        """One or more of `members` in order, with commas; all those that are required.

        By halves, so that 100 optional members are written some 1,500 times in all and not 5,000
        (one after the other) or 2 to the power of 100 times (each subset).
        """
        if len(members) < 2:
            return members[0].regex if members else None
        middle = len(members) // 2
        left, right = (self._some_of(half, level) for half in (members[:middle], members[middle:]))
        tail = f"{self._layout.comma(level)}{right}"
        if not any(member.required for member in members[middle:]):
            tail = f"(?:{tail})?"
        both = f"{left}{tail}"
        must_have_left = any(member.required for member in members[:middle])
        return checked_size(both if must_have_left else any_of([both, right]), self._limits)


def _item_schemas(flat: Flat) -> tuple[list[Schema], Schema]:
    """The schemas of the first items, and that of the others."""
    items: Any = flat.keywords.get("items", True)
    if isinstance(items, list):  # before draft 2020-12
        return items, flat.keywords.get("additionalItems", True)
    return flat.keywords.get("prefixItems", []), items


def _other_key(names: list[str]) -> str:
    """Any key without escapes that is none of `names`, as a regular expression with quotes."""
    return f'"{_none_of([name for name in names if _is_plain(name)])}"'


def _is_plain(name: str) -> bool:
    return all(any(low <= ord(c) <= high for low, high in _KEY_CHARACTERS) for c in name)


def _none_of(names: list[str]) -> str:
    """Any text of key characters that is none of `names`."""
    any_key = repeated(spell_text(_KEY_CHARACTERS) or "", 0, None)
    if not names:
        return any_key
    following: dict[str, list[str]] = {}
    for name in names:
        if name:
            following.setdefault(name[0], []).append(name[1:])
    others = spell_text(characters.difference(_KEY_CHARACTERS, characters.of("".join(following))))
    options = [f"{literal(first)}{_none_of(rests)}" for first, rests in following.items()]
    if "" not in names:
        options.append("")
    return any_of([*options, f"{others}{any_key}"]) or ""
