"""The spelled numbers of JSON between bounds, and the multiples of a step among them.

A number is a sign and a magnitude. Magnitudes between bounds are an automaton of their own, so that
exponents and steps come out exactly; the usual half lines are plain terms.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from sampler.errors import GrammarLimitError
from sampler.grammar.engine.program import Spelling
from sampler.grammar.text.magnitudes import ABOVE_ZERO, Edge, Magnitudes, Step, Syntax
from sampler.grammar.text.parts import Parts
from sampler.grammar.text.terms import Term, TermPool

MAX_DIGITS = 1100  # of a bound or a step; the least and the greatest float64 fit

_WHOLE = Syntax(fraction=False)
_DECIMAL = Syntax(fraction=True)
_SCIENTIFIC = Syntax(True, least_scale=1, greatest_scale=1, most_places=17, exponent_digits=3)
_FREE = Syntax(True, least_scale=-20, greatest_scale=20)


def exact(number: int | float | Decimal | str) -> Fraction:
    """The value of a JSON number as it is written; a float counts as its shortest spelling.

    Raises
    ------
    GrammarLimitError : it has more than `MAX_DIGITS` digits when written without an exponent
    """
    value = Decimal(repr(number) if isinstance(number, float) else number)
    places = -int(value.as_tuple().exponent)
    digits = max(value.adjusted() + 1, 1) + max(places, 0)
    if digits > MAX_DIGITS:
        raise GrammarLimitError("digits of a number in the schema", digits, MAX_DIGITS)
    return Fraction(value)


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of an interval; `excluded` when the end itself is no part of it."""

    value: Fraction
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    """The decimal numbers from `minimum` to `maximum` that are multiples of `step`.

    None stands for no end, and for no step.
    """

    minimum: Bound | None = None
    maximum: Bound | None = None
    step: Fraction | None = None

    def __contains__(self, value: Fraction) -> bool:
        low, high = self.minimum, self.maximum
        above = low is None or value > low.value or (value == low.value and not low.excluded)
        below = high is None or value < high.value or (value == high.value and not high.excluded)
        return above and below and (self.step is None or (value / self.step).denominator == 1)

    def __and__(self, other: "Numbers") -> "Numbers":
        """The numbers of both."""
        lows = [bound for bound in (self.minimum, other.minimum) if bound is not None]
        highs = [bound for bound in (self.maximum, other.maximum) if bound is not None]
        return Numbers(
            max(lows, key=lambda bound: (bound.value, bound.excluded), default=None),
            min(highs, key=lambda bound: (bound.value, not bound.excluded), default=None),
            common_multiple(self.step, other.step),
        )

    def is_empty(self) -> bool:
        """Whether there is no such number."""
        aligned = self.aligned()
        low, high = aligned.minimum, aligned.maximum
        if low is None or high is None or low.value < high.value:
            return False
        return low.value > high.value or low.excluded or high.excluded

    def aligned(self) -> "Numbers":
        """The same numbers; with a step, their bounds are such numbers themselves."""
        if self.step is None:
            return self
        low, high = self.minimum, self.maximum
        if low is not None:
            count = math.ceil(low.value / self.step)
            count += low.excluded and count * self.step == low.value
            low = Bound(count * self.step)
        if high is not None:
            count = math.floor(high.value / self.step)
            count -= high.excluded and count * self.step == high.value
            high = Bound(count * self.step)
        return Numbers(low, high, self.step)

    def mirrored(self) -> "Numbers":
        """The same numbers with the other sign."""
        low, high = self.minimum, self.maximum
        return Numbers(
            None if high is None else Bound(-high.value, high.excluded),
            None if low is None else Bound(-low.value, low.excluded),
            self.step,
        )


_NOT_NEGATIVE = Numbers(minimum=Bound(Fraction(0)))
_POSITIVE = Numbers(minimum=Bound(Fraction(0), excluded=True))
_INTEGERS = Numbers(step=Fraction(1))
_ONE = Bound(Fraction(1))


