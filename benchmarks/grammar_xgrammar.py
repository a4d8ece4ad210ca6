"""xgrammar through its Python package, on one thread and without its cache of grammars."""

from typing import Any

import torch
import xgrammar
from tokenizers import Tokenizer

from benchmarks.grammar_contenders import Contender, Refused
from sampler import Vocabulary


class XGrammar(Contender):
    """`GrammarMatcher`. It closes objects by default, which changes nothing in these cases."""

    name = "xgrammar"
    package = "xgrammar"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        torch.set_num_threads(1)
        special = vocabulary.special_token_ids
        tokens = [
            b"" if token_id in special else vocabulary.token_bytes(token_id)
            for token_id in range(vocabulary.size)
        ]
        info = xgrammar.TokenizerInfo(
            tokens,
            xgrammar.VocabType.RAW,
            vocab_size=vocabulary.size,
            stop_token_ids=list(vocabulary.eos_token_ids),
        )
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.tensor = xgrammar.allocate_token_bitmask(1, vocabulary.size)
        self.mask = self.tensor.numpy()

    def compile(self, source: str) -> Any:
        try:
            return self.compiler.compile_json_schema(source)
        except Exception as error:
            raise Refused(str(error)) from error

    def matcher(self, grammar: Any) -> Any:
        return xgrammar.GrammarMatcher(grammar)

    def fill(self, matcher: Any) -> None:
        matcher.fill_next_token_bitmask(self.tensor)

    def accept(self, matcher: Any, token_id: int) -> bool:
        taken: bool = matcher.accept_token(token_id)
        return taken
