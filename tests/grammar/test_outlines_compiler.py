"""What is particular to compilers of the outlines backend: its messages, limits and processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import referencing

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    IncompleteGenerationError,
    UnsupportedSchemaError,
)
from sampler.limits import Limits

INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": 5}, "5 is not valid under any of the given schemas .at '/type'"),
        ({"type": "text"}, "'text' is not valid"),
        (
            {"properties": {"a/b": {"minLength": -1}}},
            "less than the minimum of 0 .at '/properties/a~1b",
        ),
        ({"required": "a"}, "'a' is not of type 'array'"),
        ({"items": [INTEGER]}, "is not of type 'object', 'boolean'"),
        ({"enum": 5}, "5 is not of type 'array'"),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string", "enum": []},
            "enum",
        ),
        ({"$ref": "#/$defs/none"}, "names no schema"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no JSON value satisfies"),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "no JSON value"),
        ({"enum": ["a"], "type": "integer"}, "no JSON value satisfies"),
        ({"type": "string", "pattern": "("}, "regular expression, character 2"),
    ],
)
def test_objects_that_are_no_schema_or_allow_nothing(schema, message, outlines_compiler):
    with pytest.raises(GrammarError, match=message) as error:
        outlines_compiler.compile_json_schema(schema)
    assert not isinstance(error.value, UnsupportedSchemaError)


def test_what_grows_too_large_is_limited(make_compiler):
    """Each definition uses the next one twice: 2 to the power of 30 when written out."""
    definitions = {
        f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
        for i in range(30)
    }
    schema = {"$defs": {**definitions, "d30": INTEGER}, "$ref": "#/$defs/d0"}
    compiler = make_compiler(backend="outlines", limits=Limits(max_grammar_bytes=20_000))
    with pytest.raises(GrammarLimitError, match="size of the schema as a regular expression"):
        compiler.compile_json_schema(schema)


def test_time_is_limited_while_a_schema_is_translated(make_compiler):
    compiler = make_compiler(backend="outlines", limits=Limits(grammar_compile_seconds=0.05))
    values = [f"value {number}" for number in range(20_000)]
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        compiler.compile_json_schema({"enum": values, "allOf": [{"minLength": 1}] * 5})


def test_many_optional_properties_stay_small(outlines_compiler, accepts):
    names = [f"p{number}" for number in range(60)]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}}
    grammar = outlines_compiler.compile_json_schema(schema, whitespace="compact")
    assert accepts(grammar, '{"p7":true,"p31":false,"p59":true}')
    assert not accepts(grammar, '{"p31":true,"p7":false}')
    assert len(grammar.automaton.accepting) < 20_000


@pytest.mark.parametrize(
    "options",
    [{"property_order": "any"}, {"spelling": "free"}, {"registry": referencing.Registry()}],
)
def test_options_that_it_has_not_are_refused_by_name(options, outlines_compiler):
    with pytest.raises(UnsupportedSchemaError, match="not supported") as refusal:
        outlines_compiler.compile_json_schema(INTEGER, **options)
    assert refusal.value.keyword in options


def test_warnings_name_what_is_only_annotated_or_narrowed(outlines_compiler):
    schema = {
        "type": "object",
        "title": "t",
        "x-ui": 1,
        "properties": {"a": {"type": "string", "format": "starsign"}, "b": {"type": "number"}},
    }
    warnings = outlines_compiler.compile_json_schema(schema).warnings
    for expected in (
        "/x-ui: unknown keyword",
        "/properties/a/format: format 'starsign' is not enforced",
        "properties that are not named are not written",
        "in the order of the schema",
        "whitespace: up to 128 characters",
        "strings: characters beyond ASCII",
        "numbers: written with at most two digits of exponent",
    ):
        assert any(expected in warning for warning in warnings), expected
    assert not any("title" in warning for warning in warnings)


def test_threads_that_ask_for_the_same_grammar_get_the_same_one(make_compiler, monkeypatch):
    compiler = make_compiler(backend="outlines")
    processes, grammars, failures, compiled = compiler._backend._processes, [], [], []
    real = processes.compile
    monkeypatch.setattr(
        processes,
        "compile",
        lambda regex, cancelled: (compiled.append(regex), real(regex, cancelled))[1],
    )

    def work():
        grammars.append(compiler.compile_regex("[a-z]{1,300}é"))
        try:
            compiler.compile_regex("(a")
        except GrammarError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1
    assert len(set(map(id, grammars))) == 1
    assert len(failures) == 8


SLOW = "(a|b|ab){1,400}c{1,400}(d|e|de){1,400}"


def test_closing_ends_the_compiles_that_run_and_those_that_wait(make_compiler):
    limits = Limits(grammar_compile_seconds=60.0, grammar_compile_workers=1)
    compiler = make_compiler(backend="outlines", limits=limits)
    compiler.compile_regex("a")  # the worker is there
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(compiler.compile_regex, SLOW + tail) for tail in ("x", "y")]
        while not compiler._backend._processes._busy:
            pass
        compiler.close()
        for compile in running:
            with pytest.raises(IncompleteGenerationError, match="the grammar compiler is closed"):
                compile.result(timeout=30)


def test_a_worker_goes_on_until_all_who_asked_for_its_compile_are_cancelled(make_compiler):
    compiler = make_compiler(backend="outlines")
    processes = compiler._backend._processes
    specification = {"type": "regex", "value": SLOW}
    events = [threading.Event() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        compiles = []
        for event in events:
            compiles.append(pool.submit(compiler.compile, specification, event.is_set))
            while not processes._busy:
                pass
        (work,) = compiler._cache._in_work.values()
        while len(work.cancelled) < 3:
            pass
        (worker,) = processes._busy
        events[0].set()  # whose thread compiles for the others
        events[1].set()
        with pytest.raises(IncompleteGenerationError, match="cancelled"):
            compiles[1].result(timeout=30)
        assert worker.is_usable()
        assert not compiles[0].done() and not compiles[2].done()
        events[2].set()
        for compile in compiles:
            with pytest.raises(IncompleteGenerationError, match="cancelled"):
                compile.result(timeout=30)
    assert not worker.is_usable()
    assert not compiler._cache._in_work
