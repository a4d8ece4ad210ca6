"""The masks that are kept, by all that they depend on: a state, and entries of the base.

A mask is kept as ids, or whole, and without the plain tokens that a string allows: these may be
others for a state with the same mask otherwise. Whole ones that are equal are kept once. When they
are too many, all are forgotten.

Words are read and written by slices: an index that is not counted from 0 might be negative, and
would be looked at one by one.
"""

import numpy as np

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import embedded, inlined, int64, kernel
from sampler.kernels.grammar.memory import (
    BASES,
    KEPT,
    KEPT_MASKS,
    LISTED,
    MASK_COUNT,
    MASK_SIZE,
    MAX_KEPT_WORDS,
    MEMO,
    MEMO_VALUES,
    PAIR_COUNT,
    PAIR_INDEX,
    PLAIN_BUDGET,
    PLAIN_MASKS,
    PLAIN_PART,
    REST_TOKENS,
    STATE_COUNT,
    STATE_SIZE,
    STATES,
    STRING_LENGTHS,
    STRING_REACH,
    TOKEN_IDS,
    TOKENS,
    WALK_LISTED,
    WALK_LOWEST,
    WALK_PART,
    WALK_PLAIN,
    block_at,
    has_room,
    ints_at,
    longs_at,
    mixed,
    pair,
    peek,
    words_at,
)

LOOK = -1  # kept by one more entry of the base
DEEPEST = 16  # entries of a base by which a mask is kept
_DEEPER = 1 << 40  # in memo keys: what follows is a number of a memo key, not a state
_CONTENT = -1  # in memo keys, instead of a state to return to: the key is a hash of the mask itself
WORDS = -1  # instead of a number of ids: a mask that is kept whole


@inlined
def allow(mask: Array, token_id: int) -> None:
    """None; sets the bit of `token_id` in uint32 words."""
    mask[token_id >> 5] |= np.uint32(1) << np.uint32(token_id & 31)


@inlined
def forbid(mask: Array, token_id: int) -> None:
    """None; clears the bit of `token_id` in uint32 words."""
    mask[token_id >> 5] &= ~(np.uint32(1) << np.uint32(token_id & 31))


@embedded
def _forget(g: Array) -> None:
    """None; keeps no mask any more."""
    states, index = ints_at(g, STATES), ints_at(g, MEMO + PAIR_INDEX)
    for state in range(g[STATE_COUNT]):
        states[state * STATE_SIZE + KEPT] = 0
        states[state * STATE_SIZE + PLAIN_PART] = 0
    for slot in range(g[MEMO + PAIR_INDEX + 1]):
        index[slot] = 0
    g[MEMO + PAIR_COUNT] = 0
    g[MASK_COUNT] = 1


@kernel
def can_keep(g: Array) -> bool:
    """Whether there is room to keep one more mask; old ones go if there must not be more."""
    needed = 2 * (block_at(g[TOKENS])[MASK_SIZE] + 2)  # also for its plain part
    words = g[MASK_COUNT] + needed
    if words > g[KEPT_MASKS + 1] and words > g[MAX_KEPT_WORDS]:
        _forget(g)
        words = g[MASK_COUNT] + needed
    keys = g[MEMO + PAIR_COUNT] + DEEPEST + 3
    return (
        has_room(g, KEPT_MASKS, words)
        and has_room(g, MEMO, 2 * keys + 2)
        and has_room(g, MEMO + PAIR_INDEX, 2 * keys)
        and has_room(g, MEMO_VALUES, keys + 1)
    )


@kernel
def kept(g: Array, state: int, base: int) -> tuple[int, int]:
    """Where the mask of a canonical state is kept (0 nowhere), and the base below what it is by."""
    value = int64(ints_at(g, STATES)[state * STATE_SIZE + KEPT])
    key = state
    while value == LOOK:
        bases = longs_at(g, BASES)
        number = pair(g, MEMO, key, bases[2 * base + 1], False)
        value = int64(ints_at(g, MEMO_VALUES)[number]) if number != 0 else int64(0)
        key, base = number | _DEEPER, bases[2 * base]
    return value, base


@kernel
def keep(g: Array, state: int, base: int, mask: Array) -> None:
    """None; keeps the mask of a walk that has ended. There is room (`can_keep`)."""
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


@inlined
def is_long(g: Array, mask: Array) -> bool:
    """Whether the mask of a walk is kept whole.

    That takes more memory than some hundred ids, but is read sooner, and equal ones are kept once.
    """
    return 8 * g[WALK_LISTED] >= len(mask) or g[WALK_PART] != 0  # type: ignore[no-any-return]


