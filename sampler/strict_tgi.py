"""TGI's own validation: what it refuses, in its order and in its words.

Used when a request is to be refused exactly where TGI 3.3 refuses it. Only the first problem is
told. Not here: rules for images, the refusal of `grammar` by a server flag, what TGI finds when it
turns a schema into a regular expression, and the wording of serde (the parser) and of the Rust
crate that checks schemas; where those refuse, so does this, in our words. So are values of
`repetition_penalty` that TGI takes but that turn an ordinary logit into an infinite one.

Source: TGI 3.3.6, router/src/validation.rs and router/src/infer/mod.rs.
"""

import ctypes
import math
from collections.abc import Iterator, Mapping
from typing import Any

from sampler.errors import InvalidParameterError, shown
from sampler.limits import Limits
from sampler.parameters import is_integer
from sampler.rules import CountTokens, input_size_problem
from sampler.wire import PARAMETERS, Draft, Field, read_json, read_request

_CHUNK = 1024  # TGI looks at no more new tokens than this at once
_UNSIGNED_64 = (0, 2**64 - 1)
_UNSIGNED_32 = (0, 2**32 - 1)
_INTEGERS = {
    "best_of": _UNSIGNED_64,
    "truncate": _UNSIGNED_64,
    "seed": _UNSIGNED_64,
    "max_new_tokens": _UNSIGNED_32,
    "top_n_tokens": _UNSIGNED_32,
    "top_k": (-(2**31), 2**31 - 1),
}
_FLOATS = ("temperature", "repetition_penalty", "frequency_penalty", "top_p", "typical_p")
_SAMPLING = ("temperature", "top_k", "top_p", "typical_p")
_OTHERS = (
    "do_sample",
    "return_full_text",
    "stop",
    "details",
    "decoder_input_details",
    "adapter_id",
)


def read_strictly(
    body: Any, limits: Limits, stream: bool, count_tokens: CountTokens | None
) -> Draft:
    """The draft of a request that TGI accepts; raises InvalidParameterError with its first problem.

    Unknown fields, those of this library among them, are left out without a word. Where TGI
    rounds a number to float32, the rounded one is used. `max_new_tokens` is cut to what fits.
    """
    draft = read_request(body, _TGI_PARAMETERS)
    values = draft.values
    if isinstance(body, Mapping) and "parameters" in body and body["parameters"] is None:
        draft.problems.append("`parameters` must be an object. Given: None")
    for problem in (*draft.problems, *_serving_problems(values, limits, stream)):
        raise InvalidParameterError(problem)
    if "parameters" not in body:
        values["do_sample"] = True  # so does TGI, and only then
    for problem in _parameter_problems(values, limits):
        raise InvalidParameterError(problem)
    for problem in _input_problems(values, limits, count_tokens):
        raise InvalidParameterError(problem)
    for problem in _grammar_problems(values):
        raise InvalidParameterError(problem)
    values["best_of"] = max(1, values.get("best_of", 1))
    draft.unknown.clear()
    return draft


def _serving_problems(values: Mapping[str, Any], limits: Limits, stream: bool) -> Iterator[str]:
    best_of, most = values.get("best_of", 1), limits.max_best_of
    if stream and best_of != 1:
        yield "`best_of` != 1 is not supported when streaming tokens"
    if stream and values.get("decoder_input_details"):
        yield "`decoder_input_details` == true is not supported when streaming tokens"
    if best_of > 1 and most == 1:
        yield "`best_of` != 1 is not allowed for this endpoint"
    if best_of > most:
        yield f"`best_of` must be > 0 and <= {most}. Given: {best_of}"


