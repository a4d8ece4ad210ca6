"""huggingface_hub's InferenceClient, sync and async: ``URL SCENARIO``; prints JSON."""

import asyncio
import json
import sys

from huggingface_hub import AsyncInferenceClient, InferenceClient

SAMPLED = {"max_new_tokens": 8, "do_sample": True, "seed": 7, "temperature": 0.9, "top_k": 40}
GRAMMAR = {"grammar": {"type": "regex", "value": r"(yes|no) [0-9]{2}"}, "seed": 1}


def told(response):
    details = response.details
    return [
        response.generated_text,
        details.finish_reason,
        details.generated_tokens,
        details.seed,
        [token.id for token in details.tokens],
    ]


def streamed(events):
    *_, last = events
    details = last.details
    return [
        last.generated_text,
        details.finish_reason,
        details.generated_tokens,
        details.seed,
        [event.token.id for event in events],
    ]


def answers(url):
    client = InferenceClient(model=url)
    prompt = "The state of our union"
    events = client.text_generation(prompt, stream=True, details=True, **SAMPLED)
    texts = client.text_generation(prompt, stream=True, **SAMPLED)
    seen = {
        "plain": client.text_generation(prompt, **SAMPLED),
        "whole": told(client.text_generation(prompt, details=True, **SAMPLED)),
        "stream": streamed(list(events)),
        "texts": "".join(texts),
        "grammar": client.text_generation(prompt, **GRAMMAR, temperature=1.1),
        "error": error_of(lambda: client.text_generation(prompt, top_p=42.5)),
        "stream error": error_of(
            lambda: list(client.text_generation(prompt, top_p=42.5, stream=True))
        ),
    }
    at_path = InferenceClient(model=f"{url}/generate_stream")
    seen["path"] = "".join(at_path.text_generation(prompt, stream=True, **SAMPLED))
    seen.update(asyncio.run(async_answers(url, prompt)))
    return seen


async def async_answers(url, prompt):
    client = AsyncInferenceClient(model=url)
    events = await client.text_generation(prompt, stream=True, details=True, **SAMPLED)
    seen = {
        "async whole": told(await client.text_generation(prompt, details=True, **SAMPLED)),
        "async stream": streamed([event async for event in events]),
    }
    try:
        await client.text_generation(prompt, top_p=42.5)
        seen["async error"] = "none"
    except Exception as error:
        seen["async error"] = type(error).__name__
    return seen


def error_of(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def fails(url):
    client = InferenceClient(model=url)
    return {
        "whole": error_of(lambda: client.text_generation("a", max_new_tokens=200)),
        "stream": error_of(
            lambda: list(client.text_generation("a", max_new_tokens=200, stream=True))
        ),
    }


if __name__ == "__main__":
    print(json.dumps({"answers": answers, "fails": fails}[sys.argv[2]](sys.argv[1])))
