"""openai 3, sync and async: ``URL SCENARIO``; prints JSON."""

import asyncio
import json

import telling
from openai import AsyncOpenAI, OpenAI
from telling import PROMPT, REGEX, main

ASKED = {"model": "any", "prompt": PROMPT, "seed": 7, "max_tokens": 8}
REGEX = {"response_format": {"type": "regex", "value": REGEX}}
SCHEMA = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "size", "schema": {"enum": ["small", "large"]}},
    }
}
MESSAGES = [{"role": "user", "content": "hello"}]


def client_of(kind, url):
    return kind(base_url=f"{url}/v1", api_key="none", max_retries=0)


def answers(url):
    client = client_of(OpenAI, url)
    whole = client.completions.create(**ASKED, logprobs=2)
    pieces = list(
        client.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
    )
    return {
        "whole": [whole.choices[0].text, whole.choices[0].finish_reason],
        "usage": whole.usage.total_tokens - whole.usage.prompt_tokens,
        "logprobs": len(whole.choices[0].logprobs.token_logprobs),
        "stream": "".join(piece.choices[0].text for piece in pieces[:-1]),
        "stream usage": pieces[-1].usage.completion_tokens,
        "grammar": client.completions.create(**ASKED, extra_body=REGEX).choices[0].text,
        "error": error_of(lambda: client.completions.create(**{**ASKED, "top_p": 42.5})),
        "stream error": error_of(
            lambda: client.completions.create(**{**ASKED, "top_p": 42.5}, stream=True)
        ),
        "chat": error_of(lambda: client.chat.completions.create(model="any", messages=MESSAGES)),
        "async": asyncio.run(async_answer(url)),
    }


async def async_answer(url):
    client = client_of(AsyncOpenAI, url)
    stream = await client.completions.create(**ASKED, stream=True)
    return "".join([piece.choices[0].text async for piece in stream])


def chats(url):
    client = client_of(OpenAI, url)
    asked = {"model": "any", "messages": MESSAGES, "seed": 1, "max_tokens": 40}
    whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    pieces = list(client.chat.completions.create(**asked, stream=True))
    schema = client.chat.completions.create(**asked, **SCHEMA).choices[0].message.content
    return {
        "whole": whole.choices[0].message.content,
        "logprobs": len(whole.choices[0].logprobs.content),
        "generated": whole.usage.completion_tokens,
        "stream": "".join(piece.choices[0].delta.content for piece in pieces),
        "schema": json.loads(schema),
    }


def error_of(call):
    return telling.error_of(lambda: list(call()))


def fails(url):
    client = client_of(OpenAI, url)
    asked = {"model": "any", "prompt": "a", "max_tokens": 200}
    return {
        "whole": error_of(lambda: client.completions.create(**asked)),
        "stream": error_of(lambda: client.completions.create(**asked, stream=True)),
    }


if __name__ == "__main__":
    main(answers=answers, chats=chats, fails=fails)
