"""The transitions of states, found when they are asked for.

The row of a state has the bytes from the first to the last that it may take, often without white
space (see `runs`). An entry is `UNKNOWN`,
`DEAD`, the next state, or an action (< 0): a text is followed as (state, base), where the base is
the number of a pair (base below, state to return to), 0 is empty.

    push (next, back): the base becomes (base, back), the state becomes `next`
    pop:               the state becomes what the base returns to, the base the one below

A call of a frame that closes is split off the stacks of a state when all of its configurations have
it in common; so what happens between brackets is one state, wherever they stand.
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.bounds import (
    lay_out,
)
from sampler.kernels.grammar.compile import embedded, int64, kernel
from sampler.kernels.grammar.courses import (
    close,
    take,
)
from sampler.kernels.grammar.decoder import (
    FREE,
    KIND,
    REFUSED,
    SETTLED_TAIL,
    WHOLE_CHARACTER,
    after_settled,
    decode,
    settled,
    span,
)
from sampler.kernels.grammar.found import (
    BYTE,
    BYTES,
    CHARACTER,
    SPACE,
    TEXT,
    WIDTH,
    begin,
    enter,
    intern,
    sort,
)
from sampler.kernels.grammar.memory import (
    ACTION_COUNT,
    ACTIONS,
    AFTER_SPACE,
    ARGUMENTS,
    BROKEN,
    BYTE_SETS,
    CLASSES,
    CONFIGURATIONS,
    DEAD,
    FOUND,
    FRAME_CLOSES,
    FRAME_STARTS,
    HAS_RUNS,
    IS_RUN,
    LOW,
    LOW_HALF,
    OK,
    OPS,
    PATH,
    POP,
    RETURNED,
    ROW_SIZE,
    ROW_START,
    ROWS,
    SINGLE_BYTE,
    SIZE,
    SPELLING,
    STACKS,
    START,
    STATE_SIZE,
    STATES,
    STATUS,
    TEXT_CLASSES,
    TEXT_SIZE,
    TEXTS,
    TOKENS,
    UNKNOWN,
    block_at,
    bytes_at,
    has_room,
    ints_at,
    longs_at,
    need,
    pair,
)
from sampler.kernels.grammar.runs import is_space, longer_run
from sampler.kernels.grammar.texts import (
    class_of,
    run_of,
)

_HALVES, _AFTER_HALVES = 0xD800, 0xE000
_FEW = 16  # configurations of a state for which several entries are found at once


@kernel
def _common_call(g: Array, count: int) -> int:
    """The innermost call of a closing frame that is in the stacks of all `count` configurations."""
    found, keys = longs_at(g, FOUND), longs_at(g, STACKS)
    common = int64(found[0]) >> 32
    for number in range(1, count):
        stack = found[WIDTH * number] >> 32
        while common != stack:  # what is below has a lower number
            if common > stack:
                common = keys[2 * common] >> 32
            else:
                stack = keys[2 * stack] >> 32
    while common != 0:
        call = (keys[2 * common] & LOW_HALF) - 1
        if bytes_at(g, FRAME_CLOSES)[longs_at(g, ARGUMENTS)[call]]:
            break
        common = keys[2 * common] >> 32
    return common


@kernel
def _above(g: Array, stack: int, bottom: int) -> int:
    """`stack` without `bottom`, which is a part of it, and what is below."""
    path = longs_at(g, PATH)
    depth = int64(0)
    while stack != bottom:
        if not has_room(g, PATH, depth + 1):
            return 0
        path[depth] = stack
        depth += 1
        stack = longs_at(g, STACKS)[2 * stack] >> 32
    above = int64(0)
    for i in range(depth):
        keys, at = longs_at(g, STACKS), 2 * path[depth - 1 - i]
        above = pair(g, STACKS, above << 32 | (keys[at] & LOW_HALF), keys[at + 1], True)
        if above == 0:
            return 0
    return above


@embedded
def interned(g: Array) -> int:
    """The state of what is found, closed; 0 with a status, or if nothing is left of it."""
    count = close(g)
    if g[STATUS] != OK or count == 0:
        return 0
    sort(g, count)
    return intern(g, count)


@kernel
def _push(g: Array, call: int, count: int) -> int:
    """The entry for the `count` configurations found, which `call` is split off from."""
    found = longs_at(g, FOUND)
    for number in range(count):
        at = WIDTH * number
        above = _above(g, found[at] >> 32, call)
        found[at] = above << 32 | (found[at] & LOW_HALF)
    if g[STATUS] != OK:
        return UNKNOWN
    sort(g, count)
    after = intern(g, count)
    begin(g)
    below = longs_at(g, STACKS)[2 * call]
    enter(g, below & LOW_HALF, below >> 32, longs_at(g, STACKS)[2 * call + 1])
    back = interned(g)
    if g[STATUS] == OK and (back == 0 or g[RETURNED] != 0):
        need(g, BROKEN, 0, 0)
    number = int64(g[ACTION_COUNT])
    if g[STATUS] != OK or not has_room(g, ACTIONS, 2 * number + 2):
        return UNKNOWN
    actions = ints_at(g, ACTIONS)
    actions[2 * number], actions[2 * number + 1] = after, back
    g[ACTION_COUNT] = number + 1
    return POP - 1 - number


@embedded
def _computed(g: Array, state: int, byte: int) -> int:
    """The entry of `state` for `byte`; `UNKNOWN` with a status."""
    at = state * STATE_SIZE
    begin(g)
    first = int64(ints_at(g, STATES)[at + START])
    for number in range(first, first + ints_at(g, STATES)[at + SIZE]):
        take(g, number, byte)
    count = close(g)
    if g[STATUS] != OK:
        return UNKNOWN
    if g[RETURNED] != 0:
        if count > 0:
            need(g, BROKEN, 0, 0)
            return UNKNOWN
        return POP
    if count == 0:
        return DEAD
    call = _common_call(g, count)
    if call != 0:
        return _push(g, call, count)
    sort(g, count)
    return intern(g, count)


@kernel
def _group_of(byte: int) -> tuple[int, int]:
    """The least and the greatest byte that may do what `byte` does."""
    if byte < 0x80:
        return 0x20, 0x7F
    return (0x80, 0xBF) if byte < 0xC0 else (0xC0, 0xFF)


@kernel
def _text_does_as(g: Array, text: int, part: int, byte: int, other: int) -> bool:
    """As `_does_as`, of a text with a part of a character; byte < other."""
    if part >> KIND >= SETTLED_TAIL:
        return (after_settled(part, byte) == REFUSED) == (after_settled(part, other) == REFUSED)
    classes, texts = ints_at(g, CLASSES), longs_at(g, TEXTS)
    begin, spelling = int64(texts[text + TEXT_CLASSES]), int64(texts[text + SPELLING])
    one, two = decode(spelling, part, byte), decode(spelling, part, other)
    if one == REFUSED or two == REFUSED:
        return one == two
    if one >= WHOLE_CHARACTER and two >= WHOLE_CHARACTER:
        first, last = one - WHOLE_CHARACTER, two - WHOLE_CHARACTER
        return class_of(classes, begin, first) == class_of(classes, begin, last)
    if one >> KIND != two >> KIND or not (settled(spelling, one) and settled(spelling, two)):
        return False
    # both are settled in the same way if nothing between them differs; of pairs is nothing known.
    # Of escapes the first range is whole when the spelling leaves out none
    # Capital digits stand before small ones, whatever they are worth
    first = min(span(FREE, one, 0)[0], span(FREE, two, 0)[0])
    last = max(span(FREE, one, 0)[1], span(FREE, two, 0)[1])
    is_half = _HALVES <= first < _AFTER_HALVES
    return not is_half and run_of(classes, begin, first) == run_of(classes, begin, last)


@kernel
def _does_as(g: Array, number: int, byte: int, other: int) -> bool:
    """Whether two bytes do the same to configuration `number`; False when unsure. byte < other."""
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    cell = configurations[at] & LOW_HALF
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == BYTE:
        return byte != argument and other != argument  # type: ignore[no-any-return]
    if op == BYTES:
        taken = bytes_at(g, BYTE_SETS)
        return taken[256 * argument + byte] == taken[256 * argument + other]  # type: ignore[no-any-return]
    if op == TEXT:
        return _text_does_as(g, argument * TEXT_SIZE, configurations[at + 2] >> 32, byte, other)
    if op == SPACE:
        return byte > 0x20 and other > 0x20
    return op != CHARACTER  # type: ignore[no-any-return]


@kernel
def _spread(g: Array, state: int, byte: int, known: int) -> None:
    """None; gives the entry for `byte` to the bytes that do the same."""
    states, at, rows = ints_at(g, STATES), state * STATE_SIZE, ints_at(g, ROWS)
    if states[at + SIZE] > _FEW:
        return
    low, row = int64(states[at + LOW]), int64(states[at + ROW_START])
    single = bytes_at(block_at(g[TOKENS]), SINGLE_BYTE)
    least, greatest = _group_of(byte)
    for other in range(max(least, low), min(greatest + 1, low + states[at + ROW_SIZE])):
        if rows[row + other - low] != UNKNOWN or not single[other]:
            continue
        number, end = int64(states[at + START]), int64(states[at + START] + states[at + SIZE])
        while number < end and _does_as(g, number, min(byte, other), max(byte, other)):
            number += 1
        if number == end:
            rows[row + other - low] = known


@kernel
def _after_space(g: Array, state: int) -> int:
    """The entry of `state`, which has runs, for white space; `UNKNOWN` with a status."""
    at = state * STATE_SIZE + AFTER_SPACE
    known = int64(ints_at(g, STATES)[at])
    if known != UNKNOWN:
        return known
    known = longer_run(g, state)
    if known == 0 and g[STATUS] == OK:
        known = _computed(g, state, 0x20)
        after = int64(ints_at(g, ACTIONS)[2 * (POP - 1 - known)]) if known < POP else known
        if after > DEAD:
            ints_at(g, STATES)[after * STATE_SIZE + IS_RUN] = 1
    ints_at(g, STATES)[at] = known
    return known


@kernel
def entry(g: Array, state: int, byte: int) -> int:
    """The entry of `state` for `byte`; `UNKNOWN` with a status."""
    lay_out(g, state)
    if g[STATUS] != OK:
        return UNKNOWN
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + HAS_RUNS] and is_space(byte):
        return _after_space(g, state)
    offset = byte - states[at + LOW]
    if offset < 0 or offset >= states[at + ROW_SIZE]:
        return DEAD
    slot = states[at + ROW_START] + offset
    known = int64(ints_at(g, ROWS)[slot])
    if known == UNKNOWN and not bytes_at(block_at(g[TOKENS]), SINGLE_BYTE)[byte]:
        ints_at(g, ROWS)[slot] = known = int64(DEAD)
    elif known == UNKNOWN:
        known = _computed(g, state, byte)
        ints_at(g, ROWS)[slot] = known
        if known != UNKNOWN:
            _spread(g, state, byte, known)
    return known


@embedded
def start(g: Array) -> int:
    """The state at the beginning of all texts; 0 with a status, or if there is no text."""
    begin(g)
    enter(g, int64(ints_at(g, FRAME_STARTS)[0]), 0, 0)
    state = interned(g)
    if g[STATUS] == OK and g[RETURNED] != 0:
        need(g, BROKEN, 0, 0)
    return state
