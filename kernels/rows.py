"""How a kernel is called for the rows of a batch, and what it does before and after each of them.

Arguments of each `sample_...` kernel, flat because each tuple costs the caller a microsecond:

logits : float32[B, >= V]; bitmask : int32[B, words], masked : whether to look at it
pairs : int64[2, n], rows of logits and the slots they belong to
parameters, tables, touched, recent : the state of the slots (see `row`), the first two as uint8,
    whose type the caller finds sooner; a row that is drawn moves on by one token
work : a workspace
token_ids : int64[B], logprobs : float32[B] as asked for, processed_logprobs : float32[B],
    top_ids : int64[B, k], top_logprobs : float32[B, k], out; a negative token id is a status

The result is how many rows have a status; their logprobs are not written and they stay where they
are.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.green_list import context_seed
from sampler.kernels.row import RECENT, ROW, edits_of


@kernel
def begin_row(row: Record, recent: Array, top: Arrays) -> None:
    """Seeds the green list of the next token; clears the row's top tokens."""
    size, width = row["context_size"], row["green_width"]
    row["green"] = 0 < width <= size
    if row["green"]:
        row["green_seed"] = context_seed(row["green_key"], recent, size, width)
    top[0][:] = -1
    top[1][:] = -np.inf


@kernel
def touch(row: Record, table: Array, touched: Array, token_id: int) -> int:
    """Where `token_id` stands in `table`, which has room for another id; it is added if needed."""
    size: int = row["touched_size"]
    at, end = 0, size
    while at < end:
        middle = (at + end) >> 1
        if table[middle]["id"] < token_id:
            at = middle + 1
        else:
            end = middle
    if at < size and table[at]["id"] == token_id:
        return at
    for j in range(size, at, -1):
        table[j] = table[j - 1]
    touched[token_id >> 5] |= np.int32(1) << np.int32(token_id & 31)
    table[at]["id"] = token_id
    table[at]["occurrences"] = table[at]["generated"] = 0
    table[at]["bias"] = 0.0
    row["touched_size"] = size + 1
    return at


@kernel
def count_token(row: Record, edits: Arrays, token_id: int, change: int) -> None:
    """Notes that a generated token joined or left the context, where penalties look at it."""
    table, touched = edits
    if row["counts_tokens"]:
        j = touch(row, table, touched, token_id)
        table[j]["occurrences"] += change
        table[j]["generated"] += change


@kernel
def end_row(row: Record, edits: Arrays, recent: Array, token_id: int) -> None:
    """Appends the token that was drawn."""
    count_token(row, edits, token_id, 1)
    recent[row["context_size"] % RECENT] = token_id
    row["context_size"] += 1
    row["position"] += 1


@kernel
def count_in_slot(
    parameters: Array, tables: Array, touched: Array, slot: int, token_id: int, change: int
) -> None:
    """As `count_token`, for a caller that holds the arrays of all slots."""
    row = parameters.view(ROW)[slot]
    count_token(row, edits_of(row, slot, tables, touched), token_id, change)
