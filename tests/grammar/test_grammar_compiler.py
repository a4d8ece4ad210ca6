"""What compilers take and refuse."""

import json

import pytest
import referencing
from schema_tables import asking_twice

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    InvalidParameterError,
    UnsupportedSchemaError,
)
from sampler.grammar.schema import nodes
from sampler.limits import Limits

INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    "specification",
    [
        {"type": "json", "value": INTEGER},
        {"type": "json", "value": '{"type": "integer"}'},
        {"type": "json_object", "value": INTEGER},
        {"type": "json_schema", "value": {"schema": INTEGER, "name": "n", "strict": True}},
        {"type": "json_schema", "value": {"schema": json.dumps(INTEGER)}},
        {"type": "regex", "value": "0|-?[1-9][0-9]*"},
    ],
)
def test_grammars_of_requests(specification, each_compiler, accepts):
    grammar = each_compiler.compile(specification)
    assert accepts(grammar, "12")
    assert not accepts(grammar, "true")


@pytest.mark.parametrize("value", [None, {}, {"type": "object"}])
def test_a_json_object_without_a_schema_is_any_object(value, each_compiler, accepts):
    grammar = each_compiler.compile({"type": "json_object", "value": value})
    assert accepts(grammar, '{"a": {"b": [1]}, "c": null}')
    assert not accepts(grammar, "[]")
    assert not accepts(grammar, '{"a": 1, "a": 2}')
    assert accepts(each_compiler.compile({"type": "json_object"}), "{}")


def test_booleans_are_schemas(each_compiler, accepts):
    assert accepts(each_compiler.compile({"type": "json", "value": True}), '["a"]')
    with pytest.raises(GrammarError, match="no JSON value satisfies"):
        each_compiler.compile({"type": "json", "value": False})


def test_a_request_with_properties_and_no_type_means_an_object(each_compiler, accepts):
    schema = {"properties": {"a": INTEGER}, "required": ["a"]}
    grammar = each_compiler.compile({"type": "json", "value": schema})
    assert accepts(grammar, '{"a": 1}')
    assert not accepts(grammar, '"a"')
    assert any("narrowed to objects" in warning for warning in grammar.warnings)
    assert accepts(each_compiler.compile_json_schema(schema), '"a"')  # as the specification says


@pytest.mark.parametrize(
    "specification",
    [
        None,
        "json",
        {},
        {"type": "yaml", "value": "a"},
        {"type": None, "value": "a"},
        {"type": ["json"], "value": {}},
        {"type": "json"},
        {"type": "json", "value": 5},
        {"type": "json", "value": [INTEGER]},
        {"type": "json_object", "value": 5},
        {"type": "json_schema", "value": "{}"},
        {"type": "json_schema", "value": {"name": "n"}},
        {"type": "json_schema", "value": {"schema": 5}},
        {"type": "json_schema"},
        {"type": "regex", "value": {}},
        {"type": "regex", "value": None},
        {"type": "regex"},
    ],
)
def test_other_specifications_are_refused_with_what_is_legal(specification, compiler):
    with pytest.raises(GrammarError, match=r"must be (one of|an? )"):
        compiler.compile(specification)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("example_value", "expected value at line 1 column 1"),
        ("", "expected value at line 1 column 1"),
        ('{"a":\n }', "expected value at line 2 column 2"),
        ('{"type": "integer"} x', "Extra data at line 1 column 21"),
        ('{"minimum": NaN}', "NaN is not a JSON number"),
        ('{"minimum": 1e999}', "inf is not a JSON number"),
        ('{"const": "\\ud800"}', "unpaired surrogates"),
        ("[]", "must be an object or a boolean"),
        ('"a"', "must be an object or a boolean"),
    ],
)
def test_texts_that_are_no_schema(text, message, compiler):
    with pytest.raises(GrammarError, match=message) as error:
        compiler.compile({"type": "json", "value": text})
    wire = error.value.to_dict()
    assert wire["error"].startswith("Input validation error: grammar is not valid: ")
    assert wire["error_type"] == "validation"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": 5}, "`type` must be one of null, .* Given: 5 .at '/type'"),
        ({"type": "text"}, "`type` must be one of null, .* Given: 'text'"),
        (
            {"properties": {"a/b": {"minLength": -1}}},
            "`minLength` must be an integer >= 0. Given: -1 .at '/properties/a~1b",
        ),
        ({"required": "a"}, "`required` must be an array of strings"),
        ({"items": [INTEGER]}, "`items` must be a schema"),
        ({"enum": 5}, "`enum` must be an array"),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string", "enum": []},
            "enum",
        ),
        ({"$ref": "#/$defs/none"}, "names no schema"),
        ({"$ref": "#none"}, "names no schema"),
        ({"$defs": {"a": [1]}, "$ref": "#/$defs/a/0"}, "."),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no JSON value satisfies"),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "no JSON value"),
        ({"enum": ["a"], "type": "integer"}, "no JSON value satisfies"),
        ({"const": {1, 2}}, "must be JSON. Given: set"),
        ({"properties": {1: {}}}, "keys of a JSON Schema must be strings. Given: 1"),
        ({"minimum": float("nan")}, "nan is not a JSON number"),
        ({"type": "string", "pattern": "("}, "regular expression, character 2"),
    ],
)
def test_objects_that_are_no_schema_or_allow_nothing(schema, message, compiler):
    with pytest.raises(GrammarError, match=message) as error:
        compiler.compile_json_schema(schema)
    assert not isinstance(error.value, UnsupportedSchemaError)


