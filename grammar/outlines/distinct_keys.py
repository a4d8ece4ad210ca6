"""Keeps the keys of an object distinct where the grammar leaves them free.

A finite automaton cannot remember the keys that were written. So beside it, and only for grammars
with free keys, a scanner follows the text and remembers the keys of every open object, and tokens
that would close a key for the second time are taken out of the mask. Whoever is at a key that
exists already can always write on, so this forbids no text that has distinct keys and makes no
dead end. Keys are compared as they are spelled: the grammars that use this have one spelling for
each key (free keys have no escapes).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError
from sampler.grammar.outlines.token_tree import TokenTree

_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_OPEN_OBJECT, _OPEN_ARRAY = b"{["
_CLOSE = b"}]"
_STRUCTURE = frozenset(b'"{}[],:')


@dataclass(frozen=True, slots=True)
class KeyScanner:
    """Where a valid JSON text stands, and which keys its open objects have. Immutable.

    Attributes
    ----------
    keys : for each open container the keys so far, None for an array
    key : the key being written, without its opening quote; None outside of keys
    in_string : inside a string, key or not
    escaped : right after a backslash
    expects_key : the next string is a key
    """

    keys: tuple[frozenset[bytes] | None, ...] = ()
    key: bytes | None = None
    in_string: bool = False
    escaped: bool = False
    expects_key: bool = False

    def after(self, data: bytes) -> "KeyScanner | None":
        """The scanner after `data`, or None where `data` repeats a key."""
        if self.in_string and not self.escaped and b'"' not in data and b"\\" not in data:
            return self if self.key is None else replace(self, key=self.key + data)
        scanner: KeyScanner | None = self
        for byte in data:
            if scanner is None:
                return None
            scanner = scanner._in_string(byte) if scanner.in_string else scanner._outside(byte)
        return scanner

    def _in_string(self, byte: int) -> "KeyScanner | None":
        key = None if self.key is None else self.key + bytes((byte,))
        if self.escaped:
            return replace(self, key=key, escaped=False)
        if byte != _QUOTE:
            return replace(self, key=key, escaped=byte == _BACKSLASH)
        if self.key is None:
            return replace(self, in_string=False)
        keys = self.keys[-1] or frozenset()
        if self.key in keys:
            return None
        return replace(self, keys=(*self.keys[:-1], keys | {self.key}), key=None, in_string=False)

    def _outside(self, byte: int) -> "KeyScanner":
        if byte not in _STRUCTURE:
            return self
        if byte == _QUOTE:
            return replace(self, in_string=True, key=b"" if self.expects_key else None)
        if byte == _OPEN_OBJECT:
            return KeyScanner((*self.keys, frozenset()), expects_key=True)
        if byte == _OPEN_ARRAY:
            return KeyScanner((*self.keys, None))
        if byte in _CLOSE:
            return KeyScanner(self.keys[:-1])
        return replace(self, expects_key=byte == _COMMA and self.keys[-1] is not None)


class QuotedTokens:
    """The tokens of a vocabulary that have quotation marks, ordered to find repeated keys fast.

    Raises
    ------
    GrammarError : a vocabulary in which a key could not always be written on
    """

    def __init__(self, tree: TokenTree) -> None:
        plain = frozenset(range(0x20, 0x80)) - {_QUOTE, _BACKSLASH}
        if not any(token and plain.issuperset(token) for token in tree.token_bytes):
            raise GrammarError(
                "free object keys need a vocabulary with a token of printable ASCII characters"
            )
        self._token_bytes = tree.token_bytes
        self._by_first_part: dict[bytes, list[int]] = {}
        self._by_quotes: dict[int, list[int]] = {2: [], 3: []}
        for token_id, token in enumerate(tree.token_bytes):
            quotes = token.count(b'"')
            if quotes:
                self._by_first_part.setdefault(token[: token.index(b'"')], []).append(token_id)
            for least, token_ids in self._by_quotes.items():
                if quotes >= least:
                    token_ids.append(token_id)

    def repeating(self, scanner: KeyScanner, words: npt.NDArray[np.int32]) -> Iterator[int]:
        """The tokens set in `words` that would repeat a key of `scanner`.

        Outside of a key a token repeats one only if it has both quotes of it. Inside, it closes
        the key (then what it has before its first quote completes a known key), or closes it and
        holds a whole second one (three quotes).
        """
        bits = words.view(np.uint32)
        for token_id in self._candidates(scanner):
            allowed = int(bits[token_id // 32]) >> token_id % 32 & 1
            if allowed and scanner.after(self._token_bytes[token_id]) is None:
                yield token_id

    def _candidates(self, scanner: KeyScanner) -> Iterator[int]:
        if scanner.key is None:
            yield from self._by_quotes[2]
            return
        for known in scanner.keys[-1] or ():
            if known.startswith(scanner.key):
                yield from self._by_first_part.get(known[len(scanner.key) :], ())
        yield from self._by_quotes[3]
