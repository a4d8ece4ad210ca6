"""Steps of configurations: what they take, and what they go on as without a byte.

take  : after a byte, what a configuration goes on as
close : until nothing is new: what is reached without a byte; keeps what waits for one
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import embedded, inlined, int64, kernel
from sampler.kernels.grammar.found import (
    ACCEPT,
    AT_LEAST,
    BELOW,
    BYTE,
    BYTES,
    CALL,
    CHARACTER,
    COUNT,
    JUMP,
    MARK,
    MARKED,
    RETURN,
    SPACE,
    SPLIT,
    TEXT,
    WIDTH,
    add,
    enter,
)
from sampler.kernels.grammar.memory import (
    ACCEPTING,
    ARGUMENTS,
    BYTE_SETS,
    CELL_COUNT,
    CONFIGURATIONS,
    FOUND,
    FOUND_COUNT,
    FRAME_CLOSES,
    FRAME_STARTS,
    LIMIT,
    LOW_HALF,
    MASKS,
    MAX_LENGTH,
    MAX_STACKS,
    MIN_LENGTH,
    NEED_FRAME,
    OK,
    OPS,
    PAIR_COUNT,
    RETURNED,
    STACKS,
    STATUS,
    TEXT_FLAGS,
    TEXT_SIZE,
    TEXT_STATE_SIZE,
    TEXT_STATES,
    TEXTS,
    bytes_at,
    ints_at,
    longs_at,
    need,
    pair,
)
from sampler.kernels.grammar.texts import (
    take_character,
    take_text,
)

_COUNT_SHIFT = 48  # as in `count_of` of the program
_COUNT_LIMIT = (1 << _COUNT_SHIFT) - 1
_SPACES = 1 << 0x20 | 1 << 0x09 | 1 << 0x0A | 1 << 0x0D


@kernel
def take(g: Array, number: int, byte: int) -> None:
    """None; finds what configuration `number` goes on as after `byte`."""
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    where, register = configurations[at], configurations[at + 1]
    cell = where & LOW_HALF
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == BYTE:
        if byte == argument:
            enter(g, cell + 1, where >> 32, register)
    elif op == BYTES:
        if bytes_at(g, BYTE_SETS)[256 * argument + byte] != 0:
            enter(g, cell + 1, where >> 32, register)
    elif op == TEXT:
        take_text(g, argument * TEXT_SIZE, at, byte)
    elif op == SPACE:
        if byte <= 0x20 and (_SPACES >> byte) & 1 != 0 and configurations[at + 3] < argument:
            add(g, where, register, 0, configurations[at + 3] + 1)
    elif op == CHARACTER:
        take_character(g, argument, at, byte)


@embedded
def _call(g: Array, cell: int, stack: int, register: int) -> None:
    frame = longs_at(g, ARGUMENTS)[cell]
    start = int64(ints_at(g, FRAME_STARTS)[frame])
    if start < 0:
        need(g, NEED_FRAME, frame, 0)
        return
    ops = bytes_at(g, OPS)
    is_last = cell + 1 < g[CELL_COUNT] and ops[cell + 1] == RETURN
    # what a call returns to need not be kept if that returns too; but brackets are told by it
    if is_last and not bytes_at(g, FRAME_CLOSES)[frame]:
        enter(g, start, stack, 0)
        return
    above = pair(g, STACKS, stack << 32 | (cell + 1), register, True)
    if g[STACKS + PAIR_COUNT] > g[MAX_STACKS]:
        need(g, LIMIT, MAX_STACKS, g[STACKS + PAIR_COUNT])
    if above > 0:
        enter(g, start, above, 0)


@embedded
def _return(g: Array, stack: int) -> None:
    if stack == 0:
        g[RETURNED] = 1
        return
    keys = longs_at(g, STACKS)
    below = keys[2 * stack]
    enter(g, below & LOW_HALF, below >> 32, keys[2 * stack + 1])


@inlined
def _count(argument: int, register: int) -> int:
    """The count in `register`, see `count_of` of the program."""
    return register & ((int64(1) << (argument >> _COUNT_SHIFT)) - 1)


@kernel
def _passes(g: Array, op: int, argument: int, register: int) -> bool:
    """Whether a test lets a register through."""
    if op == AT_LEAST:
        return _count(argument, register) >= argument & _COUNT_LIMIT
    if op == BELOW:
        return _count(argument, register) < argument & _COUNT_LIMIT
    if op == MARK:
        return (register >> argument) & 1 == 0
    wanted = longs_at(g, MASKS)[argument]
    return (register & wanted == wanted) == (op == MARKED)  # type: ignore[no-any-return]


@kernel
def _text_may_end(g: Array, text: int, place: int, count: int) -> bool:
    """Whether no character is begun and the text may end; `place` is the decoder and the state."""
    if place >> 32 != 0 or count < longs_at(g, TEXTS)[text + MIN_LENGTH]:
        return False
    flags = ints_at(g, TEXT_STATES)[place * TEXT_STATE_SIZE + TEXT_FLAGS]
    return flags & ACCEPTING != 0  # type: ignore[no-any-return]


@kernel
def _pass(g: Array, at: int) -> None:
    """None; finds what the configuration found at `at` goes on as without a byte."""
    found = longs_at(g, FOUND)
    where, register = found[at], found[at + 1]
    cell, stack = where & LOW_HALF, where >> 32
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == JUMP:
        enter(g, argument, stack, register)
    elif op == SPLIT:
        enter(g, cell + 1, stack, register)
        enter(g, argument, stack, register)
    elif op == CALL:
        _call(g, cell, stack, register)
    elif op == RETURN:
        _return(g, stack)
    elif op == COUNT:
        is_below = _count(argument, register) < argument & _COUNT_LIMIT
        enter(g, cell + 1, stack, register + 1 if is_below else register)
    elif op == SPACE:
        enter(g, cell + 1, stack, register)
    elif op == TEXT:
        if _text_may_end(g, argument * TEXT_SIZE, found[at + 2], found[at + 3]):
            enter(g, cell + 1, stack, register)
    elif op >= AT_LEAST and op != ACCEPT and _passes(g, op, argument, register):
        enter(g, cell + 1, stack, register | int64(1) << argument if op == MARK else register)


@kernel
def _waits(g: Array, at: int) -> bool:
    """Whether the configuration found at `at` can take a byte, or accepts."""
    found = longs_at(g, FOUND)
    cell, count = found[at] & LOW_HALF, found[at + 3]
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == SPACE:
        return count < argument  # type: ignore[no-any-return]
    if op == TEXT:
        return count != longs_at(g, TEXTS)[argument * TEXT_SIZE + MAX_LENGTH]  # type: ignore[no-any-return]
    return op < JUMP or op == ACCEPT  # type: ignore[no-any-return]


@kernel
def close(g: Array) -> int:
    """How many configurations wait for a byte or for the end; they are the first of `FOUND`."""
    found = longs_at(g, FOUND)
    number = int64(0)
    while number < g[FOUND_COUNT] and g[STATUS] == OK:
        _pass(g, WIDTH * number)
        number += 1
    if g[STATUS] != OK:
        return 0
    kept = int64(0)
    for number in range(g[FOUND_COUNT]):
        if _waits(g, WIDTH * number):
            for i in range(WIDTH):
                found[WIDTH * kept + i] = found[WIDTH * number + i]
            kept += 1
    return kept
