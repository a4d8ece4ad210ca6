"""Schemas as programs: what is refused, listed, shared and left for later; hostile schemas."""

import json
import time

import pytest
from reference.program import ReferenceMatcher

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    InvalidParameterError,
    UnsupportedSchemaError,
)
from sampler.grammar.engine.program import UNWRITTEN, Spelling
from sampler.grammar.schema import SchemaOptions, translate_schema
from sampler.grammar.schema.document import Documents
from sampler.grammar.schema.expand import Expander
from sampler.grammar.schema.texts import Texts
from sampler.limits import Limits


def translate(schema, limits=None, **options):
    return translate_schema(
        json.dumps(schema),
        SchemaOptions(**options),
        limits or Limits(),
    )


def accepts(translation, text):
    matcher = ReferenceMatcher(translation.program)
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


def expander_of(schema):
    texts = Texts(Spelling.CANONICAL, asserts_formats=True)
    return Expander(Documents(schema), texts)


# Refusals.

REFUSED = [
    ({"uniqueItems": True, "items": {"type": "array", "maxItems": 2}}, "uniqueItems",
     "/uniqueItems"),
    ({"uniqueItems": True, "prefixItems": [{"type": "boolean"}, {"enum": [1, 2]}], "minItems": 3},
     "uniqueItems", "/uniqueItems"),
    ({"items": {"not": {"uniqueItems": True}}}, "uniqueItems", "/items/not/uniqueItems"),
    ({"oneOf": [{"minItems": 1}, {"uniqueItems": True}]}, "uniqueItems", "/oneOf/1/uniqueItems"),
    ({"$schema": "http://json-schema.org/draft-04/schema", "not": {"type": "integer"}},
     "type", "/not/type"),
    ({"type": "string", "pattern": "(a)\\1"}, "pattern", "/pattern"),
    ({"items": {"$ref": "http://example.org/there"}}, "$ref", "/items/$ref"),
    ({"$schema": "http://example.org/dialect"}, "$schema", "/$schema"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "keyword", "pointer"), REFUSED)
def test_what_cannot_be_enforced_is_refused_with_keyword_and_place(schema, keyword, pointer):
    with pytest.raises(UnsupportedSchemaError) as refusal:
        translate(schema)
    assert refusal.value.keyword == keyword
    assert pointer is None or refusal.value.json_pointer == pointer


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "uniqueItems": True, "contains": {"type": "null"}},
        {"type": "integer", "$defs": {"a": {"$ref": "http://example.org/there"}}},
        {"type": "integer", "$defs": {"a": {"pattern": "(a)\\1"}}},
        {"enum": [[1, 2], [1, 1]], "uniqueItems": True},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "required": ["c"],
         "additionalProperties": {"type": "integer"}, "$defs": {"b": {"type": "null"}}},
        {"type": "object", "patternProperties": {"^[a-z]{9}$": {}}, "additionalProperties": False,
         "maxProperties": 1},
    ],
)  # fmt: skip
def test_what_no_value_gets_to_see_is_not_refused(schema):
    assert translate(schema).program


def test_keys_may_run_out_where_the_matcher_looks_after_them():
    schema = {"patternProperties": {"^[a-z]{9}$": {"type": "null"}}, "additionalProperties": False}
    translation = translate({"type": "object", **schema})
    assert translation.keys_run_out and not translation.compares_items
    assert accepts(translation, '{"abcdefghi":null}')
    assert not accepts(translation, '{"abcdefgh":null}')


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"not": {}},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "string", "pattern": "^a", "enum": ["b"]},
        {"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "^b"}]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "array", "minItems": 1, "items": {"$ref": "#"}},
        {"type": "object", "minProperties": 2, "properties": {"a": {}},
         "additionalProperties": False},
        {"type": "object", "required": ["a", "b"], "maxProperties": 1},
        {"type": "object", "propertyNames": {"pattern": "^a$"}, "required": ["b"]},
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 3},
    ],
)  # fmt: skip
def test_a_schema_that_no_value_satisfies_is_an_error(schema):
    with pytest.raises(GrammarError, match="no JSON value satisfies the schema"):
        translate(schema)


# Warnings and options.


def test_warnings_name_what_is_only_annotated_or_narrowed():
    schema = {
        "type": "object",
        "title": "t",
        "x-ui": 1,
        "properties": {"a": {"type": "string", "format": "starsign"}, "b": {"enum": [1.0]}},
        "minProperties": 0,
        "additionalProperties": {"type": "number", "minimum": 0.5},
    }
    warnings = translate(schema).warnings
    for expected in (
        "/x-ui: unknown keyword, not enforced",
        "/properties/a/format: format 'starsign' is not enforced",
        "objects: named properties are written in the order of the schema",
        "whitespace: up to 128 characters",
        "strings: the slash is not escaped, and printable ASCII never written as \\uXXXX",
        "integers: written without fraction",
        "constants: written as",
        "/additionalProperties: numbers are written with ",
    ):
        assert any(expected in warning for warning in warnings), expected
    assert not any("title" in warning for warning in warnings)
    annotated = translate({"format": "date"}, formats="annotate").warnings
    assert "/format: format 'date' is not enforced" in annotated


def test_a_root_with_properties_is_an_object_where_that_is_asked_for():
    schema = {"properties": {"a": {"type": "integer"}}}
    narrowed = translate(schema, object_root=True)
    assert not accepts(narrowed, "1")
    assert "/: no type is given beside `properties`: narrowed to objects" in narrowed.warnings
    assert accepts(translate(schema), "1")


