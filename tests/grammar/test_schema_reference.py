"""Masks of random small schemas against a matcher that is written from the definition.

Each text of a small universe of values must be taken or refused as the oracle says. Along some of
them every bit is compared: where a text of the universe goes on so, the bit must be set; where the
bit is set and none does, the masks have to lead on to a text that the oracle calls valid.
"""

import json
import re
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from proving.oracle import Oracle
from proving.small_schemas import small_schemas
from reference.schema_texts import SchemaTexts

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar import allocate_token_bitmask

# What texts are brought to their end with: what ends a value first, then any piece that fits.
CLOSING = [b"}", b"]", *(b"e%d" % exponent for exponent in (1, -1, 2, -2, 3, -3))]
OUTSIDE = [b'"a"', b'"b"', b'"ab"', b'""', b":", b",", b"null", b"true", b"[", b"{"]
OUTSIDE += [b"0", b"1", b"2", b"3", b"5", b"-", b"+", b".25"]
INSIDE = [b'"', b'a"', b'b"', b'ab"']
STUCK = [b'"', b"ull", b"ll", b"l", b"rue", b"ue", b"alse", b"lse", b"se", b"e"]  # within a word
STUCK += [b"u00e9", b"00e9", b"0e9", b"e9", b"0", b"9", b"n", b"\xa9", b"\xa5"]  # or a character
WATCHED = b'{}[]",:.-+012345abceflnrstuE\\/ \n\xc3'  # of the other bytes strings are full
LONGEST_ENDING, ATTEMPTS = 150, 60  # pieces
_ESCAPED = re.compile(rb"\\.")


class Comparison:
    """One grammar, one oracle, and the texts of the universe.

    `counts` says what was compared.
    """

    def __init__(self, schema, grammar, vocabulary, counts):
        self._tokens = vocabulary.tokens
        self._end = vocabulary.eos_token_ids[0]
        self._watched = {
            token_id
            for token_id, token in enumerate(self._tokens)
            if token_id not in vocabulary.special_token_ids and (token in WATCHED or token[1:])
        }
        self._grammar, self._counts = grammar, counts
        self._oracle = Oracle(schema)
        self._texts = SchemaTexts(lambda value: self._verdict(json.dumps(value)))
        self._bitmask = allocate_token_bitmask(1, vocabulary.size)
        self._known = {}

    def _verdict(self, text):
        verdict = self._oracle.judge(text)
        assert verdict.label != "loose", (verdict, text)
        return verdict.label == "valid"

    def compare_texts(self, any_order):
        """None; fails where a text is judged wrongly, or in no order where one is enough."""
        for orders in self._texts.valid:
            taken = [self._takes(text) for text in orders]
            assert all(taken) if any_order else any(taken), f"forbidden: {orders}"
            self._counts["valid texts"] += len(orders)
        for orders in self._texts.invalid:
            for text in orders:
                assert not self._takes(text), f"taken: {text}"
            self._counts["invalid texts"] += len(orders)

    def _takes(self, text):
        matcher = self._grammar.matcher()
        return matcher.accept_bytes(text.encode()) and matcher.is_accepting()

    def compare_bits(self, choice, most_texts, any_order):
        """None; fails where a bit along one of some valid texts is wrong."""
        texts = [text for orders in self._texts.valid for text in orders]
        for text in choice.sample(texts, min(most_texts, len(texts))):
            if self._takes(text):
                self._compare_along(text.encode(), any_order)
        self._compare_along(b"", any_order)

    def _compare_along(self, text, any_order):
        matcher, reference = self._grammar.matcher(), self._texts.matcher()
        for place in range(len(text) + 1):
            begun = text[:place]
            if begun not in self._known:
                self._known[begun] = True
                self._compare_mask(begun, matcher, reference, any_order)
            if place < len(text):
                assert matcher.accept_bytes(text[place : place + 1])
                assert reference.accept_byte(text[place])

    def _compare_mask(self, begun, matcher, reference, any_order):
        allowed = self._allowed(matcher)
        wanted = reference.allowed_tokens(self._tokens)
        forbidden = [self._tokens[i] for i in wanted - allowed]
        assert not (any_order and forbidden), f"after {begun!r}: forbidden {forbidden}"
        assert (self._end in allowed) == (reference.is_accepting()), f"end after {begun!r}"
        for token_id in allowed & self._watched - wanted:
            branch = matcher.fork()
            assert branch.accept_token(token_id)
            ending = self._ending(branch, begun + self._tokens[token_id])
            assert self._oracle.judge(ending.decode()).label != "invalid", (
                f"after {begun!r}: allowed {self._tokens[token_id]!r}, as in {ending!r}"
            )
        self._counts["bits"] += len(self._watched)

    def _allowed(self, matcher):
        matcher.fill_next_token_bitmask(self._bitmask, 0)
        bits = np.unpackbits(self._bitmask.view(np.uint8)[0], bitorder="little")
        return set(np.flatnonzero(bits).tolist())

    def _ending(self, matcher, begun):
        """A whole text that the masks lead to: one of several attempts has to find its end."""
        for attempt in range(ATTEMPTS):
            ending = self._attempt(matcher.fork(), begun, Random(attempt))
            if ending is not None:
                return ending
        raise AssertionError(f"no end after {begun!r}")

    def _attempt(self, matcher, begun, choice):
        patience = choice.choice([0.1, 0.2, 0.5, 0.8])
        for _ in range(LONGEST_ENDING):
            if matcher.is_accepting():
                return begun
            is_inside = len(_ESCAPED.sub(b"", begun).split(b'"')) % 2 == 0
            pieces = INSIDE if is_inside else OUTSIDE
            closing = CLOSING if not is_inside and choice.random() > patience else []
            for piece in [*closing, *choice.sample(pieces, len(pieces)), *STUCK]:
                if matcher.accept_bytes(piece):
                    break
            else:
                allowed = self._allowed(matcher)
                assert allowed, f"a dead end after {begun!r}"
                token_id = choice.choice(sorted(allowed & self._watched or allowed))
                assert matcher.accept_token(token_id)
                piece = self._tokens[token_id]
            begun += piece
        return None


