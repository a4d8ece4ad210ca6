"""The tokens that may come next: a walk over the trie of tokens, and the masks that are kept.

    node = first; while there is a node:
        the state before it (of its level), its byte -> the state after it
        dead: go on after its subtree
        else: allow its tokens, remember the state for the next level, go on at the next node

Calls that are entered on the way have temporary bases, numbered from `TEMPORARY` on by level. What
the mask depends on is the state and those entries of the base that the walk came to; by these it is
kept: as ids, or on top of the plain tokens that a string allows, or whole.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays
from sampler.kernels.grammar.compile import embedded, inlined, int64, kernel
from sampler.kernels.grammar.courses import (
    BYTE,
    BYTES,
    CHARACTER,
    SPACE,
    TEXT,
    WIDTH,
    add,
    begin,
    intern,
    row_of,
    sort,
)
from sampler.kernels.grammar.decoder import RAW
from sampler.kernels.grammar.memory import (
    ACCEPTS,
    ACTIONS,
    ALL_TOKENS,
    ARGUMENTS,
    BASES,
    BYTE_SETS,
    CANONICAL,
    CELL_COUNT,
    CONFIGURATIONS,
    DEAD,
    EOS,
    FIRST_TOKEN,
    FOUND_COUNT,
    HEIGHT,
    KEPT,
    KEPT_MASKS,
    LEVEL_BASE,
    LEVEL_LOW,
    LEVEL_ROW,
    LEVEL_SIZE,
    LEVEL_SIZE_OF_ROW,
    LEVEL_STATE,
    LEVEL_TOP,
    LEVELS,
    LISTED,
    LOOPS,
    LOW,
    LOW_HALF,
    MASK_COUNT,
    MASK_SIZE,
    MAX_KEPT_WORDS,
    MAX_LENGTH,
    MEMO,
    MEMO_VALUES,
    MIN_LENGTH,
    NODE_DEPTH,
    OK,
    OPS,
    PAIR_COUNT,
    PAIR_INDEX,
    PLAIN_BUDGET,
    PLAIN_MASKS,
    POP,
    REACH,
    REST_TOKENS,
    ROW_SIZE,
    ROW_START,
    ROWS,
    SIZE,
    SLICE,
    SPELLING,
    START,
    STATE_COUNT,
    STATE_SIZE,
    STATES,
    STATUS,
    STRING_REACH,
    SUBTREE_SIZE,
    TAKES_EVERYTHING,
    TEXT_FLAGS,
    TEXT_SHORTEST,
    TEXT_SIZE,
    TEXT_STATE_SIZE,
    TEXT_STATES,
    TEXTS,
    TOKEN_IDS,
    TOKENS,
    UNKNOWN,
    WALK_LISTED,
    WALK_LOWEST,
    WALK_NODE,
    WALK_PLAIN,
    WALK_STATE,
    block_at,
    bytes_at,
    has_room,
    ints_at,
    longs_at,
    mixed,
    pair,
    peek,
    poke,
    words_at,
)
from sampler.kernels.grammar.rows import entry, lay_out

TEMPORARY = 1 << 30  # bases from here on live as long as a walk
LOOK = -1  # kept by one more entry of the base
DEEPEST = 16  # entries of a base by which a mask is kept
_DEEPER = 1 << 40  # in memo keys: what follows is a number of a memo key, not a state
_CONTENT = -1  # in memo keys, instead of a state to return to: the key is a hash of the mask itself
_NO_SLICE = 1
_QUOTE, _BACKSLASH = 0x22, 0x5C
WORDS = -1  # instead of a number of ids: a mask that is kept whole


@inlined
def allow(mask: Array, token_id: int) -> None:
    """None; sets the bit of `token_id` in uint32 words."""
    mask[token_id >> 5] |= np.uint32(1) << np.uint32(token_id & 31)


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
def _clipped(g: Array, number: int, is_sliced: bool) -> int:
    """The count of configuration `number`, or one with the same tokens.

    Neither end of a window matters that is farther away than the longest token reaches; with
    `is_sliced` only tokens that are not plain are looked for.
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
    if high >= 0 and high - count <= height + g[REACH]:
        return count
    if count >= low:
        return low  # type: ignore[no-any-return]
    return 0 if low - count > height else count


