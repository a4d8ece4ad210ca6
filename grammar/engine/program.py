"""The program of a grammar: what the automaton runs, and the one contract between its two sides.

A front end (JSON Schema, regular expressions, context-free grammars) writes cells; the automaton
reads them and knows nothing of schemas. A cell consumes bytes and goes on at the next cell, or
changes the course without consuming. Cells are grouped into frames, which call each other as the
rules of a recursive transition network do, each with one register of 63 bits for counting. Several
courses at once (`SPLIT`) are a set of configurations, never a search with a way back.

    configuration = (cell, stack of (return cell, register of the caller), register, place)

where `place` is how far a cell that takes many bytes (CHARACTER, TEXT, SPACE) has come.

Rule of the file: whatever a cell lets through can be completed. The front end leaves out what has
no text; inside a text the automaton sees to it.

Rejected design: one finite automaton for the whole grammar. It cannot nest without a bound, and its
counters multiply its states.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from sampler.grammar.text.dfa import TextDfa

UNWRITTEN = -1  # the first cell of a frame that nobody has called yet


class Op(IntEnum):
    """What a cell does. `n` stands for its argument."""

    BYTE = 0  # takes the byte n
    BYTES = 1  # takes one byte of the set n, an index of `byte_sets`
    CHARACTER = 2  # takes the code point n, spelled inside of a JSON string
    TEXT = 3  # takes a text of `texts[n]`
    SPACE = 4  # takes 0 to n bytes of JSON white space
    JUMP = 5  # goes on at cell n
    SPLIT = 6  # goes on at the next cell, and also at cell n
    CALL = 7  # runs frame n with register 0, then goes on with its own register
    RETURN = 8  # ends the frame
    COUNT = 9  # adds 1 to the count, which stays at its limit; n is of `count_of`, as for the next
    AT_LEAST = 10  # ends this course unless the count is >= the limit
    BELOW = 11  # ends this course unless the count is < the limit
    ACCEPT = 12  # the text may end here
    MARK = 13  # ends this course if bit n of the register is set; else sets it
    MARKED = 14  # ends this course unless all bits of `masks[n]` are set in the register
    UNMARKED = 15  # ends this course if all bits of `masks[n]` are set in the register


REGISTER_BITS = 63
COUNT_SHIFT = 48  # where the width of the count stands in an argument


def count_of(limit: int, width: int = REGISTER_BITS) -> int:
    """The argument of an operation on the count, the `width` lowest bits of the register.

    Bits above it may be marks. 0 <= limit < 2**width, and < 2**48.
    """
    return width << COUNT_SHIFT | limit


class Spelling(IntEnum):
    """How the characters of a text are written."""

    RAW = 0  # as UTF-8
    CANONICAL = 1  # as in a JSON string: short escapes where JSON has one except \\/, \\uXXXX for
    # what is not printable ASCII, and UTF-8
    FREE = 2  # as in a JSON string, with every escape that JSON knows


@dataclass(frozen=True, slots=True)
class Text:
    """A language of texts between other cells.

    Attributes
    ----------
    dfa : which texts
    spelling : how they are written
    min_length, max_length : how many code points they have, on top of what `dfa` says; -1 is no
        maximum. Other than (0, -1) only if `dfa.has_any_length`
    """

    dfa: TextDfa
    spelling: Spelling
    min_length: int = 0
    max_length: int = -1


class Program:
    """Cells, frames and tables of one grammar; it grows while the text is being followed.

    Frames are written when they are called for the first time, so that the time to the first mask
    does not grow with the grammar. Whoever declares a frame gives the function that writes it.

    Attributes
    ----------
    ops : the operation of each cell
    arguments : the argument of each cell
    frame_starts : the first cell of each frame, or `UNWRITTEN`
    frame_closes : for each frame whether its texts begin with a bracket and end with the matching
        one, so that all courses through it end at the same byte
    arrays : the frames that are arrays, and whether their items must be distinct
    texts, byte_sets, masks : what the cells refer to; a byte set is ``bytes`` of 256 flags
    """

    def __init__(self) -> None:
        self.ops = array("B")
        self.arguments = array("q")
        self.frame_starts = array("i")
        self.frame_closes = array("B")
        self.arrays: dict[int, bool] = {}
        self.texts: list[Text] = []
        self.byte_sets: list[bytes] = []
        self.masks = array("q")
        self._writers: list[Callable[[], None] | None] = []
        self._written: tuple[list[int], list[int]] = [], []  # first cells, and their frames

    def declare_frame(self, write: Callable[[], None], *, closes: bool) -> int:
        """The index of a new frame; `write` emits its cells, to the last RETURN, when needed."""
        self.frame_starts.append(UNWRITTEN)
        self.frame_closes.append(closes)
        self._writers.append(write)
        return len(self.frame_starts) - 1

    def write_frame(self, frame: int) -> None:
        """None; writes a declared frame, if nobody did before."""
        write = self._writers[frame]
        if write is not None:
            start = len(self.ops)
            write()
            self.frame_starts[frame] = start
            self._writers[frame] = None
            self._written[0].append(start)
            self._written[1].append(frame)

    def frame_of(self, cell: int) -> int:
        """The frame that a cell was written for."""
        starts, frames = self._written
        return frames[bisect_right(starts, cell) - 1]

    def emit(self, op: Op, argument: int = 0) -> int:
        """The index of the new cell."""
        self.ops.append(op)
        self.arguments.append(argument)
        return len(self.ops) - 1

    def emit_bytes(self, data: bytes) -> None:
        """None; cells that take exactly `data`."""
        self.ops.extend(bytes(len(data)))  # Op.BYTE is 0
        self.arguments.extend(data)

    def point(self, cell: int, target: int) -> None:
        """None; sets the argument of a JUMP or SPLIT that was emitted before its target."""
        self.arguments[cell] = target

    @property
    def end(self) -> int:
        """The index of the cell that will be emitted next."""
        return len(self.ops)
