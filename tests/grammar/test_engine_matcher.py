"""Matchers of one grammar, and masks of batches, of drafts and of distinct keys."""

import json
import os
import random
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampler.errors import InvalidParameterError
from sampler.grammar import GrammarCompiler, allocate_token_bitmask, fill_bitmasks

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "tags": {"items": {}}},
    "required": ["name"],
}


@pytest.fixture(scope="module")
def native(vocabulary):
    compiler = GrammarCompiler(vocabulary)
    yield compiler
    compiler.close()


@pytest.fixture(scope="module")
def grammars(native):
    return [native.compile_json_schema(SCHEMA), native.compile_regex("(ab|a)*[0-9]{2}")]


@pytest.fixture(scope="module")
def free(native):
    grammar = native.compile_json_schema(True, whitespace="compact")
    assert grammar.distinct_keys
    return grammar


def mask_of(matcher, size):
    bitmask = allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(bitmask)
    return bitmask[0]


def ids_of(words, size):
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")[:size]).tolist()


def walked(grammar, size, seed):
    """Matchers along a random text, one for each step."""
    choice = random.Random(seed)
    matchers = [grammar.matcher()]
    for _ in range(25):
        matcher = matchers[-1].fork()
        if not matcher.accept_token(choice.choice(ids_of(mask_of(matcher, size), size))):
            raise AssertionError("the mask allows what is refused")
        matchers.append(matcher)
    return matchers


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_has_the_masks_of_its_matchers(grammars, free, vocabulary, seed):
    of_each = [walked(grammar, vocabulary.size, seed) for grammar in (*grammars, free)]
    matchers = [matcher for step in zip(*of_each, strict=True) for matcher in step]
    matchers[3:3] = [None, matchers[0]]
    bitmask = allocate_token_bitmask(len(matchers) + 1, vocabulary.size)
    assert fill_bitmasks(matchers, bitmask) == {}
    for row, matcher in enumerate(matchers):
        if matcher is None:
            assert (bitmask[row] == -1).all()
        else:
            assert np.array_equal(bitmask[row], mask_of(matcher, vocabulary.size))
    assert (bitmask[-1] == -1).all()


def test_a_batch_brings_what_new_grammars_need(native, vocabulary):
    """None of them has been followed before; two rows are of one grammar."""
    grammars = [native.compile_json_schema({"minLength": n, "title": "x"}) for n in range(3)]
    matchers = [grammars[i].matcher() for i in (0, 1, 2, 1)]
    bitmask = allocate_token_bitmask(4, vocabulary.size)
    fill_bitmasks(matchers, bitmask)
    for row, matcher in enumerate(matchers):
        assert np.array_equal(bitmask[row], mask_of(matcher, vocabulary.size))


