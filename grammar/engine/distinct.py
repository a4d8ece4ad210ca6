"""Keeps items of arrays and keys of objects distinct, also where they can run out.

For the few grammars in which an array may not have an item twice (``uniqueItems``), or an object
has keys of which there may be none left (two letters, say). The text is read beside the automaton,
as `keys` does for all others, but in Python, because values are compared:

    refused : a byte that ends an item, or a key, that its array or object has already
    dead    : a place in a key, or in an item that is no container, from which all that it can
              become is there already; so that no mask leads into a dead end

Items that are containers can always become another one; the front end sees to it. What a token
leads to is said by `after_token` alone: `forbid_repeated` asks it about all tokens that could be
refused, and knows them by their bytes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sampler.grammar.engine.json_values import key_of
from sampler.grammar.engine.keys import KeyScanner
from sampler.grammar.engine.reading import SPACES, Container, Place, Reading
from sampler.grammar.engine.structure import Alike, Ids, raw, structure_of
from sampler.kernels.grammar.matching import BYTES

if TYPE_CHECKING:
    from sampler.grammar.engine.automaton import Automaton

_OPEN_ARRAY = 0x5B
_QUOTE = 0x22
_ENDS, _BRACKETS = b",]}", b"[{"
_MOST_STEPS = 20_000  # to find out whether anything is left; more of them are many texts
_FEW_STEPS = 300
_MOST_KEPT, _MOST_PLACES = 10_000, 100
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
    value: object


class DistinctScanner:
    """Follows texts under one automaton. Not thread-safe.

    Parameters
    ----------
    automaton : of the grammar
    keys : keeps keys distinct; None where some can run out, so that they are compared here
    """

    first = Place()

    def __init__(self, automaton: "Automaton", keys: KeyScanner | None) -> None:
        self._keys = keys
        self._automaton = automaton
        self._tokens = structure_of(automaton.trie)
        self._known: dict[tuple[int, tuple[Container, ...]], dict[int, bool]] = {}
        self._alive: dict[tuple[int, bytes, bool, frozenset[object]], bool] = {}

    def after_token(self, place: Place, token_id: int, before: int, after: int) -> Place | None:
        """The place after a token between two positions of the automaton; None if it is refused."""
        found = self._after(place, self._tokens.token_bytes(token_id), before, after)
        if found is None or self._keys is None:
            return found
        keys = self._keys.after_token(place.keys, token_id, before, after)
        return found._replace(keys=keys) if keys else None

    def after_bytes(
        self, place: Place, data: npt.NDArray[np.uint8], before: int, after: int
    ) -> Place | None:
        """The place after `data` between two positions of the automaton; None if refused."""
        found = self._after(place, data.tobytes(), before, after)
        if found is None or self._keys is None:
            return found
        keys = self._keys.after_bytes(place.keys, data, before, after)
        return found._replace(keys=keys) if keys else None

    def forbid_repeated(
        self, place: Place, position: int, bitmask: npt.NDArray[np.int32], row: int
    ) -> None:
        """None; forbids the tokens that are refused in row `row` of `bitmask` (contiguous)."""
        if self._keys is not None:
            self._keys.forbid_repeated(place.keys, position, bitmask, row)
        bits = bitmask[row].view(np.uint32)
        has_seen = any(container.seen for container in place.containers)
        alike = self._alike(place, has_seen)
        is_allowed = _are_set(bits, alike.token_ids)
        allowed, kinds = alike.token_ids[is_allowed], alike.kinds[is_allowed]
        known = self._known_of(place, position)
        for token_id, kind in zip(*_first_of_each(allowed, kinds), strict=True):
            if kind not in known:
                known[kind] = self._is_refused(place, position, token_id)
            if known[kind]:
                _clear(bits, allowed[kinds == kind])
        if not has_seen:
            return
        suspects = np.fromiter(self._suspects(place, position), np.int64)
        for token_id in np.unique(suspects[_are_set(bits, suspects)]).tolist():
            if self._is_refused(place, position, token_id):
                _clear(bits, np.array([token_id]))

    def _alike(self, place: Place, has_seen: bool) -> Alike:
        """The tokens that could be refused for what they have behind a string, or outside of one.

        A key is repeated within one token only if there are two keys in it.
        """
        tokens = self._tokens
        if place.in_string:
            is_long = place.in_key or not has_seen
            return tokens.crossing_twice if is_long else tokens.crossing
        return tokens.outside if has_seen else tokens.outside_twice

    def _known_of(self, place: Place, position: int) -> dict[int, bool]:
        """Which kinds of tokens are refused, as far as is known for places like this one.

        What comes behind a string that is a value does not depend on what is in it, as long as it
        is in no item that is compared with another one.
        """
        top = place.containers[-1] if place.containers else None
        if not place.in_string or place.in_key or place.is_escaped or top is None:
            return {}
        if any(c.is_compared and not c.is_object and c.seen for c in place.containers):
            return {}
        if top.is_compared and not top.is_object:
            return {}
        behind = self._automaton.after_byte(position, _QUOTE)
        key = behind, tuple(container._replace(item=b"") for container in place.containers)
        if len(self._known) >= _MOST_PLACES:
            self._known.clear()
        return self._known.setdefault(key, {}) if behind else {}

    def _is_refused(self, place: Place, position: int, token_id: int) -> bool:
        data = self._tokens.token_bytes(token_id)
        return self._after(place, data, position, self._follow(position, data)) is None

    def _after(self, place: Place, data: bytes, before: int, after: int) -> Place | None:
        reading = Reading(place, self._keys is None)
        for index, byte in enumerate(data):
            if byte == _OPEN_ARRAY and not reading.in_string:
                position = self._follow(before, data[: index + 1])
                reading.open_array(self._automaton.compares_items(position))
            elif not reading.take(byte):
                return None
        found = reading.place()
        return found if self._is_alive(found, after) else None

    def _follow(self, position: int, data: bytes) -> int:
        text = np.frombuffer(data, np.uint8)
        return self._automaton.follow(BYTES, position, text.ctypes.data, text.size)

    # Tokens that could be refused.

    def _suspects(self, place: Place, position: int) -> Iterator[int]:
        tokens, inner = self._tokens, place.containers[-1:]
        if place.in_string:
            if inner and inner[0].is_compared and (place.in_key or not inner[0].is_object):
                yield from self._along(inner[0].seen, inner[0].item, b"")
            return
        for lead in tokens.led:
            after = self._follow(position, lead)
            if not after:
                continue
            led = self._after(place, lead, position, after)
            if led is None:
                yield from tokens.closing(lead)
                continue
            top = led.containers[-1:]
            if top and top[0].is_compared and (led.in_key or not top[0].is_object):
                yield from self._along(top[0].seen, top[0].item, lead)

    def _along(self, seen: frozenset[object], item: bytes, lead: bytes) -> Iterator[int]:
        """The tokens that go on along one of the strings `seen`, behind `lead`.

        item : what is written of the string, with its quotation mark
        """
        begun = _decoded(item)
        along = [text for text in seen if isinstance(text, str) and text.startswith(begun)]
        if not along:
            return
        if b"\\" in item[-12:] or item[-1] >= 0x80:  # perhaps within a character
            yield from range(self._tokens.count)
            return
        yield from self._tokens.escaped.tolist()
        for text in along:
            rest = raw(text[len(begun) :])
            yield from self._tokens.beginnings(lead, rest)
            yield from self._tokens.closing(lead + rest + b'"')

    # Dead ends.

    def _is_alive(self, place: Place, position: int) -> bool:
        """Whether what is being written can become something that is not there yet."""
        if not place.containers:
            return True
        top = place.containers[-1]
        if top.is_object and not (place.in_key or place.expects_key):
            return True
        if not top.is_compared or top.is_whole or not top.seen:
            return True
        if place.in_string:
            begun = _decoded(top.item)
            if not any(isinstance(text, str) and text.startswith(begun) for text in top.seen):
                return True
        key = position, top.item, place.in_string, top.seen
        if key not in self._alive:
            if len(self._alive) >= _MOST_KEPT:
                self._alive.clear()
            values = self._values_from(position, top.item, place)
            self._alive[key] = any(value not in top.seen for value in values)
        return self._alive[key]

    def _values_from(self, position: int, item: bytes, place: Place) -> Iterator[object]:
        """What a key or item can become of which `item` is written; something new for a container.

        Where there are too many to look at all of them, something new, too. Of numbers only plain
        digits are tried: so where they can run out, a mask has none that only a fraction or an
        exponent would make another one.
        """
        way: _Way = (position, item, place.in_string, None)
        open_ways = [(way, self._ways_from(way))]
        is_plain = _is_plain(item)
        for _ in range(_MOST_STEPS if is_plain else _FEW_STEPS):
            found = next(open_ways[-1][1], None)
            if found is None:
                open_ways.pop()
                if not open_ways:
                    return
            elif isinstance(found, _Found):
                yield found.value
            elif _is_loop(found):  # there is no end of what it can become
                yield object()
            else:
                open_ways.append((found, self._ways_from(found)))
        if is_plain:
            yield object()

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
                yield _Found(key_of(written))
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


def _are_set(bits: npt.NDArray[np.uint32], token_ids: Ids) -> npt.NDArray[np.bool_]:
    return np.asarray(bits[token_ids >> 5] >> (token_ids & 31).astype(np.uint32) & 1, np.bool_)


def _clear(bits: npt.NDArray[np.uint32], token_ids: Ids) -> None:
    flags = np.uint32(1) << (token_ids & 31).astype(np.uint32)
    np.bitwise_and.at(bits, token_ids >> 5, ~flags)


def _first_of_each(token_ids: Ids, kinds: Ids) -> tuple[list[int], list[int]]:
    """One of the tokens of each kind, and the kinds."""
    found, first = np.unique(kinds, return_index=True)
    return token_ids[first].tolist(), found.tolist()


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


def _decoded(item: bytes) -> str:
    """The whole characters of the beginning of a JSON string."""
    for end in range(len(item), 0, -1):
        try:
            return str(key_of(item[:end] + b'"'))
        except ValueError:  # a part of a character
            continue
    return ""
