"""Leap seconds: times such as ``15:59:60-08:00``, which are 23:59:60 in UTC (RFC 3339, 5.7)."""

from typing import Any, NamedTuple

_DAY = 24 * 60
_LAST_MINUTE = _DAY - 1
_SHAPE = "hh:mm:60"


class _Place(NamedTuple):
    """How far a time has been read: its beginning, a fraction, or what is left of its offset."""

    begun: str
    fraction: str = ""
    rest: str | None = None


class LeapSecond:
    """The automaton of leap seconds, where it is the next day already, where it is not, or both.

    The offset follows from the hour and the minute, so that no choice is left once these are read.
    """

    symbols = "+-.0123456789:Zz"
    start = _Place("")

    def __init__(self, next_day: bool | None = None) -> None:
        self._next_day = next_day

    def step(self, state: Any, symbol: str) -> _Place | None:
        """The next state, or None where no such time goes on with `symbol`."""
        if state.rest is not None:
            return _Place("", rest=state.rest[1:]) if state.rest.startswith(symbol) else None
        if len(state.begun) < len(_SHAPE):
            return self._after_begun(state.begun + symbol)
        if symbol.isdigit():
            return _Place(state.begun, ".0") if state.fraction else None
        if symbol == ".":
            return None if state.fraction else _Place(state.begun, ".")
        if state.fraction == ".":
            return None
        rest = self._offset(state.begun, symbol)
        return None if rest is None else _Place("", rest=rest)

    def accepts(self, state: Any) -> bool:
        """Whether a time may end here."""
        return bool(state.rest == "")

    def _after_begun(self, begun: str) -> _Place | None:
        expected = _SHAPE[len(begun) - 1]
        if expected.isalpha():
            if not begun[-1].isdigit() or begun[:2] > "23" or begun[3:4] > "5":
                return None
        elif begun[-1] != expected:
            return None
        ends_day = begun.startswith("23:59")
        return None if ends_day and self._next_day else _Place(begun)

    def _offset(self, begun: str, symbol: str) -> str | None:
        """What follows `symbol` when it begins the offset, or None if it cannot."""
        minute = int(begun[:2]) * 60 + int(begun[3:5])
        ahead = (minute - _LAST_MINUTE) % _DAY
        if symbol in "Zz":
            return None if ahead or self._next_day else ""
        if symbol == "-":
            return None if self._next_day else _clock(_LAST_MINUTE - minute)
        if symbol == "+" and self._next_day in (None, ahead > 0):
            return _clock(ahead)
        return None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


ANYWHERE, SAME_DAY, NEXT_DAY = LeapSecond(), LeapSecond(False), LeapSecond(True)
