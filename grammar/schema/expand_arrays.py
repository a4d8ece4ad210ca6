"""Arrays that several schemas demand, position by position."""

from collections.abc import Callable
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.schema.demands import IN_PLACE
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import LATEST
from sampler.grammar.schema.merge import Items
from sampler.grammar.schema.nodes import Nodes
from sampler.grammar.schema.shapes import ArrayShape, Node


class Arrays:
    """The shapes of arrays over some nodes."""

    def __init__(self, documents: Documents, nodes: Nodes) -> None:
        self._documents = documents
        self._nodes = nodes

    def shape(self, items: Items, is_empty: Callable[[Node], bool]) -> ArrayShape | None:
        """The arrays under `items`, or None if there are none.

        Raises
        ------
        UnsupportedSchemaError : a keyword that compares or counts items
        """
        prefix, rest = self._positions(items)
        least, most = _counts(items)
        for index, node in enumerate(prefix[:most]):
            if is_empty(node):
                prefix, most = prefix[:index], index
                break
        if most is None or most > len(prefix):
            if is_empty(rest):
                most = len(prefix)
        else:
            prefix = prefix[:most]
        if most is not None and least > most:
            return None
        self._refuse(items, most)
        end = None if most == len(prefix) else rest
        return ArrayShape(tuple(prefix), end, least, most)

    def allows(self, items: Items, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an array, given which nodes allow something."""
        least, most = _counts(items)
        if least == 0 or (most is not None and least > most):
            return least == 0
        prefix, rest = self._positions(items)
        return all(allows(node) for node in prefix[:least]) and (
            least <= len(prefix) or allows(rest)
        )

    def _positions(self, items: Items) -> tuple[list[Node], Node]:
        """The nodes of the first items, and that of all further ones."""
        parts = [(_prefix(sheet), _rest(sheet)) for sheet in items.sheets]
        place, nodes = self._documents.place, self._nodes
        if len(parts) == 1:  # the usual case, without looking for what others say
            prefix, rest = parts[0]
            return [nodes.one(place(part)) for part in prefix], nodes.one(place(rest))
        length = max((len(prefix) for prefix, _ in parts), default=0)
        return [
            nodes.of(place(prefix[i] if i < len(prefix) else rest) for prefix, rest in parts)
            for i in range(length)
        ], nodes.of(place(rest) for _, rest in parts)

    def _refuse(self, items: Items, most: int | None) -> None:
        """None; raises for what cannot be enforced on arrays of up to `most` items."""
        for sheet in items.sheets:
            if sheet.get("uniqueItems") and (most is None or most > 1):
                raise UnsupportedSchemaError(
                    "comparing items is not supported", "uniqueItems", sheet.where("uniqueItems")
                )
            if sheet.draft > 4 and sheet.get("contains") not in (None, True, {}):
                raise UnsupportedSchemaError(
                    "conditions on single items are not supported",
                    "contains",
                    sheet.where("contains"),
                )
            if _is_unevaluated(sheet) and not IN_PLACE.isdisjoint(sheet.keywords):  # type: ignore[arg-type]
                raise UnsupportedSchemaError(
                    "not supported beside keywords that apply other schemas",
                    "unevaluatedItems",
                    sheet.where("unevaluatedItems"),
                )


def _counts(items: Items) -> tuple[int, int | None]:
    """How many items there may be; ``contains: true`` counts all of them."""
    least, most = items.min_items, items.max_items
    for sheet in items.sheets:
        if sheet.draft > 4 and sheet.get("contains") in (True, {}):
            counts = sheet.draft >= 2019
            least = max(least, int(sheet.get("minContains", 1)) if counts else 1)
            limit = sheet.get("maxContains") if counts else None
            if limit is not None:
                most = int(limit) if most is None else min(most, int(limit))
    return least, most


def _prefix(sheet: Schema) -> list[Any]:
    if sheet.draft == LATEST:
        return list(sheet.get("prefixItems", ()))
    items = sheet.get("items")
    return items if isinstance(items, list) else []


def _rest(sheet: Schema) -> Any:
    items = sheet.get("items")
    if sheet.draft < LATEST and isinstance(items, list):
        items = sheet.get("additionalItems")
    if items is None and _is_unevaluated(sheet):
        return sheet.get("unevaluatedItems")
    return True if items is None else items


def _is_unevaluated(sheet: Schema) -> bool:
    """Whether `sheet` says something of items that nothing else is said of."""
    return (
        sheet.draft >= 2019
        and sheet.get("unevaluatedItems") not in (None, True, {})
        and (sheet.get("items") is None or isinstance(sheet.get("items"), list))
        and sheet.get("additionalItems") is None
        and (sheet.draft < LATEST or sheet.get("contains") is None)  # which evaluates items since
    )
