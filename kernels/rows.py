"""How a kernel is called for the rows of a batch, and what it does before and after each of them.

Arguments of each `sample_...` kernel, flat because each tuple costs the caller a microsecond:

logits : float32[B, >= V]; bitmask : int32[B, words], masked : whether to look at it
pairs : int64[2, n], rows of logits and the slots they belong to
parameters, tables, touched, recent : the state of the slots (see `row`); a row that is drawn moves
    on by one token
work : a workspace
token_ids : int64[B], logprobs : float32[B] as asked for, processed_logprobs : float32[B],
    top_ids : int64[B, k], top_logprobs : float32[B, k], out; a negative token id is a status

The result is how many rows have a status; their logprobs are not written and they stay where they
are.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.green_list import context_seed
from sampler.kernels.row import RECENT


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
def end_row(row: Record, recent: Array, token_id: int) -> None:
    """Appends the token that was drawn."""
    recent[row["context_size"] % RECENT] = token_id
    row["context_size"] += 1
    row["position"] += 1
