"""What the kernels of one row share: its parameters, its workspace and its outcomes.

A workspace is one array of int64, made once by the caller for V ids; `views_of` parts it into
`work`: ids int32[V], columns float64[4, V], keys int64[V], indices int32[V], bins float64[3,
DIGITS], maxima float32[one for each lane of each block], changed float32[V], sums float64[one for
each block]. The candidates of a row are ids[:n], ascending, each with its columns.

State of the rows (`state`): parameters ROW[slots]; tables TOUCHED[n], the tables of all slots, each
where `edits_of` finds it, distinct ids that ascend; touched int32[slots, ceil(V / 32)], the bits of
these ids; recent int64[slots, RECENT], the last tokens of the context as a ring, the i-th of the
context at i % RECENT.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, kernel
from sampler.kernels.lanes import LANES
from sampler.kernels.selection import DIGITS

NOT_FINITE = -1
NOTHING_ALLOWED = -2
UNDECIDED = -3  # a fast path that cannot tell; the plain one can

BLOCK = 512  # ids that are scanned together
RECENT = 16  # tokens that a green list can depend on

# Rows of `columns`
Z = 0  # the edited logit, exactly a float32
EXPONENT = 1  # (z - max z) / T
WEIGHT = 2  # e ** exponent
RANK = 3  # what a truncation orders by

ROW = np.dtype(
    [
        ("greedy", np.bool_),
        ("raw_logprobs", np.bool_),
        ("green", np.bool_),  # whether the next token has a green list, of `green_seed`
        ("green_width", np.int64),  # tokens that a list depends on; 0 is no watermark
        ("green_key", np.uint64),
        ("green_seed", np.uint64),
        ("green_delta", np.float64),
        ("green_threshold", np.uint64),
        ("top_k", np.int64),
        ("top_n", np.int64),
        ("temperature", np.float64),
        ("top_p", np.float64),
        ("typical_p", np.float64),
        ("min_p", np.float64),
        ("repetition_penalty", np.float64),
        ("frequency_penalty", np.float64),
        ("presence_penalty", np.float64),
        ("seed", np.uint64),
        ("position", np.int64),  # of the next token among the generated ones
        ("context_size", np.int64),  # tokens of the prompt and generated ones
        ("counts_tokens", np.bool_),  # whether a penalty looks at the counts of tokens
        ("table_start", np.int64),  # where in `tables` its touched ids begin
        ("touched_size", np.int64),  # how many there are
    ],
    align=True,
)

# An id that penalties or biases touch: how often it occurs in the context and among the generated
# tokens, and what is added to its logit.
TOUCHED = np.dtype(
    [
        ("id", np.int64),
        ("occurrences", np.int64),
        ("generated", np.int64),
        ("bias", np.float64),
        ("lane_maximum", np.float32),  # scratch of `candidates`
    ],
    align=True,
)
_TOUCHED_BYTES = TOUCHED.itemsize


def edits_at(row: Record, slot: int, tables: Array, touched: Array) -> Arrays:
    """The table of the row in `slot`, with what lies behind it, and the bits of its ids.

    tables : as uint8. Compiled: `edits_of`.
    """
    return tables[row["table_start"] * _TOUCHED_BYTES :].view(TOUCHED), touched[slot]


edits_of = kernel(edits_at)  # a kernel cannot hand arrays back to Python


def workspace(vocab_size: int) -> Array:
    """A workspace for rows of `vocab_size` ids."""
    words = np.empty(_starts(vocab_size)[-1], np.int64)
    words[0] = vocab_size
    return words


@kernel
def _starts(vocab_size: int) -> tuple[int, ...]:
    """Where each array of a workspace begins, in words of 64 bits, and where the last ends."""
    half, blocks = -(-vocab_size // 2), -(-vocab_size // BLOCK)
    columns = 1 + half
    keys = columns + 4 * vocab_size
    indices = keys + vocab_size
    bins = indices + half
    maxima = bins + 3 * DIGITS
    changed = maxima + blocks * LANES // 2
    sums = changed + half
    return columns, keys, indices, bins, maxima, changed, sums, sums + blocks


def arrays_of(words: Array) -> Arrays:
    """The arrays of a workspace; compiled: `views_of`."""
    size = words[0]
    columns, keys, indices, bins, maxima, changed, sums, end = _starts(size)
    return (
        words[1:columns].view(np.int32)[:size],
        words[columns:keys].view(np.float64).reshape(4, size),
        words[keys:indices],
        words[indices:bins].view(np.int32)[:size],
        words[bins:maxima].view(np.float64).reshape(3, DIGITS),
        words[maxima:changed].view(np.float32),
        words[changed:sums].view(np.float32)[:size],
        words[sums:end].view(np.float64),
    )


views_of = kernel(arrays_of)  # as `edits_of`
