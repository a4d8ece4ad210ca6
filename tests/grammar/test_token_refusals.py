"""`GrammarMatcher.explain_token`: why a token is forbidden, and what could stand in its place."""

import random

import numpy as np
import pytest

from sampler.errors import InvalidParameterError
from sampler.grammar import TokenRefusal

NUMBER = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
DIGITS = b"0123456789"


@pytest.fixture
def explained(vocabulary):
    """The refusal of the token with these bytes after a text."""

    def explained(grammar, before: bytes, token: bytes) -> TokenRefusal | None:
        matcher = grammar.matcher()
        assert matcher.accept_bytes(before)
        return matcher.explain_token(vocabulary.tokens.index(token))

    return explained


def bytes_after(grammar, text: bytes) -> bytes:
    """What can follow, by trying."""
    matcher = grammar.matcher()
    assert matcher.accept_bytes(text)
    return bytes(byte for byte in range(256) if matcher.fork().accept_bytes(bytes([byte])))


def test_a_token_that_is_allowed_needs_no_explanation(each_compiler, explained):
    grammar = each_compiler.compile_json_schema(NUMBER, whitespace="compact")
    assert explained(grammar, b"", b'{"a":') is None
    assert explained(grammar, b'{"a":', b"-1") is None


def test_where_a_text_stops_fitting_and_what_could_stand_there(each_compiler, explained):
    grammar = each_compiler.compile_json_schema(NUMBER, whitespace="compact")
    refusal = explained(grammar, b'{"a":', b"name")
    assert refusal == TokenRefusal(
        reason="bytes", token_bytes=b"name", accepted=0, expected=b"-" + DIGITS, may_end=False
    )
    assert refusal.describe(b'{"a":') == (
        'after `{"a":` there cannot be `n`; expected: `-`, a digit'
    )
    refusal = explained(grammar, b"", b'{"')
    assert refusal is None
    refusal = explained(grammar, b"", b"[1")
    assert (refusal.accepted, refusal.expected) == (0, b"{")
    assert str(refusal) == "at the beginning there cannot be `[`; expected: `{`"


def test_the_bytes_of_the_token_that_fit_are_counted(each_compiler, explained):
    grammar = each_compiler.compile_regex("na[0-9]|abx?|é+")
    refusal = explained(grammar, b"", b"name")
    assert (refusal.accepted, refusal.expected, refusal.may_end) == (2, DIGITS, False)
    assert str(refusal) == "after `na` there cannot be `m`; expected: a digit"
    refusal = explained(grammar, b"", b"abc")
    assert (refusal.accepted, refusal.expected, refusal.may_end) == (2, b"x", True)
    assert str(refusal) == "after `ab` there cannot be `c`; expected: `x`, the end of the text"
    refusal = explained(grammar, "é".encode(), "日".encode()[:2])
    assert (refusal.accepted, refusal.expected) == (0, b"\xc3")
    assert refusal.describe("é".encode()) == (
        "after `é` there cannot be byte 0xE6; expected: byte 0xC3, the end of the text"
    )


def test_ends_of_sequence_special_tokens_and_ids_are_told_apart(
    each_compiler, explained, vocabulary
):
    grammar = each_compiler.compile_regex("[a-f]{2}")
    assert explained(grammar, b"a", b"<end>") == TokenRefusal(
        reason="incomplete", token_bytes=b"", accepted=0, expected=b"abcdef", may_end=False
    )
    assert explained(grammar, b"ab", b"<end>") is None
    assert explained(grammar, b"a", b"<pad>").reason == "special"
    assert explained(grammar, b"a", b"").reason == "no_bytes"
    matcher = grammar.matcher()
    for token_id in (-1, vocabulary.size, 2**70):
        assert matcher.explain_token(token_id).reason == "unknown_id"
    assert matcher.accept_bytes(b"ab")
    assert matcher.accept_token(vocabulary.eos_token_ids[0])
    refusal = matcher.explain_token(vocabulary.tokens.index(b"a"))
    assert (refusal.reason, refusal.expected, refusal.may_end) == ("ended", b"", True)
    assert str(refusal) == "the text has ended; expected: the end of the text"
    assert matcher.explain_token(vocabulary.eos_token_ids[1]) is None


