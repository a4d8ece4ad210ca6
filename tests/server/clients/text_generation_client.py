"""text-generation 0.7.0, sync and async: ``URL SCENARIO``; prints what it saw as JSON."""

import asyncio
import json
import sys

from text_generation import AsyncClient, Client, errors
from text_generation.types import Grammar, GrammarType

SAMPLED = {"max_new_tokens": 8, "do_sample": True, "seed": 7, "temperature": 0.9, "top_k": 40}
GRAMMAR = {"grammar": Grammar(type=GrammarType.Regex, value=r"(yes|no) [0-9]{2}"), "seed": 1}


def told(response):
    details = response.details
    return [
        response.generated_text,
        details.finish_reason.value,
        details.generated_tokens,
        details.seed,
        [token.id for token in details.tokens],
    ]


def streamed(events):
    *_, last = events
    details = last.details
    return [
        last.generated_text,
        details.finish_reason.value,
        details.generated_tokens,
        details.seed,
        [event.token.id for event in events],
    ]


def answers(url):
    client = Client(url)
    prompt = "The state of our union"
    seen = {
        "whole": told(client.generate(prompt, **SAMPLED, top_n_tokens=2)),
        "stream": streamed(list(client.generate_stream(prompt, **SAMPLED))),
        "grammar": client.generate(prompt, **GRAMMAR, temperature=1.1).generated_text,
        "stop": client.generate(prompt, stop_sequences=["e"], max_new_tokens=50).generated_text,
    }
    best = client.generate(prompt, best_of=2, do_sample=True, max_new_tokens=4)
    seen["best_of"] = len(best.details.best_of_sequences)
    prefill = client.generate(prompt, decoder_input_details=True, max_new_tokens=1).details.prefill
    seen["prefill"] = [prefill[0].logprob, len(prefill)]
    seen["error"] = error_of(lambda: client.generate(prompt, max_new_tokens=10_000))
    seen["stream error"] = error_of(
        lambda: list(client.generate_stream(prompt, max_new_tokens=10_000))
    )
    seen.update(asyncio.run(async_answers(url, prompt)))
    return seen


async def async_answers(url, prompt):
    client = AsyncClient(url)
    events = [event async for event in client.generate_stream(prompt, **SAMPLED)]
    try:
        await client.generate(prompt, max_new_tokens=10_000)
        error = "none"
    except errors.ValidationError as given:
        error = type(given).__name__
    return {
        "async whole": told(await client.generate(prompt, **SAMPLED)),
        "async stream": streamed(events),
        "async error": error,
    }


def error_of(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def fails(url):
    client = Client(url, timeout=60)
    return {
        "whole": error_of(lambda: client.generate("a", max_new_tokens=200)),
        "stream": error_of(lambda: list(client.generate_stream("a", max_new_tokens=200))),
    }


if __name__ == "__main__":
    print(json.dumps({"answers": answers, "fails": fails}[sys.argv[2]](sys.argv[1])))