def _parameter_problems(values: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    best_of = values.get("best_of", 1)
    given = any(name in values for name in _SAMPLING)
    if best_of > 1 and not (values.get("do_sample", False) or given):
        yield "you must use sampling when `best_of` is > 1"
    for name in ("temperature", "repetition_penalty"):
        if not values.get(name, 1.0) > 0.0:
            yield f"`{name}` must be strictly positive"
    if not -2.0 <= values.get("frequency_penalty", 0.0) <= 2.0:
        yield "`frequency_penalty` must be >= -2.0 and <= 2.0"
    for name in ("top_p", "typical_p"):
        if name in values and not 0.0 < values[name] < 1.0:
            yield f"`{name}` must be > 0.0 and < 1.0"
    for name in ("top_k", "max_new_tokens"):
        if values.get(name, 1) <= 0:
            yield f"`{name}` must be strictly positive"
    if (count := len(values.get("stop", ()))) > limits.max_stop_sequences:
        yield f"`stop` supports up to {limits.max_stop_sequences} stop sequences. Given: {count}"
    if best_of > 1 and "seed" in values:
        yield "`seed` must not be set when `best_of` > 1"
    if (asked := values.get("top_n_tokens", 0)) > limits.max_top_n_tokens:
        yield f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. Given: {asked}"


def _input_problems(
    values: dict[str, Any], limits: Limits, count_tokens: CountTokens | None
) -> Iterator[str]:
    if not values["inputs"]:
        yield "`inputs` cannot be empty"
    longest, total = limits.max_input_tokens, limits.max_total_tokens
    truncate = values.get("truncate", longest)
    if not 0 < truncate <= longest:
        yield f"`truncate` must be strictly positive and less than {longest}. Given: {truncate}"
    if too_long := input_size_problem(values["inputs"], limits):  # TGI refuses such a body
        yield too_long
        return
    if count_tokens is None:
        return
    try:
        count = count_tokens(values["inputs"])
    except Exception as error:
        yield f"tokenizer error {error}"
        return
    input_length = min(count, truncate) if "truncate" in values else count
    room = max(0, total - input_length)
    chunk = min(values.get("max_new_tokens", room), _CHUNK)
    if input_length + chunk > total:
        yield (
            f"`inputs` tokens + `max_new_tokens` must be <= {total}."
            f" Given: {input_length} `inputs` tokens and {chunk} `max_new_tokens`"
        )
    if input_length > longest:
        yield f"`inputs` must have less than {longest} tokens. Given: {input_length}"
    if "max_new_tokens" in values:
        values["max_new_tokens"] = min(values["max_new_tokens"], room)


def _grammar_problems(values: Mapping[str, Any]) -> Iterator[str]:
    grammar = values.get("grammar")
    if grammar is None or grammar["type"] == "regex":
        return
    schema = grammar["value"]
    if grammar["type"] == "json_schema":
        schema = schema["schema"]
    if isinstance(schema, str):
        try:
            schema = read_json(schema)
        except ValueError as error:
            yield f"grammar is not valid: {error}"
            return
    elif not isinstance(schema, Mapping):
        yield "grammar is not supported"
        return
    if problem := _schema_problem(schema):
        yield f"grammar is not valid: {problem}"


def _schema_problem(schema: Any) -> str | None:
    """What is wrong with a JSON value as a schema of draft 2020-12 that TGI takes."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return str(error.message)
    except RecursionError:
        return "recursion limit exceeded"
    if not isinstance(schema, Mapping) or "properties" not in schema:
        return "Grammar must have a 'properties' field"
    return None


def _integer(name: str) -> Field:
    least, most = _INTEGERS[name]

    def read(path: str, value: Any) -> int:
        if not is_integer(value) or not least <= value <= most:
            raise InvalidParameterError(
                f"`{path}` must be an integer >= {least} and <= {most}. Given: {shown(value)}"
            )
        return int(value)

    return Field(read, nullable=True)


def _float32(name: str) -> Field:
    def read(path: str, value: Any) -> float:
        number = float(PARAMETERS[name].read(path, value))
        rounded = ctypes.c_float(number).value
        return rounded if math.isfinite(rounded) else number

    return Field(read, nullable=True)


def _grammar(path: str, value: Any) -> Any:
    """The grammar without unknown fields, which TGI does not look at here either."""
    grammar = _only(value, "type", "value")
    if isinstance(grammar, dict) and grammar.get("type") == "json_schema" and "value" in grammar:
        grammar["value"] = _only(grammar["value"], "name", "schema")
    return PARAMETERS["grammar"].read(path, grammar)


def _only(value: Any, *names: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: value[name] for name in names if name in value}


_TGI_PARAMETERS: Mapping[str, Field] = {
    **{name: _integer(name) for name in _INTEGERS},
    **{name: _float32(name) for name in _FLOATS},
    **{name: PARAMETERS[name] for name in _OTHERS},
    "watermark": PARAMETERS["do_sample"],  # a switch, no object
    "grammar": Field(_grammar, nullable=True),
}