def common_multiple(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    """The step whose multiples are those that `one` and `other` share; None is no step."""
    if one is None or other is None:
        return one if other is None else other
    denominator = math.lcm(one.denominator, other.denominator)
    return Fraction(math.lcm(int(one * denominator), int(other * denominator)), denominator)


def numbers(
    pool: TermPool,
    *,
    integer: bool,
    minimum: Bound | None = None,
    maximum: Bound | None = None,
    multiple_of: Fraction | None = None,
    spelling: Spelling = Spelling.CANONICAL,
) -> Term:
    """The spellings of the numbers between the bounds; `pool.empty` if there are none.

    Parameters
    ----------
    pool : where the term is made
    integer : only numbers without a fractional part; in canonical spelling without a point, too
    minimum, maximum : the bounds; None is none
    multiple_of : > 0 and a decimal number; None is no step
    spelling : CANONICAL or FREE

    Raises
    ------
    ValueError : a bound or step that no decimal number is equal to, such as 1/3
    """
    values = Numbers(minimum, maximum, multiple_of)
    key = (numbers, values, integer, spelling)
    return pool.interned(key, lambda: spelled(pool, values, integer, spelling))


def spelled(pool: TermPool, values: Numbers, integer: bool, spelling: Spelling) -> Term:
    """The spellings of `values`, or of the integers among them."""
    values = values & _INTEGERS if integer else values
    free = spelling is Spelling.FREE
    syntax = _FREE if free else _canonical(values, integer)
    parts = Parts(pool)
    below = values.mirrored() & _NOT_NEGATIVE
    if not free and (integer or (below & _POSITIVE).is_empty()):
        below = below & _POSITIVE  # a negative zero is not written there
    negative = _magnitudes(parts, below, syntax)
    positive = _magnitudes(parts, values & _NOT_NEGATIVE, syntax)
    return parts.either(positive, parts.sequence("-", negative))


def narrowed(values: Numbers, integer: bool, spelling: Spelling) -> str | None:
    """Which spellings of `values` are left out, as a part of a warning; None if none are."""
    values = values & _INTEGERS if integer else values
    ends = [bound for bound in (values.minimum, values.maximum) if bound is not None]
    if values.step is None and all(bound == Bound(Fraction(0)) for bound in ends):
        return None
    if spelling is Spelling.FREE:
        return f"no exponents after {_FREE.greatest_scale} digits, or zeros behind the point"
    syntax = _canonical(values, integer)
    if syntax is _WHOLE:
        return None
    return "no exponents" if syntax is _DECIMAL else "exponents only behind one digit from 1 to 9"


def _canonical(values: Numbers, integer: bool) -> Syntax:
    if integer:
        return _WHOLE
    return _SCIENTIFIC if values.step is None else _DECIMAL


def _magnitudes(parts: Parts, values: Numbers, syntax: Syntax) -> Term:
    """The spellings without a sign of `values`, none of which is negative."""
    values = values.aligned()
    if values.is_empty():
        return parts.pool.empty
    low, high = values.minimum, values.maximum
    has_zero = low is None or Fraction(0) in values
    if high is not None and high.value == 0:
        return _zero(parts, syntax)
    if high is None and values.step is None and has_zero:
        return parts.sequence(_natural(parts, True), _fraction(parts, "0-9"), _exponent(parts))
    if high is None and syntax is _WHOLE and values.step == 1 and (has_zero or low == _ONE):
        return _natural(parts, has_zero)
    machine = _machine(
        None if low is None or has_zero else _edge(low),
        None if high is None else _edge(high),
        None if values.step is None else Step(*_scaled(values.step)),
        syntax,
    )
    return parts.pool.automaton(machine, machine.start)


_machine = lru_cache(maxsize=512)(Magnitudes)  # equal automata are the same one in the terms


def _zero(parts: Parts, syntax: Syntax) -> Term:
    fraction = _fraction(parts, "0") if syntax.fraction else ""
    has_exponent = syntax is _FREE or syntax is _SCIENTIFIC
    return parts.sequence("0", fraction, _exponent(parts) if has_exponent else "")


def _natural(parts: Parts, has_zero: bool) -> Term:
    natural = parts.sequence(parts.one_of("1-9"), parts.repeat(parts.one_of("0-9")))
    return parts.either("0", natural) if has_zero else natural


def _fraction(parts: Parts, digits: str) -> Term:
    return parts.optional(".", parts.repeat(parts.one_of(digits), 1))


def _exponent(parts: Parts) -> Term:
    sign = parts.optional(parts.one_of("+-"))
    return parts.optional(parts.one_of("Ee"), sign, parts.repeat(parts.one_of("0-9"), 1))


def _edge(bound: Bound) -> Edge:
    """A bound >= 0 as its digits."""
    if bound.value == 0:
        return ABOVE_ZERO
    digits, places = _scaled(bound.value)
    text = str(digits)
    return Edge(tuple(map(int, text.rstrip("0"))), len(text) - places, bound.excluded)


def _scaled(value: Fraction) -> tuple[int, int]:
    """The integer and the least `places` with ``value == integer / 10**places``."""
    places, denominator = 0, value.denominator
    while denominator > 1:
        shrunk = denominator // math.gcd(denominator, 10)
        if shrunk == denominator:
            raise ValueError(f"must be a decimal number. Given: {value}")
        denominator, places = shrunk, places + 1
    return value.numerator * 10**places // value.denominator, places
