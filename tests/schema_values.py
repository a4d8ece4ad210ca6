"""Hand-made values of schemas, and the texts of the programs that are written from them."""

import json
from collections.abc import Iterator

from reference.program import ReferenceMatcher

from sampler.grammar.engine.program import Program, Spelling, Text
from sampler.grammar.schema.emit import write_program
from sampler.grammar.schema.layout import Layout
from sampler.grammar.schema.shapes import ArrayShape, KeyClass, Node, ObjectShape, Value
from sampler.grammar.text.dfa import TextDfa
from sampler.grammar.text.terms import Term, current_pool

CANONICAL, FREE = Spelling.CANONICAL, Spelling.FREE


class Values:
    """Nodes and what they allow."""

    def __init__(self) -> None:
        self._values: list[Value] = []
        self.root = self.node(Value())

    def node(self, value: Value) -> Node:
        self._values.append(value)
        return Node(len(self._values) - 1, ())

    def expand(self, node: Node) -> Value:
        return self._values[node.index]

    def define(self, node: Node, value: Value) -> None:
        self._values[node.index] = value


def text(term: Term, spelling: Spelling = CANONICAL) -> Text:
    return Text(TextDfa(term), spelling)


def digits() -> Text:
    return text(current_pool().repeat(current_pool().characters([(48, 57)]), 1), Spelling.RAW)


def any_json(spelling: Spelling = CANONICAL) -> Values:
    """All values, with natural numbers."""
    values, any_text = Values(), text(current_pool().anything, spelling)
    array = ArrayShape((), values.root, 0, None)
    members = ObjectShape((), (KeyClass(any_text, values.root),))
    everything = Value(
        ("null", "true", "false"), digits(), texts=(any_text,), arrays=(array,), objects=(members,)
    )
    values.define(values.root, everything)
    return values


def program_of(
    value: Value, whitespace: object = "compact", spelling: Spelling = CANONICAL
) -> Program:
    values = Values()
    values.define(values.root, value)
    return write_program(values, Layout(whitespace), spelling)


def takes(program: Program, written: str) -> bool:
    matcher = ReferenceMatcher(program)
    return matcher.accept_bytes(written.encode()) and matcher.is_accepting()


def dumped(value: object, whitespace: object) -> str:
    """As `json.dumps` writes it in one of `LAYOUTS`."""
    if whitespace == "compact":
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(whitespace, int):
        return json.dumps(value, indent=whitespace, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def texts_of(program: Program, longest: int) -> Iterator[str]:
    """All texts of up to `longest` bytes; fails where one that has begun cannot go on."""
    waiting = [(b"", ReferenceMatcher(program))]
    while waiting:
        written, matcher = waiting.pop()
        if matcher.is_accepting():
            yield written.decode()
        following = matcher.allowed_bytes()
        assert following or matcher.is_accepting(), written
        if len(written) < longest:
            for byte in following:
                after = matcher.copy()
                after.accept_byte(byte)
                waiting.append((written + bytes([byte]), after))
