"""Where a grammar's automaton lies in memory: one block of int64 that leads to everything else.

A kernel gets the address of the block. An array takes two words of it, its address and how many
elements it has; a number takes one. Whoever grows an array makes a larger one in Python and writes
its address here: kernels never allocate, they say what they need (`need`) and are called again.

Rejected: arrays as arguments. A call costs 50 ns more for each, a batch of rows could not be of
several grammars, and each function would hand on thirty of them.
"""

import ctypes
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import config, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import inlined, int64, kernel

# Arrays; each takes two words.
# The program: uint8[cells], int64[cells], int32[frames], uint8[frames], uint8[sets, 256], int64[n]
OPS, ARGUMENTS, FRAME_STARTS, FRAME_CLOSES, BYTE_SETS, MASKS = range(0, 12, 2)
# Texts: int64[texts, TEXT_SIZE]; int32 pools of classes and of rows; int32[n, TEXT_STATE_SIZE]
TEXTS, CLASSES, TEXT_STATES, TEXT_ROWS = range(12, 20, 2)
# Sets of configurations: int32[n, STATE_SIZE], int64[n], int32 hash index, int64[m, 4]
STATES, STATE_HASHES, STATE_INDEX, CONFIGURATIONS = range(20, 28, 2)
# Transitions: an int32 pool of rows, and int32[n, 2] (state, returned-to state) of those that push
ROWS, ACTIONS = range(28, 32, 2)
# Work: int64[n, 4] configurations and their hash index, int64 path, int32[depth, LEVEL_SIZE], int32
FOUND, SEEN, PATH, LEVELS, LISTED = range(32, 42, 2)
# Masks that are kept: an int32 pool, and int32[n] where in it the mask of a memo key begins
KEPT_MASKS, MEMO_VALUES = range(42, 46, 2)

# Tables of pairs; each takes `PAIR_WORDS`: keys int64[n, 2], a hash index int32, the number of keys
PAIR_WORDS = 5
STACKS, BASES, MEMO = range(46, 46 + 3 * PAIR_WORDS, PAIR_WORDS)
PAIR_INDEX, PAIR_COUNT = 2, 4  # where they stand in a table of pairs

# Numbers
TOKENS = 61  # the address of the block of the tokens
STATUS, REQUEST, NEEDED = range(62, 65)  # see `need`
CELL_COUNT, STATE_COUNT, CONFIGURATION_COUNT, ROW_COUNT, ACTION_COUNT, MASK_COUNT = range(65, 71)
FOUND_COUNT, STAMP, RETURNED = range(71, 74)  # of the set that is being closed
WALK_NODE, WALK_LOWEST, WALK_LISTED, WALK_PLAIN, WALK_STATE = range(74, 79)  # see `walk`
REACH = 79  # the greatest `TEXT_SHORTEST` of all text states
MAX_FOUND, MAX_STATES, MAX_STACKS, MAX_KEPT_WORDS = range(80, 84)
WALK_PART = 84  # where the plain tokens of the walk are kept, if it leaves them out
# The state whose mask has what the walk need not look at (0: none), the state that is returned to
# from there (0: the base is that of the walk), and that mask, uint32[words]
WALK_LOOP, WALK_BACK, LOOP_MASK = 85, 86, 87
WALK_LEVEL = 89  # where the level of `WALK_NODE` begins
BLOCK_SIZE = 90

# The block of the tokens
TRIE_WORDS = 8  # nodes int64; first_token, end_token, token_ids int32
FIRST_TOKEN, END_TOKEN, TOKEN_IDS = range(2, TRIE_WORDS, 2)
# every token that is text; those that are not plain; these without the plain characters that they
# begin with
ALL_TOKENS, REST_TOKENS, TAIL_TOKENS = range(0, 3 * TRIE_WORDS, TRIE_WORDS)
PLAIN_MASKS, TOKEN_DATA, TOKEN_STARTS, EOS, SINGLE_BYTE = range(24, 34, 2)
TWO_QUOTES, THREE_QUOTES, ROOTS, STRING_LENGTHS = range(34, 42, 2)
# `MASK_SIZE` in words of 32 bits; `STRING_REACH`: how far into a JSON string a token of `rest`
# goes; `MISSES_TAILS`: whether some byte from 0x80 to 0xBF is no token by itself
VOCAB_SIZE, MASK_SIZE, PLAIN_BUDGET, HEIGHT, STRING_REACH, MISSES_TAILS = range(42, 48)
TOKENS_SIZE = 48

