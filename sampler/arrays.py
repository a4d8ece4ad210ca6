"""Arrays of callers, checked once and handed to kernels without a copy where that is possible."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError

_FLOAT32 = np.dtype(np.float32)  # arrays share it, unless they were made in an unusual way
_INT32 = np.dtype(np.int32)


def as_logits(logits: npt.ArrayLike, batch_size: int, vocab_size: int) -> npt.NDArray[np.float32]:
    """`logits` as contiguous float32[batch_size, >= vocab_size], converted only where needed.

    Raises InvalidParameterError for another shape, or a dtype that is not floating point.
    """
    if (  # the usual case, checked first because it is once per token
        type(logits) is np.ndarray
        and logits.dtype is _FLOAT32
        and logits.ndim == 2
        and logits.shape[0] == batch_size
        and logits.shape[1] >= vocab_size
        and logits.flags.carray
    ):
        return logits
    array = as_array("logits", logits)
    if array.ndim != 2 or array.shape[0] != batch_size or array.shape[1] < vocab_size:
        raise InvalidParameterError(
            f"`logits` must have shape [{batch_size}, >= {vocab_size}]. Given: {list(array.shape)}"
        )
    if array.dtype.name not in ("float32", "float16", "float64", "bfloat16"):
        raise InvalidParameterError(
            f"`logits` must be float32, float16, bfloat16 or float64. Given: {array.dtype}"
        )
    with np.errstate(over="ignore"):  # beyond float32 is +inf, which the row reports
        return _kernel_array("logits", array, _FLOAT32)


def as_bitmask(bitmask: npt.ArrayLike, batch_size: int) -> npt.NDArray[np.int32]:
    """`bitmask` as contiguous int32[batch_size, words]; raises InvalidParameterError."""
    if (  # the usual case
        type(bitmask) is np.ndarray
        and bitmask.dtype is _INT32
        and bitmask.ndim == 2
        and bitmask.shape[0] == batch_size
        and bitmask.flags.carray
    ):
        return bitmask
    array = as_array("bitmask", bitmask)
    if array.ndim != 2 or array.shape[0] != batch_size or array.dtype != np.int32:
        raise InvalidParameterError(
            f"`bitmask` must be int32[{batch_size}, words]. Given: {array.dtype}{list(array.shape)}"
        )
    return _kernel_array("bitmask", array, _INT32)


def as_array(name: str, given: npt.ArrayLike) -> npt.NDArray[Any]:
    """`given` as an array of whatever it holds; raises InvalidParameterError."""
    try:
        return np.asarray(given)
    except Exception as error:  # ragged lists, tensors that are not on the CPU, code of their own
        raise InvalidParameterError(f"`{name}` must be an array: {error}") from error


def _kernel_array(name: str, array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """`array` as kernels are compiled for it: contiguous, aligned and typed writable.

    Kernels write to neither logits nor bitmask, but Numba would compile them once more for the
    type of a read-only array: seconds, in the middle of serving.
    """
    try:
        array = np.require(array, dtype, ["C", "A"])
    except MemoryError as error:  # a view can be larger than any memory
        raise InvalidParameterError(f"`{name}` must fit into memory: {error}") from error
    if array.flags.writeable:
        return array
    if array.size == 0:  # there is no memory that an alias could have
        return np.empty(array.shape, dtype)
    memory = (ctypes.c_byte * array.nbytes).from_address(array.ctypes.data)
    memory.owner = array  # type: ignore[attr-defined]  # keeps it alive as long as its alias
    alias: npt.NDArray[Any] = np.frombuffer(memoryview(memory), dtype)
    return alias.reshape(array.shape)
