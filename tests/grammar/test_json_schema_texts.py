"""What each keyword allows and forbids, text by text, followed by the slow reference matcher."""

import json
import random
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.program import ReferenceMatcher

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.schema import SchemaOptions, translate_schema
from sampler.limits import Limits

_DATA = Path(__file__).parent / "data"
ROWS = json.loads((_DATA / "json_schema_texts.json").read_text("utf-8"))
OLD_ROWS = json.loads((_DATA / "schemas.json").read_text("utf-8"))


def translate(schema, **options):
    return translate_schema(json.dumps(schema), SchemaOptions(**options), Limits())


def matcher_of(schema, **options):
    return ReferenceMatcher(translate(schema, **options).program)


def accepts(start, text):
    matcher = start.copy()
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


class RepeatedKeyError(ValueError):
    """What the matcher sees to, not the program."""


def _once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise RepeatedKeyError
    return dict(pairs)


def has_repeated_key(text):
    try:
        json.loads(text, object_pairs_hook=_once)
    except RepeatedKeyError:
        return True
    return False


def is_valid(schema, text):
    """What `jsonschema` says."""
    value = json.loads(text)
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    return validator(schema, format_checker=validator.FORMAT_CHECKER).is_valid(value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_table_agrees_with_jsonschema(row):
    for text in row["valid"]:
        assert is_valid(row["schema"], text), text
    for text in row["invalid"]:
        assert not is_valid(row["schema"], text), text


@pytest.mark.parametrize("row", [*ROWS, *OLD_ROWS], ids=lambda row: row["name"])
def test_texts_of_a_schema(row):
    start = matcher_of(row["schema"])
    for text in row["valid"]:
        assert accepts(start, text), text
    for text in row["invalid"]:
        assert not accepts(start, text) or has_repeated_key(text), text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_walk_along_what_is_allowed_ends_in_a_valid_text(row):
    start = matcher_of(row["schema"], whitespace="compact")
    for seed in range(3):
        text = walk(start, random.Random(seed))
        assert is_valid(row["schema"], text) or has_repeated_key(text), text


def walk(start, choice):
    """A random text; after a while bytes that close something are preferred."""
    matcher, text = start.copy(), b""
    patience = choice.choice([5, 40])
    for step in range(2000):
        allowed = matcher.allowed_bytes()
        if matcher.is_accepting() and (step > patience or not allowed):
            return text.decode()
        assert allowed, text
        if step > patience:
            closing = [byte for byte in allowed if byte in b'"]}']
            allowed = closing or [byte for byte in allowed if byte not in b"[{"] or allowed
        byte = choice.choice(allowed)
        matcher.accept_byte(byte)
        text += bytes([byte])
    raise AssertionError(f"no end: {text!r}")


NAMES = st.sampled_from(["a", "b", "ab"])
SCALARS = st.sampled_from([None, True, 0, 1, 2, 1.5, "", "a", "ab"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=1)
        | st.dictionaries(NAMES, inner, min_size=2)
    ),
    max_leaves=4,
)


def schemas(inner):
    counts = st.integers(0, 2)
    keywords = {
        "type": st.sampled_from(["integer", "string", "array", "object", ["null", "number"]]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minimum": st.integers(0, 2),
        "minLength": counts,
        "maxLength": counts,
        "pattern": st.sampled_from(["a", "^a", "b$"]),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2),
        "additionalProperties": inner,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "minProperties": counts,
        "maxProperties": counts,
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True), max_size=1),
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "items": inner,
        "minItems": counts,
        "maxItems": counts,
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "$ref": st.sampled_from(["#", "#/$defs/d"]),
    }
    pairs = st.sampled_from(sorted(keywords)).flatmap(
        lambda word: st.tuples(st.just(word), keywords[word])
    )
    return st.lists(pairs, max_size=4).map(dict)


INNER = st.deferred(lambda: st.booleans() | schemas(INNER))
ROOTS = st.builds(
    lambda root, definition: {**root, "$defs": {"d": definition}}, schemas(INNER), INNER
)


def _has_one_key_each(value):
    if isinstance(value, dict):
        return len(value) < 2 and all(map(_has_one_key_each, value.values()))
    return not isinstance(value, list) or all(map(_has_one_key_each, value))


