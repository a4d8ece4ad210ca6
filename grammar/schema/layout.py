"""Where white space may or must stand in a JSON text.

A gap between two parts of a text is either exact (``bytes``) or a run of any JSON white space: an
``int``, the greatest length, or `ENDLESS`. Runs are bounded so that a model cannot lose itself in
one, but leave room for every usual style: a run beside brackets and after commas fits a line end
and two-space indentation at depth 60; before commas and around colons a run stays in its line.
"""

from dataclasses import dataclass
from typing import Literal

from sampler.errors import InvalidParameterError

Whitespace = Literal["any", "compact", "spaced"] | int
Gap = bytes | int

LONGEST_RUN = 128  # a line end and two spaces for each of 60 levels are 121 characters
LONGEST_RUN_INSIDE = 4  # before commas and around colons
ENDLESS = -1
_MAX_INDENT = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The gaps of a text. `level` is how many containers are around the one meant, 0 at the root.

    Attributes
    ----------
    whitespace : "any"; "compact" (none); "spaced" (one space after commas and colons); or the
        indent of a text with a line for each member, as `json.dumps` writes it
    is_endless : whether the runs of "any" have no bound, and also stand outside the value

    Raises
    ------
    InvalidParameterError : an unknown kind of white space
    """

    whitespace: Whitespace
    is_endless: bool = False

    def __post_init__(self) -> None:
        value = self.whitespace
        is_indent = type(value) is int and 0 <= value <= _MAX_INDENT
        if not is_indent and value not in ("any", "compact", "spaced"):
            raise InvalidParameterError(
                "`whitespace` must be 'any', 'compact', 'spaced' or an indent >= 0 and"
                f" <= {_MAX_INDENT}. Given: {value!r}"
            )

    @property
    def depends_on_level(self) -> bool:
        """Whether a text is laid out differently at another level."""
        return isinstance(self.whitespace, int)

    @property
    def outside(self) -> Gap:
        """Before and after the outermost value."""
        return ENDLESS if self.whitespace == "any" and self.is_endless else b""

    def opening(self, level: int) -> Gap:
        """After the bracket that opens a container with members."""
        return self._line(level + 1)

    def closing(self, level: int) -> Gap:
        """Before the bracket that closes a container with members."""
        return self._line(level)

    @property
    def empty(self) -> Gap:
        """Between the brackets of an empty container."""
        return self._run(LONGEST_RUN) if self.whitespace == "any" else b""

    @property
    def before_comma(self) -> Gap:
        """Before the comma between two members."""
        return self._run(LONGEST_RUN_INSIDE) if self.whitespace == "any" else b""

    def after_comma(self, level: int) -> Gap:
        """After the comma between two members."""
        return b" " if self.whitespace == "spaced" else self._line(level + 1)

    @property
    def before_colon(self) -> Gap:
        """Between a key and its colon."""
        return self._run(LONGEST_RUN_INSIDE) if self.whitespace == "any" else b""

    @property
    def after_colon(self) -> Gap:
        """Between a colon and the value."""
        if self.whitespace == "any":
            return self._run(LONGEST_RUN_INSIDE)
        return b"" if self.whitespace == "compact" else b" "

    def _line(self, level: int) -> Gap:
        if isinstance(self.whitespace, int):
            return b"\n" + b" " * (self.whitespace * level)
        return self._run(LONGEST_RUN) if self.whitespace == "any" else b""

    def _run(self, length: int) -> Gap:
        return ENDLESS if self.is_endless else length
