"""The tokens of a vocabulary as tries of bytes, and the masks of those that are plain text.

The mask of a state is found by walking a trie: `TokenTrie.all` has every token that is text. Where
a JSON string may go on with anything, most tokens need no walk: those that are whole characters
without quotation mark, backslash and control characters are allowed as far as the string may still
grow. They are "plain"; `plain_masks` has them by the number of characters, and `rest` is the trie
of the others.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError
from sampler.grammar.bitmask import words_per_row
from sampler.grammar.engine.tokens_cache import Arrays, TokensCache, digest_of
from sampler.grammar.vocabulary import GrammarVocabulary
from sampler.kernels.grammar import memory
from sampler.kernels.grammar.trie import (
    join_families,
    lay_out,
    leading_keys,
    plain_lengths,
    plain_prefixes,
    shared_prefixes,
    sort_tokens,
)

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

MAX_PLAIN_LENGTH = 128  # longer tokens are left to the walk: they would double the masks
_QUOTE = 0x22


@dataclass(frozen=True, slots=True, eq=False)
class ByteTrie:
    """Tokens as a trie, the children of each node together, ascending by byte.

    There is no node for the empty text; the first nodes are those at the top.

    Attributes
    ----------
    nodes : int64[nodes], of each its byte, whether it is the last child, how many tokens it spells
        itself, and its first child; see `sampler.kernels.grammar.memory`
    first_token, end_token : int32[nodes]; node i spells the tokens ``token_ids[first_token[i] :
        first_token[i] + own]`` (several ids may have the same bytes), and its subtree has
        ``token_ids[first_token[i] : end_token[i]]``
    token_ids : int32[tokens], in the order of their bytes
    """

    nodes: Longs
    first_token: Ints
    end_token: Ints
    token_ids: Ints

    @property
    def roots(self) -> Ints:
        """int32[257], the node at the top for each byte, -1 for none; then how many there are."""
        found = np.full(memory.NODE_BYTE + 2, -1, np.int32)
        tops = self.nodes[: memory.NODE_BYTE + 1]  # there cannot be more
        last = np.flatnonzero(tops & memory.LAST_CHILD)
        count = int(last[0]) + 1 if last.size else 0
        found[tops[:count] & memory.NODE_BYTE] = np.arange(count)
        found[-1] = count
        return found


_TRIE_ARRAYS = tuple(field.name for field in fields(ByteTrie))


@dataclass(frozen=True, slots=True, eq=False)
class TokenArrays:
    """What is made of the bytes of a vocabulary, and kept on disk.

    Attributes
    ----------
    data : uint8[bytes], the text of all tokens, one after the other
    starts : int64[vocab + 1], where each token begins in `data`; empty where it is not text
    plain_lengths : int32[vocab], the code points of a plain token, else 0
    all, rest : the trie of every token that is text, and of those that are not plain
    """

    data: Bytes
    starts: Longs
    plain_lengths: Ints
    all: ByteTrie
    rest: ByteTrie

    def to_list(self) -> Arrays:
        """The arrays in a fixed order."""
        tries = [getattr(trie, name) for trie in (self.all, self.rest) for name in _TRIE_ARRAYS]
        return [self.data, self.starts, self.plain_lengths, *tries]

    @classmethod
    def from_list(cls, arrays: Arrays) -> "TokenArrays":
        """What `to_list` gave."""
        (data, starts, plain_lengths), tries = arrays[:3], iter(arrays[3:])
        of_all = ByteTrie(**{name: next(tries) for name in _TRIE_ARRAYS})
        of_rest = ByteTrie(**{name: next(tries) for name in _TRIE_ARRAYS})
        return cls(data, starts, plain_lengths, of_all, of_rest)


class TokenTrie:
    """The tokens of one vocabulary as the automaton needs them; immutable, shared by grammars.

    Special tokens, ends of sequence and tokens without bytes are not text, and in no trie.

    Parameters
    ----------
    vocabulary : its tokens are read once
    cache_folder : where the arrays are kept for the next process; None is the user's cache

    Attributes
    ----------
    vocab_size : number of token ids
    eos_token_ids : ids that end a sequence
    special_token_ids : ids with bytes that are not text
    height : bytes of the longest token that is text
    data, starts : the text of token t is ``data[starts[t] : starts[t + 1]]``
    all, rest : the trie of every token that is text, and of those that are not plain
    tails : the trie of those that are not plain, each without the plain characters that it begins
        with: what a string goes on with that takes any of them
    plain_lengths : int32[vocab], the code points of each plain token (1 to `plain_budget`), else 0
    plain_masks : uint32[plain_budget + 1, words], the plain tokens of at most so many code points
    plain_budget : the code points of the longest plain token, at most `MAX_PLAIN_LENGTH`; with so
        many left or more, every plain token fits
    single_byte : bool[256], the bytes that are a token by themselves
    two_quotes, three_quotes : int32, the ids of tokens with at least so many quotation marks

    Raises
    ------
    GrammarError : a vocabulary without an end-of-sequence token
    """

    def __init__(self, vocabulary: GrammarVocabulary, cache_folder: Path | None = None) -> None:
        self.vocab_size = int(vocabulary.size)
        self.eos_token_ids = tuple(int(token_id) for token_id in vocabulary.eos_token_ids)
        if not self.eos_token_ids:
            raise GrammarError(
                "a grammar needs an end-of-sequence token: `eos_token_ids` of the vocabulary is"
                " empty, so nothing could end the text"
            )
        self.special_token_ids = frozenset(
            filter(vocabulary.token_bytes, vocabulary.special_token_ids)
        )
        arrays = _arrays_of(token_texts(vocabulary), TokensCache(cache_folder))
        self._arrays = arrays
        self.data, self.starts = arrays.data, arrays.starts
        self.all, self.rest = arrays.all, arrays.rest
        self.height = int(np.diff(self.starts).max(initial=0))
        self.tails = _tails(self.data, self.starts, self.rest.token_ids)
        self.plain_lengths = arrays.plain_lengths
        self.plain_masks = _plain_masks(self.plain_lengths)
        self.plain_budget = len(self.plain_masks) - 1
        self.single_byte = _single_bytes(self.all)
        quotes = _count_quotes(self.data, self.starts)
        self.two_quotes: Ints = np.flatnonzero(quotes >= 2).astype(np.int32)
        self.three_quotes: Ints = np.flatnonzero(quotes >= 3).astype(np.int32)

    def token_bytes(self, token_id: int) -> bytes:
        """The text of `token_id` (0 to `vocab_size` - 1); b"" where it is not text."""
        return self.data[self.starts[token_id] : self.starts[token_id + 1]].tobytes()

    @property
    def digest(self) -> str:
        """A hash over the texts of all tokens, their places, and which of them end a sequence."""
        found = hashlib.sha256(self.data.tobytes())
        for part in (self.starts, np.array(self.eos_token_ids, np.int64)):
            found.update(np.ascontiguousarray(part, np.int64).tobytes())
        return found.hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (*self._arrays.to_list(), self.plain_masks))


def _arrays_of(texts: tuple[bytes, ...], cache: TokensCache) -> TokenArrays:
    """The arrays of a vocabulary with these token texts, from `cache` if it has them."""
    digest = digest_of(texts)
    kept = cache.load(digest)
    if kept is not None:
        return TokenArrays.from_list(kept)
    arrays = build(texts)
    cache.store(digest, arrays.to_list())
    return arrays


def token_texts(vocabulary: GrammarVocabulary) -> tuple[bytes, ...]:
    """The bytes of each token of `vocabulary`, b"" where it is not text.

    A vocabulary may have `all_token_bytes`, a sequence of what `token_bytes` gives for each id:
    that saves a call for each.
    """
    given = getattr(vocabulary, "all_token_bytes", None)
    size = int(vocabulary.size)
    texts = list(map(vocabulary.token_bytes, range(size))) if given is None else list(given)
    for token_id in vocabulary.special_token_ids.union(vocabulary.eos_token_ids):
        texts[token_id] = b""
    return tuple(texts)


def build(texts: tuple[bytes, ...]) -> TokenArrays:
    """The arrays of a vocabulary with these token texts."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    data = np.frombuffer(bytearray(b"".join(texts)), np.uint8)  # writable, as from disk
    plain = np.empty(len(texts), np.int32)
    plain_lengths(data, starts, plain)
    plain[plain > MAX_PLAIN_LENGTH] = 0
    order = _sorted(data, starts, np.flatnonzero(lengths).astype(np.int32))
    rest = np.ascontiguousarray(order[plain[order] == 0])
    return TokenArrays(data, starts, plain, _trie(data, starts, order), _trie(data, starts, rest))


