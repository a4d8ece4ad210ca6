"""What compilers take and refuse, their cache, and threads."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    IncompleteGenerationError,
    InvalidParameterError,
    UnsupportedSchemaError,
)
from sampler.grammar import GrammarCompiler
from sampler.grammar.cache import GrammarCache
from sampler.limits import Limits

INTEGER = {"type": "integer"}


@pytest.fixture
def make_compiler(vocabulary):
    compilers = []

    def make(**options):
        compilers.append(GrammarCompiler(vocabulary, **options))
        return compilers[-1]

    yield make
    for compiler in compilers:
        compiler.close()


@pytest.mark.parametrize(
    "specification",
    [
        {"type": "json", "value": INTEGER},
        {"type": "json", "value": '{"type": "integer"}'},
        {"type": "json_object", "value": INTEGER},
        {"type": "json_schema", "value": {"schema": INTEGER, "name": "n", "strict": True}},
        {"type": "json_schema", "value": {"schema": json.dumps(INTEGER)}},
        {"type": "regex", "value": "0|-?[1-9][0-9]*"},
    ],
)
def test_grammars_of_requests(specification, compiler, accepts):
    grammar = compiler.compile(specification)
    assert accepts(grammar, "12")
    assert not accepts(grammar, "true")


@pytest.mark.parametrize("value", [None, {}, {"type": "object"}])
def test_a_json_object_without_a_schema_is_any_object(value, compiler, accepts):
    grammar = compiler.compile({"type": "json_object", "value": value})
    assert accepts(grammar, '{"a": {"b": [1]}, "c": null}')
    assert not accepts(grammar, "[]")
    assert not accepts(grammar, '{"a": 1, "a": 2}')
    assert accepts(compiler.compile({"type": "json_object"}), "{}")


def test_booleans_are_schemas(compiler, accepts):
    assert accepts(compiler.compile({"type": "json", "value": True}), '["a"]')
    with pytest.raises(GrammarError, match="no JSON value satisfies"):
        compiler.compile({"type": "json", "value": False})


def test_a_request_with_properties_and_no_type_means_an_object(compiler, accepts):
    schema = {"properties": {"a": INTEGER}, "required": ["a"]}
    grammar = compiler.compile({"type": "json", "value": schema})
    assert accepts(grammar, '{"a": 1}')
    assert not accepts(grammar, '"a"')
    assert any("narrowed to objects" in warning for warning in grammar.warnings)
    assert accepts(compiler.compile_json_schema(schema), '"a"')  # as the specification says


@pytest.mark.parametrize(
    "specification",
    [
        None,
        "json",
        {},
        {"type": "yaml", "value": "a"},
        {"type": None, "value": "a"},
        {"type": ["json"], "value": {}},
        {"type": "json"},
        {"type": "json", "value": 5},
        {"type": "json", "value": [INTEGER]},
        {"type": "json_object", "value": 5},
        {"type": "json_schema", "value": "{}"},
        {"type": "json_schema", "value": {"name": "n"}},
        {"type": "json_schema", "value": {"schema": 5}},
        {"type": "json_schema"},
        {"type": "regex", "value": {}},
        {"type": "regex", "value": None},
        {"type": "regex"},
    ],
)
def test_other_specifications_are_refused_with_what_is_legal(specification, compiler):
    with pytest.raises(GrammarError, match=r"must be (one of|an? )"):
        compiler.compile(specification)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("example_value", "expected value at line 1 column 1"),
        ("", "expected value at line 1 column 1"),
        ('{"a":\n }', "expected value at line 2 column 2"),
        ('{"type": "integer"} x', "Extra data at line 1 column 21"),
        ('{"minimum": NaN}', "NaN is not a JSON number"),
        ('{"minimum": 1e999}', "inf is not a JSON number"),
        ('{"const": "\\ud800"}', "unpaired surrogates"),
        ("[]", "must be an object or a boolean"),
        ('"a"', "must be an object or a boolean"),
    ],
)
def test_texts_that_are_no_schema(text, message, compiler):
    with pytest.raises(GrammarError, match=message) as error:
        compiler.compile({"type": "json", "value": text})
    wire = error.value.to_dict()
    assert wire["error"].startswith("Input validation error: grammar is not valid: ")
    assert wire["error_type"] == "validation"


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
        ({"$ref": "#none"}, "names no schema"),
        ({"$defs": {"a": [1]}, "$ref": "#/$defs/a/0"}, "."),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no JSON value satisfies"),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "no JSON value"),
        ({"enum": ["a"], "type": "integer"}, "no JSON value satisfies"),
        ({"const": {1, 2}}, "must be JSON. Given: set"),
        ({"properties": {1: {}}}, "keys of a JSON Schema must be strings. Given: 1"),
        ({"minimum": float("nan")}, "nan is not a JSON number"),
        ({"type": "string", "pattern": "("}, "regular expression, character 2"),
    ],
)
def test_objects_that_are_no_schema_or_allow_nothing(schema, message, compiler):
    with pytest.raises(GrammarError, match=message) as error:
        compiler.compile_json_schema(schema)
    assert not isinstance(error.value, UnsupportedSchemaError)


def nested(depth):
    schema = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def test_depth_is_limited_at_the_stated_limit(compiler, accepts):
    deepest = (Limits().max_grammar_depth - 2) // 2
    grammar = compiler.compile_json_schema(nested(deepest))
    assert accepts(grammar, '{"a":' * deepest + "1" + "}" * deepest)
    for schema in (nested(deepest + 1), nested(5000)):
        with pytest.raises(GrammarLimitError, match="nesting of the schema"):
            compiler.compile_json_schema(schema)
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        compiler.compile_json_schema('{"a":' * 100_000)
    cycle = {}
    cycle["items"] = cycle
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        compiler.compile_json_schema(cycle)


def doubling(levels):
    """Each definition uses the next one twice: 2 to the power of `levels` when written out."""
    definitions = {
        f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
        for i in range(levels)
    }
    return {"$defs": {**definitions, f"d{levels}": INTEGER}, "$ref": "#/$defs/d0"}


def test_what_grows_too_large_is_limited(make_compiler):
    compiler = make_compiler(limits=Limits(max_grammar_bytes=20_000))
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema({"const": "a" * 20_000})
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema(json.dumps({"description": "a" * 20_000}))
    with pytest.raises(GrammarLimitError, match="size of the schema as a regular expression"):
        compiler.compile_json_schema(doubling(30))
    shared = []
    for _ in range(40):  # small in memory, 2 to the power of 40 as a tree
        shared = [shared, shared]
    with pytest.raises(GrammarLimitError, match="values in the schema"):
        compiler.compile_json_schema({"const": shared})


def test_time_is_limited_while_a_schema_is_translated(make_compiler):
    compiler = make_compiler(limits=Limits(grammar_compile_seconds=0.05))
    values = [f"value {number}" for number in range(20_000)]
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        compiler.compile_json_schema({"enum": values, "allOf": [{"minLength": 1}] * 5})


def test_many_optional_properties_stay_small(compiler, accepts):
    names = [f"p{number}" for number in range(60)]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}}
    grammar = compiler.compile_json_schema(schema, whitespace="compact")
    assert accepts(grammar, '{"p7":true,"p31":false,"p59":true}')
    assert not accepts(grammar, '{"p31":true,"p7":false}')
    assert len(grammar.automaton.accepting) < 20_000


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"whitespace": "none"}, "whitespace"),
        ({"whitespace": -1}, "whitespace"),
        ({"whitespace": 17}, "whitespace"),
        ({"whitespace": True}, "whitespace"),
        ({"whitespace": None}, "whitespace"),
        ({"property_order": "sorted"}, "property_order"),
        ({"spelling": "short"}, "spelling"),
        ({"formats": "ignore"}, "formats"),
    ],
)
def test_options_that_do_not_exist_are_refused_by_name(options, name, compiler):
    with pytest.raises(InvalidParameterError, match=f"`{name}` must be"):
        compiler.compile_json_schema(INTEGER, **options)


@pytest.mark.parametrize(
    "options", [{"property_order": "any"}, {"spelling": "free"}, {"registry": {}}]
)
def test_options_that_are_not_there_yet_are_refused_by_name(options, compiler):
    with pytest.raises(UnsupportedSchemaError, match="not supported yet") as refusal:
        compiler.compile_json_schema(INTEGER, **options)
    assert refusal.value.keyword in options
    with pytest.raises(UnsupportedSchemaError):
        compiler.compile_cfg("root ::= 'a'")


def test_warnings_name_what_is_only_annotated_or_narrowed(compiler):
    schema = {
        "type": "object",
        "title": "t",
        "x-ui": 1,
        "properties": {"a": {"type": "string", "format": "starsign"}, "b": {"type": "number"}},
    }
    warnings = compiler.compile_json_schema(schema).warnings
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


def test_runs_of_whitespace_end_at_the_stated_bound(compiler, accepts):
    grammar = compiler.compile_json_schema({"type": "array", "items": INTEGER})
    deep = "\n" + "  " * 60
    assert accepts(grammar, f"[{deep}1,{deep}2{deep}]")
    assert accepts(grammar, f"[{' ' * 128}1,\r\n\t2]")
    assert not accepts(grammar, f"[{' ' * 129}1]")


def test_the_same_grammar_is_compiled_once(make_compiler):
    compiler = make_compiler()
    grammar = compiler.compile_json_schema({"type": "integer", "minimum": 1})
    assert compiler.compile_json_schema('{"type":  "integer", "minimum": 1}') is grammar
    assert compiler.compile_json_schema({"minimum": 1, "type": "integer"}) is not grammar
    assert compiler.compile_json_schema({"type": "integer", "minimum": 1}, "compact") is not grammar
    assert compiler.compile_regex("a") is compiler.compile_regex("a")


def test_the_least_recently_used_grammar_leaves_a_full_cache(make_compiler):
    size = make_compiler().compile_regex("a").nbytes
    compiler = make_compiler(cache_bytes=2 * size + size // 2)
    first, second = compiler.compile_regex("a"), compiler.compile_regex("b")
    assert compiler.compile_regex("a") is first
    compiler.compile_regex("c")
    assert compiler.compile_regex("a") is first
    assert compiler.compile_regex("b") is not second
    nothing = make_compiler(cache_bytes=0)
    assert nothing.compile_regex("a") is not nothing.compile_regex("a")
    with pytest.raises(InvalidParameterError, match="`cache_bytes` must be an integer >= 0"):
        make_compiler(cache_bytes=-1)


def test_threads_that_ask_for_the_same_grammar_get_the_same_one(make_compiler, monkeypatch):
    compiler, grammars, failures, compiled = make_compiler(), [], [], []
    real = compiler._backend.compile
    monkeypatch.setattr(
        compiler._backend,
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


def test_one_grammar_serves_threads_at_once(compiler, random_text):
    grammar = compiler.compile_json_schema({"type": "object", "additionalProperties": INTEGER})
    expected = [random_text(grammar, seed) for seed in range(6)]
    found = [None] * 6

    def work(seed):
        found[seed] = random_text(grammar, seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_a_vocabulary_without_an_end_of_sequence_is_refused_by_name(make_vocabulary):
    vocabulary = make_vocabulary()
    vocabulary.eos_token_ids = ()
    compiler = GrammarCompiler(vocabulary)
    with pytest.raises(GrammarError, match="a grammar needs an end-of-sequence token"):
        compiler.compile_regex("a")
    compiler.close()


def test_importing_grammars_loads_no_heavy_library():
    check = (
        "import sys, sampler.grammar;"
        "heavy = {'jsonschema', 'outlines_core', 'tokenizers', 'numba', 'multiprocessing'};"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)"
    )
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", check], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


SLOW = "(a|b|ab){1,400}c{1,400}(d|e|de){1,400}"


def test_closing_ends_the_compiles_that_run_and_those_that_wait(make_compiler):
    compiler = make_compiler(limits=Limits(grammar_compile_seconds=60.0, grammar_compile_workers=1))
    compiler.compile_regex("a")  # the worker is there
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(compiler.compile_regex, SLOW + tail) for tail in ("x", "y")]
        while not compiler._backend._busy:
            pass
        compiler.close()
        for compile in running:
            with pytest.raises(IncompleteGenerationError, match="the grammar compiler is closed"):
                compile.result(timeout=30)


def test_a_compile_goes_on_until_all_who_asked_for_it_are_cancelled(make_compiler):
    compiler = make_compiler()
    specification = {"type": "regex", "value": SLOW}
    events = [threading.Event() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        compiles = []
        for event in events:
            compiles.append(pool.submit(compiler.compile, specification, event.is_set))
            while not compiler._backend._busy:
                pass
        (work,) = compiler._cache._in_work.values()
        while len(work.cancelled) < 3:
            pass
        (worker,) = compiler._backend._busy
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


def test_a_request_for_a_compile_that_was_given_up_starts_another(compiler):
    cache, grammar = GrammarCache(0), compiler.compile_regex("a")

    def give_up(abandoned):
        assert abandoned()
        assert cache.get("key", lambda _: grammar) is grammar
        raise IncompleteGenerationError

    with pytest.raises(IncompleteGenerationError):
        cache.get("key", give_up, lambda: True)
    assert cache.get("key", lambda _: grammar) is grammar
