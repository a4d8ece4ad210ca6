"""The automaton and its slow twin allow the same tokens, whatever the program and the text."""

import json
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
_MERGES += [
    b'"a":1,"a":',
    b'a":1,"a',
    b'":1,"',
    b'1,"b":{"a"',
    b'{"a":1,"a"',
    b'"a":[],"b"',
    b'{},"a":',
]
_MERGES += [b'a":{"a":1},"a"', b'u0061"', b'0061":', b'\\n"']


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


# ---- keys that stay distinct


def repeats_a_key(text):
    """Whether an object in `text`, the beginning of a JSON text, has closed a key twice."""
    open_keys, at = [], 0  # the keys of each open object, None for an array
    key_can_begin = False
    while at < len(text):
        letter = text[at : at + 1]
        if letter == b'"':
            end = at + 1
            while end < len(text) and text[end : end + 1] != b'"':
                end += 2 if text[end : end + 1] == b"\\" else 1
            if end >= len(text):
                return False
            if key_can_begin:
                key = json.loads(text[at : end + 1])
                if key in open_keys[-1]:
                    return True
                open_keys[-1].add(key)
            at, key_can_begin = end, False
        elif letter in (b"{", b"["):
            open_keys.append(set() if letter == b"{" else None)
            key_can_begin = letter == b"{"
        elif letter in (b"}", b"]"):
            open_keys.pop()
        elif letter == b",":
            key_can_begin = open_keys[-1] is not None
        at += 1
    return False


def free_json(spelling):
    """A sketch of JSON values without space, with one number."""
    string = ("string", [(Op.TEXT, 0)])
    value = ("either", [(Op.CALL, 1), (Op.CALL, 2), string, ("bytes", b"1")])
    pair = ("all", [string, ("bytes", b":"), value])

    def some(item):
        more = ("many", ("all", [("bytes", b","), item]))
        return "either", [("bytes", b""), ("all", [item, more])]

    frames = [
        Frame("plain", (value,)),
        Frame("plain", (some(pair),), b"{}"),
        Frame("plain", (some(value),), b"[]"),
    ]
    return Sketch(frames, [(ANYTHING, spelling, 0, -1)])


class DistinctPair(Pair):
    """The automaton that keeps keys distinct, and the twin with a look at the whole text."""

    def __init__(self, matcher, twin, tokens, text=b""):
        super().__init__(matcher, twin, tokens)
        self.text = text

    def check(self):
        texts = self.tokens.texts
        expected = [
            i
            for i in self.twin.allowed_tokens(texts)
            if b'"' not in texts[i] or not repeats_a_key(self.text + texts[i])
        ]
        ends = list(self.tokens.eos_token_ids) if self.twin.is_accepting() else []
        found = allowed_ids(self.matcher, self.tokens.size)
        assert found == expected + ends, (self.text, self.differences(found, expected + ends))
        return expected, ends

    def take(self, token_id):
        super().take(token_id)
        self.text += self.tokens.tokens[token_id]


STEERED = [
    b"{",
    b'"',
    b"a",
    b'"',
    b":",
    b"1",
    b",",
    b'"',
    b"a",
    b"\\u0061",
    b"b",
    b'"a":1,"a":',
    b"}",
]
STEERED += [
    b'a":1,"a',
    b'":1,"',
    b'{"a"',
    b"\\",
    b"u",
    b"0061",
    b"\\u00",
    b"[",
    b"{}",
    b"]",
    b"\xc3",
]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("spelling", [Spelling.CANONICAL, Spelling.FREE])
def test_keys_stay_distinct(tokens, trie, spelling, seed):
    choice, sketch = random.Random(seed), free_json(spelling)
    grammar = CompiledGrammar(sketch.program(), trie, distinct_keys=True)
    pair = DistinctPair(grammar.matcher(), ReferenceMatcher(sketch.program()), tokens)
    steered = {tokens.tokens.index(token) for token in STEERED if token in tokens.tokens}
    past = []
    pair.take(tokens.tokens.index(b"{"))
    for _ in range(30):
        allowed, ends = pair.check()
        for token_id in choice.sample(range(tokens.size), 10):
            if token_id not in {*allowed, *ends}:
                assert not pair.matcher.accept_token(token_id)
        if past and choice.random() < 0.1:
            pair.matcher.rollback(1)
            pair.twin, pair.text = past.pop()
            continue
        if choice.random() < 0.1:
            aside = DistinctPair(pair.matcher.fork(), pair.twin.copy(), tokens, pair.text)
            if allowed:
                aside.take(choice.choice(allowed))
                aside.check()
        likely = sorted(steered.intersection(allowed))
        if not allowed:
            return
        past.append((pair.twin.copy(), pair.text))
        pair.take(choice.choice(likely if likely and choice.random() < 0.9 else allowed))


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ('{"a":1,"a"', True),
        ('{"a":1,"a', False),
        ('{"a":{"a":1},"b":["a","a"]}', False),
        ('[{"a":1},{"a":1}]', False),
        ('{"a":1,"\\u0061"', True),
        ('{"\\"":1,"\\\\":2,"\\""', True),
        ('{"a":"a","b":{},"a"', True),
    ],
)
def test_the_look_at_the_whole_text_sees_what_is_repeated(text, repeats):
    assert repeats_a_key(text.encode()) == repeats
