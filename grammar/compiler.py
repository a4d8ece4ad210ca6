"""Schemas and regular expressions in, compiled grammars out: cached, bounded, off the decode loop.

What is asked for is checked here, and looked for in the cache; a backend does the rest.
"""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from sampler.errors import (
    GrammarError,
    IncompleteGenerationError,
    InvalidParameterError,
    UnsupportedSchemaError,
)
from sampler.grammar.budget import Budget
from sampler.grammar.cache import GrammarCache, check_wanted, never
from sampler.grammar.saving import Origin
from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.schema.python_types import schema_of
from sampler.grammar.schema.source import load_schema
from sampler.grammar.vocabulary import GrammarVocabulary
from sampler.limits import Limits

if TYPE_CHECKING:
    from sampler.grammar.engine.compiled import CompiledGrammar
    from sampler.grammar.engine.matcher import GrammarMatcher
    from sampler.grammar.outlines.compiled import CompiledGrammar as OutlinesGrammar
    from sampler.grammar.outlines.matcher import GrammarMatcher as OutlinesMatcher

AnyGrammar: TypeAlias = "CompiledGrammar | OutlinesGrammar"
AnyMatcher: TypeAlias = "GrammarMatcher | OutlinesMatcher"
_Make: TypeAlias = Callable[[Callable[[], bool]], AnyGrammar]  # of whether nobody waits any more


class Backend(Protocol):
    """What compiles; thread-safe. `abandoned` says from time to time that nobody waits any more."""

    def check(self, options: SchemaOptions) -> None:
        """None; raises UnsupportedSchemaError for options that are not supported."""

    def regex(self, pattern: str, abandoned: Callable[[], bool]) -> AnyGrammar:
        """The grammar of what `pattern` matches as a whole."""

    def json_schema(
        self, source: str, options: SchemaOptions, abandoned: Callable[[], bool]
    ) -> AnyGrammar:
        """The grammar of the texts that are valid under a schema, canonical JSON."""

    def load(self, path: str | os.PathLike[str], registry: object) -> Origin:
        """What the grammar in a file was compiled from; GrammarError if it is not for this."""

    def close(self) -> None:
        """None; ends what runs."""


