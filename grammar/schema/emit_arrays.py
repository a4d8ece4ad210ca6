"""The cells of an array: the first items by their place, the others in a loop that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.grammar.engine.program import Op
from sampler.grammar.schema.shapes import ArrayShape, Node

if TYPE_CHECKING:
    from sampler.grammar.schema.emit import Writer


def write_array(writer: Writer, shape: ArrayShape, level: int) -> None:
    """None; cells of the arrays of `shape` from behind the bracket on, to a RETURN."""
    program, layout = writer.program, writer.layout
    may_be_filled = shape.prefix or shape.rest is not None
    empty = program.emit(Op.SPLIT) if shape.min_items == 0 and may_be_filled else None
    closing: list[int] = []
    if may_be_filled:
        closing = _write_items(writer, shape, level)
        writer.point(closing)
        writer.gap(layout.closing(level))
        program.emit(Op.BYTE, ord("]"))
        program.emit(Op.RETURN)
    if empty is not None or not may_be_filled:
        if empty is not None:
            program.point(empty, program.end)
        writer.gap(layout.empty)
        program.emit(Op.BYTE, ord("]"))
        program.emit(Op.RETURN)


def _write_items(writer: Writer, shape: ArrayShape, level: int) -> list[int]:
    """The JUMPs and SPLITs that lead to the end of the array; cells of one or more items."""
    program, layout, closing = writer.program, writer.layout, list[int]()
    gap = layout.opening(level)
    for index, node in enumerate(shape.prefix, start=1):
        writer.item(gap, node, level + 1)
        gap = layout.after_comma(level)
        if index == len(shape.prefix) and shape.rest is None:
            return closing
        if index >= shape.min_items:
            closing.append(program.emit(Op.SPLIT))
        writer.comma()
    if shape.rest is not None:
        _write_rest(writer, shape, shape.rest, level)
    return closing


def _write_rest(writer: Writer, shape: ArrayShape, node: Node, level: int) -> None:
    """None; the loop over the items after the first ones, counted as far as it matters."""
    program, layout = writer.program, writer.layout
    least = shape.min_items - len(shape.prefix)
    most = None if shape.max_items is None else shape.max_items - len(shape.prefix)
    counts = least > 1 or (most is not None and most > 1)
    into = None
    if not shape.prefix and layout.opening(level) != layout.after_comma(level):
        writer.gap(layout.opening(level))
        into = program.emit(Op.JUMP)
    loop = program.end
    if into is None:
        writer.item(layout.after_comma(level), node, level + 1)
    else:
        writer.gap(layout.after_comma(level))
        program.point(into, program.end)
        writer.value(node, level + 1)
    if counts:
        program.emit(Op.COUNT, max(least, most or 0))
    if most != 1:
        end = program.emit(Op.SPLIT)
        if most is not None:
            program.emit(Op.BELOW, most)
        writer.comma()
        program.emit(Op.JUMP, loop)
        program.point(end, program.end)
    if least > 1:
        program.emit(Op.AT_LEAST, least)
