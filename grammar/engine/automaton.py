"""The automaton of a program: the memory its kernels work in, and what they need from Python.

The kernels know the automaton by the address of one block (`sampler.kernels.grammar.memory`). Here
its arrays are made and grown, and what a kernel asks for is brought: cells of a frame that nobody
has called before, the row of a text state, more room.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.budget import Budget
from sampler.grammar.engine.program import Program
from sampler.grammar.engine.spellable import check_cells
from sampler.grammar.engine.text_states import TextStates
from sampler.grammar.engine.token_block import TokenBlock
from sampler.kernels.grammar import memory
from sampler.kernels.grammar.matching import REINDEX, START, follow
from sampler.limits import AutomatonLimits

_DTYPES: dict[int, Any] = {
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
# Enough for most texts: to make an array larger takes as long as a mask, and of one that is made
# large at once the system brings only the pages that are written to.
_FIRST_SIZES = {
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
_UNSET = frozenset(  # nothing is read that was not written; to clear them would take long
    (
        memory.STATES,
        memory.STATE_HASHES,
        memory.CONFIGURATIONS,
        memory.ROWS,
        memory.ACTIONS,
        memory.FOUND,
        memory.KEPT_MASKS,
        memory.MEMO_VALUES,
        memory.STACKS,
        memory.BASES,
        memory.MEMO,
    )
)
_POOLS = (  # of what elements are in use: where their number stands, and how many each is; bytes
    (memory.ROWS, memory.ROW_COUNT, 1, 4),
    (memory.KEPT_MASKS, memory.MASK_COUNT, 1, 4),
    (memory.CONFIGURATIONS, memory.CONFIGURATION_COUNT, 4, 8),
    (memory.STATES, memory.STATE_COUNT, memory.STATE_SIZE, 4),
)
_FIRST_NUMBERS = {  # state 0 is none and 1 is dead; what is 0 elsewhere means "none"
    memory.STATE_COUNT: 2,
    memory.ROW_COUNT: 1,
    memory.MASK_COUNT: 1,
    memory.WALK_NODE: -1,
}


class Automaton:
    """Follows a program over the tokens of one vocabulary. Not thread-safe.

    Parameters
    ----------
    program : what is followed; its frames are written when they are needed
    tokens : what masks are made of
    limits : what it may take

    Attributes
    ----------
    address : where its block is; valid as long as this object lives

    Raises
    ------
    GrammarError : a program whose frame 0 is not there
    """

    def __init__(self, program: Program, tokens: TokenBlock, limits: AutomatonLimits) -> None:
        self._program = program
        self._tokens = tokens
        self._limits = limits
        self._arrays: dict[int, npt.NDArray[Any]] = {}
        self._allocated = 0  # bytes of all arrays
        self._text_bytes = 0  # an estimate of what was made in all steps
        self._block = np.zeros(memory.BLOCK_SIZE, np.int64)
        self.address = int(self._block.ctypes.data)
        self._block[memory.TOKENS] = tokens.address
        for field, size in _FIRST_SIZES.items():
            self._allocate(field, size)
        # a sliced walk lists what it finds, so that it can be kept without the plain tokens; of
        # others few ids are shorter than words
        words = tokens.trie.plain_masks.shape[1]
        self._allocate(memory.LISTED, max(words, len(tokens.trie.rest.token_ids)))
        self._allocate(memory.LOOP_MASK, words)
        self._allocate(memory.LEVELS, (tokens.height + 2) * (memory.LEVEL_SIZE + 2))
        for number, value in _FIRST_NUMBERS.items():
            self._block[number] = value
        self._block[memory.MAX_FOUND] = limits.max_courses
        self._block[memory.MAX_STATES] = limits.max_states
        self._block[memory.MAX_STACKS] = limits.max_stacks
        self._block[memory.MAX_KEPT_WORDS] = limits.mask_bytes // 4
        self._text_states = TextStates(self, tokens.spellable, limits.max_text_states)
        program.write_frame(0)
        self._read_program()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the large ones as far as they are in use."""
        block, used = self._block.data, self._allocated
        for field, count, size, width in _POOLS:
            used -= width * (block[field + 1] - size * block[count])
        return used

    @property
    def is_half_full(self) -> bool:
        """Whether some limit is nearer than the beginning."""
        limits, block = self._limits, self._block
        return bool(
            2 * self.nbytes > limits.max_bytes
            or 2 * self._text_bytes > limits.max_text_bytes
            or 2 * len(self._text_states) > limits.max_text_states
            or 2 * block[memory.STATE_COUNT] > limits.max_states
            or 2 * block[memory.STACKS + memory.PAIR_COUNT] > limits.max_stacks
        )

    def write_ahead(self, seconds: float) -> None:
        """None; writes frames that nobody has called yet, those of the beginning first.

        About as long as `seconds`. What cannot be written is left to whoever calls it.
        """
        program, frame = self._program, 0
        end = time.perf_counter() + seconds
        with contextlib.suppress(GrammarError):
            while frame < len(program.frame_starts) and time.perf_counter() < end:
                program.write_frame(frame)
                frame += 1
        self._read_program()

    def follow(self, operation: int, position: int, number: int, size: int) -> int:
        """What the kernel `follow` gives once it has got all that it needs.

        Raises
        ------
        GrammarLimitError, GrammarError : see `serve`
        """
        result = follow(self.address, operation, position, number, size)
        if result < 0:
            with self.step():
                while result < 0:
                    self.serve()
                    result = follow(self.address, operation, position, number, size)
        return result

    def start(self) -> int:
        """The position at the beginning of a text; 0 if there is no text."""
        return self.follow(START, 0, 0, 0)

    def accepts(self, position: int) -> bool:
        """Whether the text may end at `position`."""
        if position >> 32:
            return False
        return bool(self._arrays[memory.STATES][position * memory.STATE_SIZE + memory.ACCEPTS])

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """What is served inside of it is one step, with one budget.

        Raises
        ------
        GrammarLimitError : the steps so far have taken all the memory that there is for texts
        """
        limit = self._limits.max_text_bytes
        if self._text_bytes > limit:
            raise GrammarLimitError("bytes of the texts of a grammar", self._text_bytes, limit)
        budget = Budget(self._limits.step_seconds, self._limits.max_bytes)
        try:
            with budget:
                yield
        finally:
            self._text_bytes += budget.nbytes

    def serve(self) -> None:
        """None; brings what the last call of a kernel ended for, so that it can be made again.

        Inside of `step`.

        Raises
        ------
        GrammarLimitError : one of the limits is passed
        GrammarError : a program that breaks its promises
        """
        status, request, needed = self._block[memory.STATUS : memory.NEEDED + 1].tolist()
        if status == memory.NEED_ROOM:
            self._grow(request, needed)
        elif status == memory.NEED_FRAME:
            self._program.write_frame(request)
            self._read_program()
        elif status == memory.NEED_ROW:
            self._text_states.load_row(request)
        elif status == memory.LIMIT:
            self._pass_limit(request, needed)
        else:
            raise GrammarError(
                "the program of the grammar is broken: a frame that closes does not end with its"
                " bracket, or a cell is missing"
            )

    def put(self, field: int, array: npt.NDArray[Any]) -> None:
        """None; makes `array` (contiguous) the array of `field`."""
        old = self._arrays.get(field)
        self._allocated += array.nbytes - (old.nbytes if old is not None else 0)
        self._arrays[field] = array
        self._block[field] = array.ctypes.data
        self._block[field + 1] = array.size

    def put_number(self, field: int, value: int) -> None:
        """None; sets a number of the block."""
        self._block[field] = value

    def room(self, field: int, size: int) -> npt.NDArray[Any]:
        """The array of `field`, grown to at least `size` elements."""
        array = self._arrays.get(field)
        if array is None or array.size < size:
            array = self._allocate(field, size)
        return array

    def forget_canonical_states(self) -> None:
        """None; the states that stand for others are looked for anew."""
        self._arrays[memory.STATES][memory.CANONICAL :: memory.STATE_SIZE] = 0

    def _allocate(self, field: int, size: int) -> npt.NDArray[Any]:
        old = self._arrays.get(field)
        room = max(size, 2 * old.size if old is not None else 0)
        if field in _INDEXED or field == memory.SEEN:
            room = 1 << (room - 1).bit_length()
        if field in _UNSET:
            array = np.empty(room, _DTYPES.get(field, np.int32))
            array[: 2 * memory.STATE_SIZE] = 0  # the first elements mean "none"
        else:
            array = np.zeros(room, _DTYPES.get(field, np.int32))
        if old is not None and field not in _INDEXED and field != memory.SEEN:
            array[: old.size] = old
        self.put(field, array)
        return array

    def _grow(self, field: int, needed: int) -> None:
        self._allocate(field, needed)
        if field == memory.FOUND:
            self._allocate(memory.SEEN, self._arrays[field].size)
        if field in _INDEXED:
            follow(self.address, REINDEX, 0, _INDEXED[field], 0)
        if self.nbytes > self._limits.max_bytes:
            raise GrammarLimitError(
                "bytes of the automaton of a grammar", self.nbytes, self._limits.max_bytes
            )

    def _pass_limit(self, request: int, needed: int) -> NoReturn:
        what, limit = {
            memory.MAX_FOUND: ("courses of a grammar at once", self._limits.max_courses),
            memory.MAX_STATES: ("states of a grammar", self._limits.max_states),
            memory.MAX_STACKS: ("stacks of a grammar", self._limits.max_stacks),
        }[request]
        raise GrammarLimitError(what, needed, limit)

    def _read_program(self) -> None:
        """None; copies what the program has more than before."""
        program = self._program
        if not self._tokens.spells_all:
            check_cells(program, int(self._block[memory.CELL_COUNT]), self._tokens.usable)
        known, end = int(self._block[memory.CELL_COUNT]), len(program.ops)
        ops, arguments = self.room(memory.OPS, end), self.room(memory.ARGUMENTS, end)
        ops[known:end] = np.frombuffer(program.ops, np.uint8)[known:]
        arguments[known:end] = np.frombuffer(program.arguments, np.int64)[known:]
        self._block[memory.CELL_COUNT] = end
        frames = len(program.frame_starts)
        self.room(memory.FRAME_STARTS, frames)[:frames] = program.frame_starts
        self.room(memory.FRAME_CLOSES, frames)[:frames] = program.frame_closes
        if program.masks:
            self.room(memory.MASKS, len(program.masks))[: len(program.masks)] = program.masks
        sets = b"".join(program.byte_sets)
        if sets:
            self.room(memory.BYTE_SETS, len(sets))[: len(sets)] = np.frombuffer(sets, np.uint8)
        self._text_states.read(program.texts)
