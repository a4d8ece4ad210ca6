"""Keys of free objects never repeat, whatever tokens they come in."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import GrammarError
from sampler.grammar.outlines.distinct_keys import KeyScanner


def has_repeated_key(text):
    repeated = []

    def check(pairs):
        repeated.append(len(dict(pairs)) < len(pairs))

    json.loads(text, object_pairs_hook=check)
    return any(repeated)


KEYS = st.sampled_from(["", "a", "b", "ab", "é", "x y"])


def pairs_of(values):
    """Objects as lists of members, so that a key can stand twice."""
    return st.lists(st.tuples(KEYS, values), max_size=3).map(lambda pairs: ("object", pairs))


def written(value):
    if isinstance(value, tuple):
        members = (f"{written(key)}: {written(inner)}" for key, inner in value[1])
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(["", "a", '"', "\\", "{", '\\"', "a,b:"]),
    lambda inner: pairs_of(inner) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@given(value=pairs_of(VALUES), cuts=st.lists(st.integers(0, 60)))
def test_the_scanner_finds_repeated_keys_in_any_pieces(value, cuts):
    text = written(value)
    data = text.encode()
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    scanner = KeyScanner()
    for start, end in itertools.pairwise(bounds):
        scanner = scanner.after(data[start:end]) if scanner else None
    assert (scanner is None) == has_repeated_key(text)


@given(value=pairs_of(st.none() | pairs_of(st.none())))
def test_free_objects_take_exactly_the_texts_without_repeated_keys(value, outlines_compiler):
    text = written(value)
    matcher = outlines_compiler.compile({"type": "json_object", "value": None}).matcher()
    assert matcher.accept_bytes(text.encode()) == (not has_repeated_key(text))


def test_every_token_that_would_repeat_a_key_is_masked(
    outlines_compiler, vocabulary, allowed_tokens
):
    grammar = outlines_compiler.compile_json_schema(
        {"type": "object", "additionalProperties": {"type": ["integer", "string"]}}, "compact"
    )
    for start in [b"{", b'{"', b'{"a":1', b'{"a":1,', b'{"a":1,"', b'{"a":"', b'{"x":1,"ab":2,"a']:
        matcher = grammar.matcher()
        assert matcher.accept_bytes(start)
        allowed = {vocabulary.tokens[i] for i in allowed_tokens(matcher)}
        for token in vocabulary.tokens[:-4]:
            spelled = grammar.matcher().accept_bytes(start + token)
            assert (token in allowed) == (spelled and token != b""), (start, token)
    matcher = grammar.matcher()
    assert matcher.accept_bytes(b'{"a":1,"')
    allowed = {vocabulary.tokens[i] for i in allowed_tokens(matcher)}
    assert b"a" in allowed
    assert matcher.accept_bytes(b"a")
    allowed = {vocabulary.tokens[i] for i in allowed_tokens(matcher)}
    assert not allowed & {b'"', b'":'}
    assert b"b" in allowed


def test_a_vocabulary_that_cannot_go_on_with_a_key_is_refused(make_vocabulary, make_compiler):
    """After ``{"":null,"`` nothing but the empty key could follow, for the second time."""
    vocabulary = make_vocabulary()
    vocabulary.tokens = [b'{"', b'":null,"', b'":null}', b"<end>"]
    vocabulary.size, vocabulary.eos_token_ids = 4, (3,)
    vocabulary.special_token_ids = frozenset([3])
    compiler = make_compiler(vocabulary=vocabulary, backend="outlines")
    with pytest.raises(GrammarError, match="free object keys"):
        compiler.compile_json_schema({"type": "object", "additionalProperties": {"type": "null"}})
