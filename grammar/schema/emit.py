"""From values to cells: the program of all texts of a node.

Every object, array and string is, from behind its first byte on, a frame of its own: the same one
wherever the same shape is allowed, and written when it is first called. It ends at a certain byte,
so the automaton shares what it learns inside of it among all places. The other values are cells in
place.

Rejected design: strings in place. Each place would learn anew how characters are spelled.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Protocol

from sampler.grammar.engine.program import Op, Program, Spelling, Text
from sampler.grammar.schema.emit_any_order import write_object_in_any_order
from sampler.grammar.schema.emit_arrays import write_array, write_counted_array
from sampler.grammar.schema.emit_objects import write_object
from sampler.grammar.schema.emit_unions import write_union
from sampler.grammar.schema.emit_words import emit_characters, emit_words
from sampler.grammar.schema.layout import ENDLESS, Gap, Layout
from sampler.grammar.schema.shapes import (
    ArrayShape,
    CountedArrayShape,
    Node,
    ObjectShape,
    Value,
)

_SPACES = bytes(byte in b" \t\n\r" for byte in range(256))
_FEW_CHARACTERS = 64  # of constants that stand in place; more of them are a frame


class ValuesOfNodes(Protocol):
    """What the cells are made of; `Expander` is one."""

    @property
    def root(self) -> Node:
        """The node of the whole text."""

    def expand(self, node: Node) -> Value:
        """What the values under `node` look like; the same object for the same node."""


def write_program(
    values: ValuesOfNodes, layout: Layout, spelling: Spelling, *, in_any_order: bool = False
) -> Program:
    """The program of the texts of ``values.root``; of its frames only the root is declared.

    `in_any_order` says whether the properties of an object may be.

    Raises
    ------
    GrammarError : whatever `values` raises, also later when a frame is written
    """
    return Writer(values, layout, spelling, in_any_order).program


@dataclass(frozen=True, slots=True)
class Parts:
    """A value at one level: one of its parts is enough.

    Attributes
    ----------
    frames : the first byte of a string, array or object, and the frame of what follows it
    literals : constants in place
    others : a frame or text, as a cell, of what is neither
    """

    frames: tuple[tuple[str, int], ...]
    literals: tuple[str, ...]
    others: tuple[tuple[Op, int], ...]


class Writer:
    """Writes the cells of one program.

    Attributes
    ----------
    program : what is written; frame 0 is the whole text
    layout : the gaps
    """

    def __init__(
        self,
        values: ValuesOfNodes,
        layout: Layout,
        spelling: Spelling,
        in_any_order: bool = False,
    ) -> None:
        self._values = values
        self._in_any_order = in_any_order
        self._spelling = spelling
        self.layout = replace(layout, is_endless=spelling == Spelling.FREE)
        self.program = Program()
        self._frames: dict[Hashable, int] = {}
        self._texts: dict[Text, int] = {}
        self._parts: dict[tuple[Node, int], Parts] = {}
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

    def lead(self, gap: Gap, first: str) -> None:
        """None; cells that take `gap` and the byte `first`, with which a key or value begins.

        A run is a frame, so that the automaton learns once for all places how long it may be.
        """
        if isinstance(gap, bytes):
            self.program.emit_bytes(gap + first.encode())
        else:
            self._call(("lead", gap, first), partial(self._write_lead, gap, first))

    def characters(self, text: str) -> None:
        """None; cells that take `text` inside of a string."""
        emit_characters(self.program, text, self._spelling)

    def free_key(self, keys: Text) -> None:
        """None; cells that take one of `keys` and the quotation mark behind it."""
        self.program.emit(Op.CALL, self._string((), (keys,)))

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
        self.any_part(self.parts_of(node, level))

    def later_value(self, node: Node, level: int) -> None:
        """None; as `value`, but nothing is looked up in `node` before a text comes here."""
        key = "value", node, level if self.layout.depends_on_level else 0
        write = partial(self._write_value, node, level)
        self.program.emit(Op.CALL, self._frame(key, write, closes=False))

    def go_on(self, key: Hashable, write: Callable[[], None]) -> None:
        """None; cells that go on to the end of this frame as `write` writes it, if it is new."""
        self.program.emit(Op.CALL, self._frame(key, write, closes=False))
        self.program.emit(Op.RETURN)

    def any_part(self, parts: Parts) -> None:
        """None; cells that take one of `parts`."""
        program = self.program
        ends, left = list[int](), len(parts.frames) + len(parts.others) + bool(parts.literals)
        for first, frame in parts.frames:
            left -= 1
            split = program.emit(Op.SPLIT) if left else None
            program.emit(Op.BYTE, ord(first))
            program.emit(Op.CALL, frame)
            self._end(ends, split)
        for op, argument in parts.others:
            left -= 1
            split = program.emit(Op.SPLIT) if left else None
            program.emit(op, argument)
            self._end(ends, split)
        if parts.literals:
            ends += emit_words(program, parts.literals, Spelling.RAW)
        self.point(ends)

    def item(self, gap: Gap, node: Node, level: int) -> None:
        """None; cells that take `gap` and a value of `node`."""
        parts = self.parts_of(node, level)
        if len(parts.frames) == 1 and not parts.literals and not parts.others:
            ((first, frame),) = parts.frames
            self.lead(gap, first)
            self.program.emit(Op.CALL, frame)
        else:
            self.gap(gap)
            self.value(node, level)

    def point(self, cells: list[int]) -> None:
        """None; `cells`, JUMPs and SPLITs, lead to the cell that comes next."""
        for cell in cells:
            self.program.point(cell, self.program.end)

    def _end(self, ends: list[int], split: int | None) -> None:
        """None; ends an alternative, where `split` leads past it to the next one."""
        if split is not None:
            ends.append(self.program.emit(Op.JUMP))
            self.program.point(split, self.program.end)

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

    def parts_of(self, node: Node, level: int) -> Parts:
        """The values of `node`; the same parts are the same texts."""
        key = node, level if self.layout.depends_on_level else 0
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = self._new_parts(self._values.expand(node), key[1])
        return parts

    def _new_parts(self, value: Value, level: int) -> Parts:
        frames, literals = list[tuple[str, int]](), value.literals
        others = list[tuple[Op, int]]()
        if value.words or value.texts:
            frames.append(('"', self._string(value.words, value.texts)))
        for is_distinct in (False, True):
            arrays = tuple(shape for shape in value.arrays if shape.is_distinct == is_distinct)
            if arrays:
                write = partial(self._write_containers, arrays, level)
                frame = self._frame((arrays, level), write)
                self.program.arrays[frame] = is_distinct
                frames.append(("[", frame))
        if value.objects:
            write = partial(self._write_containers, value.objects, level)
            frames.append(("{", self._frame((value.objects, level), write)))
        if sum(map(len, literals)) > _FEW_CHARACTERS:
            write = partial(self._write_literals, literals)
            frame = self._frame(("literals", literals), write, _is_prefix_free(literals))
            others.append((Op.CALL, frame))
            literals = ()
        if value.numbers is not None:
            others.append((Op.TEXT, self._text(value.numbers)))
        return Parts(tuple(frames), literals, tuple(others))

    def _string(self, words: tuple[str, ...], texts: tuple[Text, ...]) -> int:
        """The frame of strings."""
        return self._frame(("string", words, texts), partial(self._write_string, words, texts))

    # What the frames consist of.

    def _write_root(self) -> None:
        self.gap(self.layout.outside)
        self.value(self._values.root, 0)
        self.gap(self.layout.outside)
        self.program.emit(Op.ACCEPT)

    def _write_containers(
        self, shapes: tuple[ArrayShape | CountedArrayShape | ObjectShape, ...], level: int
    ) -> None:
        objects = tuple(shape for shape in shapes if isinstance(shape, ObjectShape))
        may_merge = len(objects) > 1 and not self._in_any_order
        if may_merge and write_union(self, objects, level):
            return
        for index, shape in enumerate(shapes, start=1):
            split = self.program.emit(Op.SPLIT) if index < len(shapes) else None
            if isinstance(shape, ArrayShape):
                write_array(self, shape, level)
            elif isinstance(shape, CountedArrayShape):
                write_counted_array(self, shape, level)
            elif self._in_any_order:
                write_object_in_any_order(self, shape, level)
            else:
                write_object(self, shape, level)
            if split is not None:
                self.program.point(split, self.program.end)

    def _write_string(self, words: tuple[str, ...], texts: tuple[Text, ...]) -> None:
        program, ends = self.program, list[int]()
        for index, text in enumerate(texts, start=1):
            split = program.emit(Op.SPLIT) if index < len(texts) or words else None
            program.emit(Op.TEXT, self._text(text))
            self._end(ends, split)
        if words:
            ends += emit_words(program, words, self._spelling)
        self.point(ends)
        program.emit(Op.BYTE, ord('"'))
        program.emit(Op.RETURN)

    def _write_literals(self, literals: tuple[str, ...]) -> None:
        self.point(emit_words(self.program, literals, Spelling.RAW))
        self.program.emit(Op.RETURN)

    def _write_value(self, node: Node, level: int) -> None:
        self.value(node, level)
        self.program.emit(Op.RETURN)

    def _write_lead(self, gap: Gap, first: str) -> None:
        self.gap(gap)
        self.program.emit(Op.BYTE, ord(first))
        self.program.emit(Op.RETURN)


def _is_prefix_free(texts: tuple[str, ...]) -> bool:
    """Whether none of `texts` begins with another one."""
    return not any(longer.startswith(shorter) for shorter, longer in pairwise(sorted(set(texts))))