@kernel
def canonical(g: Array, state: int) -> int:
    """A state with the same mask as `state`, the same for many of them; 0 with a status.

    The plain tokens that `slice_of` tells may differ.
    """
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + CANONICAL] != 0:
        return states[at + CANONICAL]  # type: ignore[no-any-return]
    configurations = longs_at(g, CONFIGURATIONS)
    first = int64(states[at + START])
    is_same, is_sliced = True, slice_of(g, state) >= 0
    if g[STATUS] != OK:
        return 0
    for number in range(first, first + states[at + SIZE]):
        is_same = is_same and _clipped(g, number, is_sliced) == configurations[WIDTH * number + 3]
    found = state
    if not is_same:
        begin(g)
        for number in range(first, first + states[at + SIZE]):
            i = WIDTH * number
            where, register, place = configurations[i], configurations[i + 1], configurations[i + 2]
            add(g, where, register, place, _clipped(g, number, is_sliced))
        if g[STATUS] != OK:
            return 0
        sort(g, g[FOUND_COUNT])
        found = intern(g, g[FOUND_COUNT])
    states[at + CANONICAL] = found
    return found


@inlined
def _descend(levels: Array, to: int, states: Array, state: int) -> None:
    """None; puts `state`, which has a row, on the level at `to`."""
    at = state * STATE_SIZE
    poke(levels, to + LEVEL_LOW, peek(states, at + LOW))
    poke(levels, to + LEVEL_SIZE_OF_ROW, peek(states, at + ROW_SIZE))
    poke(levels, to + LEVEL_ROW, peek(states, at + ROW_START))
    poke(levels, to + LEVEL_STATE, state)


@kernel
def _turn(g: Array, action: int, base: int, top: int) -> tuple[int, int, int]:
    """(state, base, temporary bases in use) after an action during a walk."""
    levels = ints_at(g, LEVELS)
    # temporary base i is kept behind the levels: below, and what it returns to
    temporary = (block_at(g[TOKENS])[HEIGHT] + 1) * LEVEL_SIZE
    if action != POP:
        actions, number = ints_at(g, ACTIONS), POP - 1 - action
        levels[temporary + 2 * top] = base
        levels[temporary + 2 * top + 1] = actions[2 * number + 1]
        return actions[2 * number], TEMPORARY + top, top + 1
    if base >= TEMPORARY:
        at = temporary + 2 * (base - TEMPORARY)
        return levels[at + 1], levels[at], top
    keys = longs_at(g, BASES)
    below = keys[2 * base]
    g[WALK_LOWEST] = min(g[WALK_LOWEST], below)
    return keys[2 * base + 1], below, top


@kernel
def _allow_node(arrays: Arrays, node: int, count: int, mask: Array) -> int:
    """How many tokens are listed, with those of `node`; they are allowed."""
    first_token, token_ids, listed, room = arrays
    for i in range(peek(first_token, node), peek(first_token, node + 1)):
        token_id = peek(token_ids, i)
        allow(mask, token_id)
        if count < room:
            poke(listed, count, token_id)
        count += 1
    return count


@kernel
def _walk(g: Array, trie: int, nodes: int, mask: Array) -> None:
    """None; goes on with the walk from where it is, to the end or to a status."""
    tokens = block_at(g[TOKENS])
    node_byte, node_depth = bytes_at(tokens, trie), ints_at(tokens, trie + NODE_DEPTH)
    subtree_size = ints_at(tokens, trie + SUBTREE_SIZE)
    levels, rows, states = ints_at(g, LEVELS), ints_at(g, ROWS), ints_at(g, STATES)
    first_token, token_ids = ints_at(tokens, trie + FIRST_TOKEN), ints_at(tokens, trie + TOKEN_IDS)
    lists = (first_token, token_ids, ints_at(g, LISTED), int64(g[LISTED + 1]))
    node, listed = int64(g[WALK_NODE]), int64(g[WALK_LISTED])
    while node < nodes:
        at, byte = peek(node_depth, node) * LEVEL_SIZE, peek(node_byte, node)
        offset = byte - peek(levels, at + LEVEL_LOW)
        if offset < 0 or offset >= peek(levels, at + LEVEL_SIZE_OF_ROW):
            node += peek(subtree_size, node)
            continue
        state = peek(rows, peek(levels, at + LEVEL_ROW) + offset)
        if state == UNKNOWN:
            state = entry(g, peek(levels, at + LEVEL_STATE), byte)
            if g[STATUS] != OK:
                break
        if state == DEAD:
            node += peek(subtree_size, node)
            continue
        base, top = peek(levels, at + LEVEL_BASE), peek(levels, at + LEVEL_TOP)
        if state < 0:
            state, base, top = _turn(g, state, base, top)
        if peek(subtree_size, node) > 1:
            if peek(states, state * STATE_SIZE + ROW_START) == 0:
                lay_out(g, state)
                if g[STATUS] != OK:
                    break
            _descend(levels, at + LEVEL_SIZE, states, state)
            poke(levels, at + LEVEL_SIZE + LEVEL_BASE, base)
            poke(levels, at + LEVEL_SIZE + LEVEL_TOP, top)
        if peek(first_token, node + 1) > peek(first_token, node):
            listed = _allow_node(lists, node, listed, mask)
        node += 1
    g[WALK_NODE], g[WALK_LISTED] = node, listed


