"""Configurations of a program while a set of them is being made, and the sets that are kept.

A configuration is four numbers: (stack << 32 | cell, register, decoder << 32 | text state, count).
Text state and decoder belong to TEXT, the decoder to CHARACTER; the count is of code points in
TEXT, of bytes in SPACE. A stack is the number of a pair (stack below << 32 | return cell, register
of the caller), 0 is empty.

    begin; add or enter, again and again; close (`courses`); sort
    intern : look up, else append: the number of the set, a "state"
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import embedded, int64, kernel
from sampler.kernels.grammar.memory import (
    ACCEPTS,
    ARGUMENTS,
    BROKEN,
    CELL_COUNT,
    CONFIGURATION_COUNT,
    CONFIGURATIONS,
    FOUND,
    FOUND_COUNT,
    LIMIT,
    LOW_HALF,
    MAX_FOUND,
    MAX_STATES,
    OPS,
    RETURNED,
    SEEN,
    SIZE,
    STAMP,
    START,
    STATE_COUNT,
    STATE_HASHES,
    STATE_INDEX,
    STATE_SIZE,
    STATES,
    TEXT_SIZE,
    TEXT_START,
    TEXTS,
    bytes_at,
    has_room,
    ints_at,
    longs_at,
    mixed,
    need,
)

WIDTH = 4  # numbers of a configuration

# Operations, as in `Op` of the program
BYTE, BYTES, CHARACTER, TEXT, SPACE, JUMP, SPLIT, CALL, RETURN = range(9)
COUNT, AT_LEAST, BELOW, ACCEPT, MARK, MARKED, UNMARKED = range(9, 16)


@kernel
def begin(g: Array) -> None:
    """None; no configuration is found."""
    g[FOUND_COUNT] = 0
    g[RETURNED] = 0
    g[STAMP] += 1


@kernel
def add(g: Array, where: int, register: int, place: int, count: int) -> None:
    """None; one more configuration is found, unless it was before."""
    found, seen = longs_at(g, FOUND), longs_at(g, SEEN)
    last, stamp = g[SEEN + 1] - 1, g[STAMP]
    slot = mixed(mixed(where, register), mixed(place, count)) & last
    while seen[slot] >> 32 == stamp:
        at = WIDTH * (seen[slot] & LOW_HALF)
        if (
            found[at] == where
            and found[at + 1] == register
            and found[at + 2] == place
            and found[at + 3] == count
        ):
            return
        slot = (slot + 1) & last
    number = g[FOUND_COUNT]
    if number >= g[MAX_FOUND]:
        need(g, LIMIT, MAX_FOUND, number + 1)
    elif has_room(g, FOUND, WIDTH * (number + 1)):
        at = WIDTH * number
        found[at], found[at + 1], found[at + 2], found[at + 3] = where, register, place, count
        seen[slot] = stamp << 32 | number
        g[FOUND_COUNT] = number + 1


@kernel
def enter(g: Array, cell: int, stack: int, register: int) -> None:
    """None; finds the configuration that begins at `cell`."""
    if cell >= g[CELL_COUNT]:
        need(g, BROKEN, cell, 0)
        return
    place = int64(0)
    if bytes_at(g, OPS)[cell] == TEXT:
        place = longs_at(g, TEXTS)[longs_at(g, ARGUMENTS)[cell] * TEXT_SIZE + TEXT_START]
        if place == 0:
            return
    add(g, stack << 32 | cell, register, place, 0)


@kernel
def _is_less(found: Array, one: int, other: int) -> bool:
    for i in range(WIDTH):
        if found[one + i] != found[other + i]:
            return found[one + i] < found[other + i]  # type: ignore[no-any-return]
    return False


@kernel
def sort(g: Array, count: int) -> None:
    """None; sorts the first `count` configurations of `FOUND` (Shell's method)."""
    found = longs_at(g, FOUND)
    gap = int64(1)
    while 3 * gap + 1 < count:
        gap = 3 * gap + 1
    while gap > 0:
        for number in range(gap, count):
            at = WIDTH * number
            while at >= WIDTH * gap and _is_less(found, at, at - WIDTH * gap):
                before = at - WIDTH * gap
                for i in range(WIDTH):
                    found[at + i], found[before + i] = found[before + i], found[at + i]
                at = before
        gap //= 3


@kernel
def intern(g: Array, count: int) -> int:
    """The state of the first `count` configurations of `FOUND`, which are sorted; 0: no room."""
    found, states = longs_at(g, FOUND), ints_at(g, STATES)
    configurations, index = longs_at(g, CONFIGURATIONS), ints_at(g, STATE_INDEX)
    h = int64(count)
    for i in range(WIDTH * count):
        h = mixed(h, found[i])
    last = g[STATE_INDEX + 1] - 1
    slot = h & last
    while index[slot] != 0:
        state = int64(index[slot])
        start = WIDTH * int64(states[state * STATE_SIZE + START])
        if longs_at(g, STATE_HASHES)[state] == h and states[state * STATE_SIZE + SIZE] == count:
            i = int64(0)
            while i < WIDTH * count and configurations[start + i] == found[i]:
                i += 1
            if i == WIDTH * count:
                return state
        slot = (slot + 1) & last
    return _append_state(g, count, h, slot)


@embedded
def _append_state(g: Array, count: int, h: int, slot: int) -> int:
    state, first = int64(g[STATE_COUNT]), int64(g[CONFIGURATION_COUNT])
    if state >= g[MAX_STATES]:
        need(g, LIMIT, MAX_STATES, state + 1)
        return 0
    if not (
        has_room(g, STATES, STATE_SIZE * (state + 1))
        and has_room(g, STATE_HASHES, state + 1)
        and has_room(g, STATE_INDEX, 2 * state)
        and has_room(g, CONFIGURATIONS, WIDTH * (first + count))
    ):
        return 0
    found, configurations = longs_at(g, FOUND), longs_at(g, CONFIGURATIONS)
    accepts = False
    for i in range(count):
        for j in range(WIDTH):
            configurations[WIDTH * (first + i) + j] = found[WIDTH * i + j]
        where = found[WIDTH * i]
        accepts = accepts or (where >> 32 == 0 and bytes_at(g, OPS)[where & LOW_HALF] == ACCEPT)
    states = ints_at(g, STATES)
    for field in range(STATE_SIZE):
        states[state * STATE_SIZE + field] = 0
    states[state * STATE_SIZE + START] = first
    states[state * STATE_SIZE + SIZE] = count
    states[state * STATE_SIZE + ACCEPTS] = accepts
    longs_at(g, STATE_HASHES)[state] = h
    ints_at(g, STATE_INDEX)[slot] = state
    g[STATE_COUNT] = state + 1
    g[CONFIGURATION_COUNT] = first + count
    return state
