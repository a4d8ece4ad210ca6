"""What a grammar and its compile may take."""

import time
from collections.abc import Callable

from sampler.errors import GrammarLimitError
from sampler.grammar.cache import check_wanted, never
from sampler.limits import Limits


def check_size(text: str, limits: Limits) -> None:
    """None; raises GrammarLimitError for a text of more than ``max_grammar_bytes``."""
    size = (
        len(text) if len(text) > limits.max_grammar_bytes else len(text.encode("utf-8", "replace"))
    )
    if size > limits.max_grammar_bytes:
        raise GrammarLimitError("size of the grammar in bytes", size, limits.max_grammar_bytes)


class Budget:
    """The time and the size of one compile, counted from the making of this object.

    `abandoned` says that nobody waits for it any more.
    """

    def __init__(self, limits: Limits, abandoned: Callable[[], bool] = never) -> None:
        self._limits = limits
        self._abandoned = abandoned
        self._deadline = time.monotonic() + limits.grammar_compile_seconds

    def check_time(self) -> None:
        """None; raises GrammarLimitError when the time is over.

        And IncompleteGenerationError when nobody waits any more.
        """
        check_wanted(self._abandoned)
        if time.monotonic() > self._deadline:
            seconds = self._limits.grammar_compile_seconds
            raise GrammarLimitError("seconds of the grammar compile", f"> {seconds}", seconds)

    def check(self, regex: str | None) -> str | None:
        """`regex` itself; raises GrammarLimitError when it is too long, or the time is over."""
        self.check_time()
        size = len(regex) if regex is not None else 0
        limit = self._limits.max_grammar_bytes
        if size > limit:
            raise GrammarLimitError("size of the schema as a regular expression", size, limit)
        return regex
