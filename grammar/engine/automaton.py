"""The automaton of a program, and what its kernels need from Python.

The kernels know the automaton by the address of one block (`arrays`). Here what a kernel asks for
is brought: cells of a frame that nobody has called before, the row of a text state, more room.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.budget import Budget
from sampler.grammar.engine.arrays import AutomatonArrays
from sampler.grammar.engine.program import Program
from sampler.grammar.engine.spellable import check_cells
from sampler.grammar.engine.text_states import TextStates
from sampler.grammar.engine.token_block import TokenBlock
from sampler.grammar.engine.tokens import TokenTrie
from sampler.kernels.grammar import memory
from sampler.kernels.grammar.found import WIDTH
from sampler.kernels.grammar.matching import BYTES, START, follow
from sampler.limits import AutomatonLimits

_FIRST_NUMBERS = {  # state 0 is none and 1 is dead; what is 0 elsewhere means "none"
    memory.STATE_COUNT: 2,
    memory.ROW_COUNT: 1,
    memory.MASK_COUNT: 1,
    memory.WALK_NODE: -1,
}


_BYTES = 256  # of a byte set
_ALL_BYTES = np.arange(_BYTES, dtype=np.uint8)
_BYTES_ADDRESS = int(_ALL_BYTES.ctypes.data)


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
        self._text_bytes = 0  # an estimate of what was made in all steps
        # a sliced walk lists what it finds, so that it can be kept without the plain tokens; of
        # others few ids are shorter than words
        trie = tokens.trie
        words = trie.plain_masks.shape[1]
        listed = max(words, len(trie.rest.token_ids))
        self._arrays = AutomatonArrays(words, listed, tokens.height)
        self._block = self._arrays.block
        self.address = self._arrays.address
        self._block[memory.TOKENS] = tokens.address
        for number, value in _FIRST_NUMBERS.items():
            self._block[number] = value
        self._block[memory.MAX_FOUND] = limits.max_courses
        self._block[memory.MAX_STATES] = limits.max_states
        self._block[memory.MAX_STACKS] = limits.max_stacks
        self._block[memory.MAX_KEPT_WORDS] = limits.mask_bytes // 4
        self._text_states = TextStates(self._arrays, tokens.spellable, limits.max_text_states)
        self._masks = self._sets = 0  # that were read
        program.write_frame(0)
        self._read_program()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the large ones as far as they are in use."""
        return self._arrays.nbytes

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

    def after_byte(self, position: int, byte: int) -> int:
        """The position after one byte; 0 where it cannot come next."""
        return self.follow(BYTES, position, _BYTES_ADDRESS + byte, 1)

    def start(self) -> int:
        """The position at the beginning of a text; 0 if there is no text."""
        return self.follow(START, 0, 0, 0)

    def accepts(self, position: int) -> bool:
        """Whether the text may end at `position`."""
        if position >> 32:
            return False
        return bool(self._arrays[memory.STATES][position * memory.STATE_SIZE + memory.ACCEPTS])

    @property
    def trie(self) -> TokenTrie:
        """The tokens."""
        return self._tokens.trie

    def compares_items(self, position: int) -> bool:
        """Whether the items of the innermost array that is open at `position` must be distinct.

        If there are several courses, whether they must be in any.
        """
        arrays, bases = self._program.arrays, self._arrays[memory.BASES]
        while True:
            found = [arrays[frame] for frame in self._innermost_arrays(position)]
            base = position >> 32
            if found or base == 0:
                return any(found)
            position = int(bases[2 * base]) << 32 | int(bases[2 * base + 1])

    def _innermost_arrays(self, position: int) -> Iterator[int]:
        """For each course at `position` the innermost frame that is an array, if there is one."""
        states, arrays = self._arrays[memory.STATES], self._program.arrays
        at = (position & memory.LOW_HALF) * memory.STATE_SIZE
        first = WIDTH * int(states[at + memory.START])
        end = first + WIDTH * int(states[at + memory.SIZE])
        for where in self._arrays[memory.CONFIGURATIONS][first:end:WIDTH].tolist():
            frames = map(self._program.frame_of, self._cells(where))
            frame = next((frame for frame in frames if frame in arrays), None)
            if frame is not None:
                yield frame

    def _cells(self, where: int) -> Iterator[int]:
        """The cell of a course, and those that it returns to, innermost first."""
        stacks = self._arrays[memory.STACKS]
        while True:
            yield where & memory.LOW_HALF
            stack = where >> 32
            if stack == 0:
                return
            where = int(stacks[2 * stack])

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

    def _grow(self, field: int, needed: int) -> None:
        self._arrays.grow(field, needed)
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
        program, arrays = self._program, self._arrays
        known, end = int(self._block[memory.CELL_COUNT]), len(program.ops)
        if not self._tokens.spells_all:
            check_cells(program, known, self._tokens.usable)
        if end > known:
            arrays.room(memory.OPS, end)[known:end] = memoryview(program.ops)[known:]
            arrays.room(memory.ARGUMENTS, end)[known:end] = memoryview(program.arguments)[known:]
            self._block[memory.CELL_COUNT] = end
        frames = len(program.frame_starts)
        arrays.room(memory.FRAME_STARTS, frames)[:frames] = program.frame_starts
        arrays.room(memory.FRAME_CLOSES, frames)[:frames] = program.frame_closes
        masks, sets = len(program.masks), len(program.byte_sets)
        if masks > self._masks:
            arrays.room(memory.MASKS, masks)[:masks] = program.masks
            self._masks = masks
        for number in range(self._sets, sets):
            at = _BYTES * number
            arrays.room(memory.BYTE_SETS, _BYTES * sets)[at : at + _BYTES] = np.frombuffer(
                program.byte_sets[number], np.uint8
            )
        self._sets = sets
        self._text_states.read(program.texts)
