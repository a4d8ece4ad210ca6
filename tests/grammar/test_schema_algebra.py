"""Schemas that say what must not be, or how often something is: and / or / not of all shapes.

Each row has texts in the order of the schema, those in `reordered` are valid too, in any order.
"""

import itertools
import json

import pytest
from schema_tables import assert_valid, is_valid

OPEN = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}, "c": {}}}
CLOSED = OPEN | {"additionalProperties": False}
NODE = {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}, "additionalProperties": False}
INTEGER, STRING = {"type": "integer"}, {"type": "string"}
OLD = {"$schema": "https://json-schema.org/draft/2019-09/schema"}

# Texts that each schema is tried with: the jsonschema package says which are valid.
OBJECTS = [
    "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
    for size in range(4)
    for members in itertools.product(
        [("a", "1"), ("a", '"x"'), ("b", "2"), ("ab", '"x"'), ("ab", "3"), ("c", "{}")],
        repeat=size,
    )
    if len(dict(members)) == size
]
ARRAYS = [
    "[" + ",".join(items) + "]"
    for size in range(5)
    for items in itertools.product(["1", '"x"', "null"], repeat=size)
]
SCALARS = ["null", "true", "0", "1", "2", "7", "-3", '"x"', '"xy"', '""']

SCHEMAS = [
    {"oneOf": [OPEN, {"type": "object", "required": ["b"]}]},
    {"oneOf": [OPEN, {"type": "object", "required": ["b"]}, {"properties": {"c": INTEGER}}]},
    {"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"required": ["c"]}], "type": "object"},
    {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
    {"oneOf": [{}, {"enum": [[1], {"a": 1}, 7, "x", None]}]},
    {"oneOf": [{"items": INTEGER}, {"minItems": 2}], "type": "array"},
    {"oneOf": [{"additionalProperties": INTEGER}, {"maxProperties": 1}], "type": "object"},
    {"oneOf": [CLOSED, {"type": "object", "propertyNames": {"pattern": "^a"}}]},
    {"oneOf": [{"not": {"required": ["a"]}}, {"required": ["b"]}], "type": "object"},
    {"not": {"oneOf": [OPEN, {"required": ["b"]}]}},
    {"not": {"additionalProperties": INTEGER}},
    {"not": {"properties": {"a": {}}, "additionalProperties": INTEGER}},
    {"type": "object", "not": {"patternProperties": {"^a": INTEGER}}},
    {"type": "object", "not": {"patternProperties": {"^a": INTEGER, "b$": STRING}}},
    {"type": "object", "not": {"propertyNames": {"pattern": "^a"}}, "maxProperties": 2},
    {"not": {"propertyNames": {"pattern": "b"}}, "properties": {"a": INTEGER, "ab": STRING}},
    {"not": {"propertyNames": {"minLength": 2}}, "properties": {"a": INTEGER, "ab": STRING}},
    {"patternProperties": {"^[a-c]{1,2}$": INTEGER}, "additionalProperties": False},
    {"propertyNames": {"maxLength": 1}, "type": "object", "minProperties": 2},
    {"uniqueItems": True},
    {"uniqueItems": True, "items": {"enum": [1, "x", None]}, "minItems": 2},
    {"uniqueItems": True, "items": {"enum": [1, "x"]}, "minItems": 3, "type": ["array", "null"]},
    {"uniqueItems": True, "prefixItems": [{"const": 1}, STRING], "items": {"type": "null"}},
    {"uniqueItems": True, "items": {"enum": [1, "x", None]}, "contains": {"const": 1}},
    {"allOf": [{"not": {"additionalProperties": t}} for t in (INTEGER, STRING)], "type": "object"},
    {
        "allOf": [{"not": {"additionalProperties": t}} for t in (INTEGER, STRING)],
        "maxProperties": 2,
        "minProperties": 2,
    },
    {"not": {"const": {"a": 1, "b": 2}}},
    {"not": {"enum": [[1, "x"], ["x"], {"a": 1}, {}]}},
    {"not": {"items": INTEGER}, "type": "array"},
    {"not": {"prefixItems": [INTEGER], "items": STRING}, "type": "array"},
    {"not": {"contains": INTEGER}, "type": "array"},
    {"not": {"contains": INTEGER, "minContains": 2, "maxContains": 3}, "type": "array"},
    {"$defs": {"n": NODE}, "not": {"$ref": "#/$defs/n"}},
    {"not": {"if": {"required": ["a"]}, "then": {"required": ["b"]}}},
    {"not": {"dependentRequired": {"a": ["b"], "c": ["a"]}}},
    {"not": {"dependentSchemas": {"a": {"required": ["b"]}}}},
    {"if": OPEN, "then": {"required": ["b"]}, "else": {"required": ["a"]}},
    {"if": {"contains": INTEGER}, "then": {"maxItems": 2}, "else": {"minItems": 3}},
    {"type": "array", "contains": INTEGER},
    {"type": "array", "contains": INTEGER, "minContains": 2, "maxContains": 3, "maxItems": 4},
    {"type": "array", "contains": INTEGER, "minContains": 2, "minItems": 3, "maxItems": 3},
    {"type": "array", "prefixItems": [STRING, {}], "contains": INTEGER, "maxItems": 2},
    {"type": "array", "allOf": [{"contains": INTEGER}, {"contains": STRING}], "maxItems": 3},
    {"type": "array", "contains": INTEGER, "minContains": 0, "maxContains": 1},
    {"type": "array", "items": STRING, "contains": {"const": "x"}, "maxContains": 2},
    {"type": "array", "contains": False, "minContains": 0},
    {"anyOf": [OPEN, {"properties": {"ab": INTEGER}}], "unevaluatedProperties": False},
    {"allOf": [{"properties": {"b": {}}}], "properties": {"a": {}}, "unevaluatedProperties": False},
    {
        "type": "object",
        "anyOf": [
            {"properties": {"a": INTEGER}, "required": ["a"]},
            {"patternProperties": {"^ab": INTEGER}, "required": ["ab"]},
            {"properties": {"c": {}}},
        ],
        "unevaluatedProperties": {"type": "integer"},
    },
    {
        "if": {"properties": {"a": INTEGER}, "required": ["a"]},
        "then": {"properties": {"b": {}}},
        "else": {"properties": {"c": {}}},
        "unevaluatedProperties": False,
    },
    {"not": {"not": {"properties": {"a": {}}}}, "unevaluatedProperties": False, "type": "object"},
    {
        "dependentSchemas": {"a": {"properties": {"b": {}}}},
        "properties": {"a": {}},
        "unevaluatedProperties": False,
    },
    {
        "allOf": [{"properties": {"a": {}}, "unevaluatedProperties": STRING}],
        "properties": {"b": {}},
        "unevaluatedProperties": False,
    },
    {"allOf": [{"prefixItems": [INTEGER]}], "unevaluatedItems": STRING},
    {"anyOf": [{"prefixItems": [INTEGER]}, {"contains": STRING}], "unevaluatedItems": False},
    {"contains": INTEGER, "unevaluatedItems": STRING, "type": "array"},
    {**OLD, "allOf": [{"items": [INTEGER]}], "unevaluatedItems": STRING},
    {**OLD, "items": [{}], "anyOf": [{"minItems": 2}, {}], "unevaluatedItems": STRING},
    {"allOf": [{"enum": [{"a": 1}, {"b": 2}, 1]}, {"properties": {"a": {}}}],
     "unevaluatedProperties": False},
    {"minProperties": 2, "maxProperties": 2, **CLOSED},
    {"minProperties": 2, "required": ["c"], **OPEN},
    {"maxProperties": 2, "required": ["c"], **OPEN},
    {"required": ["c", "b"], **CLOSED},
    {"dependentRequired": {"a": ["b"]}, **OPEN},
    {"dependentSchemas": {"c": {"required": ["ab"]}}, **OPEN},
    {"patternProperties": {"^a": INTEGER, "b": STRING}},
]  # fmt: skip


def name_of(schema):
    return json.dumps(schema)[:120]


@pytest.mark.parametrize("schema", SCHEMAS, ids=name_of)
def test_exactly_the_valid_texts_are_taken_in_any_order(schema, compiler, accepts):
    grammar = compiler.compile_json_schema(schema, property_order="any")
    for text in [*SCALARS, *OBJECTS, *ARRAYS]:
        assert accepts(grammar, text) == is_valid(schema, text), text


@pytest.mark.parametrize("schema", SCHEMAS, ids=name_of)
def test_in_the_order_of_the_schema_each_valid_object_has_one_text(schema, compiler, accepts):
    grammar = compiler.compile_json_schema(schema)
    taken = {text for text in [*SCALARS, *OBJECTS, *ARRAYS] if accepts(grammar, text)}
    assert all(is_valid(schema, text) for text in taken)
    values = {json.dumps(json.loads(text), sort_keys=True) for text in taken}
    for text in [*SCALARS, *OBJECTS, *ARRAYS]:
        if is_valid(schema, text):
            assert json.dumps(json.loads(text), sort_keys=True) in values, text


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=name_of)
def test_random_texts_are_valid(schema, order, compiler, random_text):
    grammar = compiler.compile_json_schema(schema, property_order=order)
    for seed in range(8):
        assert_valid(schema, random_text(grammar, seed, "".join(OBJECTS[:30] + ARRAYS[:9])))


def test_more_properties_than_marks_are_refused_in_any_order(compiler, accepts):
    from sampler.errors import UnsupportedSchemaError

    names = [f"p{number}" for number in range(70)]
    closed = {"properties": dict.fromkeys(names, True), "additionalProperties": False}
    with pytest.raises(UnsupportedSchemaError, match="at most 63") as refusal:
        compiler.compile_json_schema(closed, property_order="any")
    assert refusal.value.json_pointer == "/properties"
    text = json.dumps(dict.fromkeys(reversed(names), 0))
    opened = compiler.compile_json_schema(
        closed | {"additionalProperties": True}, property_order="any"
    )
    assert accepts(opened, text)
