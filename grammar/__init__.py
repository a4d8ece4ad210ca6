"""JSON Schema and regular expressions as automata, and their bitmasks over tokens."""

from sampler.grammar.bitmask import allocate_token_bitmask as allocate_token_bitmask
from sampler.grammar.bitmask import apply_token_bitmask_inplace as apply_token_bitmask_inplace
from sampler.grammar.compiler import GrammarCompiler as GrammarCompiler
from sampler.grammar.engine.compiled import CompiledGrammar as CompiledGrammar
from sampler.grammar.engine.matcher import GrammarMatcher as GrammarMatcher
from sampler.grammar.vocabulary import GrammarVocabulary as GrammarVocabulary

__all__ = [
    "CompiledGrammar",
    "GrammarCompiler",
    "GrammarMatcher",
    "GrammarVocabulary",
    "allocate_token_bitmask",
    "apply_token_bitmask_inplace",
]
