"""huggingface_hub's InferenceClient, sync and async: ``URL SCENARIO``; prints JSON."""

import asyncio

from huggingface_hub import AsyncInferenceClient, InferenceClient
from telling import PROMPT, REGEX, SAMPLED, async_error_of, error_of, main, streamed, told

GRAMMAR = {"grammar": {"type": "regex", "value": REGEX}, "seed": 1}


def answers(url):
    client = InferenceClient(model=url)
    events = client.text_generation(PROMPT, stream=True, details=True, **SAMPLED)
    texts = client.text_generation(PROMPT, stream=True, **SAMPLED)
    seen = {
        "plain": client.text_generation(PROMPT, **SAMPLED),
        "whole": told(client.text_generation(PROMPT, details=True, **SAMPLED)),
        "stream": streamed(list(events)),
        "texts": "".join(texts),
        "grammar": client.text_generation(PROMPT, **GRAMMAR, temperature=1.1),
        "error": error_of(lambda: client.text_generation(PROMPT, top_p=42.5)),
        "stream error": error_of(
            lambda: list(client.text_generation(PROMPT, top_p=42.5, stream=True))
        ),
    }
    at_path = InferenceClient(model=f"{url}/generate_stream")
    seen["path"] = "".join(at_path.text_generation(PROMPT, stream=True, **SAMPLED))
    seen.update(asyncio.run(async_answers(url)))
    return seen


async def async_answers(url):
    client = AsyncInferenceClient(model=url)
    events = await client.text_generation(PROMPT, stream=True, details=True, **SAMPLED)
    seen = {
        "async whole": told(await client.text_generation(PROMPT, details=True, **SAMPLED)),
        "async stream": streamed([event async for event in events]),
    }
    seen["async error"] = await async_error_of(client.text_generation(PROMPT, top_p=42.5))
    return seen


def fails(url):
    client = InferenceClient(model=url)
    return {
        "whole": error_of(lambda: client.text_generation("a", max_new_tokens=200)),
        "stream": error_of(
            lambda: list(client.text_generation("a", max_new_tokens=200, stream=True))
        ),
    }


if __name__ == "__main__":
    main(answers=answers, fails=fails)
