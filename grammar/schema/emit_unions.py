"""The cells of objects of several shapes at once.

The shapes are followed side by side, as a deterministic automaton follows the states of another
one: where their next keys and values are the same, they are one course. A text that could still be
of any of the shapes is then no more than one course, however deeply such objects are nested.

Rejected design: one course for each shape. Their number doubles with each level of nesting.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from sampler.grammar.engine.program import Op, Text
from sampler.grammar.schema.shapes import Node, ObjectShape

if TYPE_CHECKING:
    from sampler.grammar.schema.emit import Parts, Writer

_MOST_EDGES = 4000  # more of them are written shape by shape

# For each shape that is still possible its number, and that of the property that can come next.
State = frozenset[tuple[int, int]]


class Edge(NamedTuple):
    """A key that can come next, and what its values lead to."""

    key: str | Text
    values: tuple[tuple[Parts, State], ...]


def write_union(writer: Writer, shapes: tuple[ObjectShape, ...], level: int) -> bool:
    """Whether the objects of `shapes` were written, from behind the bracket on, to a RETURN.

    False if a shape counts its members, or they have too little in common.
    """
    if any(shape.min_properties or shape.max_properties is not None for shape in shapes):
        return False
    if any(shape.wanted for shape in shapes):
        return False
    union = _Union(writer, shapes, level)
    if union.explore():
        union.write()
        return True
    return False


class _Union:
    def __init__(self, writer: Writer, shapes: tuple[ObjectShape, ...], level: int) -> None:
        self._writer = writer
        self._program = writer.program
        self._shapes = shapes
        self._level = level
        self._start: State = frozenset((number, 0) for number in range(len(shapes)))
        self._edges: dict[State, list[Edge]] = {}
        self._places: dict[Hashable, int] = {}
        self._pending: dict[Hashable, list[int]] = {}

    def explore(self) -> bool:
        """Whether all states could be found within limits."""
        waiting, count = [self._start], 0
        while waiting:
            state = waiting.pop()
            if state in self._edges:
                continue
            edges = self._edges[state] = self._edges_of(state)
            count += len(edges)
            if count > _MOST_EDGES:
                return False
            waiting += [after for edge in edges for _, after in edge.values]
        return True

    def _edges_of(self, state: State) -> list[Edge]:
        values: dict[str | Text, dict[Parts, set[tuple[int, int]]]] = {}
        for number, position in sorted(state):
            for key, node, after in self._following(number, position):
                parts = self._writer.parts_of(node, self._level + 1)
                values.setdefault(key, {}).setdefault(parts, set()).add((number, after))
        return [
            Edge(key, tuple((parts, frozenset(after)) for parts, after in options.items()))
            for key, options in values.items()
        ]

    def _following(self, number: int, position: int) -> Iterator[tuple[str | Text, Node, int]]:
        """The keys that can come next in one shape, their nodes, and the position after them."""
        shape = self._shapes[number]
        for index in range(position, len(shape.properties)):
            part = shape.properties[index]
            yield part.name, part.node, index + 1
            if part.is_required:
                return
        for free in shape.extras:
            yield free.keys, free.node, len(shape.properties)

    def _may_end(self, state: State) -> bool:
        return any(
            not any(part.is_required for part in self._shapes[number].properties[position:])
            for number, position in state
        )

    # Cells. What is led to before it is written waits in `_pending`.

    def _place(self, what: Hashable) -> None:
        """None; `what` is the cell that comes next."""
        self._places[what] = self._program.end
        self._writer.point(self._pending.pop(what, []))

    def _lead_to(self, what: Hashable, op: Op = Op.JUMP) -> None:
        """None; a JUMP or SPLIT to `what`."""
        cell = self._program.emit(op, self._places.get(what, 0))
        if what not in self._places:
            self._pending.setdefault(what, []).append(cell)

    def write(self) -> None:
        """None; all cells."""
        program, writer, layout = self._program, self._writer, self._writer.layout
        may_be_empty = self._may_end(self._start)
        if self._edges[self._start]:
            if may_be_empty:
                self._lead_to("empty", Op.SPLIT)
            writer.lead(layout.opening(self._level), '"')
            self._lead_to(self._start)
            for state, edges in self._edges.items():
                self._write_state(state, edges)
            self._place("closing")
            writer.gap(layout.closing(self._level))
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)
        if may_be_empty:
            self._place("empty")
            writer.gap(layout.empty)
            program.emit(Op.BYTE, ord("}"))
            program.emit(Op.RETURN)

    def _write_state(self, state: State, edges: list[Edge]) -> None:
        """None; cells that go on at any of `edges`, and those of them that are new."""
        if not edges:
            return
        self._place(state)
        for edge in edges[:-1]:
            self._lead_to(edge, Op.SPLIT)
        self._lead_to(edges[-1])
        for edge in edges:
            if edge not in self._places:
                self._place(edge)
                self._write_edge(edge)

    def _write_edge(self, edge: Edge) -> None:
        program, writer = self._program, self._writer
        if isinstance(edge.key, str):
            writer.characters(edge.key)
            program.emit(Op.BYTE, ord('"'))
        else:
            writer.free_key(edge.key)
        writer.colon()
        for index, (parts, after) in enumerate(edge.values, start=1):
            split = program.emit(Op.SPLIT) if index < len(edge.values) else None
            writer.any_part(parts)
            self._write_after(after)
            if split is not None:
                program.point(split, program.end)

    def _write_after(self, state: State) -> None:
        """None; cells behind a value: to the end, or to the next key."""
        after = "after", state
        if after in self._places:
            self._lead_to(after)
            return
        self._place(after)
        if not self._edges[state]:
            self._lead_to("closing")
            return
        if self._may_end(state):
            self._lead_to("closing", Op.SPLIT)
        self._writer.comma()
        self._writer.lead(self._writer.layout.after_comma(self._level), '"')
        self._lead_to(state)
