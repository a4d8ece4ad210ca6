"""The cells of an array: the first items by their place, the others in a loop that counts.

Where certain items are counted, each state of `counted_arrays` is a frame that goes on at another
one, so that only those are written that a text comes to.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sampler.grammar.engine.program import Op, count_of
from sampler.grammar.schema.counted_arrays import Progress, after, live_states, may_end, options_at
from sampler.grammar.schema.shapes import ArrayShape, CountedArrayShape, Node

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
        program.emit(Op.COUNT, count_of(max(least, most or 0)))
    if most != 1:
        end = program.emit(Op.SPLIT)
        if most is not None:
            program.emit(Op.BELOW, count_of(most))
        writer.comma()
        program.emit(Op.JUMP, loop)
        program.point(end, program.end)
    if least > 1:
        program.emit(Op.AT_LEAST, count_of(least))


def write_counted_array(writer: Writer, shape: CountedArrayShape, level: int) -> None:
    """None; cells of the arrays of `shape` from behind the bracket on, to a RETURN."""
    live = live_states(shape)

    def write(at: Progress) -> None:
        program, layout = writer.program, writer.layout
        is_first = at.items == 0
        followings: dict[Progress, list[Node]] = {}
        for option in options_at(shape, at):
            following = after(shape, at, option)
            if following in live:
                followings.setdefault(following, []).append(option.node)
        if may_end(shape, at):
            onward = program.emit(Op.SPLIT) if followings else None
            writer.gap(layout.empty if is_first else layout.closing(level))
            program.emit(Op.BYTE, ord("]"))
            program.emit(Op.RETURN)
            writer.point([] if onward is None else [onward])
        if not followings:
            return
        if is_first:
            writer.gap(layout.opening(level))
        else:
            writer.comma()
            writer.gap(layout.after_comma(level))
        ways = [(node, at) for at, nodes in followings.items() for node in dict.fromkeys(nodes)]
        for number, (node, following) in enumerate(ways, start=1):
            other = program.emit(Op.SPLIT) if number < len(ways) else None
            writer.value(node, level + 1)
            writer.go_on(("items", shape, following, level), partial(write, following))
            writer.point([] if other is None else [other])

    write(Progress(0, (0,) * len(shape.limits)))
