"""Random requests: legal ones, and legal ones in which something was made wrong.

A number gives the same request every time, so that a failure can be looked at again.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TGI_PATHS = ("/", "/generate", "/generate_stream")
PATHS = (*TGI_PATHS, "/v1/completions", "/v1/chat/completions", "/tokenize", "/trace")
READ_PATHS = ("/health", "/info", "/metrics", "/openapi.json", "/nowhere", "/%00", "/generate/")
METHODS = ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, 2**31, 2**64, -(2**70), 10**400),
    *("", "a", "\0", "é\u2028", "\ud800", "1", "a" * 3000, [], {}, [[]], [0] * 40, ["a"] * 40),
    *({"a": {"b": [{}]}}, {"": 0}, [None], [{"type": "text"}], {"type": "regex"}),
)
LETTERS = "ab (|)*+?[]{},-^$.1\\dwx/\"'é\0"
Roll = random.Random
Fields = dict[str, Callable[[Roll], Any]]


@dataclass(frozen=True)
class Fuzzed:
    """A request as it is sent."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def text(roll: Roll, most: int = 12) -> str:
    return "".join(roll.choices(LETTERS, k=roll.randint(0, most)))


def schema(roll: Roll, depth: int = 3) -> Any:
    """A JSON Schema, valid or not, of a few keywords."""
    inner = (lambda: schema(roll, depth - 1)) if depth else (lambda: roll.choice([True, {}, 3]))
    keywords: dict[str, Callable[[], Any]] = {
        "type": lambda: roll.choice(["string", "integer", "object", "array", "null", "nonsense"]),
        "enum": lambda: roll.sample(WRONG[:22], 3),
        "const": lambda: roll.choice(WRONG),
        "properties": lambda: {text(roll, 3): inner() for _ in range(roll.randint(0, 3))},
        "required": lambda: [text(roll, 2)],
        "items": inner,
        "anyOf": lambda: [inner(), inner()],
        "allOf": lambda: [inner(), inner()],
        "not": inner,
        "pattern": lambda: text(roll),
        "minLength": lambda: roll.choice([0, 2, -1, 10**9]),
        "maxLength": lambda: roll.choice([0, 3, 10**12]),
        "minimum": lambda: roll.choice([0, -1e300, 5.5]),
        "multipleOf": lambda: roll.choice([1, 0, 0.1, 1e-200]),
        "maxItems": lambda: roll.choice([0, 2, 10**9]),
        "$ref": lambda: roll.choice(["#", "#/$defs/a", "http://a/b", "#/properties/"]),
        "$defs": lambda: {"a": inner()},
        "format": lambda: roll.choice(["date", "uuid", "nonsense"]),
    }
    return {name: keywords[name]() for name in roll.sample(list(keywords), roll.randint(0, 3))}


def grammar(roll: Roll) -> dict[str, Any]:
    kind = roll.choice(["regex", "json", "json_object", "json_schema"])
    if kind == "regex":
        return {"type": kind, "value": text(roll, 20)}
    return {
        "type": kind,
        "value": {"schema": schema(roll)} if kind[5:] == "schema" else schema(roll),
    }


def _choice(*values: Any) -> Callable[[Roll], Any]:
    return lambda roll: roll.choice(values)


_SHARED: Fields = {
    "temperature": _choice(0, 0.7, 1.5, None),
    "top_k": _choice(0, 1, 50, 10**6),
    "top_p": _choice(0.1, 0.95, 1),
    "typical_p": _choice(0.2, 1.0),
    "min_p": _choice(0, 0.1),
    "repetition_penalty": _choice(1.1, 0.5),
    "frequency_penalty": _choice(-2, 0.3),
    "presence_penalty": _choice(2, -0.3),
    "seed": lambda roll: roll.getrandbits(64),
    "watermark": _choice(True, False, {"gamma": 0.5, "delta": 1}),
    "logit_bias": lambda roll: {str(roll.randrange(300)): roll.uniform(-100, 100)},
    "min_new_tokens": _choice(0, 2),
    "ignore_eos": _choice(True, False),
    "best_of": _choice(1, 2, 3),
}
_TGI: Fields = {
    **_SHARED,
    "do_sample": _choice(True, False),
    "max_new_tokens": _choice(1, 3, 7),
    "stop": lambda roll: ["a" + text(roll, 3) for _ in range(roll.randint(0, 3))],
    "trim_stop": _choice(True, False),
    "logprobs": _choice("processed", "raw"),
    "top_n_tokens": _choice(0, 1, 5),
    "return_full_text": _choice(True, False, None),
    "details": _choice(True, False),
    "decoder_input_details": _choice(True, False),
    "truncate": _choice(1, 5),
    "adapter_id": _choice(None),
}
_OPENAI: Fields = {
    **_SHARED,
    "model": text,
    "n": _choice(1, None),
    "stop": _choice("a", ["b", "c"], None),
    "stream": _choice(True, False),
    "stream_options": _choice({"include_usage": True}, {}),
    "response_format": lambda roll: roll.choice([{"type": "text"}, {"type": "json_object"}]),
}


