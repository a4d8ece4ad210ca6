"""Automata of languages of texts: their classes, states, promises about lengths, and windows."""

import itertools
import threading
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import terms as reference
from reference.terms import built, expressions

from sampler.errors import GrammarLimitError
from sampler.grammar.engine.program import Spelling
from sampler.grammar.text import dfa as dfa_module
from sampler.grammar.text.derivatives import matches
from sampler.grammar.text.dfa import TextDfa, dfa_of, text_of
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.terms import TermPool

ALPHABET, LENGTH = "abé", 4
UNIVERSE = sorted(reference.universe(ALPHABET, LENGTH))


@pytest.fixture
def pool():
    return TermPool()


def class_of(dfa, character):
    return dfa.class_ids[bisect_right(dfa.class_starts, ord(character)) - 1]


def state_after(dfa, text, state=None):
    state = dfa.start if state is None else state
    for character in text:
        state = dfa.row(state)[class_of(dfa, character)]
    return state


def accepts(text_, text):
    """Whether `text` is one of a `Text`, its window included."""
    maximum = len(text) if text_.max_length < 0 else text_.max_length
    if not text_.min_length <= len(text) <= maximum:
        return False
    return text_.dfa.is_accepting(state_after(text_.dfa, text))


@settings(max_examples=150)
@given(expressions())
def test_an_automaton_accepts_the_texts_of_its_term(expression):
    dfa = TextDfa(built(TermPool(), expression))
    expected = reference.texts(expression, ALPHABET, LENGTH)
    assert {text for text in UNIVERSE if dfa.is_accepting(state_after(dfa, text))} == expected


@settings(max_examples=100)
@given(expressions())
def test_every_state_but_the_dead_one_can_be_completed(expression):
    dfa = TextDfa(built(TermPool(), expression))
    states = {dfa.start} - {0}
    for _ in range(4):
        states |= {state for at in states for state in dfa.row(at)} - {0}
    assert dfa.row(0) == [0] * dfa.class_count
    for state in states:
        level, length = {state}, 0
        while not any(map(dfa.is_accepting, level)):
            level = {following for at in level for following in dfa.row(at)} - {0}
            length += 1
        assert dfa.shortest(state) == length


@settings(max_examples=150)
@given(expressions())
def test_with_any_length_there_is_a_longer_text_for_each(expression):
    dfa = TextDfa(built(TermPool(), expression))
    if dfa.has_any_length:
        for state in {state_after(dfa, text) for text in UNIVERSE} - {0}:
            lengths = {n for n in range(5) if _can_end_after(dfa, state, n)}
            assert lengths == set(range(dfa.shortest(state), 5))


def _can_end_after(dfa, state, length):
    level = {state}
    for _ in range(length):
        level = {following for at in level for following in dfa.row(at)} - {0}
    return any(map(dfa.is_accepting, level))


@settings(max_examples=200)
@given(expressions(), st.integers(0, 3), st.sampled_from([None, 0, 1, 2, 3]))
def test_a_window_of_lengths_leaves_the_texts_inside_of_it(expression, low, high):
    found = text_of(built(TermPool(), expression), Spelling.CANONICAL, low, high)
    expected = {
        text
        for text in reference.texts(expression, ALPHABET, LENGTH)
        if low <= len(text) <= (LENGTH if high is None else high)
    }
    if found is None:
        assert not expected
    else:
        assert {text for text in UNIVERSE if accepts(found, text)} == expected
        assert found.min_length == 0 == found.max_length + 1 or found.dfa.has_any_length


def test_classes_part_all_code_points_and_leave_the_surrogates_out(pool):
    dfa = TextDfa(pool.characters([(0x61, 0x7A), (0xD000, 0xE100)]) | pool.words(["ß", "zz"]))
    assert list(dfa.class_starts) == sorted(set(dfa.class_starts))
    assert dfa.class_starts[0] == 0
    assert set(dfa.class_ids) == set(range(dfa.class_count))
    assert len(dfa.class_starts) == len(dfa.class_ids)
    assert {class_of(dfa, chr(point)) for point in range(0xD800, 0xE000)} == {0}
    for character in "aezß\ud7ff\ue000":
        assert class_of(dfa, character) != 0
        assert state_after(dfa, character) != 0
    assert state_after(dfa, "\ud800") == 0
    assert all(dfa.row(state)[0] == 0 for state in range(3))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", True),
        ("a", True),
        ("a$", True),
        ("^a", False),
        ('^[^"\\\\]*$', True),
        ("^(?s:.)*$", True),
        ("^(?s:.){3,}$", True),
        ("^(?s:.){3,30}$", False),
        ("^.*$", False),  # without line ends, of which U+2028 is written as it is
        ("^(?!abc$)", True),
        ("^(?!abc)", False),
        ("^[a-z]+$", False),
        ("^((?s:.)a?)*$", True),
        ("^[ -~\\u{80}-\\u{10ffff}]*$", False),  # without U+007F
    ],
)
def test_takes_everything_tells_whether_plain_text_can_go_on(pattern, expected, pool):
    dfa = TextDfa(parse_regex(pattern, pool, search=True))
    assert dfa.takes_everything(dfa.start) == expected
    assert not dfa.takes_everything(0)


