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
from copy import copy
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
    """Follows texts under one automaton. Not thread-safe, nor beside one of the same `beside`.

    Parameters
    ----------
    automaton : of the grammar
    keys : keeps keys distinct; None where some can run out, so that they are compared here
    compares_items : whether the items of some array must be distinct
    """

    first = Place()

    def __init__(
        self, automaton: "Automaton", keys: KeyScanner | None, compares_items: bool
    ) -> None:
        self._keys, self._compares_items = keys, compares_items
        self._automaton = automaton
        self._tokens = structure_of(automaton.trie)
        self._known: dict[tuple[int, tuple[Container, ...]], dict[int, bool]] = {}
        self._spelled = Spelled(self._tokens)
        self._leads: dict[int, list[tuple[bytes, int]]] = {}
        self._remaining = Remaining(automaton)

    def beside(self, keys: KeyScanner | None) -> "DistinctScanner":
        """One with another `keys`, which knows and learns what this one does."""
        twin = copy(self)
        twin._keys = keys
        return twin

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
        for lead, container in self._strings(place, position, bits):
            self._forbid_along(place, position, lead, container, bits)

    def _alike(self, place: Place, has_seen: bool) -> Alike:
        """The tokens that could be refused for what they have behind a string, or outside of one.

        A key is repeated within one token only if there are two keys in it.
        """
        tokens = self._tokens
        if place.in_string:
            if place.in_key or not has_seen:
                return tokens.crossing_twice
            return tokens.crossing if self._compares_items else tokens.crossing_keys
        if not has_seen:
            return tokens.outside_twice
        return tokens.outside if self._compares_items else tokens.outside_keys

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

    # Tokens that begin or go on a string that is compared.

    def _strings(
        self, place: Place, position: int, bits: npt.NDArray[np.uint32]
    ) -> Iterator[tuple[bytes, Container]]:
        """What stands before such a string in a token, and the container that it is in then.

        Forbids the tokens that are refused for what stands before.
        """
        if place.in_string:
            top = place.containers[-1:]
            if top and top[0].is_compared and (place.in_key or not top[0].is_object):
                yield b"", top[0]
            return
        for lead, after in self._leads_at(position):
            led = self._after(place, lead, position, after)
            if led is None:
                _clear(bits, np.array(list(self._tokens.closing(lead)), np.int64))
                continue
            top = led.containers[-1:]
            if top and top[0].is_compared and (led.in_key or not top[0].is_object):
                yield lead, top[0]

    def _leads_at(self, position: int) -> list[tuple[bytes, int]]:
        """What can stand before and with a quotation mark at a position, and where it leads."""
        found = self._leads.get(position)
        if found is None:
            if len(self._leads) >= _MOST_PLACES:
                self._leads.clear()
            ways = ((lead, self._follow(position, lead)) for lead in self._tokens.led)
            found = self._leads[position] = [(lead, after) for lead, after in ways if after]
        return found

    def _forbid_along(
        self,
        place: Place,
        position: int,
        lead: bytes,
        container: Container,
        bits: npt.NDArray[np.uint32],
    ) -> None:
        """None; forbids what ends a string that is there already, or can become no other one."""
        seen, item = container.seen, container.item
        begun, partial = split(item)
        for text in seen:
            if not isinstance(text, str) or not text.startswith(begun):
                continue
            along = self._spelled.along(lead, partial, text[len(begun) :])
            _clear(bits, along.closing)
            for token_id in along.within[_are_set(bits, along.within)].tolist():
                data = self._tokens.token_bytes(token_id)
                written = item + data[len(lead) :]
                after = self._follow(position, data)
                if not self._remaining.string_has_other(after, written, seen):
                    _clear(bits, np.array([token_id]))


def _are_set(bits: npt.NDArray[np.uint32], token_ids: Ids) -> npt.NDArray[np.bool_]:
    return np.asarray(bits[token_ids >> 5] >> (token_ids & 31).astype(np.uint32) & 1, np.bool_)


def _clear(bits: npt.NDArray[np.uint32], token_ids: Ids) -> None:
    flags = np.uint32(1) << (token_ids & 31).astype(np.uint32)
    np.bitwise_and.at(bits, token_ids >> 5, ~flags)


def _first_of_each(token_ids: Ids, kinds: Ids) -> tuple[list[int], list[int]]:
    """One of the tokens of each kind, and the kinds."""
    found, first = np.unique(kinds, return_index=True)
    return token_ids[first].tolist(), found.tolist()
