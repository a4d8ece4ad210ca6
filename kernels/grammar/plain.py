"""States whose masks are alike: in strings, where plain tokens fit as far as there is room.

A string that takes any character allows all plain tokens that are not too long; they need no walk
(`slice_of`). And how much room there is makes no difference to the others as long as there is more
than they need: such states have one mask (`canonical`).
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
    sort,
)
from sampler.kernels.grammar.memory import (
    ARGUMENTS,
    BYTE_SETS,
    CANONICAL,
    CELL_COUNT,
    CONFIGURATIONS,
    FOUND_COUNT,
    FREE_TEXT,
    HEIGHT,
    LOOPS,
    LOW_HALF,
    MAX_LENGTH,
    MIN_LENGTH,
    OK,
    OPS,
    PLAIN_BUDGET,
    REACH,
    ROOM_LEFT,
    SIZE,
    SLICE,
    SPELLING,
    START,
    STATE_SIZE,
    STATES,
    STATUS,
    STRING_REACH,
    TAKES_EVERYTHING,
    TEXT_FLAGS,
    TEXT_SHORTEST,
    TEXT_SIZE,
    TEXT_STATE_SIZE,
    TEXT_STATES,
    TEXTS,
    TOKENS,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
)
from sampler.kernels.grammar.texts import (
    row_of,
)

_NO_SLICE = 1
_QUOTE, _BACKSLASH = 0x22, 0x5C
ENDLESS = (1 << 31) - 1  # code points that no text comes to


@kernel
def _plain_codes(g: Array, number: int) -> int:
    """How many plain characters any of configuration `number` may be.

    -1: it takes none; -2: it takes some that are not any; PLAIN_BUDGET: no bound that matters.
    """
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    cell = configurations[at] & LOW_HALF
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    if op == BYTE:
        return -1 if argument in (_QUOTE, _BACKSLASH) or argument < 0x20 else -2
    if op == BYTES:
        taken = bytes_at(g, BYTE_SETS)
        for byte in range(0x20, 0x100):
            if byte not in (_QUOTE, _BACKSLASH) and taken[256 * argument + byte]:
                return -2
        return -1
    if op != TEXT:
        part_of_character = op == CHARACTER and configurations[at + 2] >> 32 != 0
        return -2 if op == SPACE or (op == CHARACTER and not part_of_character) else -1
    if configurations[at + 2] >> 32 != 0:
        return -1  # plain tokens are whole characters
    return _plain_codes_of_text(g, argument * TEXT_SIZE, at)


@inlined
def _is_quoted(g: Array, cell: int) -> bool:
    """Whether the text of `cell` can only be followed by a quotation mark."""
    is_byte = cell + 1 < g[CELL_COUNT] and bytes_at(g, OPS)[cell + 1] == BYTE
    return is_byte and longs_at(g, ARGUMENTS)[cell + 1] == _QUOTE  # type: ignore[no-any-return]


@kernel
def _plain_codes_of_text(g: Array, text: int, at: int) -> int:
    texts, text_states = longs_at(g, TEXTS), ints_at(g, TEXT_STATES)
    cell = longs_at(g, CONFIGURATIONS)[at] & LOW_HALF
    state = int64(longs_at(g, CONFIGURATIONS)[at + 2])
    if row_of(g, state) == 0:
        return -2
    flags = text_states[state * TEXT_STATE_SIZE + TEXT_FLAGS]
    if texts[text + SPELLING] == RAW or not flags & TAKES_EVERYTHING:
        return -2
    budget: int = block_at(g[TOKENS])[PLAIN_BUDGET]
    if texts[text + MAX_LENGTH] < 0:
        return budget
    if not flags & LOOPS or not _is_quoted(g, cell):
        return -2
    count = int64(longs_at(g, CONFIGURATIONS)[at + 3])
    shortest = int64(text_states[state * TEXT_STATE_SIZE + TEXT_SHORTEST])
    return min(int64(texts[text + MAX_LENGTH]) - count - shortest, budget)


@kernel
def slice_of(g: Array, state: int) -> int:
    """Which plain tokens `state` allows for certain: those of at most so many code points.

    All others that it allows are not plain; -1 where that cannot be told without a walk.
    """
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + SLICE] != 0:
        return states[at + SLICE] - 1 - _NO_SLICE  # type: ignore[no-any-return]
    budget: int = block_at(g[TOKENS])[PLAIN_BUDGET]
    most, has_others = int64(-1), False
    for number in range(states[at + START], states[at + START] + states[at + SIZE]):
        codes = _plain_codes(g, number)
        most = max(most, codes)
        has_others = has_others or codes == -2
    if g[STATUS] != OK:
        return -1
    if (has_others and most < budget) or most < 1:
        most = int64(-1)
    states[at + SLICE] = most + 1 + _NO_SLICE
    return most


@kernel
def stays_in_string(g: Array, state: int) -> bool:
    """Whether plain tokens go on what is there, whatever comes behind the strings of `state`."""
    states, at, ops = ints_at(g, STATES), state * STATE_SIZE, bytes_at(g, OPS)
    for number in range(states[at + START], states[at + START] + states[at + SIZE]):
        cell = longs_at(g, CONFIGURATIONS)[WIDTH * number] & LOW_HALF
        argument = longs_at(g, ARGUMENTS)[cell]
        if ops[cell] == TEXT:
            if longs_at(g, TEXTS)[argument * TEXT_SIZE + SPELLING] == RAW:
                return False
            if not _is_quoted(g, cell):
                return False
        elif ops[cell] != BYTE or argument not in (_QUOTE, _BACKSLASH):
            return False
    return True


@kernel
def _clipped(g: Array, number: int, is_sliced: bool, has_room: bool) -> int:
    """The count of configuration `number`, or one with the same tokens.

    Neither end of a window matters that is farther away than the longest token reaches; with
    `is_sliced` only tokens that are not plain are looked for; with `has_room` see `room_in_string`.
    """
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    cell, count = configurations[at] & LOW_HALF, int64(configurations[at + 3])
    op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
    height: int = block_at(g[TOKENS])[HEIGHT]
    if op == SPACE:
        return 0 if argument - count > height else count
    if op != TEXT:
        return count
    texts, text = longs_at(g, TEXTS), argument * TEXT_SIZE
    low, high = texts[text + MIN_LENGTH], texts[text + MAX_LENGTH]
    if is_sliced and texts[text + SPELLING] != RAW and _is_quoted(g, cell):
        height = block_at(g[TOKENS])[STRING_REACH]
    if high >= 0 and high - count <= height + g[REACH] and not has_room:
        return count
    if count >= low:
        return low  # type: ignore[no-any-return]
    return 0 if low - count > height else count


@kernel
def _room_of_text(g: Array, number: int) -> int:
    """How many code points configuration `number`, of a text, may still have; 0 if that is not all.

    It is where a JSON string of any characters has got its least length.
    """
    configurations, at = longs_at(g, CONFIGURATIONS), WIDTH * number
    cell, state = configurations[at] & LOW_HALF, configurations[at + 2]
    count = int64(configurations[at + 3])
    texts, text = longs_at(g, TEXTS), longs_at(g, ARGUMENTS)[cell] * TEXT_SIZE
    high = int64(texts[text + MAX_LENGTH])
    if high > ENDLESS or count < texts[text + MIN_LENGTH] or state >> 32 != 0:
        return 0
    flags = ints_at(g, TEXT_STATES)[state * TEXT_STATE_SIZE + TEXT_FLAGS]
    if not flags & FREE_TEXT or texts[text + SPELLING] == RAW or not _is_quoted(g, cell):
        return 0
    return ENDLESS if high < 0 else high - count


@kernel
def room_in_string(g: Array, state: int) -> int:
    """How many code points the string that `state` is in may still have, at most `ENDLESS`.

    0 unless that is all there is to know of it: it takes any characters, has got its least length,
    and nothing else goes on but the quotation mark. Then the tokens are those that fit, of the
    tokens when it had its least length; and plain characters lead nowhere else.
    """
    states, at = ints_at(g, STATES), state * STATE_SIZE
    room = int64(0)
    if slice_of(g, state) < 0:
        return 0
    for number in range(states[at + START], states[at + START] + states[at + SIZE]):
        cell = longs_at(g, CONFIGURATIONS)[WIDTH * number] & LOW_HALF
        op, argument = bytes_at(g, OPS)[cell], longs_at(g, ARGUMENTS)[cell]
        if op == TEXT and room == 0:
            room = _room_of_text(g, number)
            if room == 0:
                return 0
        elif op != BYTE or argument != _QUOTE:
            return 0
    return room


@kernel
def canonical(g: Array, state: int) -> int:
    """A state with the same mask as `state`, the same for many of them; 0 with a status.

    The plain tokens that `slice_of` tells may differ, and it may allow more than there is room for
    (`ROOM_LEFT`).
    """
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + CANONICAL] != 0:
        return states[at + CANONICAL]  # type: ignore[no-any-return]
    configurations = longs_at(g, CONFIGURATIONS)
    first = int64(states[at + START])
    is_same, is_sliced = True, slice_of(g, state) >= 0
    if g[STATUS] != OK:
        return 0
    room = room_in_string(g, state)
    states[at + ROOM_LEFT] = room if room < ENDLESS else 0
    for number in range(first, first + states[at + SIZE]):
        clipped = _clipped(g, number, is_sliced, room > 0)
        is_same = is_same and clipped == configurations[WIDTH * number + 3]
    found = state
    if not is_same:
        begin(g)
        for number in range(first, first + states[at + SIZE]):
            i = WIDTH * number
            where, register, place = configurations[i], configurations[i + 1], configurations[i + 2]
            count = _clipped(g, number, is_sliced, room > 0)
            add(g, where, register, place, count)
        if g[STATUS] != OK:
            return 0
        sort(g, g[FOUND_COUNT])
        found = intern(g, g[FOUND_COUNT])
    states[at + CANONICAL] = found
    return found
