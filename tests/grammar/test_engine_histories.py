"""What a grammar has learned changes no mask, and masks allow what can be taken byte by byte."""

import json
import random

import numpy as np
import pytest

from sampler.grammar import allocate_token_bitmask
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.tokens import TokenTrie
from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.schema.translate import translate_schema
from sampler.limits import Limits

_TEXTS = ["aaaaaaa", "ab ", "aé", "ééééé", "日本", "😀", "name", "b" * 130, "12", "1e", "0.5"]
_TEXTS += ['",', 'ab"', 'aaaa",', 'éa"', '":', '": "', '\\n"', "\\n\\n", 'a\\"', '\\\\"']
_TEXTS += ["\\u00e9", "\\u00E9", "a\\u00", "\\ud83d", "\\ude00", "\\ud83d\\ude00a", "a\\ud83d"]
_TEXTS += [" " * n for n in (2, 3, 4, 5, 8, 60, 127, 128, 129)]
_TEXTS += ["\n" + " " * n for n in (1, 2, 4, 8, 120)]
_TEXTS += ["\t\t", "\r\n", " \n", "\n\n", " }", '\n  "', ", ", ',\n  "', "  }", " ]", "} "]
_PARTS = [b"aaa\xc3", "日".encode()[:2], "日".encode()[2:] + b"a", "😀".encode()[1:] + b'"']
_MERGES = [*(text.encode() for text in _TEXTS), *_PARTS]


class Tokens:
    """All bytes, what begins and ends strings, runs of white space, and an end."""

    tokens = (*[bytes([byte]) for byte in range(256)], *_MERGES, b"<end>")
    size = len(tokens)
    eos_token_ids = (size - 1,)
    special_token_ids = frozenset((size - 1,))

    def token_bytes(self, token_id):
        return self.tokens[token_id]


SCHEMAS = {
    "windows": {
        "properties": {
            "a": {"type": "string", "maxLength": 9},
            "ab": {"type": "string", "minLength": 3, "maxLength": 12},
            "b": {"enum": ["name", "a\nb"]},
        },
        "required": ["a", "ab"],
        "additionalProperties": {"type": "string", "maxLength": 5},
    },
    "windows of patterns": {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "pattern": "^[ab]*$", "maxLength": 10},
                {"type": "string", "pattern": "é", "maxLength": 8},
                {"type": "string", "pattern": "^(a+ ){2,4}b$"},
            ]
        },
    },
    "runs": {
        "type": "array",
        "items": {"properties": {"a": {"type": "number", "maximum": 500}, "name": {}}},
    },
    "free keys": {
        "properties": {"name": {"type": "null"}, "nab": {"type": "boolean"}, "é\n": {}},
        "minProperties": 1,
    },
    "anything": {},
    "patterns in counted arrays": {
        "type": "array",
        "maxItems": 30,
        "items": {"type": "string", "pattern": "^[a-eé ]+$"},
    },
    "counted keys": {
        "properties": {"name": {"type": "string"}, "a": {"type": "integer"}, "ab": True},
        "maxProperties": 4,
        "additionalProperties": {"type": "array", "items": {"$ref": "#"}},
    },
}


@pytest.fixture(scope="module")
def trie(tmp_path_factory):
    return TokenTrie(Tokens(), tmp_path_factory.mktemp("tokens"))


def new_grammar(schema, trie):
    translation = translate_schema(json.dumps(schema), SchemaOptions(), Limits())
    return CompiledGrammar(translation.program, trie, translation.warnings, distinct_keys=True)


def allowed_ids(matcher):
    bitmask = allocate_token_bitmask(1, Tokens.size)
    matcher.fill_next_token_bitmask(bitmask)
    bits = np.unpackbits(bitmask.view(np.uint8), bitorder="little")
    return np.flatnonzero(bits[: Tokens.size]).tolist()


def next_token(allowed, choice):
    """One of `allowed`, rather what goes on in a string or a run than what ends it."""
    longer = [token_id for token_id in allowed if token_id >= 256]
    pool = longer if longer and choice.random() < 0.5 else allowed
    return choice.choice(pool)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("seed", range(3))
def test_masks_along_a_long_history_are_those_of_a_new_grammar(schema, seed, trie):
    choice = random.Random(seed)
    grammar = new_grammar(schema, trie)
    for _ in range(6):
        matcher, text = grammar.matcher(), b""
        for step in range(40):
            allowed = allowed_ids(matcher)
            assert allowed, text
            if step % 4 == choice.randrange(4):
                fresh = new_grammar(schema, trie).matcher()
                assert fresh.accept_bytes(text)
                assert allowed_ids(fresh) == allowed, text
            if step % 5 == choice.randrange(5):
                taken = [i for i in range(Tokens.size) if matcher.validate_tokens([i])]
                assert taken == allowed, text
            token_id = next_token(allowed, choice)
            assert matcher.accept_token(token_id)
            if matcher.is_terminated():
                break
            text += Tokens.tokens[token_id]


@pytest.mark.parametrize("seed", range(4))
def test_digits_of_escapes_are_not_taken_for_others(seed, trie):
    """Whatever the order in which small and capital ones are looked at."""
    grammar = new_grammar({"type": "string", "pattern": "é", "maxLength": 1}, trie)
    digits = "0123456789abcdefABCDEF"
    pairs = [(one, other) for one in digits for other in digits]
    random.Random(seed).shuffle(pairs)
    for one, other in pairs:
        taken = grammar.matcher().accept_bytes(f'"\\u00{one}{other}"'.encode())
        assert taken == (one in "eE" and other == "9")


@pytest.mark.parametrize("spaces", [b" ", b"\n\t", b"\n    ", b" " * 8])
@pytest.mark.parametrize("before", [b"", b'{"a": 1', b'{"a": 1,'])
def test_each_length_of_a_run_has_its_mask(spaces, before, trie):
    schema = {"properties": {"a": {"type": "integer"}}}
    grammar = new_grammar(schema, trie)
    matcher = grammar.matcher()
    assert matcher.accept_bytes(before or b"{")
    while True:
        taken = [i for i in range(Tokens.size) if matcher.validate_tokens([i])]
        assert allowed_ids(matcher) == taken
        if not matcher.accept_bytes(spaces):
            break
    assert taken


@pytest.mark.parametrize("minimum", [0, 4])
@pytest.mark.parametrize("piece", ["a", "é", "\\n", "\\ud83d\\ude00", "😀"])
def test_each_length_of_a_string_has_its_mask(piece, minimum, trie):
    grammar = new_grammar({"type": "string", "minLength": minimum, "maxLength": 20}, trie)
    matcher = grammar.matcher()
    assert matcher.accept_bytes(b'"')
    for _ in range(20):
        for byte in piece.encode():
            taken = [i for i in range(Tokens.size) if matcher.validate_tokens([i])]
            assert allowed_ids(matcher) == taken
            assert matcher.accept_bytes(bytes([byte]))
    assert allowed_ids(matcher) == [ord('"')]
