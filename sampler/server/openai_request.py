"""A request of OpenAI's API as one of TGI's form, which then has every rule to keep.

What OpenAI's API does by default is asked for by name here: to sample, to end a completion after 16
tokens, to leave stop strings out. Fields that nobody knows go on as they are, so that the generator
refuses or ignores them as it does elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sampler.errors import InvalidParameterError, shown
from sampler.wire import CHAT, COMPLETIONS, SAME_NAMES, TOP_LEVEL, Draft, Field, raise_any

_COMPLETION_TOKENS = 16


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """What a body asks for.

    Attributes
    ----------
    body : in TGI's form; of a chat, without ``inputs``
    messages : of a chat, in the form of the chat template; empty otherwise
    stream : whether events are wanted
    include_usage : whether a stream ends with the numbers of tokens
    wants_logprobs : whether tokens are told with their logprobs
    """

    body: dict[str, Any]
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool
    wants_logprobs: bool


def completion_request(body: object) -> OpenAIRequest:
    """The request of ``/v1/completions``; InvalidParameterError says all that cannot be read."""
    values = _read(body, COMPLETIONS, "prompt")
    parameters = {
        "max_new_tokens": values.get("max_tokens", _COMPLETION_TOKENS),
        "top_n_tokens": values.get("logprobs", 0),
        "return_full_text": values.get("echo", False),
    }
    request = _tgi_body(body, values, parameters, COMPLETIONS)
    request["inputs"] = values["prompt"]
    return _request(request, values, [], "logprobs" in values)


def chat_request(body: object) -> OpenAIRequest:
    """The request of ``/v1/chat/completions``; errors as for `completion_request`."""
    values = _read(body, CHAT, "messages")
    parameters = {
        "max_new_tokens": values.get("max_completion_tokens", values.get("max_tokens")),
        "top_n_tokens": values.get("top_logprobs", 0),
    }
    request = _tgi_body(body, values, parameters, CHAT)
    messages = [_message(number, message) for number, message in enumerate(values["messages"])]
    return _request(request, values, messages, values.get("logprobs", False))


def _read(body: object, table: Mapping[str, Field], required: str) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise InvalidParameterError(f"the request must be an object. Given: {shown(body)}")
    draft = Draft()
    draft.read(table, body)
    if required not in body:
        draft.problems.append(f"`{required}` is missing")
    # these mean something in TGI's form, and nothing here
    taken = [name for name in TOP_LEVEL if name in body and name not in table]
    draft.problems += [f"unknown field `{name}`" for name in taken]
    raise_any(draft.problems)
    return draft.values


def _tgi_body(
    body: Any, values: Mapping[str, Any], parameters: dict[str, Any], table: Mapping[str, Field]
) -> dict[str, Any]:
    same = {name: body[name] for name in SAME_NAMES if body.get(name) is not None}
    unknown = {name: body[name] for name in body if name not in table and name not in SAME_NAMES}
    return {
        **unknown,
        "parameters": {
            **same,
            **parameters,
            "do_sample": True,  # temperature 0 is greedy all the same
            "stop": list(values.get("stop", ())),
            "trim_stop": True,
            "details": True,
            "grammar": _grammar(values.get("response_format", {"type": "text"})),
        },
    }


def _request(
    body: dict[str, Any],
    values: Mapping[str, Any],
    messages: list[dict[str, Any]],
    wants_logprobs: bool,
) -> OpenAIRequest:
    options = values.get("stream_options", {})
    include_usage = options.get("include_usage", False)
    if not isinstance(include_usage, bool) or options.keys() - {"include_usage"}:
        raise InvalidParameterError(
            "`stream_options` must have nothing but `include_usage`, true or false."
            f" Given: {shown(dict(options))}"
        )
    return OpenAIRequest(body, messages, values.get("stream", False), include_usage, wants_logprobs)


def _grammar(response_format: Mapping[str, Any]) -> dict[str, Any] | None:
    """The grammar of a ``response_format``; `sampler.wire` looks at what is in it."""
    match response_format.get("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object", "value": {}}
        case "json_schema":
            return {"type": "json_schema", "value": response_format.get("json_schema")}
        case "json" | "regex" as kind:
            return {"type": kind, "value": response_format.get("value")}
    raise InvalidParameterError(
        "`response_format.type` must be text, json_object, json_schema, json or regex."
        f" Given: {shown(response_format.get('type'))}"
    )


def _message(number: int, message: object) -> dict[str, Any]:
    """A message whose content is a text, also where it came in parts."""
    if not isinstance(message, Mapping):
        raise InvalidParameterError(
            f"`messages[{number}]` must be an object. Given: {shown(message)}"
        )
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(number, part) for part in content)
    return {**message, "content": content}


def _part(number: int, part: object) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text":
        text = part.get("text")
        if isinstance(text, str):
            return text
    raise InvalidParameterError(
        f"`messages[{number}].content` must be a text, or have parts of type text."
        f" Given: {shown(part)}"
    )
