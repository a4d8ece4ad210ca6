"""Grammars compiled by outlines-core."""

import os
from collections.abc import Callable
from functools import cached_property

from sampler.errors import GrammarError
from sampler.grammar.budget import Budget
from sampler.grammar.outlines.compiled import CompiledGrammar
from sampler.grammar.outlines.distinct_keys import QuotedTokens
from sampler.grammar.outlines.processes import Processes
from sampler.grammar.outlines.regex_grammar import Translation, translate_regex
from sampler.grammar.outlines.schema_grammar import check_options, translate_schema
from sampler.grammar.outlines.token_tree import TokenTree
from sampler.grammar.saving import Origin
from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.vocabulary import GrammarVocabulary
from sampler.limits import Limits


class OutlinesBackend:
    """Compiles in processes of its own; thread-safe. See `sampler.grammar.compiler.Backend`."""

    def __init__(self, vocabulary: GrammarVocabulary, limits: Limits) -> None:
        self._vocabulary = vocabulary
        self._limits = limits
        self._processes = Processes(limits)

    def close(self) -> None:
        """None; ends the processes; compiles end with IncompleteGenerationError."""
        self._processes.close()

    def check(self, options: SchemaOptions) -> None:
        """None; raises UnsupportedSchemaError for options that are not supported."""
        check_options(options)

    def load(self, path: str | os.PathLike[str], registry: object) -> Origin:
        """Never; raises GrammarError."""
        raise GrammarError("the backend 'outlines' loads no grammars")

    def regex(self, pattern: str, abandoned: Callable[[], bool]) -> CompiledGrammar:
        """The grammar of what `pattern` matches as a whole."""
        with Budget.of_compile(self._limits, abandoned):
            translation = translate_regex(pattern, self._limits)
        return self._compiled(translation, abandoned)

    def json_schema(
        self, source: str, options: SchemaOptions, abandoned: Callable[[], bool]
    ) -> CompiledGrammar:
        """The grammar of the texts that are valid under a schema, canonical JSON."""
        with Budget.of_compile(self._limits, abandoned):
            translation = translate_schema(source, options, self._limits)
        return self._compiled(translation, abandoned)

    def _compiled(self, translation: Translation, abandoned: Callable[[], bool]) -> CompiledGrammar:
        tree = self._tree
        quoted_tokens = self._quoted_tokens if translation.free_keys else None
        automaton = self._processes.compile(translation.regex, abandoned)
        with Budget.of_compile(self._limits, abandoned):
            return CompiledGrammar(automaton, tree, quoted_tokens, translation.warnings)

    @cached_property
    def _tree(self) -> TokenTree:
        return TokenTree(self._vocabulary)

    @cached_property
    def _quoted_tokens(self) -> QuotedTokens:
        return QuotedTokens(self._tree)
