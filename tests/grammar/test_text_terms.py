"""Terms against sets of texts, and what the normal form, emptiness and limits promise."""

import gc
import itertools
from weakref import ref

import pytest
from hypothesis import given, settings
from reference import terms as reference
from reference.terms import built, expressions

from sampler.errors import GrammarLimitError
from sampler.grammar.text import terms
from sampler.grammar.text.derivatives import derivative, matches
from sampler.grammar.text.emptiness import is_empty, shortest_length, texts_of
from sampler.grammar.text.term_kinds import MAX_NESTING
from sampler.grammar.text.terms import TermPool

ALPHABET, LENGTH = "abé", 4
UNIVERSE = sorted(reference.universe(ALPHABET, LENGTH))


@pytest.fixture
def pool():
    return TermPool()


@settings(max_examples=300)
@given(expressions())
def test_derivatives_take_the_texts_of_the_language(expression):
    term = built(TermPool(), expression)
    expected = reference.texts(expression, ALPHABET, LENGTH)
    assert {text for text in UNIVERSE if matches(term, text)} == expected
    for text in expected:
        assert term.shortest <= len(text) <= term.longest


@settings(max_examples=200)
@given(expressions())
def test_emptiness_and_the_shortest_text_are_those_of_the_set(expression):
    pool = TermPool()
    inside = pool.repeat(pool.characters((ord(c), ord(c)) for c in ALPHABET), 0, LENGTH)
    term = built(pool, expression) & inside
    expected = reference.texts(expression, ALPHABET, LENGTH)
    assert is_empty(term) == (not expected)
    if expected:
        assert shortest_length(term) == min(map(len, expected))
    assert sorted(texts_of(term, len(UNIVERSE))) == sorted(expected)


def test_equal_terms_are_the_same_object(pool):
    a, b, c = (pool.literal(letter) for letter in "abc")
    assert (a + b) + c is a + (b + c)
    assert a | b | a is b | a
    assert a & ~b is ~b & a
    assert ~~(a + b) is a + b
    assert a | pool.empty is a
    assert (a & b) is pool.empty
    assert pool.star(pool.star(a)) is pool.star(a)
    assert a + pool.star(a) is pool.repeat(a, 1)
    assert pool.repeat(pool.repeat(a, 0, 3), 0, 5) is pool.repeat(a, 0, 15)
    assert pool.repeat(a, 1, 3) + b | pool.repeat(a, 2, 5) + b is pool.repeat(a, 1, 5) + b
    assert pool.repeat(a | b, 1, 9) & pool.repeat(b | c, 3) is pool.repeat(b, 3, 9)
    assert ~pool.repeat(pool.character, 3) is pool.repeat(pool.character, 0, 2) | pool.epsilon
    assert a | ~a is pool.anything
    assert a + b & ~(a + b) is pool.empty


def test_a_language_with_surrogates_has_only_texts_without(pool):
    assert pool.characters([(0xD800, 0xDFFF)]) is pool.empty
    assert pool.words(["a\ud800", "b"]) is pool.literal("b")
    assert not matches(pool.anything, "\ud800")
    assert not matches(~pool.literal("a"), "\udfff")
    assert matches(~pool.literal("a"), "\ue000\U0010ffff")


def test_a_hundred_thousand_words_are_looked_up_without_being_spread_out(pool):
    words = [f"value-{number:06d}" for number in range(100_000)]
    term = pool.words(words)
    assert matches(term, "value-077777")
    assert not matches(term, "value-07777")
    assert not matches(term, "value-100000")
    assert len(pool) < 20_000
    assert shortest_length(~term & ~pool.epsilon) == 1


class Multiples:
    """Decimal digits of the multiples of `step`."""

    symbols = "0123456789"

    def __init__(self, step):
        self.step_size = step

    def step(self, state, symbol):
        return (max(state, 0) * 10 + int(symbol)) % self.step_size

    def accepts(self, state):
        return state == 0


