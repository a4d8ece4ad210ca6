"""The tokens that may come next: a walk over the trie of tokens, and the masks that are kept.

    node = first; while there is a node:
        the state before it (of its level), its byte -> the state after it
        not dead: allow its tokens; if it has children: remember the state, go on at the first
        go on at the next sibling, or that of the parent

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
    END_TOKEN,
    EOS,
    FIRST_CHILD,
    FIRST_TOKEN,
    HAS_RUNS,
    HEIGHT,
    LAST_CHILD,
    LEVEL_BASE,
    LEVEL_LOW,
    LEVEL_NODE,
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
    NODE_BYTE,
    OK,
    OWN_MASK,
    OWN_TOKENS,
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
    TAIL_TOKENS,
    TOKEN_IDS,
    TOKENS,
    UNKNOWN,
    WALK_BACK,
    WALK_LEVEL,
    WALK_LISTED,
    WALK_LOOP,
    WALK_LOWEST,
    WALK_NODE,
    WALK_PART,
    WALK_PLAIN,
    WALK_STATE,
    block_at,
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
def _allow_tokens(arrays: Arrays, span: tuple[int, int], count: int, mask: Array) -> int:
    """How many tokens are listed, with those of a span of `token_ids`; they are allowed."""
    _, _, token_ids, listed, room = arrays
    for i in range(span[0], span[1]):
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
def _allow_as_loop(g: Array, arrays: Arrays, node: int, count: int, mask: Array) -> int:
    """How many tokens are listed, with those below a node that the loop allows; they are too."""
    first_token, end_token, token_ids, listed, room = arrays
    allowed = words_at(g, LOOP_MASK)
    for i in range(peek(first_token, node), peek(end_token, node)):
        token_id = peek(token_ids, i)
        if (allowed[token_id >> 5] >> np.uint32(token_id & 31)) & np.uint32(1):
            allow(mask, token_id)
            if count < room:
                poke(listed, count, token_id)
            count += 1
    return count


@inlined
def _is_as_loop(g: Array, arrays: Arrays, node: int, at: int) -> bool:
    """Whether the bytes to `node`, on the level at `at`, are plain characters of ASCII."""
    first_token, _, token_ids, _, _ = arrays
    token_id = peek(token_ids, peek(first_token, node))
    return begins_plainly(block_at(g[TOKENS]), token_id, at // LEVEL_SIZE + 1)


@kernel
def _walk(g: Array, trie: int, mask: Array) -> None:
    """None; goes on with the walk from where it is, to the end or to a status."""
    tokens = block_at(g[TOKENS])
    nodes = longs_at(tokens, trie)
    levels, rows, states = ints_at(g, LEVELS), ints_at(g, ROWS), ints_at(g, STATES)
    first_token, token_ids = ints_at(tokens, trie + FIRST_TOKEN), ints_at(tokens, trie + TOKEN_IDS)
    end_token = ints_at(tokens, trie + END_TOKEN)
    lists = (first_token, end_token, token_ids, ints_at(g, LISTED), int64(g[LISTED + 1]))
    node, listed, loop = int64(g[WALK_NODE]), int64(g[WALK_LISTED]), int64(g[WALK_LOOP])
    at = int64(g[WALK_LEVEL])
    while node < tokens[trie + 1]:
        word = peek(nodes, node)
        byte, state = word & NODE_BYTE, int64(DEAD)
        offset = byte - peek(levels, at + LEVEL_LOW)
        if 0 <= offset < peek(levels, at + LEVEL_SIZE_OF_ROW):
            state = peek(rows, peek(levels, at + LEVEL_ROW) + offset)
        elif is_space(byte) and peek(
            states, peek(levels, at + LEVEL_STATE) * STATE_SIZE + HAS_RUNS
        ):
            state = peek(states, peek(levels, at + LEVEL_STATE) * STATE_SIZE + AFTER_SPACE)
        if state == UNKNOWN:
            state = entry(g, peek(levels, at + LEVEL_STATE), byte)
            if g[STATUS] != OK:
                break
        if state != DEAD:
            base, top = peek(levels, at + LEVEL_BASE), peek(levels, at + LEVEL_TOP)
            if state < 0:
                state, base, top = _turn(g, state, base, top)
            first, child = peek(first_token, node), word >> FIRST_CHILD
            is_as_loop = state == loop and _is_in_loop(g, base, top)
            if is_as_loop and _is_as_loop(g, lists, node, at):
                listed = _allow_as_loop(g, lists, node, listed, mask)
            else:
                if child != 0 and peek(states, state * STATE_SIZE + ROW_START) == 0:
                    lay_out(g, state)
                    if g[STATUS] != OK:
                        break
                own = word >> OWN_TOKENS & OWN_MASK
                if own != 0:
                    listed = _allow_tokens(lists, (first, first + own), listed, mask)
                if child != 0:
                    poke(levels, at + LEVEL_NODE, node)
                    at += LEVEL_SIZE
                    _descend(levels, at, states, state)
                    poke(levels, at + LEVEL_BASE, base)
                    poke(levels, at + LEVEL_TOP, top)
                    node = child
                    continue
        while word & LAST_CHILD and at > 0:
            at -= LEVEL_SIZE
            node = peek(levels, at + LEVEL_NODE)
            word = peek(nodes, node)
        node = node + 1 if not word & LAST_CHILD else int64(tokens[trie + 1])
    g[WALK_NODE], g[WALK_LISTED], g[WALK_LEVEL] = node, listed, at


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
    g[WALK_STATE], g[WALK_NODE], g[WALK_LEVEL] = state, 0, 0


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
    trie = ALL_TOKENS if plain < 0 and g[WALK_PART] == 0 else REST_TOKENS
    if trie == REST_TOKENS and room_in_string(g, state) > 0:
        trie = TAIL_TOKENS  # plain characters before them change nothing
    _walk(g, trie, mask)
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
