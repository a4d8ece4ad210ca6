"""The metadata of a GGUF file: who asks for a number gets a number in range, or a named error."""

from array import array
from collections.abc import Sequence
from typing import Any, overload

from sampler.errors import InvalidParameterError, shown


class GGUFError(InvalidParameterError):
    """A file that is not valid GGUF, or holds what this library does not run."""


class Texts(Sequence[str]):
    """Texts that stay in the file and are decoded when asked for.

    As Python strings, short texts would take many times their bytes in the file.

    Parameters
    ----------
    data : the file
    starts : where each text is in `data`: its size in 8 bytes, then UTF-8, already checked
    """

    def __init__(self, data: memoryview, starts: "array[int]") -> None:
        self._data = data
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._text(start) for start in self._starts[index]]
        return self._text(self._starts[index])

    def _text(self, start: int) -> str:
        begin = start + 8
        size = int.from_bytes(self._data[start:begin], "little")
        return str(self._data[begin : begin + size], "utf-8")


class Metadata(dict[str, Any]):
    """The metadata: numbers, truth values, texts, `Texts` and arrays of numbers by key."""

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
            or not low <= value <= high  # NaN is not
        ):
            raise GGUFError(f"`{key}` must be a number from {low} to {high}. Given: {shown(value)}")
        return float(value)

    def truth(self, key: str) -> bool:
        """The truth value at `key`, False without one; raises GGUFError for anything else."""
        value = self.get(key, False)
        if not isinstance(value, bool):
            raise GGUFError(f"`{key}` must be true or false. Given: {shown(value)}")
        return value

    def text(self, key: str) -> str:
        """The text at `key`; raises GGUFError for anything else."""
        value = self.get(key)
        if not isinstance(value, str):
            raise GGUFError(f"`{key}` must be a text. Given: {shown(value)}")
        return value

    def texts(self, key: str, most: int) -> Sequence[str]:
        """The texts at `key`, at most so many; raises GGUFError for anything else."""
        value = self.get(key)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise GGUFError(f"`{key}` must be an array of texts. Given: {shown(value)}")
        if len(value) > most:
            raise GGUFError(f"`{key}` must have <= {most} texts. Given: {len(value)}")
        return value