@given(ROOTS, st.lists(VALUES, max_size=8))
def test_random_schemas_allow_what_jsonschema_allows(schema, values):
    """Whole texts; with one key in each object the order is no matter, else only one way."""
    try:
        start = matcher_of(schema, whitespace="compact")
    except (UnsupportedSchemaError, GrammarLimitError):
        return
    except GrammarError as error:
        if "leads to itself" in str(error) or "endless recursion" in str(error):
            return
        assert "no JSON value" in str(error)
        start = None
    for value in values:
        text = json.dumps(value, separators=(",", ":"))
        try:
            valid = is_valid(schema, text)
        except RecursionError:
            return
        allowed = start is not None and accepts(start, text)
        assert valid or not allowed, (schema, text)
        assert allowed or not valid or not _has_one_key_each(value), (schema, text)


@pytest.mark.parametrize("count", [1, 100], ids=["few", "many"])
def test_constants_of_draft_4_that_are_integers_have_no_fraction_in_free_spelling(count):
    schema = {"type": ["integer", "string"], "enum": [*range(2, 2 + count), "a"]}
    newer = matcher_of(schema, spelling="free")
    older = matcher_of(
        {"$schema": "http://json-schema.org/draft-04/schema#", **schema}, spelling="free"
    )
    for text in ("2", '"\\u0061"'):
        assert accepts(newer, text)
        assert accepts(older, text)
    for text in ("2.0", "20e-1"):
        assert accepts(newer, text)
        assert not accepts(older, text)


def test_contains_evaluates_items_since_draft_2020_12():
    schema = {"contains": True, "unevaluatedItems": {"type": "null"}}
    assert accepts(matcher_of(schema), "[1]")
    older = matcher_of({"$schema": "https://json-schema.org/draft/2019-09/schema", **schema})
    assert accepts(older, "[null]")
    assert not accepts(older, "[1]")


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"oneOf": [{"format": "regex"}, {"const": "(?:(?:(?:(?:(?:a)))))"}]}, "format"),
        ({"oneOf": [{"format": "uri-template"}, {"enum": ["{=x}"]}]}, "format"),
        ({"enum": ["xn--nxasmq6b"], "not": {"format": "hostname"}}, "format"),
        ({"enum": ["0+1"], "if": {"format": "relative-json-pointer"}, "then": False}, "format"),
    ],
)
def test_a_text_that_may_have_a_narrowed_format_or_not_is_not_taken_for_one_without(
    schema, keyword
):
    with pytest.raises(UnsupportedSchemaError) as refusal:
        translate({"type": "string"} | schema)
    assert refusal.value.keyword == keyword


@pytest.mark.parametrize(
    ("name", "pattern", "certain", "open_texts"),
    [
        ("hostname", "^xn--", '"example"', ['"xn--nxasmq6b"', '"xn--"']),
        ("date", "^0000-", '"2024-02-29"', ['"0000-01-01"']),
        ("date-time", "^0000-", '"2024-02-29T10:00:00Z"', ['"0000-01-01T10:00:00Z"']),
    ],
)
def test_texts_that_may_have_a_narrowed_format_or_not_are_left_out(
    name, pattern, certain, open_texts
):
    schema = {"type": "string", "oneOf": [{"format": name}, {"pattern": pattern}]}
    start = matcher_of(schema)
    assert accepts(start, certain)
    assert not any(accepts(start, text) for text in open_texts)
    assert any("narrowed" in warning for warning in translate(schema).warnings)


def test_formats_of_which_some_are_narrowed_exclude_each_other():
    formats = ("date", "date-time", "time", "ipv4", "uuid")
    start = matcher_of({"oneOf": [{"type": "string", "format": name} for name in formats]})
    for text in ('"2024-02-29"', '"2024-02-29T10:00:00Z"', '"10:00:00Z"', '"127.0.0.1"'):
        assert accepts(start, text)
    assert not accepts(start, '"0000-01-01"')


def test_alternatives_that_no_text_of_a_narrowed_format_has_exclude_it():
    start = matcher_of({"oneOf": [{"type": "string", "format": "date"}, {"enum": ["", "never"]}]})
    for text in ('"2024-02-29"', '""', '"never"'):
        assert accepts(start, text)
    assert not accepts(start, '"2023-02-29"')
