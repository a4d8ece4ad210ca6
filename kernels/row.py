"""What the kernels of one row share: its parameters, its workspace and its outcomes.

Workspace (`work`), allocated once by the caller for V ids and passed on whole: ids int32[V],
columns float64[4, V], keys int64[V], indices int32[V], bins float64[3, DIGITS]. The candidates of a
row are ids[:n], ascending, each with its four columns.
"""

import numpy as np

from sampler.kernels._jit import Arrays
from sampler.kernels.selection import DIGITS

NOT_FINITE = -1
NOTHING_ALLOWED = -2

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
        ("context_size", np.int64),
        ("bias_size", np.int64),
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
    )