OPTIONS = st.fixed_dictionaries(
    {
        "whitespace": st.sampled_from(["compact", "any"]),
        "spelling": st.sampled_from(["canonical", "free"]),
        "property_order": st.sampled_from(["any", "any", "schema"]),
    }
)


def compare(schema, options, seed, compiler, vocabulary, counts):
    """None; fails where masks and definition differ. Counts what the engine refuses."""
    counts["schemas"] += 1
    try:
        grammar = compiler.compile_json_schema(schema, **options)
    except (UnsupportedSchemaError, GrammarLimitError) as error:
        counts["refused"] += 1
        counts[f"refused: {getattr(error, 'keyword', 'limit')}"] += 1
        return
    except GrammarError as error:
        assert "no JSON value satisfies" in str(error)
        oracle = Oracle(schema)
        valid = SchemaTexts(lambda value: oracle.judge(json.dumps(value)).label == "valid").valid
        assert not valid, f"refused: {valid[0]}"
        counts["nothing is valid"] += 1
        return
    any_order = options["property_order"] == "any"
    try:
        comparison = Comparison(schema, grammar, vocabulary, counts)
        comparison.compare_texts(any_order)
        comparison.compare_bits(Random(seed), 3, any_order)
    except GrammarLimitError:  # stated, and no wrong mask; but few may come to it
        counts["reached a limit"] += 1


def check(examples, leaves, compiler, vocabulary):
    """None; compares random schemas and asserts that most of them were not refused."""
    counts = Counter()

    @settings(
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(schema=small_schemas(leaves), options=OPTIONS, seed=st.integers(0, 99))
    def run(schema, options, seed):
        note(f"{json.dumps(schema)} {options}")
        compare(schema, options, seed, compiler, vocabulary, counts)

    run()
    print(f"\n{dict(counts)}")
    assert counts["schemas"] >= examples
    assert counts["refused"] + counts["nothing is valid"] < counts["schemas"] / 2
    assert counts["reached a limit"] <= max(2, counts["schemas"] / 100)
    assert counts["valid texts"] > 100 * examples
    assert counts["invalid texts"] > 100 * examples
    assert counts["bits"] > 100 * examples


def test_masks_of_small_schemas_are_those_of_the_definition(compiler, vocabulary):
    check(60, 5, compiler, vocabulary)


@pytest.mark.slow
def test_masks_of_many_schemas_are_those_of_the_definition(compiler, vocabulary):
    check(3000, 9, compiler, vocabulary)


FOUND = [  # schemas whose masks were wrong once, with what showed it
    {"items": {"type": "string"}, "uniqueItems": True, "minItems": 1},  # took ["a","a"]
    {"items": {"type": "object"}, "uniqueItems": True, "minItems": 2},  # took [{},{}]
    {"anyOf": [{"uniqueItems": True}, {"minItems": 1}]},  # forbade [null,null]
]


@pytest.mark.parametrize("schema", FOUND)
def test_what_was_found_is_mended(schema, compiler, vocabulary):
    options = {"property_order": "any"}
    compare({**schema, "type": "array"}, options, 0, compiler, vocabulary, Counter())


def test_the_reference_goes_on_as_the_texts_do():
    matcher = SchemaTexts(lambda value: value in ("a", "ab")).matcher()
    tokens = [b"a", b"b", b'b"', b'"', b"", b"x"]
    assert matcher.accept_byte(ord('"')) and matcher.allowed_tokens(tokens) == {0}
    assert matcher.accept_byte(ord("a")) and matcher.allowed_tokens(tokens) == {1, 2, 3}
    assert not matcher.accept_byte(ord("x")) and not matcher.is_accepting()
    assert matcher.accept_byte(ord('"')) and matcher.is_accepting()


@pytest.mark.parametrize("options", [{"property_order": "any"}, {"property_order": "schema"}])
@pytest.mark.parametrize(
    ("schema", "other", "message"),
    [
        ({"type": "array", "minItems": 1}, {"type": "array"}, "taken"),
        ({"type": "array"}, {"type": "array", "maxItems": 3}, "forbidden"),
        ({"maxLength": 2, "type": "string"}, {"type": "string"}, "allowed"),
        ({"maximum": 7, "type": "number"}, {"type": "number"}, "allowed"),
        ({"required": ["ab"], "type": "object"}, {"type": "object"}, "taken"),
    ],
)
def test_another_schema_is_told_apart(schema, other, message, options, compiler, vocabulary):
    class Mistaken:
        def compile_json_schema(self, asked, **options):
            assert asked == schema
            return compiler.compile_json_schema(other, **options)

    with pytest.raises(AssertionError, match=message):
        compare(schema, options, 0, Mistaken(), vocabulary, Counter())