def test_what_excludes_words_takes_everything(pool):
    for term in (
        pool.anything,
        ~pool.words(["a", "bc"]),
        pool.star(pool.character) & ~pool.epsilon,
    ):
        dfa = TextDfa(term)
        assert dfa.has_any_length
        assert dfa.takes_everything(dfa.start)
        assert dfa.takes_everything(state_after(dfa, "b"))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", True),
        ("^[a-z]+$", True),
        ("^[a-z]*b$", True),
        ("^[a-z]+-[a-z]+$", True),
        ("^[a-z]{3,10}$", False),
        ("^(ab)*$", False),
        ("^a(bb)*c*$", True),
        ("^a(bb)*c?$", False),
        ("^[a-z]+@x$", False),
        ("^(?!abc$)", True),
        ("^(?!.*ab)[abc]+$", True),
    ],
)
def test_has_any_length_tells_whether_windows_can_be_counted_beside(pattern, expected, pool):
    assert TextDfa(parse_regex(pattern, pool, search=True)).has_any_length == expected


def test_a_count_of_characters_becomes_a_window(pool):
    text = text_of(parse_regex("^[a-z]{2,100000}$", pool, True), Spelling.RAW, 5, 1_000_000)
    assert (text.min_length, text.max_length) == (5, 100_000)
    assert text_of(parse_regex("^[a-z]{2,9}$", pool, True), Spelling.RAW, 10, None) is None
    text = text_of(parse_regex("^ab?c$", pool, True), Spelling.RAW, 1, 10)
    assert (text.min_length, text.max_length) == (0, -1)


def test_an_empty_language_has_no_state(pool):
    a = pool.literal("a")
    dfa = TextDfa((a + pool.star(a)) & pool.star(pool.literal("bb")))
    assert dfa.start == 0
    assert not dfa.has_any_length
    assert text_of(pool.empty, Spelling.RAW) is None
    assert text_of(pool.literal("abc"), Spelling.RAW, 0, 2) is None


def test_states_beyond_the_limit_are_a_limit_error(pool, monkeypatch):
    monkeypatch.setattr(dfa_module, "MAX_STATES", 10)
    dfa = TextDfa(pool.repeat(pool.literal("a"), 1, 100))
    with pytest.raises(GrammarLimitError, match="states") as refusal:
        state_after(dfa, "a" * 20)
    assert refusal.value.limit == 10


def test_an_automaton_is_shared_as_long_as_somebody_has_it(pool):
    term = pool.literal("abc")
    dfa = dfa_of(term)
    assert dfa_of(term) is dfa
    assert text_of(term, Spelling.RAW).dfa is dfa


def test_its_memory_grows_with_what_was_derived(pool):
    dfa = TextDfa(pool.repeat(pool.characters([(97, 122)]), 1, 1000))
    before = dfa.nbytes
    state_after(dfa, "a" * 100)
    assert before < 5_000 < dfa.nbytes < 500_000


def test_threads_derive_the_same_states(pool):
    dfa = TextDfa(parse_regex("(a|b)*a(a|b){9}", pool, search=False))
    texts = ["".join(text) + "a" * 10 for text in itertools.product("ab", repeat=8)]
    found = [None] * 4
    barrier = threading.Barrier(4)

    def run(number):
        barrier.wait()
        found[number] = [state_after(dfa, text) for text in texts]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[state_after(dfa, text) for text in texts]] * 4
    term = parse_regex("(a|b)*a(a|b){9}", pool, search=False)
    assert all(dfa.is_accepting(state_after(dfa, t)) == matches(term, t) for t in texts)