def test_the_end_of_a_text_that_cannot_end_is_explained_by_what_has_to_come(
    each_compiler, explained
):
    grammar = each_compiler.compile_regex("[a-f]{2}")
    refusal = explained(grammar, b"a", b"<end>")
    assert refusal.describe(b"a") == "the text cannot end after `a`; expected: `a` to `f`"
    assert str(explained(grammar, b"a", b"<pad>")) == (
        "a special token is no text; expected: `a` to `f`"
    )


def test_a_key_that_would_be_repeated_is_named(each_compiler, explained):
    grammar = each_compiler.compile_json_schema({"type": "object"}, whitespace="compact")
    refusal = explained(grammar, b'{"a":1,', b'"a')
    assert refusal is None
    refusal = explained(grammar, b'{"a":1,"a', b'":')
    assert (refusal.reason, refusal.accepted) == ("repeated_key", 0)
    assert b'"' not in refusal.expected and b"b"[0] in refusal.expected
    assert refusal.describe(b'{"a":1,"a').startswith(
        'after `{"a":1,"a` the object would have a key twice; expected: '
    )


def test_inside_a_string_nearly_everything_is_expected(each_compiler, explained):
    grammar = each_compiler.compile_json_schema({"type": "string"}, whitespace="compact")
    refusal = explained(grammar, b'"', b"\n  ")
    text = refusal.describe(b'"' + b"long " * 10)
    assert text.startswith("after `…ong long long long long ` there cannot be a line break; ")
    assert "a digit" in text or "to `~`" in text
    assert "a space" in text
    assert "a character beyond ASCII" in text
    assert len(text) < 250


@pytest.mark.parametrize("seed", range(5))
def test_every_token_is_either_in_the_mask_or_explained(
    each_compiler, vocabulary, allowed_tokens, random_text, seed
):
    choice = random.Random(seed)
    grammar = each_compiler.compile_json_schema(
        {"additionalProperties": {"type": ["integer", "string"]}, "type": "object"}
    )
    text = random_text(grammar, seed)
    before = text[: choice.randrange(len(text))]
    matcher = grammar.matcher()
    assert matcher.accept_bytes(before)
    allowed = set(allowed_tokens(matcher))
    refusals = matcher.explain_tokens(range(vocabulary.size))
    for token_id in range(vocabulary.size):
        refusal = matcher.explain_token(token_id)
        assert refusal == refusals.get(token_id)
        assert (refusal is None) == (token_id in allowed)
        if refusal is None:
            continue
        after = matcher.fork()
        fitting = refusal.token_bytes[: refusal.accepted]
        assert after.accept_bytes(fitting)
        assert refusal.may_end == after.is_accepting()
        assert refusal.expected == bytes_after(grammar, before + fitting)
        if refusal.reason == "bytes":
            assert refusal.token_bytes[refusal.accepted] not in refusal.expected
        assert str(refusal)
    assert set(allowed_tokens(matcher)) == allowed


@pytest.mark.parametrize("token_id", [1.0, True, "1", None])
def test_an_id_that_is_no_integer_is_refused(each_compiler, token_id):
    matcher = each_compiler.compile_regex("a").matcher()
    with pytest.raises(InvalidParameterError, match="token_id"):
        matcher.explain_token(token_id)


def test_ids_of_numpy_are_taken(each_compiler, vocabulary):
    matcher = each_compiler.compile_regex("a").matcher()
    token_id = np.int64(vocabulary.tokens.index(b"0.5"))
    assert matcher.explain_token(token_id).expected == b"a"
