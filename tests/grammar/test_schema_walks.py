"""Random tokens that a mask allows always end in a valid text, and never in a dead end."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_tables import SCHEMAS, assert_valid, is_read_by_python

from sampler.errors import GrammarError, GrammarLimitError

READABLE = [row for row in SCHEMAS if is_read_by_python(row["schema"])]


def assert_random_texts_are_valid(row, compiler, random_text):
    grammar = compiler.compile_json_schema(row["schema"])
    for seed in range(12):
        assert_valid(row["schema"], random_text(grammar, seed, "".join(row["valid"])))


@pytest.mark.parametrize("row", READABLE, ids=lambda row: row["name"])
def test_random_texts_are_valid(row, compiler, random_text):
    assert_random_texts_are_valid(row, compiler, random_text)


@pytest.mark.parametrize(
    "row", [row for row in READABLE if "outlines_refuses" not in row], ids=lambda row: row["name"]
)
def test_random_texts_of_the_outlines_backend_are_valid(row, outlines_compiler, random_text):
    assert_random_texts_are_valid(row, outlines_compiler, random_text)


def layout_of(text):
    """`text` with all strings and numbers alike."""
    return re.sub(r"-?(\d[\d.eE+-]*|Infinity)", "0", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text))


@pytest.mark.parametrize("whitespace", ["compact", "spaced", 0, 2])
def test_exact_whitespace_is_that_of_json_dumps(whitespace, each_compiler, random_text):
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"enum": [1, [], {}, [1, {"x": [2]}]]}},
            "b": {"type": "object", "additionalProperties": {"type": "integer"}},
            "c": {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        },
    }
    grammar = each_compiler.compile_json_schema(schema, whitespace=whitespace)
    style = {
        "compact": {"separators": (",", ":")},
        "spaced": {},
    }.get(whitespace, {"indent": whitespace})
    for seed in range(30):
        text = random_text(grammar, seed).decode()
        written = json.dumps(json.loads(text), ensure_ascii=False, **style)
        assert layout_of(text) == layout_of(written)


def scalars():
    bounds = st.integers(-30, 300) | st.decimals(-30, 30, places=2).map(float)
    numbers = st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number", ["number", "null"]])},
        optional={
            "minimum": bounds,
            "maximum": bounds,
            "exclusiveMinimum": bounds,
            "exclusiveMaximum": bounds,
        },
    )
    patterns = st.sampled_from(["^[a-c]+$", "b", "^x|y$", '^["\\\\]*$', "^a{2}[^b]", "[^a-z]$"])
    strings = st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 6),
            "pattern": patterns,
        },
    )
    listed = st.lists(st.integers(0, 3) | st.text(max_size=2) | st.booleans(), max_size=3)
    return st.one_of(
        numbers,
        strings,
        st.builds(lambda values: {"enum": values}, listed),
        st.sampled_from([True, False, {}, {"type": ["boolean", "null"]}]),
    )


def containers(inner):
    names = st.sampled_from(["a", "b", "ab", 'q"', "é"])
    objects = st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(names, inner, max_size=3),
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": inner,
            "minProperties": st.integers(0, 2),
            "maxProperties": st.integers(0, 3),
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={
            "prefixItems": st.lists(inner, max_size=2, min_size=1),
            "items": inner,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 3),
        },
    )
    combined = st.builds(
        lambda keyword, options, others: {keyword: options, **others},
        st.sampled_from(["anyOf", "oneOf", "allOf"]),
        st.lists(inner, min_size=1, max_size=3),
        st.just({}) | objects | arrays,
    )
    return objects | arrays | combined


@pytest.fixture(scope="module")
def check_generated(compiler, random_text):
    """Compiles a schema, or is refused, and checks random texts of it."""

    def check(schema):
        try:
            grammar = compiler.compile_json_schema(schema, whitespace="compact")
        except GrammarLimitError:
            raise
        except GrammarError:
            return
        for seed in range(4):
            assert_valid(schema, random_text(grammar, seed))

    return check


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(schema=st.recursive(scalars(), containers, max_leaves=5))
def test_any_schema_gives_valid_texts_or_is_refused(schema, check_generated):
    check_generated(schema)


@pytest.mark.slow
@settings(max_examples=3000, suppress_health_check=[HealthCheck.too_slow])
@given(schema=st.recursive(scalars(), containers, max_leaves=8))
def test_many_schemas_give_valid_texts_or_are_refused(schema, check_generated):
    check_generated(schema)
