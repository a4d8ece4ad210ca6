"""What a key or an item that is being written can still become.

All that the automaton lets through from a position on is tried, first what is short, until
something is found that is not there yet. Strings are tried in one spelling of each character. A way
that comes to a position again has no end of texts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sampler.grammar.engine.json_values import key_of
from sampler.grammar.engine.reading import SPACES, Place
from sampler.grammar.engine.spelled import split

if TYPE_CHECKING:
    from sampler.grammar.engine.automaton import Automaton

_QUOTE = 0x22
_ENDS, _BRACKETS = b",]}", b"[{"
_MOST_STEPS = 20_000  # to find out whether anything is left; more of them are many texts
_FEW_STEPS = 300
_MOST_KEPT = 10_000
# What is tried next: the end, then what most texts consist of.
_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"
_LEADS = bytes(range(0x80, 0xF5))  # of other characters, and their other bytes
_OTHERS = bytes(byte for byte in range(0x20, 0x7F) if byte not in _LETTERS + b'"\\')
_IN_STRING = b'"' + _LETTERS + _OTHERS + _LEADS + b"\\"
_HEX = b"0123456789abcdef"
_ESCAPED = b'\\"/bfnrtu' + _HEX
_DIGITS = b"-0123456789"
_PARTS = frozenset(b".eE")
_NUMBER = _ENDS + b"0123456789+-"
_ZEROS = b"0" * 32
_OUTSIDE = _ENDS + _BRACKETS + b'"0123456789-.eE+trufalsn'


# A position, what is written of a key or item, whether it is in a string, and the way before.
_Way = tuple[int, bytes, bool, Any]


class _Found(NamedTuple):
    """A value, and its text where it is a string."""

    value: object
    text: bytes = b""


class Remaining:
    """What is left of the texts of one automaton. Not thread-safe."""

    def __init__(self, automaton: "Automaton") -> None:
        self._automaton = automaton
        self._known: dict[tuple[int, bytes, frozenset[object]], bool] = {}
        self._ends: dict[int, list[bytes | None]] = {}  # some of each position; None: any number

    def has_other(self, place: Place, position: int) -> bool:
        """Whether what is being written can become something that is not there yet."""
        if not place.containers:
            return True
        top = place.containers[-1]
        if top.is_object and not (place.in_key or place.expects_key):
            return True
        if not top.is_compared or top.is_whole or not top.seen:
            return True
        if place.in_string:
            begun, _ = split(top.item)
            if not any(isinstance(text, str) and text.startswith(begun) for text in top.seen):
                return True
            return self.string_has_other(position, top.item, top.seen)
        key = position, top.item, top.seen
        if key not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            values = self._values_from(position, top.item, in_string=False)
            self._known[key] = any(found.value not in top.seen for found in values)
        return self._known[key]

    def string_has_other(self, position: int, item: bytes, seen: frozenset[object]) -> bool:
        """Whether a string of which `item` is written can become one that is not in `seen`.

        What can follow in a string is the same wherever the position is the same.
        """
        ends = self._ends.setdefault(position, [])
        if any(end is None or key_of(item + end) not in seen for end in ends):
            return True
        if len(self._ends) >= _MOST_KEPT:
            self._ends.clear()
        for found in self._values_from(position, item, in_string=True):
            if found.value not in seen:
                ends.append(found.text[len(item) :] if found.text else None)
                return True
        return False

    def _values_from(self, position: int, item: bytes, in_string: bool) -> Iterator[_Found]:
        """What a key or item can become of which `item` is written; something new for a container.

        Where there are too many to look at all of them, something new, too. Of numbers only plain
        digits are tried: so where they can run out, a mask has none that only a fraction or an
        exponent would make another one.
        """
        way: _Way = (position, item, in_string, None)
        open_ways = [(way, self._ways_from(way))]
        is_plain = _is_plain(item)
        for _ in range(_MOST_STEPS if is_plain else _FEW_STEPS):
            found = next(open_ways[-1][1], None)
            if found is None:
                open_ways.pop()
                if not open_ways:
                    return
            elif isinstance(found, _Found):
                yield found
            elif _is_loop(found):  # there is no end of what it can become
                yield _Found(object())
            else:
                open_ways.append((found, self._ways_from(found)))
        if is_plain:
            yield _Found(object())

    def _ways_from(self, way: _Way) -> Iterator[_Way | _Found]:
        """What can come next, one byte further or whole."""
        position, item, in_string, _ = way
        goes_on = False
        for byte in _tried_in_string(item) if in_string else _tried_outside(item):
            after = self._automaton.after_byte(position, byte)
            if not after:
                continue
            written = item + bytes((byte,))
            if in_string and byte == _QUOTE and not _escape(item):
                yield _Found(key_of(written), written)
            elif in_string:
                yield after, written, True, way
            elif byte in _BRACKETS:
                yield _Found(object())
            elif byte not in _ENDS:
                yield after, written, byte == _QUOTE, way
            elif item:
                yield _Found(key_of(item))
            else:
                continue
            goes_on = True
        if not goes_on:
            yield from self._only_ways(way)

    def _only_ways(self, way: _Way) -> Iterator[_Way]:
        """What is tried only where nothing else goes on: white space, and any escape."""
        position, item, in_string, _ = way
        for byte in _ESCAPED if in_string else SPACES:
            after = self._automaton.after_byte(position, byte)
            if after:
                yield after, item + bytes((byte,)) if in_string else item, in_string, None


def _is_loop(way: _Way) -> bool:
    """Whether a way comes to a position that it has been at."""
    position, before = way[0], way[3]
    while before is not None:
        if before[0] == position:
            return True
        before = before[3]
    return False


def _tried_in_string(item: bytes) -> bytes:
    """The bytes that are tried next in a string: each character in one spelling."""
    escape = _escape(item)
    if not escape:
        return _IN_STRING
    if escape == b"\\":
        return b'"\\bfnrtu'
    return b"01" if escape == b"\\u00" else b"0" if len(escape) < 4 else _HEX


def _tried_outside(item: bytes) -> bytes:
    """The bytes that are tried next outside of strings: numbers are not made longer for nothing."""
    if not item or item[0] not in _DIGITS:
        return _OUTSIDE
    if _is_plain(item):
        return _ENDS if item.endswith(_ZEROS) else _ENDS + _DIGITS
    return _ENDS if item.endswith(b"00") else _NUMBER


def _is_plain(item: bytes) -> bool:
    """Whether `item` is no number with a fraction or an exponent, of which there are many."""
    return item[:1] not in _DIGITS or not _PARTS.intersection(item)


def _escape(item: bytes) -> bytes:
    """The escape that is being written at the end of `item`, or nothing."""
    at = item.rfind(b"\\")
    before = len(item[:at]) - len(item[:at].rstrip(b"\\")) if at >= 0 else 0
    if at < 0 or before % 2:
        return b""
    escape = item[at:]
    is_whole = len(escape) == 6 if escape[1:2] == b"u" else len(escape) >= 2
    return b"" if is_whole or len(escape) > 6 else escape
