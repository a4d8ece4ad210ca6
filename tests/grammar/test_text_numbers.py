"""Spelled numbers against the arithmetic of fractions."""

import random
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sampler.errors import GrammarLimitError
from sampler.grammar.engine.program import Spelling
from sampler.grammar.text import magnitudes
from sampler.grammar.text.derivatives import matches, row
from sampler.grammar.text.emptiness import is_empty
from sampler.grammar.text.numbers import (
    MAX_DIGITS,
    Bound,
    Numbers,
    common_multiple,
    exact,
    narrowed,
    numbers,
    spelled,
)
from sampler.grammar.text.terms import TermPool

CANONICAL, FREE = Spelling.CANONICAL, Spelling.FREE
POOL = TermPool()
SYNTAX = re.compile(r"-?(0|[1-9][0-9]*)(\.([0-9]+))?([eE]([+-]?)([0-9]+))?")
STEPS = ["1", "3", "7", "11", "12", "100", "256", "0.01", "0.1", "2.5", "0.25", "0.125", "2.4"]


def bound(value, excluded=False):
    return None if value is None else Bound(exact(value), excluded)


def value_of(text):
    """The value of a number; exponents beyond all bounds and digits of these tests are cut."""
    mantissa, _, exponent = text.lower().partition("e")
    return Fraction(Decimal(mantissa)) * Fraction(10) ** max(-999, min(int(exponent or 0), 999))


def is_spelled(text, integer, spelling):
    """Whether `text` is a number in this spelling."""
    form = SYNTAX.fullmatch(text)
    if spelling is CANONICAL and integer:
        return bool(form) and form.group(0).lstrip("-") == form.group(1) and text != "-0"
    return bool(form)


def is_left_out(text, values, integer, spelling):
    """Whether a warning may be about `text`, which is a number."""
    if spelling is CANONICAL and value_of(text) == 0:
        return True  # a negative zero is only written among negative numbers
    if narrowed(values, integer, spelling) is None:
        return False
    _, whole, _, fraction, has_exponent, _, exponent = (SYNTAX.fullmatch(text)[n] for n in range(7))
    if spelling is FREE:
        zeros = re.match("0*", fraction or "")[0]
        return bool(has_exponent) and (len(whole) > 20 or len(zeros) > 20)
    normal = values.step is None and re.fullmatch("[1-9]", whole) and len(exponent or "") <= 3
    return bool(has_exponent) and not normal


def values():
    small = st.builds(
        lambda digits, places: Fraction(digits, 10**places),
        st.integers(-2000, 2000),
        st.integers(0, 5),
    )
    large = st.builds(
        lambda digits, zeros: digits * Fraction(10) ** zeros, small, st.integers(4, 12)
    )
    return small | large


def bounds():
    return st.none() | st.builds(Bound, values(), st.booleans())


def sets_of_numbers():
    steps = st.none() | st.sampled_from(STEPS).map(exact)
    return st.builds(Numbers, bounds(), bounds(), steps)


def spellings_of(value, choice):
    """`value` with zeros at its end and an exponent, by chance."""
    places = 0
    while (value * 10**places).denominator > 1:
        places += 1
    digits = str(abs(value) * 10**places)
    shift = choice.choice([0, 0, choice.randrange(-4, 5)])
    digits += "0" * max(0, -places - shift)
    behind = max(0, places + shift)
    digits = digits.zfill(behind + 1)
    fraction = digits[len(digits) - behind :] + choice.choice(["", "0", "000"])
    exponent = f"{choice.choice('eE')}{choice.choice(['+', '']) if shift >= 0 else '-'}"
    exponent += choice.choice(["", "0", "00"]) + str(abs(shift))
    return "".join(
        [
            "-" if value < 0 else "",
            digits[: len(digits) - behind],
            f".{fraction}" if fraction else "",
            exponent if shift or choice.random() < 0.2 else "",
        ]
    )


