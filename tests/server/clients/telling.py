"""What the scripts of the clients share: what is asked for, and how they tell what they saw."""

import json
import sys

PROMPT = "The state of our union"
SAMPLED = {"max_new_tokens": 8, "do_sample": True, "seed": 7, "temperature": 0.9, "top_k": 40}
REGEX = r"(yes|no) [0-9]{2}"


def told(response):
    """All that a whole answer says of its text."""
    details = response.details
    token_ids = [token.id for token in details.tokens]
    return _told(response.generated_text, details, token_ids)


def streamed(events):
    """The same of the events of a stream."""
    *_, last = events
    return _told(last.generated_text, last.details, [event.token.id for event in events])


def _told(text, details, token_ids):
    return [text, details.finish_reason, details.generated_tokens, details.seed, token_ids]


def error_of(call):
    """The name of the error that a call ends with."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


async def async_error_of(awaitable):
    """The same of what has to be awaited."""
    try:
        await awaitable
    except Exception as error:
        return type(error).__name__
    return "none"


def main(**scenarios):
    """Prints, as JSON, what the scenario of the command line sees: ``URL SCENARIO``."""
    print(json.dumps(scenarios[sys.argv[2]](sys.argv[1])))