@pytest.mark.parametrize("name", ["property_order", "spelling", "formats"])
def test_options_that_do_not_exist_are_refused_by_name(name):
    with pytest.raises(InvalidParameterError, match=f"`{name}` must be one of"):
        SchemaOptions(**{name: "other"}).check()
    SchemaOptions(property_order="any", spelling="free").check()


def test_free_spelling_takes_every_spelling():
    schema = {"type": "object", "properties": {"a": {"enum": [100, "b"]}}, "required": ["a"]}
    free, canonical = translate(schema, spelling="free"), translate(schema)
    for text in (' {"\\u0061":1e2}\n', '{"a":100.0}', '{"a":"\\u0062"}'):
        assert accepts(free, text), text
        assert not accepts(canonical, text), text
    assert not accepts(free, '{"a":101}')


def test_integers_of_draft_4_have_no_fraction_in_free_spelling_either():
    schema = {"type": "integer"}
    assert accepts(translate(schema, spelling="free"), "5.0")
    old = {"$schema": "http://json-schema.org/draft-04/schema#", **schema}
    assert not accepts(translate(old, spelling="free"), "5.0")


# Nodes.


def test_equal_conjunctions_are_one_node_and_one_value():
    tree = {"$ref": "#/$defs/t"}
    schema = {
        "$defs": {"t": {"type": "object", "properties": {"l": tree, "r": dict(tree)}}},
        "$ref": "#/$defs/t",
    }
    expander = expander_of(schema)
    value = expander.expand(expander.root)
    (shape,) = value.objects
    assert {part.node for part in shape.properties} == {expander.root}
    assert expander.expand(expander.root) is value


def test_a_merge_with_recursion_ends_in_finitely_many_nodes():
    schema = {
        "$defs": {
            "a": {"properties": {"n": {"$ref": "#/$defs/a"}, "x": {"type": "integer"}}},
            "b": {"properties": {"n": {"$ref": "#/$defs/b"}, "x": {"minimum": 2}}},
        },
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
    }
    expander = expander_of(schema)
    expander.check()
    inner = expander.expand(expander.root).objects[0].properties[0].node
    assert expander.expand(inner).objects[0].properties[0].node is inner


def test_properties_stand_in_the_order_of_the_keywords():
    schema = {
        "type": "object",
        "allOf": [{"properties": {"a": {}, "c": {}}}],
        "properties": {"b": {}, "a": {}},
        "required": ["z", "c"],
    }
    expander = expander_of(schema)
    (shape,) = expander.expand(expander.root).objects
    assert [part.name for part in shape.properties] == ["a", "c", "b", "z"]
    assert [part.is_required for part in shape.properties] == [False, True, False, True]


def test_frames_are_written_when_they_are_called():
    deep = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    program = translate(deep).program
    matcher = ReferenceMatcher(program)
    written = sum(start != UNWRITTEN for start in program.frame_starts)
    assert matcher.accept_bytes(b'{"a":{"b":{"c":[')
    assert sum(start != UNWRITTEN for start in program.frame_starts) > written


def test_frames_may_be_written_long_after_the_compile():
    limits = Limits(grammar_compile_seconds=0.2)
    translation = translate({"items": {"items": {"items": {"type": "null"}}}}, limits)
    time.sleep(0.25)
    assert accepts(translation, "[[[null]]]")


# Bad input.


def chain(length, link):
    definitions = {f"d{i}": link(i, {"$ref": f"#/$defs/d{i + 1}"}) for i in range(length)}
    return {"$defs": {**definitions, f"d{length}": {"type": "null"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        chain(10_000, lambda i, next_one: {"allOf": [next_one, {"minimum": i}]}),
        chain(10_000, lambda i, next_one: {"required": ["a"], "type": "object",
                                           "properties": {"a": next_one}}),
        {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]}
                   for i in range(40)]},
        {"patternProperties": {f"a{i}": {"minimum": i} for i in range(40)}},
    ],
    ids=["merged references", "required references", "combinations", "overlapping patterns"],
)  # fmt: skip
def test_what_would_take_too_much_ends_in_a_limit(schema):
    with pytest.raises(GrammarLimitError):
        translate(schema)


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"anyOf": [{"type": "null"}, {"$ref": "#"}]}],
)
def test_references_without_progress_are_an_error(schema):
    with pytest.raises(GrammarError, match="leads to itself"):
        translate(schema)


@pytest.mark.parametrize(
    "schema",
    [
        chain(10_000, lambda _, next_one: next_one),
        chain(60, lambda _, next_one: {"prefixItems": [next_one, next_one]}),
        {"enum": [f"value {i}" for i in range(20_000)], "type": "string"},
        {"enum": list(range(20_000)), "minimum": 3},
        {"type": "array", "minItems": 10**9, "maxItems": 10**9},
        {"type": "object", "minProperties": 10**9},
        {"type": "string", "minLength": 10**9},
    ],
    ids=["references", "doubling", "words", "numbers", "items", "properties", "length"],
)
def test_what_is_only_large_is_translated(schema):
    assert ReferenceMatcher(translate(schema).program).allowed_bytes()


def test_time_is_limited():
    values = [{"a": f"value {number}"} for number in range(20_000)]
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        translate({"enum": values, "uniqueItems": True}, Limits(grammar_compile_seconds=0.01))


def test_time_is_limited_while_a_constant_is_tried():
    """Each definition asks for the next one twice: 2 to the power of 40 when all are asked."""
    doubling = chain(40, lambda _, next_one: {"allOf": [next_one, next_one]})
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        translate({**doubling, "const": None}, Limits(grammar_compile_seconds=0.05))
