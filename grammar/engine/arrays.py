"""The arrays of an automaton, and the block of addresses by which the kernels find them."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.kernels.grammar import memory
from sampler.kernels.grammar.matching import REINDEX, follow

Array = npt.NDArray[Any]

_DTYPES: dict[int, type[np.generic]] = {
    **dict.fromkeys((memory.OPS, memory.FRAME_CLOSES, memory.BYTE_SETS), np.uint8),
    **dict.fromkeys(
        (
            memory.ARGUMENTS,
            memory.MASKS,
            memory.TEXTS,
            memory.STATE_HASHES,
            memory.CONFIGURATIONS,
            memory.FOUND,
            memory.SEEN,
            memory.PATH,
            memory.STACKS,
            memory.BASES,
            memory.MEMO,
        ),
        np.int64,
    ),
}
_INDEXED = {
    memory.STATE_INDEX: memory.STATES,
    **{table + memory.PAIR_INDEX: table for table in (memory.STACKS, memory.BASES, memory.MEMO)},
}
# Enough for most texts: to make an array larger takes as long as a mask, and of memory that is
# asked for at once the system brings only the pages that are written to.
_FIRST_SIZES = {
    memory.OPS: 1024,
    memory.ARGUMENTS: 1024,
    memory.FRAME_STARTS: 256,
    memory.FRAME_CLOSES: 256,
    memory.BYTE_SETS: 8 * 256,
    memory.MASKS: 64,
    memory.TEXTS: 64 * memory.TEXT_SIZE,
    memory.CLASSES: 2048,
    memory.TEXT_STATES: 512 * memory.TEXT_STATE_SIZE,
    memory.TEXT_ROWS: 4096,
    memory.STATES: 2048 * memory.STATE_SIZE,
    memory.STATE_HASHES: 2048,
    memory.STATE_INDEX: 4096,
    memory.CONFIGURATIONS: 4 * 4096,
    memory.ROWS: 131072,
    memory.ACTIONS: 1024,
    memory.FOUND: 4 * 256,
    memory.SEEN: 1024,
    memory.PATH: 32,
    memory.KEPT_MASKS: 131072,
    memory.MEMO_VALUES: 512,
    memory.STACKS: 1024,
    memory.STACKS + memory.PAIR_INDEX: 1024,
    memory.BASES: 512,
    memory.BASES + memory.PAIR_INDEX: 512,
    memory.MEMO: 1024,
    memory.MEMO + memory.PAIR_INDEX: 1024,
}
# Of all others nothing is read that was not written, but first elements, which mean "none": to
# clear them would take long.
_CLEARED = frozenset((memory.TEXT_STATES, memory.SEEN, *_INDEXED))
_NUMBERED_FROM_ONE = (
    memory.STATES,
    memory.ROWS,
    memory.ACTIONS,
    memory.CONFIGURATIONS,
    memory.KEPT_MASKS,
    memory.MEMO_VALUES,
    memory.STACKS,
    memory.BASES,
    memory.MEMO,
)
_HEAD = 2 * memory.STATE_SIZE
_POOLS = (  # of what elements are in use: where their number stands, and how many each is; bytes
    (memory.ROWS, memory.ROW_COUNT, 1, 4),
    (memory.KEPT_MASKS, memory.MASK_COUNT, 1, 4),
    (memory.CONFIGURATIONS, memory.CONFIGURATION_COUNT, 4, 8),
    (memory.STATES, memory.STATE_COUNT, memory.STATE_SIZE, 4),
)
_ALIGNMENT = 64  # bytes


class AutomatonArrays:
    """The memory of one automaton, see `sampler.kernels.grammar.memory`. Not thread-safe.

    Parameters
    ----------
    words : of a mask, 32 bits each
    listed : tokens that a walk lists
    height : bytes of the longest token

    Attributes
    ----------
    block : int64[BLOCK_SIZE], where each array is and how large, and numbers
    address : where the block is; valid as long as this object lives
    """

    def __init__(self, words: int, listed: int, height: int) -> None:
        first, self._offsets, sizes = _layout(words, listed, height)
        self.block = first.copy()
        self.address = int(self.block.ctypes.data)
        self._arrays: dict[int, Array] = {}  # of those that have grown, or were asked for
        self._first = (np.zeros(sizes[0], np.uint8), np.empty(sizes[1], np.uint8))
        self._allocated = sum(sizes)  # bytes of all arrays
        starts = [part.ctypes.data for part in self._first]
        for field, (part, _) in self._offsets.items():
            self.block[field] += starts[part]
        for field in _NUMBERED_FROM_ONE:
            self[field][:_HEAD] = 0

    def __getitem__(self, field: int) -> Array:
        """The array of `field`, as it is now."""
        array = self._arrays.get(field)
        if array is None:
            part, start = self._offsets[field]
            dtype = np.dtype(_DTYPES.get(field, np.int32))
            end = start + int(self.block[field + 1]) * dtype.itemsize
            array = self._arrays[field] = self._first[part][start:end].view(dtype)
        return array

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the large ones as far as they are in use."""
        block, used = self.block.data, self._allocated
        for field, count, size, width in _POOLS:
            used -= width * (block[field + 1] - size * block[count])
        return used

    def room(self, field: int, size: int) -> Array:
        """The array of `field`, grown to at least `size` elements."""
        array = self[field]
        return array if array.size >= size else self.grow(field, size)

    def grow(self, field: int, size: int) -> Array:
        """The array of `field`, larger than before and of at least `size` elements."""
        old = self[field]
        room = max(size, 2 * old.size)
        if field in _INDEXED or field == memory.SEEN:
            room = 1 << (room - 1).bit_length()
        array: Array = (np.zeros if field in _CLEARED else np.empty)(room, old.dtype)
        if field not in _INDEXED and field != memory.SEEN:
            array[: old.size] = old
        # what it was first is a part of an array that stays
        self._allocated += array.nbytes - (old.nbytes if old.base is None else 0)
        self._arrays[field] = array
        self.block[field] = array.ctypes.data
        self.block[field + 1] = array.size
        if field == memory.FOUND:
            self.grow(memory.SEEN, array.size)
        if field in _INDEXED:
            follow(self.address, REINDEX, 0, _INDEXED[field], 0)
        return array


@functools.lru_cache(maxsize=16)
def _layout(
    words: int, listed: int, height: int
) -> tuple[npt.NDArray[np.int64], dict[int, tuple[int, int]], tuple[int, int]]:
    """(block of offsets, the part of each array and where it begins there, bytes of both parts).

    The first part is cleared, the second is not.
    """
    block = np.zeros(memory.BLOCK_SIZE, np.int64)
    offsets, ends = {}, [0, 0]
    sizes = _FIRST_SIZES | {
        memory.LISTED: listed,
        memory.LOOP_MASK: words,
        # what the temporary bases are is behind the levels
        memory.LEVELS: (height + 2) * (memory.LEVEL_SIZE + 2),
    }
    for field, size in sizes.items():
        part = 0 if field in _CLEARED else 1
        offsets[field] = part, ends[part]
        block[field], block[field + 1] = ends[part], size
        size_of_one = np.dtype(_DTYPES.get(field, np.int32)).itemsize
        ends[part] += -(-size * size_of_one // _ALIGNMENT) * _ALIGNMENT
    return block, offsets, (ends[0], ends[1])
