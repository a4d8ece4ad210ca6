"""The one place where Numba options are set, and where compiled kernels are kept.

Kernels are cached in a folder of the user's that is named by a hash over the sources in their own
folder: the sampling kernels are not compiled anew when one of the grammar's has changed. Where none
is writable, they are cached in a temporary one. Numba alone would cache beside the source, where
files survive an uninstallation and shadow the next one, and would look at the stamp of the caller's
file only, so that a changed callee goes unnoticed.

Rejected: `fastmath` (-inf and NaN carry meaning here, and bits must repeat), `parallel` (rows are
shorter than a fork, and its threading layers break under forks and threads of the caller).
"""

import atexit
import functools
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


_HERE = Path(__file__).parent


def _folder_in(cache: Path, sources: Path) -> Path | None:
    """The folder in `cache` for kernels of exactly these sources; None when it is not writable.

    Folders of older sources are removed when a new one is made, all but a few that other
    installations may use.
    """
    # the options are set here, whatever they are set for
    paths = sorted({*sources.glob("*.py"), Path(__file__)})
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    parent = cache / "-".join(("kernels", *sources.relative_to(_HERE).parts))
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


def _cache_of_user() -> Path:
    given = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return Path(given) if given else user_cache_path("token-sampler")


@functools.cache
def _temporary_cache() -> Path | None:
    try:
        temporary = tempfile.mkdtemp(prefix="token-sampler-")
    except OSError:
        return None
    atexit.register(_remove, temporary, os.getpid())
    return Path(temporary)


@functools.cache
def _cache_folder(sources: Path) -> tuple[Path | None, bool]:
    """The folder for compiled kernels of a folder, and whether it outlives this process.

    It lies in NUMBA_CACHE_DIR if that is set, else in the user's cache, else in a temporary folder.
    """
    folder = _folder_in(_cache_of_user(), sources)
    if folder is not None:
        return folder, True
    temporary = _temporary_cache()
    return (_folder_in(temporary, sources), False) if temporary is not None else (None, False)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not a forked child, which may end before
        shutil.rmtree(folder, ignore_errors=True)


CACHE_FOLDER, IS_KEPT = _cache_folder(_HERE)


def _compiled(function: Function, **options: Any) -> Function:
    sources = Path(function.__code__.co_filename).parent
    folder, _ = _cache_folder(sources if sources.is_relative_to(_HERE) else _HERE)
    given = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    # read once, while the function is decorated; other users of Numba keep their setting
    numba.config.CACHE_DIR = str(folder or given)  # type: ignore[attr-defined]
    try:
        options |= {
            "cache": folder is not None,
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


def embedded(function: Function) -> Function:
    """As `kernel`, for what is called at one place: it is compiled there, and not by itself."""
    return _compiled(function, inline="always")


def contracted(function: Function) -> Function:
    """As `kernel`, where products may be fused with sums: faster, and exact to other last bits."""
    return _compiled(function, fastmath={"contract"})
