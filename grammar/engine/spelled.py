"""The tokens that go on along a given string, in every spelling that JSON has for it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sampler.grammar.engine.json_values import key_of
from sampler.grammar.engine.structure import Ids, Structure

_SHORT = {
    '"': b'"',
    "\\": b"\\",
    "/": b"/",
    "\b": b"b",
    "\f": b"f",
    "\n": b"n",
    "\r": b"r",
    "\t": b"t",
}
_HIGH = "\ud800", "\udbff"
_MOST_KEPT = 2000

Choices = tuple[bytes, ...]  # for each byte in turn, what it may be


class Along(NamedTuple):
    """Tokens: those that end within a string, and those that have its end."""

    within: Ids
    closing: Ids


class Spelled:
    """Finds the tokens that are a part of a string, or end it. Not thread-safe."""

    def __init__(self, tokens: Structure) -> None:
        self._tokens = tokens
        self._known: dict[tuple[bytes, bytes, str], Along] = {}

    def along(self, lead: bytes, partial: bytes, rest: str) -> Along:
        """The tokens that are `lead` and then go on to a string, or behind its end.

        partial : the part of the next character that is written already
        rest : the characters that are not written yet
        """
        key = lead, partial, rest
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            found = self._known[key] = self._along(lead, partial, rest)
        return found

    def _along(self, lead: bytes, partial: bytes, rest: str) -> Along:
        tokens = self._tokens
        within, closing = tokens.equal_to(lead)[0], list[int]()
        first = [way[len(partial) :] for way in spellings(rest[:1]) if _begins(way, partial)]
        ways: list[tuple[bytes, Choices, int]] = [(lead, way, 1) for way in first]
        if not rest and not partial:
            ways.append((lead, (), 0))
        while ways:
            prefix, choices, index = ways.pop()
            if choices:
                for byte in choices[0]:
                    begun = prefix + bytes((byte,))
                    whole, goes_on = tokens.equal_to(begun)
                    within.extend(whole)
                    if goes_on:
                        ways.append((begun, choices[1:], index))
            elif index < len(rest):
                ways += [(prefix, way, index + 1) for way in spellings(rest[index])]
            else:
                closing.extend(tokens.closing(prefix + b'"'))
        return Along(np.array(within, np.int64), np.array(closing, np.int64))


@lru_cache(_MOST_KEPT)
def spellings(character: str) -> tuple[Choices, ...]:
    """How one character may stand in a JSON string; nothing for none."""
    if not character:
        return ()
    found = list[Choices]()
    if character >= " " and character not in '"\\':
        found.append(tuple(bytes((byte,)) for byte in character.encode(errors="surrogatepass")))
    if character in _SHORT:
        found.append((b"\\", _SHORT[character]))
    units = character.encode("utf-16-be", errors="surrogatepass")
    code: list[bytes] = []
    for at in range(0, len(units), 2):
        digits = units[at : at + 2].hex()
        code += [b"\\", b"u", *(f"{d}{d.upper()}".encode() for d in digits)]
    return *found, tuple(code)


def _begins(way: Choices, partial: bytes) -> bool:
    return len(partial) <= len(way) and all(
        b in choice for b, choice in zip(partial, way, strict=False)
    )


def split(item: bytes) -> tuple[str, bytes]:
    """The whole characters of the beginning of a JSON string, and what is left behind them.

    The first half of a pair of escapes is no whole character.
    """
    for end in range(len(item), 0, -1):
        try:
            text = str(key_of(item[:end] + b'"'))
        except ValueError:  # a part of a character
            continue
        if not (text and _HIGH[0] <= text[-1] <= _HIGH[1]):
            return text, item[end:]
    return "", item[1:]
