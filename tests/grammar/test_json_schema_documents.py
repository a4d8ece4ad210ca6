"""How schemas are read: forms of keywords, places, drafts, references."""

import pytest
import referencing
import referencing.jsonschema

from sampler.errors import GrammarError, UnsupportedSchemaError
from sampler.grammar.schema.document import FALSE, TRUE, Documents


def follow(schema, *tokens, registry=None):
    """What the `$ref` of the schema at `tokens` leads to."""
    documents = Documents(schema, registry)
    place = schema
    for token in tokens:
        place = place[token]
    return documents.resolve(documents.place(place), "$ref")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objekt"}, "`type` must be one of null, boolean"),
        ({"type": []}, "`type` must be"),
        ({"properties": {"a": {"minLength": -1}}}, "'/properties/a/minLength'"),
        ({"properties": {"a/b~": 5}}, "a schema must be an object or a boolean .at '/properties/a"),
        ({"properties": []}, "`properties` must be an object of schemas. Given: \\[\\]"),
        ({"items": [{}]}, "`items` must be"),
        ({"required": ["a", 1]}, "`required` must be an array of strings"),
        ({"anyOf": []}, "`anyOf` must be an array of schemas"),
        ({"maxItems": 1.5}, "`maxItems` must be an integer >= 0. Given: 1.5"),
        ({"multipleOf": 0}, "`multipleOf` must be a number > 0"),
        ({"exclusiveMinimum": True}, "`exclusiveMinimum` must be a number"),
        ({"$ref": {"type": "string"}}, "`\\$ref` must be a string"),
        ({"enum": "a"}, "`enum` must be an array"),
        ({"dependentRequired": {"a": "b"}}, "`dependentRequired` must be an object of arrays"),
        ({"$schema": "http://json-schema.org/draft-04/schema", "exclusiveMinimum": 1}, "a number"),
        ({"$schema": "http://json-schema.org/draft-04/schema", "enum": []}, "not empty in draft 4"),
    ],
)
def test_a_keyword_with_a_wrong_form_is_named_with_its_place(schema, message):
    with pytest.raises(GrammarError, match=message):
        Documents(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"title": 5, "examples": "x", "x-anything": [1]},
        {"minLength": 2.0, "enum": [], "required": []},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}, {}]},
        {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": True},
        {"dependencies": 5},
        True,
    ],
)
def test_what_only_annotates_and_what_the_draft_allows_is_not_refused(schema):
    assert Documents(schema).root.keywords is schema


def test_keywords_that_the_draft_does_not_know_are_listed():
    documents = Documents({"x-ui": 1, "properties": {"a": {"additionalItems": 5, "title": "t"}}})
    assert documents.unknown == ["/x-ui", "/properties/a/additionalItems"]
    assert Documents({"$schema": "http://json-schema.org/draft-04/schema#", "const": 1}).unknown


@pytest.mark.parametrize(
    ("name", "draft"),
    [
        ("http://json-schema.org/draft-04/schema#", 4),
        ("http://json-schema.org/draft-06/schema", 6),
        ("https://json-schema.org/draft-07/schema#", 7),
        ("https://json-schema.org/draft/2019-09/schema", 2019),
        ("https://json-schema.org/draft/2020-12/schema", 2020),
    ],
)
def test_the_draft_is_the_one_that_is_named(name, draft):
    assert Documents({"$schema": name}).root.draft == draft
    assert Documents({}).root.draft == 2020


def test_another_dialect_is_refused():
    with pytest.raises(UnsupportedSchemaError, match="unknown dialect") as refusal:
        Documents({"$schema": "http://example.org/mine"})
    assert (refusal.value.keyword, refusal.value.json_pointer) == ("$schema", "/$schema")


@pytest.mark.parametrize(
    ("reference", "pointer"),
    [
        ("#", ""),
        ("#/$defs/a", "/$defs/a"),
        ("#/$defs/with~1slash", "/$defs/with~1slash"),
        ("#/$defs/a%20b", "/$defs/a b"),
        ("#named", "/$defs/named"),
        ("#/components/schemas/x", "/components/schemas/x"),
        ("#/$defs/list/prefixItems/1", "/$defs/list/prefixItems/1"),
        ("inner.json", "/$defs/inner"),
        ("inner.json#/$defs/b", "/$defs/inner/$defs/b"),
        ("http://example.org/inner.json#deep", "/$defs/inner/$defs/b"),
    ],
)
def test_references_inside_a_document(reference, pointer):
    schema = {
        "$id": "http://example.org/root.json",
        "$ref": reference,
        "$defs": {
            "a": {"type": "string"},
            "a b": {"type": "string"},
            "with/slash": {"type": "string"},
            "named": {"$anchor": "named"},
            "list": {"prefixItems": [{"type": "null"}, {"type": "string"}]},
            "inner": {"$id": "inner.json", "$defs": {"b": {"$anchor": "deep"}}},
        },
        "components": {"schemas": {"x": {"type": "null"}}},
    }
    assert follow(schema).pointer == pointer