def texts_near(numbers_, choice):
    """Numbers at the bounds and at multiples of the step, and texts that are nearly such."""
    ends = [end.value for end in (numbers_.minimum, numbers_.maximum) if end is not None]
    for _ in range(40):
        value = choice.choice([*ends, Fraction(0), Fraction(1)])
        if numbers_.step is not None and choice.random() < 0.8:
            value = (value // numbers_.step + choice.randrange(-3, 4)) * numbers_.step
        if choice.random() < 0.4:
            value += Fraction(choice.randrange(-5, 6), 10 ** choice.randrange(0, 6))
        text = spellings_of(value, choice)
        yield text
        at = choice.randrange(len(text))
        yield text[:at] + choice.choice("0123456789.e+-") + text[at + choice.randrange(2) :]


@settings(max_examples=150, deadline=None)
@given(sets_of_numbers(), st.booleans(), st.sampled_from([CANONICAL, FREE]), st.integers(0, 99))
@example(Numbers(bound("0.01538", True)), False, CANONICAL, 0)
@example(Numbers(bound("408744000000"), None, Fraction(100)), False, FREE, 0)
def test_the_numbers_of_a_set_are_spelled_and_no_others(values, integer, spelling, seed):
    term = spelled(POOL, values, integer, spelling)
    meant = values & Numbers(step=Fraction(1)) if integer else values
    assert (term is POOL.empty) == meant.is_empty()
    for text in texts_near(values, random.Random(seed)):
        expected = is_spelled(text, integer, spelling) and value_of(text) in meant
        if matches(term, text) != expected:
            assert expected, text
            assert is_left_out(text, meant, integer, spelling), text


@pytest.mark.parametrize("spelling", [CANONICAL, FREE])
def test_zero_is_spelled_where_it_is_in(spelling):
    for low, high in [(0, 5), (-5, 0), (-5, 5), (0, None), (None, 0), (0, 0)]:
        term = numbers(
            POOL, integer=False, minimum=bound(low), maximum=bound(high), spelling=spelling
        )
        assert matches(term, "0")
        assert matches(term, "0.00")
        assert matches(term, "-0.0") == (spelling is FREE or low is None or low < 0)
        assert not matches(term, "00")


def followers(term):
    partition, targets = row(term)
    for number, first in enumerate(partition.firsts):
        if targets[number] is not term.pool.empty:
            yield chr(first), targets[number]


def can_be_completed(term):
    seen, pending = {term}, [term]
    while pending and len(seen) < 5000:
        at = pending.pop(0)
        if at.nullable:
            return True
        for _, target in followers(at):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return False


@settings(max_examples=80, deadline=None)
@given(sets_of_numbers(), st.booleans(), st.sampled_from([CANONICAL, FREE]), st.integers(0, 99))
def test_whatever_is_begun_can_be_completed_to_a_number_of_the_set(values, integer, spelling, seed):
    meant = values & Numbers(step=Fraction(1)) if integer else values
    choice, term, text = random.Random(seed), spelled(POOL, values, integer, spelling), ""
    if term is POOL.empty:
        return
    for _ in range(choice.choice([3, 10, 40])):
        following = list(followers(term))
        if not following or (term.nullable and choice.random() < 0.2):
            break
        symbol, term = choice.choice(following)
        text += symbol
    assert not is_empty(term)
    assert can_be_completed(term), text
    if term.nullable:
        assert value_of(text) in meant


@pytest.mark.parametrize("spelling", [CANONICAL, FREE])
def test_numbers_without_bounds_have_every_spelling_of_json(spelling):
    term = numbers(POOL, integer=False, spelling=spelling)
    for text in ["0", "-0", "10", "1.50", "-3.2e+10", "1E-9", "0e0", "12e3456", "-0.0e-0"]:
        assert matches(term, text), text
    for text in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1e1.5", "0x1", "1 ", "1_0", "٣"]:
        assert not matches(term, text), text
    assert narrowed(Numbers(), False, spelling) is None


def test_integers_have_one_canonical_spelling_and_many_free_ones():
    canonical = numbers(POOL, integer=True)
    free = numbers(POOL, integer=True, spelling=FREE)
    for text in ["0", "-1", "10", "9" * 40]:
        assert matches(canonical, text)
        assert matches(free, text)
    for text in ["-0", "5.0", "1e2", "1.5e1", "50e-1", "120.00e-001", "0.0", "0e-7", "-2E+3"]:
        assert not matches(canonical, text)
        assert matches(free, text), text
    for text in ["5.1", "1e-1", "15e-1", "1.55e1", "00", "0.01e1"]:
        assert not matches(canonical, text)
        assert not matches(free, text), text


def test_exponents_count_against_bounds():
    term = numbers(POOL, integer=False, minimum=bound(0), maximum=bound(100), spelling=FREE)
    for text in ["1e2", "100.0e0", "0.001e5", "1000e-1", "1E+00002", "-0", "0e99", "99999e-3"]:
        assert matches(term, text), text
    for text in ["1e3", "1.01e2", "101e0", "1001e-1", "-1e-9", "1e0003"]:
        assert not matches(term, text), text
    rate = numbers(POOL, integer=False, minimum=bound(0, True), maximum=bound(1.0))
    for text in ["5e-05", "1.5e-7", "1e0", "1", "1.000", "0.3", "9e-324"]:
        assert matches(rate, text), text
    for text in ["5e05", "0", "0.0", "0e1", "1.01", "-1", "2", "1.1e0"]:
        assert not matches(rate, text), text


@pytest.mark.parametrize(
    ("step", "multiples", "others"),
    [
        ("0.01", ["19.99", "0.1", "7", "0.290", "-1.10", "0"], ["0.001", "19.999", "1.005"]),
        ("2.5", ["0", "2.5", "-7.5", "10.00", "12.50"], ["1", "2.4", "7.55", "3"]),
        ("3", ["0", "3", "-12", "111111111", "6.0"], ["1", "3.1", "-4", "1111111111"]),
        ("1e-20", ["0.00000000000000000001", "1"], ["0.000000000000000000001"]),
        ("1e20", ["0", "700000000000000000000"], ["10", "7000000000000000000"]),
    ],
)
def test_multiples_of_a_decimal(step, multiples, others):
    term = numbers(POOL, integer=False, multiple_of=exact(step))
    for text in multiples:
        assert matches(term, text), text
    for text in others:
        assert not matches(term, text), text


def test_multiples_with_an_exponent():
    tens = numbers(POOL, integer=False, multiple_of=exact(250), spelling=FREE)
    assert all(
        matches(tens, text) for text in ["1e3", "2.5e2", "25000e-1", "0e5", "0.5e3", "-75e1"]
    )
    assert not any(matches(tens, text) for text in ["1e2", "2.5e1", "25e0", "2.51e2", "3e-9"])


def test_a_number_alone_in_all_its_spellings():
    five = Bound(Fraction(5))
    term = numbers(POOL, integer=False, minimum=five, maximum=five, spelling=FREE)
    assert all(matches(term, text) for text in ["5", "5.0", "50e-1", "0.5e1", "0.0005E+4"])
    assert not any(matches(term, text) for text in ["-5", "5.01", "05", "5e1", "50e1", "50"])
    zero = Bound(Fraction(0))
    term = numbers(POOL, integer=False, minimum=zero, maximum=zero, spelling=FREE)
    assert all(matches(term, text) for text in ["0", "-0", "0.00", "0e7", "-0.0e-7"])
    assert not any(matches(term, text) for text in ["1", "0.01", "-1e-9", "00"])


def test_no_digit_is_taken_between_multiples_that_are_far_apart():
    term = numbers(
        POOL,
        integer=True,
        minimum=bound(10**12),
        maximum=bound(10**12 + 86_400_000),
        multiple_of=Fraction(86_400_000),
    )
    first = -(-(10**12) // 86_400_000) * 86_400_000
    for symbol in str(first):
        assert [follower for follower, _ in followers(term)] == [symbol]
        term = dict(followers(term))[symbol]
    assert term.nullable
    assert not list(followers(term))


@pytest.mark.parametrize(
    "empty",
    [
        {"minimum": bound(3), "maximum": bound(2)},
        {"minimum": bound(3, True), "maximum": bound(3)},
        {"minimum": bound(1.2), "maximum": bound(1.8), "integer": True},
        {"minimum": bound(8), "maximum": bound(13), "multiple_of": Fraction(7), "integer": True},
        {"minimum": bound(0, True), "maximum": bound(7, True), "multiple_of": Fraction(7)},
    ],
)
@pytest.mark.parametrize("spelling", [CANONICAL, FREE])
def test_sets_without_numbers_are_the_empty_language(empty, spelling):
    assert numbers(POOL, **{"integer": False, **empty}, spelling=spelling) is POOL.empty


def test_bounds_as_large_as_floats_are():
    largest, least = 1.7976931348623157e308, 5e-324
    term = numbers(POOL, integer=False, minimum=bound(least), maximum=bound(largest))
    for text in ["1.7976931348623157e308", "5e-324", "1", "1e308"]:
        assert matches(term, text), text
    for text in ["1.7976931348623158e308", "4e-324", "1e309", "0"]:
        assert not matches(term, text), text
    whole = numbers(POOL, integer=True, minimum=bound(-(2**63)), maximum=bound(2**64 - 1))
    for value in (-(2**63), -(2**63) + 1, 2**64 - 1, 0, 10**19):
        assert matches(whole, str(value))
    assert not matches(whole, str(-(2**63) - 1))
    assert not matches(whole, str(2**64))


@pytest.mark.parametrize("text", ["1e1100", "1e999999999999", "1e-1101", "-1" + "0" * MAX_DIGITS])
def test_numbers_of_too_many_digits_are_refused(text):
    with pytest.raises(GrammarLimitError, match="digits of a number"):
        exact(text)


def test_numbers_are_read_as_they_are_written():
    assert exact(0.1) == Fraction(1, 10)
    assert exact("1e-2") == exact(Decimal("0.01")) == Fraction(1, 100)
    assert exact(2**70) == 2**70
    assert exact(1e22) == 10**22
    assert exact("0") == exact(-0.0) == 0


@given(sets_of_numbers(), sets_of_numbers(), values())
def test_what_two_sets_share_is_the_set_of_both_demands(one, other, value):
    assert (value in (one & other)) == (value in one and value in other)
    assert (value in one.mirrored()) == (-value in one)
    assert (value in one.aligned()) == (value in one)
    if value in one:
        assert not one.is_empty()


def test_common_multiples():
    assert common_multiple(exact("0.4"), exact("0.6")) == exact("1.2")
    assert common_multiple(exact("2.5"), Fraction(1)) == 5
    assert common_multiple(None, Fraction(7)) == common_multiple(Fraction(7), None) == 7
    assert common_multiple(None, None) is None


def test_equal_sets_are_the_same_term():
    first = numbers(POOL, integer=False, minimum=bound("1.50"), maximum=bound(7))
    assert numbers(POOL, integer=False, minimum=bound(1.5), maximum=bound("7.0")) is first


def test_warnings_say_which_spellings_are_left_out():
    percent = Numbers(bound(0), bound(100))
    assert narrowed(percent, True, CANONICAL) is None
    assert "one digit" in narrowed(percent, False, CANONICAL)
    assert "20 digits" in narrowed(percent, True, FREE)
    assert narrowed(Numbers(bound(0)), False, FREE) is None
    assert narrowed(Numbers(step=Fraction(7)), False, CANONICAL) == "no exponents"


def test_an_automaton_that_forgets_its_states_finds_the_same_ones(monkeypatch):
    monkeypatch.setattr(magnitudes, "_MOST_KNOWN", 50)
    syntax = magnitudes.Syntax(fraction=True)
    machine = magnitudes.Magnitudes(None, None, magnitudes.Step(97, 1), syntax)
    for number in range(3000):
        state = machine.start
        for symbol in f"{number}.4":
            state = machine.step(state, symbol) if state is not None else None
        expected = (10 * number + 4) % 97 == 0
        assert (state is not None and machine.accepts(state)) == expected, number
        assert len(machine._known) <= 50
