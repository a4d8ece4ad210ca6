"""A GGUF file: its metadata, and where its tensors are.

Rule of the file: nothing that the file says about itself is believed before it is compared with
the size of the file, so whatever its bytes are, reading ends soon with a result or a `GGUFError`.
It takes some tens of megabytes at most: arrays stay in the file, all else is counted.

Layout, little-endian: "GGUF", version, number of tensors, number of metadata entries; the entries
(key, type, value); the tensors (name, dimensions, type, offset); padding; the data of the tensors.
Source: ggml, docs/gguf.md, version 3.
"""

import math
import mmap
import struct
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.errors import shown
from sampler.kernels.quantised import BLOCK, BLOCK_BYTES
from sampler.models.gguf.metadata import GGUFError, Metadata, Texts

MAX_HEADER_BYTES = 32 << 20
MAX_TEXT_BYTES = 4 << 20  # keys, names and texts that stand alone, together
MAX_ENTRIES = 1 << 12
MAX_TENSORS = 1 << 14
MAX_ELEMENTS = 1 << 21  # of all arrays: a large vocabulary and its merges have fewer
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9
# fmt: off
_TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}
# fmt: on

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A matrix of weights, or a vector when there is one output.

    Attributes
    ----------
    name : as in the file
    inputs : length of a row, consecutive in the file; a multiple of 32
    outputs : number of rows
    kind : number of the format, a key of `sampler.kernels.quantised.BLOCK_BYTES`
    offset : of the first byte in the file
    """

    name: str
    inputs: int
    outputs: int
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return self.inputs * self.outputs // BLOCK * BLOCK_BYTES[self.kind]


@dataclass(frozen=True, slots=True)
class GGUFFile:
    """A file in memory.

    Attributes
    ----------
    metadata : by key
    tensors : by name
    data : uint8[bytes of the file], mapped, not writable
    """

    metadata: Metadata
    tensors: dict[str, Tensor]
    data: Bytes


def read_gguf(path: str | Path) -> GGUFFile:
    """The metadata and tensors of a GGUF file; of the weights, nothing is read yet.

    Parameters
    ----------
    path : the file; it must not change while the result is in use

    Raises
    ------
    GGUFError : the file cannot be opened, is truncated or not valid, or has a tensor of a type
        that is not supported (F32, F16, Q4_0, Q4_1 and Q8_0 are)
    """
    if sys.byteorder != "little":
        raise GGUFError("GGUF files can be read on little-endian machines only")
    data = _mapped(path)
    cursor = _Cursor(data)
    tensor_count, entry_count = _preamble(cursor)
    metadata = _metadata(cursor, entry_count)
    alignment = metadata.integer("general.alignment", default=32, high=1 << 20)
    described = [_tensor_description(cursor) for _ in range(tensor_count)]
    start = -(-cursor.at // alignment) * alignment
    tensors: dict[str, Tensor] = {}
    for name, dimensions, kind, offset in described:
        if name in tensors:
            raise GGUFError(f"tensor names must be unique. Given twice: {shown(name)}")
        if offset % alignment:
            raise GGUFError(f"the offset of {shown(name)} must be a multiple of {alignment}")
        tensors[name] = _tensor(name, dimensions, kind, start + offset, len(data))
    return GGUFFile(metadata, tensors, data)


def _mapped(path: str | Path) -> Bytes:
    try:
        if Path(path).exists() and not Path(path).is_file():  # opening a pipe would wait for ever
            raise OSError("it is not a file")
        with open(path, "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (OSError, ValueError, TypeError) as error:  # ValueError: empty, or a NUL in the path
        raise GGUFError(f"{shown(str(path))} cannot be read: {error}") from error


class _Cursor:
    """Reads the header from front to back."""

    def __init__(self, data: Bytes) -> None:
        self._data = data.data[: MAX_HEADER_BYTES + 1]
        self._text_bytes = self._elements = 0
        self.at = 0

    def take(self, size: int) -> int:
        """The place of the next `size` bytes, which are then behind."""
        start = self.at
        if size > len(self._data) - start:
            limited = len(self._data) > MAX_HEADER_BYTES
            end = f"header of more than {MAX_HEADER_BYTES} bytes" if limited else "truncated file"
            raise GGUFError(f"{end}: {size} bytes are missing at byte {start}")
        self.at = start + size
        return start

    def bytes(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self.take(size)
        return bytes(self._data[start : start + size])

    def number(self, code: str) -> Any:
        """The next number of a `struct` code."""
        return struct.unpack_from("<" + code, self._data, self.take(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        """The next text: its size in bytes, then UTF-8."""
        start = self.at
        text = self._decoded()
        self._text_bytes += self.at - start
        if self._text_bytes > MAX_TEXT_BYTES:
            raise GGUFError(f"keys, names and texts must have <= {MAX_TEXT_BYTES} bytes together")
        return text

    def texts(self, count: int) -> Texts:
        """The next `count` texts, each checked and left where it is."""
        starts = array("q")
        for _ in range(self._counted(count)):
            starts.append(self.at)
            self._decoded()
        return Texts(self._data, starts)

    def numbers(self, code: str, count: int) -> npt.NDArray[Any]:
        """The next `count` numbers of a `struct` code, left where they are."""
        dtype = np.dtype(code).newbyteorder("<")
        start = self.take(self._counted(count) * dtype.itemsize)
        return np.frombuffer(self._data, dtype, count, start)

    def _decoded(self) -> str:
        size = self.number("Q")
        start = self.take(size)
        if size > MAX_TEXT_BYTES:
            raise GGUFError(f"a text must have <= {MAX_TEXT_BYTES} bytes. Given: {size}")
        try:
            return str(self._data[start : self.at], "utf-8")
        except UnicodeDecodeError as error:
            raise GGUFError(f"the text at byte {start} is not UTF-8: {error.reason}") from error

    def _counted(self, count: int) -> int:
        self._elements += count
        if self._elements > MAX_ELEMENTS:
            raise GGUFError(
                f"the arrays must have <= {MAX_ELEMENTS} elements together."
                f" Given: {self._elements} or more"
            )
        return count


def _preamble(cursor: _Cursor) -> tuple[int, int]:
    """The numbers of tensors and of metadata entries."""
    magic = cursor.bytes(4)
    if magic != b"GGUF":
        raise GGUFError(f"a GGUF file must begin with b'GGUF'. Given: {magic!r}")
    version = cursor.number("I")
    if version not in _VERSIONS:
        raise GGUFError(f"the GGUF version must be 2 or 3 (little-endian). Given: {version}")
    tensors, entries = cursor.number("Q"), cursor.number("Q")
    for count, what, most in (
        (tensors, "tensors", MAX_TENSORS),
        (entries, "metadata entries", MAX_ENTRIES),
    ):
        if count > most:
            raise GGUFError(f"the number of {what} must be <= {most}. Given: {count}")
    return tensors, entries


def _metadata(cursor: _Cursor, count: int) -> Metadata:
    metadata = Metadata()
    for _ in range(count):
        key = cursor.text()
        if key in metadata:
            raise GGUFError(f"metadata keys must be unique. Given twice: {shown(key)}")
        metadata[key] = _value(cursor, cursor.number("I"), key)
    return metadata


def _value(cursor: _Cursor, kind: int, key: str) -> Any:
    if kind == _STRING:
        return cursor.text()
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind != _ARRAY:
        raise GGUFError(f"{shown(key)} has an unknown metadata type. Given: {kind}")
    element, count = cursor.number("I"), cursor.number("Q")
    if element == _STRING:
        return cursor.texts(count)
    if element not in _SCALARS:
        raise GGUFError(f"{shown(key)} must be an array of texts or numbers. Given type: {element}")
    return cursor.numbers(_SCALARS[element], count)


def _tensor_description(cursor: _Cursor) -> tuple[str, list[int], int, int]:
    name = cursor.text()
    rank = cursor.number("I")
    if not 1 <= rank <= 4:
        raise GGUFError(f"{shown(name)} must have 1 to 4 dimensions. Given: {rank}")
    dimensions = [cursor.number("Q") for _ in range(rank)]
    return name, dimensions, cursor.number("I"), cursor.number("Q")


def _tensor(name: str, dimensions: list[int], kind: int, offset: int, end: int) -> Tensor:
    if kind not in BLOCK_BYTES:
        supported = ", ".join(_TYPE_NAMES[number] for number in BLOCK_BYTES)
        given = _TYPE_NAMES.get(kind, "unknown")
        raise GGUFError(
            f"the type of {shown(name)} must be one of {supported}. Given: {given} ({kind})"
        )
    inputs, outputs = dimensions[0], math.prod(dimensions[1:])
    if inputs % BLOCK or inputs == 0 or outputs == 0:
        raise GGUFError(
            f"the first dimension of {shown(name)} must be a multiple of {BLOCK}, no other may be"
            f" 0. Given: {dimensions}"
        )
    tensor = Tensor(name, inputs, outputs, kind, offset)
    if offset + tensor.size > end:
        raise GGUFError(
            f"truncated file: {shown(name)} ends at byte {offset + tensor.size} of {end}"
        )
    return tensor
