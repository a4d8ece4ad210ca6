"""What a contender is, and this library; the others are found here by name.

A contender has one vocabulary. `compile`, `matcher`, `fill` and `accept` are timed, alone or
together; `allows` reads the mask that `fill` wrote, and is not.
"""

from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from sampler import Vocabulary, warmup
from sampler.grammar import GrammarCompiler, allocate_token_bitmask

Words = npt.NDArray[Any]


class Refused(Exception):
    """A grammar that a contender does not compile; says why."""


class Contender:
    """One way to constrain texts to a JSON Schema."""

    name: ClassVar[str]
    package: ClassVar[str]
    mask: Words  # packed, the bit of token i is bit i % 32 of word i // 32

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        raise NotImplementedError

    def compile(self, source: str) -> Any:
        """The grammar of a JSON Schema, given as text; not from a cache. Raises `Refused`."""
        raise NotImplementedError

    def matcher(self, grammar: Any) -> Any:
        """A matcher at the beginning of a text."""
        raise NotImplementedError

    def fill(self, matcher: Any) -> None:
        """Writes the allowed tokens to `mask`."""
        raise NotImplementedError

    def accept(self, matcher: Any, token_id: int) -> bool:
        """Whether the token was taken."""
        raise NotImplementedError

    def may_end(self, matcher: Any, eos_token_id: int) -> bool:
        """Whether the end of sequence is allowed."""
        self.fill(matcher)
        return self.allows(eos_token_id)

    def allows(self, token_id: int) -> bool:
        return bool(int(self.mask.reshape(-1)[token_id // 32]) >> token_id % 32 & 1)

    def allowed(self) -> int:
        """How many tokens `mask` allows."""
        return int(np.unpackbits(self.mask.reshape(-1).view(np.uint8)).sum())


class Sampler(Contender):
    """This library through its public calls."""

    name = "sampler"
    package = "token-sampler"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        warmup()
        self.compiler = GrammarCompiler(vocabulary, cache_bytes=0)
        self.mask = allocate_token_bitmask(1, vocabulary.size)

    def compile(self, source: str) -> Any:
        try:
            return self.compiler.compile_json_schema(source)
        except Exception as error:
            raise Refused(str(error)) from error

    def matcher(self, grammar: Any) -> Any:
        return grammar.matcher()

    def fill(self, matcher: Any) -> None:
        matcher.fill_next_token_bitmask(self.mask)

    def accept(self, matcher: Any, token_id: int) -> bool:
        taken: bool = matcher.accept_token(token_id)
        return taken


HOMES = {
    "sampler": "benchmarks.grammar_contenders:Sampler",
    "llguidance": "benchmarks.grammar_llguidance:LLGuidance",
    "xgrammar": "benchmarks.grammar_xgrammar:XGrammar",
    "outlines-core": "benchmarks.grammar_outlines:OutlinesCore",
}


def find(names: list[str]) -> tuple[list[type[Contender]], dict[str, str]]:
    """The contenders with these names, and for each that is not installed, the reason."""
    found, missing = [], {}
    for name in names:
        module, _, kind = HOMES[name].partition(":")
        try:
            found.append(getattr(import_module(module), kind))
        except ImportError as error:
            missing[name] = f"not installed ({error})"
    return found, missing
