"""Runs of white space, whose bytes are counted.

Every length of a run is a state, and a token may have a hundred spaces; so states of runs are made
in a shorter way than others. Where nothing but SPACE takes white space, its four bytes do the same,
and they are left out of the row: `AFTER_SPACE` has their entry. After the first of them (`IS_RUN`)
all that a state has comes from behind the run or counts it; so the next state has the same
configurations with higher counts, and the same row.

    HAS_RUNS : 1 where SPACE takes white space and nothing else does; 0 also before `lay_out`
    IS_RUN : 1 if a state with `HAS_RUNS` leads here by white space
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import inlined, int64, kernel
from sampler.kernels.grammar.decoder import RAW
from sampler.kernels.grammar.found import (
    BYTE,
    BYTES,
    CHARACTER,
    SPACE,
    TEXT,
    WIDTH,
    add,
    begin,
    intern,
)
from sampler.kernels.grammar.memory import (
    ARGUMENTS,
    ASCII,
    BYTE_SETS,
    CLASSES,
    CONFIGURATIONS,
    FOUND_COUNT,
    HAS_RUNS,
    IS_RUN,
    LOW,
    LOW_HALF,
    OK,
    OPS,
    ROW_SIZE,
    ROW_START,
    SINGLE_BYTE,
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
    TOKENS,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
)
from sampler.kernels.grammar.texts import row_of

_SPACES = 1 << 0x20 | 1 << 0x09 | 1 << 0x0A | 1 << 0x0D


@inlined
def is_space(byte: int) -> bool:
    """Whether `byte` is white space of JSON."""
    return byte <= 0x20 and (_SPACES >> byte) & 1 != 0


@kernel
def _text_takes_space(g: Array, text: int, place: int) -> bool:
    """Whether a text may take white space; True when unsure, and with a status."""
    texts = longs_at(g, TEXTS)
    if texts[text + SPELLING] != RAW:
        return True
    if place >> 32 != 0:
        return False
    row, begins = row_of(g, place), int64(texts[text + TEXT_CLASSES])
    classes, rows = ints_at(g, CLASSES), ints_at(g, TEXT_ROWS)
    if row == 0:
        return True
    for byte in range(0x21):
        if is_space(byte) and rows[row + classes[begins + ASCII + byte]] != 0:
            return True
    return False


@kernel
def _takes_space(g: Array, number: int) -> bool:
    """Whether configuration `number`, not of SPACE, may take white space; True when unsure."""
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    cell = configurations[at] & LOW_HALF
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == BYTE:
        return is_space(argument)
    if op == BYTES:
        taken, first = bytes_at(g, BYTE_SETS), 256 * argument
        line = taken[first + 0x0A] | taken[first + 0x0D]
        return (line | taken[first + 0x20] | taken[first + 0x09]) != 0  # type: ignore[no-any-return]
    if op == TEXT:
        return _text_takes_space(g, argument * TEXT_SIZE, configurations[at + 2])
    return op == CHARACTER  # type: ignore[no-any-return]


@kernel
def find_runs(g: Array, state: int) -> None:
    """None; sets `HAS_RUNS` of `state`, unless there is a status."""
    states, at = ints_at(g, STATES), state * STATE_SIZE
    single = bytes_at(block_at(g[TOKENS]), SINGLE_BYTE)
    if not (single[0x20] and single[0x09] and single[0x0A] and single[0x0D]):
        return
    runs = int64(0)
    for number in range(states[at + START], states[at + START] + states[at + SIZE]):
        if bytes_at(g, OPS)[longs_at(g, CONFIGURATIONS)[WIDTH * number] & LOW_HALF] == SPACE:
            runs += 1
        elif _takes_space(g, number):
            return
    states[at + HAS_RUNS] = runs != 0 and g[STATUS] == OK


@kernel
def longer_run(g: Array, state: int) -> int:
    """The state after one more byte of white space; 0: it is to be found as others, or a status.

    `state` has a row, and `HAS_RUNS`.
    """
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + IS_RUN] == 0:
        return 0
    begin(g)
    first, configurations = int64(states[at + START]), longs_at(g, CONFIGURATIONS)
    for number in range(first, first + states[at + SIZE]):
        i = WIDTH * number
        where, register, place = configurations[i], configurations[i + 1], configurations[i + 2]
        cell, count = where & LOW_HALF, int64(configurations[i + 3])
        if bytes_at(g, OPS)[cell] == SPACE:
            if count == 0 or count + 1 >= longs_at(g, ARGUMENTS)[cell]:
                return 0
            count += 1
        add(g, where, register, place, count)
    after = intern(g, g[FOUND_COUNT]) if g[STATUS] == OK else int64(0)
    if after == 0:
        return 0
    states, next_at = ints_at(g, STATES), after * STATE_SIZE
    states[next_at + IS_RUN] = 1
    if states[next_at + ROW_START] == 0:
        states[next_at + HAS_RUNS] = 1
        for field in (LOW, ROW_SIZE, ROW_START):
            states[next_at + field] = states[at + field]
    return after
