"""The cells of an object: its named properties in order, then a loop of free keys.

A key begins with a quotation mark that is shared by all keys that can come next; behind it a chain
of SPLITs leads along the named properties up to the first one that must not be skipped. In any
order all keys are in the loop, and each has a mark in the register: see `emit_any_order`.

What is not certain to be there is counted in the register if the shape bounds the number of
properties, and marks of the free members that are wanted stand above the count. Before a comma and
a key it is tested that the bounds can still be kept, so that nothing is begun that has no end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.grammar.engine.program import Op, count_of
from sampler.grammar.schema.shapes import KeyClass, Node, ObjectShape, Property

if TYPE_CHECKING:
    from sampler.grammar.schema.emit import Writer

FEW_PROPERTIES = 6  # the values of more of them are written when they are reached


def write_object(writer: Writer, shape: ObjectShape, level: int) -> None:
    """None; cells of the objects of `shape` from behind the bracket on, to a RETURN."""
    ObjectWriter(writer, shape, level).write()


class ObjectWriter:
    """Writes the cells of one shape."""

    def __init__(self, writer: Writer, shape: ObjectShape, level: int) -> None:
        self._writer = writer
        self._program = writer.program
        self._shape = shape
        self._level = level
        self._required = sum(part.is_required for part in shape.properties)  # still to come
        certain = self._required + shape.wanted
        # how many others there may be: they are counted, as far as it matters
        self._least = max(shape.min_properties - certain, 0)
        self._most = None if shape.max_properties is None else shape.max_properties - certain
        self._properties = tuple(p for p in shape.properties if p.is_required or self._most != 0)
        # One property is certain without counting: an object that is not empty has one.
        counts = self._most is not None or self._least > (0 if certain else 1)
        self._limit = max(self._least, self._most or 0) if counts else 0
        self._width = self._limit.bit_length()
        self._has_free = bool(shape.extras) and self._most != 0
        self._certain = self._mask(range(self._certain_marks()))

    def write(self) -> None:
        """None; all cells."""
        program, writer, layout = self._program, self._writer, self._writer.layout
        shape = self._shape
        may_be_filled = self._properties or self._has_free or shape.wanted
        may_be_empty = not (self._required or shape.wanted or shape.min_properties)
        empty = program.emit(Op.SPLIT) if may_be_filled and may_be_empty else None
        if may_be_filled:
            writer.lead(layout.opening(self._level), '"')
            writer.point(self._write_members())
            self._test(Op.AT_LEAST, self._least)
            if self._certain is not None:
                program.emit(Op.MARKED, self._certain)
            writer.gap(layout.closing(self._level))
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)
        if empty is not None:
            program.point(empty, program.end)
        if may_be_empty:
            writer.gap(layout.empty)
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)

    # Properties in the order of the shape.

    def _certain_marks(self) -> int:
        """How many of the marks, the first ones, must be set at the end."""
        return self._shape.wanted

    def _write_members(self) -> list[int]:
        """The cells that lead to the end; from behind the first quotation mark on."""
        properties, closing = self._properties, list[int]()
        has_free = self._has_free or self._shape.wanted > 0
        optional = sum(not part.is_required for part in properties)  # from the next one on
        last, skipping = len(properties) - 1, list[int]()
        for index, part in enumerate(properties):
            self._writer.point(skipping)
            skipping = []
            is_last = index == last and not has_free
            if part.is_required:
                self._required -= 1
            else:
                optional -= 1
                if not is_last:
                    skipping.append(self._program.emit(Op.SPLIT))
                self._test(Op.BELOW, self._most)
            if not self._has_free:  # the others, all of them, must be as many as are missing
                missing = self._least - optional - (not part.is_required)
                self._test(Op.AT_LEAST, missing)
            self._write_named(part)
            if not is_last:
                closing += self._write_comma(has_more=optional > 0 or self._has_free)
        if has_free:
            self._writer.point(skipping)
            loop = self._program.end
            self._write_free()
            closing += self._write_comma(has_more=self._has_free)
            self._program.emit(Op.JUMP, loop)
        return closing

    def _write_named(self, part: Property) -> None:
        """None; a property from its key on."""
        writer, program = self._writer, self._program
        writer.characters(part.name)
        program.emit(Op.BYTE, ord('"'))
        writer.colon()
        if len(self._properties) > FEW_PROPERTIES:
            writer.later_value(part.node, self._level + 1)
        else:
            writer.value(part.node, self._level + 1)
        if not part.is_required:
            self._write_count()

    def _write_comma(self, has_more: bool) -> list[int]:
        """The cells that lead to the end; all before the next key, where there can be one.

        has_more : whether there are others than those that must be there
        """
        program, closing = self._program, list[int]()
        if not self._required:
            closing.append(program.emit(Op.SPLIT))
            if self._certain is not None:  # one of them is missing, or there is room for another
                other = program.emit(Op.SPLIT) if has_more else None
                program.emit(Op.UNMARKED, self._certain)
                if other is not None:
                    onward = program.emit(Op.JUMP)
                    program.point(other, program.end)
                    self._test(Op.BELOW, self._most)
                    program.point(onward, program.end)
            else:
                self._test(Op.BELOW, self._most)
        self._writer.comma()
        self._writer.lead(self._writer.layout.after_comma(self._level), '"')
        return closing

    # Free keys, and what is counted.

    def _write_free(self) -> None:
        """None; a free member. Behind its quotation mark a key can be of any class."""
        ways: list[tuple[KeyClass, Node, int | None]] = []
        for free in self._shape.extras:
            if self._has_free:
                ways.append((free, free.node, None))
            ways += [(free, node, g) for g, node in enumerate(free.wanted) if node is not None]
        program, ends = self._program, list[int]()
        for index, (free, node, wanted) in enumerate(ways, start=1):
            split = program.emit(Op.SPLIT) if index < len(ways) else None
            if wanted is None:
                self._test(Op.BELOW, None if self._certain is None else self._most)
            else:
                program.emit(Op.MARK, self._width + wanted)
            self._writer.free_key(free.keys)
            self._writer.colon()
            self._writer.value(node, self._level + 1)
            if wanted is None:
                self._write_count()
            if split is not None:
                ends.append(program.emit(Op.JUMP))
                program.point(split, program.end)
        self._writer.point(ends)

    def _write_count(self) -> None:
        if self._limit:
            self._program.emit(Op.COUNT, count_of(self._limit, self._width))

    def _test(self, op: Op, limit: int | None) -> None:
        """None; a test of the count, where it could fail."""
        if self._limit and limit is not None and (op is Op.BELOW or limit > 0):
            self._program.emit(op, count_of(limit, self._width))

    def _mask(self, marks: range) -> int | None:
        """The index of a mask of the marks with these numbers, None of none."""
        if not marks:
            return None
        masks = self._program.masks
        masks.append(sum(1 << self._width + mark for mark in marks))
        return len(masks) - 1
