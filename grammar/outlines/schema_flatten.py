"""Schemas as flat sets of keywords: `$ref`, `allOf` and their siblings merged into one.

Rule of the file: a merge is exact or refused. Where a conjunct lists its values (`enum`, `const`),
nothing has to be merged: the values are filtered by evaluating the whole schema.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.budget import check_time
from sampler.grammar.outlines.schema_document import Schema, SchemaDocument
from sampler.grammar.outlines.schema_keywords import ANNOTATIONS, TYPES, assertions

LARGER = frozenset({"minimum", "minLength", "minItems", "minProperties"})
SMALLER = frozenset({"maximum", "maxLength", "maxItems", "maxProperties"})


@dataclass(slots=True)
class Flat:
    """Keywords without references, and where each of them stands.

    Attributes
    ----------
    keywords : never `$ref`, `allOf` or `const`; with `enum` there is nothing else
    where : JSON pointer of each keyword
    """

    keywords: dict[str, Any] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)

    @property
    def values(self) -> list[Any] | None:
        """All valid values, where the schema lists them."""
        return self.keywords.get("enum")

    @property
    def types(self) -> frozenset[str]:
        """The types that are allowed; "number" includes "integer", which is then left out."""
        given = self.keywords.get("type", TYPES)
        types = frozenset([given] if isinstance(given, str) else given)
        return types - {"integer"} if "number" in types else types


class Flattener:
    """Flattens the subschemas of one document."""

    def __init__(self, document: SchemaDocument) -> None:
        self._document = document
        self._known: dict[int, Flat | None] = {}
        self._open: set[int] = set()

    def flatten(self, schema: Schema) -> Flat | None:
        """`schema` as a flat set of keywords; None where it allows nothing."""
        if isinstance(schema, bool):
            return Flat() if schema else None
        if id(schema) in self._open:
            where = self._document.pointer(schema, "$ref")
            raise UnsupportedSchemaError("recursive references are not supported", "$ref", where)
        if id(schema) not in self._known:
            self._open.add(id(schema))
            try:
                self._known[id(schema)] = self._flattened(schema)
            finally:
                self._open.discard(id(schema))
        return self._known[id(schema)]

    def _flattened(self, schema: dict[str, Any]) -> Flat | None:
        self._document.check_base(schema)
        own = self._own_keywords(schema)
        conjuncts = list(self._conjuncts(schema, own))
        if None in conjuncts:
            return None
        flats = [flat for flat in conjuncts if flat is not None]
        listed = next((flat.values for flat in flats if flat.values is not None), None)
        if listed is not None:
            valid = self._filtered(listed, schema, is_own=listed is own.values)
            where = {"enum": self._document.pointer(schema, "enum")}
            return Flat({"enum": valid}, where) if valid else None
        merged = flats[0]
        for flat in flats[1:]:
            merged = self.merge(merged, flat)
        return merged

    def _filtered(self, values: list[Any], schema: dict[str, Any], is_own: bool) -> list[Any]:
        """Those of `values` that are valid under all of `schema`; `is_own` if it lists them."""
        listing = ("enum" if "enum" in schema else "const") if is_own else None
        others = {keyword: value for keyword, value in schema.items() if keyword != listing}
        if next(assertions(others, self._document.draft), None) is None:
            return values
        self._document.register(others, self._document.pointer(schema))
        valid = []
        for value in values:
            check_time()
            if self._document.is_valid(value, others):
                valid.append(value)
        return valid

    def _own_keywords(self, schema: dict[str, Any]) -> Flat:
        if "$ref" in schema and self._document.draft <= 7:
            return Flat()  # these drafts ignore what stands beside a reference
        keywords = {
            keyword: value
            for keyword, value in schema.items()
            if keyword not in ("$ref", "allOf", "const")
        }
        if "const" in schema and self._document.draft >= 6:
            keywords.setdefault("enum", [schema["const"]])
        return Flat(keywords, {word: self._document.pointer(schema, word) for word in keywords})

    def _conjuncts(self, schema: dict[str, Any], own: Flat) -> Iterator[Flat | None]:
        """What has to hold together, in the order in which it stands: that of the properties."""
        if "properties" not in schema:
            yield own
        for keyword, value in schema.items():
            if keyword == "properties":
                yield own
            elif keyword == "$ref":
                where = self._document.pointer(schema, keyword)
                yield self.flatten(self._document.resolve(value, where))
            elif keyword == "allOf" and not ("$ref" in schema and self._document.draft <= 7):
                yield from map(self.flatten, value)

    def merge(self, left: Flat, right: Flat) -> Flat:
        """The schema that both have to hold for.

        Raises
        ------
        UnsupportedSchemaError : a keyword that both have and that cannot be merged exactly
        """
        merged = Flat({**right.keywords, **left.keywords}, {**right.where, **left.where})
        for keyword in left.keywords.keys() & right.keywords.keys():
            pair = left.keywords[keyword], right.keywords[keyword]
            if keyword not in ANNOTATIONS and not _same(*pair):
                merged.keywords[keyword] = _merged(keyword, *pair, merged.where[keyword])
        self._refuse_flags(left, right)
        self._merge_members(left, right, merged)
        self._merge_items(left, right, merged)
        return merged

    def _merge_members(self, left: Flat, right: Flat, merged: Flat) -> None:
        """None; each property is under its own schema or `additionalProperties`, of both sides."""
        sides = [flat.keywords for flat in (left, right)]
        if not any(side.keys() & {"properties", "additionalProperties"} for side in sides):
            return
        self._refuse_beside(left, right, "patternProperties", "properties additionalProperties")
        extra = [side.get("additionalProperties", True) for side in sides]
        names = dict.fromkeys(name for side in sides for name in side.get("properties", ()))
        if names:
            merged.keywords["properties"] = {
                name: self._both(
                    *(
                        s.get("properties", {}).get(name, e)
                        for s, e in zip(sides, extra, strict=True)
                    )
                )
                for name in names
            }
        if any("additionalProperties" in side for side in sides):
            merged.keywords["additionalProperties"] = self._both(*extra)

    def _merge_items(self, left: Flat, right: Flat, merged: Flat) -> None:
        """None; each item is under its own schema or the one of the rest, of both sides."""
        words = {"items", "prefixItems", "additionalItems"}
        if not (left.keywords.keys() & words and right.keywords.keys() & words):
            return
        if self._document.draft < 2020:
            self._refuse_beside(left, right, "items", "items additionalItems")
        sides = [flat.keywords for flat in (left, right)]
        rest = [side.get("items", True) for side in sides]
        prefixes = [side.get("prefixItems", []) for side in sides]
        if any(prefixes):
            merged.keywords["prefixItems"] = [
                self._both(
                    *(p[i] if i < len(p) else r for p, r in zip(prefixes, rest, strict=True))
                )
                for i in range(max(map(len, prefixes)))
            ]
        merged.keywords["items"] = self._both(*rest)

    def _refuse_flags(self, left: Flat, right: Flat) -> None:
        """None; refuses two bounds of which one is excluded by a flag, as in draft 4."""
        for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            for one, other in ((left, right), (right, left)):
                if one.keywords.get(flag) is True and bound in other.keywords:
                    raise UnsupportedSchemaError(
                        "cannot be merged with another bound", flag, one.where[flag]
                    )

    def _refuse_beside(self, left: Flat, right: Flat, keyword: str, others: str) -> None:
        for one, other in ((left, right), (right, left)):
            if keyword in one.keywords and other.keywords.keys() & set(others.split()):
                raise UnsupportedSchemaError(
                    "cannot be merged with the other schemas that apply here",
                    keyword,
                    one.where[keyword],
                )

    def _both(self, left: Schema, right: Schema) -> Schema:
        if left is True or right is False or _same(left, right):
            return right
        if right is True or left is False:
            return left
        pointer = self._document.pointer(left)
        return self._document.register({"allOf": [left, right]}, pointer)

    def disjoint(self, left: Flat, right: Flat) -> bool:
        """Whether it is certain that no value is valid under both."""
        check_time()
        if left.values is not None or right.values is not None:
            one, other = (left, right) if left.values is not None else (right, left)
            made = self._document.register(other.keywords, next(iter(other.where.values()), ""))
            return not any(self._document.is_valid(value, made) for value in one.values or ())
        types = _wide(left.types) & _wide(right.types)
        return all(kind == "object" for kind in types) and (
            not types or self._objects_disjoint(left, right) or self._objects_disjoint(right, left)
        )

    def _objects_disjoint(self, left: Flat, right: Flat) -> bool:
        """Whether `left` requires a property that no object under `right` has like that."""
        closed = right.keywords.get("additionalProperties") is False
        closed = closed and "patternProperties" not in right.keywords
        for name in left.keywords.get("required", ()):
            theirs = right.keywords.get("properties", {})
            if closed and name not in theirs:
                return True
            ours = left.keywords.get("properties", {})
            if name in right.keywords.get("required", ()) and name in ours and name in theirs:
                one, other = self.flatten(ours[name]), self.flatten(theirs[name])
                if one is None or other is None or self.disjoint(one, other):
                    return True
        return False


def _same(left: Any, right: Any) -> bool:
    """Whether both are the same JSON; unlike ``==``, which takes True for 1."""
    return json.dumps(left) == json.dumps(right)


def _wide(types: frozenset[str]) -> frozenset[str]:
    return frozenset("number" if kind == "integer" else kind for kind in types)


def _merged(keyword: str, left: Any, right: Any, where: str) -> Any:
    if keyword in LARGER:
        return max(left, right)
    if keyword in SMALLER:
        return min(left, right)
    if keyword in ("exclusiveMinimum", "exclusiveMaximum") and not isinstance(left, bool):
        return (max if keyword == "exclusiveMinimum" else min)(left, right)
    if keyword == "type":
        return _common_types(left, right)
    if keyword == "required":
        return list(dict.fromkeys([*left, *right]))
    if keyword == "uniqueItems":
        return left or right
    if keyword in ("properties", "additionalProperties", "items", "prefixItems"):
        return left  # merged one by one afterwards
    raise UnsupportedSchemaError("cannot be merged with the same keyword beside it", keyword, where)


def _common_types(left: str | list[str], right: str | list[str]) -> list[str]:
    sides = [[side] if isinstance(side, str) else side for side in (left, right)]
    common = [kind for kind in sides[0] if kind in sides[1]]
    for one, other in (sides, sides[::-1]):
        if "number" in one and "integer" in other and "integer" not in common:
            common.append("integer")
    return [kind for kind in common if kind != "integer" or "number" not in common]


def constrains(flat: Flat, draft: int) -> bool:
    """Whether `flat` has any keyword that could refuse a value."""
    return any(True for _ in assertions(flat.keywords, draft))
