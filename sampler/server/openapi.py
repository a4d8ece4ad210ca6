"""``/openapi.json``: exactly the routes that are served, with all they take and answer."""

from collections.abc import Mapping
from typing import Any

import sampler
from sampler.limits import Limits
from sampler.server.schemas import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    LOGPROB,
    REASON,
    TEXT,
    Schema,
    array,
    record,
    ref,
    requests,
)

_SEED: Schema = {"type": ["integer", "null"], "minimum": 0}
_TOKEN = record({"id": COUNT, "text": TEXT, "logprob": LOGPROB, "special": FLAG})
_PREFILL = record({"id": COUNT, "text": TEXT, "logprob": LOGPROB})
_TOKENS, _TOPS = array(ref("Token")), array(array(ref("Token")))
_EXTRAS = {"grammar_complete": FLAG, "warnings": array(TEXT)}
_ENDED = {"finish_reason": REASON, "generated_tokens": COUNT, "seed": _SEED}
_LISTED = {**_ENDED, "prefill": array(ref("PrefillToken")), "tokens": _TOKENS}
_ANSWERS: dict[str, Schema] = {
    "Token": _TOKEN,
    "PrefillToken": _PREFILL,
    "BestOfSequence": record(
        {"generated_text": TEXT, **_LISTED}, {"top_tokens": _TOPS, "grammar_complete": FLAG}
    ),
    "Details": record(
        _LISTED,
        {"best_of_sequences": array(ref("BestOfSequence")), "top_tokens": _TOPS, **_EXTRAS},
    ),
    "StreamDetails": record(
        {**_ENDED, "input_length": COUNT},
        {
            "prefill": array(ref("PrefillToken")),
            "best_of_sequences": array(ref("BestOfSequence")),
            **_EXTRAS,
        },
    ),
    "GenerateResponse": record({"generated_text": TEXT}, {"details": ref("Details")}),
    "StreamResponse": record(
        {
            "index": COUNT,
            "token": ref("Token"),
            "generated_text": {"type": ["string", "null"]},
            "details": {"anyOf": [ref("StreamDetails"), {"type": "null"}]},
        },
        {"top_tokens": _TOKENS},
    ),
    "Error": record(
        {"error": TEXT},
        {
            "error_type": {
                "enum": [
                    "validation",
                    "overloaded",
                    "generation",
                    "incomplete_generation",
                    "incomplete_generation_stream",
                    "healthcheck",
                ]
            }
        },
    ),
    "OpenAIError": record(
        {
            "error": record(
                {
                    "message": TEXT,
                    "type": TEXT,
                    "param": {"type": "null"},
                    "code": {"type": "integer"},
                }
            )
        }
    ),
    "TraceResponse": record(
        {
            "stages": array(record({"name": TEXT, "size": COUNT, "tokens": _TOKENS}), minItems=1),
            "alternatives": array(
                record(
                    {
                        "id": COUNT,
                        "text": TEXT,
                        "special": FLAG,
                        "logprobs": array(LOGPROB),
                        "removed_by": {"type": ["string", "null"]},
                        "reason": {"type": ["string", "null"]},
                    }
                )
            ),
        }
    ),
    "Tokens": array(record({"id": COUNT, "text": TEXT, "start": COUNT, "stop": COUNT})),
}
_ERRORS = {
    400: "The request is not valid; all that is wrong with it.",
    401: "The bearer token is missing or wrong.",
    403: "This host name is not served.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    424: "Generation failed.",
    429: "There is no room for another request; `retry-after` says when to come again.",
    431: "The headers are too large.",
    500: "Generation ended before its last token.",
}
_COMMON = (401, 403, 431)
_POSTED = (400, 408, 413)
_GENERATING = (424, 429, 500)


def _content(kind: str, schema: Schema) -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _responses(
    content: dict[str, Any], statuses: tuple[int, ...], error: str = "Error"
) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    for status in sorted((*_COMMON, *statuses)):
        shown = _content("application/json", ref(error))
        found[str(status)] = {"description": _ERRORS[status], "content": shown}
    return found