class GrammarCompiler:
    """Compiles grammars for one vocabulary; thread-safe.

    The same grammar asked for by several threads is compiled once; different ones at the same time,
    as many as `limits.grammar_compile_workers`.

    Parameters
    ----------
    vocabulary : the tokens; see `GrammarVocabulary`
    cache_bytes : memory for compiled grammars that are kept, >= 0; None is
        `limits.grammar_cache_bytes`
    limits : how large a grammar may be, and how long its compile may take
    backend : "native", or "outlines" for comparison (needs outlines-core)

    Raises
    ------
    InvalidParameterError : a negative `cache_bytes`, another backend, or one not installed
    """

    def __init__(
        self,
        vocabulary: GrammarVocabulary,
        cache_bytes: int | None = None,
        limits: Limits | None = None,
        backend: Literal["native", "outlines"] = "native",
    ) -> None:
        self._limits = limits or Limits()
        size = self._limits.grammar_cache_bytes if cache_bytes is None else cache_bytes
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise InvalidParameterError(f"`cache_bytes` must be an integer >= 0. Given: {size!r}")
        self._cache = GrammarCache(size)
        self._backend = _backend(backend, vocabulary, self._limits)
        self._closed = False

    def close(self) -> None:
        """None; compiles end with IncompleteGenerationError, those that run as soon as they can."""
        self._closed = True
        self._backend.close()

    def compile_regex(self, pattern: str) -> AnyGrammar:
        """The grammar of the texts that `pattern` matches from their beginning to their end.

        Parameters
        ----------
        pattern : ECMA-262 syntax, which Python and Rust share for the most part; ``(?i)`` and
            ``(?s)`` may stand at the beginning

        Raises
        ------
        GrammarError : not a regular expression, or one that matches nothing
        UnsupportedSchemaError : back-references and the like, by name
        GrammarLimitError : larger than a limit
        """
        if not isinstance(pattern, str):
            raise GrammarError(f"a regex must be a string. Given: {type(pattern).__name__}")
        return self._regex(pattern, never)

    def compile_json_schema(
        self,
        schema: Any,
        whitespace: Literal["any", "compact", "spaced"] | int = "any",
        property_order: Literal["schema", "any"] = "schema",
        spelling: Literal["canonical", "free"] = "canonical",
        formats: Literal["assert", "annotate"] = "assert",
        registry: object = None,
    ) -> AnyGrammar:
        """The grammar of the JSON texts that are valid under `schema`, and never of others.

        Parameters
        ----------
        schema : a JSON Schema, or its text; the dialect is that of ``$schema``, else draft 2020-12.
            With the extra `outlines` also a pydantic model, a dataclass, a TypedDict, a Literal, an
            Enum, a union of such, or a term of ``outlines.types``
        whitespace : "any" (runs of up to 128 characters), "compact" (none), "spaced" (as
            ``json.dumps`` writes) or the indent of ``json.dumps``, 0 to 16
        property_order : "schema" (as the schema names them, then the others) or "any"
        spelling : "canonical" (as ``json.dumps`` and its like write) or "free" (any escape, white
            space around the value, ``5.0`` as an integer)
        formats : whether ``format`` is enforced or only listed in the warnings
        registry : a ``referencing.Registry`` of schemas in other documents; never the network

        Raises
        ------
        GrammarError : not a JSON Schema, or one that no value satisfies
        UnsupportedSchemaError : a keyword that cannot be enforced exactly, with its JSON pointer
        GrammarLimitError : larger than a limit
        InvalidParameterError : an option that does not exist
        """
        options = SchemaOptions(whitespace, property_order, spelling, formats, registry)
        return self._schema(schema_of(schema), options, never)

    def compile_cfg(self, text: str) -> AnyGrammar:
        """The grammar of a context-free language; not supported yet.

        Raises
        ------
        UnsupportedSchemaError : always
        """
        raise UnsupportedSchemaError("context-free grammars are not supported yet", "cfg")

    def load(self, path: str | os.PathLike[str], registry: object = None) -> AnyGrammar:
        """The grammar that `CompiledGrammar.save` wrote to the file `path`.

        Parameters
        ----------
        path : a file
        registry : as in `compile_json_schema`, for a grammar that was compiled with one

        Raises
        ------
        GrammarError : no grammar, damaged, of another version, or of another vocabulary
        GrammarLimitError : larger than a limit of this compiler
        """
        kind, source, options = self._backend.load(path, registry)
        if kind == "regex" or options is None:
            return self._regex(source, never)
        return self._schema(source, options, never)

    def compile(
        self, specification: Mapping[str, Any], cancelled: Callable[[], bool] = never
    ) -> AnyGrammar:
        """The grammar of a request's ``{"type": ..., "value": ...}``.

        Parameters
        ----------
        specification : type "json" (value: a schema, or its text), "json_object" (the same, or
            None or {} for any object), "json_schema" (value: ``{"schema": ...}``) or "regex"
            (value: a pattern). A "json" schema with ``properties`` but no ``type`` describes an
            object here, as clients of that wire format expect; the warnings say so.
        cancelled : asked from time to time; a compile ends when all who asked for it say True

        Raises
        ------
        GrammarError : another type or value; and what the compile of a schema or pattern raises
        IncompleteGenerationError : cancelled, or the compiler was closed
        """
        kind, value = _checked_specification(specification)
        if kind == "regex":
            return self._regex(value, cancelled)
        if kind == "json_schema":
            value = value["schema"]
        if kind == "json_object" and (value is None or value == {}):
            value = {"type": "object"}
        options = SchemaOptions(object_root=True)
        return self._schema(value, options, cancelled)

    def _regex(self, pattern: str, cancelled: Callable[[], bool]) -> AnyGrammar:
        def make(abandoned: Callable[[], bool]) -> AnyGrammar:
            return self._backend.regex(pattern, abandoned)

        return self._cache.get(("regex", pattern), self._while_open(make), cancelled)

    def _schema(
        self, schema: Any, options: SchemaOptions, cancelled: Callable[[], bool]
    ) -> AnyGrammar:
        with Budget.of_compile(self._limits, cancelled):
            source = load_schema(schema, self._limits)

        def make(abandoned: Callable[[], bool]) -> AnyGrammar:
            return self._backend.json_schema(source, options, abandoned)

        options.check()
        self._backend.check(options)
        if options.registry is not None:  # what it has may change, so nothing is kept
            return self._while_open(make)(cancelled)
        return self._cache.get(("json_schema", source, options), self._while_open(make), cancelled)

    def _while_open(self, make: _Make) -> _Make:
        """`make`, which also gives up when this compiler is closed."""

        def made(abandoned: Callable[[], bool]) -> AnyGrammar:
            try:
                check_wanted(lambda: self._closed)
                return make(lambda: self._closed or abandoned())
            except IncompleteGenerationError as error:
                if self._closed:
                    raise IncompleteGenerationError("the grammar compiler is closed") from error
                raise

        return made


def _backend(name: object, vocabulary: GrammarVocabulary, limits: Limits) -> Backend:
    if name == "native":  # imported here: the automaton needs Numba, the import of names does not
        from sampler.grammar.engine.backend import NativeBackend

        return NativeBackend(vocabulary, limits)
    if name == "outlines":
        if find_spec("outlines_core") is None:
            raise InvalidParameterError(
                "`backend` 'outlines' needs outlines-core: pip install 'token-sampler[outlines]'"
            )
        from sampler.grammar.outlines.backend import OutlinesBackend

        return OutlinesBackend(vocabulary, limits)
    raise InvalidParameterError(f"`backend` must be one of native, outlines. Given: {name!r}")


def _checked_specification(specification: object) -> tuple[str, Any]:
    """The type and the value of a request's grammar, of the kinds that `compile` takes."""
    if not isinstance(specification, Mapping):
        raise GrammarError(f"a grammar must be an object. Given: {type(specification).__name__}")
    kind, value = specification.get("type"), specification.get("value")
    schema = value.get("schema") if kind == "json_schema" and isinstance(value, Mapping) else value
    legal = {
        "json": "an object, a bool, or a string with a JSON Schema",
        "json_object": "an object, a bool, a string with a JSON Schema, or None",
        "json_schema": "an object whose `schema` is an object, a bool or a string",
        "regex": "a string",
    }
    if not isinstance(kind, str) or kind not in legal:
        raise GrammarError(f"`type` must be one of {', '.join(legal)}. Given: {kind!r}")
    types = {"regex": (str,), "json_object": (Mapping, bool, str, type(None))}
    is_wrapped = kind != "json_schema" or isinstance(value, Mapping)
    if not is_wrapped or not isinstance(schema, types.get(kind, (Mapping, bool, str))):
        raise GrammarError(
            f"the value of type `{kind}` must be {legal[kind]}. Given: {type(value).__name__}"
        )
    return kind, value
