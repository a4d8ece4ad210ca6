"""The whitespace between the parts of a JSON text, as regular expressions."""

from dataclasses import dataclass
from typing import Literal

from sampler.errors import InvalidParameterError

Whitespace = Literal["any", "compact", "spaced"] | int

# A line end and two spaces for each of 60 levels are 121 characters.
LONGEST_RUN = 128
LONGEST_RUN_INSIDE = 4  # within a line: before commas and around colons
_ANY = f"[ \\n\\r\\t]{{0,{LONGEST_RUN}}}"
_ANY_INSIDE = f"[ \\n\\r\\t]{{0,{LONGEST_RUN_INSIDE}}}"
_MAX_INDENT = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """Where whitespace may or must stand. `level` is the nesting of the container, 0 at the root.

    Raises
    ------
    InvalidParameterError : an unknown kind of whitespace
    """

    whitespace: Whitespace

    def __post_init__(self) -> None:
        value = self.whitespace
        is_indent = type(value) is int and 0 <= value <= _MAX_INDENT
        if not is_indent and value not in ("any", "compact", "spaced"):
            raise InvalidParameterError(
                "`whitespace` must be 'any', 'compact', 'spaced' or an indent >= 0 and"
                f" <= {_MAX_INDENT}. Given: {value!r}"
            )

    @property
    def is_indented(self) -> bool:
        """Whether the whitespace depends on the level."""
        return isinstance(self.whitespace, int)

    def opening(self, level: int) -> str:
        """After the bracket that opens a container with members."""
        return self._line(level + 1)

    def closing(self, level: int) -> str:
        """Before the bracket that closes a container with members."""
        return self._line(level)

    def empty(self) -> str:
        """Between the brackets of an empty container."""
        return _ANY if self.whitespace == "any" else ""

    def comma(self, level: int) -> str:
        """The comma between two members, with what stands around it."""
        before = _ANY_INSIDE if self.whitespace == "any" else ""
        after = " " if self.whitespace == "spaced" else self._line(level + 1)
        return f"{before},{after}"

    def colon(self) -> str:
        """The colon between a key and its value, with what stands around it."""
        if self.whitespace == "any":
            return f"{_ANY_INSIDE}:{_ANY_INSIDE}"
        return ":" if self.whitespace == "compact" else ": "

    def _line(self, level: int) -> str:
        if isinstance(self.whitespace, int):
            return "\\n" + " " * (self.whitespace * level)
        return _ANY if self.whitespace == "any" else ""
