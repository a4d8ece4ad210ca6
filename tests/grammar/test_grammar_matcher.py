"""The contract of a matcher, checked against a fresh one that replays the same steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import GrammarError, InvalidParameterError
from sampler.grammar import allocate_token_bitmask

SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["x", 12, None]}, "ab": {"type": "integer"}},
    "additionalProperties": {"type": "integer"},
    "required": ["a"],
}


@pytest.fixture(scope="module")
def grammars(each_compiler):
    return [
        each_compiler.compile_json_schema(SCHEMA),
        each_compiler.compile_json_schema(SCHEMA, whitespace="compact"),
        each_compiler.compile_regex("(ab|a|é)*12?"),
    ]


def mask_of(matcher, size):
    bitmask = allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(bitmask)
    return np.unpackbits(bitmask.view(np.uint8), bitorder="little")[:size].astype(bool).tolist()


def replayed(grammar, steps):
    matcher = grammar.matcher()
    for step in steps:
        accept = matcher.accept_bytes if isinstance(step, bytes) else matcher.accept_token
        assert accept(step)
    return matcher


def assert_same(matcher, other, size):
    assert mask_of(matcher, size) == mask_of(other, size)
    assert matcher.is_accepting() == other.is_accepting()
    assert matcher.is_terminated() == other.is_terminated()
    assert matcher.find_jump_forward_bytes() == other.find_jump_forward_bytes()


@given(data=st.data())
def test_any_series_of_calls_equals_a_replay(data, grammars, vocabulary):
    grammar = data.draw(st.sampled_from(grammars))
    matcher, steps = grammar.matcher(), []
    for _ in range(data.draw(st.integers(1, 12))):
        mask = mask_of(matcher, vocabulary.size)
        allowed = [i for i, is_allowed in enumerate(mask) if is_allowed]
        action = data.draw(st.sampled_from("tttttoubvfr"))
        if action == "t":
            token_id = data.draw(st.sampled_from(allowed))
            assert matcher.accept_token(token_id)
            steps.append(token_id)
        elif action == "o":  # any id, most of them refused
            token_id = data.draw(st.integers(-1, vocabulary.size))
            expected = 0 <= token_id < vocabulary.size and mask[token_id]
            assert matcher.accept_token(token_id) == expected
            steps += [token_id] if expected else []
        elif action == "u":
            n = data.draw(st.integers(0, len(steps)))
            matcher.rollback(n)
            del steps[len(steps) - n :]
        elif action == "b":
            text = data.draw(st.sampled_from([b"", b"{", b'"', b"a", b'"a":', b"1", b"}", b"zz"]))
            if matcher.accept_bytes(text):
                steps.append(text)
        elif action == "v":
            ids = data.draw(st.lists(st.sampled_from(allowed), max_size=3))
            count = matcher.validate_tokens(ids)
            assert count == matcher.fork().accept_tokens(ids)
        elif action == "f":
            matcher = matcher.fork()
        else:
            matcher.reset()
            steps.clear()
        assert_same(matcher, replayed(grammar, steps), vocabulary.size)


@pytest.mark.parametrize("index", range(3))
def test_accept_token_is_true_exactly_when_the_bit_is_set(index, grammars, vocabulary):
    matcher = grammars[index].matcher()
    for text in [b"", b"{" if index < 2 else b"a", b'"', b"a", b'":', b"1", b"2", b"}"]:
        if not matcher.accept_bytes(text):
            continue
        for token_id, is_allowed in enumerate(mask_of(matcher, vocabulary.size)):
            assert matcher.fork().accept_token(token_id) == is_allowed
            assert matcher.validate_tokens([token_id]) == is_allowed


def test_tokens_with_the_same_bytes_are_all_allowed(grammars, vocabulary):
    same = [i for i, token in enumerate(vocabulary.tokens) if token == b"a"]
    assert len(same) == 2
    mask = mask_of(grammars[2].matcher(), vocabulary.size)
    assert [mask[i] for i in same] == [True, True]


def test_special_and_empty_tokens_are_never_allowed(vocabulary, each_compiler):
    anything = each_compiler.compile_regex("(?s).*")
    mask = mask_of(anything.matcher(), vocabulary.size)
    pad, empty = vocabulary.size - 3, vocabulary.size - 4
    assert vocabulary.tokens[empty] == b""
    assert not mask[pad]
    assert not mask[empty]
    assert not anything.matcher().accept_token(pad)


def test_after_the_end_only_ends_are_allowed_and_nothing_raises(grammars, vocabulary):
    first, second = vocabulary.eos_token_ids
    matcher = grammars[2].matcher()
    assert not matcher.accept_token(first)
    assert matcher.accept_bytes(b"ab1")
    assert matcher.is_accepting()
    assert not matcher.is_terminated()
    assert [i for i, bit in enumerate(mask_of(matcher, vocabulary.size)) if bit] == [
        vocabulary.tokens.index(b"2"),
        first,
        second,
    ]
    assert matcher.accept_token(second)
    assert matcher.is_terminated()
    assert matcher.is_accepting()
    for _ in range(3):
        only = [i for i, bit in enumerate(mask_of(matcher, vocabulary.size)) if bit]
        assert only == [first, second]
        assert not matcher.accept_token(vocabulary.tokens.index(b"2"))
        assert not matcher.accept_bytes(b"2")
        assert matcher.find_jump_forward_bytes() == b""
        assert matcher.accept_token(first)
    matcher.rollback(4)
    assert not matcher.is_terminated()
    assert matcher.accept_bytes(b"2")


def test_forced_bytes_are_those_without_a_choice(each_compiler):
    matcher = each_compiler.compile_regex("ab(cde|cdf)éx?").matcher()
    assert matcher.find_jump_forward_bytes() == b"abcd"
    assert matcher.accept_bytes(b"abcde")
    assert matcher.find_jump_forward_bytes() == "é".encode()
    assert matcher.accept_bytes("é".encode())
    assert matcher.find_jump_forward_bytes() == b""  # the text may end here
    schema = {
        "type": "object",
        "properties": {"name": {"const": True}},
        "required": ["name"],
        "additionalProperties": False,
    }
    matcher = each_compiler.compile_json_schema(schema, whitespace="spaced").matcher()
    assert matcher.find_jump_forward_bytes() == b'{"name": true}'


def test_rollback_beyond_the_beginning_is_refused_and_changes_nothing(grammars, vocabulary):
    matcher = grammars[2].matcher()
    assert matcher.accept_tokens([ord("a"), ord("b")]) == 2
    before = mask_of(matcher, vocabulary.size)
    for wrong in (3, -1, 1.0, True, "1"):
        with pytest.raises(InvalidParameterError, match="`n` must be an integer >= 0 and <= 2"):
            matcher.rollback(wrong)
    assert mask_of(matcher, vocabulary.size) == before


def test_numpy_integers_are_ids_and_others_are_refused(grammars):
    matcher = grammars[2].matcher()
    assert matcher.accept_token(np.int64(ord("a")))
    for wrong in (1.0, "a", None, True):
        with pytest.raises(InvalidParameterError, match="`token_id` must be an integer"):
            matcher.accept_token(wrong)
    with pytest.raises(InvalidParameterError, match="`data` must be bytes"):
        matcher.accept_bytes("a")


@pytest.mark.parametrize(
    ("bitmask", "row"),
    [
        (np.zeros((1, 3), np.int64), 0),
        (np.zeros((1, 3), np.int32), 0),
        (np.zeros((1, 1, 10), np.int32), 0),
        ([[0] * 10], 0),
        ("words", 2),
        ("words", -1),
        ("words", 0.0),
        ("words", True),
        ("read-only", 0),
    ],
)
def test_bitmask_and_row_are_checked(bitmask, row, grammars, vocabulary):
    if isinstance(bitmask, str):
        read_only = bitmask == "read-only"
        bitmask = allocate_token_bitmask(2, vocabulary.size)
        bitmask.flags.writeable = not read_only
    with pytest.raises(InvalidParameterError, match=r"`(bitmask|row)` must"):
        grammars[0].matcher().fill_next_token_bitmask(bitmask, row)


def test_other_rows_stay_as_they_are(grammars, vocabulary):
    bitmask = allocate_token_bitmask(3, vocabulary.size)
    grammars[0].matcher().fill_next_token_bitmask(bitmask, row=1)
    assert (bitmask[[0, 2]] == -1).all()
    flat = allocate_token_bitmask(1, vocabulary.size)[0]
    grammars[0].matcher().fill_next_token_bitmask(flat)
    assert np.array_equal(flat, bitmask[1])


def test_a_filled_mask_is_a_copy(grammars, vocabulary):
    matcher = grammars[1].matcher()
    before = mask_of(matcher, vocabulary.size)
    bitmask = allocate_token_bitmask(1, vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask)
    bitmask[:] = 0
    assert mask_of(matcher, vocabulary.size) == before


@pytest.fixture(params=["native", "outlines"])
def gappy(request, make_vocabulary, make_compiler):
    """Without tokens for "b", "z" and the last byte of "é", except as parts of others."""
    vocabulary = make_vocabulary(missing=b"bz\xa9")
    return vocabulary, make_compiler(vocabulary=vocabulary, backend=request.param), request.param


def test_states_without_a_way_out_are_never_entered(gappy):
    """The native backend writes no text with a byte that is not a token by itself."""
    vocabulary, compiler, backend = gappy

    def allowed_texts(matcher):
        mask = mask_of(matcher, vocabulary.size)
        for token_id, is_allowed in enumerate(mask):
            assert matcher.fork().accept_token(token_id) == is_allowed
        return {vocabulary.tokens[i] for i, is_allowed in enumerate(mask) if is_allowed}

    matcher = compiler.compile_regex("a(b|é|cd)y|é+z|abcz|日x").matcher()
    day, is_native = "日".encode(), backend == "native"
    at_first = {b"a", day, day[:1], day[:2]}  # not "é", not "abc"
    assert allowed_texts(matcher) == (at_first if is_native else {*at_first, b"ab"})
    assert matcher.accept_token(vocabulary.tokens.index(b"a"))
    behind = {b"c"}  # not the first byte of "é"
    assert allowed_texts(matcher) == (behind if is_native else {*behind, "é".encode()})
    for pattern in ("[bz]+", "é"):
        if is_native or pattern != "é":  # which is a token
            with pytest.raises(GrammarError, match="cannot spell"):
                compiler.compile_regex(pattern)
