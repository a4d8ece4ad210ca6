"""JSON Schema and regular expressions as automata, and their bitmasks over tokens."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sampler.grammar.bitmask import allocate_token_bitmask as allocate_token_bitmask
from sampler.grammar.bitmask import apply_token_bitmask_inplace as apply_token_bitmask_inplace
from sampler.grammar.compiler import GrammarCompiler as GrammarCompiler
from sampler.grammar.refusal import TokenRefusal as TokenRefusal
from sampler.grammar.vocabulary import GrammarVocabulary as GrammarVocabulary

if TYPE_CHECKING:
    from sampler.grammar.engine.batch import fill_bitmasks as fill_bitmasks
    from sampler.grammar.engine.compiled import CompiledGrammar as CompiledGrammar
    from sampler.grammar.engine.matcher import GrammarMatcher as GrammarMatcher

_HOMES = {  # what needs Numba, and is loaded when it is first used
    "CompiledGrammar": "sampler.grammar.engine.compiled",
    "GrammarMatcher": "sampler.grammar.engine.matcher",
    "fill_bitmasks": "sampler.grammar.engine.batch",
}
__all__ = [
    "CompiledGrammar",
    "GrammarCompiler",
    "GrammarMatcher",
    "GrammarVocabulary",
    "TokenRefusal",
    "allocate_token_bitmask",
    "apply_token_bitmask_inplace",
    "fill_bitmasks",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sampler.grammar' has no attribute {name!r}")
