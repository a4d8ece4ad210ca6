"""How texts go on: a code point leads from one text state to the next, if the text can still end.

Parts of characters live only if some character that they can become does; see `decoder`.
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import inlined, int64, kernel
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
from sampler.kernels.grammar.found import (
    add,
    enter,
)
from sampler.kernels.grammar.memory import (
    ASCII,
    CLASSES,
    CONFIGURATIONS,
    LOW_HALF,
    MAX_LENGTH,
    MIN_LENGTH,
    MISSES_TAILS,
    NEED_ROW,
    RUN_STARTS,
    RUNS,
    SINGLE_BYTE,
    SPELLING,
    TEXT_CLASSES,
    TEXT_ROW,
    TEXT_ROWS,
    TEXT_SHORTEST,
    TEXT_STATE_SIZE,
    TEXT_STATES,
    TEXTS,
    TOKENS,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
    need,
)


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
def take_text(g: Array, text: int, at: int, byte: int) -> None:
    """None; finds what the configuration at `at`, in a text, goes on as after `byte`."""
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
def take_character(g: Array, point: int, at: int, byte: int) -> None:
    """None; finds what the configuration at `at` goes on as, which waits for a code point."""
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
