"""The automaton and its slow twin allow the same tokens, whatever the program and the text."""

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from program_strategies import Frame, Sketch, sketches
from reference.program import ReferenceMatcher

from sampler.grammar import allocate_token_bitmask
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.program import Op, Spelling
from sampler.grammar.engine.tokens import TokenTrie

MOST_COURSES = 300  # of the twin: what has more takes it too long
STEPS = 14

_MERGES = [
    b"ab",
    b"a1",
    b"1,",
    b",1,",
    b"aa",
    b"  ",
    b" \n\t",
    b'""',
    b'"a',
    b'a"',
    b'","',
    b'"ab"',
]
_MERGES += [b"[[", b"]]", b"[{", b"}]", b'["', b'"]', b'{"a"', b'"}', b"[]", b"{}", b"\\n", b"\\u"]
_MERGES += [b"\\u00", b"\\u0061", b'\\"', b"\\\\", b"\\ud83d", b"\\ude00", b'\\u00e9"', b"a\\"]
_MERGES += ["é".encode(), "ééa".encode(), "日".encode(), "日".encode()[:2], "日".encode()[1:]]
_MERGES += [
    "😀".encode(),
    "😀".encode()[:3],
    "a😀b".encode(),
    b"\xc3",
    b"a\xc3",
    b"abababab",
    b"\x08",
]
_MERGES += [b"ab", b"z" * 9, b"\x7f", b"a" * 130]


class Tokens:
    """All bytes but `missing`, some merges, an empty token, a special one and two ends."""

    def __init__(self, missing=b""):
        self.tokens = [bytes([byte]) for byte in range(256) if byte not in missing]
        self.tokens += [*_MERGES, b"", b"ab", b"<end>", b"<turn>"]
        self.size = len(self.tokens)
        self.eos_token_ids = (self.size - 2, self.size - 1)
        self.special_token_ids = frozenset(range(self.size - 3, self.size))

    def token_bytes(self, token_id):
        return self.tokens[token_id]

    @property
    def texts(self):
        """The tokens, b"" where they are no text."""
        return [*self.tokens[:-3], b"", b"", b""]


@pytest.fixture(scope="module")
def tokens():
    return Tokens()


@pytest.fixture(scope="module")
def trie(tokens, tmp_path_factory):
    return TokenTrie(tokens, tmp_path_factory.mktemp("tokens"))


def allowed_ids(matcher, size):
    bitmask = allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(bitmask)
    bits = np.unpackbits(bitmask.view(np.uint8), bitorder="little")
    assert not bits[size:].any()
    return np.flatnonzero(bits).tolist()


class Pair:
    """The automaton and its twin at the same place."""

    def __init__(self, matcher, twin, tokens):
        self.matcher, self.twin, self.tokens = matcher, twin, tokens

    def check(self):
        """The allowed ids, ends included, after comparing everything."""
        expected = self.twin.allowed_tokens(self.tokens.texts)
        ends = list(self.tokens.eos_token_ids) if self.twin.is_accepting() else []
        assert self.matcher.is_accepting() == bool(ends)
        found = allowed_ids(self.matcher, self.tokens.size)
        assert found == expected + ends, self.differences(found, expected + ends)
        assert allowed_ids(self.matcher, self.tokens.size) == found
        return expected, ends

    def differences(self, found, expected):
        name = {True: "allowed", False: "refused"}
        wrong = sorted(set(found) ^ set(expected))
        return [(self.tokens.tokens[i], name[i in found]) for i in wrong[:10]]

    def take(self, token_id):
        assert self.matcher.accept_token(token_id)
        assert self.twin.accept_bytes(self.tokens.tokens[token_id])

    def fork(self):
        return Pair(self.matcher.fork(), self.twin.copy(), self.tokens)


def walk(pair, choice):
    """None; follows one random text, with steps back and aside."""
    past = [pair.twin.copy()]
    for _ in range(STEPS):
        allowed, ends = pair.check()
        check_forced(pair)
        refused = choice.choice(sorted(set(range(pair.tokens.size)) - {*allowed, *ends}) or [-1])
        assert not pair.matcher.accept_token(refused)
        if not allowed:
            return
        if len(past) > 2 and choice.random() < 0.15:
            back = choice.randrange(1, len(past))
            pair.matcher.rollback(back)
            del past[len(past) - back :]
            pair.twin = past[-1].copy()
            continue
        if choice.random() < 0.1:
            aside = pair.fork()
            aside.take(choice.choice(allowed))
            aside.check()
        # one of few bytes gets further than one of all tokens, most of which are plain text
        few = [i for i in allowed if len(pair.tokens.tokens[i]) < 3 and choice.random() < 0.3]
        pair.take(choice.choice(few or allowed))
        past.append(pair.twin.copy())


def check_forced(pair):
    twin, data = pair.twin.copy(), b""
    while len(data) < 40 and not twin.is_accepting() and len(twin.allowed_bytes()) == 1:
        (byte,) = twin.allowed_bytes()
        twin.accept_byte(byte)
        data += bytes([byte])
    assert pair.matcher.find_jump_forward_bytes()[:40] == data


def follow(sketch, tokens, trie, seed):
    twin = ReferenceMatcher(sketch.program(), MOST_COURSES)
    grammar = CompiledGrammar(sketch.program(), trie)
    choice = random.Random(seed)
    for _ in range(2):  # the second finds masks that are kept
        walk(Pair(grammar.matcher(), twin.copy(), tokens), choice)


def follow_random(sketch, tokens, trie, seed):
    try:
        follow(sketch, tokens, trie, seed)
    except RecursionError:  # of the twin
        assume(False)


some = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32)


@some
@given(sketch=sketches(), seed=seeds)
def test_programs_of_json_allow_the_same_tokens(tokens, trie, sketch, seed):
    follow_random(sketch, tokens, trie, seed)


@some
@given(sketch=sketches(spells_json=False), seed=seeds)
def test_programs_of_raw_text_allow_the_same_tokens(tokens, trie, sketch, seed):
    follow_random(sketch, tokens, trie, seed)


ANYTHING = ([], [[1]], {1})


@pytest.mark.parametrize("spelling", [Spelling.CANONICAL, Spelling.FREE])
@pytest.mark.parametrize(
    "behind", [(Op.TEXT, 0), (Op.TEXT, 1), (Op.TEXT, 2), ("bytes", b"a"), (Op.CHARACTER, 0xE9)]
)
def test_a_token_may_go_on_behind_the_end_of_a_text(tokens, trie, spelling, behind):
    """Plain tokens longer than what one text has room for."""
    texts = [(ANYTHING, spelling, 0, 1), (ANYTHING, spelling, 1, 2), (ANYTHING, spelling, 0, -1)]
    for first in range(3):
        string = ("string", [(Op.TEXT, first), behind])
        sketch = Sketch([Frame("plain", (string,))], texts)
        for text in ('"', '"b', '"ba', '"é', '"éé', '"\\n'):
            matcher = CompiledGrammar(sketch.program(), trie).matcher()
            pair = Pair(matcher, ReferenceMatcher(sketch.program()), tokens)
            if pair.twin.accept_bytes(text.encode()):
                assert pair.matcher.accept_bytes(text.encode())
                pair.check()
