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
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sampler.grammar.engine.keys import KeyScanner
from sampler.grammar.engine.reading import Container, Place, Reading
from sampler.grammar.engine.remaining import Remaining
from sampler.grammar.engine.spelled import Spelled, split
from sampler.grammar.engine.structure import Alike, Ids, structure_of
from sampler.kernels.grammar.matching import BYTES

if TYPE_CHECKING:
    from sampler.grammar.engine.automaton import Automaton

_OPEN_ARRAY = 0x5B
_QUOTE = 0x22
_MOST_PLACES = 100


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
        self._spelled = Spelled(self._tokens)
        self._remaining = Remaining(automaton)

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
        return found if self._remaining.has_other(found, after) else None

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
        begun, partial = split(item)
        for text in seen:
            if isinstance(text, str) and text.startswith(begun):
                yield from self._spelled.along(lead, partial, text[len(begun) :])


def _are_set(bits: npt.NDArray[np.uint32], token_ids: Ids) -> npt.NDArray[np.bool_]:
    return np.asarray(bits[token_ids >> 5] >> (token_ids & 31).astype(np.uint32) & 1, np.bool_)


def _clear(bits: npt.NDArray[np.uint32], token_ids: Ids) -> None:
    flags = np.uint32(1) << (token_ids & 31).astype(np.uint32)
    np.bitwise_and.at(bits, token_ids >> 5, ~flags)


def _first_of_each(token_ids: Ids, kinds: Ids) -> tuple[list[int], list[int]]:
    """One of the tokens of each kind, and the kinds."""
    found, first = np.unique(kinds, return_index=True)
    return token_ids[first].tolist(), found.tolist()
