"""JSON Schemas as they come in: a text or Python objects, made one canonical text within limits."""

import json
import math
from collections.abc import Mapping
from typing import Any

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar.budget import check_size
from sampler.limits import Limits


def load_schema(schema: Mapping[str, Any] | bool | str, limits: Limits) -> str:
    """`schema` as compact JSON text with its properties in the order given.

    Parameters
    ----------
    schema : an object or a boolean; a string is read as JSON
    limits : `max_grammar_bytes` and `max_grammar_depth` apply

    Raises
    ------
    GrammarError : not JSON, or not an object or boolean
    GrammarLimitError : larger or more deeply nested than the limits allow
    """
    document = _parsed(schema, limits) if isinstance(schema, str) else schema
    if not isinstance(document, Mapping | bool):
        raise GrammarError(
            f"a JSON Schema must be an object or a boolean. Given: {type(document).__name__}"
        )
    _check_values(document, limits)
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=dict)
    except ValueError as error:  # an integer beyond the interpreter's limit of digits
        raise GrammarError(f"a JSON Schema must be JSON: {error}") from error
    check_size(text, limits)
    return text


def _parsed(text: str, limits: Limits) -> Any:
    check_size(text, limits)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        reason = "expected value" if error.msg == "Expecting value" else error.msg
        raise GrammarError(f"{reason} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        limit = limits.max_grammar_depth
        raise GrammarLimitError("nesting of the schema", f"> {limit}", limit) from error
    except ValueError as error:
        raise GrammarError(f"a JSON Schema must be JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check_values(document: Any, limits: Limits) -> None:
    """None; raises for what JSON cannot hold, and for too much of it (also for cycles)."""
    waiting, values = [(document, 1)], 0
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if depth > limits.max_grammar_depth:
            raise GrammarLimitError("nesting of the schema", depth, limits.max_grammar_depth)
        if values > limits.max_grammar_bytes:
            raise GrammarLimitError("values in the schema", values, limits.max_grammar_bytes)
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise GrammarError(f"the keys of a JSON Schema must be strings. Given: {key!r}")
                _check_text(key)
            waiting += [(member, depth + 1) for member in value.values()]
        elif isinstance(value, list | tuple):
            waiting += [(member, depth + 1) for member in value]
        elif isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise GrammarError(f"a JSON Schema must be JSON: {value} is not a JSON number")
        elif not isinstance(value, bool | int | float | None):
            raise GrammarError(f"a JSON Schema must be JSON. Given: {type(value).__name__}")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise GrammarError("a JSON Schema must not have unpaired surrogates") from error
