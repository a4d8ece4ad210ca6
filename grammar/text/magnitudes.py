"""Numbers without a sign between bounds, digit by digit: an automaton over their spelling.

A number that is not zero is ``0.d1d2d3... * 10**scale`` with ``d1`` > 0, so two of them compare by
their scales, then digit by digit. The automaton keeps the scale and, for each bound, how the digits
compare so far; an exponent then only has to be an integer between two others. Multiples of a step
are told by the remainder of the digits without the zeros at their end.

Every state that a symbol leads to can be completed. Where that is not plain, as between two
multiples of a step, the digits that are still possible are looked at as an interval.

Rejected design: a regular expression of the interval. It has no steps, and an exponent moves the
point after the digits have been read.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sampler.grammar.text.exponents import Exponent, is_between

# What has been read. The digits are all zero before INTEGER.
START, ZERO, ZERO_POINT, ZERO_FRACTION, INTEGER, POINT, FRACTION = range(7)
# How the digits compare with those of a bound: the number of equal ones, or one of these.
LESS, GREATER = -1, -2


@dataclass(frozen=True, slots=True)
class Edge:
    """A bound ``0.digits * 10**scale``; that of zero has no digits and a scale below all others."""

    digits: tuple[int, ...]
    scale: int
    excluded: bool = False


ABOVE_ZERO = Edge((), -(10**9), excluded=True)


@dataclass(frozen=True, slots=True)
class Step:
    """The number ``units / 10**places``."""

    units: int
    places: int


@dataclass(frozen=True, slots=True)
class Syntax:
    """How numbers are spelled.

    Attributes
    ----------
    fraction : whether they may have a point
    least_scale, greatest_scale : the scales of digits that an exponent may follow
    most_places : the digits of a fraction that lies outside of the bounds without an exponent
    exponent_digits : the digits of an exponent; None is any number of them, also above
    """

    fraction: bool
    least_scale: int = 1
    greatest_scale: int = 0
    most_places: int | None = None
    exponent_digits: int | None = None


class Mantissa(NamedTuple):
    """What matters of the digits read.

    `low` and `high` say how they compare with the bounds. With a step, `remainder` is of the digits
    without the zeros at the end, of which there are `zeros`, and `places` digits follow the point.
    """

    phase: int
    scale: int
    low: int
    high: int
    remainder: int = 0
    zeros: int = 0
    places: int = 0


State = Mantissa | Exponent
_UNKNOWN = Mantissa(-1, 0, 0, 0)
_MOST_KNOWN = 2048


class Magnitudes:
    """The automaton of the numbers >= 0 from `low` to `high` that are multiples of `step`.

    Some such number is above zero. `low` is None when zero is one of them, `high` is None when
    there is no end. With a step, both are multiples of it and not excluded.
    """

    symbols = "+-.0123456789Ee"

    def __init__(
        self, low: Edge | None, high: Edge | None, step: Step | None, syntax: Syntax
    ) -> None:
        self._low, self._high, self._step, self._syntax = low, high, step, syntax
        self._units, self._step_places = (step.units, step.places) if step else (1, 0)
        scales = [edge.scale for edge in (low, high) if edge is not None and edge.digits]
        self._greatest_scale = max([*scales, syntax.greatest_scale]) + 1
        self._least_scale = min([*scales, syntax.least_scale, -self._step_places]) - 1
        self._known: dict[Mantissa, Mantissa | None] = {}  # most digits lead to the same state
        self._inner_scale = self._scale_far_inside()
        self._most_places = syntax.most_places
        if step is not None:  # room to spell out a bound wherever an exponent may follow
            digits = len(low.digits) if low is not None else 0
            self._most_places = step.places + digits - self._least_scale

    @property
    def start(self) -> State:
        """The state before the first digit."""
        return Mantissa(START, 0, 0, 0)

    def step(self, state: Any, symbol: str) -> State | None:
        """The next state, or None where no number goes on with `symbol`."""
        if isinstance(state, Exponent):
            return state.after(symbol)
        if symbol in "eE":
            return self._mark(state)
        if symbol == ".":
            point = {ZERO: ZERO_POINT, INTEGER: POINT}.get(state.phase)
            if point is None or not self._syntax.fraction:
                return None
            return self._checked(state._replace(phase=point))
        if symbol in "+-" or state.phase == ZERO:
            return None
        return self._checked(self._after_digit(state, int(symbol)))

    def accepts(self, state: Any) -> bool:
        """Whether a number may end here."""
        if isinstance(state, Exponent):
            return state.is_complete()
        if state.phase in (ZERO, ZERO_FRACTION):
            return self._low is None
        if state.phase not in (INTEGER, FRACTION) or not self._is_multiple(state):
            return False
        return is_between(state.scale, *self._scales(state))

    # How digits change the state.

    def _after_digit(self, state: Mantissa, digit: int) -> Mantissa | None:
        phase, scale, low, high, remainder, zeros, places = state
        if digit == 0 and phase == START:
            return state._replace(phase=ZERO)
        if digit == 0 and phase in (ZERO_POINT, ZERO_FRACTION):
            scale = max(scale - 1, self._least_scale)
            places = -scale if self._step is not None else 0
            return state._replace(phase=ZERO_FRACTION, scale=scale, places=places)
        low, high = _compared(low, digit, self._low), _compared(high, digit, self._high)
        if phase in (START, INTEGER):
            phase, scale = INTEGER, min(scale + 1, self._greatest_scale)
        else:
            phase, places = FRACTION, places + 1
        after = Mantissa(phase, scale, low, high, remainder, zeros, places)
        return after if self._step is None else self._counted(state, after, digit)

    def _counted(self, before: Mantissa, after: Mantissa, digit: int) -> Mantissa | None:
        """`after` with the remainder, the zeros and the places of its digits."""
        takes_exponent = self._takes_exponent(after)
        if takes_exponent and digit == 0:
            return after._replace(zeros=before.zeros + 1)
        if not takes_exponent and after.places > self._step_places:
            # All that may follow so far behind the point of a multiple is zeros.
            if digit != 0 or not self._is_multiple(before):
                return None
            return after._replace(remainder=0, zeros=0, places=self._step_places)
        shifted = before.remainder * pow(10, before.zeros + 1, self._units)
        return after._replace(remainder=(shifted + digit) % self._units, zeros=0)

    def _checked(self, state: Mantissa | None) -> Mantissa | None:
        """`state` without what no longer matters, or None if nothing completes it."""
        if state is None:
            return None
        known = self._known.get(state, _UNKNOWN)
        if known is _UNKNOWN:
            if len(self._known) >= _MOST_KNOWN:  # an automaton outlives the grammar it is of
                self._known = {}
            known = self._known[state] = self._settled(state)
        return known

    def _settled(self, state: Mantissa) -> Mantissa | None:
        plainly, takes_exponent = self._completes_plainly(state), self._takes_exponent(state)
        if not plainly and not (takes_exponent and self._completes_with_exponent(state)):
            return None
        phase, scale, low, high, remainder, zeros, places = state
        if self._step is None and (plainly or self._most_places is None):
            places = 0
        above = self._low is None or scale > self._low.scale
        if self._low is None or (above and phase >= INTEGER and not takes_exponent):
            low = GREATER
            if phase == INTEGER and self._high is None and not takes_exponent:
                scale = self._greatest_scale
        if self._high is None:
            high = LESS
        far_inside = phase == FRACTION and not takes_exponent and self._is_far_inside(scale)
        if far_inside and self._inner_scale is not None:
            scale, low, high = self._inner_scale, GREATER, LESS
        return Mantissa(phase, scale, low, high, remainder, zeros, places)

    def _is_far_inside(self, scale: int) -> bool:
        """Whether every number of this scale lies between the bounds."""
        low, high = self._low, self._high
        return (low is None or scale > low.scale) and (high is None or scale < high.scale)

    def _scale_far_inside(self) -> int | None:
        """One scale to stand for all that lie between the bounds and take no exponent."""
        least, most = self._syntax.least_scale, self._syntax.greatest_scale
        candidates = (
            self._greatest_scale,
            self._least_scale,
            self._high.scale - 1 if self._high is not None else 0,
            self._low.scale + 1 if self._low is not None else 0,
        )
        inside = (n for n in candidates if self._is_far_inside(n) and not least <= n <= most)
        return next(inside, None)

    # What the digits read say about the number.

    def _takes_exponent(self, state: Mantissa) -> bool:
        syntax = self._syntax
        near = syntax.least_scale <= state.scale <= syntax.greatest_scale
        return near and (self._most_places is None or state.places <= self._most_places)

    def _is_multiple(self, state: Mantissa) -> bool:
        shift = state.zeros - state.places + self._step_places
        if self._step is None:
            return True
        return shift >= 0 and state.remainder * pow(10, shift, self._units) % self._units == 0

    def _scales(self, state: Mantissa) -> tuple[int | None, int | None]:
        """The scales at which the digits read, which are not all zero, lie between the bounds."""
        least = most = None
        low, high = self._low, self._high
        if low is not None:
            equal = state.low == len(low.digits) and not low.excluded
            least = low.scale if equal or state.low == GREATER else low.scale + 1
        if high is not None:
            below = 0 <= state.high < len(high.digits) or state.high == LESS
            equal = state.high == len(high.digits) and not high.excluded
            most = high.scale if below or equal else high.scale - 1
        return least, most

    def _exponents(self, state: Mantissa) -> tuple[int | None, int | None] | None:
        """The exponents that may follow, from and to; None if there are none."""
        limit = self._syntax.exponent_digits
        least, most = (None, None) if limit is None else (1 - 10**limit, 10**limit - 1)
        if state.phase < INTEGER:
            return (least, most) if self._low is None else None
        low, high = self._scales(state)
        if low is not None and self._low is not None and self._low.digits:
            least = low - state.scale if least is None else max(least, low - state.scale)
        if high is not None:
            most = high - state.scale if most is None else min(most, high - state.scale)
        if self._step is not None:
            shift = _shift_to_multiple(state.remainder, self._units)
            if shift is None:
                return None
            shift += state.places - state.zeros - self._step_places
            least = shift if least is None else max(least, shift)
        return None if least is not None and most is not None and least > most else (least, most)

    def _mark(self, state: Mantissa) -> Exponent | None:
        if state.phase in (START, ZERO_POINT, POINT) or not self._takes_exponent(state):
            return None
        exponents = self._exponents(state)
        if exponents is None:
            return None
        return Exponent(True, None, self._syntax.exponent_digits, *exponents)

    # What can be completed.

    def _completes_plainly(self, state: Mantissa) -> bool:
        """Whether more digits, or none, make a number without an exponent."""
        low, high, scale = self._low, self._high, state.scale
        if state.phase < INTEGER:
            may_go_on = state.phase != ZERO or self._syntax.fraction
            return low is None or (may_go_on and low.scale <= scale)
        if state.phase != INTEGER:
            return self._digits_needed(state, scale) is not None
        if high is None:
            return True
        first = scale if low is None else max(scale, low.scale)
        scales = range(first, high.scale + 1)
        return any(self._digits_needed(state, last) is not None for last in scales)

    def _completes_with_exponent(self, state: Mantissa) -> bool:
        """Whether an exponent, now or after more digits, makes a number."""
        if state.phase < INTEGER or self._exponents(state) is not None:
            return True
        edges = [edge for edge in (self._low, self._high) if edge is not None]
        scales = {edge.scale + near for edge in edges for near in (-1, 0, 1)}
        room = None
        if self._most_places is not None:
            room = self._most_places - state.places
        if self._step is not None and room is not None:
            first = state.scale + state.places - self._step_places
            scales.update(range(first, first + room + 1))
        if self._syntax.exponent_digits is not None:
            most = 10**self._syntax.exponent_digits - 1
            scales = {scale for scale in scales if abs(scale - state.scale) <= most}
        needed = (self._digits_needed(state, scale) for scale in scales)
        return any(digits is not None and (room is None or digits <= room) for digits in needed)

    def _digits_needed(self, state: Mantissa, scale: int) -> int | None:
        """How many more digits surely make a number of this scale; None if no digits do."""
        low, high = self._low, self._high
        if low is not None and scale <= low.scale and (scale < low.scale or state.low == LESS):
            return None
        if high is not None and scale >= high.scale:
            over = state.high == GREATER
            over = over or (high.excluded and state.high == len(high.digits))
            if over or scale > high.scale:
                return None
        along = [
            len(edge.digits) - equal
            for edge, equal in ((low, state.low), (high, state.high))
            if edge is not None and edge.scale == scale and equal >= 0
        ]
        if self._step is None:
            return max(along) + 1 if along else 0
        return min(along) if along else self._digits_to_multiple(state, scale)

    def _digits_to_multiple(self, state: Mantissa, scale: int) -> int | None:
        """How many more digits a multiple of this scale has that begins with those read."""
        digits = scale - state.scale + self._step_places - state.places
        remainder = state.remainder * pow(10, state.zeros, self._units)
        if digits < 0:
            shift = digits + state.zeros
            power = pow(10, max(shift, 0), self._units)
            return 0 if shift >= 0 and state.remainder * power % self._units == 0 else None
        missing = -remainder * pow(10, digits, self._units) % self._units
        return digits if missing < 10**digits else None


def _compared(equal: int, digit: int, edge: Edge | None) -> int:
    """How digits compare with those of a bound after one more."""
    if edge is None or equal < 0:
        return equal
    expected = edge.digits[equal] if equal < len(edge.digits) else 0
    if digit != expected:
        return LESS if digit < expected else GREATER
    return min(equal + 1, len(edge.digits))


def _shift_to_multiple(remainder: int, units: int) -> int | None:
    """The least power of ten that makes `remainder` a multiple of `units`, if there is one."""
    for shift in range(units.bit_length() + 1):
        if remainder % units == 0:
            return shift
        remainder = remainder * 10 % units
    return None