def nested(depth):
    schema = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def test_depth_is_limited_at_the_stated_limit(each_compiler, accepts):
    deepest = (Limits().max_grammar_depth - 2) // 2
    grammar = each_compiler.compile_json_schema(nested(deepest))
    assert accepts(grammar, '{"a":' * deepest + "1" + "}" * deepest)
    for schema in (nested(deepest + 1), nested(5000)):
        with pytest.raises(GrammarLimitError, match="nesting of the schema"):
            each_compiler.compile_json_schema(schema)
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        each_compiler.compile_json_schema('{"a":' * 100_000)
    cycle = {}
    cycle["items"] = cycle
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        each_compiler.compile_json_schema(cycle)


def doubling(levels):
    """Each definition uses the next one twice: 2 to the power of `levels` when written out."""
    definitions = {
        f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
        for i in range(levels)
    }
    return {"$defs": {**definitions, f"d{levels}": INTEGER}, "$ref": "#/$defs/d0"}


def test_what_grows_too_large_is_limited(make_compiler):
    compiler = make_compiler(limits=Limits(max_grammar_bytes=20_000))
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema({"const": "a" * 20_000})
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema(json.dumps({"description": "a" * 20_000}))
    shared = []
    for _ in range(40):  # small in memory, 2 to the power of 40 as a tree
        shared = [shared, shared]
    with pytest.raises(GrammarLimitError, match="values in the schema"):
        compiler.compile_json_schema({"const": shared})


def test_what_is_used_again_and_again_is_there_once(compiler, accepts):
    grammar = compiler.compile_json_schema(doubling(30))
    assert accepts(grammar, "[" * 30 + "1" + "]" * 30)
    assert not accepts(grammar, "[" * 31 + "1" + "]" * 31)
    assert grammar.nbytes < 1_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [f"{n}" for n in range(20_000)], "allOf": [{"minLength": 1}] * 5},
        asking_twice(40),
    ],
    ids=["values", "references"],
)
def test_time_is_limited_while_a_schema_is_translated(schema, make_compiler):
    compiler = make_compiler(limits=Limits(grammar_compile_seconds=0.05))
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        compiler.compile_json_schema(schema)


def test_many_constants_that_exclude_each_other_are_told_apart_at_once(
    compiler, accepts, monkeypatch
):
    monkeypatch.setattr(nodes, "MAX_NODES", 100)
    schema = {"oneOf": [{"const": number} for number in range(40)]}
    grammar = compiler.compile_json_schema(schema)
    assert accepts(grammar, "39")
    assert not accepts(grammar, "40")
    grammar = compiler.compile_json_schema({"oneOf": [*schema["oneOf"], {"enum": [40, 7.0]}]})
    assert accepts(grammar, "40")
    assert not accepts(grammar, "7")