# A node of a trie is one word: its byte; whether it is the last child of its parent; how many
# tokens it spells itself; its first child, 0 if it has none (node 0 is at the top)
NODE_BYTE, LAST_CHILD = 0xFF, 1 << 8  # masks
OWN_TOKENS, FIRST_CHILD = 9, 32  # shifts
OWN_MASK = (1 << (FIRST_CHILD - OWN_TOKENS)) - 1

# What a call ends with
OK, NEED_ROOM, NEED_FRAME, NEED_ROW, LIMIT, BROKEN, BAD_SHAPE = range(7)

# Fields of a state: its configurations (START, SIZE), its row (bytes from LOW on, at ROW_START; 0
# is none yet), whether the text may end, the state with the same mask (0: unknown), where that mask
# is kept (0: nowhere; `LOOK`), which plain tokens it allows (0: unknown, 1: see `slice_of`), where
# white space stands (see `runs`), and the entry for white space if it is none of the row; the code
# points that a string has room for (0: no bound, or one that the mask knows itself), and where the
# plain tokens are kept that no base has a say in (0: nowhere)
STATE_SIZE = 14
START, SIZE, LOW, ROW_SIZE, ROW_START, ACCEPTS, CANONICAL, KEPT, SLICE = range(9)
HAS_RUNS, IS_RUN, AFTER_SPACE, ROOM_LEFT, PLAIN_PART = range(9, STATE_SIZE)

# Fields of a text: where its classes begin, its spelling, its window and its first state
TEXT_SIZE = 5
TEXT_CLASSES, SPELLING, MIN_LENGTH, MAX_LENGTH, TEXT_START = range(TEXT_SIZE)

# Fields of a text state: where its row begins (0: not asked for yet), what it is, code points to
# the nearest end
TEXT_STATE_SIZE = 3
TEXT_ROW, TEXT_FLAGS, TEXT_SHORTEST = range(TEXT_STATE_SIZE)
# `LOOPS`: every plain character leads back to it; `FREE_TEXT`: every character, and it accepts
ACCEPTING, TAKES_EVERYTHING, LOOPS, FREE_TEXT = 1, 2, 4, 8

# Fields of classes: the number of runs, the class of each ASCII character; then the first code
# points of the runs, then their classes
RUNS, ASCII, RUN_STARTS = 0, 1, 129

# Fields of a level of the walk: the row of its state, the state, its base, temporary bases in use,
# the node that the walk went down from
LEVEL_SIZE = 7
LEVEL_LOW, LEVEL_SIZE_OF_ROW, LEVEL_ROW, LEVEL_STATE, LEVEL_BASE, LEVEL_TOP = range(6)
LEVEL_NODE = 6

# Entries of rows; states are greater than `DEAD`, pushes less than `POP`
UNKNOWN, DEAD, POP = 0, 1, -1

LOW_HALF = (1 << 32) - 1

_LENGTH = 1 << 40  # of every array, where nothing looks at it
_PLAIN_LENGTH = 1 << 20  # of what is at an address alone, where compilation is off


def _array_at(dtype: Any, context: Any, builder: Any, address: Any) -> Any:
    """LLVM code: the array that lies at `address`."""
    kind, width = types.Array(from_dtype(np.dtype(dtype)), 1, "C"), np.dtype(dtype).itemsize
    array = context.make_array(kind)(context, builder)
    data = builder.inttoptr(address, array.data.type)
    step, length = (context.get_constant(types.intp, number) for number in (width, _LENGTH))
    populate_array(array, data, [length], [step], step, None)  # type: ignore[no-untyped-call]
    return array._getvalue()


def _plain_at(dtype: Any, address: int, size: int) -> Array:
    room = ctypes.c_byte * (int(size) * np.dtype(dtype).itemsize)
    return np.frombuffer(room.from_address(int(address)), dtype)


def _view(dtype: Any) -> Callable[[Array, int], Array]:
    """The function that gives the array of a field of a block: its body compiled, or plain."""
    if getattr(config, "DISABLE_JIT", False):
        return lambda block, field: _plain_at(dtype, block[field], block[field + 1])

    def typed(typing_context: Any, block: Any, field: Any) -> Any:
        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:
            data = context.make_array(block)(context, builder, values[0]).data
            address = builder.load(builder.gep(data, [values[1]]))
            return _array_at(dtype, context, builder, address)

        return types.Array(from_dtype(np.dtype(dtype)), 1, "C")(block, types.int64), generate

    return cast(Callable[[Array, int], Array], intrinsic(typed))


bytes_at, ints_at, words_at, longs_at = map(_view, (np.uint8, np.int32, np.uint32, np.int64))