def _sorted(data: Bytes, starts: Longs, order: Ints) -> Ints:
    """The tokens `order`, sorted by their bytes; the same array."""
    keys = np.empty(len(starts) - 1, np.int64)
    leading_keys(data, starts, keys)
    sort_tokens(data, starts, keys, order, np.empty_like(order))
    return order


def _tails(data: Bytes, starts: Longs, token_ids: Ints) -> ByteTrie:
    """The trie of the tokens `token_ids` without the plain characters that they begin with."""
    sizes = np.empty(len(token_ids), np.int64)
    plain_prefixes(data, starts, token_ids, sizes)
    begins, lengths = starts[token_ids] + sizes, starts[token_ids + 1] - starts[token_ids] - sizes
    tail_starts = np.zeros(len(token_ids) + 1, np.int64)
    np.cumsum(lengths, out=tail_starts[1:])
    places = np.arange(tail_starts[-1]) + np.repeat(begins - tail_starts[:-1], lengths)
    tails = np.ascontiguousarray(data[places])
    order = _sorted(tails, tail_starts, np.arange(len(token_ids), dtype=np.int32))
    trie = _trie(tails, tail_starts, order)
    return replace(trie, token_ids=np.ascontiguousarray(token_ids[order]))


def _trie(data: Bytes, starts: Longs, order: Ints) -> ByteTrie:
    """The trie of the tokens `order`, which are sorted by their bytes."""
    shared = np.empty(len(order), np.int32)
    count = shared_prefixes(data, starts, order, shared)
    nodes = (
        np.empty(count, np.uint8),
        np.empty(count, np.int32),
        np.empty(count + 1, np.int32),
    )
    longest = int(np.diff(starts).max(initial=0))
    lay_out(data, starts, order, shared, nodes, np.empty(longest, np.int32))
    families = (np.zeros(count, np.int64), np.empty(count, np.int32), np.empty(count, np.int32))
    join_families(nodes, families, np.empty(count, np.int32))
    return ByteTrie(*families, token_ids=order)


def _plain_masks(lengths: Ints) -> Words:
    """``uint32[longest + 1, words]``: the plain tokens of at most so many code points."""
    masks = np.zeros((int(lengths.max(initial=0)) + 1, words_per_row(len(lengths))), np.uint32)
    ids = np.flatnonzero(lengths)
    bits = np.left_shift(np.uint32(1), (ids % 32).astype(np.uint32))
    np.bitwise_or.at(masks, (lengths[ids], ids // 32), bits)
    np.bitwise_or.accumulate(masks, axis=0, out=masks)
    return masks


def _single_bytes(trie: ByteTrie) -> npt.NDArray[np.bool_]:
    found = np.zeros(memory.NODE_BYTE + 1, np.bool_)
    tops = trie.nodes[: trie.roots[-1]]
    found[tops & memory.NODE_BYTE] = tops >> memory.OWN_TOKENS & memory.OWN_MASK > 0
    return found


def _count_quotes(data: Bytes, starts: Longs) -> Longs:
    """The quotation marks of each token."""
    before = np.zeros(len(data) + 1, np.int64)
    np.cumsum(data == _QUOTE, out=before[1:])
    counts: Longs = np.diff(before[starts])
    return counts
