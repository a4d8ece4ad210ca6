"""Reads a JSON text byte by byte, for the values and keys that are compared."""

from typing import NamedTuple

from sampler.grammar.engine.json_values import key_of
from sampler.kernels.grammar.keys import FIRST_PLACE

SPACES = frozenset(b" \t\n\r")
_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_OPEN_OBJECT, _OPEN_ARRAY, _CLOSE_OBJECT, _CLOSE_ARRAY = b"{[}]"


class Container(NamedTuple):
    """An array or object that is open.

    Attributes
    ----------
    is_object : or else an array
    is_compared : whether its items, or its keys, must be distinct
    seen : the keys, or the items, as `key_of` has them
    item : the text of the key or item that is being written; empty between them
    is_whole : whether that has ended already
    """

    is_object: bool
    is_compared: bool
    seen: frozenset[object] = frozenset()
    item: bytes = b""
    is_whole: bool = False


class Place(NamedTuple):
    """How far a text has come: the containers, outermost first, and the string that it is in.

    `keys` is the place of the scanner of keys, where there is one.
    """

    containers: tuple[Container, ...] = ()
    in_string: bool = False
    is_escaped: bool = False
    in_key: bool = False
    expects_key: bool = False
    keys: int = FIRST_PLACE


class Reading:
    """A place that moves on; `in_string` as in `Place`. Keys are compared only if that is said."""

    def __init__(self, place: Place, compares_keys: bool) -> None:
        self._compares_keys = compares_keys
        self._keys = place.keys
        self._containers = list(place.containers)
        self.in_string, self._is_escaped = place.in_string, place.is_escaped
        self._in_key, self._expects_key = place.in_key, place.expects_key

    def place(self) -> Place:
        """Where it is."""
        containers = tuple(self._containers)
        return Place(
            containers,
            self.in_string,
            self._is_escaped,
            self._in_key,
            self._expects_key,
            self._keys,
        )

    def open_array(self, is_compared: bool) -> None:
        """None; takes the bracket of an array."""
        self._write(_OPEN_ARRAY)
        self._containers.append(Container(False, is_compared))
        self._expects_key = False

    def take(self, byte: int) -> bool:
        """Whether `byte`, which opens no array, does not end what is there already."""
        if self.in_string:
            return self._take_in_string(byte)
        top = self._containers[-1] if self._containers else None
        if byte == _QUOTE:
            self.in_string, self._in_key = True, self._expects_key
            self._expects_key = False
            self._write(byte)
        elif byte == _OPEN_OBJECT:
            self._write(byte)
            self._containers.append(Container(True, self._compares_keys))
            self._expects_key = True
        elif byte in (_CLOSE_OBJECT, _CLOSE_ARRAY):
            return self._end_item() and self._close(byte)
        elif byte == _COMMA:
            if not self._end_item():
                return False
            if top is not None:
                self._containers[-1] = top = self._containers[-1]._replace(item=b"", is_whole=False)
                self._expects_key = top.is_object
            self._write(byte, of_top=False)
        elif byte == _COLON or byte in SPACES:
            is_outside = top is None or top.is_object or not top.item
            self._write(byte, of_top=False)
            return is_outside or self._end_item()
        else:
            self._write(byte)
        return True

    def _take_in_string(self, byte: int) -> bool:
        self._write(byte)
        if self._is_escaped:
            self._is_escaped = False
        elif byte == _BACKSLASH:
            self._is_escaped = True
        elif byte == _QUOTE:
            self.in_string = False
            if self._in_key:
                self._in_key = False
                return self._end_item()
            top = self._containers[-1] if self._containers else None
            return top is None or top.is_object or self._end_item()
        return True

    def _write(self, byte: int, of_top: bool = True) -> None:
        """None; adds a byte to the items that it is part of.

        To the key or scalar of the innermost container, too, where it is part of one.
        """
        data = bytes((byte,))
        last = len(self._containers) - 1
        for index, container in enumerate(self._containers):
            if not container.is_compared or container.is_whole:
                continue
            if index == last:
                is_part = of_top and (self._in_key or not container.is_object)
            else:
                is_part = not container.is_object
            if is_part:
                self._containers[index] = container._replace(item=container.item + data)

    def _close(self, byte: int) -> bool:
        if self._containers:
            self._containers.pop()
        self._expects_key = False
        if self._containers and not self._containers[-1].is_object:
            self._write(byte)
            return self._end_item()
        self._write(byte, of_top=False)
        return True

    def _end_item(self) -> bool:
        """Whether the key or item that ends here, if there is one, is another one."""
        if not self._containers:
            return True
        top = self._containers[-1]
        if not top.is_compared or top.is_whole or not top.item:
            return True
        key = key_of(top.item)
        if key in top.seen:
            return False
        self._containers[-1] = top._replace(seen=top.seen | {key}, is_whole=True)
        return True
