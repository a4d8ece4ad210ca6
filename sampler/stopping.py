"""Stop strings: finds the first one in text that arrives in pieces, whatever its length.

Rule of the file: one automaton for all stop strings of a request (Aho-Corasick), read-only after
it is built, so the candidates of a request share it; where a text stands in it is one integer that
the caller keeps. Every character is looked at once. Rejected design: searching the accumulated
text after each token, which is quadratic, or searching its last part, which limits the length.

Source: Aho and Corasick, "Efficient String Matching: An Aid to Bibliographic Search" (1975).
"""

from collections.abc import Iterable
from typing import NamedTuple


class Scan(NamedTuple):
    """Where a piece of text leads: the new state, and the first stop string that is complete.

    `end` is the number of characters of the piece up to the end of the stop string, -1 when there
    is none; `length` is the length of the stop string.
    """

    state: int
    end: int
    length: int


class StopStrings:
    """The stop strings of one request; immutable, shared by its sequences.

    Parameters
    ----------
    strings : of any number and length; empty ones are only noted in `has_empty`
    """

    __slots__ = ("_children", "_fallbacks", "_first_characters", "_matches", "depths", "has_empty")

    def __init__(self, strings: Iterable[str] = ()) -> None:
        strings = tuple(strings)
        self.has_empty = "" in strings
        # State 0 is the root of the trie. `depths`: how many characters at the end of the text so
        # far may be the beginning of a stop string. `_matches`: the length of the longest stop
        # string that ends here, or 0.
        self.depths: list[int] = [0]
        self._matches: list[int] = [0]
        self._children: list[dict[str, int]] = [{}]
        for string in strings:
            self._insert(string)
        self._first_characters = frozenset(self._children[0])
        self._fallbacks = self._link()

    def scan(self, state: int, text: str) -> Scan:
        """The state after `text`, or after the first stop string that ends in it.

        Of several that end at the same character, the longest is reported. The state before the
        first text is 0.
        """
        if not state and self._first_characters.isdisjoint(text):
            return Scan(0, -1, 0)
        for index, character in enumerate(text):
            state = self._next(state, character)
            if length := self._matches[state]:
                return Scan(state, index + 1, length)
        return Scan(state, -1, 0)

    def _next(self, state: int, character: str) -> int:
        while state and character not in self._children[state]:
            state = self._fallbacks[state]
        return self._children[state].get(character, 0)

    def _insert(self, string: str) -> None:
        state = 0
        for depth, character in enumerate(string, start=1):
            following = self._children[state].setdefault(character, len(self.depths))
            if following == len(self.depths):
                self.depths.append(depth)
                self._matches.append(0)
                self._children.append({})
            state = following
        self._matches[state] = len(string)

    def _link(self) -> list[int]:
        """For each state, the state of its longest proper suffix; nearest to the root first."""
        self._fallbacks = [0] * len(self.depths)
        waiting = list(self._children[0].values())
        for state in waiting:
            for character, child in self._children[state].items():
                self._fallbacks[child] = self._next(self._fallbacks[state], character)
                suffix_match = self._matches[self._fallbacks[child]]
                self._matches[child] = self._matches[child] or suffix_match
                waiting.append(child)
        return self._fallbacks
