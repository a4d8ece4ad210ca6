"""JSON Schemas of what goes over the wire, for ``/openapi.json``.

Names and ranges come from the tables that requests are read with; a name that they gain and this
file does not know is a KeyError, and so a failed test.
"""

import re
from collections.abc import Mapping
from typing import Any

from sampler.limits import Limits
from sampler.parameters import RANGES, WATERMARK_RANGES, Range
from sampler.wire import (
    CHAT,
    COMPLETIONS,
    PARAMETERS,
    REQUEST_RANGES,
    SAME_NAMES,
    TRACE,
    TRACE_RANGE,
    Field,
)

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}
LOGPROB: Schema = {"type": ["number", "null"], "maximum": 0}
REASON: Schema = {"enum": ["length", "eos_token", "stop_sequence"]}
_BOUND = re.compile(r"([<>]=?) ([-+0-9.e]+)")
_KEYWORDS = {
    ">": "exclusiveMinimum",
    ">=": "minimum",
    "<": "exclusiveMaximum",
    "<=": "maximum",
}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **keywords: Any) -> Schema:
    """Of a list."""
    return {"type": "array", "items": items, **keywords}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Of an object that has nothing else."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def number_schema(legal: Range) -> Schema:
    """Of a number in its range, which the text of the range says."""
    schema: Schema = {"type": "integer" if legal.kind is int else "number"}
    if "strictly positive" in legal.text:
        schema["exclusiveMinimum"] = 0
    for sign, bound in _BOUND.findall(legal.text):
        schema[_KEYWORDS[sign]] = legal.kind(bound)
    return schema


_GRAMMAR = {
    "type": "object",
    "properties": {
        "type": {"enum": ["json", "json_object", "json_schema", "regex"]},
        "value": {"description": "a JSON Schema, {schema: a JSON Schema} or a pattern"},
    },
    "required": ["type", "value"],
    "additionalProperties": False,
}
_WATERMARK = record(
    {},
    {
        "scheme": {"const": "green_list"},
        **{name: number_schema(legal) for name, legal in WATERMARK_RANGES.items()},
    },
)
_MESSAGE = record(
    {
        "role": TEXT,
        "content": {"anyOf": [TEXT, array(record({"type": {"const": "text"}, "text": TEXT}))]},
    }
)
_OTHERS: dict[str, Schema] = {
    "do_sample": FLAG,
    "stop": array(TEXT),
    "ignore_eos": FLAG,
    "trim_stop": FLAG,
    "watermark": {"anyOf": [FLAG, _WATERMARK]},
    "logprobs": {"enum": ["processed", "raw"]},
    "logit_bias": {
        "type": "object",
        "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,19})$"},
        "additionalProperties": NUMBER,
    },
    "return_full_text": FLAG,
    "details": FLAG,
    "decoder_input_details": FLAG,
    "grammar": _GRAMMAR,
    "adapter_id": {"type": "null"},
}
_LENGTH = number_schema(REQUEST_RANGES["max_new_tokens"])
_OPENAI: dict[str, Schema] = {
    "model": TEXT,
    "user": TEXT,
    "max_tokens": _LENGTH,
    "max_completion_tokens": _LENGTH,
    "n": {"const": 1},
    "stop": {"anyOf": [TEXT, array(TEXT)]},
    "stream": FLAG,
    "stream_options": record({}, {"include_usage": FLAG}),
    "response_format": {
        "type": "object",
        "properties": {"type": {"enum": ["text", "json_object", "json_schema", "json", "regex"]}},
        "required": ["type"],
    },
    "prompt": {"anyOf": [TEXT, array(TEXT, minItems=1, maxItems=1)]},
    "echo": FLAG,
    "messages": array(_MESSAGE, minItems=1),
    "top_logprobs": COUNT,
}


def _nullable(schema: Schema, is_nullable: bool) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]} if is_nullable else schema


def _parameter(name: str, limits: Limits) -> Schema:
    ranges = {**RANGES, **REQUEST_RANGES}
    schema = number_schema(ranges[name]) if name in ranges else _OTHERS[name]
    limit = {
        "best_of": limits.max_best_of,
        "top_n_tokens": limits.max_top_n_tokens,
        "max_new_tokens": limits.max_total_tokens,
        "truncate": limits.max_input_tokens,
    }
    if name in limit:
        schema = {**schema, "maximum": limit[name]}
    if name == "logit_bias":
        schema = {**schema, "maxProperties": limits.max_logit_bias}
    if name == "stop":
        text = {**TEXT, "minLength": 1, "maxLength": limits.max_stop_sequence_length}
        schema = array(text, maxItems=limits.max_stop_sequences)
    return _nullable(schema, PARAMETERS[name].nullable)


def parameters(limits: Limits) -> Schema:
    """Of ``parameters``, under these limits."""
    return record({}, {name: _parameter(name, limits) for name in PARAMETERS})


def _openai(table: Mapping[str, Field], required: str, limits: Limits, **own: Schema) -> Schema:
    fields = {**_OPENAI, **own}
    given = {name: _nullable(fields[name], table[name].nullable) for name in table}
    same = {name: _nullable(_parameter(name, limits), True) for name in sorted(SAME_NAMES)}
    return record({required: given.pop(required)}, {**given, **same})


def requests(limits: Limits) -> dict[str, Schema]:
    """Of every kind of request, by component."""
    inputs = {**TEXT, "minLength": 1}
    optional = {"parameters": {"anyOf": [ref("Parameters"), {"type": "null"}]}, "stream": FLAG}
    token_ids = {"tokens": limits.max_total_tokens - 1, "alternatives": limits.max_top_n_tokens}
    of_trace: dict[str, Schema] = {
        **{name: array(COUNT, maxItems=most) for name, most in token_ids.items()},
        "top_n": _nullable(
            {**number_schema(TRACE_RANGE), "maximum": limits.max_top_n_tokens}, True
        ),
    }
    ignored = {"parameters": _nullable(ANY_OBJECT, True), "stream": FLAG}
    return {
        "Parameters": parameters(limits),
        "GenerateRequest": record({"inputs": inputs}, optional),
        "TraceRequest": record(
            {"inputs": inputs}, {**optional, **{name: of_trace[name] for name in TRACE}}
        ),
        "TokenizeRequest": record({"inputs": TEXT}, ignored),
        "CompletionRequest": _openai(COMPLETIONS, "prompt", limits, logprobs=COUNT),
        "ChatRequest": _openai(CHAT, "messages", limits, logprobs=FLAG),
    }
