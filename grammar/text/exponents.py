"""Exponents of numbers, which lie between two integers, digit by digit."""

from typing import NamedTuple


class Exponent(NamedTuple):
    """An exponent that must come to lie from `least` to `most`; None is no end.

    Attributes
    ----------
    takes_sign : whether nothing has been read behind the `e`
    value : the digits read; None before the first one
    room : how many more digits there may be; None is any number
    """

    takes_sign: bool
    value: int | None
    room: int | None
    least: int | None
    most: int | None

    def is_complete(self) -> bool:
        """Whether the exponent may end here."""
        return self.value is not None and is_between(self.value, self.least, self.most)

    def after(self, symbol: str) -> "Exponent | None":
        """The next state, or None where nothing completes it."""
        if symbol in "+-":
            return self._after_sign(symbol) if self.takes_sign else None
        if symbol in ".eE" or self.room == 0:
            return None
        least, most = max(self.least or 0, 0), self.most
        value = 10 * (self.value or 0) + int(symbol)
        if most is None:
            value = min(value, least)
        room = None if self.room is None else self.room - 1
        return (
            Exponent(False, value, room, least, most)
            if _reaches(value, room, least, most)
            else None
        )

    def _after_sign(self, sign: str) -> "Exponent | None":
        least, most = self.least, self.most
        if sign == "-":
            least, most = None if most is None else -most, None if least is None else -least
        after = Exponent(False, None, self.room, max(least or 0, 0), most)
        return after if most is None or most >= 0 else None


def is_between(value: int, least: int | None, most: int | None) -> bool:
    """Whether `value` lies from `least` to `most`, None being no end."""
    return (least is None or value >= least) and (most is None or value <= most)


def _reaches(value: int, room: int | None, least: int, most: int | None) -> bool:
    """Whether `room` more digits, or fewer, bring `value` between `least` and `most`."""
    if most is None:
        return value >= least or value > 0 or room is None
    digits = range((len(str(most)) if room is None else room) + 1)
    return any(value * 10**n <= most and (value + 1) * 10**n > least for n in digits)