def test_an_automaton_given_by_code_is_a_language_like_others(pool):
    sevens = pool.automaton(Multiples(7), -1)
    threes = pool.automaton(Multiples(3), -1)
    both = sevens & ~threes & pool.repeat(pool.character, 0, 2)
    expected = [str(n) for n in range(100) if n % 7 == 0 and n % 3]
    padded = [f"0{n}" for n in range(10) if n % 7 == 0 and n % 3]
    assert sorted(texts_of(both, 50)) == sorted(expected + padded)
    assert is_empty(sevens & pool.literal("8"))
    assert shortest_length(sevens & ~pool.characters([(0x30, 0x39)])) == 2


def test_languages_with_more_texts_than_asked_for_are_not_listed(pool):
    a = pool.literal("a")
    assert texts_of(pool.star(a), 100) is None
    assert texts_of(pool.character, 100) is None
    assert texts_of(pool.repeat(a, 0, 3), 3) is None
    assert texts_of(pool.repeat(a, 0, 3), 4) == ["", "a", "aa", "aaa"]
    assert texts_of(pool.empty, 0) == []


def test_counts_are_not_unrolled(pool):
    a = pool.literal("a")
    term = pool.repeat(a, 1, 10**9) + pool.literal("b")
    before = len(pool)
    assert matches(term, "a" * 50 + "b")
    assert len(pool) - before < 500


def test_long_chains_are_walked_without_recursion(pool):
    parts = [pool.optional(pool.literal(letter)) for letter in "ab" * 600]
    term = pool.concat(parts)
    assert matches(term, "ab" * 20)
    assert not matches(term, "c")


def test_deep_terms_are_refused_before_they_overflow_the_stack(pool):
    term = pool.literal("a")
    with pytest.raises(GrammarLimitError, match="nesting") as refusal:
        for letter in itertools.cycle("bc"):
            term = pool.star(term + pool.literal(letter))
    assert refusal.value.limit == MAX_NESTING


def test_the_deepest_terms_can_be_derived(pool):
    term = pool.literal("a")
    for letter in itertools.islice(itertools.cycle("bc"), MAX_NESTING // 2 - 1):
        term = pool.star(term + pool.literal(letter))
    assert matches(term, "")
    assert not matches(term, "d")


def test_a_question_that_takes_too_long_is_a_limit_error(pool):
    a, b = pool.literal("a"), pool.literal("b")
    either = pool.characters([(97, 98)])

    def from_end(term, n):
        return pool.concat((pool.anything, term, pool.repeat(either, n, n)))

    lengths = [pool.star(pool.repeat(either, n, n)) for n in (7, 11, 13, 17)]
    term = pool.intersection([*lengths, pool.repeat(either, 1, 17016), from_end(a | b, 2)])
    with pytest.raises(GrammarLimitError, match="steps"):
        is_empty(term & ~from_end(a, 3))


def test_a_pool_that_has_grown_is_replaced_and_lives_on(monkeypatch):
    monkeypatch.setattr(terms, "_current", TermPool())
    pool = terms.current_pool()
    assert terms.current_pool() is pool
    monkeypatch.setattr(terms, "MAX_POOL", len(pool))
    term = pool.literal("one more")
    assert terms.current_pool() is not pool
    assert derivative(term, ord("o")) is pool.literal("ne more")


def test_terms_that_a_pool_forgets_keep_their_languages(pool):
    term = pool.star(pool.literal("ab") | pool.literal("c")) & ~pool.literal("abc")
    pool.forget()
    assert matches(term, "cab")
    assert not matches(term, "abc")
    again = pool.star(pool.literal("ab") | pool.literal("c")) & ~pool.literal("abc")
    assert again is not term
    assert is_empty(again & ~term)
    assert is_empty(term & ~again)
    assert ~pool.anything is pool.empty


def test_a_term_that_is_kept_does_not_keep_those_of_a_pool_that_has_outgrown(monkeypatch):
    monkeypatch.setattr(terms, "_current", TermPool())
    monkeypatch.setattr(terms, "MAX_POOL", 1000)
    outgrown = terms.current_pool()
    kept = outgrown.literal("kept")
    for _ in range(2):  # also by what it is asked for afterwards
        forgotten = [ref(outgrown.literal(f"word {number}")) for number in range(2000)]
        assert terms.current_pool() is not outgrown
        gc.collect()
        assert not any(term() for term in forgotten)
        assert len(outgrown) < 1000
    assert matches(kept, "kept")