def _view_of_address(dtype: Any) -> Callable[[int], Array]:
    """The function that gives the array at an address."""
    if getattr(config, "DISABLE_JIT", False):
        return lambda address: _plain_at(dtype, address, _PLAIN_LENGTH)

    def typed(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:
            return _array_at(dtype, context, builder, values[0])

        return types.Array(from_dtype(np.dtype(dtype)), 1, "C")(types.int64), generate

    return cast(Callable[[int], Array], intrinsic(typed))


block_at, memory_at = map(_view_of_address, (np.int64, np.uint8))


def _element_access() -> tuple[Callable[[Array, int], int], Callable[[Array, int, int], None]]:
    """(peek, poke): an element of int32 or uint8 as int64, and how int32 is set; index >= 0.

    An index of an array may be negative elsewhere, and to look whether it is costs the walk over
    the tokens a third of its time.
    """
    if getattr(config, "DISABLE_JIT", False):
        return lambda array, i: int(array[i]), lambda array, i, value: array.__setitem__(i, value)

    def pointer(context: Any, builder: Any, call: Any, values: Any) -> Any:
        data = context.make_array(call.args[0])(context, builder, values[0]).data
        return builder.gep(data, [values[1]])

    def read(typing_context: Any, array: Any, i: Any) -> Any:
        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:
            element = builder.load(pointer(context, builder, call, values))
            return context.cast(builder, element, array.dtype, types.int64)

        return types.int64(array, types.int64), generate

    def write(typing_context: Any, array: Any, i: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:
            element = context.cast(builder, values[2], types.int64, array.dtype)
            builder.store(element, pointer(context, builder, call, values))
            return context.get_dummy_value()

        return types.void(array, types.int64, types.int64), generate

    return cast(Callable[[Array, int], int], intrinsic(read)), cast(
        Callable[[Array, int, int], None], intrinsic(write)
    )


peek, poke = _element_access()


@kernel
def need(g: Array, status: int, request: int, needed: int) -> None:
    """None; says why the call cannot go on: `request` is a field, frame, text state or limit."""
    if g[STATUS] == OK:
        g[STATUS] = status
        g[REQUEST] = request
        g[NEEDED] = needed


@inlined
def has_room(g: Array, field: int, needed: int) -> bool:
    """Whether the array of `field` has `needed` elements; if not it is asked for."""
    if needed <= g[field + 1]:
        return True
    need(g, NEED_ROOM, field, needed)
    return False


@inlined
def mixed(first: int, second: int) -> int:
    """A hash of two numbers, >= 0."""
    h = int64(first) * 0x1E3779B97F4A7C15 + int64(second)
    h ^= h >> 32
    h *= 0x3F58476D1CE4E5B9
    h ^= h >> 29
    return h & 0x7FFFFFFFFFFFFFFF


@kernel
def pair(g: Array, table: int, first: int, second: int, insert: bool) -> int:
    """The number of a pair in a table of pairs, from 1 on in the order of their coming.

    0 where it is not in the table, and is not to be inserted or there is no room.
    """
    keys, index = longs_at(g, table), ints_at(g, table + PAIR_INDEX)
    last = g[table + PAIR_INDEX + 1] - 1
    slot = mixed(first, second) & last
    while index[slot] != 0:
        number = int64(index[slot])
        if keys[2 * number] == first and keys[2 * number + 1] == second:
            return number
        slot = (slot + 1) & last
    if not insert:
        return 0
    number = int64(g[table + PAIR_COUNT]) + 1
    if not (has_room(g, table + PAIR_INDEX, 2 * number) and has_room(g, table, 2 * number + 2)):
        return 0
    keys[2 * number], keys[2 * number + 1] = first, second
    index[slot] = number
    g[table + PAIR_COUNT] = number
    return number


@kernel
def reindex(g: Array, table: int) -> None:
    """None; fills the empty hash index of a table of pairs, or of the states (`STATES`)."""
    field = STATE_INDEX if table == STATES else table + PAIR_INDEX
    index, last = ints_at(g, field), g[field + 1] - 1
    first = 2 if table == STATES else 1
    end = g[STATE_COUNT] if table == STATES else g[table + PAIR_COUNT] + 1
    keys = longs_at(g, STATE_HASHES if table == STATES else table)
    for number in range(first, end):
        if table == STATES:
            slot = keys[number] & last
        else:
            slot = mixed(keys[2 * number], keys[2 * number + 1]) & last
        while index[slot] != 0:
            slot = (slot + 1) & last
        index[slot] = number
