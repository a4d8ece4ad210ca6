"""What is measured: grammars, texts that an engine must take and texts that it must refuse.

Every schema closes its objects and asks for all properties in order, so that the engines mean the
same language by it; texts are spelled as `json.dumps` does.
"""

import json
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


def record(**properties: Schema) -> Schema:
    """An object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Case:
    """A schema, values of it (the texts that are timed) and values that are none of it."""

    title: str
    schema: Schema
    values: tuple[Any, ...]
    others: tuple[Any, ...]

    @property
    def source(self) -> str:
        return json.dumps(self.schema)

    @property
    def texts(self) -> list[str]:
        return [json.dumps(value, ensure_ascii=False) for value in self.values]

    @property
    def refused_texts(self) -> list[str]:
        return [json.dumps(value, ensure_ascii=False) for value in self.others]


@dataclass(frozen=True)
class State:
    """The place behind `prefix` in a text of a case."""

    title: str
    case: Case
    prefix: str


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody minds. "
ANN = {"name": "Ann", "age": 41, "tags": ["new", "paid in full"]}

RECORD = Case(
    "record of three",
    record(name=STRING, age=INTEGER, tags={"type": "array", "items": STRING}),
    (ANN, {"name": "Zoë Müller", "age": -7, "tags": []}),
    (ANN | {"age": "41"}, {"name": "Ann", "tags": []}, [ANN]),
)
BOUNDED = Case(
    "string of at most 40 characters",
    record(title=STRING | {"maxLength": 40}),
    ({"title": "A title of nearly forty characters, so"}, {"title": ""}),
    ({"title": "x" * 41},),
)
PATTERN = Case(
    "string with a pattern",
    record(name=STRING | {"pattern": "^[A-Z][a-z ]*$"}),
    ({"name": "Hello there and good bye"}, {"name": "A"}),
    ({"name": "hello"}, {"name": "Hello There"}),
)
PROSE = Case(
    "long string",
    record(text=STRING),
    ({"text": SENTENCE * 6}, {"text": 'She said "no" and left.\nThen\ttabs, ünïcode and 日本語.'}),
    ({"text": 1},),
)
TOOL_CALL = Case(
    "tool call",
    record(
        tool={"enum": ["search_flights", "search_hotels", "book"]},
        arguments=record(
            origin=STRING,
            destination=STRING,
            passengers={"type": "integer", "minimum": 1, "maximum": 9},
            cabin={"enum": ["economy", "business", "first"]},
            flexible={"type": "boolean"},
        ),
    ),
    (
        {
            "tool": "search_flights",
            "arguments": {
                "origin": "Lisbon",
                "destination": "Oslo",
                "passengers": 3,
                "cabin": "economy",
                "flexible": True,
            },
        },
    ),
    ({"tool": "cancel", "arguments": {}}, {"tool": "book", "arguments": {"origin": 1}}),
)
SERIES = Case(
    "array of numbers",
    {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 64},
    ([3.25 * i - 17 for i in range(24)], [1, 2]),
    ([1], ["a", "b"], list(range(65))),
)
TREE = Case(
    "recursive tree",
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": record(
                label=STRING, children={"type": "array", "items": {"$ref": "#/$defs/node"}}
            )
        },
    },
    (
        {
            "label": "root",
            "children": [
                {"label": "left", "children": [{"label": "leaf", "children": []}]},
                {"label": "right", "children": []},
            ],
        },
    ),
    ({"label": "root", "children": [{"label": "leaf"}]},),
)
UNION = Case(
    "union by tag",
    {
        "type": "array",
        "items": {
            "anyOf": [
                record(kind={"const": "circle"}, radius=NUMBER),
                record(kind={"const": "rectangle"}, width=NUMBER, height=NUMBER),
                record(kind={"const": "label"}, text=STRING),
            ]
        },
    },
    (
        [
            {"kind": "circle", "radius": 2.5},
            {"kind": "label", "text": "here"},
            {"kind": "rectangle", "width": 3, "height": 40},
        ],
    ),
    ([{"kind": "circle", "width": 2}], [{"kind": "square"}]),
)
MAP = Case(
    "map of integers",
    {"type": "object", "additionalProperties": INTEGER},
    ({"apples": 3, "pears": 12, "a longer key": -5}, {}),
    ({"apples": "3"},),
)
CASES = {
    "record": RECORD,
    "bounded": BOUNDED,
    "pattern": PATTERN,
    "prose": PROSE,
    "tool-call": TOOL_CALL,
    "series": SERIES,
    "tree": TREE,
    "union": UNION,
    "map": MAP,
}
STATES = {
    "key": State("key expected", RECORD, "{"),
    "comma": State("after comma", RECORD, '{"name": "Ann",'),
    "string": State("inside string", RECORD, '{"name": "An'),
    "integer": State("integer expected", RECORD, '{"name": "Ann", "age":'),
    "array": State("array expected", RECORD, '{"name": "Ann", "age": 41, "tags": ['),
    "item": State("inside string in array", RECORD, '{"name": "Ann", "age": 41, "tags": ["ne'),
    "after-item": State(
        "after string in array", RECORD, '{"name": "Ann", "age": 41, "tags": ["new"'
    ),
    "bounded": State("string with maxLength 40", BOUNDED, '{"title": "A title of'),
    "pattern": State("string with a pattern", PATTERN, '{"name": "Hello'),
}
