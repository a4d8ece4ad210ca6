"""Which bytes a state may take at all: its row has those from the least to the greatest."""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import inlined, int64, kernel
from sampler.kernels.grammar.decoder import (
    ESCAPE,
    KIND,
    PAIR,
    PAIR_ESCAPE,
    RAW,
    SETTLED_HEX,
    SETTLED_TAIL,
)
from sampler.kernels.grammar.found import (
    BYTE,
    BYTES,
    CHARACTER,
    SPACE,
    TEXT,
    WIDTH,
)
from sampler.kernels.grammar.memory import (
    ARGUMENTS,
    ASCII,
    BYTE_SETS,
    CLASSES,
    CONFIGURATIONS,
    HAS_RUNS,
    LOW,
    LOW_HALF,
    OK,
    OPS,
    ROW_COUNT,
    ROW_SIZE,
    ROW_START,
    ROWS,
    RUN_STARTS,
    RUNS,
    SIZE,
    SPELLING,
    START,
    STATE_SIZE,
    STATES,
    STATUS,
    TEXT_CLASSES,
    TEXT_ROWS,
    TEXT_SIZE,
    TEXTS,
    UNKNOWN,
    bytes_at,
    has_room,
    ints_at,
    longs_at,
)
from sampler.kernels.grammar.runs import find_runs
from sampler.kernels.grammar.texts import (
    row_of,
    run_of,
)

_LAST_LEAD = 0xF4


@inlined
def _decoder_bounds(part: int) -> tuple[int, int]:
    """The least and the greatest byte that may go on a part of a character."""
    kind = part >> KIND
    if kind < ESCAPE or SETTLED_TAIL <= kind < SETTLED_HEX:
        return 0x80, 0xBF
    if kind == ESCAPE:
        return 0x22, 0x75
    if kind == PAIR:
        return 0x5C, 0x5C
    return (0x75, 0x75) if kind == PAIR_ESCAPE else (0x30, 0x66)


@kernel
def _text_bounds(g: Array, text: int, place: int) -> tuple[int, int]:
    """As `_decoder_bounds`, of a text; nothing with a status."""
    if place >> 32 != 0:
        return _decoder_bounds(place >> 32)
    row = row_of(g, place)
    if row == 0:
        return 0, -1
    begin, spelling = longs_at(g, TEXTS)[text + TEXT_CLASSES], longs_at(g, TEXTS)[text + SPELLING]
    classes, rows = ints_at(g, CLASSES), ints_at(g, TEXT_ROWS)
    low, high = (0x100, -1) if spelling == RAW else (0x5C, 0x5C)  # a backslash may begin any
    for byte in range(0 if spelling == RAW else 0x20, 0x80):
        if rows[row + classes[begin + ASCII + byte]] != 0:
            low, high = min(low, byte), max(high, byte)
    runs = classes[begin + RUNS]
    for run in range(run_of(classes, begin, 0x80), runs):
        if rows[row + classes[begin + RUN_STARTS + runs + run]] != 0:
            return min(low, 0xC2), _LAST_LEAD
    return low, high


@kernel
def _bounds(g: Array, state: int, number: int) -> tuple[int, int]:
    """The least and the greatest byte in the row of `state` for configuration `number`."""
    at = WIDTH * number
    configurations = longs_at(g, CONFIGURATIONS)
    cell = configurations[at] & LOW_HALF
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == BYTE:
        return argument, argument
    if op == BYTES:
        low, high = 0, 255
        taken = bytes_at(g, BYTE_SETS)
        while low <= high and taken[256 * argument + low] == 0:
            low += 1
        while low <= high and taken[256 * argument + high] == 0:
            high -= 1
        return low, high
    if op == TEXT:
        return _text_bounds(g, argument * TEXT_SIZE, configurations[at + 2])
    if op == CHARACTER:
        part = configurations[at + 2] >> 32
        return _decoder_bounds(part) if part != 0 else (0x20, _LAST_LEAD)
    if op == SPACE and not ints_at(g, STATES)[state * STATE_SIZE + HAS_RUNS]:
        return 0x09, 0x20
    return 0x100, -1


@kernel
def lay_out(g: Array, state: int) -> None:
    """None; makes the row of `state`, all unknown, if it has none."""
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + ROW_START] != 0:
        return
    find_runs(g, state)
    low, high = int64(0x100), int64(-1)
    for number in range(states[at + START], states[at + START] + states[at + SIZE]):
        least, greatest = _bounds(g, state, number)
        if least <= greatest:
            low, high = min(low, least), max(high, greatest)
    if g[STATUS] != OK:
        return
    size = max(high - low + 1, 0)
    if has_room(g, ROWS, g[ROW_COUNT] + size):
        states[at + LOW], states[at + ROW_SIZE] = low, size
        states[at + ROW_START] = g[ROW_COUNT]
        rows = ints_at(g, ROWS)
        for i in range(g[ROW_COUNT], g[ROW_COUNT] + size):
            rows[i] = UNKNOWN
        g[ROW_COUNT] += size
