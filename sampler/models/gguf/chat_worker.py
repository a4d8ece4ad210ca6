"""The child process that writes conversations by a chat template.

Run as a script, not imported: it reads one request from standard input, in JSON, writes one answer
to standard output and ends. It imports nothing of the project, so that it starts fast.
"""

import json
import resource
import sys
from collections.abc import Iterable
from typing import Any


def prompts(request: dict[str, Any]) -> list[str]:
    """The prompts of the conversations of `request`."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    template = environment.from_string(request["source"])
    return [
        joined(template.generate(messages=messages, **request["variables"]), request["limit"])
        for messages in request["conversations"]
    ]


def joined(pieces: Iterable[str], limit: int) -> str:
    """The pieces as one text; raises ValueError for > `limit` characters, or a lone surrogate."""
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ValueError(f"it writes more than {limit} characters")
        piece.encode()
        kept.append(piece)
    return "".join(kept)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What goes back: ``{"prompts": [...]}``, or ``{"error": reason}``."""
    try:
        return {"prompts": prompts(request)}
    except MemoryError:
        return {"error": "it takes too much memory"}
    except Exception as error:  # the template comes with a file: whatever it does is wrong
        return {"error": f"{type(error).__name__}: {error}"[:1000]}


def main() -> None:
    """None; ``argv`` has the limits of memory in bytes and of processor time in seconds."""
    for kind, limit in zip(
        (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE),
        (int(sys.argv[1]), int(sys.argv[2]), 0),
        strict=True,
    ):
        _, ceiling = resource.getrlimit(kind)
        lowest = limit if ceiling == resource.RLIM_INFINITY else min(limit, ceiling)
        resource.setrlimit(kind, (lowest, lowest))
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin.buffer))))


if __name__ == "__main__":
    main()
