"""The negation of a schema, where it can be said by demands and schemas that need no negation.

A conjunction of keywords is violated when one of them is: the negation is the union of the
violations of each keyword. Those of single values are demands; those of members are schemas that
say which member there is ("has a property whose value is not ..."). The negation of a member's
schema is made only when that member is looked at, so recursion needs no care here.

Rule of the file: exact or refused.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import KEYWORDS, LATEST, TYPES
from sampler.grammar.schema.merge import (
    EVERYTHING,
    Condition,
    Numbers,
    Strings,
    Union,
)
from sampler.grammar.text.formats import NARROWED
from sampler.grammar.text.numbers import Bound, exact
from sampler.grammar.text.numbers import Numbers as Interval

Violation = Union | dict[str, Any]  # or None: it cannot be said


def negation(
    documents: Documents, outer: Schema, negated: Schema, formats: frozenset[str]
) -> list[Violation]:
    """What is not valid under `negated`, as alternatives: demands, and schemas to be made.

    Parameters
    ----------
    documents : where the schemas stand
    outer : the schema with the keyword ``not``, for messages
    negated : the value of that keyword
    formats : the names of the formats that are enforced

    Raises
    ------
    UnsupportedSchemaError : a keyword whose violation cannot be said exactly
    """
    keywords = negated.keywords
    if isinstance(keywords, bool):
        return [] if keywords else [EVERYTHING]
    if "$ref" in keywords and negated.draft <= 7:
        return [{"not": documents.resolve(negated, "$ref").keywords}]
    found: list[Violation] = []
    for word, given in keywords.items():
        known = KEYWORDS.get(word)
        if known is None or not known.since <= negated.draft <= known.until:
            continue
        if word in _SAYS_NOTHING or (word == "format" and given not in formats):
            continue
        if word == "$ref":
            found.append({"not": documents.resolve(negated, "$ref").keywords})
        elif word not in _OF_ALL_MEMBERS or given not in (True, {}):
            for violation in _VIOLATIONS.get(word, _unknown)(negated, keywords, word):
                if violation is None:
                    raise UnsupportedSchemaError(
                        f"`{word}` cannot be negated yet", "not", outer.where("not")
                    )
                found.append(violation)
    return found


_Violations = Callable[[Schema, dict[str, Any], str], Iterator[Violation | None]]


def _unknown(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    yield None


def _type(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    given = keywords[word]
    types = {given} if isinstance(given, str) else set(given)
    others = [name for name in TYPES if name not in types]
    if "integer" in types and "number" in others:
        if schema.draft == 4:
            yield None  # 5.0 is none of its integers, and is no other number either
        others.remove("number")
        yield Union(numbers=(Numbers(not_steps=frozenset([exact(1)])),))
    if others:
        yield {"type": others}


def _enum(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    values = keywords[word] if word == "enum" else [keywords[word]]
    if any(isinstance(value, list | dict) for value in values):
        yield None
    atoms = {value for value in values if value is None or isinstance(value, bool)}
    numbers = [exact(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    words = frozenset(value for value in values if isinstance(value, str))
    yield Union(
        frozenset([None, True, False]) - atoms,
        (Numbers(excluded=frozenset(numbers)),),
        (Strings(excluded=words),),
        EVERYTHING.arrays,
        EVERYTHING.objects,
    )


def _condition(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    if word == "format" and keywords[word] in NARROWED:
        yield None  # not being one of fewer texts is being one of more
    condition = Condition(word, keywords[word], schema.where(word), holds=False)
    yield Union(strings=(Strings((condition,)),))


def _below(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    excluded = keywords.get("exclusiveMinimum") is True or word == "exclusiveMinimum"
    if not isinstance(keywords[word], bool):
        yield Union(
            numbers=(Numbers(Interval(maximum=Bound(exact(keywords[word]), not excluded))),)
        )


def _above(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    excluded = keywords.get("exclusiveMaximum") is True or word == "exclusiveMaximum"
    if not isinstance(keywords[word], bool):
        bound = Bound(exact(keywords[word]), not excluded)
        yield Union(numbers=(Numbers(Interval(bound)),))


def _no_multiple(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    yield Union(numbers=(Numbers(not_steps=frozenset([exact(keywords[word])])),))


def _counted(kind: str) -> _Violations:
    """Too few or too many; `kind` is the type that is counted."""

    def violations(
        schema: Schema, keywords: dict[str, Any], word: str
    ) -> Iterator[Violation | None]:
        count = int(keywords[word])
        if word.startswith("max"):
            yield {"type": kind, f"min{word[3:]}": count + 1}
        elif count > 0:
            yield {"type": kind, f"max{word[3:]}": count - 1}

    return violations


def _required(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    for name in keywords[word]:
        yield {"type": "object", "properties": {name: False}}


def _properties(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    for name, part in keywords[word].items():
        if part not in (True, {}):
            yield {"type": "object", "required": [name], "properties": {name: {"not": part}}}


def _dependent(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    for name, part in keywords[word].items():
        has = {"type": "object", "required": [name]}
        if isinstance(part, list):
            for other in part:
                yield {**has, "properties": {other: False}}
        else:
            yield {**has, "not": part}


def _prefix(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    parts, prefix = keywords[word], "prefixItems" if schema.draft == LATEST else "items"
    if not isinstance(parts, list):
        yield None
        return
    for index, part in enumerate(parts):
        if part not in (True, {}):
            before: list[Any] = [True] * index if schema.draft > 4 else [{} for _ in range(index)]
            yield {"type": "array", "minItems": index + 1, prefix: [*before, {"not": part}]}


def _all_of(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    for part in keywords[word]:
        yield {"not": part}


def _any_of(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    yield {"allOf": [{"not": part} for part in keywords[word]]}


def _not(schema: Schema, keywords: dict[str, Any], word: str) -> Iterator[Violation | None]:
    yield {"allOf": [keywords[word]]}


# They are read with another keyword, or stand for nothing that could be violated.
_SAYS_NOTHING = frozenset(["$defs", "definitions", "then", "else", "minContains", "maxContains"])
_OF_ALL_MEMBERS = frozenset(
    ["additionalProperties", "additionalItems", "items", "propertyNames", "unevaluatedProperties"]
)
_VIOLATIONS: dict[str, _Violations] = {
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "pattern": _condition,
    "format": _condition,
    "minimum": _below,
    "exclusiveMinimum": _below,
    "maximum": _above,
    "exclusiveMaximum": _above,
    "multipleOf": _no_multiple,
    **dict.fromkeys(("minLength", "maxLength"), _counted("string")),
    **dict.fromkeys(("minItems", "maxItems"), _counted("array")),
    **dict.fromkeys(("minProperties", "maxProperties"), _counted("object")),
    "required": _required,
    "properties": _properties,
    "dependencies": _dependent,
    "dependentRequired": _dependent,
    "dependentSchemas": _dependent,
    "items": _prefix,
    "prefixItems": _prefix,
    "allOf": _all_of,
    "anyOf": _any_of,
    "not": _not,
}
