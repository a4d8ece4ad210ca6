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
from sampler.kernels.grammar.bounds import lay_out
from sampler.kernels.grammar.compile import embedded, inlined, int64, kernel
from sampler.kernels.grammar.kept_masks import (
    allow,
    begin_mask,
    can_keep,
    drop_longer,
    is_long,
    keep,
    keep_plain_part,
    kept,
    read,
)
from sampler.kernels.grammar.loops import begin_loop, begins_plainly, loop_of
from sampler.kernels.grammar.memory import (
    ACCEPTS,
    ACTIONS,
    AFTER_SPACE,
    ALL_TOKENS,
    BASES,
    DEAD,
    EOS,
    FIRST_TOKEN,
    HAS_RUNS,
    HEIGHT,
    LEVEL_BASE,
    LEVEL_LOW,
    LEVEL_ROW,
    LEVEL_SIZE,
    LEVEL_SIZE_OF_ROW,
    LEVEL_STATE,
    LEVEL_TOP,
    LEVELS,
    LISTED,
    LOOP_MASK,
    LOW,
    LOW_HALF,
    NODE_DEPTH,
    OK,
    PLAIN_PART,
    POP,
    REST_TOKENS,
    ROOM_LEFT,
    ROW_SIZE,
    ROW_START,
    ROWS,
    STATE_SIZE,
    STATES,
    STATUS,
    SUBTREE_SIZE,
    TAIL_TOKENS,
    TOKEN_IDS,
    TOKENS,
    UNKNOWN,
    WALK_BACK,
    WALK_LISTED,
    WALK_LOOP,
    WALK_LOWEST,
    WALK_NODE,
    WALK_PART,
    WALK_PLAIN,
    WALK_STATE,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
    peek,
    poke,
    words_at,
)
from sampler.kernels.grammar.plain import (
    canonical,
    room_in_string,
    slice_of,
    stays_in_string,
)
from sampler.kernels.grammar.rows import entry
from sampler.kernels.grammar.runs import is_space

TEMPORARY = 1 << 30  # bases from here on live as long as a walk


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
def _is_in_loop(g: Array, base: int, top: int) -> bool:
    """Whether the state of the loop, with this base, is at the position of the loop."""
    levels, back = ints_at(g, LEVELS), g[WALK_BACK]
    first_base = levels[LEVEL_BASE]
    if back == 0:
        return top == 0 and base == first_base
    temporary = (block_at(g[TOKENS])[HEIGHT] + 1) * LEVEL_SIZE
    is_first = top == 1 and base == TEMPORARY and levels[temporary] == first_base
    return is_first and levels[temporary + 1] == back


@kernel
def _allow_as_loop(g: Array, arrays: Arrays, nodes: tuple[int, int], mask: Array) -> None:
    """None; allows and lists the tokens from one node to another that the loop allows."""
    first_token, token_ids, listed, room = arrays
    allowed, count = words_at(g, LOOP_MASK), int64(g[WALK_LISTED])
    for i in range(peek(first_token, nodes[0]), peek(first_token, nodes[1])):
        token_id = peek(token_ids, i)
        if (allowed[token_id >> 5] >> np.uint32(token_id & 31)) & np.uint32(1):
            allow(mask, token_id)
            if count < room:
                poke(listed, count, token_id)
            count += 1
    g[WALK_LISTED] = count


