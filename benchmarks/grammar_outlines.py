"""outlines-core through its Python package: an index of every state and token, made at first."""

from typing import Any

import numpy as np
import outlines_core
from outlines_core.json_schema import build_regex_from_schema
from tokenizers import Tokenizer

from benchmarks.grammar_contenders import Contender, Refused
from sampler import Vocabulary


class OutlinesCore(Contender):
    """`Guide` over an `Index` of the schema's regular expression."""

    name = "outlines-core"
    package = "outlines-core"

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        tokens: dict[bytes, list[int]] = {}
        for token_id in range(vocabulary.size):
            if token_id not in vocabulary.special_token_ids:
                tokens.setdefault(vocabulary.token_bytes(token_id), []).append(token_id)
        self.vocabulary = outlines_core.Vocabulary(vocabulary.eos_token_ids[0], tokens)
        self.mask = np.zeros(-(-vocabulary.size // 32), np.uint32)

    def compile(self, source: str) -> Any:
        try:
            return outlines_core.Index(build_regex_from_schema(source), self.vocabulary)
        except Exception as error:
            raise Refused(str(error)) from error

    def matcher(self, grammar: Any) -> Any:
        return outlines_core.Guide(grammar)

    def fill(self, matcher: Any) -> None:
        matcher.write_mask_into(self.mask.ctypes.data, self.mask.size, 4)

    def accept(self, matcher: Any, token_id: int) -> bool:
        matcher.advance(token_id, return_tokens=False)
        return True
