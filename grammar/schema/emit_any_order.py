"""The cells of an object whose properties may come in any order: a loop of all its keys.

Each named property has a mark in the register once its key has begun. Those that need not be there
have none where free keys are open: whatever such a key begins with, there is another key that
begins so, and that no key is there twice is left to the scanner of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.grammar.engine.program import Op
from sampler.grammar.schema.emit_objects import ObjectWriter
from sampler.grammar.schema.shapes import ObjectShape

if TYPE_CHECKING:
    from sampler.grammar.schema.emit import Writer


def write_object_in_any_order(writer: Writer, shape: ObjectShape, level: int) -> None:
    """None; cells of the objects of `shape` from behind the bracket on, to a RETURN."""
    _AnyOrderWriter(writer, shape, level).write()


def marks_of(shape: ObjectShape) -> list[str]:
    """The names of the properties that have a mark; those that must be there come first."""
    required = [part.name for part in shape.properties if part.is_required]
    if any(free.is_open for free in shape.extras):
        return required
    return [*required, *(part.name for part in shape.properties if not part.is_required)]


class _AnyOrderWriter(ObjectWriter):
    def _certain_marks(self) -> int:
        return self._shape.wanted + self._required

    def _write_members(self) -> list[int]:
        shape, program = self._shape, self._program
        marks = {name: mark for mark, name in enumerate(marks_of(shape), start=shape.wanted)}
        optional = any(not part.is_required for part in self._properties)
        has_free = self._has_free or shape.wanted > 0
        others = range(self._certain_marks(), shape.wanted + len(marks))
        loop, ends = program.end, list[int]()
        for index, part in enumerate(self._properties, start=1):
            is_last = index == len(self._properties) and not has_free
            split = None if is_last else program.emit(Op.SPLIT)
            if part.name in marks:
                program.emit(Op.MARK, self._width + marks[part.name])
            if not part.is_required:
                self._test(Op.BELOW, self._most)
            self._write_named(part)
            if split is not None:
                ends.append(program.emit(Op.JUMP))
                program.point(split, program.end)
        if has_free:
            self._write_free()
        self._writer.point(ends)
        closing = [program.emit(Op.SPLIT)]
        self._write_room(optional, None if self._has_free else self._mask(others))
        self._writer.comma()
        self._writer.lead(self._writer.layout.after_comma(self._level), '"')
        program.emit(Op.JUMP, loop)
        return closing

    def _write_room(self, optional: bool, others: int | None) -> None:
        """None; cells that go on where there can be one more member."""
        program = self._program
        has_more = optional or self._has_free
        split = program.emit(Op.SPLIT) if has_more and self._certain is not None else None
        if self._certain is not None:
            program.emit(Op.UNMARKED, self._certain)
        if split is not None:
            onward = program.emit(Op.JUMP)
            program.point(split, program.end)
        if has_more:
            self._test(Op.BELOW, self._most)
            if others is not None:
                program.emit(Op.UNMARKED, others)
        if split is not None:
            program.point(onward, program.end)
