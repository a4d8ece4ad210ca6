"""outlines' TGI model, sync and async: ``URL SCENARIO``; prints JSON."""

import asyncio
from typing import Literal

import outlines
from huggingface_hub import AsyncInferenceClient, InferenceClient
from outlines.types import Regex
from pydantic import BaseModel
from telling import PROMPT, REGEX, SAMPLED, main

DRAWN = {"do_sample": True, "seed": 1, "max_new_tokens": 200}


class Answer(BaseModel, extra="forbid"):
    agreed: bool
    votes: int
    side: Literal["left", "right"]


def answers(url):
    model = outlines.from_tgi(InferenceClient(url))
    pieces = list(model.stream(PROMPT, **SAMPLED))
    return {
        "whole": model(PROMPT, **SAMPLED),
        "stream": "".join(pieces),
        "pieces": len(pieces),
        "regex": model(PROMPT, Regex(REGEX), **DRAWN),
        "choice": model(PROMPT, Literal["small", "large"], **DRAWN),
        "schema": Answer.model_validate_json(model(PROMPT, Answer, **DRAWN)).side,
        "choice stream": "".join(model.stream(PROMPT, Literal["small", "large"], **DRAWN)),
        "number": model(PROMPT, int, **DRAWN),
        "error": error_of(lambda: model(PROMPT, top_p=42.5)),
        "stream error": error_of(lambda: list(model.stream(PROMPT, top_p=42.5))),
        **asyncio.run(async_answers(url)),
    }


async def async_answers(url):
    async with AsyncInferenceClient(url) as client:
        model = outlines.from_tgi(client)
        return {
            "async whole": await model(PROMPT, **SAMPLED),
            "async stream": "".join([piece async for piece in model.stream(PROMPT, **SAMPLED)]),
            "async choice": await model(PROMPT, Literal["small", "large"], **DRAWN),
        }


def error_of(call):
    """What outlines says, and the error of the client behind it."""
    try:
        call()
    except Exception as error:
        return type(error.__cause__ or error).__name__
    return "none"


def fails(url):
    model = outlines.from_tgi(InferenceClient(url))
    return {
        "whole": error_of(lambda: model("a", max_new_tokens=200)),
        "stream": error_of(lambda: list(model.stream("a", max_new_tokens=200))),
    }


if __name__ == "__main__":
    main(answers=answers, fails=fails)
