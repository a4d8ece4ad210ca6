"""text-generation 0.7.0, sync and async: ``URL SCENARIO``; prints what it saw as JSON."""

import asyncio

from telling import PROMPT, REGEX, SAMPLED, async_error_of, error_of, main, streamed, told
from text_generation import AsyncClient, Client
from text_generation.types import Grammar, GrammarType

GRAMMAR = {"grammar": Grammar(type=GrammarType.Regex, value=REGEX), "seed": 1}


def answers(url):
    client = Client(url)
    seen = {
        "whole": told(client.generate(PROMPT, **SAMPLED, top_n_tokens=2)),
        "stream": streamed(list(client.generate_stream(PROMPT, **SAMPLED))),
        "grammar": client.generate(PROMPT, **GRAMMAR, temperature=1.1).generated_text,
        "stop": client.generate(PROMPT, stop_sequences=["e"], max_new_tokens=50).generated_text,
    }
    best = client.generate(PROMPT, best_of=2, do_sample=True, max_new_tokens=4)
    seen["best_of"] = len(best.details.best_of_sequences)
    prefill = client.generate(PROMPT, decoder_input_details=True, max_new_tokens=1).details.prefill
    seen["prefill"] = [prefill[0].logprob, len(prefill)]
    seen["error"] = error_of(lambda: client.generate(PROMPT, max_new_tokens=10_000))
    seen["stream error"] = error_of(
        lambda: list(client.generate_stream(PROMPT, max_new_tokens=10_000))
    )
    seen.update(asyncio.run(async_answers(url)))
    return seen


async def async_answers(url):
    client = AsyncClient(url)
    events = [event async for event in client.generate_stream(PROMPT, **SAMPLED)]
    return {
        "async whole": told(await client.generate(PROMPT, **SAMPLED)),
        "async stream": streamed(events),
        "async error": await async_error_of(client.generate(PROMPT, max_new_tokens=10_000)),
    }


def fails(url):
    client = Client(url, timeout=60)
    return {
        "whole": error_of(lambda: client.generate("a", max_new_tokens=200)),
        "stream": error_of(lambda: list(client.generate_stream("a", max_new_tokens=200))),
    }


if __name__ == "__main__":
    main(answers=answers, fails=fails)
