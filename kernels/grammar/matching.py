"""What a matcher calls: bytes are taken, and masks are filled.

A text is at a position, base << 32 | state (see `rows`). A call that needs something from Python
ends with a status in the block of its grammar (`STATUS`, `REQUEST`); it is made again, with the
same arguments, when that is there.
"""

import numpy as np

from sampler.kernels._jit import Array, kernel
from sampler.kernels.grammar.memory import (
    ACCEPTS,
    ACTIONS,
    BAD_SHAPE,
    BASES,
    BROKEN,
    DEAD,
    LOW,
    LOW_HALF,
    MASK_SIZE,
    OK,
    POP,
    ROW_SIZE,
    STATE_SIZE,
    STATES,
    STATUS,
    TOKEN_DATA,
    TOKEN_STARTS,
    TOKENS,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
    need,
    pair,
)
from sampler.kernels.grammar.rows import entry, lay_out
from sampler.kernels.grammar.walk import fill

REFUSED = 0  # no position: there is no state 0


@kernel
def after_byte(g: Array, position: int, byte: int) -> int:
    """The position after `byte`; `REFUSED` where it cannot come next, or with a status."""
    state, base = position & LOW_HALF, position >> 32
    after = entry(g, state, byte)
    if after > DEAD:
        return base << 32 | after
    if g[STATUS] != OK or after == DEAD:
        return REFUSED
    if after == POP:
        keys = longs_at(g, BASES)
        if base == 0:
            need(g, BROKEN, 0, 0)
            return REFUSED
        return keys[2 * base] << 32 | keys[2 * base + 1]
    actions, number = ints_at(g, ACTIONS), POP - 1 - after
    above = pair(g, BASES, base, np.int64(actions[2 * number + 1]), True)
    return above << 32 | np.int64(actions[2 * number]) if above != 0 else REFUSED


@kernel
def advance(address: int, position: int, token_id: int) -> int:
    """The position after a token (0 <= id < vocabulary); `REFUSED`, or -1 with a status."""
    g = block_at(address)
    g[STATUS] = OK
    tokens = block_at(g[TOKENS])
    data, starts = bytes_at(tokens, TOKEN_DATA), longs_at(tokens, TOKEN_STARTS)
    at, end = starts[token_id], starts[token_id + 1]
    if at == end:
        return REFUSED
    while at < end and position != REFUSED:
        position = after_byte(g, position, np.int64(data[at]))
        at += 1
    return position if g[STATUS] == OK else -1


@kernel
def advance_bytes(address: int, position: int, data: Array) -> int:
    """As `advance`, after uint8[n]."""
    g = block_at(address)
    g[STATUS] = OK
    at = 0
    while at < len(data) and position != REFUSED:
        position = after_byte(g, position, np.int64(data[at]))
        at += 1
    return position if g[STATUS] == OK else -1


@kernel
def forced(address: int, position: int, data: Array) -> int:
    """How many bytes every text has next, at most len(data); uint8[n] is written. -1: a status."""
    g = block_at(address)
    g[STATUS] = OK
    count = 0
    while count < len(data) and g[STATUS] == OK:
        state = position & LOW_HALF
        lay_out(g, state)
        states, at = ints_at(g, STATES), state * STATE_SIZE
        if g[STATUS] != OK or (states[at + ACCEPTS] and position >> 32 == 0):
            break
        ways, only = 0, 0
        for byte in range(states[at + LOW], states[at + LOW] + states[at + ROW_SIZE]):
            if ways < 2 and entry(g, state, byte) != DEAD:
                ways, only = ways + 1, byte
        if g[STATUS] != OK or ways != 1:
            break
        position = after_byte(g, position, only)
        data[count] = only
        count += 1
    return count if g[STATUS] == OK else -1


@kernel
def accepts(address: int, position: int) -> bool:
    """Whether the text may end at `position`."""
    at = (position & LOW_HALF) * STATE_SIZE
    return position >> 32 == 0 and ints_at(block_at(address), STATES)[at + ACCEPTS] != 0


@kernel
def fill_row(address: int, position: int, bitmask: Array, row: int, resumes: bool) -> int:
    """`OK` when the tokens that may come next are in row `row` of int32[rows, words]; or a status.

    Parameters
    ----------
    resumes : whether the last call of this grammar was this one, and ended with a status
    """
    g = block_at(address)
    g[STATUS] = OK
    if row < 0 or row >= bitmask.shape[0] or bitmask.shape[1] != block_at(g[TOKENS])[MASK_SIZE]:
        return BAD_SHAPE
    fill(g, position, bitmask[row].view(np.uint32), resumes)
    return g[STATUS]  # type: ignore[no-any-return]


@kernel
def fill_rows(jobs: Array, bitmask: Array) -> int:
    """How many rows ended with a status; each row as `fill_row`, none resumes.

    Parameters
    ----------
    jobs : int64[n, 4]: address, position, row; the last column is written: the status
    bitmask : int32[rows, words]
    """
    failed = 0
    for job in range(jobs.shape[0]):
        address, position, row = jobs[job, 0], jobs[job, 1], jobs[job, 2]
        jobs[job, 3] = fill_row(address, position, bitmask, row, False)
        failed += jobs[job, 3] != OK
    return failed
