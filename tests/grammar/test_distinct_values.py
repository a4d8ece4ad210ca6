"""Items that must be distinct, and keys that run out: refused in time, and nothing else."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_tables import assert_valid

from sampler.grammar import GrammarCompiler, allocate_token_bitmask
from sampler.grammar.engine.json_values import key_of

PIECES = [
    b'","',
    b'"]',
    b'"},',
    b"[[",
    b"]]",
    b",1",
    b"1,",
    b"0]",
    b'{"',
    b'":1',
    b'":1,"',
    b'["a",',
]
PIECES += [
    b'"a"',
    b'"aa',
    b"ab",
    b"ba",
    b"\\u0061",
    b"u0061",
    b"true",
    b"rue",
    b", ",
    b',"a',
    b'"b":',
]
PIECES += [
    b'["a","a"',
    b"[1,1",
    b'{"aa":1,"aa"',
    b"10",
    b"true,",
    b"}]",
    b"},{",
    "é".encode(),
    b"\xc3",
]


class Pieces:
    """All bytes, and some longer tokens."""

    texts = [bytes([byte]) for byte in range(256)] + PIECES
    size = len(texts) + 1
    eos_token_ids = special_token_ids = frozenset([size - 1])

    def token_bytes(self, token_id: int) -> bytes:
        return self.texts[token_id] if token_id < len(self.texts) else b""


@pytest.fixture(scope="module")
def compiler():
    return GrammarCompiler(Pieces())


UNWANTED = {*b" \t\n\r.eE0", *range(128, 256)}  # what makes texts long, or hard to compare
ONE = {"type": "integer"}
SCHEMAS = [
    {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "aa", "b", 1, 10, True, None]}},
    {"type": "array", "uniqueItems": True, "items": {"type": ["boolean", "integer"]}},
    {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^[ab]{1,2}$"}},
    {"type": "array", "uniqueItems": True, "items": {"type": "object", "properties": {"a": ONE}}},
    {"type": "array", "uniqueItems": True, "items": {"type": "array", "uniqueItems": True}},
    {"type": "array", "items": {"uniqueItems": True, "items": {"enum": [True, 1, "a"]}},
     "uniqueItems": False},
    {"type": "array", "uniqueItems": True, "items": {"enum": [0, 1, 10, 11]},
     "minItems": 3},
    {"type": "array", "uniqueItems": True, "items": ONE | {"minimum": 8, "maximum": 11},
     "maxItems": 9},
    {"type": "array", "uniqueItems": True, "items": {"type": "string"}, "minItems": 2},
    {"type": "array", "uniqueItems": True, "items": {"type": "object"}, "minItems": 1},
    {"type": "array", "prefixItems": [{"type": "array", "items": {"type": "string"},
     "minItems": 1, "uniqueItems": True}], "minItems": 1},
    {"anyOf": [{"uniqueItems": True}, {}], "type": "array"},
    {"type": "object", "patternProperties": {"^[ab]{1,3}$": ONE}, "additionalProperties": False},
    {"type": "object", "patternProperties": {"^[a-e]{3}$": ONE, "^x$": {}}, "minProperties": 3,
     "additionalProperties": False},
    {"type": "object", "propertyNames": {"pattern": "^(a|b)*c$"}, "additionalProperties": ONE},
]  # fmt: skip


def allowed(matcher):
    mask = allocate_token_bitmask(1, Pieces.size)
    matcher.fill_next_token_bitmask(mask, 0)
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return np.flatnonzero(bits[: Pieces.size]).tolist()


@pytest.mark.parametrize("order", ["schema", "any"])
@pytest.mark.parametrize("spelling", ["canonical", "free"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:90])
def test_masks_are_what_is_accepted_and_lead_to_valid_texts(schema, spelling, order, compiler):
    """A token is allowed exactly if it is accepted; no text comes to a place without a token."""
    grammar = compiler.compile_json_schema(schema, spelling=spelling, property_order=order)
    random = np.random.default_rng(3)
    for _ in range(6):
        matcher, written = grammar.matcher(), b""
        for step in range(60):
            tokens = allowed(matcher)
            assert tokens, written
            if step % 4 == 0:
                taken = [t for t in range(Pieces.size) if matcher.fork().accept_token(t)]
                assert taken == tokens, written
            if spelling == "free" and "." in written.decode("latin-1"):
                break
            ends = Pieces.size - 1 in tokens
            if ends and (random.random() < 0.2 or step > 40):
                break
            wanted = [t for t in tokens if t not in UNWANTED]
            closing = [t for t in wanted if Pieces().token_bytes(t)[:1] in (b"]", b"}", b'"')]
            pool = (closing if step > 30 and closing else wanted) or tokens
            token = int(random.choice(pool))
            if ends and token == Pieces.size - 1:
                break
            assert matcher.accept_token(token)
            written += Pieces().token_bytes(token)
        else:
            continue
        assert_valid(schema, written.decode())


def completions(schema_texts, prefix):
    return any(text.startswith(prefix) for text in schema_texts)


@given(
    count=st.integers(1, 3),
    least=st.integers(0, 3),
    words=st.lists(st.text("ab", max_size=2), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=40, deadline=None)
def test_exactly_the_beginnings_of_texts_with_distinct_items_are_taken(
    compiler, count, least, words
):
    schema = {"type": "array", "items": {"enum": words}, "uniqueItems": True}
    schema |= {"minItems": min(least, len(words)), "maxItems": count + least}
    grammar = compiler.compile_json_schema(schema, whitespace="compact")
    texts = [
        json.dumps(items, separators=(",", ":"))
        for size in range(schema["minItems"], schema["maxItems"] + 1)
        for items in itertools.permutations(words, size)
    ]
    for text in texts[:: max(1, len(texts) // 20)]:
        matcher = grammar.matcher()
        for end in range(len(text)):
            taken = [t for t in allowed(matcher) if t < 256]
            following = {t[end] for t in texts if t.startswith(text[:end]) and len(t) > end}
            assert {chr(token) for token in taken} == following, text[:end]
            assert matcher.accept_token(ord(text[end]))
        assert matcher.is_accepting()


def test_values_are_equal_as_in_json():
    same = [[b"1", b"1.0", b"10e-1", b"0.1E+1"], [b"0", b"-0", b"0.000e5"], [b"true"], [b"null"]]
    same += [[b'"1"'], [b'"\\u0061"', b'"a"'], [b"[1, 2]", b"[1.0,2]"], [b"[2,1]"], [b"[[1],2]"]]
    same += [[b'{"a":1,"b":[2]}', b'{"b":[2.0],"a":1}'], [b'{"a":1}'], [b"-1"], [b"1e400"], [b"[]"]]
    same += [
        [b"{}"],
        [b"false"],
        [b"100", b"1e2"],
        [b"12"],
        [b"1e999999999999", b"10e999999999998"],
    ]
    keys = [[key_of(text) for text in group] for group in same]
    for one, other in itertools.combinations(range(len(keys)), 2):
        assert not set(keys[one]) & set(keys[other]), (same[one], same[other])
    assert all(len(set(group)) == 1 for group in keys)


def test_why_a_token_is_refused_is_said(compiler):
    schema = {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}}
    matcher = compiler.compile_json_schema(schema, whitespace="compact").matcher()
    assert matcher.accept_bytes(b'["a","')
    refusal = matcher.explain_token(ord("a"))
    assert refusal.reason == "repeated_value"
    text = refusal.describe(b'["a","')
    assert (
        text
        == 'after `["a","` there would be a key or an item twice, or none is left; expected: `b`'
    )
    assert refusal.expected == b"b"
