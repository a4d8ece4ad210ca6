"""Nodes in, the values that they allow out.

Everything is looked at once and on demand: what a node demands (`demands`), whether it allows any
value (`is_empty`), and what its values look like (`expand`).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType
from typing import Any

from sampler.errors import GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.budget import check_time
from sampler.grammar.schema import counts
from sampler.grammar.schema.demands import Demands, Overlaps
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.emptiness import Emptiness
from sampler.grammar.schema.evaluate import Evaluator
from sampler.grammar.schema.expand_arrays import Arrays
from sampler.grammar.schema.expand_objects import Objects
from sampler.grammar.schema.keys import Keys
from sampler.grammar.schema.merge import (
    Constant,
    Items,
    Members,
    Numbers,
    Strings,
    Union,
    how_many_numbers,
)
from sampler.grammar.schema.nodes import Nodes
from sampler.grammar.schema.shapes import (
    ArrayShape,
    CountedArrayShape,
    Node,
    ObjectShape,
    Property,
    Value,
)
from sampler.grammar.schema.texts import Texts
from sampler.grammar.text.formats import NARROWED
from sampler.grammar.text.terms import Term

MAX_WORDS = 64  # constants that are listed one by one; more of them are a language
_ANY_STRING, _ANY_NUMBER = Strings(), Numbers()
MAX_DEPTH = 200  # of nodes that need each other


class Expander:
    """The values under the schemas of some documents.

    Parameters
    ----------
    documents : where the schemas stand
    texts : makes languages of texts
    in_any_order : see `Objects`
    overlaps : see `Demands`

    Attributes
    ----------
    root : the node of the outermost schema
    everything : the node of all values
    """

    def __init__(
        self,
        documents: Documents,
        texts: Texts,
        in_any_order: bool = False,
        overlaps: Overlaps = MappingProxyType({}),
    ) -> None:
        self._documents = documents
        self._overlaps = overlaps
        self._texts = texts
        self._nodes = Nodes(documents)
        self._evaluator = Evaluator(documents, texts.matches)
        self._schemas = Demands(documents, self._evaluator.allows, texts.formats, overlaps)
        self._emptiness = Emptiness(self)
        self._arrays = Arrays(documents, self._nodes, self._how_many)
        keys = Keys(documents, self._nodes, texts, self._evaluator.allows, self._names_term)
        self._objects = Objects(keys, texts, in_any_order)
        self._demands: dict[Node, Union] = {}
        self._values: dict[Node, Value] = {}
        self.everything = self._nodes.everything
        self.root = self._nodes.of((documents.root,))

    def expand(self, node: Node) -> Value:
        """What the values under `node` look like; the same object for the same node.

        Raises
        ------
        UnsupportedSchemaError : a keyword that cannot be enforced exactly
        GrammarLimitError : more than a limit allows
        """
        value = self._values.get(node)
        if value is None:
            try:
                value = self._values[node] = self._expand(self.demands(node))
            except RecursionError as error:
                raise GrammarLimitError("nesting of references", f"> {MAX_DEPTH}", MAX_DEPTH) from (
                    error
                )
        return value

    @property
    def compares_items(self) -> bool:
        """Whether items of what was looked at so far must be distinct."""
        return bool(self._arrays.distinct)

    @property
    def keys_run_out(self) -> bool:
        """Whether keys of what was looked at so far can run out."""
        return self._objects.keys_run_out

    def is_empty(self, node: Node) -> bool:
        """Whether no value is valid under `node`."""
        return self._emptiness.is_empty(node)

    def check(self) -> Overlaps:
        """The alternatives of ``oneOf`` that may hold together, beyond those that are known.

        Looks at every node that can be reached, for what has to be refused.

        Raises
        ------
        UnsupportedSchemaError, GrammarLimitError : as `expand`
        """
        waiting, seen = [self.root], {self.root}
        while waiting:
            for inner in nodes_inside(self.expand(waiting.pop())):
                if inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)
        for value in self._values.values():
            if len({shape.is_distinct for shape in value.arrays}) > 1:
                asking = next(iter(self._arrays.distinct.values()))
                raise UnsupportedSchemaError(
                    "beside other arrays whose items need not be distinct",
                    "uniqueItems",
                    asking.where("uniqueItems"),
                )
        for node, asking in self._arrays.distinct.items():
            if not _containers_go_on(self.expand(node)):
                raise UnsupportedSchemaError(
                    "items that are containers must be open ones",
                    "uniqueItems",
                    asking.where("uniqueItems"),
                )
        return self.overlaps_of(self._schemas.exclusive)

    def overlaps_of(self, schemas: Iterable[Schema]) -> Overlaps:
        """The alternatives of the ``oneOf`` of `schemas` that may hold together."""
        judge = self
        if schemas and not NARROWED.keys().isdisjoint(self._documents.formats):
            judge = Expander(self._documents, self._texts.widened(), False, self._overlaps)
        found = {schema: judge._overlapping(schema) for schema in schemas}
        return {schema: pairs for schema, pairs in found.items() if pairs}

    def _overlapping(self, schema: Schema) -> list[tuple[int, int]]:
        """The alternatives of ``oneOf`` that are not certain to exclude each other."""
        options = [self._documents.place(part) for part in schema.get("oneOf")]
        siblings, found = self._siblings(schema), []
        known = self._overlaps.get(schema, ())
        listed = [self._listed_under(option) for option in options]
        for one, other in combinations(range(len(options)), 2):
            words, others = listed[one], listed[other]
            is_apart = words is not None and others is not None and words.isdisjoint(others)
            if is_apart or (one, other) in known:
                continue
            check_time()
            both = options[one], options[other]
            if not self.is_empty(self._nodes.of(both)) and not (
                siblings and self.is_empty(self._nodes.of((siblings, *both)))
            ):
                found.append((one, other))
        return found

    def _listed_under(self, schema: Schema) -> frozenset[Constant] | None:
        """The values under `schema` if it lists them; of these there may be very many."""
        union = self.demands(self._nodes.one(schema))
        return frozenset(union.constants) if union.is_listed else None

    def _siblings(self, schema: Schema) -> Schema | None:
        """What stands beside ``oneOf``; by itself, as values are not to be tried with ``oneOf``."""
        assert isinstance(schema.keywords, dict)
        others = {word: value for word, value in schema.keywords.items() if word != "oneOf"}
        return self._documents.made(others, schema) if others else None

    def demands(self, node: Node) -> Union:
        """What `node` demands of each type."""
        union = self._demands.get(node)
        if union is None:
            if len(node.schemas) == 1:
                union = self._schemas.of(node.schemas[0])
            else:
                pieces: Iterable[Union] = map(self._schemas.of, node.schemas)
                union = self._schemas.together(node.schemas, iter(pieces))
            self._demands[node] = union
        return union

    # What the search for empty nodes wants to know.

    def has_scalar(self, union: Union) -> bool:
        """Whether `union` allows a number, a string, a constant, null, true or false."""
        return bool(
            union.atoms
            or union.constants
            or _ANY_STRING in union.strings
            or _ANY_NUMBER in union.numbers
            or any(self._texts.strings(part) is not None for part in union.strings)
            or self._texts.numbers(union.numbers) is not None
        )

    def array_allows(self, items: Items, allows: Any) -> bool:
        """Whether there is such an array, given which nodes allow something."""
        return self._arrays.allows(items, allows)

    def object_allows(self, members: Members, allows: Any) -> bool:
        """Whether there is such an object, given which nodes allow something."""
        return self._objects.allows(members, allows)

    # Values.

    def _expand(self, union: Union) -> Value:
        literals = [
            text
            for text, atom in (("null", None), ("true", True), ("false", False))
            if atom in union.atoms
        ]
        listed = Listed(self._nodes)
        for constant in union.constants:
            listed.add(constant.value)
        arrays = [self._arrays.shape(items, self.is_empty) for items in union.arrays]
        objects = (
            shape
            for members in union.objects
            for shape in self._objects.shapes(members, self.is_empty)
        )
        # 5.0 is no integer in draft 4, so there a constant is written as it was evaluated
        is_canonical = self._texts.is_canonical or 4 in self._documents.drafts
        few_numbers = listed.numbers if is_canonical else []
        if len(few_numbers) <= MAX_WORDS:
            literals += few_numbers
        many_numbers = listed.numbers[len(few_numbers) if len(few_numbers) <= MAX_WORDS else 0 :]
        texts = [self._texts.strings(part) for part in union.strings]
        few_words = listed.words if len(listed.words) <= MAX_WORDS else []
        if len(few_words) < len(listed.words):
            texts.append(self._texts.text(self._texts.words(listed.words)))
        return Value(
            tuple(dict.fromkeys([*literals, *listed.literals])),
            self._texts.numbers(union.numbers, tuple(many_numbers), is_canonical),
            tuple(few_words),
            tuple(dict.fromkeys(text for text in texts if text is not None)),
            _told_apart([*(shape for shape in arrays if shape), *listed.arrays]),
            tuple(dict.fromkeys([*objects, *listed.objects])),
        )

    def _how_many(self, node: Node, limit: int) -> tuple[int, bool]:
        """How many values a node has, at least and up to `limit`; and whether just so many."""
        union = self.demands(node)
        if union.arrays or union.objects:
            return limit, False
        constants = [constant.value for constant in union.constants]
        words = sum(isinstance(value, str) for value in constants)
        listed = sum(isinstance(v, int | float) and not isinstance(v, bool) for v in constants)
        texts = [self._texts.strings_term(part) for part in union.strings]
        strings = [counts.count(self._texts.dfa(term), limit) for term in texts]
        numbers = [how_many_numbers(part) for part in union.numbers]
        atoms = {value for value in constants if value is None or isinstance(value, bool)}
        containers = sum(isinstance(value, list | dict) for value in constants)
        count = len(atoms | union.atoms) + containers + max([words, *strings])
        count += max([listed, *numbers])
        is_exact = len(strings) + bool(words) <= 1 and len(numbers) + bool(listed) <= 1
        is_exact = is_exact and not any(p.not_steps or p.excluded for p in union.numbers)
        return min(count, limit), is_exact

    def _names_term(self, node: Node) -> Term:
        """The strings that are valid under `node`."""
        union = self.demands(node)
        words = [part.value for part in union.constants if isinstance(part.value, str)]
        return self._texts.either(
            [*map(self._texts.strings_term, union.strings), self._texts.words(words)]
        )


def _told_apart(
    arrays: Iterable[ArrayShape | CountedArrayShape],
) -> tuple[ArrayShape | CountedArrayShape, ...]:
    """`arrays` but those of distinct items that are also there without that."""
    known = dict.fromkeys(arrays)
    return tuple(
        shape
        for shape in known
        if not (shape.is_distinct and replace(shape, is_distinct=False) in known)
    )


def _containers_go_on(value: Value) -> bool:
    """Whether each array and object of `value`, once begun, can become any number of values."""
    for array in value.arrays:
        if (
            isinstance(array, CountedArrayShape)
            or array.rest is None
            or array.max_items is not None
        ):
            return False
    return all(
        shape.max_properties is None and any(free.is_open for free in shape.extras)
        for shape in value.objects
    )


class Listed:
    """Constants by their types, as parts of a `Value`.

    Attributes
    ----------
    numbers : as `json.dumps` writes them
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.literals: list[str] = []
        self.numbers: list[str] = []
        self.words: list[str] = []
        self.arrays: list[ArrayShape] = []
        self.objects: list[ObjectShape] = []

    def add(self, value: Any) -> None:
        """None; notes `value`."""
        if isinstance(value, str):
            self.words.append(value)
        elif isinstance(value, list):
            items = tuple(map(self._node, value))
            self.arrays.append(ArrayShape(items, None, len(items), len(items)))
        elif isinstance(value, dict):
            members = (
                Property(name, self._node(part), is_required=True) for name, part in value.items()
            )
            self.objects.append(ObjectShape(tuple(members), ()))
        elif value is None or isinstance(value, bool):
            self.literals.append(json.dumps(value))
        else:
            self.numbers.append(json.dumps(value))

    def _node(self, value: Any) -> Node:
        return self._nodes.constant(value, json.dumps(value))


def nodes_inside(value: Value) -> Iterator[Node]:
    """The nodes that stand directly inside of the containers of `value`."""
    for array in value.arrays:
        if isinstance(array, CountedArrayShape):
            for options in (*array.prefix, array.rest):
                yield from (option.node for option in options)
            continue
        yield from array.prefix
        if array.rest is not None:
            yield array.rest
    for shape in value.objects:
        yield from (part.node for part in shape.properties)
        for keys in shape.extras:
            yield keys.node
            yield from filter(None, keys.wanted)
