"""Hypothesis strategies for programs: nested, ambiguous and counting, as no front end writes them.

A drawn `Sketch` makes any number of equal programs. What is promised of frames that close holds:
brackets and quotation marks stand only where they are balanced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import strategies as st

from sampler.grammar.engine.program import REGISTER_BITS, Op, Program, Spelling, Text, count_of

# Where the classes of code points of a text may begin: around what is special in UTF-8 and JSON.
EDGES = (0x08, 0x0A, 0x20, 0x22, 0x23, 0x2F, 0x30, 0x5C, 0x5D, 0x61, 0x62, 0x7F, 0x80, 0x7FF, 0x800)
EDGES += (0xD7FF, 0xFFFD, 0x10000, 0x1F600, 0x1F601, 0x10FFFF)
CHARACTERS = (0x08, 0x0A, 0x1F, 0x22, 0x2F, 0x5C, 0x61, 0x7F, 0xE9, 0x65E5, 0xFFFF, 0x1F600)
PLAIN_BYTES = b"ab1,: "
BRACKETS = (b"[]", b"{}")
_WIDTH = 3  # of counts beside marks
MOST_LENGTHS = 64  # by which the lengths of the texts of a table repeat themselves

Node = tuple[Any, ...]  # (what, its parts)


class TableDfa:
    """A `TextDfa` of a table. State 0 is dead; states that reach no end are made dead.

    `rows[s][c]` is the state after state s + 1 and class c.
    """

    def __init__(self, edges: list[int], rows: list[list[int]], accepting: set[int]) -> None:
        starts = sorted({0, 0xD800, 0xE000, *edges})
        self.class_starts = tuple(starts)
        self.class_ids = tuple(range(len(starts)))
        self.class_count = len(starts)
        surrogates = starts.index(0xD800)
        self._rows = [[0] * len(starts)]
        for row in rows:
            self._rows.append([row[c % len(row)] for c in range(len(starts))])
            self._rows[-1][surrogates] = 0
        self._accepting = accepting
        self._lengths = [self._lengths_from(s) for s in range(len(self._rows))]
        self._live = {s for s, lengths in enumerate(self._lengths) if lengths}
        self._rows = [[s if s in self._live else 0 for s in row] for row in self._rows]
        self.start = 1 if 1 in self._live else 0
        self.has_any_length = all(
            set(range(self.shortest(s), MOST_LENGTHS)) <= self._lengths[s] for s in self._live
        )
        self.nbytes = 0
        self.excluded_words = None

    def row(self, state: int) -> list[int]:
        return self._rows[state]

    def is_accepting(self, state: int) -> bool:
        return state in self._live and state in self._accepting

    def shortest(self, state: int) -> int:
        return min(self._lengths[state])

    def takes_everything(self, state: int) -> bool:
        seen: set[int] = set()
        work = {state}
        while work:
            seen |= work
            work = {self._rows[s][c] for s in work for c in self._plain_classes()} - seen
        return 0 not in seen

    def _plain_classes(self) -> set[int]:
        """The classes with a code point from U+0020 that is no surrogate, ``"`` or backslash."""
        ends = [*self.class_starts[1:], 0x110000]
        spans = zip(self.class_starts, ends, strict=True)
        plain = set()
        for number, (start, end) in enumerate(spans):
            points = range(max(start, 0x20), end)
            if start != 0xD800 and len(points) > sum(p in points for p in (0x22, 0x5C)):
                plain.add(number)
        return plain

    def _lengths_from(self, state: int) -> set[int]:
        """The lengths below `MOST_LENGTHS` of the texts from `state`."""
        lengths, states = set(), {state} - {0}
        for length in range(MOST_LENGTHS):
            if states & self._accepting:
                lengths.add(length)
            states = {after for s in states for after in self._rows[s]} - {0}
        return lengths


@dataclass(frozen=True)
class Frame:
    """`kind` is "plain", "counted" (parts: item, low, high, width) or "marked" (items, mask)."""

    kind: str
    parts: tuple[Any, ...]
    brackets: bytes = b""


