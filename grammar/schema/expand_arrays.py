"""Arrays that several schemas demand, position by position."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sampler.errors import GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.schema.counted_arrays import live_states
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import LATEST
from sampler.grammar.schema.merge import Counted, Items
from sampler.grammar.schema.nodes import Nodes
from sampler.grammar.schema.shapes import ArrayShape, CountedArrayShape, Node, Option
from sampler.grammar.schema.unevaluated import leaves_unevaluated

# how many values a node has, at least and up to as many as given, and whether just so many
HowMany = Callable[[Node, int], tuple[int, bool]]
MAX_COUNTS = 4  # of one array
MAX_PLACES = 256  # items that are told apart by their place


class Arrays:
    """The shapes of arrays over some nodes.

    Attributes
    ----------
    distinct : the nodes of items that must be distinct, and one place each where that is said
    """

    def __init__(self, documents: Documents, nodes: Nodes, how_many: HowMany) -> None:
        self._documents = documents
        self._nodes = nodes
        self._how_many = how_many
        self.distinct: dict[Node, Schema] = {}

    def shape(
        self, items: Items, is_empty: Callable[[Node], bool]
    ) -> ArrayShape | CountedArrayShape | None:
        """The arrays under `items`, or None if there are none.

        Raises
        ------
        UnsupportedSchemaError : items must be distinct that can run out
        """
        prefix, rest = self._positions(items)
        least, most = _window(items)
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
        asking = _asking_for_distinct(items, most)
        if asking is not None:
            if not self._are_enough(asking, (prefix, rest), least):
                return None
            used = prefix if most == len(prefix) else [*prefix, rest]
            self.distinct |= dict.fromkeys(used, asking)
        counted = self._counted(items)
        if counted:
            places = prefix, rest
            shape = self._counted_shape(places, (least, most), counted, is_empty)
            return shape and replace(shape, is_distinct=asking is not None)
        end = None if most == len(prefix) else rest
        return ArrayShape(tuple(prefix), end, least, most, asking is not None)

    def _are_enough(self, asking: Schema, places: tuple[list[Node], Node], least: int) -> bool:
        """Whether there are `least` distinct items.

        Raises
        ------
        UnsupportedSchemaError : which items are taken first could leave too few for the others
        """
        prefix, rest = places
        if least <= 1:
            return True
        needed = dict.fromkeys([*prefix[:least], *([rest] if least > len(prefix) else [])])
        counts = [self._how_many(node, least) for node in needed]
        is_scarce = any(count < least for count, _ in counts)
        if is_scarce and (len(needed) > 1 or not counts[0][1]):
            raise UnsupportedSchemaError(
                "items of different kinds, of which some can run out",
                "uniqueItems",
                asking.where("uniqueItems"),
            )
        return not is_scarce

    def allows(self, items: Items, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an array, given which nodes allow something."""
        least, most = _window(items)
        if most is not None and least > most:
            return False
        if _asking_for_distinct(items, most) is not None and least > 1:
            return self.shape(items, lambda node: not allows(node)) is not None
        counted = self._counted(items)
        if any(count.least > 0 for count in counted):
            places = self._positions(items)
            shape = self._counted_shape(places, (least, most), counted, lambda n: not allows(n))
            return shape is not None
        if least == 0:
            return True
        prefix, rest = self._positions(items)
        return all(allows(node) for node in prefix[:least]) and (
            least <= len(prefix) or allows(rest)
        )

    def _counted(self, items: Items) -> tuple[Counted, ...]:
        """What is counted: items that are of certain schemas."""
        contained = []
        for sheet in items.sheets:
            if sheet.draft > 4 and sheet.get("contains") not in (None, True, {}):
                least, most = _contained(sheet)
                if least > 0 or most is not None:
                    schema = self._documents.place(sheet.get("contains"))
                    contained.append(Counted(schema, least, most))
        return tuple(dict.fromkeys((*contained, *items.counted)))

    def _counted_shape(
        self,
        places: tuple[list[Node], Node],
        window: tuple[int, int | None],
        counted: tuple[Counted, ...],
        is_empty: Callable[[Node], bool],
    ) -> CountedArrayShape | None:
        """The arrays with these `places` and counts, or None if there are none."""
        if len(counted) > MAX_COUNTS:
            raise GrammarLimitError("conditions on the items of an array", len(counted), MAX_COUNTS)
        prefix, rest = places
        length = max(len(prefix), *(count.start for count in counted))
        if length > MAX_PLACES:
            raise GrammarLimitError("items told apart in an array", length, MAX_PLACES)
        options = [
            self._options(prefix[i] if i < len(prefix) else rest, i, counted, is_empty)
            for i in range(length + 1)
        ]
        limits = tuple((count.least, count.most) for count in counted)
        shape = CountedArrayShape(tuple(options[:-1]), options[-1], *window, limits)
        return shape if live_states(shape) else None

    def _options(
        self, node: Node, index: int, counted: tuple[Counted, ...], is_empty: Callable[[Node], bool]
    ) -> tuple[Option, ...]:
        """What item `index` of `node` may be: for each set of counts, one that counts for these.

        Where there is no maximum, an item need not count though it could.
        """
        options = [(node.schemas, frozenset[int]())]
        for number, count in enumerate(counted):
            if index < count.start:
                continue
            parted = []
            for schemas, counts in options:
                parted.append(((*schemas, count.schema), counts | {number}))
                if count.most is None:
                    parted.append((schemas, counts))
                else:
                    opposite = self._documents.negated(count.schema.keywords, count.schema)
                    other = self._documents.place(opposite)
                    parted.append(((*schemas, other), counts))
            options = parted
        found = ((self._nodes.of(schemas), counts) for schemas, counts in options)
        return tuple(Option(node, counts) for node, counts in found if not is_empty(node))

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


def _asking_for_distinct(items: Items, most: int | None) -> Schema | None:
    """A schema that says that the items of arrays of up to `most` of them must be distinct."""
    if most is not None and most <= 1:
        return None
    return next((sheet for sheet in items.sheets if sheet.get("uniqueItems")), None)


def _window(items: Items) -> tuple[int, int | None]:
    """How many items there may be; ``contains: true`` counts all of them."""
    least, most = items.min_items, items.max_items
    for sheet in items.sheets:
        if sheet.draft > 4 and sheet.get("contains") in (True, {}):
            low, high = _contained(sheet)
            least = max(least, low)
            if high is not None:
                most = high if most is None else min(most, high)
    return least, most


def _contained(sheet: Schema) -> tuple[int, int | None]:
    """How many items there may be of those that ``contains`` speaks of."""
    if sheet.draft < 2019:
        return 1, None
    most = sheet.get("maxContains")
    return int(sheet.get("minContains", 1)), None if most is None else int(most)


def _prefix(sheet: Schema) -> list[Any]:
    if sheet.draft == LATEST:
        return list(sheet.get("prefixItems", ()))
    items = sheet.get("items")
    return items if isinstance(items, list) else []


def _rest(sheet: Schema) -> Any:
    items = sheet.get("items")
    if sheet.draft < LATEST and isinstance(items, list):
        items = sheet.get("additionalItems")  # of which there are none where `items` is a schema
    if items is None and _is_unevaluated(sheet):
        return sheet.get("unevaluatedItems")
    return True if items is None else items


def _is_unevaluated(sheet: Schema) -> bool:
    """Whether `sheet` says something of items that nothing else is said of."""
    return (
        sheet.draft >= 2019
        and sheet.get("unevaluatedItems") is not None
        and not leaves_unevaluated(sheet)
    )
