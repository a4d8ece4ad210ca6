"""The keywords of JSON Schema: which drafts know them, and what form their values have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

LATEST = 2020  # the draft of schemas that do not say
TYPES = ("null", "boolean", "object", "array", "number", "string")
_TYPE_NAMES = frozenset((*TYPES, "integer"))


class Form(Enum):
    """What the value of a keyword is; those that contain schemas come first."""

    SCHEMA = "an object or a boolean"
    SCHEMAS = "an array of schemas"
    SCHEMA_MAP = "an object of schemas"
    ITEMS = "a schema (an array of schemas up to draft 2019-09)"
    DEPENDENCIES = "an object of schemas and arrays of strings"
    ANYTHING = "anything"
    LIST = "an array (not empty in draft 4)"
    STRING = "a string"
    STRINGS = "an array of strings"
    STRINGS_MAP = "an object of arrays of strings"
    BOOLEAN = "a boolean"
    COUNT = "an integer >= 0"
    NUMBER = "a number"
    STEP = "a number > 0"
    BOUND = "a number (a boolean in draft 4)"
    TYPE = "one of null, boolean, object, array, number, string, integer, or an array of them"


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword: the form of its value, and the first and the last draft that know it."""

    form: Form
    since: int = 0
    until: int = LATEST


def _keywords(form: Form, names: str, since: int = 0, until: int = LATEST) -> dict[str, Keyword]:
    return dict.fromkeys(names.split(), Keyword(form, since, until))


KEYWORDS: Mapping[str, Keyword] = {
    **_keywords(Form.SCHEMA, "not additionalProperties"),
    **_keywords(Form.SCHEMA, "additionalItems", until=2019),
    **_keywords(Form.SCHEMA, "contains propertyNames", since=6),
    **_keywords(Form.SCHEMA, "if then else", since=7),
    **_keywords(Form.SCHEMA, "unevaluatedItems unevaluatedProperties", since=2019),
    **_keywords(Form.SCHEMAS, "allOf anyOf oneOf"),
    **_keywords(Form.SCHEMAS, "prefixItems", since=2020),
    **_keywords(Form.SCHEMA_MAP, "properties patternProperties $defs definitions"),
    **_keywords(Form.SCHEMA_MAP, "dependentSchemas", since=2019),
    **_keywords(Form.ITEMS, "items"),
    **_keywords(Form.DEPENDENCIES, "dependencies", until=7),
    **_keywords(Form.ANYTHING, "const", since=6),
    **_keywords(Form.LIST, "enum"),
    **_keywords(Form.STRING, "pattern format $ref"),
    **_keywords(Form.STRING, "$recursiveRef", since=2019, until=2019),
    **_keywords(Form.STRING, "$dynamicRef", since=2020),
    **_keywords(Form.STRINGS, "required"),
    **_keywords(Form.STRINGS_MAP, "dependentRequired", since=2019),
    **_keywords(Form.BOOLEAN, "uniqueItems"),
    **_keywords(Form.COUNT, "minItems maxItems minLength maxLength minProperties maxProperties"),
    **_keywords(Form.COUNT, "minContains maxContains", since=2019),
    **_keywords(Form.NUMBER, "minimum maximum"),
    **_keywords(Form.STEP, "multipleOf"),
    **_keywords(Form.BOUND, "exclusiveMinimum exclusiveMaximum"),
    **_keywords(Form.TYPE, "type"),
}
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
NUMERIC = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
ANNOTATIONS = frozenset(
    [
        "$schema",
        "$id",
        "id",
        "$comment",
        "$anchor",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "$vocabulary",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    ]
)


def is_known(word: str, draft: int) -> bool:
    """Whether `word` is a keyword of `draft`."""
    known = KEYWORDS.get(word)
    return known is not None and known.since <= draft <= known.until


def check_form(form: Form, value: Any, draft: int) -> bool:
    """Whether `value` has this form; schemas inside of it are not looked at."""
    if form is Form.BOUND:
        return _is_number(value) if draft > 4 else isinstance(value, bool)
    if form is Form.LIST:
        return isinstance(value, list) and (bool(value) or draft > 4)
    if form is Form.ITEMS and draft == LATEST:
        form = Form.SCHEMA
    return _CHECKS[form](value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_type(value: Any) -> bool:
    if isinstance(value, str):
        return value in _TYPE_NAMES
    return _is_list_of_strings(value) and bool(value) and _TYPE_NAMES.issuperset(value)


_CHECKS: Mapping[Form, Callable[[Any], bool]] = {
    Form.SCHEMA: lambda value: isinstance(value, dict | bool),
    Form.SCHEMAS: lambda value: isinstance(value, list) and bool(value),
    Form.SCHEMA_MAP: lambda value: isinstance(value, dict),
    Form.ITEMS: lambda value: isinstance(value, dict | bool | list),
    Form.DEPENDENCIES: lambda value: isinstance(value, dict),
    Form.ANYTHING: lambda value: True,
    Form.STRING: lambda value: isinstance(value, str),
    Form.STRINGS: _is_list_of_strings,
    Form.STRINGS_MAP: lambda value: (
        isinstance(value, dict) and all(map(_is_list_of_strings, value.values()))
    ),
    Form.BOOLEAN: lambda value: isinstance(value, bool),
    Form.COUNT: _is_count,
    Form.NUMBER: _is_number,
    Form.STEP: lambda value: _is_number(value) and value > 0,
    Form.TYPE: _is_type,
}
