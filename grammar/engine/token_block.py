"""The tokens of a vocabulary as the kernels of the automaton see them: one block of addresses."""

import re
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sampler.grammar.engine.spellable import spellable_points
from sampler.grammar.engine.tokens import ByteTrie, TokenTrie
from sampler.kernels.grammar import memory
from sampler.kernels.grammar.trie import string_lengths

_IN_STRING = re.compile(rb'(?:[^"\\\x00-\x1f]|\\.)*+\\?', re.DOTALL)
_FIRST_PRINTABLE = 0x20
_ALL_POINTS = 0x110000 - 0x800  # without surrogates
_NO_SLICES = -3  # a budget that no set of plain tokens has


class TokenBlock:
    """Leads the kernels to the arrays of `trie`, which is kept alive.

    Attributes
    ----------
    address : where the block is; valid as long as this object lives
    height : bytes of the longest token
    usable : bool[256], the bytes that may be allowed: those that are a token by themselves
    """

    def __init__(self, trie: TokenTrie) -> None:
        self.trie = trie
        self.height = trie.height
        block = self._block = np.zeros(memory.TOKENS_SIZE, np.int64)
        self.address = int(block.ctypes.data)
        self._eos = np.asarray(trie.eos_token_ids, np.int32)
        self.usable = trie.single_byte
        self._single_byte = trie.single_byte.astype(np.uint8)
        self._roots = trie.all.roots
        self._put_trie(memory.ALL_TOKENS, trie.all)
        self._put_trie(memory.REST_TOKENS, trie.rest)
        self._put_trie(memory.TAIL_TOKENS, trie.tails)
        self._put(memory.PLAIN_MASKS, trie.plain_masks)
        self._put(memory.TOKEN_DATA, trie.data)
        self._put(memory.TOKEN_STARTS, trie.starts)
        self._put(memory.EOS, self._eos)
        self._put(memory.SINGLE_BYTE, self._single_byte)
        self._put(memory.TWO_QUOTES, trie.two_quotes)
        self._put(memory.THREE_QUOTES, trie.three_quotes)
        self._put(memory.ROOTS, self._roots)
        self._lengths = np.empty(len(trie.rest.token_ids), np.int32)
        string_lengths(trie.data, trie.starts, trie.rest.token_ids, self._lengths)
        self._put(memory.STRING_LENGTHS, self._lengths)
        block[memory.VOCAB_SIZE] = trie.vocab_size
        block[memory.MASK_SIZE] = trie.plain_masks.shape[1]
        block[memory.HEIGHT] = self.height
        block[memory.MISSES_TAILS] = not trie.single_byte[0x80:0xC0].all()
        block[memory.STRING_REACH] = self._string_reach()
        block[memory.PLAIN_BUDGET] = trie.plain_budget if self._spells_plain() else _NO_SLICES

    @cached_property
    def spellable(self) -> npt.NDArray[np.bool_] | None:
        """bool[0x110000], the code points that UTF-8 can write; None if these are all of them."""
        if self.usable[:0xC0].all() and self.usable[0xC2:0xF5].all():
            return None
        points = spellable_points(self.usable)
        return None if points.sum() == _ALL_POINTS else points

    @cached_property
    def unspelled(self) -> bytes:
        """The bytes that texts are likely to need, beside other control characters, and lack."""
        needed = (0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF5))
        return bytes(byte for byte in needed if not self.usable[byte])

    @cached_property
    def spells_all(self) -> bool:
        """Whether every byte that a grammar is likely to ask for is usable."""
        return bool(self.usable[0x20:0x7F].all() and self.usable[[0x09, 0x0A, 0x0D]].all())

    def _spells_plain(self) -> bool:
        """Whether each byte of a plain token is a token by itself."""
        used = np.unique(self.trie.all.nodes & memory.NODE_BYTE)
        plain = used[(used >= 0x20) & (used <= 0xF4) & (used != 0xC0) & (used != 0xC1)]
        return bool(self.trie.single_byte[plain].all())

    def _string_reach(self) -> int:
        """How many bytes of a token that is not plain may go on a JSON string, at most.

        No string has a control character, so tokens with one before the end of it do not count.
        """
        data, starts = self.trie.data.tobytes(), self.trie.starts
        ids = self.trie.rest.token_ids
        reach = 0
        for start, end in zip(starts[ids].tolist(), starts[ids + 1].tolist(), strict=True):
            if end - start > reach:
                inside = _IN_STRING.match(data, start, end)
                last = inside.end() if inside else start
                if last == end or data[last] >= _FIRST_PRINTABLE:
                    reach = max(reach, last - start)
        return reach

    def _put_trie(self, field: int, trie: ByteTrie) -> None:
        self._put(field, trie.nodes)
        self._put(field + memory.FIRST_TOKEN, trie.first_token)
        self._put(field + memory.END_TOKEN, trie.end_token)
        self._put(field + memory.TOKEN_IDS, trie.token_ids)

    def _put(self, field: int, array: npt.NDArray[np.generic]) -> None:
        self._block[field] = array.ctypes.data
        self._block[field + 1] = array.size