@kernel
def _walk(g: Array, trie: int, nodes: int, mask: Array) -> None:
    """None; goes on with the walk from where it is, to the end or to a status."""
    tokens = block_at(g[TOKENS])
    node_byte, node_depth = bytes_at(tokens, trie), ints_at(tokens, trie + NODE_DEPTH)
    subtree_size = ints_at(tokens, trie + SUBTREE_SIZE)
    levels, rows, states = ints_at(g, LEVELS), ints_at(g, ROWS), ints_at(g, STATES)
    first_token, token_ids = ints_at(tokens, trie + FIRST_TOKEN), ints_at(tokens, trie + TOKEN_IDS)
    lists = (first_token, token_ids, ints_at(g, LISTED), int64(g[LISTED + 1]))
    node, listed, loop = int64(g[WALK_NODE]), int64(g[WALK_LISTED]), int64(g[WALK_LOOP])
    while node < nodes:
        at, byte = peek(node_depth, node) * LEVEL_SIZE, peek(node_byte, node)
        offset = byte - peek(levels, at + LEVEL_LOW)
        if offset >= 0 and offset < peek(levels, at + LEVEL_SIZE_OF_ROW):
            state = peek(rows, peek(levels, at + LEVEL_ROW) + offset)
        elif byte <= 0x20 and peek(states, peek(levels, at + LEVEL_STATE) * STATE_SIZE + HAS_RUNS):
            state = int64(UNKNOWN)
            if is_space(byte):
                state = peek(states, peek(levels, at + LEVEL_STATE) * STATE_SIZE + AFTER_SPACE)
        else:
            node += peek(subtree_size, node)
            continue
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
        if state == loop and _is_in_loop(g, base, top):
            token_id, depth = peek(token_ids, peek(first_token, node)), peek(node_depth, node)
            if begins_plainly(tokens, token_id, depth + 1):
                g[WALK_LISTED] = listed
                _allow_as_loop(g, lists, (node, node + peek(subtree_size, node)), mask)
                listed = int64(g[WALK_LISTED])
                node += peek(subtree_size, node)
                continue
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
def _begin_walk(g: Array, state: int, base: int, plain: int, mask: Array) -> None:
    lay_out(g, state)
    if g[STATUS] != OK:
        return
    levels = ints_at(g, LEVELS)
    _descend(levels, 0, ints_at(g, STATES), state)
    levels[LEVEL_BASE], levels[LEVEL_TOP] = base, 0
    part = int64(0) if plain >= 0 else int64(ints_at(g, STATES)[state * STATE_SIZE + PLAIN_PART])
    if part == 0:
        begin_mask(g, plain, mask)
    else:
        read(g, part, plain, mask)
    g[WALK_PLAIN], g[WALK_PART], g[WALK_LOWEST], g[WALK_LISTED] = plain, part, base, 0
    g[WALK_STATE], g[WALK_NODE] = state, 0


@kernel
def _learn(g: Array, position: int, plain: int, loop: int, mask: Array) -> None:
    """None; writes the mask of a canonical state and keeps it; or a status, to go on from."""
    state, base = position & LOW_HALF, position >> 32
    if not can_keep(g):
        return
    # what was asked for may have changed which state stands for the first
    if g[WALK_NODE] < 0 or g[WALK_STATE] != state:
        g[WALK_NODE] = -1
        _begin_walk(g, state, base, plain, mask)
        if g[STATUS] != OK:
            return
        begin_loop(g, loop, base)
    tokens = block_at(g[TOKENS])
    trie = ALL_TOKENS if plain < 0 and g[WALK_PART] == 0 else REST_TOKENS
    if trie == REST_TOKENS and room_in_string(g, state) > 0:
        trie = TAIL_TOKENS  # plain characters before them change nothing
    _walk(g, trie, tokens[trie + 1], mask)
    if g[STATUS] != OK:
        return
    keep(g, state, base, mask)
    if trie == ALL_TOKENS and is_long(g, mask) and stays_in_string(g, state):
        keep_plain_part(g, state, mask)
    g[WALK_NODE] = -1


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
    at, _ = kept(g, state, base)
    if at > 0:
        read(g, at, plain, mask)
    else:
        loop = loop_of(g, base << 32 | state, plain)
        after = loop & LOW_HALF
        if g[STATUS] == OK and loop != 0 and kept(g, after, loop >> 32)[0] == 0:
            _learn(g, loop, slice_of(g, after), 0, mask)
        if g[STATUS] == OK:
            _learn(g, base << 32 | state, plain, loop, mask)
        if g[STATUS] != OK:
            return
    room = int64(ints_at(g, STATES)[first * STATE_SIZE + ROOM_LEFT])
    if room != 0:
        drop_longer(g, room, mask)
    if ints_at(g, STATES)[first * STATE_SIZE + ACCEPTS] and base == 0:
        tokens = block_at(g[TOKENS])
        for i in range(tokens[EOS + 1]):
            allow(mask, int64(ints_at(tokens, EOS)[i]))
