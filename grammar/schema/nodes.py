"""Nodes: conjunctions of schemas, the same one for the same schemas."""

from collections.abc import Iterable
from typing import Any

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.budget import check_time
from sampler.grammar.schema.document import FALSE, TRUE, Documents, Schema
from sampler.grammar.schema.keywords import KEYWORDS
from sampler.grammar.schema.shapes import Node

MAX_NODES = 200_000
_SAYING = frozenset(KEYWORDS) - {"$defs", "definitions"}


class Nodes:
    """The nodes over some documents.

    Attributes
    ----------
    everything : the node of all values
    nothing : the node of no value; each conjunction with a schema ``false`` is this one
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[tuple[Schema, ...], Node] = {}
        self._single: dict[Schema, Node] = {}
        self._constants: dict[str, Schema] = {}
        self._meant: dict[Schema, Schema] = {}  # what a schema leads to; TRUE if that says nothing
        self.everything = self.of(())
        self.nothing = self.of((FALSE,))

    def one(self, schema: Schema) -> Node:
        """The node of values for which `schema` holds."""
        node = self._single.get(schema)
        if node is None:
            node = self._single[schema] = self.of((schema,))
        return node

    def of(self, schemas: Iterable[Schema]) -> Node:
        """The node of values for which all `schemas` hold, in the order of their first mention."""
        plain = dict[Schema, None]()
        for schema in schemas:
            meant = self._meant.get(schema)
            if meant is None:
                followed = self._followed(schema)
                meant = self._meant[schema] = followed if _says_something(followed) else TRUE
            if meant is not TRUE:
                plain[meant] = None
        is_nothing = FALSE in plain or (len(plain) > 1 and self._documents.are_opposite(plain))
        key = (FALSE,) if is_nothing else tuple(plain)
        node = self._known.get(key)
        if node is None:
            if len(self._known) >= MAX_NODES:
                raise GrammarLimitError("combined schemas", len(self._known) + 1, MAX_NODES)
            check_time()
            node = self._known[key] = Node(len(self._known), key)
        return node

    def constant(self, value: Any, text: str) -> Node:
        """The node of one value, which is written as `text`."""
        if text not in self._constants:
            root = self._documents.root
            like = Schema({}, root.pointer)
            self._constants[text] = self._documents.made({"const": value}, like)
        return self.one(self._constants[text])

    def _followed(self, schema: Schema) -> Schema:
        """What `schema` leads to, where it is a reference and nothing else."""
        passed: set[Schema] = set()
        while schema not in passed:
            keywords = schema.keywords
            if isinstance(keywords, bool) or "$ref" not in keywords:
                return schema
            if schema.draft > 7 and len(_SAYING & keywords.keys()) > 1:
                return schema
            passed.add(schema)
            schema = self._documents.resolve(schema, "$ref")
        raise GrammarError(f"the reference at {schema.where('$ref')!r} leads to itself")


def _says_something(schema: Schema) -> bool:
    keywords = schema.keywords
    return not keywords if isinstance(keywords, bool) else not _SAYING.isdisjoint(keywords)
