"""Whether a value is valid under a schema: for the constants that schemas list."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sampler.errors import GrammarError
from sampler.grammar.budget import check_time
from sampler.grammar.schema.document import Documents, Schema
from sampler.grammar.schema.keywords import IN_PLACE, LATEST, is_known
from sampler.grammar.schema.merge import Condition, json_key
from sampler.grammar.text.numbers import exact

Match = Callable[[Condition, str], bool]


class Evaluator:
    """Evaluates values under the schemas of some documents.

    Parameters
    ----------
    documents : where the schemas stand
    matches : whether a string meets a condition (`pattern` or `format`)
    """

    def __init__(self, documents: Documents, matches: Match) -> None:
        self._documents = documents
        self._matches = matches
        self._enums: dict[int, frozenset[Any]] = {}  # of the lists in the documents, by their ids

    def allows(self, schema: Schema, value: Any) -> bool:
        """Whether `value` is valid under `schema`.

        Raises
        ------
        UnsupportedSchemaError : a format that the value may have or not
        GrammarError : a reference that leads to itself
        GrammarLimitError : the time is over
        """
        try:
            return self._allows(schema, value)
        except RecursionError as error:
            raise GrammarError(f"endless recursion at {schema.pointer!r}") from error

    def _allows(self, schema: Schema, value: Any) -> bool:
        check_time()  # references can double the work again and again
        keywords = schema.keywords
        if isinstance(keywords, bool):
            return keywords
        if "$ref" in keywords and schema.draft <= 7:
            return self._reference(schema, keywords["$ref"], value)
        for word, given in keywords.items():
            check = _CHECKS.get(word)
            if check is None or not isinstance(value, check[0]):
                continue
            is_number = check[0] is not _NUMBER or not isinstance(value, bool)
            if not is_number or not is_known(word, schema.draft):
                continue
            if not check[1](self, schema, given, value):
                return False
        return True

    def _inner(self, keywords: Any, value: Any) -> bool:
        return self._allows(self._documents.place(keywords), value)

    # One method for each keyword: (schema, value of the keyword, value) -> whether it is valid.

    def _reference(self, schema: Schema, given: str, value: Any) -> bool:
        return self._allows(self._documents.resolve(schema, "$ref"), value)

    def _dynamic_reference(self, schema: Schema, given: str, value: Any) -> bool:
        return self._allows(self._documents.resolve_dynamic(schema), value)

    def _all_of(self, schema: Schema, given: list[Any], value: Any) -> bool:
        return all(self._inner(part, value) for part in given)

    def _any_of(self, schema: Schema, given: list[Any], value: Any) -> bool:
        return any(self._inner(part, value) for part in given)

    def _one_of(self, schema: Schema, given: list[Any], value: Any) -> bool:
        return [self._inner(part, value) for part in given].count(True) == 1

    def _not(self, schema: Schema, given: Any, value: Any) -> bool:
        return not self._inner(given, value)

    def _if(self, schema: Schema, given: Any, value: Any) -> bool:
        branch = "then" if self._inner(given, value) else "else"
        return self._inner(schema.get(branch, True), value)

    def _type(self, schema: Schema, given: str | list[str], value: Any) -> bool:
        names = [given] if isinstance(given, str) else given
        return any(_is_type(value, name, schema.draft) for name in names)

    def _enum(self, schema: Schema, given: list[Any], value: Any) -> bool:
        keys = self._enums.get(id(given))
        if keys is None:
            keys = self._enums[id(given)] = frozenset(map(json_key, given))
        return json_key(value) in keys

    def _const(self, schema: Schema, given: Any, value: Any) -> bool:
        return bool(json_key(given) == json_key(value))

    def _minimum(self, schema: Schema, given: Any, value: Any) -> bool:
        if schema.get("exclusiveMinimum") is True:
            return exact(value) > exact(given)
        return exact(value) >= exact(given)

    def _maximum(self, schema: Schema, given: Any, value: Any) -> bool:
        if schema.get("exclusiveMaximum") is True:
            return exact(value) < exact(given)
        return exact(value) <= exact(given)

    def _exclusive_minimum(self, schema: Schema, given: Any, value: Any) -> bool:
        return isinstance(given, bool) or exact(value) > exact(given)

    def _exclusive_maximum(self, schema: Schema, given: Any, value: Any) -> bool:
        return isinstance(given, bool) or exact(value) < exact(given)

    def _multiple_of(self, schema: Schema, given: Any, value: Any) -> bool:
        return (exact(value) / exact(given)).denominator == 1

    def _condition(self, schema: Schema, given: str, value: str) -> bool:
        return all(
            self._matches(Condition(word, given, schema.where(word)), value)
            for word in ("pattern", "format")
            if schema.get(word) == given
        )

    def _properties(self, schema: Schema, given: dict[str, Any], value: dict[str, Any]) -> bool:
        return all(self._inner(part, value[name]) for name, part in given.items() if name in value)

    def _pattern_properties(self, schema: Schema, given: dict[str, Any], value: Any) -> bool:
        return all(
            self._inner(part, value[name])
            for pattern, part in given.items()
            for name in value
            if self._matches(_key_pattern(schema, pattern), name)
        )

    def _additional_properties(self, schema: Schema, given: Any, value: dict[str, Any]) -> bool:
        named = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        return all(
            self._inner(given, item)
            for name, item in value.items()
            if name not in named
            and not any(self._matches(_key_pattern(schema, p), name) for p in patterns)
        )

    def _property_names(self, schema: Schema, given: Any, value: dict[str, Any]) -> bool:
        return all(self._inner(given, name) for name in value)

    def _required(self, schema: Schema, given: list[str], value: dict[str, Any]) -> bool:
        return all(name in value for name in given)

    def _dependencies(self, schema: Schema, given: dict[str, Any], value: dict[str, Any]) -> bool:
        return all(
            all(other in value for other in part)
            if isinstance(part, list)
            else self._inner(part, value)
            for name, part in given.items()
            if name in value
        )

    def _prefix_items(self, schema: Schema, given: list[Any], value: list[Any]) -> bool:
        return all(map(self._inner, given, value))

    def _items(self, schema: Schema, given: Any, value: list[Any]) -> bool:
        if isinstance(given, list):
            return self._prefix_items(schema, given, value)
        start = len(schema.get("prefixItems", ())) if schema.draft >= 2020 else 0
        return all(self._inner(given, item) for item in value[start:])

    def _additional_items(self, schema: Schema, given: Any, value: list[Any]) -> bool:
        items = schema.get("items", True)
        start = len(items) if isinstance(items, list) else len(value)
        return all(self._inner(given, item) for item in value[start:])

    def _contains(self, schema: Schema, given: Any, value: list[Any]) -> bool:
        found = [self._inner(given, item) for item in value].count(True)
        least, most = 1, found
        if schema.draft >= 2019:
            least, most = schema.get("minContains", 1), schema.get("maxContains", found)
        return least <= found <= most

    def _unique_items(self, schema: Schema, given: bool, value: list[Any]) -> bool:
        return not given or len(set(map(json_key, value))) == len(value)

    def _unevaluated_properties(self, schema: Schema, given: Any, value: dict[str, Any]) -> bool:
        seen = self._evaluated(schema, value, "unevaluatedProperties")
        return all(self._inner(given, value[name]) for name in value if name not in seen)

    def _unevaluated_items(self, schema: Schema, given: Any, value: list[Any]) -> bool:
        seen = self._evaluated(schema, value, "unevaluatedItems")
        return all(self._inner(given, item) for i, item in enumerate(value) if i not in seen)

    def _evaluated(self, schema: Schema, value: Any, asking: str = "") -> set[Any]:
        """The names or indices of members of which `schema`, where it holds, says something.

        The keyword `asking` of `schema` itself is left aside.
        """
        keywords = schema.keywords
        if isinstance(keywords, bool):
            return set()
        seen = set[Any]()
        for word in keywords:
            if word == asking or not is_known(word, schema.draft):
                continue
            if word in IN_PLACE:
                for part in self._parts_that_hold(schema, word, value):
                    seen |= self._evaluated(part, value)
            elif isinstance(value, dict) and word in _ALL_PROPERTIES:
                return set(value)
            elif isinstance(value, dict) and word == "properties":
                seen |= keywords[word].keys() & value.keys()
            elif isinstance(value, dict) and word == "patternProperties":
                patterns = [_key_pattern(schema, pattern) for pattern in keywords[word]]
                seen |= {name for name in value if any(self._matches(p, name) for p in patterns)}
            elif isinstance(value, list):
                seen |= self._evaluated_items(schema, word, value)
        return seen

    def _evaluated_items(self, schema: Schema, word: str, value: list[Any]) -> set[int]:
        given = schema.get(word)
        if word == "prefixItems" or (word == "items" and isinstance(given, list)):
            return set(range(len(given)))
        if word == "contains" and schema.draft == LATEST:
            return {index for index, item in enumerate(value) if self._inner(given, item)}
        is_rest = word != "additionalItems" or isinstance(schema.get("items"), list)
        return set(range(len(value))) if word in _ALL_ITEMS and is_rest else set()

    def _parts_that_hold(self, schema: Schema, word: str, value: Any) -> Iterator[Schema]:
        """The schemas that the keyword `word` applies to `value` itself, if they hold."""
        given, place = schema.get(word), self._documents.place
        if word == "$ref":
            yield self._documents.resolve(schema, word)
        elif word in ("$dynamicRef", "$recursiveRef"):
            yield self._documents.resolve_dynamic(schema)
        elif word == "if":
            holds = self._inner(given, value)
            if holds:
                yield place(given)
            yield place(schema.get("then" if holds else "else", True))
        elif word == "dependentSchemas":
            if isinstance(value, dict):
                yield from (place(part) for name, part in given.items() if name in value)
        elif word in ("allOf", "anyOf", "oneOf"):
            yield from (place(part) for part in given if self._inner(part, value))


def _key_pattern(schema: Schema, pattern: str) -> Condition:
    return Condition("pattern", pattern, schema.where("patternProperties", pattern))


def _is_type(value: Any, name: str, draft: int) -> bool:
    if name == "integer" and isinstance(value, float):
        return draft > 4 and value.is_integer()
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


_ALL_PROPERTIES = frozenset(["additionalProperties", "unevaluatedProperties"])
_ALL_ITEMS = frozenset(["items", "additionalItems", "unevaluatedItems"])
_NUMBER = (int, float)
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": _NUMBER,
    "string": str,
    "array": list,
    "object": dict,
}
_Check = tuple[type | tuple[type, ...], Callable[[Evaluator, Schema, Any, Any], bool]]
_CHECKS: Mapping[str, _Check] = {
    "$ref": (object, Evaluator._reference),
    "$dynamicRef": (object, Evaluator._dynamic_reference),
    "$recursiveRef": (object, Evaluator._dynamic_reference),
    "allOf": (object, Evaluator._all_of),
    "anyOf": (object, Evaluator._any_of),
    "oneOf": (object, Evaluator._one_of),
    "not": (object, Evaluator._not),
    "if": (object, Evaluator._if),
    "type": (object, Evaluator._type),
    "enum": (object, Evaluator._enum),
    "const": (object, Evaluator._const),
    "minimum": (_NUMBER, Evaluator._minimum),
    "maximum": (_NUMBER, Evaluator._maximum),
    "exclusiveMinimum": (_NUMBER, Evaluator._exclusive_minimum),
    "exclusiveMaximum": (_NUMBER, Evaluator._exclusive_maximum),
    "multipleOf": (_NUMBER, Evaluator._multiple_of),
    "minLength": (str, lambda self, schema, given, value: len(value) >= given),
    "maxLength": (str, lambda self, schema, given, value: len(value) <= given),
    "pattern": (str, Evaluator._condition),
    "format": (str, Evaluator._condition),
    "properties": (dict, Evaluator._properties),
    "patternProperties": (dict, Evaluator._pattern_properties),
    "additionalProperties": (dict, Evaluator._additional_properties),
    "propertyNames": (dict, Evaluator._property_names),
    "required": (dict, Evaluator._required),
    "dependencies": (dict, Evaluator._dependencies),
    "dependentRequired": (dict, Evaluator._dependencies),
    "dependentSchemas": (dict, Evaluator._dependencies),
    "minProperties": (dict, lambda self, schema, given, value: len(value) >= given),
    "maxProperties": (dict, lambda self, schema, given, value: len(value) <= given),
    "unevaluatedProperties": (dict, Evaluator._unevaluated_properties),
    "prefixItems": (list, Evaluator._prefix_items),
    "items": (list, Evaluator._items),
    "additionalItems": (list, Evaluator._additional_items),
    "minItems": (list, lambda self, schema, given, value: len(value) >= given),
    "maxItems": (list, lambda self, schema, given, value: len(value) <= given),
    "contains": (list, Evaluator._contains),
    "uniqueItems": (list, Evaluator._unique_items),
    "unevaluatedItems": (list, Evaluator._unevaluated_items),
}
