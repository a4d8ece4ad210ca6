"""The arrays of vocabularies on disk, so that a process need not sort and lay out its tokens anew.

One file for each vocabulary, in a folder of the user's: a line that says what it is, a checksum,
and the arrays as NumPy writes them. Files appear whole, by a rename, so any number of processes may
write at once. One that is damaged, or of another vocabulary or version, counts as absent and is
replaced. The folder is bounded: what was not used for longest goes first. Where nothing can be
written or read, the arrays are made in memory, as they are the first time.

Rejected: mapping files into memory (the checksum reads them anyway), and pickles (they can run
code).
"""

import contextlib
import hashlib
import io
import marshal
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

MAX_BYTES = 64 << 20  # of all files: about eight large vocabularies
_KIND = f"token-sampler tokens, version 2, {sys.byteorder} endian\n".encode()
_CHECKSUM_BYTES = hashlib.sha256().digest_size
_SUFFIX = ".tokens"

Arrays = list[npt.NDArray[Any]]


def digest_of(texts: Sequence[bytes]) -> str:
    """A hash over the bytes of all tokens, each with its length and place."""
    # version 2 of the format writes equal values equally, however they came to be
    return hashlib.sha256(marshal.dumps(list(texts), 2)).hexdigest()


class TokensCache:
    """Lists of arrays by the digest of their vocabulary.

    Parameters
    ----------
    folder : where the files are; None is a folder in the user's cache. Made when it is needed
    max_bytes : limit of the sum of all files
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._folder = user_cache_path("token-sampler") / "tokens" if folder is None else folder
        self._max_bytes = max_bytes

    def load(self, digest: str) -> Arrays | None:
        """The arrays of a vocabulary; None where there is no sound file of it."""
        path = self._path(digest)
        try:
            content = path.read_bytes()
            os.utime(path)  # it was used now
        except OSError:
            return None
        start = len(_KIND) + _CHECKSUM_BYTES
        payload = memoryview(content)[start:]
        if content[:start] != _KIND + _checksum(digest, payload):
            return None
        stream, arrays = io.BytesIO(payload), []
        while stream.tell() < len(payload):
            arrays.append(np.load(stream, allow_pickle=False))
        return arrays

    def store(self, digest: str, arrays: Arrays) -> None:
        """None; keeps `arrays`, if that can be done, and removes what is over the limit."""
        stream = io.BytesIO()
        for array in arrays:
            np.save(stream, array, allow_pickle=False)
        payload = stream.getbuffer()
        if len(payload) > self._max_bytes:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(self._path(digest), _KIND + _checksum(digest, payload), payload)
            self._remove_oldest()

    def _path(self, digest: str) -> Path:
        return self._folder / (digest + _SUFFIX)

    def _write(self, path: Path, head: bytes, payload: memoryview) -> None:
        descriptor, unfinished = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=_SUFFIX)
        try:
            with open(descriptor, "wb") as file:
                file.write(head)
                file.write(payload)
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise

    def _remove_oldest(self) -> None:
        """None; also removes what a writer left that died before it was done."""
        files = []
        for path in self._folder.glob("*" + _SUFFIX):
            with contextlib.suppress(OSError):  # another process removed it
                state = path.stat()
                files.append((state.st_mtime_ns, state.st_size, path))
        total = 0
        for _, size, path in sorted(files, reverse=True):
            total += size
            if total > self._max_bytes:
                path.unlink(missing_ok=True)


def _checksum(digest: str, payload: memoryview) -> bytes:
    found = hashlib.sha256(digest.encode())
    found.update(payload)
    return found.digest()
