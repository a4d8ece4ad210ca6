"""The tokens of a vocabulary by what they do to the structure of a JSON text."""

import re
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sampler.grammar.engine.tokens import TokenTrie

_OUTSIDE = frozenset(b' \t\n\r,:[]{}0123456789+-.eEtrufalsn"')
_BEGINS_KEY = re.compile(rb'[,{]|".*"', re.DOTALL)
_STRUCTURE = re.compile(rb"[,\[\]{}]")
_TWO = re.compile(rb"[^\s:,].*,.*[^\s:,]", re.DOTALL)
_SPACES = re.compile(rb"[ \t\n\r]+")
_QUOTE = 0x22

Ids = npt.NDArray[np.int64]


class Alike(NamedTuple):
    """Tokens, and for each of them one that only differs in white space outside of strings."""

    token_ids: Ids
    kinds: Ids


class Structure:
    """Finds tokens by their bytes.

    Attributes
    ----------
    crossing : those that begin in a string and end it, and have a comma or bracket
    outside : those that begin outside of strings, but for those that are `led`
    crossing_keys, outside_keys : those of them that may have a key, or come to one
    crossing_twice, outside_twice : those of them that can have two items, or two keys
    led : what stands before and with the only quotation mark of tokens that begin a string
    """

    def __init__(self, trie: TokenTrie) -> None:
        data, starts = trie.data, trie.starts.astype(np.int64)
        self._data, self._starts = data.tobytes(), starts
        self._order = trie.all.token_ids  # by their bytes
        quotes = _counts(data == _QUOTE, starts)
        is_outside = np.zeros(256, np.bool_)
        is_outside[list(_OUTSIDE)] = True
        sizes = np.diff(starts)
        fits = (_counts(~is_outside[data], starts) == 0) & (sizes > 0)
        crossing, led = list[int](), set[bytes]()
        outside = np.flatnonzero(fits & (quotes == 0)).tolist()
        quoted = np.flatnonzero(quotes).tolist()
        for token_id in quoted:
            text = self.token_bytes(token_id)
            if _STRUCTURE.search(text):
                crossing.append(token_id)
            before, _, behind = text.partition(b'"')
            if _OUTSIDE.issuperset(before):
                if b'"' in behind or b"\\" in behind:
                    outside.append(token_id)
                else:
                    led.add(before + b'"')
        self.led = sorted(led)
        self.crossing = self._alike(crossing, _kind_in_string)
        self.outside = self._alike(outside, _kind_outside)
        self.crossing_keys = self._alike(list(filter(self._begins_key, crossing)), _kind_in_string)
        self.outside_keys = self._alike(list(filter(self._begins_key, outside)), _kind_outside)
        self.crossing_twice = self._alike(list(filter(self._has_two, crossing)), _kind_in_string)
        self.outside_twice = self._alike(list(filter(self._has_two, outside)), _kind_outside)

    def _begins_key(self, token_id: int) -> bool:
        return _BEGINS_KEY.search(self.token_bytes(token_id)) is not None

    def _has_two(self, token_id: int) -> bool:
        return _TWO.search(self.token_bytes(token_id)) is not None

    def _alike(self, token_ids: list[int], kind: Callable[[bytes], bytes]) -> Alike:
        known: dict[bytes, int] = {}
        kinds = [known.setdefault(kind(self.token_bytes(t)), t) for t in token_ids]
        return Alike(np.array(token_ids, np.int64), np.array(kinds, np.int64))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token."""
        return self._data[self._starts[token_id] : self._starts[token_id + 1]]

    @cached_property
    def _sorted(self) -> tuple[list[bytes], list[int]]:
        """The texts of all tokens in order, and their ids."""
        data, starts = self._data, self._starts[self._order].tolist()
        ends = self._starts[self._order + 1].tolist()
        texts = [data[start:end] for start, end in zip(starts, ends, strict=True)]
        return texts, self._order.tolist()

    def equal_to(self, text: bytes) -> tuple[list[int], bool]:
        """The tokens that are `text`, and whether there are longer ones that begin with it."""
        texts, token_ids = self._sorted
        found, whole = bisect_left(texts, text), list[int]()
        while found < len(texts) and texts[found] == text:
            whole.append(token_ids[found])
            found += 1
        return whole, found < len(texts) and texts[found].startswith(text)

    def closing(self, text: bytes) -> Iterator[int]:
        """The tokens that begin with `text`."""
        texts, token_ids = self._sorted
        found = bisect_left(texts, text)
        while found < len(texts) and texts[found].startswith(text):
            yield token_ids[found]
            found += 1


def _counts(flags: npt.NDArray[np.bool_], starts: Ids) -> Ids:
    """How many flags are set within each token."""
    sums = np.concatenate(([0], np.cumsum(flags)))
    return np.asarray(sums[starts[1:]] - sums[starts[:-1]], np.int64)


def _kind_in_string(text: bytes) -> bytes:
    """`text` without the white space from its first quotation mark to the next one."""
    before, quote, behind = text.partition(b'"')
    between, second, rest = behind.partition(b'"')
    return before + quote + _SPACES.sub(b"", between) + second + rest


def _kind_outside(text: bytes) -> bytes:
    """`text` without the white space before its first quotation mark; one space stays alone."""
    before, quote, behind = text.partition(b'"')
    return (_SPACES.sub(b"", before) + quote + behind) or b" "


_structures: "weakref.WeakKeyDictionary[TokenTrie, Structure]" = weakref.WeakKeyDictionary()


def structure_of(trie: TokenTrie) -> Structure:
    """The tokens of `trie`, looked at once."""
    if trie not in _structures:
        _structures[trie] = Structure(trie)
    return _structures[trie]
