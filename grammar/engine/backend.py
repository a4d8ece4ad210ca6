"""Grammars compiled to programs of our own automaton."""

import os
import threading
from collections.abc import Callable

from sampler.errors import GrammarError
from sampler.forking import call_in_children
from sampler.grammar.budget import Budget, check_size
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.program import Op, Program, Spelling
from sampler.grammar.engine.tokens import TokenTrie
from sampler.grammar.engine.warmup import compile_kernels
from sampler.grammar.saving import Origin, read_grammar
from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.schema.translate import translate_schema
from sampler.grammar.text.dfa import text_of
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.terms import current_pool
from sampler.grammar.vocabulary import GrammarVocabulary
from sampler.limits import Limits

_AHEAD_SECONDS = 0.0007  # a third of what most compiles take, and many masks later


class NativeBackend:
    """Compiles in the calling thread; thread-safe. See `sampler.grammar.compiler.Backend`."""

    def __init__(self, vocabulary: GrammarVocabulary, limits: Limits) -> None:
        self._vocabulary = vocabulary
        self._limits = limits
        self._known_tokens: TokenTrie | None = None
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """With a lock that is free: at first, and in a forked process."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """None; there is nothing to end."""

    def check(self, options: SchemaOptions) -> None:
        """None; all options that exist are supported."""

    def regex(self, pattern: str, abandoned: Callable[[], bool]) -> CompiledGrammar:
        """The grammar of what `pattern` matches as a whole."""
        check_size(pattern, self._limits)
        compile_kernels()
        with Budget.of_compile(self._limits, abandoned):
            return self._regex(pattern)

    def _regex(self, pattern: str) -> CompiledGrammar:
        depth = self._limits.max_grammar_depth
        term = parse_regex(pattern, current_pool(), search=False, max_depth=depth)
        text = text_of(term, Spelling.RAW, 0)
        if text is None:
            raise GrammarError("no text matches the regular expression")
        program = Program()
        program.texts.append(text)

        def write() -> None:
            program.emit(Op.TEXT, 0)
            program.emit(Op.ACCEPT)

        program.declare_frame(write, closes=False)
        return CompiledGrammar(program, self._tokens, origin=Origin("regex", pattern))

    def json_schema(
        self, source: str, options: SchemaOptions, abandoned: Callable[[], bool]
    ) -> CompiledGrammar:
        """The grammar of the texts that are valid under a schema, canonical JSON."""
        compile_kernels()
        with Budget.of_compile(self._limits, abandoned):
            translation = translate_schema(source, options, self._limits)
            grammar = CompiledGrammar(
                translation.program,
                self._tokens,
                translation.warnings,
                distinct_keys=True,
                compares_items=translation.compares_items,
                keys_run_out=translation.keys_run_out,
                origin=Origin("json_schema", source, options),
            )
            grammar.write_ahead(_AHEAD_SECONDS)
            return grammar

    def load(self, path: str | os.PathLike[str], registry: object) -> Origin:
        """What the grammar in a file was compiled from, for this vocabulary."""
        return read_grammar(path, self._tokens.digest, registry)

    @property
    def _tokens(self) -> TokenTrie:
        with self._lock:
            if self._known_tokens is None:
                self._known_tokens = TokenTrie(self._vocabulary)
            return self._known_tokens
