"""The cells of an object: its named properties in order, then a loop of free keys.

A key begins with a quotation mark that is shared by all keys that can come next; behind it a chain
of SPLITs leads along the named properties up to the first one that must not be skipped. Properties
are counted in the register if the shape bounds their number. Before a comma and a key it is tested
that the bounds can still be kept, so that nothing is begun that has no end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.grammar.engine.program import Op
from sampler.grammar.schema.shapes import KeyClass, ObjectShape, Property

if TYPE_CHECKING:
    from sampler.grammar.schema.emit import Writer

_FEW_PROPERTIES = 6  # the values of more of them are written when they are reached


def write_object(writer: Writer, shape: ObjectShape, level: int) -> None:
    """None; cells of the objects of `shape` from behind the bracket on, to a RETURN."""
    _ObjectWriter(writer, shape, level).write()


class _ObjectWriter:
    def __init__(self, writer: Writer, shape: ObjectShape, level: int) -> None:
        self._writer = writer
        self._program = writer.program
        self._shape = shape
        self._level = level
        least, most = shape.min_properties, shape.max_properties
        # One property is certain without counting: an object that is not empty has one.
        self._count = max(least, most or 0) if least > 1 or most is not None else 0
        self._closing: list[int] = []  # cells that lead to the end
        self._skipping: int | None = None  # the SPLIT that leads past the property before
        self._required = sum(part.is_required for part in shape.properties)  # still to come

    def write(self) -> None:
        """None; all cells."""
        program, writer, layout = self._program, self._writer, self._writer.layout
        shape = self._shape
        may_be_filled = shape.properties or shape.extras
        may_be_empty = self._required == 0 and shape.min_properties == 0
        empty = program.emit(Op.SPLIT) if may_be_filled and may_be_empty else None
        if may_be_filled:
            writer.lead(layout.opening(self._level), '"')
            self._write_members()
            writer.point(self._closing)
            if shape.min_properties > 1:
                program.emit(Op.AT_LEAST, shape.min_properties)
            writer.gap(layout.closing(self._level))
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)
        if empty is not None:
            program.point(empty, program.end)
        if may_be_empty:
            writer.gap(layout.empty)
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)

    def _write_members(self) -> None:
        """None; cells from behind the first quotation mark to the end of the last value."""
        last = len(self._shape.properties) - 1
        for index, part in enumerate(self._shape.properties):
            self._write_property(index, part)
            if index < last or self._shape.extras:
                self._write_comma(is_certain=self._required > 0)
        if self._shape.extras:
            self._write_extras(self._shape.extras)

    def _write_property(self, index: int, part: Property) -> None:
        writer, program = self._writer, self._program
        if self._skipping is not None:
            program.point(self._skipping, program.end)
            self._skipping = None
        is_last = index == len(self._shape.properties) - 1 and not self._shape.extras
        if part.is_required:
            self._required -= 1
        elif not is_last:
            self._skipping = program.emit(Op.SPLIT)
        self._write_tests(index, part)
        writer.characters(part.name)
        program.emit(Op.BYTE, ord('"'))
        writer.colon()
        if len(self._shape.properties) > _FEW_PROPERTIES:
            writer.later_value(part.node, self._level + 1)
        else:
            writer.value(part.node, self._level + 1)
        self._write_count()

    def _write_tests(self, index: int, part: Property) -> None:
        """None; ends courses that could not keep the bounds after this property."""
        shape = self._shape
        if shape.max_properties is not None and not part.is_required:
            room = shape.max_properties - self._required
            if room <= index:  # as many may have been written before
                self._program.emit(Op.BELOW, room)
        after = len(shape.properties) - index - 1
        missing = shape.min_properties - after - 1
        if missing > 0 and not shape.extras:
            self._program.emit(Op.AT_LEAST, missing)

    def _write_count(self) -> None:
        if self._count:
            self._program.emit(Op.COUNT, self._count)

    def _write_comma(self, is_certain: bool) -> None:
        """None; cells that end the object or take all before the next key."""
        if not is_certain:
            self._closing.append(self._program.emit(Op.SPLIT))
            if self._shape.max_properties is not None:
                self._program.emit(Op.BELOW, self._shape.max_properties)
        self._writer.comma()
        self._writer.lead(self._writer.layout.after_comma(self._level), '"')

    def _write_extras(self, extras: tuple[KeyClass, ...]) -> None:
        """None; the loop of free keys. Behind its quotation mark a key can be of any class."""
        writer, program = self._writer, self._program
        if self._skipping is not None:
            program.point(self._skipping, program.end)
        loop, ends = program.end, list[int]()
        for index, free in enumerate(extras):
            split = program.emit(Op.SPLIT) if index < len(extras) - 1 else None
            writer.free_key(free.keys)
            writer.colon()
            writer.value(free.node, self._level + 1)
            if split is not None:
                ends.append(program.emit(Op.JUMP))
                program.point(split, program.end)
        writer.point(ends)
        self._write_count()
        self._write_comma(is_certain=False)
        program.emit(Op.JUMP, loop)
