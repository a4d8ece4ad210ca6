"""The negation of a schema, said by demands and by schemas whose own negations are made later.

A conjunction of keywords is violated when one of them is: the negation is the union of the
violations of each keyword. Those of single values are demands; those of members say which member
there is ("has a property whose value is not ..."). The negation of a member's schema is made only
when that member is looked at, and once for each schema, so recursion needs no care here.

Rule of the file: exact or refused.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import IN_PLACE, KEYWORDS, LATEST, TYPES
from sampler.grammar.schema.merge import (
    EVERYTHING,
    NOTHING,
    Condition,
    Counted,
    Items,
    Members,
    Numbers,
    Some,
    Strings,
    Union,
    meet,
)
from sampler.grammar.text.numbers import Bound, exact
from sampler.grammar.text.numbers import Numbers as Interval

Violation = Union | dict[str, Any] | bool


def negation(documents: Documents, negated: Schema, formats: frozenset[str]) -> list[Violation]:
    """What is not valid under `negated`, as alternatives: demands, and schemas to be made.

    Parameters
    ----------
    documents : where the schemas stand
    negated : the value of ``not``
    formats : the names of the formats that are enforced

    Raises
    ------
    UnsupportedSchemaError : a keyword whose violation cannot be said exactly
    """
    keywords = negated.keywords
    if isinstance(keywords, bool):
        return [not keywords]
    negate = _Negation(documents, negated, keywords)
    if "$ref" in keywords and negated.draft <= 7:
        return [negate.opposite_of_target("$ref")]
    found: list[Violation] = []
    for word, given in keywords.items():
        known = KEYWORDS.get(word)
        if known is None or not known.since <= negated.draft <= known.until:
            continue
        if word in _SAYS_NOTHING or (word == "format" and given not in formats):
            continue
        for violation in _VIOLATIONS[word](negate, word):
            if violation is None:
                raise UnsupportedSchemaError(
                    f"`{word}` cannot be negated", word, negated.where(word)
                )
            found.append(violation)
    return found


class _Negation:
    """The violations of the keywords of one schema."""

    def __init__(self, documents: Documents, schema: Schema, keywords: dict[str, Any]) -> None:
        self._documents = documents
        self._schema = schema
        self._keywords = keywords

    def _not(self, part: Any) -> Any:
        return self._documents.negated(part, self._schema)

    def _opposite(self, part: Any) -> Schema:
        return self._documents.place(self._not(part))

    def _sheet(self, keywords: dict[str, Any]) -> Schema:
        return self._documents.made(keywords, self._schema)

    def _property(self, name: str, schema: Any) -> Schema:
        """The sheet that says `schema` of a property; the same one wherever it is said."""
        return self._documents.made_once({"properties": {name: schema}}, self._schema)

    # Of values of any type.

    def type(self, word: str) -> Iterator[Violation | None]:
        """Another type."""
        given = self._keywords[word]
        types = {given} if isinstance(given, str) else set(given)
        others = [name for name in TYPES if name not in types]
        if "integer" in types and "number" in others:
            if self._schema.draft == 4:
                yield None  # 5.0 is none of its integers, and is no other number either
            others.remove("number")
            yield Union(numbers=(Numbers(not_steps=frozenset([exact(1)])),))
        if others:
            yield {"type": others}

    def listed(self, word: str) -> Iterator[Violation | None]:
        """None of some constants."""
        values = self._keywords[word] if word == "enum" else [self._keywords[word]]
        atoms = {value for value in values if value is None or isinstance(value, bool)}
        numbers = [
            exact(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)
        ]
        words = frozenset(value for value in values if isinstance(value, str))
        others = Union(
            frozenset([None, True, False]) - atoms,
            (Numbers(excluded=frozenset(numbers)),),
            (Strings(excluded=words),),
            EVERYTHING.arrays,
            EVERYTHING.objects,
        )
        for value in values:
            if isinstance(value, list):
                others = meet(others, _with(arrays=tuple(self._other_arrays(value))))
            elif isinstance(value, dict):
                others = meet(others, _with(objects=tuple(self._other_objects(value))))
        yield others

    def _other_arrays(self, value: list[Any]) -> Iterator[Items]:
        yield Items(min_items=len(value) + 1)
        if value:
            yield Items(max_items=len(value) - 1)
        for index, item in enumerate(value):
            yield self._item(index, {"not": {"enum": [item]}})

    def _other_objects(self, value: dict[str, Any]) -> Iterator[Members]:
        yield Members(min_properties=len(value) + 1)
        for name, part in value.items():
            yield Members((self._property(name, False),))
            yield self._member(name, {"not": {"enum": [part]}})

    def _item(self, index: int, schema: Any) -> Items:
        """Arrays whose item `index` is there, and of `schema`."""
        prefix = "prefixItems" if self._schema.draft == LATEST else "items"
        everything: Any = True if self._schema.draft > 4 else {}
        return Items((self._sheet({prefix: [*[everything] * index, schema]}),), index + 1)

    def _member(self, name: str, schema: Any) -> Members:
        """Objects with a property `name` of `schema`."""
        return Members((self._property(name, schema),), (name,))

    # Of numbers and strings.

    def condition(self, word: str) -> Iterator[Violation | None]:
        """No match."""
        where = self._schema.where(word)
        condition = Condition(word, self._keywords[word], where, holds=False)
        yield Union(strings=(Strings((condition,)),))

    def below(self, word: str) -> Iterator[Violation | None]:
        """Less than a minimum."""
        if not isinstance(self._keywords[word], bool):
            excluded = self._keywords.get("exclusiveMinimum") is True or word != "minimum"
            bound = Bound(exact(self._keywords[word]), not excluded)
            yield Union(numbers=(Numbers(Interval(maximum=bound)),))

    def above(self, word: str) -> Iterator[Violation | None]:
        """More than a maximum."""
        if not isinstance(self._keywords[word], bool):
            excluded = self._keywords.get("exclusiveMaximum") is True or word != "maximum"
            bound = Bound(exact(self._keywords[word]), not excluded)
            yield Union(numbers=(Numbers(Interval(bound)),))

    def no_multiple(self, word: str) -> Iterator[Violation | None]:
        """No multiple."""
        yield Union(numbers=(Numbers(not_steps=frozenset([exact(self._keywords[word])])),))

    def counted(self, word: str) -> Iterator[Violation | None]:
        """Too few or too many characters, items or properties."""
        count, kind = int(self._keywords[word]), _KINDS[word[3:]]
        if word.startswith("max"):
            yield {"type": kind, f"min{word[3:]}": count + 1}
        elif count > 0:
            yield {"type": kind, f"max{word[3:]}": count - 1}

    # Of objects.

    def required(self, word: str) -> Iterator[Violation | None]:
        """A property that is not there."""
        for name in self._keywords[word]:
            yield Union(objects=(Members((self._property(name, False),)),))

    def properties(self, word: str) -> Iterator[Violation | None]:
        """A property with another value."""
        for name, part in self._keywords[word].items():
            if part not in (True, {}):
                yield Union(objects=(self._member(name, self._not(part)),))

    def pattern_properties(self, word: str) -> Iterator[Violation | None]:
        """A property whose name matches, with another value."""
        for pattern, part in self._keywords[word].items():
            if part not in (True, {}):
                sheet = self._sheet({"patternProperties": {pattern: True}})
                yield self._some(Some(sheet, self._opposite(part), pattern))

    def additional_properties(self, word: str) -> Iterator[Violation | None]:
        """A property that nothing is said of, with another value."""
        keywords = self._keywords
        if word == "unevaluatedProperties":
            if "additionalProperties" in keywords:
                return
            if not IN_PLACE.isdisjoint(keywords):
                yield None
        if keywords[word] not in (True, {}):
            named = dict.fromkeys(keywords.get("properties", ()), True)
            patterns = dict.fromkeys(keywords.get("patternProperties", ()), True)
            sheet = self._sheet({"properties": named, "patternProperties": patterns})
            yield self._some(Some(sheet, self._opposite(keywords[word])))

    def property_names(self, word: str) -> Iterator[Violation | None]:
        """A property with another name."""
        given = self._keywords[word]
        if given not in (True, {}):
            yield self._some(Some(self._sheet({}), self._opposite(given), is_name=True))

    def _some(self, some: Some) -> Union:
        return Union(objects=(Members((some.sheet,), some=(some,)),))

    def dependent(self, word: str) -> Iterator[Violation | None]:
        """A property that is there without what it needs."""
        for name, part in self._keywords[word].items():
            has = {"type": "object", "required": [name]}
            if isinstance(part, list):
                for other in part:
                    lacks = self._property(other, False)
                    yield Union(objects=(Members((lacks,), (name,)),))
            else:
                yield {"allOf": [has, self._not(part)]}

    # Of arrays.

    def prefix(self, word: str) -> Iterator[Violation | None]:
        """Another item at the beginning."""
        for index, part in enumerate(self._keywords[word]):
            if part not in (True, {}):
                yield Union(arrays=(self._item(index, self._not(part)),))

    def items(self, word: str) -> Iterator[Violation | None]:
        """Another item behind the first ones."""
        given, keywords, is_latest = (
            self._keywords[word],
            self._keywords,
            self._schema.draft >= 2020,
        )
        before = keywords.get("prefixItems" if is_latest else "items", ())
        if isinstance(given, list):
            yield from self.prefix(word)
            return
        if word == "unevaluatedItems":
            if (is_latest and "items" in keywords) or "additionalItems" in keywords:
                return
            evaluates = is_latest and "contains" in keywords
            if evaluates or not IN_PLACE.isdisjoint(keywords):
                yield None
        if word != "items" and not is_latest and not isinstance(before, list):
            return  # `items` says it of all
        start = len(before) if isinstance(before, list | tuple) else 0
        if given not in (True, {}):
            yield _some_items(self._opposite(given), 1, None, start)

    def contains(self, word: str) -> Iterator[Violation | None]:
        """Too few such items, or too many."""
        keywords, least, most = self._keywords, 1, None
        if self._schema.draft >= 2019:
            least, most = int(keywords.get("minContains", 1)), keywords.get("maxContains")
        schema = self._documents.place(keywords[word])
        if least > 0:
            yield _some_items(schema, 0, least - 1)
        if most is not None:
            yield _some_items(schema, int(most) + 1)

    def unique(self, word: str) -> Iterator[Violation | None]:
        """An item that is there twice."""
        if self._keywords[word]:
            yield None

    # Of keywords that apply other schemas.

    def reference(self, word: str) -> Iterator[Violation | None]:
        """What it leads to does not hold."""
        yield self.opposite_of_target(word)

    def opposite_of_target(self, word: str) -> Violation:
        """The negation of what a reference leads to."""
        documents, schema = self._documents, self._schema
        is_static = word == "$ref"
        target = documents.resolve(schema, word) if is_static else documents.resolve_dynamic(schema)
        return self._not(target.keywords)  # type: ignore[no-any-return]

    def all_of(self, word: str) -> Iterator[Violation | None]:
        """One that does not hold."""
        for part in self._keywords[word]:
            yield self._not(part)

    def any_of(self, word: str) -> Iterator[Violation | None]:
        """None that holds."""
        yield {"allOf": list(map(self._not, self._keywords[word]))}

    def one_of(self, word: str) -> Iterator[Violation | None]:
        """None that holds, or two of them."""
        yield from self.any_of(word)
        parts = self._keywords[word]
        for index, part in enumerate(parts):
            for other in parts[:index]:
                yield {"allOf": [other, part]}

    def negated(self, word: str) -> Iterator[Violation | None]:
        """It holds."""
        yield {"allOf": [self._keywords[word]]}

    def condition_of(self, word: str) -> Iterator[Violation | None]:
        """It holds without ``then``, or not and without ``else``."""
        given, keywords = self._keywords[word], self._keywords
        if keywords.get("then", True) not in (True, {}):
            yield {"allOf": [given, self._not(keywords["then"])]}
        if keywords.get("else", True) not in (True, {}):
            yield {"allOf": [self._not(given), self._not(keywords["else"])]}


def _with(arrays: tuple[Items, ...] = (), objects: tuple[Members, ...] = ()) -> Union:
    """Everything, but of arrays or of objects only these."""
    every = EVERYTHING
    arrays, objects = arrays or every.arrays, objects or every.objects
    return Union(every.atoms, every.numbers, every.strings, arrays, objects)


def _some_items(schema: Schema, least: int, most: int | None = None, start: int = 0) -> Union:
    if schema.keywords is False and least > 0:
        return NOTHING
    return Union(arrays=(Items(counted=(Counted(schema, least, most, start),)),))


_KINDS = {"Length": "string", "Items": "array", "Properties": "object"}
# They are read with another keyword, or stand for nothing that could be violated.
_SAYS_NOTHING = frozenset(["$defs", "definitions", "then", "else", "minContains", "maxContains"])
_VIOLATIONS: dict[str, Callable[[_Negation, str], Iterator[Violation | None]]] = {
    "type": _Negation.type,
    "enum": _Negation.listed,
    "const": _Negation.listed,
    "pattern": _Negation.condition,
    "format": _Negation.condition,
    "minimum": _Negation.below,
    "exclusiveMinimum": _Negation.below,
    "maximum": _Negation.above,
    "exclusiveMaximum": _Negation.above,
    "multipleOf": _Negation.no_multiple,
    **{f"{which}{what}": _Negation.counted for which in ("min", "max") for what in _KINDS},
    "required": _Negation.required,
    "properties": _Negation.properties,
    "patternProperties": _Negation.pattern_properties,
    "additionalProperties": _Negation.additional_properties,
    "unevaluatedProperties": _Negation.additional_properties,
    "propertyNames": _Negation.property_names,
    "dependencies": _Negation.dependent,
    "dependentRequired": _Negation.dependent,
    "dependentSchemas": _Negation.dependent,
    "items": _Negation.items,
    "prefixItems": _Negation.prefix,
    "additionalItems": _Negation.items,
    "unevaluatedItems": _Negation.items,
    "contains": _Negation.contains,
    "uniqueItems": _Negation.unique,
    "$ref": _Negation.reference,
    "$dynamicRef": _Negation.reference,
    "$recursiveRef": _Negation.reference,
    "allOf": _Negation.all_of,
    "anyOf": _Negation.any_of,
    "oneOf": _Negation.one_of,
    "not": _Negation.negated,
    "if": _Negation.condition_of,
}
