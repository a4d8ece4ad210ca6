"""llguidance through its Python package, with its own slices of the vocabulary."""

import json
from typing import Any

import llguidance
import llguidance.numpy
from tokenizers import Tokenizer

from benchmarks.grammar_contenders import Contender, Refused
from sampler import Vocabulary


class LLGuidance(Contender):
    """`LLMatcher`; a new text copies the matcher that was compiled."""

    name = "llguidance"
    package = "llguidance"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        eos = vocabulary.eos_token_ids[0]
        self.tokenizer = llguidance.LLTokenizer(tokenizer.to_str(), eos_token=eos)
        self.mask = llguidance.numpy.allocate_token_bitmask(1, self.tokenizer.vocab_size)

    def compile(self, source: str) -> Any:
        grammar = json.dumps({"grammars": [{"json_schema": json.loads(source)}]})
        matcher = llguidance.LLMatcher(self.tokenizer, grammar)
        if matcher.is_error():
            raise Refused(matcher.get_error())
        return matcher

    def matcher(self, grammar: Any) -> Any:
        return grammar.deep_copy()

    def fill(self, matcher: Any) -> None:
        llguidance.numpy.fill_next_token_bitmask(matcher, self.mask, 0)

    def accept(self, matcher: Any, token_id: int) -> bool:
        taken: bool = matcher.consume_token(token_id)
        return taken

    def may_end(self, matcher: Any, eos_token_id: int) -> bool:
        accepting: bool = matcher.is_accepting()
        return accepting
