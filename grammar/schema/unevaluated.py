"""``unevaluatedProperties`` and ``unevaluatedItems``: of members of which nothing else is said.

A part counts if it holds for the value. Each alternative of a schema's demands knows the sheets
that it is made of (`noted`), so what they leave unevaluated is said by one more sheet. Of ``anyOf``
several parts may hold at once and each counts, so their combinations are alternatives too; an
alternative that leaves out a part that holds demands more, so none has to exclude another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import combinations
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import IN_PLACE, LATEST, is_known
from sampler.grammar.schema.merge import Items, Members, Union, meet

_MOST_COMBINED = 6  # parts of ``anyOf`` that evaluate something


def leaves_unevaluated(schema: Schema) -> bool:
    """Whether what `schema` says of unevaluated members takes knowing which parts of it hold."""
    keywords = schema.keywords
    if schema.draft < 2019 or isinstance(keywords, bool):
        return False
    if "unevaluatedItems" in keywords and schema.draft == LATEST and "contains" in keywords:
        return True
    asks = "unevaluatedProperties" in keywords or "unevaluatedItems" in keywords
    return asks and any(word in IN_PLACE and is_known(word, schema.draft) for word in keywords)


def with_combinations(schema: Schema, unions: list[Union]) -> Iterator[Union]:
    """The `unions` of the parts of ``anyOf``, and what several of them allow together.

    Raises
    ------
    UnsupportedSchemaError : too many of them
    """
    yield from unions
    noting = [
        union
        for union in unions
        if any(part.noted for part in union.arrays) or any(part.noted for part in union.objects)
    ]
    if len(noting) > _MOST_COMBINED:
        raise UnsupportedSchemaError(
            f"more than {_MOST_COMBINED} parts that evaluate members cannot be told apart",
            "anyOf",
            schema.where("anyOf"),
        )
    for size in range(2, len(noting) + 1):
        for together in combinations(noting, size):
            union = reduce(meet, together)
            yield Union(arrays=union.arrays, objects=union.objects)


def without_notes(union: Union) -> Union:
    """`union` for whoever does not ask what is evaluated."""
    return Union(
        union.atoms,
        union.numbers,
        union.strings,
        tuple(dict.fromkeys(replace(part, noted=()) for part in union.arrays)),
        tuple(dict.fromkeys(replace(part, noted=()) for part in union.objects)),
        union.constants,
    )


def with_unevaluated(documents: Documents, schema: Schema, union: Union) -> Union:
    """`union`, the demands of `schema` with notes, and what it says of unevaluated members."""
    arrays, objects = union.arrays, union.objects
    if schema.get("unevaluatedItems") is not None:
        arrays = tuple(_items(documents, schema, part) for part in arrays)
    if schema.get("unevaluatedProperties") is not None:
        objects = tuple(_members(documents, schema, part) for part in objects)
    return Union(union.atoms, union.numbers, union.strings, arrays, objects, union.constants)


def _members(documents: Documents, schema: Schema, members: Members) -> Members:
    if any(_evaluates_all_properties(sheet, schema) for sheet in members.noted):
        return members
    sheet = documents.made(
        {
            "properties": _named("properties", members.noted),
            "patternProperties": _named("patternProperties", members.noted),
            "additionalProperties": schema.get("unevaluatedProperties"),
        },
        schema,
    )
    return replace(members, sheets=(*members.sheets, sheet), noted=(*members.noted, sheet))


def _evaluates_all_properties(sheet: Schema, asking: Schema) -> bool:
    if sheet.get("additionalProperties") is not None:
        return True
    return sheet is not asking and sheet.get("unevaluatedProperties") is not None


def _named(word: str, sheets: Iterable[Schema]) -> dict[str, Any]:
    return {name: True for sheet in sheets for name in sheet.get(word, ())}


def _items(documents: Documents, schema: Schema, items: Items) -> Items:
    if any(_evaluates_all_items(sheet, schema) for sheet in items.noted):
        return items
    rest, before = schema.get("unevaluatedItems"), 0
    for sheet in items.noted:
        prefix = sheet.get("prefixItems" if sheet.draft == LATEST else "items", ())
        before = max(before, len(prefix))
    found = [
        sheet.get("contains")
        for sheet in items.noted
        if sheet.draft == LATEST and sheet.get("contains") is not None
    ]
    if found:  # which evaluates the items that it finds
        rest = {"anyOf": [rest, *found]}
    first: list[Any] = [True] * before
    words = ("prefixItems", "items") if schema.draft == LATEST else ("items", "additionalItems")
    sheet = documents.made(dict(zip(words, (first, rest), strict=True)), schema)
    return replace(items, sheets=(*items.sheets, sheet), noted=(*items.noted, sheet))


def _evaluates_all_items(sheet: Schema, asking: Schema) -> bool:
    given = sheet.get("items")
    if given is not None and not isinstance(given, list):
        return True
    if sheet.draft < LATEST and given is not None and sheet.get("additionalItems") is not None:
        return True
    return sheet is not asking and sheet.get("unevaluatedItems") is not None
