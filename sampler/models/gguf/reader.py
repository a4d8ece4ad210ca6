"""A GGUF file: its metadata, and where its tensors are.

Rule of the file: nothing that the file says about itself is believed before it is compared with
the size of the file, so whatever its bytes are, reading ends soon with a result or a `GGUFError`,
and takes no memory beyond a small multiple of the header.

Layout, little-endian: "GGUF", version, number of tensors, number of metadata entries; the entries
(key, type, value); the tensors (name, dimensions, type, offset); padding; the data of the tensors.
Source: ggml, docs/gguf.md, version 3.
"""

import math
import mmap
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError, shown
from sampler.kernels.quantised import BLOCK, BLOCK_BYTES

MAX_HEADER_BYTES = 32 << 20
MAX_ENTRIES = 1 << 16  # metadata entries, and tensors
MAX_ARRAY = 1 << 20  # elements of a metadata array: more than any vocabulary has tokens or merges
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


class GGUFError(InvalidParameterError):
    """A file that is not valid GGUF, or holds what this library does not run."""


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


class Metadata(dict[str, Any]):
    """The metadata: numbers, truth values, texts, lists of texts and arrays of numbers by key."""

    def integer(
        self, key: str, default: int | None = None, low: int = 1, high: int = 1 << 31
    ) -> int:
        """The integer at `key`, from `low` to `high`; raises GGUFError for anything else."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise GGUFError(
                f"`{key}` must be an integer from {low} to {high}. Given: {shown(value)}"
            )
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """The number at `key`, from `low` to `high`; raises GGUFError for anything else."""
        value = self.get(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise GGUFError(f"`{key}` must be a number from {low} to {high}. Given: {shown(value)}")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """The text at `key`; raises GGUFError for anything else."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise GGUFError(f"`{key}` must be a text. Given: {shown(value)}")
        return value

    def texts(self, key: str) -> list[str]:
        """The texts at `key`; raises GGUFError for anything else."""
        value = self.get(key)
        if not isinstance(value, list):
            raise GGUFError(f"`{key}` must be an array of texts. Given: {shown(value)}")
        return value


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
    if Path(path).exists() and not Path(path).is_file():  # opening a pipe would wait for ever
        raise GGUFError(f"{shown(str(path))} cannot be read: it is not a file")
    try:
        with open(path, "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (OSError, ValueError, TypeError) as error:  # ValueError: empty, or a NUL in the path
        raise GGUFError(f"{shown(str(path))} cannot be read: {error}") from error


class _Cursor:
    """Reads the header from front to back."""

    def __init__(self, data: Bytes) -> None:
        self._data = data.data[: MAX_HEADER_BYTES + 1]
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
        size = self.number("Q")
        start = self.at
        try:
            return str(self.bytes(size), "utf-8")
        except UnicodeDecodeError as error:
            raise GGUFError(f"the text at byte {start} is not UTF-8: {error.reason}") from error

    def numbers(self, code: str, count: int) -> npt.NDArray[Any]:
        """The next `count` numbers of a `struct` code, as a copy."""
        dtype = np.dtype(code).newbyteorder("<")
        return np.frombuffer(self.bytes(count * dtype.itemsize), dtype)


def _preamble(cursor: _Cursor) -> tuple[int, int]:
    """The numbers of tensors and of metadata entries."""
    magic = cursor.bytes(4)
    if magic != b"GGUF":
        raise GGUFError(f"a GGUF file must begin with b'GGUF'. Given: {magic!r}")
    version = cursor.number("I")
    if version not in _VERSIONS:
        raise GGUFError(f"the GGUF version must be 2 or 3 (little-endian). Given: {version}")
    counts = cursor.number("Q"), cursor.number("Q")
    for count, what in zip(counts, ("tensors", "metadata entries"), strict=True):
        if count > MAX_ENTRIES:
            raise GGUFError(f"the number of {what} must be <= {MAX_ENTRIES}. Given: {count}")
    return counts


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
    if count > MAX_ARRAY:
        raise GGUFError(f"the length of {shown(key)} must be <= {MAX_ARRAY}. Given: {count}")
    if element == _STRING:
        return [cursor.text() for _ in range(count)]
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
