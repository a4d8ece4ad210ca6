"""Strings that may be words or anything else: what they allow once they are anything else.

A free key of an object may begin like a name. As soon as it goes on otherwise it is in one state,
its "loop", which plain characters lead back to; so all that is below such a node of the trie is
allowed as the mask of the loop has it. A walk begins with that mask, and takes tokens from it.
"""

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import int64, kernel
from sampler.kernels.grammar.kept_masks import kept, read
from sampler.kernels.grammar.memory import (
    ACTIONS,
    BASES,
    DEAD,
    LOOP_MASK,
    LOW_HALF,
    MASK_SIZE,
    OK,
    POP,
    STATUS,
    TOKEN_DATA,
    TOKEN_STARTS,
    TOKENS,
    WALK_BACK,
    WALK_LOOP,
    WALK_LOWEST,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
    pair,
    words_at,
)
from sampler.kernels.grammar.plain import ENDLESS, canonical, room_in_string
from sampler.kernels.grammar.rows import entry

_PROBE = 0x7E  # names rarely begin or go on with a tilde


@kernel
def loop_of(g: Array, position: int, plain: int) -> int:
    """The position of the loop that plain characters may lead to; 0 if there is none, or a status.

    Parameters
    ----------
    position : base << 32 | state
    plain : what `slice_of` gives for the state
    """
    state, base = position & LOW_HALF, position >> 32
    if plain < 0 or room_in_string(g, state) > 0:
        return 0
    after = entry(g, state, _PROBE)
    if after < POP:  # into the frame of free keys
        actions, number = ints_at(g, ACTIONS), POP - 1 - after
        after = int64(actions[2 * number])
        base = pair(g, BASES, base, int64(actions[2 * number + 1]), True)
    if g[STATUS] != OK or after <= DEAD or room_in_string(g, after) != ENDLESS:
        return 0
    return base << 32 | after if canonical(g, after) == after else int64(0)


@kernel
def begin_loop(g: Array, loop: int, base: int) -> None:
    """None; the walk that begins at `base` takes tokens from the mask of position `loop`.

    Unless it is 0, or its mask is not kept.
    """
    g[WALK_LOOP] = 0
    state, loop_base = loop & LOW_HALF, loop >> 32
    if loop == 0:
        return
    at, below = kept(g, state, loop_base)
    if at > 0:
        read(g, at, -1, words_at(g, LOOP_MASK)[: block_at(g[TOKENS])[MASK_SIZE]])
        g[WALK_LOOP] = state
        g[WALK_BACK] = 0 if loop_base == base else longs_at(g, BASES)[2 * loop_base + 1]
        g[WALK_LOWEST] = min(g[WALK_LOWEST], below)


@kernel
def begins_plainly(tokens: Array, token_id: int, size: int) -> bool:
    """Whether the first `size` bytes of a token are plain characters of ASCII."""
    data, start = bytes_at(tokens, TOKEN_DATA), longs_at(tokens, TOKEN_STARTS)[token_id]
    for at in range(start, start + size):
        byte = data[at]
        if byte < 0x20 or byte >= 0x80 or byte in (0x22, 0x5C):
            return False
    return True
