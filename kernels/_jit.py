"""The one place where Numba options are set.

Rejected: `fastmath` (-inf and NaN carry meaning here, and bits must repeat), `parallel` (rows are
shorter than a fork, and its threading layers break under forks and threads of the caller).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]
Arrays = tuple[Any, ...]  # arrays, scalars and tuples of them; each kernel says which
Word = Any  # numpy.uint64, or a Python int in the same range
Record = Any  # one element of a structured array

Function = TypeVar("Function", bound=Callable[..., Any])


def _digest_of_kernels() -> str:
    """A hash over all kernel sources."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


_DIGEST = _digest_of_kernels()


def kernel(function: Function) -> Function:
    """The compiled `function`: cached on disk, without the GIL, IEEE arithmetic as written.

    Where no cache folder is writable (a read-only installation without a home), the function is
    compiled anew in each process. Numba stamps a cache with the caller's own file only, so a
    changed callee in another file would go unnoticed; the stamp here covers all kernel files.
    """
    try:
        compiled: Any = njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast(Function, njit(function, nogil=True, error_model="numpy"))
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = (cache_file._source_stamp, _DIGEST)
    return cast(Function, compiled)