def _posted(name: str, summary: str, request: str, responses: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": _content("application/json", ref(request))}
    operation = {"operationId": name, "summary": summary, "requestBody": body}
    return {"post": {**operation, "responses": responses}}


def _got(name: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    responses = _responses(content, ())
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _generation_paths() -> dict[str, Any]:
    whole, statuses = ref("GenerateResponse"), (*_POSTED, *_GENERATING)
    listed = _content("application/json", array(whole, minItems=1, maxItems=1))
    stream = _content("text/event-stream", ref("StreamResponse"))
    plain = _content("application/json", whole)
    asked = "GenerateRequest"
    return {
        "/": _posted(
            "compat_generate",
            "A list with one answer, or events if `stream` is true.",
            asked,
            _responses({**listed, **stream}, statuses),
        ),
        "/generate": _posted("generate", "The whole answer.", asked, _responses(plain, statuses)),
        "/generate_stream": _posted(
            "generateStream",
            "One event for each token; an error after the first byte is the last event.",
            asked,
            _responses(stream, statuses),
        ),
        "/trace": _posted(
            "trace",
            "What each processor makes of the token that follows `tokens`.",
            "TraceRequest",
            _responses(_content("application/json", ref("TraceResponse")), statuses),
        ),
    }


def _openai_paths() -> dict[str, Any]:
    content = {
        **_content("application/json", ANY_OBJECT),
        **_content("text/event-stream", ANY_OBJECT),
    }
    responses = _responses(content, (*_POSTED, *_GENERATING), "OpenAIError")
    summary = "As OpenAI's API has it."
    return {
        "/v1/completions": _posted("completions", summary, "CompletionRequest", responses),
        "/v1/chat/completions": _posted("chat_completions", summary, "ChatRequest", responses),
    }


def _information_paths() -> dict[str, Any]:
    tokens = _responses(_content("application/json", ref("Tokens")), (*_POSTED, 500))
    values = _content("application/json", ANY_OBJECT)
    health = _got("health", "Whether requests are taken.", values)
    health["get"]["responses"]["503"] = {
        "description": "The generator is closed.",
        "content": _content("application/json", ref("Error")),
    }
    return {
        "/tokenize": _posted("tokenize", "The tokens of `inputs`.", "TokenizeRequest", tokens),
        "/health": health,
        "/info": _got("info", "The model and its limits.", values),
        "/metrics": _got("metrics", "For Prometheus.", _content("text/plain", TEXT)),
        "/openapi.json": _got("openapi", "This document.", values),
    }


def _page_paths(types: Mapping[str, str], generation: dict[str, Any]) -> dict[str, Any]:
    """The files of the page, which need no token; `generation` has what ``POST /`` does."""
    paths = {}
    for path, kind in types.items():
        name = "page_" + path.rpartition("/")[2].replace(".", "_") if path != "/" else "page"
        got = _got(name, "A file of the page.", _content(kind.partition(";")[0], TEXT))
        del got["get"]["responses"]["401"]
        paths[path] = {"get": {**got["get"], "security": []}, **generation.get(path, {})}
    return paths


def document(limits: Limits, needs_token: bool, page: Mapping[str, str]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a server whose generator has these limits.

    Parameters
    ----------
    limits : of the generator
    needs_token : whether there is a bearer token
    page : the content types of the page's files, by path
    """
    generation = _generation_paths()
    security = {"bearer": {"type": "http", "scheme": "bearer"}} if needs_token else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "token-sampler",
            "version": sampler.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            **generation,
            **_page_paths(page, generation),
            **_openai_paths(),
            **_information_paths(),
        },
        "components": {
            "schemas": {**requests(limits), **_ANSWERS},
            **({"securitySchemes": security} if security else {}),
        },
        **({"security": [{"bearer": []}]} if security else {}),
    }