@embedded
def _forget(g: Array) -> None:
    """None; keeps no mask any more."""
    states, index = ints_at(g, STATES), ints_at(g, MEMO + PAIR_INDEX)
    for state in range(g[STATE_COUNT]):
        states[state * STATE_SIZE + KEPT] = 0
    for slot in range(g[MEMO + PAIR_INDEX + 1]):
        index[slot] = 0
    g[MEMO + PAIR_COUNT] = 0
    g[MASK_COUNT] = 1


@kernel
def _can_keep(g: Array) -> bool:
    """Whether there is room to keep one more mask; old ones go if there must not be more."""
    words = g[MASK_COUNT] + block_at(g[TOKENS])[MASK_SIZE] + 2
    if words > g[KEPT_MASKS + 1] and words > g[MAX_KEPT_WORDS]:
        _forget(g)
        words = g[MASK_COUNT] + block_at(g[TOKENS])[MASK_SIZE] + 2
    keys = g[MEMO + PAIR_COUNT] + DEEPEST + 2
    return (
        has_room(g, KEPT_MASKS, words)
        and has_room(g, MEMO, 2 * keys + 2)
        and has_room(g, MEMO + PAIR_INDEX, 2 * keys)
        and has_room(g, MEMO_VALUES, keys + 1)
    )


@kernel
def kept(g: Array, state: int, base: int) -> int:
    """Where the mask of a canonical state is kept; 0 nowhere."""
    value = int64(ints_at(g, STATES)[state * STATE_SIZE + KEPT])
    key = state
    while value == LOOK:
        bases = longs_at(g, BASES)
        number = pair(g, MEMO, key, bases[2 * base + 1], False)
        value = int64(ints_at(g, MEMO_VALUES)[number]) if number != 0 else int64(0)
        key, base = number | _DEEPER, bases[2 * base]
    return value


@kernel
def _keep(g: Array, state: int, base: int, mask: Array) -> None:
    """None; keeps the mask of a walk that has ended. There is room (`_can_keep`)."""
    bases, depth, below = longs_at(g, BASES), 0, base
    while below != g[WALK_LOWEST]:
        below = bases[2 * below]
        depth += 1
    if depth > DEEPEST:
        return
    states, values = ints_at(g, STATES), ints_at(g, MEMO_VALUES)
    key, at = state, int64(-1)
    for _ in range(depth):
        if at < 0:
            states[state * STATE_SIZE + KEPT] = LOOK
        else:
            values[at] = LOOK
        count = g[MEMO + PAIR_COUNT]
        at = pair(g, MEMO, key, bases[2 * base + 1], True)
        if at > count:
            values[at] = 0
        key, base = at | _DEEPER, bases[2 * base]
    where = _written(g, mask)
    if at < 0:
        states[state * STATE_SIZE + KEPT] = where
    else:
        values[at] = where


@embedded
def _written(g: Array, mask: Array) -> int:
    """Where the mask of a walk is kept now, as (number of ids, ids), or (`WORDS`, words)."""
    masks, listed = ints_at(g, KEPT_MASKS), ints_at(g, LISTED)
    at, count = int64(g[MASK_COUNT]), g[WALK_LISTED]
    if 2 * count < len(mask):
        masks[at] = count
        for i in range(count):
            masks[at + 1 + i] = listed[i]
        g[MASK_COUNT] += count + 1
        return at
    words = words_at(g, KEPT_MASKS)[at + 1 : at + 1 + len(mask)]
    is_sliced = g[WALK_PLAIN] >= 0
    for i in range(len(mask)):
        words[i] = np.uint32(0) if is_sliced else mask[i]
    if is_sliced:  # without the plain tokens, which may be others next time
        for i in range(count):
            allow(words, int64(listed[i]))
    masks[at] = WORDS
    return _same_words(g, at, len(mask))


