"""What the compile of one grammar may still take."""

import time

from sampler.errors import GrammarLimitError
from sampler.limits import Limits


class Budget:
    """The time and the size of one compile, counted from the making of this object."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + limits.grammar_compile_seconds

    def check_time(self) -> None:
        """None; raises GrammarLimitError when the time is over."""
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