def _some(roll: Roll, fields: Fields) -> dict[str, Any]:
    names = roll.sample(list(fields), roll.randint(0, 5))
    return {name: fields[name](roll) for name in names}


def _legal(roll: Roll, path: str) -> dict[str, Any]:
    if path == "/v1/completions":
        return {
            "prompt": "a" + text(roll),
            "max_tokens": roll.randint(1, 7),
            **_some(roll, _OPENAI),
        }
    if path == "/v1/chat/completions":
        messages = [{"role": "user", "content": text(roll)} for _ in range(roll.randint(1, 3))]
        return {"messages": messages, "max_tokens": roll.randint(1, 7), **_some(roll, _OPENAI)}
    if path == "/tokenize":
        return {"inputs": "a" + text(roll, 100)}
    parameters = {"max_new_tokens": 5, **_some(roll, _TGI)}
    if roll.random() < 0.15:
        parameters["grammar"] = grammar(roll)
    body: dict[str, Any] = {"inputs": "a" + text(roll), "parameters": parameters}
    if path == "/trace":
        tokens = [roll.randrange(300) for _ in range(roll.randint(0, 5))]
        return body | {"tokens": tokens, "top_n": roll.randint(1, 21), "alternatives": tokens[:2]}
    return body | ({"stream": True} if path == "/" and roll.random() < 0.5 else {})


def _spoil(roll: Roll, value: Any) -> Any:
    """`value` with one thing in it changed, taken out or put in."""
    if isinstance(value, dict) and value and roll.random() < 0.8:
        name = roll.choice(list(value))
        return value | {name: _spoil(roll, value[name])}
    match roll.randrange(4), value:
        case 0, {**fields}:
            return fields | {roll.choice(["x", "", "\0", "n", "parameters", "inputs"]): 1}
        case 1, {**fields} if fields:
            return {name: fields[name] for name in list(fields)[1:]}
        case 2, list():
            return [*value, roll.choice(WRONG)]
    return roll.choice(WRONG)


def _mangled(roll: Roll, data: bytes) -> bytes:
    """`data` with bytes cut out, doubled or replaced."""
    start, stop = sorted(roll.choices(range(len(data) + 1), k=2))
    middle = roll.choice([b"", data[start:stop] * 2, roll.randbytes(4), b"\0", b"[" * 2000, b"}"])
    return data[:start] + middle + data[stop:]


def fuzzed(number: int) -> Fuzzed:
    """The request of this number."""
    roll = random.Random(number)
    if roll.random() < 0.05:
        method = roll.choice(("GET", "GET", *METHODS))
        return Fuzzed(method, roll.choice((*READ_PATHS, *PATHS)), b"", {})
    path = roll.choice(PATHS)
    body: Any = _legal(roll, path)
    for _ in range(roll.choice([0, 0, 1, 1, 2, 3])):
        body = _spoil(roll, body)
    data = json.dumps(body).encode()
    if roll.random() < 0.1:
        data = _mangled(roll, data)
    kind = "application/json" if roll.random() < 0.98 else roll.choice(["text/plain", "", "\xff"])
    headers = {"content-type": kind}
    if roll.random() < 0.05:
        headers["x-request-id"] = text(random.Random(number), 5).encode("ascii", "ignore").decode()
        headers["x-request-id"] = headers["x-request-id"].replace("\0", "")
    return Fuzzed("POST", path, data, headers)
