"""From values to cells: the program of all texts of a node.

Every object, array and string is a frame of its own, the same one wherever the same shape is
allowed, and written when it is first called. Its texts end at one certain byte, so the automaton
shares what it learns inside of it among all places. The other values are cells in place.

Rejected design: strings in place. Each place would learn anew how characters are spelled.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Protocol

from sampler.grammar.engine.program import Op, Program, Spelling, Text
from sampler.grammar.schema.emit_arrays import write_array
from sampler.grammar.schema.emit_objects import write_object
from sampler.grammar.schema.emit_words import emit_characters, emit_words
from sampler.grammar.schema.layout import ENDLESS, Gap, Layout
from sampler.grammar.schema.shapes import ArrayShape, Node, ObjectShape, Value

_SPACES = bytes(byte in b" \t\n\r" for byte in range(256))
_FEW_CHARACTERS = 64  # of constants that stand in place; more of them are a frame


class ValuesOfNodes(Protocol):
    """What the cells are made of; `Expander` is one."""

    @property
    def root(self) -> Node:
        """The node of the whole text."""

    def expand(self, node: Node) -> Value:
        """What the values under `node` look like; the same object for the same node."""


def write_program(values: ValuesOfNodes, layout: Layout, spelling: Spelling) -> Program:
    """The program of the texts of ``values.root``; of its frames only the root is declared.

    Raises
    ------
    GrammarError : whatever `values` raises, also later when a frame is written
    """
    return Writer(values, layout, spelling).program


@dataclass(frozen=True, slots=True)
class _Parts:
    """A value at one level: cells of which one is enough, and constants beside them."""

    cells: tuple[tuple[Op, int], ...]
    literals: tuple[str, ...]
    is_prefix_free: bool


class Writer:
    """Writes the cells of one program.

    Attributes
    ----------
    program : what is written; frame 0 is the whole text
    layout : the gaps
    """

    def __init__(self, values: ValuesOfNodes, layout: Layout, spelling: Spelling) -> None:
        self._values = values
        self._spelling = spelling
        self.layout = replace(layout, is_endless=spelling == Spelling.FREE)
        self.program = Program()
        self._frames: dict[Hashable, int] = {}
        self._texts: dict[Text, int] = {}
        self._parts: dict[tuple[Node, int], _Parts] = {}
        self._spaces: int | None = None
        self.program.declare_frame(self._write_root, closes=False)

    # What the writers of containers use; all cells go on at the cell that comes next.

    def gap(self, gap: Gap) -> None:
        """None; cells that take `gap`."""
        program = self.program
        if isinstance(gap, bytes):
            program.emit_bytes(gap)
        elif gap != ENDLESS:
            program.emit(Op.SPACE, gap)
        else:
            if self._spaces is None:
                self._spaces = len(program.byte_sets)
                program.byte_sets.append(_SPACES)
            loop = program.emit(Op.SPLIT)
            program.emit(Op.BYTES, self._spaces)
            program.emit(Op.JUMP, loop)
            program.point(loop, program.end)

    def quote(self, gap: Gap) -> None:
        """None; cells that take `gap` and the quotation mark that begins a key."""
        if isinstance(gap, bytes):
            self.program.emit_bytes(gap + b'"')
        else:  # a frame of its own, so that the automaton learns once how long a run may be
            self._call(("quote", gap), partial(self._write_quote, gap))

    def characters(self, text: str) -> None:
        """None; cells that take `text` inside of a string."""
        emit_characters(self.program, text, self._spelling)

    def free_key(self, keys: Text) -> None:
        """None; cells that take one of `keys` and the quotation mark behind it."""
        self._call(("key", keys), partial(self._write_key, keys))

    def colon(self) -> None:
        """None; cells that take the colon with its gaps."""
        self.gap(self.layout.before_colon)
        self.program.emit(Op.BYTE, ord(":"))
        self.gap(self.layout.after_colon)

    def comma(self) -> None:
        """None; cells that take the comma between members, with the gap before it."""
        self.gap(self.layout.before_comma)
        self.program.emit(Op.BYTE, ord(","))

    def value(self, node: Node, level: int) -> None:
        """None; cells that take a value of `node`; `level` is that of `Layout`."""
        program, parts = self.program, self._parts_of(node, level)
        ends, splits = [], len(parts.cells) - (not parts.literals)
        for op, argument in parts.cells:
            split = program.emit(Op.SPLIT) if splits > 0 else None
            program.emit(op, argument)
            if split is not None:
                ends.append(program.emit(Op.JUMP))
                program.point(split, program.end)
                splits -= 1
        if parts.literals:
            ends += emit_words(program, parts.literals, Spelling.RAW)
        self.point(ends)

    def item(self, gap: Gap, node: Node, level: int) -> None:
        """None; cells that take `gap` and a value of `node`.

        Where the end of the value is certain this is a frame: then the automaton does not have to
        learn the run again for each number of items that has been counted.
        """
        if isinstance(gap, int) and self._parts_of(node, level).is_prefix_free:
            self._call(("item", gap, node, level), partial(self._write_item, gap, node, level))
        else:
            self.gap(gap)
            self.value(node, level)

    def point(self, cells: list[int]) -> None:
        """None; `cells`, JUMPs and SPLITs, lead to the cell that comes next."""
        for cell in cells:
            self.program.point(cell, self.program.end)

    # Frames.

    def _frame(self, key: Hashable, write: Callable[[], None], closes: bool = True) -> int:
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = self.program.declare_frame(write, closes=closes)
        return frame

    def _call(self, key: Hashable, write: Callable[[], None]) -> None:
        self.program.emit(Op.CALL, self._frame(key, write))

    def _text(self, text: Text) -> int:
        """The index of `text` in the program."""
        index = self._texts.get(text)
        if index is None:
            index = self._texts[text] = len(self.program.texts)
            self.program.texts.append(text)
        return index

    def _parts_of(self, node: Node, level: int) -> _Parts:
        key = node, level if self.layout.depends_on_level else 0
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = self._new_parts(self._values.expand(node), key[1])
        return parts

    def _new_parts(self, value: Value, level: int) -> _Parts:
        frames, literals = [], value.literals
        if value.words or value.texts:
            write = partial(self._write_string, value.words, value.texts)
            frames.append(self._frame(("string", value.words, value.texts), write))
        if value.arrays:
            frames.append(self._containers(value.arrays, level))
        if value.objects:
            frames.append(self._containers(value.objects, level))
        cells = [(Op.CALL, frame) for frame in frames]
        is_prefix_free = value.numbers is None and _is_prefix_free(literals)
        if sum(map(len, literals)) > _FEW_CHARACTERS:
            write = partial(self._write_literals, literals)
            cells.append((Op.CALL, self._frame(("literals", literals), write, is_prefix_free)))
            literals = ()
        if value.numbers is not None:
            cells.append((Op.TEXT, self._text(value.numbers)))
        return _Parts(tuple(cells), literals, is_prefix_free)

    def _containers(
        self, shapes: tuple[ArrayShape, ...] | tuple[ObjectShape, ...], level: int
    ) -> int:
        """The frame of containers of one type."""
        key = shapes, level
        if len(shapes) > 1:
            return self._frame(key, partial(self._write_alternatives, shapes, level))
        shape = shapes[0]
        if isinstance(shape, ArrayShape):
            return self._frame(key, partial(write_array, self, shape, level))
        return self._frame(key, partial(write_object, self, shape, level))

    # What the frames consist of.

    def _write_root(self) -> None:
        self.gap(self.layout.outside)
        self.value(self._values.root, 0)
        self.gap(self.layout.outside)
        self.program.emit(Op.ACCEPT)

    def _write_alternatives(
        self, shapes: tuple[ArrayShape, ...] | tuple[ObjectShape, ...], level: int
    ) -> None:
        program = self.program
        for index, shape in enumerate(shapes):
            is_last = index == len(shapes) - 1
            split = None if is_last else program.emit(Op.SPLIT)
            program.emit(Op.CALL, self._containers((shape,), level))  # type: ignore[arg-type]
            program.emit(Op.RETURN)
            if split is not None:
                program.point(split, program.end)

    def _write_string(self, words: tuple[str, ...], texts: tuple[Text, ...]) -> None:
        program, ends = self.program, list[int]()
        program.emit(Op.BYTE, ord('"'))
        for index, text in enumerate(texts):
            is_last = index == len(texts) - 1 and not words
            split = None if is_last else program.emit(Op.SPLIT)
            program.emit(Op.TEXT, self._text(text))
            if split is not None:
                ends.append(program.emit(Op.JUMP))
                program.point(split, program.end)
        if words:
            ends += emit_words(program, words, self._spelling)
        self.point(ends)
        program.emit(Op.BYTE, ord('"'))
        program.emit(Op.RETURN)

    def _write_literals(self, literals: tuple[str, ...]) -> None:
        self.point(emit_words(self.program, literals, Spelling.RAW))
        self.program.emit(Op.RETURN)

    def _write_quote(self, gap: Gap) -> None:
        self.gap(gap)
        self.program.emit(Op.BYTE, ord('"'))
        self.program.emit(Op.RETURN)

    def _write_key(self, keys: Text) -> None:
        self.program.emit(Op.TEXT, self._text(keys))
        self.program.emit(Op.BYTE, ord('"'))
        self.program.emit(Op.RETURN)

    def _write_item(self, gap: Gap, node: Node, level: int) -> None:
        self.gap(gap)
        self.value(node, level)
        self.program.emit(Op.RETURN)


def _is_prefix_free(texts: tuple[str, ...]) -> bool:
    """Whether none of `texts` begins with another one."""
    return not any(longer.startswith(shorter) for shorter, longer in pairwise(sorted(set(texts))))
