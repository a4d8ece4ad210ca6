"""Numbers between bounds as regular expressions over their decimal digits.

Numbers without bounds may have an exponent, of at most two digits, because readers fail at what
does not fit their numbers; with bounds they are written without one, so that digits can be compared
from left to right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sampler.errors import GrammarLimitError
from sampler.grammar.outlines.pattern_regex import any_of

INTEGER = "(?:0|-?[1-9][0-9]*)"
NUMBER = "-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"
MAX_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of an interval; `excluded` when the end itself is no part of it."""

    value: Decimal
    excluded: bool = False

    def __post_init__(self) -> None:
        digits = len(f"{abs(self.value):f}")
        if digits > MAX_DIGITS:
            raise GrammarLimitError("digits of a bound", digits, MAX_DIGITS)


def integers(low: Bound | None, high: Bound | None) -> str | None:
    """The integers from `low` to `high` (None: without end), or None if there are none."""
    if low is None and high is None:
        return INTEGER
    least, most = _first_integer(low), _last_integer(high)
    if least is not None and most is not None and least > most:
        return None
    options = []
    if least is None or least < 0:
        nearest = 1 if most is None or most >= 0 else -most
        options.append(_signed(_naturals(nearest, None if least is None else -least)))
    if most is None or most >= 0:
        options.append(_naturals(max(least or 0, 0), most))
    return any_of(options)


def numbers(low: Bound | None, high: Bound | None) -> str | None:
    """The decimal numbers from `low` to `high` (None: without end), or None if there are none."""
    zero = Decimal(0)
    options = []
    if low is None or low.value < 0:
        nearest = Bound(zero, excluded=True)
        if high is not None and high.value <= 0:
            nearest = Bound(-high.value, high.excluded or high.value == 0)
        farthest = None if low is None else Bound(-low.value, low.excluded)
        options.append(_signed(_magnitudes(nearest, farthest)))
    if high is None or high.value >= 0:
        nearest = low if low is not None and low.value >= 0 else Bound(zero)
        options.append(_magnitudes(nearest, high))
    return any_of(options)


def _signed(magnitude: str | None) -> str | None:
    return None if magnitude is None else f"-{magnitude}"


def _first_integer(low: Bound | None) -> int | None:
    if low is None:
        return None
    floor = int(low.value.to_integral_value("ROUND_FLOOR"))
    return floor if floor == low.value and not low.excluded else floor + 1


def _last_integer(high: Bound | None) -> int | None:
    if high is None:
        return None
    ceiling = int(high.value.to_integral_value("ROUND_CEILING"))
    return ceiling if ceiling == high.value and not high.excluded else ceiling - 1


def _naturals(low: int, high: int | None) -> str | None:
    """The integers from `low` >= 0 to `high`, without leading zeros."""
    if high is not None and low > high:
        return None
    longest = len(str(low)) if high is None else len(str(high))
    options: list[str] = []
    for length in range(len(str(low)), longest + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = 10**length - 1 if high is None else min(high, 10**length - 1)
        options.extend(_same_length(str(first), str(last)))
    if high is None:
        options.append(f"[1-9][0-9]{{{longest},}}")
    return any_of(options)


def _same_length(first: str, last: str) -> Iterator[str]:
    """The digit strings from `first` to `last`, which have the same length."""
    if first == last:
        yield first
        return
    rest = len(first) - 1
    if set(first) == {"0"} and set(last) == {"9"}:
        yield "[0-9]" if rest == 0 else f"[0-9]{{{len(first)}}}"
        return
    low, high = first[0], last[0]
    if low == high:
        yield from (low + tail for tail in _same_length(first[1:], last[1:]))
        return
    if rest == 0:
        yield f"[{low}-{high}]"
        return
    yield from (low + tail for tail in _same_length(first[1:], "9" * rest))
    if int(low) + 1 < int(high):
        yield f"[{int(low) + 1}-{int(high) - 1}][0-9]{{{rest}}}"
    yield from (high + tail for tail in _same_length("0" * rest, last[1:]))


def _magnitudes(low: Bound, high: Bound | None) -> str | None:
    """The decimal numbers from `low` >= 0 to `high`, without a sign."""
    if high is not None and low.value > high.value:
        return None
    whole, fraction = _parts(low.value)
    if high is None:
        above = _naturals(whole + 1, None)
        least = _with_fraction(whole, fraction == "" and not low.excluded, _least(low))
        return any_of([least, f"{above}(?:\\.[0-9]+)?"])
    top, top_fraction = _parts(high.value)
    if whole == top:
        exact = fraction == "" and not low.excluded
        exact = exact and (top_fraction != "" or not high.excluded)
        between = _between(fraction, low.excluded, top_fraction, high.excluded)
        return _with_fraction(whole, exact, between)
    inner = _naturals(whole + 1, top - 1)
    return any_of(
        [
            _with_fraction(whole, fraction == "" and not low.excluded, _least(low)),
            None if inner is None else f"{inner}(?:\\.[0-9]+)?",
            _with_fraction(
                top,
                top_fraction != "" or not high.excluded,
                _at_most(top_fraction, high.excluded),
            ),
        ]
    )


def _parts(value: Decimal) -> tuple[int, str]:
    """The integer part and the digits of the fraction, without zeros at the end."""
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _least(low: Bound) -> str:
    return _at_least(_parts(low.value)[1], low.excluded)


def _with_fraction(whole: int, alone: bool, fraction: str | None) -> str | None:
    """`whole` by itself if `alone`, or with a `fraction`."""
    if fraction is None:
        return f"{whole}" if alone else None
    return f"{whole}(?:\\.{fraction})?" if alone else f"{whole}\\.{fraction}"


# The three functions below are about digits after the point. They give the digit strings of at
# least one digit; a string that ends early goes on with zeros.


def _at_least(bound: str, excluded: bool) -> str:
    if bound == "":
        return "0*[1-9][0-9]*" if excluded else "[0-9]+"
    digit, rest = bound[0], bound[1:]
    same = "[0-9]*" if rest == "" and not excluded else _at_least(rest, excluded)
    above = f"[{int(digit) + 1}-9][0-9]*" if digit != "9" else None
    return any_of([f"{digit}{same}", above]) or ""


def _at_most(bound: str, excluded: bool) -> str | None:
    if bound == "":
        return None if excluded else "0+"
    digit, rest = bound[0], bound[1:]
    below = f"[0-{int(digit) - 1}][0-9]*" if digit != "0" else None
    return any_of([below, _then(digit, rest != "" or not excluded, _at_most(rest, excluded))])


def _between(low: str, low_excluded: bool, high: str, high_excluded: bool) -> str | None:
    if low == high == "":
        return None if low_excluded or high_excluded else "0+"
    first, last = low[:1] or "0", high[:1] or "0"
    low, high = low[1:], high[1:]
    may_end_low = low == "" and not low_excluded
    may_end_high = high != "" or not high_excluded
    if first == last:
        inner = _between(low, low_excluded, high, high_excluded)
        return _then(first, may_end_low and may_end_high, inner)
    if first > last:
        return None
    middle = None
    if int(first) + 1 < int(last):
        middle = f"[{int(first) + 1}-{int(last) - 1}][0-9]*"
    from_first = "[0-9]*" if may_end_low else _at_least(low, low_excluded)
    return any_of(
        [
            f"{first}{from_first}",
            middle,
            _then(last, may_end_high, _at_most(high, high_excluded)),
        ]
    )


def _then(digit: str, may_end: bool, rest: str | None) -> str | None:
    if rest is None:
        return digit if may_end else None
    return f"{digit}(?:{rest})?" if may_end else f"{digit}{rest}"