@dataclass(frozen=True)
class Sketch:
    """What programs are made of; the first frame is the whole text."""

    frames: list[Frame]
    texts: list[tuple[Any, ...]] = field(repr=False)  # arguments of Text, the table as its own

    def program(self) -> Program:
        program = Program()
        for table, *window in self.texts:
            program.texts.append(Text(TableDfa(*table), *window))
        for number, frame in enumerate(self.frames):
            write = partial(_write_frame, program, frame, Op.RETURN if number else Op.ACCEPT)
            program.declare_frame(write, closes=bool(frame.brackets))
        return program


def _write_frame(program: Program, frame: Frame, last: Op) -> None:
    write = partial(_write, program)
    program.emit_bytes(frame.brackets[:1])
    if frame.kind == "plain":
        write(frame.parts[0])
    elif frame.kind == "counted":
        item, low, high, width = frame.parts

        def one_more() -> None:
            program.emit(Op.BELOW, count_of(high, width))
            write(item)
            program.emit(Op.COUNT, count_of(high, width))

        _loop(program, one_more)
        program.emit(Op.AT_LEAST, count_of(low, width))
    else:  # the marks stand above a count of what is marked
        items, mask = frame.parts
        most = count_of(len(items), _WIDTH)
        program.masks.extend([mask << _WIDTH, (1 << len(items)) - 1 << _WIDTH])
        wanted = len(program.masks) - 2

        def one_of_each() -> None:
            marked = [("marked", _WIDTH + number, item) for number, item in enumerate(items)]
            program.emit(Op.UNMARKED, wanted + 1)
            write(("either", marked))
            program.emit(Op.COUNT, most)

        _loop(program, one_of_each)
        program.emit(Op.MARKED, wanted)
        program.emit(Op.AT_LEAST, count_of(mask.bit_count(), _WIDTH))
    program.emit_bytes(frame.brackets[1:])
    program.emit(last)


def _loop(program: Program, body: Callable[[], None]) -> None:
    begin = program.emit(Op.SPLIT)
    body()
    program.emit(Op.JUMP, begin)
    program.point(begin, program.end)


def _write(program: Program, node: Node) -> None:
    match node:
        case "bytes", data:
            program.emit_bytes(data)
        case "set", chosen:
            program.byte_sets.append(bytes(byte in chosen for byte in range(256)))
            program.emit(Op.BYTES, len(program.byte_sets) - 1)
        case "all", parts:
            for part in parts:
                _write(program, part)
        case "either", parts:
            jumps = []
            for part in parts[:-1]:
                split = program.emit(Op.SPLIT)
                _write(program, part)
                jumps.append(program.emit(Op.JUMP))
                program.point(split, program.end)
            _write(program, parts[-1])
            for jump in jumps:
                program.point(jump, program.end)
        case "many", part:
            _loop(program, partial(_write, program, part))
        case "marked", number, part:
            program.emit(Op.MARK, number)
            _write(program, part)
        case "string", parts:
            program.emit_bytes(b'"')
            for part in parts:
                _write(program, part)
            program.emit_bytes(b'"')
        case op, argument:
            program.emit(op, argument)


@st.composite
def texts(draw: st.DrawFn, spellings: list[Spelling]) -> tuple[Any, ...]:
    """The arguments of a `Text` with at least one text; its table first."""
    edges = draw(st.lists(st.sampled_from(EDGES), max_size=5))
    states = draw(st.integers(1, 3))
    row = st.lists(st.integers(0, states), min_size=1, max_size=4)
    rows = draw(st.lists(row, min_size=states, max_size=states))
    accepting = draw(st.sets(st.integers(1, states), min_size=1))
    table = (edges, rows, accepting)
    dfa = TableDfa(*table)
    if not dfa.start:
        table = (edges, rows, {*accepting, 1})
        dfa = TableDfa(*table)
    low, high = 0, -1
    if dfa.has_any_length and draw(st.booleans()):
        low = draw(st.integers(0, 4))
        least = max(low, dfa.shortest(dfa.start))
        high = draw(st.one_of(st.just(-1), st.integers(least, least + 6)))
    return table, draw(st.sampled_from(spellings)), low, high


