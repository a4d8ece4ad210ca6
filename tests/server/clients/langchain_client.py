"""langchain-huggingface's endpoint, sync and async: ``URL SCENARIO``; prints JSON."""

import asyncio

from langchain_huggingface import HuggingFaceEndpoint
from telling import PROMPT, REGEX, SAMPLED, error_of, main

# what the endpoint would send otherwise is not what is asked of the others
OWN = {"top_p": None, "typical_p": None}
GRAMMAR = {"type": "regex", "value": REGEX}


def answers(url):
    model = HuggingFaceEndpoint(endpoint_url=url, **OWN, **SAMPLED)
    usual = HuggingFaceEndpoint(endpoint_url=url, max_new_tokens=20, seed=1)
    wrong = HuggingFaceEndpoint(endpoint_url=url, top_p=42.5)
    pieces = list(model.stream(PROMPT))
    return {
        "whole": model.invoke(PROMPT),
        "stream": "".join(pieces),
        "pieces": len(pieces),
        "batch": model.batch([PROMPT, PROMPT]),
        "grammar": usual.invoke(PROMPT, grammar=GRAMMAR),
        "usual": len(usual.invoke(PROMPT)),
        "stop": usual.invoke(PROMPT, stop=["e"]),
        "stop stream": "".join(usual.stream(PROMPT, stop=["e"])),
        "error": error_of(lambda: wrong.invoke(PROMPT)),
        "stream error": error_of(lambda: list(wrong.stream(PROMPT))),
        **asyncio.run(async_answers(model)),
    }


async def async_answers(model):
    return {
        "async whole": await model.ainvoke(PROMPT),
        "async stream": "".join([piece async for piece in model.astream(PROMPT)]),
    }


def fails(url):
    model = HuggingFaceEndpoint(endpoint_url=url, **OWN, max_new_tokens=200)
    return {
        "whole": error_of(lambda: model.invoke("a")),
        "stream": error_of(lambda: list(model.stream("a"))),
    }


if __name__ == "__main__":
    main(answers=answers, fails=fails)
