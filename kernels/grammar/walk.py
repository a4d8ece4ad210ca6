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

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import inlined, int64, kernel
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
    pair,
    words_at,
)
from sampler.kernels.grammar.rows import entry, lay_out

TEMPORARY = 1 << 30  # bases from here on live as long as a walk
LOOK = -1  # kept by one more entry of the base
DEEPEST = 16  # entries of a base by which a mask is kept
_DEEPER = 1 << 40  # in memo keys: what follows is a number of a memo key, not a state
_NO_SLICE = 1
ALL_OF_THEM = -1  # the number of ids of a mask that is kept whole


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
        return -1 if argument in (0x22, 0x5C) or argument < 0x20 else -2
    if op == BYTES:
        taken = bytes_at(g, BYTE_SETS)
        for byte in range(0x20, 0x100):
            if byte not in (0x22, 0x5C) and taken[256 * argument + byte]:
                return -2
        return -1
    if op != TEXT:
        part_of_character = op == CHARACTER and configurations[at + 2] >> 32 != 0
        return -2 if op == SPACE or (op == CHARACTER and not part_of_character) else -1
    if configurations[at + 2] >> 32 != 0:
        return -1  # plain tokens are whole characters
    return _plain_codes_of_text(g, argument * TEXT_SIZE, configurations[at + 2], at)


