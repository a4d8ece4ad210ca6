"""What the kernels of one row share: its parameters, its workspace and its outcomes.

Workspace (`work`), allocated once by the caller for V ids and passed on whole: ids int32[V],
columns float64[4, V], keys int64[V], indices int32[V], bins float64[3, DIGITS], maxima float32[one
for each lane of each block]. The candidates of a row are ids[:n], ascending, each with its columns.

Edits (`edits`) of one row: table TOUCHED[n], of which the first `touched_size` count, distinct ids;
touched int32[ceil(V / 32)], the bits of these ids.
"""

import numpy as np

from sampler.kernels._jit import Arrays
from sampler.kernels.lanes import LANES
from sampler.kernels.selection import DIGITS

NOT_FINITE = -1
NOTHING_ALLOWED = -2
UNDECIDED = -3  # a fast path that cannot tell; never seen outside the kernels

BLOCK = 512  # ids that are scanned together

# Rows of `columns`
Z = 0  # the edited logit, exactly a float32
EXPONENT = 1  # (z - max z) / T
WEIGHT = 2  # e ** exponent
RANK = 3  # what a truncation orders by

ROW = np.dtype(
    [
        ("greedy", np.bool_),
        ("raw_logprobs", np.bool_),
        ("green", np.bool_),
        ("top_k", np.int64),
        ("top_n", np.int64),
        ("temperature", np.float64),
        ("top_p", np.float64),
        ("typical_p", np.float64),
        ("min_p", np.float64),
        ("repetition_penalty", np.float64),
        ("frequency_penalty", np.float64),
        ("presence_penalty", np.float64),
        ("green_delta", np.float64),
        ("green_threshold", np.uint64),
        ("green_seed", np.uint64),
        ("seed", np.uint64),
        ("position", np.int64),
        ("touched_size", np.int64),
    ]
)

# An id that penalties or biases touch: how often it occurs in the context and among the generated
# tokens, and what is added to its logit.
TOUCHED = np.dtype(
    [
        ("id", np.int64),
        ("occurrences", np.int64),
        ("generated", np.int64),
        ("bias", np.float64),
    ]
)


def workspace(vocab_size: int) -> Arrays:
    """The arrays that every kernel of this file works in, for rows of `vocab_size` ids."""
    return (
        np.empty(vocab_size, np.int32),
        np.empty((4, vocab_size), np.float64),
        np.empty(vocab_size, np.int64),
        np.empty(vocab_size, np.int32),
        np.empty((3, DIGITS), np.float64),
        np.empty(-(-vocab_size // BLOCK) * LANES, np.float32),
    )
