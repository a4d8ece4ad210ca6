"""The tokens of a vocabulary by what they do to the structure of a JSON text."""

import json
import weakref
from bisect import bisect_left
from collections.abc import Iterator

from sampler.grammar.engine.tokens import TokenTrie

_OUTSIDE = frozenset(b' \t\n\r,:[]{}0123456789+-.eEtrufalsn"')
_STRUCTURE = (b",", b"[", b"{", b"]", b"}")


class Structure:
    """Finds tokens by their bytes.

    Attributes
    ----------
    escaped : the tokens with a backslash
    crossing : those with a quotation mark and a comma or bracket
    count : how many tokens there are
    outside : those that can stand outside of strings, but for those that are `led`
    led : what stands before and with the only quotation mark of tokens that begin a string
    """

    def __init__(self, trie: TokenTrie) -> None:
        self._texts: list[bytes] = []
        self._by_text: dict[bytes, list[int]] = {}
        data, starts = trie.data.tobytes(), trie.starts.tolist()
        self.escaped: list[int] = []
        self.crossing: list[int] = []
        self.outside: list[int] = []
        self.count = trie.vocab_size
        led = set[bytes]()
        for token_id in range(trie.vocab_size):
            text = data[starts[token_id] : starts[token_id + 1]]
            self._texts.append(text)
            self._by_text.setdefault(text, []).append(token_id)
            quotes = text.count(b'"')
            if b"\\" in text:
                self.escaped.append(token_id)
            if quotes and any(mark in text for mark in _STRUCTURE):
                self.crossing.append(token_id)
            before, _, behind = text.partition(b'"')
            if _OUTSIDE.issuperset(before):
                if quotes == 1 and b"\\" not in behind:
                    led.add(before + b'"')
                elif quotes or text:
                    self.outside.append(token_id)
        self.led = sorted(led)
        self._sorted = sorted(text for text in self._by_text if b'"' in text)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token."""
        return self._texts[token_id]

    def beginnings(self, lead: bytes, text: bytes) -> Iterator[int]:
        """The tokens that are `lead` and a beginning of `text`, which is not empty."""
        for size in range(len(text) + 1):
            yield from self._by_text.get(lead + text[:size], ())

    def closing(self, text: bytes) -> Iterator[int]:
        """The tokens that begin with `text`, which has a quotation mark."""
        for index in range(bisect_left(self._sorted, text), len(self._sorted)):
            if not self._sorted[index].startswith(text):
                return
            yield from self._by_text[self._sorted[index]]


def raw(text: str) -> bytes:
    """`text` as it stands in a JSON string, escaped as little as it can be."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="surrogatepass")


_structures: "weakref.WeakKeyDictionary[TokenTrie, Structure]" = weakref.WeakKeyDictionary()


def structure_of(trie: TokenTrie) -> Structure:
    """The tokens of `trie`, looked at once."""
    if trie not in _structures:
        _structures[trie] = Structure(trie)
    return _structures[trie]