def test_many_optional_properties_stay_small(compiler, accepts):
    names = [f"p{number}" for number in range(60)]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}}
    grammar = compiler.compile_json_schema(schema, whitespace="compact")
    assert accepts(grammar, '{"p7":true,"p31":false,"p59":true}')
    assert not accepts(grammar, '{"p31":true,"p7":false}')
    assert grammar.nbytes < 1_000_000


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"whitespace": "none"}, "whitespace"),
        ({"whitespace": -1}, "whitespace"),
        ({"whitespace": 17}, "whitespace"),
        ({"whitespace": True}, "whitespace"),
        ({"whitespace": []}, "whitespace"),
        ({"whitespace": None}, "whitespace"),
        ({"property_order": "sorted"}, "property_order"),
        ({"spelling": "short"}, "spelling"),
        ({"formats": "ignore"}, "formats"),
        ({"registry": {}}, "registry"),
    ],
)
def test_options_that_do_not_exist_are_refused_by_name(options, name, compiler):
    with pytest.raises(InvalidParameterError, match=f"`{name}` must be"):
        compiler.compile_json_schema(INTEGER, **options)


def test_what_is_not_there_yet_is_refused_by_name(compiler):
    with pytest.raises(UnsupportedSchemaError, match="not supported yet"):
        compiler.compile_cfg("root ::= 'a'")


def test_free_spelling_is_whatever_json_allows(compiler, accepts):
    schema = {"type": "array", "items": {"type": ["integer", "string"]}}
    canonical = compiler.compile_json_schema(schema)
    free = compiler.compile_json_schema(schema, spelling="free")
    for text in (' [5.0,"a"]', "[1e2]\n", '["\\u0061\\/"]', f"[1,{' ' * 500}2]"):
        assert accepts(free, text), text
        assert not accepts(canonical, text), text
    assert not accepts(free, " [5.5]")
    assert not any("written" in warning for warning in free.warnings)


def test_other_documents_come_from_the_registry(compiler, accepts):
    contents = {"$schema": "https://json-schema.org/draft/2020-12/schema", **INTEGER}
    resource = referencing.Resource.from_contents(contents)
    registry = referencing.Registry().with_resource("http://example.org/other", resource)
    schema = {"type": "array", "items": {"$ref": "http://example.org/other"}}
    grammar = compiler.compile_json_schema(schema, registry=registry)
    assert accepts(grammar, "[1]")
    assert not accepts(grammar, '["a"]')
    with pytest.raises(UnsupportedSchemaError, match="leads out of the schema"):
        compiler.compile_json_schema(schema)


def test_warnings_name_what_is_only_annotated_or_narrowed(compiler):
    schema = {
        "type": "object",
        "title": "t",
        "x-ui": 1,
        "properties": {
            "a": {"type": "string", "format": "starsign"},
            "b": {"type": "number"},
            "c": {"type": "number", "maximum": 5},
            "d": {"const": 0.5},
        },
    }
    warnings = compiler.compile_json_schema(schema).warnings
    for expected in (
        "/x-ui: unknown keyword",
        "/properties/a/format: format 'starsign' is not enforced",
        "in the order of the schema",
        "whitespace: up to 128 characters",
        "strings: the slash is not escaped",
        "integers: written without fraction and exponent",
        "/properties/c: numbers are written with",
        "constants: written as `json.dumps` writes them",
    ):
        assert any(expected in warning for warning in warnings), expected
    assert not any("title" in warning for warning in warnings)
    assert not any("/properties/b" in warning for warning in warnings)  # every number, every way


def test_runs_of_whitespace_end_at_the_stated_bound(each_compiler, accepts):
    grammar = each_compiler.compile_json_schema({"type": "array", "items": INTEGER})
    deep = "\n" + "  " * 60
    assert accepts(grammar, f"[{deep}1,{deep}2{deep}]")
    assert accepts(grammar, f"[{' ' * 128}1,\r\n\t2]")
    assert not accepts(grammar, f"[{' ' * 129}1]")