@kernel
def _same_words(g: Array, at: int, size: int) -> int:
    """Where the words of the mask at `at`, the last one, are kept; it goes if they were before."""
    masks, values = ints_at(g, KEPT_MASKS), ints_at(g, MEMO_VALUES)
    content = int64(0)
    for i in range(at + 1, at + 1 + size):
        content = mixed(content, masks[i])
    count = g[MEMO + PAIR_COUNT]
    number = pair(g, MEMO, content, _CONTENT, True)
    if number <= count:
        before = int64(values[number])
        i = 0
        while i <= size and masks[before + i] == masks[at + i]:
            i += 1
        if i > size:
            return before
    values[number] = at
    g[MASK_COUNT] += size + 1
    return at


@embedded
def _read(g: Array, at: int, plain: int, mask: Array) -> None:
    """None; writes the mask that is kept at `at`, with the plain tokens of `plain` code points."""
    masks = ints_at(g, KEPT_MASKS)
    count = masks[at]
    if count != WORDS:
        begin_mask(g, plain, mask)
        for i in range(count):
            allow(mask, int64(masks[at + 1 + i]))
        return
    words = words_at(g, KEPT_MASKS)
    if plain < 0:
        for i in range(len(mask)):
            mask[i] = words[at + 1 + i]
        return
    plain_masks, first = words_at(block_at(g[TOKENS]), PLAIN_MASKS), plain * len(mask)
    for i in range(len(mask)):
        mask[i] = plain_masks[first + i] | words[at + 1 + i]


@kernel
def begin_mask(g: Array, plain: int, mask: Array) -> None:
    """None; allows the plain tokens of at most `plain` code points alone; -1 is none."""
    if plain < 0:
        mask[:] = np.uint32(0)
        return
    plain_masks, first = words_at(block_at(g[TOKENS]), PLAIN_MASKS), plain * len(mask)
    for i in range(len(mask)):
        mask[i] = plain_masks[first + i]


@embedded
def _begin_walk(g: Array, state: int, base: int, plain: int, mask: Array) -> None:
    lay_out(g, state)
    if g[STATUS] != OK:
        return
    levels = ints_at(g, LEVELS)
    _descend(levels, 0, ints_at(g, STATES), state)
    levels[LEVEL_BASE], levels[LEVEL_TOP] = base, 0
    begin_mask(g, plain, mask)
    g[WALK_PLAIN], g[WALK_LOWEST], g[WALK_LISTED] = plain, base, 0
    g[WALK_STATE], g[WALK_NODE] = state, 0


@embedded
def fill(g: Array, position: int, mask: Array, resumes: bool) -> None:
    """None; writes the tokens that are allowed at `position` to `mask`, uint32[words]; or a status.

    Parameters
    ----------
    position : base << 32 | state
    resumes : whether the last call of this grammar was this one, and ended with a status
    """
    first, base = position & LOW_HALF, position >> 32
    if not resumes:
        g[WALK_NODE] = -1  # the walk before this one may have been of the same state
    plain, state = slice_of(g, first), canonical(g, first)
    if g[STATUS] != OK:
        return
    at = kept(g, state, base)
    if at > 0:
        _read(g, at, plain, mask)
    else:
        if not _can_keep(g):
            return
        # what was asked for may have changed which state stands for the first
        if g[WALK_NODE] < 0 or g[WALK_STATE] != state:
            g[WALK_NODE] = -1
            _begin_walk(g, state, base, plain, mask)
        if g[STATUS] != OK:
            return
        tokens = block_at(g[TOKENS])
        trie = ALL_TOKENS if plain < 0 else REST_TOKENS
        _walk(g, trie, tokens[trie + 1], mask)
        if g[STATUS] != OK:
            return
        _keep(g, state, base, mask)
    if ints_at(g, STATES)[first * STATE_SIZE + ACCEPTS] and base == 0:
        tokens = block_at(g[TOKENS])
        for i in range(tokens[EOS + 1]):
            allow(mask, int64(ints_at(tokens, EOS)[i]))
