"""Single values under schemas: what `jsonschema` says of them."""

import json
from pathlib import Path

import jsonschema
import pytest
import referencing
import referencing.jsonschema
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import GrammarError, UnsupportedSchemaError
from sampler.grammar.schema.document import Documents
from sampler.grammar.schema.evaluate import Evaluator

SUITE = Path(__file__).parents[2].parent / "shared" / "json-schema-test-suite"
_DRAFT_4 = "http://json-schema.org/draft-04/schema#"


def is_valid(schema, value, registry=None):
    """Our verdict; strings are compared with patterns by the patterns being contained."""
    documents = Documents(schema, registry)
    evaluator = Evaluator(
        documents,
        lambda condition, text: condition.keyword == "format" or condition.value in text,
    )
    return evaluator.allows(documents.root, value)


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([0.0, 0.5, 1.0, -1.5, 3.0]),
        st.sampled_from(["", "a", "b", "ab"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "ab"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def schemas(inner):
    names = st.sampled_from(["a", "b", "ab"])
    types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
    counts = st.integers(0, 3)
    keywords = {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=4),
        "const": VALUES,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.sampled_from([0.5, 2]),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": counts,
        "maxLength": counts,
        "pattern": names,
        "properties": st.dictionaries(names, inner, max_size=2),
        "patternProperties": st.dictionaries(names, inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "required": st.lists(names, max_size=2, unique=True),
        "minProperties": counts,
        "maxProperties": counts,
        "dependentRequired": st.dictionaries(names, st.lists(names, unique=True), max_size=2),
        "dependentSchemas": st.dictionaries(names, inner, max_size=2),
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "items": inner,
        "contains": inner,
        "minContains": counts,
        "maxContains": counts,
        "minItems": counts,
        "maxItems": counts,
        "uniqueItems": st.booleans(),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }
    pairs = st.sampled_from(sorted(keywords)).flatmap(
        lambda word: st.tuples(st.just(word), keywords[word])
    )
    return st.lists(pairs, max_size=4).map(dict)


SCHEMAS = st.deferred(lambda: st.booleans() | schemas(SCHEMAS))


@given(SCHEMAS, VALUES)
def test_the_verdict_is_that_of_jsonschema(schema, value):
    validator = jsonschema.Draft202012Validator(schema)
    assert is_valid(schema, value) == validator.is_valid(value)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"const": 1}, [1, 1.0], [True, "1"]),
        ({"enum": [[1.0], {"a": False}]}, [[1], {"a": False}], [[True], {"a": 0}]),
        ({"type": "integer"}, [1, 5.0], [1.5, True]),
        ({"$schema": _DRAFT_4, "type": "integer"}, [1], [5.0]),
        ({"multipleOf": 0.01}, [0.07, 4.35, 1], [0.075]),
        ({"$schema": _DRAFT_4, "minimum": 1, "exclusiveMinimum": True}, [1.5], [1]),
        ({"$schema": _DRAFT_4, "$ref": "#/definitions/a", "type": "null", "definitions": {
            "a": {"type": "string"}}}, ["a"], [None]),
        ({"uniqueItems": True}, [[1, True], [{"a": 1}, {"a": 2}]], [[1, 1.0], [{}, {}]]),
    ],
)  # fmt: skip
def test_values_that_are_easy_to_mistake(schema, valid, invalid):
    for value in valid:
        assert is_valid(schema, value), value
    for value in invalid:
        assert not is_valid(schema, value), value


def test_a_reference_that_leads_to_itself_is_an_error():
    with pytest.raises(GrammarError, match="endless recursion"):
        is_valid({"$ref": "#"}, 1)


@pytest.mark.skipif(not SUITE.is_dir(), reason="the JSON-Schema-Test-Suite is not here")
def test_no_verdict_differs_from_the_test_suite():
    """All but references that depend on the way, unevaluated* and own dialects."""
    registry = referencing.Registry()
    for path in (SUITE / "remotes").glob("**/*.json"):
        resource = referencing.Resource.from_contents(
            json.loads(path.read_text("utf-8")), referencing.jsonschema.DRAFT202012
        )
        name = path.relative_to(SUITE / "remotes").as_posix()
        registry = registry.with_resource(f"http://localhost:1234/{name}", resource)
    agreed = 0
    for path in sorted((SUITE / "tests" / "draft2020-12").glob("*.json")):
        for case in json.loads(path.read_text("utf-8")):
            if "attern" in json.dumps(case["schema"]):
                continue
            for test in case["tests"]:
                try:
                    verdict = is_valid(case["schema"], test["data"], registry)
                except UnsupportedSchemaError:
                    continue
                assert verdict == test["valid"], (path.name, case["description"], test)
                agreed += 1
    assert agreed > 1000
