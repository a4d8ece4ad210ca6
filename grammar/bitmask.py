"""Token bitmasks: which ids may come next, one bit each.

Rule of the file: bit ``i % 32`` (least significant first) of word ``i // 32`` belongs to token
``i``; set means allowed. The layout is that of xgrammar and llguidance.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError

_FLOATS = (np.float16, np.float32, np.float64)


def words_per_row(vocab_size: int) -> int:
    """The number of 32-bit words that hold one bit for each of `vocab_size` tokens."""
    return -(-vocab_size // 32)


def allocate_token_bitmask(batch_size: int, vocab_size: int) -> npt.NDArray[np.int32]:
    """An ``int32[batch_size, ceil(vocab_size / 32)]`` bitmask that allows every token.

    Parameters
    ----------
    batch_size : rows, >= 0
    vocab_size : tokens, >= 1

    Raises
    ------
    InvalidParameterError : a size that is not such an integer
    """
    for name, value, low in (("batch_size", batch_size, 0), ("vocab_size", vocab_size, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise InvalidParameterError(f"`{name}` must be an integer >= {low}. Given: {value!r}")
    try:
        return np.full((batch_size, words_per_row(vocab_size)), -1, dtype=np.int32)
    except (MemoryError, ValueError) as error:  # beyond what is there, and beyond any memory
        raise InvalidParameterError(
            f"`batch_size` and `vocab_size` must fit into memory. Given: {batch_size}, {vocab_size}"
        ) from error


def apply_token_bitmask_inplace(
    logits: npt.NDArray[np.floating[Any]], bitmask: npt.NDArray[np.int32]
) -> None:
    """None; sets the logits of forbidden tokens to -inf, in place.

    Parameters
    ----------
    logits : float16, float32 or float64[vocab] or [batch, vocab]; ids beyond the mask are forbidden
    bitmask : int32[words] or [batch, words]; one row serves the whole batch

    Raises
    ------
    InvalidParameterError : a wrong dtype or shape
    """
    _check_logits(logits)
    rows, words = np.atleast_2d(logits), _checked_words(bitmask, logits)
    covered = min(rows.shape[1], words.shape[1] * 32)
    little_endian = words.astype("<u4", copy=False).view(np.uint8)
    allowed = np.unpackbits(little_endian, axis=1, count=covered, bitorder="little")
    np.copyto(rows[:, :covered], -np.inf, where=allowed == 0)
    rows[:, covered:] = -np.inf


def _check_logits(logits: object) -> None:
    if not isinstance(logits, np.ndarray) or logits.dtype not in _FLOATS:
        raise InvalidParameterError(
            f"`logits` must be an array of float16, float32 or float64. Given: {_described(logits)}"
        )
    if logits.ndim not in (1, 2) or not logits.flags.writeable:
        raise InvalidParameterError(
            f"`logits` must be writable and have 1 or 2 dimensions. Given: {_described(logits)}"
        )


def _checked_words(bitmask: object, logits: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """`bitmask` as contiguous ``int32[1 or batch, words]``, no more words than `logits` need."""
    if not isinstance(bitmask, np.ndarray) or bitmask.dtype != np.int32:
        raise InvalidParameterError(
            f"`bitmask` must be an array of int32. Given: {_described(bitmask)}"
        )
    words = np.atleast_2d(bitmask)
    if words.ndim != 2 or words.shape[0] not in (1, np.atleast_2d(logits).shape[0]):
        raise InvalidParameterError(
            f"`bitmask` must have one row, or as many as `logits`. Given: {_described(bitmask)}"
        )
    return np.ascontiguousarray(words[:, : words_per_row(logits.shape[-1])])


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        read_only = "" if value.flags.writeable else ", read-only"
        return f"{value.dtype}{list(value.shape)}{read_only}"
    return type(value).__name__


def checked_row(bitmask: object, row: int, words: int) -> npt.NDArray[np.int32]:
    """A view of row `row` of `bitmask`, after checking that it has `words` writable int32 words.

    Raises
    ------
    InvalidParameterError : a wrong dtype, shape or row
    """
    if not isinstance(bitmask, np.ndarray) or bitmask.dtype != np.int32:
        raise InvalidParameterError(
            f"`bitmask` must be an array of int32. Given: {_described(bitmask)}"
        )
    shape_fits = bitmask.ndim in (1, 2) and bitmask.shape[-1] == words
    if not shape_fits or not bitmask.flags.writeable:
        raise InvalidParameterError(
            f"`bitmask` must be writable, int32[{words}] or [batch, {words}]."
            f" Given: {_described(bitmask)}"
        )
    rows = bitmask.reshape(-1, words) if bitmask.ndim == 1 else bitmask
    is_index = isinstance(row, int | np.integer) and not isinstance(row, bool)
    if not is_index or not 0 <= row < len(rows):
        raise InvalidParameterError(
            f"`row` must be an integer >= 0 and < {len(rows)}. Given: {row!r}"
        )
    view: npt.NDArray[np.int32] = rows[row]
    return view
