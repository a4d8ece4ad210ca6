"""The one place where Numba options are set, and where compiled kernels are kept.

Kernels are cached in a folder of the user's that is named by a hash over all kernel sources; where
none is writable, in a temporary one. Numba alone would cache beside the source, where files survive
an uninstallation and shadow the next one, and would look at the stamp of the caller's file only, so
that a changed callee goes unnoticed.

Rejected: `fastmath` (-inf and NaN carry meaning here, and bits must repeat), `parallel` (rows are
shorter than a fork, and its threading layers break under forks and threads of the caller).
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt
from platformdirs import user_cache_path

Array = npt.NDArray[Any]
Arrays = tuple[Any, ...]  # arrays, scalars and tuples of them; each kernel says which
Word = Any  # numpy.uint64, or a Python int in the same range
Record = Any  # one element of a structured array

Function = TypeVar("Function", bound=Callable[..., Any])

_VERSIONS_KEPT = 4


def _folder_in(cache: Path) -> Path | None:
    """The folder in `cache` for kernels of exactly these sources; None when it is not writable.

    Folders of older sources are removed when a new one is made, all but a few that other
    installations may use.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    parent = cache / "kernels"
    folder = parent / digest[:20]
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            others = sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime)
            for old in others[:-_VERSIONS_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _cache_folder() -> tuple[Path | None, bool]:
    """The folder for compiled kernels, and whether it outlives this process.

    It lies in NUMBA_CACHE_DIR if that is set, else in the user's cache, else in a temporary folder.
    """
    given = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    folder = _folder_in(Path(given) if given else user_cache_path("token-sampler"))
    if folder is not None:
        return folder, True
    try:
        temporary = tempfile.mkdtemp(prefix="token-sampler-")
    except OSError:
        return None, False
    atexit.register(_remove, temporary, os.getpid())
    return _folder_in(Path(temporary)), False


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not a forked child, which may end before
        shutil.rmtree(folder, ignore_errors=True)


CACHE_FOLDER, IS_KEPT = _cache_folder()


def _compiled(function: Function, **options: Any) -> Function:
    given = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    # read once, while the function is decorated; other users of Numba keep their setting
    numba.config.CACHE_DIR = str(CACHE_FOLDER or given)  # type: ignore[attr-defined]
    try:
        options |= {
            "cache": CACHE_FOLDER is not None,
            "nogil": True,
            "error_model": "numpy",
            # kernels make no arrays: counting references to those they are given costs more than
            # the work itself
            "_nrt": False,
        }
        compiled: Any = numba.njit(function, **options)
    finally:
        numba.config.CACHE_DIR = given  # type: ignore[attr-defined]
    return cast(Function, compiled)


def kernel(function: Function) -> Function:
    """The compiled `function`: cached on disk, without the GIL, IEEE arithmetic as written.

    Where no cache folder is writable the function is compiled anew in each process that wants it.
    """
    return _compiled(function)


def inlined(function: Function) -> Function:
    """As `kernel`, for what is called once for each id: its code becomes part of its callers'."""
    return _compiled(function, forceinline=True)


def contracted(function: Function) -> Function:
    """As `kernel`, where products may be fused with sums: faster, and exact to other last bits."""
    return _compiled(function, fastmath={"contract"})
