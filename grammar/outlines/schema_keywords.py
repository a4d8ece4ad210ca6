"""The keywords of JSON Schema: since which draft, for which type, and what is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

TYPES = ("null", "boolean", "object", "array", "number", "string")

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
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    ]
)
APPLIED = frozenset(["$ref", "allOf", "anyOf", "oneOf", "enum", "const", "type", "then", "else"])
# The type that each assertion is about; a value of another type passes it.
ABOUT = {
    **dict.fromkeys(
        [
            "properties",
            "required",
            "additionalProperties",
            "minProperties",
            "maxProperties",
            "patternProperties",
            "propertyNames",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
            "unevaluatedProperties",
        ],
        "object",
    ),
    **dict.fromkeys(
        [
            "items",
            "prefixItems",
            "additionalItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
            "minContains",
            "maxContains",
            "unevaluatedItems",
        ],
        "array",
    ),
    **dict.fromkeys(["minLength", "maxLength", "pattern", "format"], "string"),
    **dict.fromkeys(
        ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"], "number"
    ),
}
REFUSED = {
    "not": "negation is not supported",
    "if": "conditions are not supported",
    "$dynamicRef": "dynamic references are not supported",
    "$recursiveRef": "recursive references are not supported",
    "patternProperties": "patterns of keys are not supported",
    "propertyNames": "conditions on keys are not supported",
    "dependencies": "dependencies between properties are not supported",
    "dependentRequired": "dependencies between properties are not supported",
    "dependentSchemas": "dependencies between properties are not supported",
    "unevaluatedProperties": "supported where it allows everything only",
    "unevaluatedItems": "supported where it allows everything only",
    "contains": "conditions on single items are not supported",
}
# Values with which a refused keyword says nothing.
_SAYS_NOTHING: dict[str, tuple[Any, ...]] = {
    "not": (False,),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "propertyNames"), (True, {})),
    **dict.fromkeys(("patternProperties", "dependencies"), ({},)),
    **dict.fromkeys(("dependentRequired", "dependentSchemas"), ({},)),
    "uniqueItems": (False,),
}
_SINCE = {
    **dict.fromkeys(["const", "contains", "propertyNames"], 6),
    **dict.fromkeys(["if", "then", "else"], 7),
    **dict.fromkeys(
        [
            "dependentRequired",
            "dependentSchemas",
            "unevaluatedItems",
            "unevaluatedProperties",
            "minContains",
            "maxContains",
            "$recursiveRef",
        ],
        2019,
    ),
    **dict.fromkeys(["prefixItems", "$dynamicRef"], 2020),
}
_UNTIL = {"additionalItems": 2019}


def is_known(keyword: str, draft: int) -> bool:
    """Whether `draft` defines `keyword` and it is more than an annotation."""
    named = keyword in APPLIED or keyword in ABOUT or keyword in REFUSED
    return named and _SINCE.get(keyword, 0) <= draft <= _UNTIL.get(keyword, draft)


def says_nothing(keyword: str, value: Any) -> bool:
    """Whether `keyword` with `value` passes everything."""
    # by type too, because 0 == False in Python
    return any(
        type(value) is type(empty) and value == empty for empty in _SAYS_NOTHING.get(keyword, ())
    )


def assertions(keywords: Mapping[str, Any], draft: int) -> Iterator[str]:
    """The keywords that could refuse a value."""
    for keyword, value in keywords.items():
        if keyword == "if" and not {"then", "else"} & keywords.keys():
            continue
        if keyword in ("then", "else", "minContains", "maxContains"):
            continue  # they say nothing without `if` and `contains`
        if is_known(keyword, draft) and not says_nothing(keyword, value):
            yield keyword
