"""What a matcher calls: bytes are taken, and masks are filled.

A text is at a position, base << 32 | state (see `rows`). A call that needs something from Python
ends with a status in the block of its grammar (`STATUS`, `REQUEST`); it is made again, with the
same arguments, when that is there.
"""

import numpy as np

from sampler.kernels._jit import Array
from sampler.kernels.grammar.bounds import lay_out
from sampler.kernels.grammar.compile import embedded, int64, kernel
from sampler.kernels.grammar.memory import (
    ACCEPTS,
    ACTIONS,
    BAD_SHAPE,
    BASES,
    BROKEN,
    DEAD,
    HAS_RUNS,
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
    memory_at,
    need,
    pair,
    reindex,
)
from sampler.kernels.grammar.rows import entry, start
from sampler.kernels.grammar.walk import fill

REFUSED = 0  # no position: there is no state 0
START, TOKEN, BYTES, FORCED, REINDEX = range(5)  # operations of `follow`


@embedded
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
        return int64(keys[2 * base]) << 32 | int64(keys[2 * base + 1])
    actions, number = ints_at(g, ACTIONS), POP - 1 - after
    above = pair(g, BASES, base, int64(actions[2 * number + 1]), True)
    return above << 32 | int64(actions[2 * number]) if above != 0 else REFUSED


@embedded
def _advance(g: Array, position: int, data: Array, at: int, end: int) -> int:
    """The position after data[at:end]; `REFUSED` as in `after_byte`."""
    while at < end and position != REFUSED:
        position = after_byte(g, position, int64(data[at]))
        at += 1
    return position


@embedded
def _advance_token(g: Array, position: int, token_id: int) -> int:
    tokens = block_at(g[TOKENS])
    starts = longs_at(tokens, TOKEN_STARTS)
    at, end = starts[token_id], starts[token_id + 1]
    if at == end:
        return REFUSED
    return _advance(g, position, bytes_at(tokens, TOKEN_DATA), at, end)


@embedded
def _only_byte(g: Array, position: int) -> int:
    """The one byte that can come next; -1 where the text may end, or there is a choice."""
    state = position & LOW_HALF
    lay_out(g, state)
    states, at = ints_at(g, STATES), state * STATE_SIZE
    if g[STATUS] != OK or (states[at + ACCEPTS] and position >> 32 == 0):
        return -1
    if states[at + HAS_RUNS]:
        return -1  # there are four kinds of white space
    only = int64(-1)
    for byte in range(states[at + LOW], states[at + LOW] + states[at + ROW_SIZE]):
        if entry(g, state, byte) != DEAD:
            if only >= 0 or g[STATUS] != OK:
                return -1
            only = int64(byte)
    return only


@embedded
def _force(g: Array, position: int, data: Array, room: int) -> int:
    """How many bytes every text has next, at most `room`; they are written."""
    count = 0
    while count < room:
        byte = _only_byte(g, position)
        after = after_byte(g, position, byte) if byte >= 0 else REFUSED
        if after == REFUSED:
            break
        position = after
        data[count] = byte
        count += 1
    return count


@kernel
def follow(address: int, operation: int, position: int, number: int, size: int) -> int:
    """What `operation` says; -1 with a status.

    START : the position at the beginning of all texts; `REFUSED` if there is none
    TOKEN : the position after token `number` (0 <= id < vocabulary); or `REFUSED`
    BYTES : the position after the uint8[size] at address `number`; or `REFUSED`
    FORCED : how many bytes every text has next, at most `size`; they are written to `number`
    REINDEX : 0; the empty hash index of table `number` is filled
    """
    g = block_at(address)
    g[STATUS] = OK
    if operation == START:
        result = start(g)
    elif operation == TOKEN:
        result = _advance_token(g, position, number)
    elif operation == BYTES:
        result = _advance(g, position, memory_at(number), 0, size)
    elif operation == FORCED:
        result = _force(g, position, memory_at(number), size)
    else:
        reindex(g, number)
        result = 0
    return result if g[STATUS] == OK else -1


@kernel
def fill_rows(jobs: int, count: int, bitmask: Array, resumes: bool) -> int:
    """How many rows ended with a status, of those whose tokens that may come next are written.

    Parameters
    ----------
    jobs : the address of int64[count, 4]: address, position, row; the last one is written: whether
        the row has no mask for a reason that is in the block, or for a wrong shape
    bitmask : int32[rows, words]
    resumes : whether the last call of this grammar was this one, and ended with a status
    """
    failed = 0
    job = block_at(jobs)
    for i in range(0, 4 * count, 4):
        g, row = block_at(job[i]), job[i + 2]
        g[STATUS] = OK
        words = block_at(g[TOKENS])[MASK_SIZE]
        if row < 0 or row >= bitmask.shape[0] or bitmask.shape[1] != words:
            need(g, BAD_SHAPE, 0, 0)
        else:
            fill(g, job[i + 1], bitmask[row].view(np.uint32), resumes)
        job[i + 3] = g[STATUS] != OK
        failed += job[i + 3]
    return failed
