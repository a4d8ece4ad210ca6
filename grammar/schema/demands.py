"""What one schema demands of each type: its keywords and those that it applies in place.

Rule of the file: every keyword is either turned into demands, or left to the sheets of containers
(`Items`, `Members`), or refused by name. Alternatives of ``oneOf`` are joined like those of
``anyOf`` and noted; that they exclude each other is proven afterwards, because it takes looking
inside.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import KEYWORDS, NUMERIC, TYPES
from sampler.grammar.schema.merge import (
    EVERYTHING,
    NOTHING,
    Condition,
    Constant,
    Items,
    Members,
    Numbers,
    Strings,
    Union,
    join,
    meet,
)
from sampler.grammar.schema.negate import negation
from sampler.grammar.text.numbers import Bound, exact
from sampler.grammar.text.numbers import Numbers as Interval

# Keywords that apply other schemas to the same value; "oneOf" and "not" among them.
IN_PLACE = frozenset(
    [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
    ]
)
ABOUT_ARRAYS = frozenset(
    ["items", "prefixItems", "additionalItems", "contains", "uniqueItems", "unevaluatedItems"]
)
ABOUT_OBJECTS = frozenset(
    [
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "unevaluatedProperties",
    ]
)

_ASSERTIONS = frozenset(KEYWORDS) - {"$defs", "definitions"}


class Demands:
    """The demands of the schemas of some documents.

    Parameters
    ----------
    documents : where the schemas stand
    allows : evaluates a value under a schema
    formats : the names of the formats that are enforced

    Attributes
    ----------
    exclusive : schemas whose ``oneOf`` was joined, in the order in which they were met
    """

    def __init__(
        self,
        documents: Documents,
        allows: Callable[[Schema, Any], bool],
        formats: frozenset[str],
    ) -> None:
        self._documents = documents
        self._allows = allows
        self._formats = formats
        self._known: dict[Schema, Union | None] = {}
        self.exclusive: list[Schema] = []

    def of(self, schema: Schema) -> Union:
        """What `schema` demands.

        Raises
        ------
        UnsupportedSchemaError : a keyword that cannot be enforced
        GrammarError : a reference that leads back to itself without a property or item between
        """
        if schema not in self._known:
            self._known[schema] = None
            try:
                self._known[schema] = self._new(schema)
            finally:
                if self._known[schema] is None:
                    del self._known[schema]
        demands = self._known[schema]
        if demands is None:
            raise GrammarError(f"a reference at {schema.pointer!r} leads to itself")
        return demands

    def together(self, schemas: tuple[Schema, ...], pieces: Iterator[Union]) -> Union:
        """What all `pieces` allow; their constants are those that are valid under all `schemas`.

        Where some piece lists its values, the others are not needed and may be unsupported.
        """
        every, constants, refusal = EVERYTHING, dict[Constant, None](), None
        listed: dict[Constant, None] | None = None
        for piece in _without_refusals(pieces):
            if isinstance(piece, UnsupportedSchemaError):
                refusal = refusal or piece
            elif piece.is_listed:
                known = dict.fromkeys(piece.constants)
                listed = known if listed is None else {c: None for c in listed if c in known}
            elif listed is None:
                constants.update(dict.fromkeys(piece.constants))
                every = piece if every is EVERYTHING else meet(every, piece)
        if listed is not None:
            every, constants = NOTHING, listed
        elif refusal is not None:
            raise refusal
        valid = tuple(
            constant
            for constant in constants
            if all(self._allows(schema, constant.value) for schema in schemas)
        )
        return Union(every.atoms, every.numbers, every.strings, every.arrays, every.objects, valid)

    def _new(self, schema: Schema) -> Union:
        keywords = schema.keywords
        if isinstance(keywords, bool):
            return EVERYTHING if keywords else NOTHING
        in_place = [word for word in keywords if word in IN_PLACE and _is_known(word, schema)]
        listed = [word for word in ("enum", "const") if word in keywords]
        if not in_place and not listed:
            return self._own(schema)
        if len(_ASSERTIONS & keywords.keys()) == len(listed) == 1 and _is_known(listed[0], schema):
            return _listed(keywords, listed[0])
        return self.together((schema,), _Pieces(self._pieces(schema, in_place)))

    def _pieces(self, schema: Schema, in_place: list[str]) -> Iterator[Callable[[], Union]]:
        """The conjuncts, in the order in which they stand: that of the properties."""
        keywords = schema.keywords
        assert isinstance(keywords, dict)
        if "$ref" in keywords and schema.draft <= 7:
            yield lambda: self.of(self._documents.resolve(schema, "$ref"))
            return
        for word in ("enum", "const"):
            if word in keywords and _is_known(word, schema):
                yield lambda word=word: _listed(keywords, word)  # type: ignore[misc]
        if "properties" not in keywords:
            yield lambda: self._own(schema)
        for word in keywords:
            if word == "properties":
                yield lambda: self._own(schema)
            elif word in in_place:
                yield from _IN_PLACE[word](self, schema, keywords[word])

    # The keywords that apply schemas in place: (schema, value of the keyword) -> conjuncts.

    def _reference(self, schema: Schema, given: str) -> Iterator[Callable[[], Union]]:
        yield lambda: self.of(self._documents.resolve(schema, "$ref"))

    def _dynamic_reference(self, schema: Schema, given: str) -> Iterator[Callable[[], Union]]:
        yield lambda: self.of(self._documents.resolve_dynamic(schema))

    def _all_of(self, schema: Schema, given: list[Any]) -> Iterator[Callable[[], Union]]:
        for part in given:
            yield lambda part=part: self.of(self._documents.place(part))  # type: ignore[misc]

    def _any_of(self, schema: Schema, given: list[Any]) -> Iterator[Callable[[], Union]]:
        yield lambda: join(self.of(self._documents.place(part)) for part in given)

    def _one_of(self, schema: Schema, given: list[Any]) -> Iterator[Callable[[], Union]]:
        if len(given) > 1:
            self.exclusive.append(schema)
        return self._any_of(schema, given)

    def _not(self, schema: Schema, given: Any) -> Iterator[Callable[[], Union]]:
        yield lambda: self._negated(schema, self._documents.place(given))

    def _negated(self, schema: Schema, negated: Schema) -> Union:
        pieces = negation(self._documents, schema, negated, self._formats)
        return join(
            [
                piece if isinstance(piece, Union) else self.of(self._made(piece, schema))
                for piece in pieces
            ]
        )

    def _if(self, schema: Schema, given: Any) -> Iterator[Callable[[], Union]]:
        keywords = schema.keywords
        assert isinstance(keywords, dict)
        yes, no = keywords.get("then", True), keywords.get("else", True)
        if yes not in (True, {}) or no not in (True, {}):
            made = {"anyOf": [{"allOf": [given, yes]}, {"allOf": [{"not": given}, no]}]}
            yield lambda: self.of(self._made(made, schema))

    def _dependencies(self, schema: Schema, given: dict[str, Any]) -> Iterator[Callable[[], Union]]:
        for name, part in given.items():
            if part in (True, {}, []):
                continue
            lacks = {"properties": {name: False}}
            has = {"required": [name, *part]} if isinstance(part, list) else {"required": [name]}
            options = [lacks, has if isinstance(part, list) else {"allOf": [has, part]}]
            made = self._made({"anyOf": options}, schema)
            yield lambda made=made: self.of(made)  # type: ignore[misc]

    def _made(self, keywords: dict[str, Any], like: Schema) -> Schema:
        return self._documents.made(keywords, like)

    # The keywords about the value itself.

    def _own(self, schema: Schema) -> Union:
        keywords = schema.keywords
        assert isinstance(keywords, dict)
        given = keywords.get("type", TYPES)
        types = (given,) if isinstance(given, str) else given
        numeric = "number" in types or "integer" in types
        atoms = {None} if "null" in types else set[bool | None]()
        return Union(
            frozenset(atoms | {True, False} if "boolean" in types else atoms),
            (numbers_under(schema, "number" not in types),) if numeric else (),
            (self._strings(schema, keywords),) if "string" in types else (),
            (_items(schema, keywords),) if "array" in types else (),
            (_members(schema, keywords),) if "object" in types else (),
        )

    def _strings(self, schema: Schema, keywords: dict[str, Any]) -> Strings:
        conditions = tuple(
            Condition(word, keywords[word], schema.where(word))
            for word in ("pattern", "format")
            if word in keywords and (word == "pattern" or keywords[word] in self._formats)
        )
        return Strings(conditions, *_window(keywords, "Length"))


def _without_refusals(pieces: Iterator[Union]) -> Iterator[Union | UnsupportedSchemaError]:
    """The pieces, or why there is none."""
    while True:
        try:
            yield next(pieces)
        except UnsupportedSchemaError as error:
            yield error
        except StopIteration:
            return


class _Pieces:
    """Calls what an iterator gives; goes on after one of the calls has raised."""

    def __init__(self, calls: Iterator[Callable[[], Union]]) -> None:
        self._calls = calls

    def __iter__(self) -> Iterator[Union]:
        return self

    def __next__(self) -> Union:
        return next(self._calls)()


def _listed(keywords: dict[str, Any], word: str) -> Union:
    """The values of ``enum`` or ``const``, each once."""
    values = keywords[word] if word == "enum" else [keywords[word]]
    return Union(constants=tuple(dict.fromkeys(map(Constant.of, values))))


def _is_known(word: str, schema: Schema) -> bool:
    known = KEYWORDS[word]
    return known.since <= schema.draft <= known.until


def numbers_under(schema: Schema, is_integer: bool) -> Numbers:
    """The numbers that the keywords of `schema` itself allow."""
    keywords = schema.keywords
    assert isinstance(keywords, dict)
    interval = Interval()
    if not NUMERIC.isdisjoint(keywords):
        interval = (
            Interval(step=exact(keywords["multipleOf"]) if "multipleOf" in keywords else None)
            & Interval(minimum=_bound(keywords, "minimum", "exclusiveMinimum"))
            & Interval(maximum=_bound(keywords, "maximum", "exclusiveMaximum"))
            & Interval(_excluding(keywords, "exclusiveMinimum"))
            & Interval(maximum=_excluding(keywords, "exclusiveMaximum"))
        )
    return Numbers(interval, is_integer, is_integer and schema.draft == 4)


def _bound(keywords: dict[str, Any], word: str, flag: str) -> Bound | None:
    """The bound `word`, which draft 4 excludes by a flag."""
    if word not in keywords:
        return None
    return Bound(exact(keywords[word]), keywords.get(flag) is True)


_MOST_COUNTED = 1 << 40  # more characters, items or members than any text has


def _excluding(keywords: dict[str, Any], word: str) -> Bound | None:
    limit = keywords.get(word)
    return None if limit is None or isinstance(limit, bool) else Bound(exact(limit), True)


def _items(schema: Schema, keywords: dict[str, Any]) -> Items:
    named = () if ABOUT_ARRAYS.isdisjoint(keywords) else (schema,)
    return Items(named, *_window(keywords, "Items"))


def _members(schema: Schema, keywords: dict[str, Any]) -> Members:
    named = () if ABOUT_OBJECTS.isdisjoint(keywords) else (schema,)
    required = tuple(dict.fromkeys(keywords.get("required", ())))
    return Members(named, required, *_window(keywords, "Properties"))


def _window(keywords: dict[str, Any], what: str) -> tuple[int, int | None]:
    """The least and the most of something that is counted; None where no text has so many."""
    least, most = int(keywords.get(f"min{what}", 0)), keywords.get(f"max{what}")
    if least > _MOST_COUNTED:
        raise GrammarLimitError(f"min{what}", least, _MOST_COUNTED)
    return least, None if most is None or most > _MOST_COUNTED else int(most)


_IN_PLACE: dict[str, Callable[[Demands, Schema, Any], Iterator[Callable[[], Union]]]] = {
    "$ref": Demands._reference,
    "$dynamicRef": Demands._dynamic_reference,
    "$recursiveRef": Demands._dynamic_reference,
    "allOf": Demands._all_of,
    "anyOf": Demands._any_of,
    "oneOf": Demands._one_of,
    "not": Demands._not,
    "if": Demands._if,
    "dependencies": Demands._dependencies,
    "dependentRequired": Demands._dependencies,
    "dependentSchemas": Demands._dependencies,
}
