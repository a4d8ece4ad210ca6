"""Keys and values of past tokens, in blocks that sequences with the same beginning share.

A full block is known by its tokens and the block before it, so a new sequence finds the blocks of
its beginning, whoever computed them: keys and values follow from the tokens alone, to the last bit.
A block is free, or held by sequences, or kept: full, held by none, there to be found until its room
is needed; the one kept longest goes first. The array is made once, but the system gives memory only
to the blocks that were written to, so a block that was used before goes before one that never was.
"""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.parameters import is_integer

BLOCK_TOKENS = 16

Ids = npt.NDArray[np.int64]
_Key = tuple[int, bytes]  # serial number of the block before, tokens


class BlockCache:
    """The blocks.

    Parameters
    ----------
    layers, heads, size : of the model: layers, heads of keys and values, numbers of a head
    limit : bytes that the blocks may take, >= one block
    reuse : keep the blocks of sequences that have left, and let sequences share blocks

    Attributes
    ----------
    blocks : float32[blocks, layers, 2, heads, BLOCK_TOKENS, size], keys and values
    limit : as given
    """

    def __init__(self, layers: int, heads: int, size: int, limit: int, reuse: bool) -> None:
        shape = (layers, 2, heads, BLOCK_TOKENS, size)
        block_bytes = 4 * int(np.prod(shape, dtype=object))
        if not is_integer(limit) or limit < block_bytes:
            raise InvalidParameterError(
                f"`kv_cache_bytes` must be >= {block_bytes}, the keys and values of"
                f" {BLOCK_TOKENS} tokens. Given: {limit!r}"
            )
        self.limit = int(limit)
        try:
            self.blocks = np.empty((self.limit // block_bytes, *shape), np.float32)
        except (MemoryError, ValueError) as error:
            raise InvalidParameterError(
                f"`kv_cache_bytes` must be memory that can be had. Given: {limit}"
            ) from error
        self._reuse = reuse
        self.forget_all()

    def forget_all(self) -> None:
        """Nothing; all blocks are free, whatever was under way with them."""
        self._free = list(reversed(range(len(self.blocks))))
        self._holders = [0] * len(self.blocks)  # sequences
        self._found_by: dict[_Key, int] = {}
        self._key_of: dict[int, _Key] = {}
        self._serial_of: dict[int, int] = {}
        self._last_serial = 0
        self._kept: OrderedDict[int, None] = OrderedDict()

    @property
    def available(self) -> int:
        """Blocks that `take` can still give."""
        return len(self._free) + len(self._kept)

    def take(self) -> int | None:
        """A block to write to, held by the caller; None when all are held by sequences."""
        if self._free:
            block = self._free.pop()  # the one freed last, and those never used in ascending order
        elif self._kept:
            block, _ = self._kept.popitem(last=False)
            del self._found_by[self._key_of.pop(block)]
            del self._serial_of[block]
        else:
            return None
        self._holders[block] = 1
        return block

    def find(self, token_ids: Ids) -> list[int]:
        """The blocks of the longest known beginning of `token_ids`, held by the caller from now."""
        found: list[int] = []
        serial = 0
        for start in range(0, len(token_ids) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            key = serial, token_ids[start : start + BLOCK_TOKENS].tobytes()
            block = self._found_by.get(key)
            if block is None:
                break
            self._hold(block)
            serial = self._serial_of[block]
            found.append(block)
        return found

    def publish(self, blocks: list[int], token_ids: Ids, first: int) -> int:
        """Lets others find the full blocks of a sequence from number `first` on; their number.

        Where an equal block is known already, that one takes the place in `blocks`.
        """
        full = len(token_ids) // BLOCK_TOKENS
        if not self._reuse:
            return full
        serial = self._serial_of[blocks[first - 1]] if first else 0
        for number in range(first, full):
            start = number * BLOCK_TOKENS
            key = serial, token_ids[start : start + BLOCK_TOKENS].tobytes()
            known = self._found_by.get(key)
            if known is None:
                self._last_serial += 1
                self._found_by[key] = blocks[number]
                self._key_of[blocks[number]] = key
                self._serial_of[blocks[number]] = self._last_serial
            elif known != blocks[number]:
                self.give_back([blocks[number]])
                self._hold(known)
                blocks[number] = known
            serial = self._serial_of[blocks[number]]
        return full

    def _hold(self, block: int) -> None:
        self._kept.pop(block, None)
        self._holders[block] += 1

    def give_back(self, blocks: list[int]) -> None:
        """Ends the caller's hold; the last blocks of a sequence are the first to go."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block] == 0:
                if block in self._key_of:
                    self._kept[block] = None
                else:
                    self._free.append(block)