@kernel
def _plain_codes_of_text(g: Array, text: int, state: int, at: int) -> int:
    texts, text_states = longs_at(g, TEXTS), ints_at(g, TEXT_STATES)
    if row_of(g, state) == 0:
        return -2
    flags = text_states[state * TEXT_STATE_SIZE + TEXT_FLAGS]
    if texts[text + SPELLING] == RAW or not flags & TAKES_EVERYTHING:
        return -2
    budget: int = block_at(g[TOKENS])[PLAIN_BUDGET]
    if texts[text + MAX_LENGTH] < 0:
        return budget
    if not flags & LOOPS:
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
def _clipped(g: Array, number: int) -> int:
    """The count of configuration `number`, or one with the same tokens.

    Neither end of a window matters that is farther away than the longest token reaches.
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
    if high >= 0 and high - count <= height + g[REACH]:
        return count
    if count >= low:
        return low  # type: ignore[no-any-return]
    return 0 if low - count > height else count


@kernel
def canonical(g: Array, state: int) -> int:
    """A state with the same mask as `state`, the same for many of them; 0 with a status."""
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if states[at + CANONICAL] != 0:
        return states[at + CANONICAL]  # type: ignore[no-any-return]
    configurations = longs_at(g, CONFIGURATIONS)
    first = int64(states[at + START])
    is_same = True
    for number in range(first, first + states[at + SIZE]):
        is_same = is_same and _clipped(g, number) == configurations[WIDTH * number + 3]
    found = state
    if not is_same:
        begin(g)
        for number in range(first, first + states[at + SIZE]):
            i = WIDTH * number
            where, register, place = configurations[i], configurations[i + 1], configurations[i + 2]
            add(g, where, register, place, _clipped(g, number))
        if g[STATUS] != OK:
            return 0
        sort(g, g[FOUND_COUNT])
        found = intern(g, g[FOUND_COUNT])
    states[at + CANONICAL] = found
    return found


@kernel
def _descend(g: Array, level: int, state: int, base: int, top: int) -> bool:
    """Whether the walk could put (state, base) on `level`."""
    lay_out(g, state)
    if g[STATUS] != OK:
        return False
    levels, states = ints_at(g, LEVELS), ints_at(g, STATES)
    to, at = level * LEVEL_SIZE, state * STATE_SIZE
    levels[to + LEVEL_LOW] = states[at + LOW]
    levels[to + LEVEL_SIZE_OF_ROW] = states[at + ROW_SIZE]
    levels[to + LEVEL_ROW] = states[at + ROW_START]
    levels[to + LEVEL_STATE], levels[to + LEVEL_BASE] = state, base
    levels[to + LEVEL_TOP] = top
    return True


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
def _allow_node(g: Array, tokens: Array, trie: int, node: int, mask: Array) -> None:
    """None; allows the tokens of a node and lists them."""
    first_token, token_ids = ints_at(tokens, trie + FIRST_TOKEN), ints_at(tokens, trie + TOKEN_IDS)
    listed = ints_at(g, LISTED)
    for i in range(first_token[node], first_token[node + 1]):
        token_id = int64(token_ids[i])
        allow(mask, token_id)
        if g[WALK_LISTED] < g[LISTED + 1]:
            listed[g[WALK_LISTED]] = token_id
        g[WALK_LISTED] += 1


@kernel
def _walk(g: Array, trie: int, nodes: int, mask: Array) -> None:
    """None; goes on with the walk from where it is, to the end or to a status."""
    tokens = block_at(g[TOKENS])
    node_byte, node_depth = bytes_at(tokens, trie), ints_at(tokens, trie + NODE_DEPTH)
    subtree_size = ints_at(tokens, trie + SUBTREE_SIZE)
    first_token = ints_at(tokens, trie + FIRST_TOKEN)
    levels, rows = ints_at(g, LEVELS), ints_at(g, ROWS)
    node = g[WALK_NODE]
    while node < nodes:
        level = int64(node_depth[node])
        at = level * LEVEL_SIZE
        offset = int64(node_byte[node]) - levels[at + LEVEL_LOW]
        if offset < 0 or offset >= levels[at + LEVEL_SIZE_OF_ROW]:
            node += subtree_size[node]
            continue
        state = int64(rows[levels[at + LEVEL_ROW] + offset])
        if state == UNKNOWN:
            state = entry(g, int64(levels[at + LEVEL_STATE]), int64(node_byte[node]))
            if g[STATUS] != OK:
                break
        if state == DEAD:
            node += subtree_size[node]
            continue
        base, top = int64(levels[at + LEVEL_BASE]), int64(levels[at + LEVEL_TOP])
        if state < 0:
            state, base, top = _turn(g, state, base, top)
        if subtree_size[node] > 1 and not _descend(g, level + 1, state, base, top):
            break
        if first_token[node + 1] > first_token[node]:
            _allow_node(g, tokens, trie, node, mask)
        node += 1
    g[WALK_NODE] = node


@kernel
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
    keys = g[MEMO + PAIR_COUNT] + DEEPEST + 1
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
    if at < 0:
        states[state * STATE_SIZE + KEPT] = g[MASK_COUNT]
    else:
        values[at] = g[MASK_COUNT]
    _write(g, mask)


@kernel
def _write(g: Array, mask: Array) -> None:
    """None; appends the mask to those that are kept: (plain + 1, number of ids, ids or words)."""
    masks, listed = ints_at(g, KEPT_MASKS), ints_at(g, LISTED)
    at, count = g[MASK_COUNT], g[WALK_LISTED]
    words: int = block_at(g[TOKENS])[MASK_SIZE]
    masks[at] = g[WALK_PLAIN] + 1
    if count <= g[LISTED + 1] and count < words:
        masks[at + 1] = count
        for i in range(count):
            masks[at + 2 + i] = listed[i]
        g[MASK_COUNT] += count + 2
    else:
        masks[at + 1] = ALL_OF_THEM
        for i in range(words):
            masks[at + 2 + i] = np.int32(mask[i])
        g[MASK_COUNT] += words + 2


@kernel
def _read(g: Array, at: int, mask: Array) -> None:
    """None; writes the mask that is kept at `at`."""
    masks = ints_at(g, KEPT_MASKS)
    count = masks[at + 1]
    if count == ALL_OF_THEM:
        words = words_at(g, KEPT_MASKS)
        for i in range(len(mask)):
            mask[i] = words[at + 2 + i]
        return
    begin_mask(g, int64(masks[at]) - 1, mask)
    for i in range(count):
        allow(mask, masks[at + 2 + i])


@kernel
def begin_mask(g: Array, plain: int, mask: Array) -> None:
    """None; allows the plain tokens of at most `plain` code points alone; -1 is none."""
    if plain < 0:
        mask[:] = np.uint32(0)
        return
    plain_masks, first = words_at(block_at(g[TOKENS]), PLAIN_MASKS), plain * len(mask)
    for i in range(len(mask)):
        mask[i] = plain_masks[first + i]


@kernel
def _begin_walk(g: Array, state: int, base: int, mask: Array) -> None:
    plain = slice_of(g, state)
    if g[STATUS] != OK or not _descend(g, 0, state, base, 0):
        return
    begin_mask(g, plain, mask)
    g[WALK_PLAIN], g[WALK_LOWEST], g[WALK_LISTED] = plain, base, 0
    g[WALK_STATE], g[WALK_NODE] = state, 0


@kernel
def fill(g: Array, position: int, mask: Array, resumes: bool) -> None:
    """None; writes the tokens that are allowed at `position` to `mask`, uint32[words]; or a status.

    Parameters
    ----------
    position : base << 32 | state
    resumes : whether the last call of this grammar was this one, and ended with a status
    """
    first, base = position & LOW_HALF, position >> 32
    state = canonical(g, first)
    if g[STATUS] != OK:
        return
    at = kept(g, state, base)
    if at > 0:
        _read(g, at, mask)
    else:
        if not _can_keep(g):
            return
        # what was asked for may have changed which state stands for the first
        if not resumes or g[WALK_NODE] < 0 or g[WALK_STATE] != state:
            g[WALK_NODE] = -1
            _begin_walk(g, state, base, mask)
        if g[STATUS] != OK:
            return
        tokens = block_at(g[TOKENS])
        trie = ALL_TOKENS if g[WALK_PLAIN] < 0 else REST_TOKENS
        _walk(g, trie, tokens[trie + 1], mask)
        if g[STATUS] != OK:
            return
        _keep(g, state, base, mask)
    if ints_at(g, STATES)[first * STATE_SIZE + ACCEPTS] and base == 0:
        tokens = block_at(g[TOKENS])
        for i in range(tokens[EOS + 1]):
            allow(mask, int64(ints_at(tokens, EOS)[i]))
