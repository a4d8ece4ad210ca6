"""What one schema demands of each type: its keywords and those that it applies in place.

Rule of the file: every keyword is either turned into demands, or left to the sheets of containers
(`Items`, `Members`), or refused by name. Alternatives of ``oneOf`` are joined like those of
``anyOf``, but for those that are known to overlap; which do is found out afterwards, because it
takes looking inside.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import (
    ABOUT_ARRAYS,
    ABOUT_OBJECTS,
    IN_PLACE,
    KEYWORDS,
    NUMERIC,
    TYPES,
    is_known,
)
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
from sampler.grammar.schema.unevaluated import (
    leaves_unevaluated,
    with_combinations,
    with_unevaluated,
    without_notes,
)
from sampler.grammar.text.numbers import Bound, exact
from sampler.grammar.text.numbers import Numbers as Interval

Overlaps = Mapping[Schema, Sequence[tuple[int, int]]]
_Conjuncts = Iterator[Callable[[], Union]]
_ASSERTIONS = frozenset(KEYWORDS) - {"$defs", "definitions"}


class Demands:
    """The demands of the schemas of some documents.

    Parameters
    ----------
    documents : where the schemas stand
    allows : evaluates a value under a schema
    formats : the names of the formats that are enforced
    overlaps : of ``oneOf`` the pairs of alternatives that may hold together

    Attributes
    ----------
    exclusive : schemas whose ``oneOf`` was joined, in the order in which they were met
    """

    def __init__(
        self,
        documents: Documents,
        allows: Callable[[Schema, Any], bool],
        formats: frozenset[str],
        overlaps: Overlaps,
    ) -> None:
        self._documents = documents
        self._allows = allows
        self._formats = formats
        self._overlaps = overlaps
        self._known: dict[tuple[Schema, bool], Union | None] = {}
        self._negations: dict[Schema, Union] = {}
        self.exclusive: dict[Schema, None] = {}

    def of(self, schema: Schema, notes: bool = False) -> Union:
        """What `schema` demands; with `notes` it is said which sheets evaluate members.

        Raises
        ------
        UnsupportedSchemaError : a keyword that cannot be enforced
        GrammarError : a reference that leads back to itself without a property or item between
        """
        key = schema, notes
        if key not in self._known:
            self._known[key] = None
            try:
                self._known[key] = self._new(schema, notes)
            finally:
                if self._known[key] is None:
                    del self._known[key]
        demands = self._known[key]
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

    def _new(self, schema: Schema, notes: bool) -> Union:
        keywords = schema.keywords
        if isinstance(keywords, bool):
            return EVERYTHING if keywords else NOTHING
        in_place = [word for word in keywords if word in IN_PLACE and is_known(word, schema.draft)]
        listed = [word for word in ("enum", "const") if word in keywords]
        asks = leaves_unevaluated(schema)
        if not (in_place or listed or asks):
            return self._own(schema, notes)
        if len(_ASSERTIONS & keywords.keys()) == len(listed) == 1 and is_known(
            listed[0], schema.draft
        ):
            return _listed(keywords, listed[0])
        pieces = _Pieces(self._pieces(schema, in_place, notes or asks))
        union = self.together((schema,), pieces)
        if asks:
            union = with_unevaluated(self._documents, schema, union)
        return union if notes or not asks else without_notes(union)

    def _pieces(
        self, schema: Schema, in_place: list[str], notes: bool
    ) -> Iterator[Callable[[], Union]]:
        """The conjuncts, in the order in which they stand: that of the properties."""
        keywords = schema.keywords
        assert isinstance(keywords, dict)
        if "$ref" in keywords and schema.draft <= 7:
            yield from self._reference(schema, "$ref", notes)
            return
        for word in ("enum", "const"):
            if word in keywords and is_known(word, schema.draft):
                yield lambda word=word: _listed(keywords, word)  # type: ignore[misc]
        if "properties" not in keywords:
            yield lambda: self._own(schema, notes)
        for word in keywords:
            if word == "properties":
                yield lambda: self._own(schema, notes)
            elif word in in_place:
                yield from _IN_PLACE[word](self, schema, word, notes)

    # The keywords that apply schemas in place: (schema, keyword, with notes) -> conjuncts.

    def _reference(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        yield lambda: self.of(self._documents.resolve(schema, word), notes)

    def _dynamic_reference(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        yield lambda: self.of(self._documents.resolve_dynamic(schema), notes)

    def _all_of(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        for part in schema.get(word):
            yield lambda part=part: self._part(part, notes)  # type: ignore[misc]

    def _any_of(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        def any_of() -> Union:
            unions = [self._part(part, notes) for part in schema.get(word)]
            return join(with_combinations(schema, unions) if notes else unions)

        yield any_of

    def _one_of(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        given = schema.get(word)
        if len(given) > 1:
            self.exclusive[schema] = None
        alternatives = list(given)
        for one, other in self._overlaps.get(schema, ()):
            for index, excluded in ((one, other), (other, one)):
                without = self._documents.negated(given[excluded], schema)
                alternatives[index] = {"allOf": [alternatives[index], without]}

        def one_of() -> Union:
            return join(self.of(self._made(part, schema), notes) for part in alternatives)

        yield one_of

    def _not(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        yield lambda: self._negated(self._documents.place(schema.get(word)))

    def _negated(self, negated: Schema) -> Union:
        if negated not in self._negations:
            violations = [
                violation
                if isinstance(violation, Union)
                else self.of(self._made(violation, negated))
                for violation in negation(self._documents, negated, self._formats)
            ]
            self._negations[negated] = join(violations)
        return self._negations[negated]

    def _if(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        given, yes, no = schema.get(word), schema.get("then", True), schema.get("else", True)
        if yes not in (True, {}) or no not in (True, {}) or notes:
            opposite = self._documents.negated(given, schema)
            made = [{"allOf": [given, yes]}, {"allOf": [opposite, no]}]
            yield lambda: join(self.of(self._made(part, schema), notes) for part in made)

    def _dependencies(self, schema: Schema, word: str, notes: bool) -> _Conjuncts:
        for name, part in schema.get(word).items():
            if part in (True, {}, []):
                continue
            lacks = {"properties": {name: False}}
            has = {"required": [name, *part]} if isinstance(part, list) else {"required": [name]}
            options = [lacks, has if isinstance(part, list) else {"allOf": [has, part]}]
            yield lambda options=options: join(  # type: ignore[misc]
                self.of(self._made(option, schema), notes) for option in options
            )

    def _part(self, part: Any, notes: bool) -> Union:
        return self.of(self._documents.place(part), notes)

    def _made(self, keywords: dict[str, Any] | bool, like: Schema) -> Schema:
        return self._documents.made(keywords, like)

    # The keywords about the value itself.

    def _own(self, schema: Schema, notes: bool) -> Union:
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
            (_items(schema, keywords, notes),) if "array" in types else (),
            (_members(schema, keywords, notes),) if "object" in types else (),
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


def _items(schema: Schema, keywords: dict[str, Any], notes: bool) -> Items:
    named = () if ABOUT_ARRAYS.isdisjoint(keywords) else (schema,)
    noted = named if notes and not schema.is_made else ()
    return Items(named, *_window(keywords, "Items"), noted=noted)


def _members(schema: Schema, keywords: dict[str, Any], notes: bool) -> Members:
    named = () if ABOUT_OBJECTS.isdisjoint(keywords) else (schema,)
    required = tuple(dict.fromkeys(keywords.get("required", ())))
    noted = named if notes and not schema.is_made else ()
    return Members(named, required, *_window(keywords, "Properties"), noted=noted)


def _window(keywords: dict[str, Any], what: str) -> tuple[int, int | None]:
    """The least and the most of something that is counted; None where no text has so many."""
    least, most = int(keywords.get(f"min{what}", 0)), keywords.get(f"max{what}")
    if least > _MOST_COUNTED:
        raise GrammarLimitError(f"min{what}", least, _MOST_COUNTED)
    return least, None if most is None or most > _MOST_COUNTED else int(most)


_IN_PLACE: dict[str, Callable[[Demands, Schema, str, bool], _Conjuncts]] = {
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
