"""Sets of configurations of a program: what they take, and how they are closed and interned.

A configuration is four numbers: (stack << 32 | cell, register, decoder << 32 | text state, count).
Text state and decoder belong to TEXT, the decoder to CHARACTER; the count is of code points in
TEXT, of bytes in SPACE. A stack is the number of a pair (stack below << 32 | return cell, register
of the caller), 0 is empty.

    take    : after a byte, for each configuration: those it goes on as (`FOUND`)
    close   : until nothing is new: what is reached without a byte; keep what waits for one
    intern  : sort, look up, else append: the number of the set (a "state")
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import embedded, inlined, int64, kernel
from sampler.kernels.grammar.decoder import (
    ESCAPE,
    FREE,
    KIND,
    RAW,
    REFUSED,
    SETTLED_TAIL,
    WHOLE_CHARACTER,
    after_settled,
    decode,
    settled,
    span,
    span_count,
)
from sampler.kernels.grammar.memory import (
    ACCEPTING,
    ACCEPTS,
    ARGUMENTS,
    ASCII,
    BROKEN,
    BYTE_SETS,
    CELL_COUNT,
    CLASSES,
    CONFIGURATION_COUNT,
    CONFIGURATIONS,
    FOUND,
    FOUND_COUNT,
    FRAME_CLOSES,
    FRAME_STARTS,
    LIMIT,
    LOW_HALF,
    MASKS,
    MAX_FOUND,
    MAX_LENGTH,
    MAX_STACKS,
    MAX_STATES,
    MIN_LENGTH,
    MISSES_TAILS,
    NEED_FRAME,
    NEED_ROW,
    OK,
    OPS,
    PAIR_COUNT,
    RETURNED,
    RUN_STARTS,
    RUNS,
    SEEN,
    SINGLE_BYTE,
    SIZE,
    SPELLING,
    STACKS,
    STAMP,
    START,
    STATE_COUNT,
    STATE_HASHES,
    STATE_INDEX,
    STATE_SIZE,
    STATES,
    STATUS,
    TEXT_CLASSES,
    TEXT_FLAGS,
    TEXT_ROW,
    TEXT_ROWS,
    TEXT_SHORTEST,
    TEXT_SIZE,
    TEXT_START,
    TEXT_STATE_SIZE,
    TEXT_STATES,
    TEXTS,
    TOKENS,
    block_at,
    bytes_at,
    has_room,
    ints_at,
    longs_at,
    mixed,
    need,
    pair,
)

WIDTH = 4  # numbers of a configuration

# Operations, as in `Op` of the program
BYTE, BYTES, CHARACTER, TEXT, SPACE, JUMP, SPLIT, CALL, RETURN = range(9)
COUNT, AT_LEAST, BELOW, ACCEPT, MARK, MARKED = range(9, 15)

_SPACES = 1 << 0x20 | 1 << 0x09 | 1 << 0x0A | 1 << 0x0D


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
def class_of(classes: Array, begin: int, point: int) -> int:
    """The class of a code point; the classes begin at `begin`."""
    if point < 0x80:
        return classes[begin + ASCII + point]  # type: ignore[no-any-return]
    return classes[begin + RUN_STARTS + classes[begin + RUNS] + run_of(classes, begin, point)]  # type: ignore[no-any-return]


@kernel
def run_of(classes: Array, begin: int, point: int) -> int:
    """The last run that begins at `point` or before."""
    low, high = int64(0), int64(classes[begin + RUNS])
    while high - low > 1:
        middle = (low + high) >> 1
        if classes[begin + RUN_STARTS + middle] <= point:
            low = middle
        else:
            high = middle
    return low


@kernel
def row_of(g: Array, state: int) -> int:
    """Where the row of a text state begins; 0 if it is asked for only now."""
    row = int64(ints_at(g, TEXT_STATES)[state * TEXT_STATE_SIZE + TEXT_ROW])
    if row == 0:
        need(g, NEED_ROW, state, 0)
    return row


@inlined
def fits(g: Array, text: int, state: int, count: int) -> bool:
    """Whether a text with `count` code points at `state` can be completed."""
    texts = longs_at(g, TEXTS)
    low, longest = int64(texts[text + MIN_LENGTH]), int64(texts[text + MAX_LENGTH])
    if state == 0 or longest < 0:
        return state != 0
    shortest = int64(ints_at(g, TEXT_STATES)[state * TEXT_STATE_SIZE + TEXT_SHORTEST])
    return max(count + shortest, low) <= longest and count <= longest


@inlined
def _counted(g: Array, text: int, count: int) -> int:
    """`count` as far as it matters to the window of `text`."""
    texts = longs_at(g, TEXTS)
    return count if texts[text + MAX_LENGTH] >= 0 else min(count, texts[text + MIN_LENGTH])


@kernel
def _after_usable_part(g: Array, text: int, row: int, part: int, count: int) -> int:
    """As `_after_part`, of the first bytes of UTF-8, where not each byte that follows is usable."""
    classes, rows = ints_at(g, CLASSES), ints_at(g, TEXT_ROWS)
    begin = int64(longs_at(g, TEXTS)[text + TEXT_CLASSES])
    usable = bytes_at(block_at(g[TOKENS]), SINGLE_BYTE)
    bytes_left = part >> KIND
    same = int64(-2)
    for bits in range(1 << 6 * bytes_left):
        state = part
        for i in range(bytes_left):
            byte = 0x80 | (bits >> 6 * (bytes_left - 1 - i)) & 0x3F
            if state != REFUSED:
                state = decode(RAW, state, byte) if usable[byte] else REFUSED
        if state == REFUSED:
            continue
        after = int64(rows[row + class_of(classes, begin, state - WHOLE_CHARACTER)])
        if not fits(g, text, after, count):
            after = int64(0)
        if same >= 0 and after != same:
            return -1
        same = after
    return max(same, int64(0))


@kernel
def _after_part(g: Array, text: int, row: int, part: int, count: int) -> int:
    """The text state that all lead to which `part` can become; 0 if none lives, -1 if they differ.

    `row` is where the row of the text state begins; `count` is with the character.
    """
    classes, rows = ints_at(g, CLASSES), ints_at(g, TEXT_ROWS)
    spelling, begin = longs_at(g, TEXTS)[text + SPELLING], longs_at(g, TEXTS)[text + TEXT_CLASSES]
    runs = int64(classes[begin + RUNS])
    same = int64(-2)
    for i in range(span_count(part)):
        first, last = span(spelling, part, i)
        if first > last:
            continue
        run = run_of(classes, begin, first)
        while run < runs and classes[begin + RUN_STARTS + run] <= last:
            after = int64(rows[row + classes[begin + RUN_STARTS + runs + run]])
            if not fits(g, text, after, count):
                after = int64(0)
            if same >= 0 and after != same:
                return -1
            same = after
            run += 1
    return max(same, int64(0))


@kernel
def _take_text(g: Array, text: int, at: int, byte: int) -> None:
    configurations = longs_at(g, CONFIGURATIONS)
    where, register = configurations[at], configurations[at + 1]
    state, part = configurations[at + 2] & LOW_HALF, configurations[at + 2] >> 32
    count = configurations[at + 3]
    if part >> KIND >= SETTLED_TAIL:
        left = after_settled(part, byte)
        if left == 0:
            add(g, where, register, state, _counted(g, text, count + 1))
        elif left != REFUSED:
            add(g, where, register, left << 32 | state, count)
        return
    spelling = longs_at(g, TEXTS)[text + SPELLING]
    after_byte = decode(spelling, part, byte)
    row = row_of(g, state)
    if after_byte == REFUSED or row == 0:
        return
    if after_byte >= WHOLE_CHARACTER:
        begin = longs_at(g, TEXTS)[text + TEXT_CLASSES]
        point = after_byte - WHOLE_CHARACTER
        after = int64(ints_at(g, TEXT_ROWS)[row + class_of(ints_at(g, CLASSES), begin, point)])
        if fits(g, text, after, count + 1):
            add(g, where, register, after, _counted(g, text, count + 1))
        return
    if after_byte >> KIND < ESCAPE and block_at(g[TOKENS])[MISSES_TAILS]:
        after = _after_usable_part(g, text, row, after_byte, count + 1)
    else:
        after = _after_part(g, text, row, after_byte, count + 1)
    if after > 0 and settled(spelling, after_byte) > 0:
        add(g, where, register, settled(spelling, after_byte) << 32 | after, count)
    elif after != 0:
        add(g, where, register, after_byte << 32 | state, count)


@kernel
def _take_character(g: Array, point: int, at: int, byte: int) -> None:
    configurations = longs_at(g, CONFIGURATIONS)
    where, register = configurations[at], configurations[at + 1]
    after = decode(FREE, configurations[at + 2] >> 32, byte)
    if after >= WHOLE_CHARACTER:
        if after - WHOLE_CHARACTER == point:
            enter(g, (where & LOW_HALF) + 1, where >> 32, register)
    elif after != REFUSED:
        for i in range(span_count(after)):
            first, last = span(FREE, after, i)
            if first <= point <= last:
                add(g, where, register, after << 32, 0)


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
        _take_text(g, argument * TEXT_SIZE, at, byte)
    elif op == SPACE:
        if byte <= 0x20 and (_SPACES >> byte) & 1 != 0 and configurations[at + 3] < argument:
            add(g, where, register, 0, configurations[at + 3] + 1)
    elif op == CHARACTER:
        _take_character(g, argument, at, byte)


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


@kernel
def _passes(g: Array, op: int, argument: int, register: int) -> bool:
    """Whether a test lets a register through."""
    if op == AT_LEAST:
        return register >= argument
    if op == BELOW:
        return register < argument
    if op == MARK:
        return (register >> argument) & 1 == 0
    wanted = longs_at(g, MASKS)[argument]
    return register & wanted == wanted  # type: ignore[no-any-return]


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
        enter(g, cell + 1, stack, min(register + 1, argument))
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
    states[state * STATE_SIZE + START] = first
    states[state * STATE_SIZE + SIZE] = count
    states[state * STATE_SIZE + ACCEPTS] = accepts
    longs_at(g, STATE_HASHES)[state] = h
    ints_at(g, STATE_INDEX)[slot] = state
    g[STATE_COUNT] = state + 1
    g[CONFIGURATION_COUNT] = first + count
    return state
