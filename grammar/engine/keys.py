"""The keys that the objects of a text have, for grammars that leave keys free."""

import numpy as np
import numpy.typing as npt

from sampler.grammar.engine.token_block import TokenBlock
from sampler.kernels.grammar import keys
from sampler.kernels.grammar.keys import FIRST_PLACE, NO_ROOM

_FIRST_WORDS = 256


class KeyScanner:
    """Follows a text beside the automaton, see `sampler.kernels.grammar.keys`.

    A place in the text is a number > 0; 0 is where the text would repeat a key. Places stay what
    they are, so that matchers which were forked go on with one scanner. Not thread-safe.
    """

    first = FIRST_PLACE

    def __init__(self, tokens: TokenBlock) -> None:
        self._tokens = tokens
        self._block = np.zeros(keys.KEYS_BLOCK_SIZE, np.int64)
        self._address = int(self._block.ctypes.data)
        self._trail = np.zeros(keys.TRAIL_SIZE * (tokens.height + 2), np.int32)
        self._block[keys.TRAIL] = self._trail.ctypes.data
        self._block[keys.TRAIL + 1] = self._trail.size
        self._block[keys.KEY_TOKENS] = tokens.address
        self._block[keys.USED] = FIRST_PLACE + keys.PLACE_SIZE
        self._grow(np.zeros(_FIRST_WORDS, np.int32))

    def after_token(self, place: int, token_id: int, before: int, after: int) -> int:
        """The place after a token (0 <= id < vocabulary); 0 where a key is repeated.

        Between two positions of the automaton, which make no difference here.
        """
        return self._scan(place, token_id, 0, 0)

    def after_bytes(self, place: int, data: npt.NDArray[np.uint8], before: int, after: int) -> int:
        """The place after `data` (contiguous); 0 where a key is repeated."""
        return self._scan(place, -1, data.ctypes.data, data.size)

    def forbid_repeated(
        self, place: int, position: int, bitmask: npt.NDArray[np.int32], row: int
    ) -> None:
        """None; forbids the tokens that repeat a key in row `row` of `bitmask` (contiguous)."""
        while keys.forbid_repeated(self._address, place, bitmask, row) == NO_ROOM:
            self._grow(self._records)

    def _scan(self, place: int, token_id: int, data: int, size: int) -> int:
        after = keys.scan(self._address, place, token_id, data, size)
        while after == NO_ROOM:
            self._grow(self._records)
            after = keys.scan(self._address, place, token_id, data, size)
        return after

    def _grow(self, records: npt.NDArray[np.int32]) -> None:
        needed = int(self._block[keys.MISSING])
        self._records = np.zeros(max(2 * records.size, needed), np.int32)
        self._records[: records.size] = records
        self._block[keys.RECORDS] = self._records.ctypes.data
        self._block[keys.RECORDS + 1] = self._records.size