@st.composite
def sketches(draw: st.DrawFn, spells_json: bool = True) -> Sketch:
    """A sketch; with `spells_json` of frames that close and of strings, else of raw texts."""
    spellings = [Spelling.CANONICAL, Spelling.FREE] if spells_json else [Spelling.RAW]
    some_texts = draw(st.lists(texts(spellings), min_size=1, max_size=3))
    count = draw(st.integers(1, 4))
    frames = []
    for number in range(count):
        brackets = b""
        if spells_json and number:
            brackets = draw(st.sampled_from([b"", *BRACKETS]))
        nodes = _Nodes(draw, spells_json, len(some_texts), number, count)
        frames.append(_frame(draw, nodes, brackets))
    return Sketch(frames, some_texts)


def _frame(draw: st.DrawFn, nodes: "_Nodes", brackets: bytes) -> Frame:
    kind = draw(st.sampled_from(["plain", "plain", "counted", "marked"]))
    taken = bool(brackets)
    if kind == "plain":
        return Frame(kind, (nodes.row(2, taken),), brackets)
    if kind == "counted":
        low = draw(st.integers(0, 3))
        high = draw(st.integers(max(low, 1), 5))
        width = draw(st.sampled_from([_WIDTH, REGISTER_BITS]))
        return Frame(kind, (nodes.node(2, taken), low, high, width), brackets)
    items = [nodes.node(1, taken) for _ in range(draw(st.integers(1, 3)))]
    return Frame(kind, (items, draw(st.integers(0, 2 ** len(items) - 1))), brackets)


class _Nodes:
    """Draws what frame `number` of `count` consists of.

    A frame is called where a byte has been taken, or by one of a lower number: none calls itself
    without end. A call that may lead back is never the only way: every text can be completed.
    """

    def __init__(
        self, draw: st.DrawFn, spells_json: bool, texts: int, number: int, count: int
    ) -> None:
        self._draw, self._spells_json, self._texts = draw, spells_json, texts
        self._number, self._count = number, count

    def row(self, depth: int, taken: bool) -> Node:
        """Several nodes one after the other."""
        parts = []
        for _ in range(self._draw(st.integers(2, 4))):
            parts.append(self.node(depth, taken))
            taken = taken or _takes(parts[-1])
        return "all", parts

    def node(self, depth: int, taken: bool) -> Node:
        """One node; `taken` says that a byte of the frame has been taken before it."""
        draw = self._draw
        kinds = ["bytes", "set", "space", "text", "text", "call", "call", "call"]
        if depth:
            kinds += ["all", "all", "either", "either", "many", "many"]
        kind = draw(st.sampled_from(kinds))
        if kind == "all":
            return self.row(depth - 1, taken)
        if kind == "either":
            return "either", [self.node(depth - 1, taken) for _ in range(draw(st.integers(2, 3)))]
        if kind == "many":
            return "many", self.node(depth - 1, taken)
        if kind == "text":
            return self._text()
        if kind == "call":
            called = range(0 if taken else self._number + 1, self._count)
            callable_frames = [number for number in called if number]
            if callable_frames:
                called_frame = draw(st.sampled_from(callable_frames))
                call = Op.CALL, called_frame
                may_loop = called_frame <= self._number
                return ("either", [call, ("bytes", b"b")]) if may_loop else call
        if kind == "space":
            return Op.SPACE, draw(st.integers(0, 4))
        if kind == "set":
            return "set", draw(st.frozensets(st.sampled_from(PLAIN_BYTES), min_size=1))
        return "bytes", bytes(draw(st.lists(st.sampled_from(PLAIN_BYTES), min_size=1, max_size=3)))

    def _text(self) -> Node:
        text = st.tuples(st.just(Op.TEXT), st.integers(0, self._texts - 1))
        if not self._spells_json:
            return self._draw(text)
        character = st.tuples(st.just(Op.CHARACTER), st.sampled_from(CHARACTERS))
        letters = st.tuples(st.just("bytes"), st.sampled_from([b"a", b"ab", b"b1"]))
        one = st.one_of(text, text, character, letters)
        either = st.tuples(st.just("either"), st.lists(one, min_size=2, max_size=2))
        parts = self._draw(st.lists(st.one_of(one, one, either), max_size=3))
        return "string", parts


def _takes(node: Node) -> bool:
    """Whether every text of `node` has a byte."""
    match node:
        case ("bytes" | "set" | "string", _):
            return True
        case "all", parts:
            return any(map(_takes, parts))
        case "either", parts:
            return all(map(_takes, parts))
    return False
