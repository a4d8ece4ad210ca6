"""Texts through masks: a token is taken only where its bit is set, and the end of sequence too."""

from collections.abc import Iterable
from typing import Any

from sampler.grammar import GrammarMatcher, allocate_token_bitmask


class Feeder:
    """Feeds texts as they are written, byte for byte: no tokenizer normalises them.

    Parameters
    ----------
    vocabulary : a `GrammarVocabulary` that has every single byte as a token
    """

    def __init__(self, vocabulary: Any) -> None:
        self._vocabulary = vocabulary
        self._bitmask = allocate_token_bitmask(1, vocabulary.size)
        self._words = self._bitmask[0]
        self._ids: dict[bytes, int] = {}
        for token_id in range(vocabulary.size):
            if token_id not in vocabulary.special_token_ids:
                self._ids.setdefault(vocabulary.token_bytes(token_id), token_id)
        self._ids.pop(b"", None)
        self._longest = max(map(len, self._ids))
        self._end = vocabulary.eos_token_ids[0]

    def bytewise(self, data: bytes) -> list[int]:
        """One token for each byte."""
        return [self._ids[data[i : i + 1]] for i in range(len(data))]

    def longest(self, data: bytes) -> list[int]:
        """At each place the longest token that fits."""
        return self._split(data, lambda sizes: sizes[0])

    def drawn(self, data: bytes, choice: Any) -> list[int]:
        """At each place any token that fits, drawn by `choice`, a `random.Random`."""
        return self._split(data, choice.choice)

    def _split(self, data: bytes, choose: Any) -> list[int]:
        ids, at = [], 0
        while at < len(data):
            sizes = [
                size
                for size in range(min(self._longest, len(data) - at), 0, -1)
                if data[at : at + size] in self._ids
            ]
            size = choose(sizes)
            ids.append(self._ids[data[at : at + size]])
            at += size
        return ids

    def refused_at(self, matcher: GrammarMatcher, token_ids: Iterable[int]) -> int | None:
        """The index of the first token whose bit is not set; None where a whole text is taken.

        `len(token_ids)` where the end of sequence is refused. Bits and `accept_token` must agree.
        """
        for place, token_id in enumerate([*token_ids, self._end]):
            matcher.fill_next_token_bitmask(self._bitmask, 0)
            is_allowed = bool(int(self._words[token_id >> 5]) >> (token_id & 31) & 1)
            is_taken = matcher.accept_token(token_id)
            assert is_taken == is_allowed, (token_id, is_taken, is_allowed)
            if not is_taken:
                return place
        return None

    def takes(self, grammar: Any, token_ids: Iterable[int]) -> bool:
        """Whether the masks of `grammar` allow all of `token_ids`, and the end after them."""
        return self.refused_at(grammar.matcher(), token_ids) is None
