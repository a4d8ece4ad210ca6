"""Intervals of numbers against the comparison of decimals."""

import itertools
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import GrammarLimitError
from sampler.grammar.outlines.schema_numbers import INTEGER, NUMBER, Bound, integers, numbers


def bounds(places):
    values = st.decimals(-300, 300, places=places) | st.integers(-3, 3).map(Decimal)
    return st.none() | st.builds(Bound, values, st.booleans())


def is_inside(value, low, high):
    above = low is None or value > low.value or (value == low.value and not low.excluded)
    below = high is None or value < high.value or (value == high.value and not high.excluded)
    return above and below


def matches(regex, text):
    return regex is not None and re.fullmatch(regex, text) is not None


@given(low=bounds(1), high=bounds(1))
def test_integers_between_bounds(low, high):
    regex = integers(low, high)
    for value in range(-320, 321):
        assert matches(regex, str(value)) == is_inside(value, low, high)
    for wrong in ("01", "-0", "+1", "1.0", "", "-"):
        assert not matches(regex, wrong)


NEAR = [
    f"{whole}{point}{fraction}"
    for whole in [0, 1, 2, 3, 9, 10, 12, 99, 100, 101, 299, 300, 301]
    for point, fraction in [
        ("", ""),
        *itertools.product(["."], ["0", "00", "01", "5", "49", "990"]),
    ]
]


@given(low=bounds(2), high=bounds(2), digits=st.lists(st.decimals(-300, 300, places=3)))
def test_numbers_between_bounds(low, high, digits):
    regex = numbers(low, high)
    at_bounds = [format(bound.value, "f") for bound in (low, high) if bound is not None]
    texts = [
        *NEAR,
        *(format(d, "f") for d in digits),
        *at_bounds,
        *(t + "0" for t in at_bounds if "." in t),
    ]
    for text in texts:
        text = text.removeprefix("-")
        assert matches(regex, text) == is_inside(Decimal(text), low, high), text
        if Decimal(text) != 0:  # a negative zero is never written
            assert matches(regex, f"-{text}") == is_inside(-Decimal(text), low, high), text
    for wrong in ("01", "+1", ".5", "1.", "1e0", "", "-", "-0", "-0.0", "00.5"):
        assert not matches(regex, wrong)


@pytest.mark.parametrize("text", ["0", "-0", "10", "1.50", "-3.2e+10", "1E-9", "0e0"])
def test_numbers_without_bounds(text):
    assert matches(NUMBER, text)


def test_integers_without_bounds_have_one_spelling():
    assert integers(None, None) == INTEGER
    assert all(matches(INTEGER, str(value)) for value in (0, -1, 10**30))
    assert not any(matches(INTEGER, text) for text in ("-0", "01", "1.0", "1e3"))


def test_large_bounds_are_exact():
    regex = integers(Bound(Decimal(-(2**63))), Bound(Decimal(2**64 - 1)))
    for value in (-(2**63), -(2**63) + 1, 2**64 - 1, 0, 10**19):
        assert matches(regex, str(value)) == (-(2**63) <= value < 2**64)
    assert not matches(regex, str(-(2**63) - 1))
    assert not matches(regex, str(2**64))
    with pytest.raises(GrammarLimitError, match="digits of a bound"):
        Bound(Decimal("1e100"))