def test_a_batch_in_another_layout_is_filled_all_the_same(grammars, vocabulary):
    matchers = [grammar.matcher() for grammar in grammars]
    wide = np.full((2, 2 * -(-vocabulary.size // 32)), -1, np.int32)
    fill_bitmasks(matchers, wide[:, ::2])
    for row, matcher in enumerate(matchers):
        assert np.array_equal(wide[row, ::2], mask_of(matcher, vocabulary.size))
    assert (wide[:, 1::2] == -1).all()


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_must_fit(grammars, vocabulary, rows):
    bitmask = allocate_token_bitmask(rows, vocabulary.size)
    with pytest.raises(InvalidParameterError, match="`row` must"):
        fill_bitmasks([grammar.matcher() for grammar in grammars], bitmask)


def test_drafts_have_the_masks_of_the_texts_they_would_make(grammars, vocabulary):
    ids = {token: i for i, token in reversed(list(enumerate(vocabulary.tokens)))}
    matcher = grammars[1].matcher()
    assert matcher.accept_token(ids[b"a"])
    drafts = [b"b", b"1", b"x", b"2", b"ab", b"3", b"1"]
    parents = [-1, -1, -1, 1, 0, 2, 4]
    tokens = [ids[draft] for draft in drafts]
    bitmask = allocate_token_bitmask(9, vocabulary.size)
    accepted = matcher.fill_draft_bitmasks(tokens, parents, bitmask)
    assert accepted == [True, True, False, True, True, False, True]
    assert np.array_equal(bitmask[0], mask_of(matcher, vocabulary.size))
    for row, text in {1: b"b", 2: b"1", 4: b"12", 5: b"bab", 7: b"bab1"}.items():
        other = matcher.fork()
        assert other.accept_bytes(text)
        assert np.array_equal(bitmask[row], mask_of(other, vocabulary.size))
    assert not bitmask[[3, 6]].any()
    assert (bitmask[8] == -1).all()
    matcher.rollback(1)


@pytest.mark.parametrize(
    ("tokens", "parents"), [([1], [0]), ([1], [-2]), ([1, 2], [-1]), ([1, 2], [-1, 1])]
)
def test_a_tree_of_drafts_has_parents_that_come_before(grammars, vocabulary, tokens, parents):
    bitmask = allocate_token_bitmask(3, vocabulary.size)
    with pytest.raises(InvalidParameterError, match="`parents"):
        grammars[0].matcher().fill_draft_bitmasks(tokens, parents, bitmask)


def test_forks_go_their_own_ways(free):
    matcher = free.matcher()
    assert matcher.accept_bytes(b'{"a":1,')
    fork = matcher.fork()
    again = fork.fork()
    assert fork.accept_bytes(b'"b":2,')
    assert matcher.accept_bytes(b'"c":3,')
    assert not fork.accept_bytes(b'"b":')
    assert matcher.accept_bytes(b'"b":3}')
    assert fork.accept_bytes(b'"c":3}')
    again.rollback(1)
    assert again.accept_bytes(b"[]")
    assert matcher.is_accepting()
    assert fork.is_accepting()
    matcher.reset()
    assert matcher.accept_bytes(b'{"a":1,')


class _Repeated(Exception):
    pass


def _distinct(pairs):
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Repeated
    return dict(pairs)


KEYS = st.sampled_from(["a", "b", "ab", "abc", "", "é", "\n", '"', "\U0001f600", "日", "a\\"])
VALUES = st.recursive(
    st.one_of(st.just(1), KEYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple)
    ),
    max_leaves=8,
)


def text_of(value, choice):
    """JSON in which tuples are objects; each string is spelled in one of two ways."""
    if isinstance(value, tuple):
        members = (f"{text_of(key, choice)}:{text_of(inner, choice)}" for key, inner in value)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text_of(inner, choice) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=choice.random() < 0.5)


@settings(suppress_health_check=list(HealthCheck), max_examples=200)
@given(value=VALUES, seed=st.integers(0, 2**32))
def test_keys_are_distinct_however_they_are_spelled_and_cut(value, seed, free, vocabulary):
    choice = random.Random(seed)
    text = text_of(value, choice).encode()
    try:
        json.loads(text, object_pairs_hook=_distinct)
        is_distinct = True
    except _Repeated:
        is_distinct = False
    matcher, at = free.matcher(), 0
    while at < len(text):
        mask = set(ids_of(mask_of(matcher, vocabulary.size), vocabulary.size))
        texts = vocabulary.tokens[: vocabulary.size - 4]
        fitting = [i for i, token in enumerate(texts) if token and text.startswith(token, at)]
        for i in fitting:
            assert matcher.fork().accept_token(i) == (i in mask)
        allowed = [i for i in fitting if i in mask]
        if not allowed:
            break
        token_id = choice.choice(allowed)
        assert matcher.accept_token(token_id)
        at += len(vocabulary.tokens[token_id])
    assert (at == len(text)) == is_distinct
    assert free.matcher().accept_bytes(text) == is_distinct


@pytest.mark.parametrize(
    "text", [b'{"a":1,"', b'{"a":1,', b'{"a":1', b'{"x":"x","x', b'{"ab":1,"a']
)
def test_masks_have_no_token_that_repeats_a_key(free, vocabulary, text):
    matcher = free.matcher()
    assert matcher.accept_bytes(text)
    allowed = set(ids_of(mask_of(matcher, vocabulary.size), vocabulary.size))
    for token_id in range(vocabulary.size):
        assert matcher.fork().accept_token(token_id) == (token_id in allowed)


def test_threads_may_share_a_grammar(native, vocabulary):
    schema = {"type": "array", "items": {"type": "string", "pattern": "^[a-f]+[0-9]*$"}}
    grammar = native.compile_json_schema(schema)
    lonely = native.compile_json_schema({**schema, "title": "another grammar"})
    assert lonely is not grammar
    texts = [json.dumps(["abc" * n, f"f{n}", "dead"]).encode() for n in range(1, 13)]
    expected = []
    for text in texts:
        matcher = lonely.matcher()
        masks = []
        for byte in text:
            masks.append(mask_of(matcher, vocabulary.size))
            assert matcher.accept_bytes(bytes([byte]))
        expected.append(np.array(masks))
    failures = []

    def follow(number):
        matcher = grammar.matcher()
        for i, byte in enumerate(texts[number]):
            if not np.array_equal(mask_of(matcher, vocabulary.size), expected[number][i]):
                failures.append((number, i))
            matcher.accept_bytes(bytes([byte]))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=follow, args=(n,)) for n in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on_with_a_grammar_that_another_thread_was_following(
    native, vocabulary
):
    grammar = native.compile_json_schema({"type": "string", "maxLength": 3000})
    matcher, is_over = grammar.matcher(), threading.Event()
    matcher.accept_bytes(b'"a')

    def follow():
        while not is_over.is_set():
            other = grammar.matcher()
            other.accept_bytes(b'"' + b"abc\\n" * 500)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                ends = matcher.accept_bytes(b'b"') and matcher.is_accepting()
                os._exit(0 if ends and mask_of(matcher, vocabulary.size).any() else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        is_over.set()
        thread.join()
