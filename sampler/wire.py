"""The wire form of a request: which fields there are and how each JSON value is read.

`TOP_LEVEL` and `PARAMETERS` are the only lists of TGI's names, `COMPLETIONS` and `CHAT` those of
OpenAI's where they differ, `TRACE` what a trace has more. Reading looks at types alone: a reader
gives the Python value or raises all that is wrong with it; `sampler.rules` then judges ranges.
JSON types are taken literally: true is no number, 10.0 is no integer (10 is a number), "5" is
neither. Null means the default for numbers and objects, as in TGI; for switches and lists it is
refused.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, islice
from typing import Any, NamedTuple

from sampler.errors import InvalidParameterError, shown
from sampler.parameters import RANGES, Range, Watermark, is_integer, range_problem

Reader = Callable[[str, Any], Any]
_MAX_PROBLEMS = 50

REQUEST_RANGES: Mapping[str, Range] = {
    "best_of": Range(int, lambda x: x > 0, "strictly positive"),
    "max_new_tokens": Range(int, lambda x: x > 0, "strictly positive"),
    "min_new_tokens": Range(int, lambda x: x >= 0, ">= 0"),
    "truncate": Range(int, lambda x: x > 0, "strictly positive"),
}

TRACE_RANGE = Range(int, lambda x: x > 0, "strictly positive")  # of `top_n`


class Field(NamedTuple):
    """How one wire field is read, and whether null stands for its default."""

    read: Reader
    nullable: bool = False


@dataclass(slots=True)
class Draft:
    """A request as far as it could be read.

    Attributes
    ----------
    values : what was read, by wire name; null and absent fields are not in it
    problems : what could not be read
    unreadable : names of those fields
    unknown : paths of the fields that no table has
    """

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    def read(self, table: Mapping[str, Field], given: Mapping[Any, Any]) -> None:
        """Adds the fields of `table` from `given`; unknown names are left to `note_unknown`."""
        for name, (read, nullable) in table.items():
            if name not in given or (nullable and given[name] is None):
                continue
            try:
                self.values[name] = read(name, given[name])
            except InvalidParameterError as error:
                self.problems += error.problems
                self.unreadable.add(name)

    def note_unknown(self, known: Container[str], given: Mapping[Any, Any], prefix: str) -> None:
        """Adds the names of `given` that are not `known` to `unknown`."""
        self.unknown += [prefix + _printable(name) for name in given if name not in known]


def read_request(body: object, parameters: Mapping[str, Field]) -> Draft:
    """The draft of a request body; unknown fields are in `unknown`."""
    draft = read_top_level(body)
    given = draft.values.pop("parameters", {})
    draft.read(parameters, given)
    draft.note_unknown(parameters, given, "parameters.")
    return draft


def read_top_level(body: object) -> Draft:
    """As `read_request`, with ``parameters`` as they came."""
    draft = Draft()
    if not isinstance(body, Mapping):
        draft.problems.append(f"the request must be an object. Given: {shown(body)}")
        return draft
    draft.read(TOP_LEVEL, body)
    draft.note_unknown(TOP_LEVEL, body, "")
    if "inputs" not in body:
        draft.problems.append("`inputs` is missing")
    return draft


def raise_any(problems: Iterable[str]) -> None:
    """Raises all problems as one error; a request with very many is told the first of them."""
    found = list(islice(problems, _MAX_PROBLEMS + 1))
    if len(found) > _MAX_PROBLEMS:
        found[_MAX_PROBLEMS] = f"only the first {_MAX_PROBLEMS} problems are listed"
    if found:
        raise InvalidParameterError(found)


def read_json(text: str) -> Any:
    """The value of a JSON text; ValueError says where it is wrong, in the words of TGI."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = error.msg.replace("Expecting", "expected")
        raise ValueError(f"{message} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ValueError("recursion limit exceeded") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _printable(name: object) -> str:
    fits = isinstance(name, str) and name.isprintable() and len(name) <= 100
    return str(name) if fits else shown(name)


def _problem(path: str, must: str, value: object) -> str:
    return f"`{path}` must be {must}. Given: {shown(value)}"


def _wrong(path: str, must: str, value: object) -> InvalidParameterError:
    return InvalidParameterError(_problem(path, must, value))


def _problems(read: Callable[..., Any], *args: Any, **options: Any) -> Sequence[str]:
    """What `read` raises, for values with more than one part to look at."""
    try:
        read(*args, **options)
    except InvalidParameterError as error:
        return error.problems
    return ()


def _unknown(path: str, given: Mapping[Any, Any], known: Container[str]) -> Iterator[str]:
    return (f"unknown field `{path}.{_printable(n)}`" for n in given if n not in known)


def _number(legal: Range) -> Reader:
    def read(path: str, value: Any) -> int | float:
        if not legal.accepts_type(value):
            raise InvalidParameterError(range_problem(path, value, legal) or "")
        return legal.kind(value)

    return read


def _in_range(legal: Range) -> Reader:
    """As `_number`, and judges: for names that `sampler.rules` does not know."""

    def read(path: str, value: Any) -> int | float:
        if problem := range_problem(path, value, legal):
            raise InvalidParameterError(problem)
        return legal.kind(value)

    return read


def _boolean(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return value


def _text(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        must = f"Unicode text; it has a lone surrogate at character {error.start}"
        raise _wrong(path, must, value) from None
    return value


def _object(path: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    return value


def _texts(path: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(path, "a list of strings", value)
    items = enumerate(value)
    raise_any(p for index, item in items for p in _problems(_text, f"{path}[{index}]", item))
    return tuple(value)


def _text_or_texts(path: str, value: Any) -> tuple[str, ...]:
    return (_text(path, value),) if isinstance(value, str) else _texts(path, value)


def _one_text(path: str, value: Any) -> str:
    """A text, or a list of one: that is how some clients write it."""
    if isinstance(value, list) and len(value) == 1:
        return _text(f"{path}[0]", value[0])
    return _text(path, value)


def _list(path: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _wrong(path, "a list that is not empty", value)
    return value


def _token_ids(path: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(path, "a list of token ids", value)
    raise_any(
        _problem(f"{path}[{index}]", "an integer >= 0", item)
        for index, item in enumerate(value)
        if not (is_integer(item) and item >= 0)
    )
    return tuple(map(int, value))


def _anything(path: str, value: Any) -> Any:
    return value


def _logit_bias(path: str, value: Any) -> dict[Any, Any]:
    """JSON has only strings as keys: "123" is token 123. The values are for `sampler.rules`."""
    bias = {_token_id(key): number for key, number in _object(path, value).items()}
    if len(bias) < len(value):
        raise _wrong(path, "an object that names each token id once", value)
    return bias


def _token_id(key: Any) -> Any:
    digits = isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) <= 20
    return int(key) if digits and (key == "0" or key[0] != "0") else key


def _watermark(path: str, value: Any) -> bool | Watermark:
    if isinstance(value, bool):
        return value
    if not isinstance(value, Mapping):
        raise _wrong(path, "true, false or an object", value)
    names = [item.name for item in fields(Watermark)]
    known = {name: value[name] for name in names if name in value}
    raise_any(chain(_unknown(path, value, names), _problems(Watermark, **known)))
    return Watermark(**known)


def _grammar(path: str, value: Any) -> dict[str, Any]:
    """The shape only; whether a schema is valid is found when it is compiled."""
    grammar = dict(_object(path, value))
    raise_any(_grammar_problems(path, grammar))
    return grammar


def _grammar_problems(path: str, grammar: Mapping[Any, Any]) -> Iterator[str]:
    yield from _unknown(path, grammar, ("type", "value"))
    kind = grammar.get("type")
    if kind not in ("json", "json_object", "json_schema", "regex"):
        yield _problem(f"{path}.type", "'json', 'json_object', 'json_schema' or 'regex'", kind)
    if "value" not in grammar:
        yield f"`{path}.value` is missing"
    elif kind == "regex":
        yield from _problems(_text, f"{path}.value", grammar["value"])
    elif kind == "json_schema":
        yield from _named_schema_problems(f"{path}.value", grammar["value"])


def _named_schema_problems(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _problem(path, "an object", value)
        return
    # `strict` and `description` come with clients that also speak OpenAI's schema; what the first
    # asks for is always done, the second is a comment.
    yield from _unknown(path, value, ("name", "schema", "strict", "description"))
    if "schema" not in value:
        yield f"`{path}.schema` is missing"
    if value.get("name") is not None:
        yield from _problems(_text, f"{path}.name", value["name"])


TOP_LEVEL: Mapping[str, Field] = {
    "inputs": Field(_text),
    "parameters": Field(_object, nullable=True),
    "stream": Field(_boolean),
}
PARAMETERS: Mapping[str, Field] = {
    **{name: Field(_number(legal), nullable=True) for name, legal in RANGES.items()},
    **{name: Field(_number(legal), nullable=True) for name, legal in REQUEST_RANGES.items()},
    "do_sample": Field(_boolean),
    "stop": Field(_texts),
    "ignore_eos": Field(_boolean),
    "trim_stop": Field(_boolean),
    "watermark": Field(_watermark),
    "logprobs": Field(_anything, nullable=True),
    "logit_bias": Field(_logit_bias, nullable=True),
    "return_full_text": Field(_boolean, nullable=True),
    "details": Field(_boolean),
    "decoder_input_details": Field(_boolean),
    "grammar": Field(_grammar, nullable=True),
    "adapter_id": Field(_text, nullable=True),
}
# of a trace, beside those of `TOP_LEVEL`
TRACE: Mapping[str, Field] = {
    "tokens": Field(_token_ids),
    "top_n": Field(_number(TRACE_RANGE), nullable=True),
    "alternatives": Field(_token_ids),
}

_ONE = Range(int, lambda x: x == 1, "1: there is one choice")
_COUNT = Range(int, lambda x: x >= 0, ">= 0")
_LENGTH = Field(_in_range(REQUEST_RANGES["max_new_tokens"]), nullable=True)
_SHARED: Mapping[str, Field] = {
    "model": Field(_text, nullable=True),  # there is one, and the answer names it
    "user": Field(_text, nullable=True),
    "max_tokens": _LENGTH,
    "n": Field(_in_range(_ONE), nullable=True),
    "stop": Field(_text_or_texts, nullable=True),
    "stream": Field(_boolean, nullable=True),
    "stream_options": Field(_object, nullable=True),
    "response_format": Field(_object, nullable=True),
}
COMPLETIONS: Mapping[str, Field] = {
    **_SHARED,
    "prompt": Field(_one_text),
    "echo": Field(_boolean, nullable=True),
    "logprobs": Field(_in_range(_COUNT), nullable=True),
}
CHAT: Mapping[str, Field] = {
    **_SHARED,
    "messages": Field(_list),
    "max_completion_tokens": _LENGTH,
    "logprobs": Field(_boolean, nullable=True),
    "top_logprobs": Field(_in_range(_COUNT), nullable=True),
}
# of `PARAMETERS`: those that OpenAI's routes take too, under the same name
SAME_NAMES = frozenset(PARAMETERS) - {
    *("max_new_tokens", "do_sample", "stop", "trim_stop", "grammar", "adapter_id"),
    *("top_n_tokens", "logprobs", "details", "decoder_input_details", "return_full_text"),
}
