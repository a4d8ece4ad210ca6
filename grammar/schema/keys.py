"""Which schemas each key of an object is under.

The keys that are not named are parted into classes by the patterns that they match. All keys of a
class are under the same schemas, so a class has one node, and no key is in two classes.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sampler.errors import GrammarLimitError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.merge import Condition, Members, Some
from sampler.grammar.schema.nodes import Nodes
from sampler.grammar.schema.shapes import Node, Property
from sampler.grammar.schema.texts import Texts
from sampler.grammar.schema.unevaluated import leaves_unevaluated
from sampler.grammar.text.terms import Term

MAX_CLASSES = 128  # of the keys of one object

Plain = tuple[dict[str, Any], Schema]
Kind = str | Some  # a pattern, or a member whose name is said by a schema


@dataclass(frozen=True, slots=True)
class FreeKeys:
    """A class of free keys: which ones, and the node of their values.

    `is_open` is set for all keys but some words. `some` are those members that an object must have
    which can be of this class.
    """

    term: Term
    node: Node
    is_open: bool
    some: frozenset[Some] = frozenset()


class Keys:
    """The keys of objects over some nodes.

    Parameters
    ----------
    documents, nodes, texts : what the objects are made of
    allows_name : whether a string is valid under a schema, for `propertyNames`
    names_term : the strings that are valid under a node
    """

    def __init__(
        self,
        documents: Documents,
        nodes: Nodes,
        texts: Texts,
        allows_name: Callable[[Schema, str], bool],
        names_term: Callable[[Node], Term],
    ) -> None:
        self._documents = documents
        self._nodes = nodes
        self._texts = texts
        self._allows_name = allows_name
        self._names_term = names_term
        self._plain: dict[Schema, Plain | None] = {}

    def named(self, members: Members) -> Iterator[Property]:
        """The properties with a name, as they are written; some of their nodes may be empty."""
        required = frozenset(members.required)
        place, one = self._documents.place, self._nodes.one
        if len(members.sheets) == 1 and _is_plain(members.sheets[0]):
            defined = members.sheets[0].get("properties", {})
            for name, part in defined.items():
                yield Property(name, one(place(part)), name in required)
        else:
            defined = dict.fromkeys(
                name for sheet in members.sheets for name in sheet.get("properties", ())
            )
            for name in defined:
                yield Property(name, self.node_of(members, name), name in required)
        for name in members.required:
            if name not in defined:
                yield Property(name, self.node_of(members, name), is_required=True)

    def node_of(self, members: Members, name: str) -> Node:
        """The node of the values under the key `name`."""
        for sheet in members.sheets:
            names = _property_names(sheet)
            if names is not None and not self._allows_name(self._documents.place(names), name):
                return self._nodes.nothing
        place, schemas = self._documents.place, list[Schema]()
        for sheet in members.sheets:
            plain = self._plain_of(sheet)
            if plain is None:
                schemas.extend(map(place, _parts(sheet, name, self._matching(sheet, name))))
            elif name in plain[0]:
                schemas.append(place(plain[0][name]))
            else:
                schemas.append(plain[1])
        return self._nodes.of(schemas)

    def _plain_of(self, sheet: Schema) -> Plain | None:
        """What a sheet says of properties, and of those without a name; None if it has patterns."""
        if sheet not in self._plain:
            is_plain = not sheet.get("patternProperties")
            others = self._documents.place(_additional(sheet))
            self._plain[sheet] = (sheet.get("properties", {}), others) if is_plain else None
        return self._plain[sheet]

    def _matching(self, sheet: Schema, name: str) -> frozenset[str]:
        patterns = sheet.get("patternProperties")
        if not patterns:
            return frozenset()
        return frozenset(
            pattern
            for pattern in patterns
            if self._texts.matches(key_pattern(sheet, pattern), name)
        )

    def can_be(self, some: Some, name: str) -> bool:
        """Whether a member called `name` can be `some`, by its name."""
        if some.is_name:
            return self._allows_name(some.schema, name)
        matching = self._matching(some.sheet, name)
        if some.pattern is not None:
            return some.pattern in matching
        return not matching and name not in some.sheet.get("properties", ())

    def with_value(self, node: Node, some: Iterable[Some]) -> Node:
        """The node of values under `node` that members have which are all of `some`."""
        schemas = [one.schema for one in some if not one.is_name]
        return self._nodes.of((*node.schemas, *schemas)) if schemas else node

    def free(self, members: Members) -> Iterator[FreeKeys]:
        """The classes of the keys without a name; some of them or their nodes may be empty."""
        patterns: dict[Kind, Condition | Schema] = {
            pattern: key_pattern(sheet, pattern)
            for sheet in members.sheets
            for pattern in sheet.get("patternProperties", ())
        }
        patterns |= {some: some.schema for some in members.some if some.is_name}
        named = dict.fromkeys(
            [
                *(name for sheet in members.sheets for name in sheet.get("properties", ())),
                *members.required,
            ]
        )
        base = self._base(members)
        for matched, term in self._classes(patterns, base):
            node = self._nodes.of(
                self._documents.place(part)
                for sheet in members.sheets
                for part in _parts(sheet, None, matched)
            )
            if node is self._nodes.nothing:
                continue
            inside = [
                name
                for name in named
                if all(self._is_of(kind, name) == (p in matched) for p, kind in patterns.items())
            ]
            is_open = not patterns and base is self._texts.any_term
            some = frozenset(one for one in members.some if _has(one, matched))
            term = self._texts.without_words(term, inside)
            yield FreeKeys(term, node, is_open, some)

    def _base(self, members: Members) -> Term:
        """All keys that are allowed by their name."""
        schemas = [
            self._documents.place(names)
            for sheet in members.sheets
            if (names := _property_names(sheet)) is not None
        ]
        if not schemas:
            return self._texts.any_term
        return self._names_term(self._nodes.of(schemas))

    def _is_of(self, kind: Condition | Schema, name: str) -> bool:
        if isinstance(kind, Condition):
            return self._texts.matches(kind, name)
        return self._allows_name(kind, name)

    def _term_of(self, kind: Condition | Schema) -> Term:
        if isinstance(kind, Condition):
            return self._texts.condition(kind)
        return self._names_term(self._nodes.one(kind))

    def _classes(
        self, patterns: Mapping[Kind, Condition | Schema], base: Term
    ) -> Iterator[tuple[frozenset[Kind], Term]]:
        """Every combination of patterns that a key can match, with the keys that do."""
        classes = [(frozenset[Kind](), base)]
        for pattern, kind in patterns.items():
            term, parted = self._term_of(kind), []
            for matched, keys in classes:
                inside, outside = keys & term, keys & ~term
                if not self._texts.is_empty(inside):
                    parted.append((matched | {pattern}, inside))
                if len(patterns) == 1 or not self._texts.is_empty(outside):
                    parted.append((matched, outside))
            classes = parted
            if len(classes) > MAX_CLASSES:
                raise GrammarLimitError("kinds of keys of an object", len(classes), MAX_CLASSES)
        yield from classes


def _has(some: Some, matched: frozenset[Kind]) -> bool:
    """Whether free keys that match what is `matched` can be those of `some`."""
    if some.is_name:
        return some in matched
    if some.pattern is not None:
        return some.pattern in matched
    return matched.isdisjoint(some.sheet.get("patternProperties", ()))


def _is_plain(sheet: Schema) -> bool:
    """Whether `sheet` says of a property with a name nothing but what ``properties`` does."""
    return not sheet.get("patternProperties") and _property_names(sheet) is None


def key_pattern(sheet: Schema, pattern: str) -> Condition:
    """The condition that a key matches `pattern`, one of ``patternProperties``."""
    return Condition("pattern", pattern, sheet.where("patternProperties", pattern))


def _property_names(sheet: Schema) -> Any:
    names = sheet.get("propertyNames") if sheet.draft > 4 else None
    return None if names in (True, {}) else names


def _parts(sheet: Schema, name: str | None, matched: Container[Any]) -> Iterator[Any]:
    """What `sheet` says of a key (None: of those of a class) that these patterns match."""
    found = False
    if name is not None and name in sheet.get("properties", ()):
        yield sheet.get("properties")[name]
        found = True
    for pattern, part in sheet.get("patternProperties", {}).items():
        if pattern in matched:
            yield part
            found = True
    if not found:
        yield _additional(sheet)


def _additional(sheet: Schema) -> Any:
    additional = sheet.get("additionalProperties")
    if additional is not None:
        return additional
    unevaluated = sheet.get("unevaluatedProperties") if sheet.draft >= 2019 else None
    return True if unevaluated is None or leaves_unevaluated(sheet) else unevaluated