@pytest.mark.parametrize(
    "token", ["2", "00", "-1", "+1", "1 ", "\u0661", "9" * 5000], ids=lambda token: token[:5]
)
def test_a_pointer_to_an_item_that_is_not_there_names_no_schema(token):
    with pytest.raises(GrammarError, match="names no schema"):
        follow({"$ref": f"#/allOf/{token}", "allOf": [{}, {}]})


@pytest.mark.parametrize("uri", ["http://[::1", "http://[x]/a", "http://ex\u2100ample.com/"])
@pytest.mark.parametrize("keyword", ["$id", "$ref"])
def test_what_is_no_uri_is_refused(keyword, uri):
    schema = {"$id": "http://example.org/", "properties": {"a": {keyword: uri}}}
    with pytest.raises(GrammarError, match="is not a URI reference"):
        follow(schema, "properties", "a") if keyword == "$ref" else Documents(schema)


def test_a_reference_is_relative_to_the_resource_that_it_stands_in():
    schema = {
        "$id": "http://example.org/root.json",
        "$defs": {
            "a": {"type": "string"},
            "inner": {
                "$id": "other/inner.json",
                "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "../root.json"}},
                "$defs": {"a": {"type": "null"}},
            },
        },
    }
    inner = ("$defs", "inner", "properties")
    assert follow(schema, *inner, "x").pointer == "/$defs/inner/$defs/a"
    assert follow(schema, *inner, "y").pointer == ""


def test_draft_4_reads_id_and_later_drafts_do_not():
    inner = {"properties": {"x": {"$ref": "#/definitions/a"}}, "definitions": {"a": {}}}
    schema = {"definitions": {"a": {}, "inner": {"id": "http://example.org/i", **inner}}}
    tokens = ("definitions", "inner", "properties", "x")
    assert follow(schema, *tokens).pointer == "/definitions/a"
    old = {"$schema": "http://json-schema.org/draft-04/schema#", **schema}
    assert follow(old, *tokens).pointer == "/definitions/inner/definitions/a"


def test_places_are_interned_and_booleans_are_always_the_same():
    schema = {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a", "not": True, "if": False}
    documents = Documents(schema)
    assert documents.resolve(documents.root, "$ref") is documents.place(schema["$defs"]["a"])
    assert documents.place(schema["not"]) is TRUE
    assert documents.place(schema["if"]) is FALSE


@pytest.mark.parametrize("reference", ["#/$defs/b", "#none", "#/$defs/a/1", "#/x/number"])
def test_a_reference_to_nothing_is_named(reference):
    schema = {
        "$defs": {"a": {"enum": [1]}},
        "x": {"number": 5},
        "properties": {"a": {"$ref": reference}},
    }
    with pytest.raises(GrammarError, match=r"'/properties/a/.ref': .* names no schema"):
        follow(schema, "properties", "a")


def test_documents_come_from_the_registry_and_never_from_elsewhere():
    other = {"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}}
    draft = referencing.jsonschema.DRAFT202012
    registry = referencing.Registry(retrieve=pytest.fail).with_resource(
        "http://example.org/other", draft.create_resource(other)
    )
    schema = {"$ref": "http://example.org/other#/properties/x"}
    documents = Documents(schema, registry)
    found = documents.resolve(documents.root, "$ref")
    assert found.pointer == "http://example.org/other#/properties/x"
    assert documents.resolve(found, "$ref").keywords is other["$defs"]["a"]
    for elsewhere in ("http://example.org/third", "other.json#/a"):
        with pytest.raises(UnsupportedSchemaError, match="leads out of the schema") as refusal:
            follow({"$ref": elsewhere}, registry=registry)
        assert refusal.value.keyword == "$ref"


def test_meta_schemas_are_there():
    reference = {"$ref": "http://json-schema.org/draft-04/schema#/definitions/positiveInteger"}
    found = follow(reference)
    assert (found.draft, found.keywords["type"]) == (4, "integer")


def test_a_dynamic_reference_that_can_only_mean_one_schema_is_a_plain_one():
    tree = {
        "$dynamicAnchor": "node",
        "properties": {"children": {"items": {"$dynamicRef": "#node"}}},
    }
    documents = Documents(tree)
    items = documents.place(tree["properties"]["children"]["items"])
    assert documents.resolve_dynamic(items) is documents.root
    tree["$defs"] = {"other": {"$id": "other", "$dynamicAnchor": "node"}}
    documents = Documents(tree)
    items = documents.place(tree["properties"]["children"]["items"])
    with pytest.raises(UnsupportedSchemaError, match="dynamicRef"):
        documents.resolve_dynamic(items)