@kernel
def keep_plain_part(g: Array, state: int, mask: Array) -> None:
    """None; keeps the plain tokens of a walk over all tokens. There is room (`can_keep`)."""
    tokens = block_at(g[TOKENS])
    if tokens[PLAIN_BUDGET] < 0:
        return
    at, size = int64(g[MASK_COUNT]), len(mask)
    start = tokens[PLAIN_BUDGET] * size
    plain = words_at(tokens, PLAIN_MASKS)[start : start + size]
    words = words_at(g, KEPT_MASKS)[at + 1 : at + 1 + size]
    for i in range(size):
        words[i] = mask[i] & plain[i]
    ints_at(g, KEPT_MASKS)[at] = WORDS
    ints_at(g, STATES)[state * STATE_SIZE + PLAIN_PART] = _same_words(g, at, size)


@embedded
def _written(g: Array, mask: Array) -> int:
    """Where the mask of a walk is kept now, as (number of ids, ids), or (`WORDS`, words)."""
    masks, listed = ints_at(g, KEPT_MASKS), ints_at(g, LISTED)
    at, count = int64(g[MASK_COUNT]), g[WALK_LISTED]
    if not is_long(g, mask):
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
def _content_of(words: Array, start: int, size: int) -> int:
    """A hash of words[start : start + size]; four at a time, since each step waits for the last."""
    a, b, c, d = int64(0), int64(0), int64(0), int64(0)
    stop = start + size - size % 4
    for i in range(start, stop, 4):
        a, b = mixed(a, peek(words, i)), mixed(b, peek(words, i + 1))
        c, d = mixed(c, peek(words, i + 2)), mixed(d, peek(words, i + 3))
    for i in range(stop, start + size):
        a = mixed(a, peek(words, i))
    return mixed(mixed(a, b), mixed(c, d))


@kernel
def _same_words(g: Array, at: int, size: int) -> int:
    """Where the words of the mask at `at`, the last one, are kept; it goes if they were before."""
    masks, values = ints_at(g, KEPT_MASKS), ints_at(g, MEMO_VALUES)
    content = _content_of(masks, at + 1, size)
    count = g[MEMO + PAIR_COUNT]
    number = pair(g, MEMO, content, _CONTENT, True)
    if number <= count:
        before = int64(values[number])
        i = 0
        while i <= size and peek(masks, before + i) == peek(masks, at + i):
            i += 1
        if i > size:
            return before
    values[number] = at
    g[MASK_COUNT] += size + 1
    return at


@kernel
def read(g: Array, at: int, plain: int, mask: Array) -> None:
    """None; writes the mask that is kept at `at`, with the plain tokens of `plain` code points."""
    masks = ints_at(g, KEPT_MASKS)
    count = masks[at]
    if count != WORDS:
        begin_mask(g, plain, mask)
        for i in range(count):
            allow(mask, int64(masks[at + 1 + i]))
        return
    words = words_at(g, KEPT_MASKS)[at + 1 : at + 1 + len(mask)]
    if plain < 0:
        for i in range(len(mask)):
            mask[i] = words[i]
        return
    start = plain * len(mask)
    allowed = words_at(block_at(g[TOKENS]), PLAIN_MASKS)[start : start + len(mask)]
    for i in range(len(mask)):
        mask[i] = allowed[i] | words[i]


@kernel
def begin_mask(g: Array, plain: int, mask: Array) -> None:
    """None; allows the plain tokens of at most `plain` code points alone; -1 is none."""
    if plain < 0:
        mask[:] = np.uint32(0)
        return
    start = plain * len(mask)
    allowed = words_at(block_at(g[TOKENS]), PLAIN_MASKS)[start : start + len(mask)]
    for i in range(len(mask)):
        mask[i] = allowed[i]


@embedded
def drop_longer(g: Array, room: int, mask: Array) -> None:
    """None; forbids those tokens that are not plain and need more than `room` code points."""
    tokens = block_at(g[TOKENS])
    if room >= tokens[STRING_REACH]:
        return
    ids, lengths = ints_at(tokens, REST_TOKENS + TOKEN_IDS), ints_at(tokens, STRING_LENGTHS)
    for i in range(tokens[REST_TOKENS + TOKEN_IDS + 1]):
        if lengths[i] > room:
            forbid(mask, peek(ids, i))
