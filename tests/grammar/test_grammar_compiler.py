"""What compilers take and refuse, their cache, and threads."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import referencing

from sampler.errors import (
    GrammarError,
    GrammarLimitError,
    IncompleteGenerationError,
    InvalidParameterError,
    UnsupportedSchemaError,
)
from sampler.grammar import GrammarCompiler
from sampler.grammar.cache import GrammarCache
from sampler.limits import AutomatonLimits, Limits

INTEGER = {"type": "integer"}


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
def test_grammars_of_requests(specification, each_compiler, accepts):
    grammar = each_compiler.compile(specification)
    assert accepts(grammar, "12")
    assert not accepts(grammar, "true")


@pytest.mark.parametrize("value", [None, {}, {"type": "object"}])
def test_a_json_object_without_a_schema_is_any_object(value, each_compiler, accepts):
    grammar = each_compiler.compile({"type": "json_object", "value": value})
    assert accepts(grammar, '{"a": {"b": [1]}, "c": null}')
    assert not accepts(grammar, "[]")
    assert not accepts(grammar, '{"a": 1, "a": 2}')
    assert accepts(each_compiler.compile({"type": "json_object"}), "{}")


def test_booleans_are_schemas(each_compiler, accepts):
    assert accepts(each_compiler.compile({"type": "json", "value": True}), '["a"]')
    with pytest.raises(GrammarError, match="no JSON value satisfies"):
        each_compiler.compile({"type": "json", "value": False})


def test_a_request_with_properties_and_no_type_means_an_object(each_compiler, accepts):
    schema = {"properties": {"a": INTEGER}, "required": ["a"]}
    grammar = each_compiler.compile({"type": "json", "value": schema})
    assert accepts(grammar, '{"a": 1}')
    assert not accepts(grammar, '"a"')
    assert any("narrowed to objects" in warning for warning in grammar.warnings)
    assert accepts(each_compiler.compile_json_schema(schema), '"a"')  # as the specification says


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
        ({"type": 5}, "`type` must be one of null, .* Given: 5 .at '/type'"),
        ({"type": "text"}, "`type` must be one of null, .* Given: 'text'"),
        (
            {"properties": {"a/b": {"minLength": -1}}},
            "`minLength` must be an integer >= 0. Given: -1 .at '/properties/a~1b",
        ),
        ({"required": "a"}, "`required` must be an array of strings"),
        ({"items": [INTEGER]}, "`items` must be a schema"),
        ({"enum": 5}, "`enum` must be an array"),
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


def test_depth_is_limited_at_the_stated_limit(each_compiler, accepts):
    deepest = (Limits().max_grammar_depth - 2) // 2
    grammar = each_compiler.compile_json_schema(nested(deepest))
    assert accepts(grammar, '{"a":' * deepest + "1" + "}" * deepest)
    for schema in (nested(deepest + 1), nested(5000)):
        with pytest.raises(GrammarLimitError, match="nesting of the schema"):
            each_compiler.compile_json_schema(schema)
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        each_compiler.compile_json_schema('{"a":' * 100_000)
    cycle = {}
    cycle["items"] = cycle
    with pytest.raises(GrammarLimitError, match="nesting of the schema"):
        each_compiler.compile_json_schema(cycle)


def doubling(levels):
    """Each definition uses the next one twice: 2 to the power of `levels` when written out."""
    definitions = {
        f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
        for i in range(levels)
    }
    return {"$defs": {**definitions, f"d{levels}": INTEGER}, "$ref": "#/$defs/d0"}


def asking_twice(levels):
    """A constant that is looked at 2 to the power of `levels` times."""
    definitions = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": {**definitions, f"d{levels}": INTEGER}, "$ref": "#/$defs/d0", "const": 1}


def test_what_grows_too_large_is_limited(make_compiler):
    compiler = make_compiler(limits=Limits(max_grammar_bytes=20_000))
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema({"const": "a" * 20_000})
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        compiler.compile_json_schema(json.dumps({"description": "a" * 20_000}))
    shared = []
    for _ in range(40):  # small in memory, 2 to the power of 40 as a tree
        shared = [shared, shared]
    with pytest.raises(GrammarLimitError, match="values in the schema"):
        compiler.compile_json_schema({"const": shared})


def test_what_is_used_again_and_again_is_there_once(compiler, accepts):
    grammar = compiler.compile_json_schema(doubling(30))
    assert accepts(grammar, "[" * 30 + "1" + "]" * 30)
    assert not accepts(grammar, "[" * 31 + "1" + "]" * 31)
    assert grammar.nbytes < 1_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [f"{n}" for n in range(20_000)], "allOf": [{"minLength": 1}] * 5},
        asking_twice(40),
    ],
    ids=["values", "references"],
)
def test_time_is_limited_while_a_schema_is_translated(schema, make_compiler):
    compiler = make_compiler(limits=Limits(grammar_compile_seconds=0.05))
    with pytest.raises(GrammarLimitError, match="seconds of the grammar compile"):
        compiler.compile_json_schema(schema)


def test_many_optional_properties_stay_small(compiler, accepts):
    names = [f"p{number}" for number in range(60)]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}}
    grammar = compiler.compile_json_schema(schema, whitespace="compact")
    assert accepts(grammar, '{"p7":true,"p31":false,"p59":true}')
    assert not accepts(grammar, '{"p31":true,"p7":false}')
    assert grammar.nbytes < 1_000_000


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"whitespace": "none"}, "whitespace"),
        ({"whitespace": -1}, "whitespace"),
        ({"whitespace": 17}, "whitespace"),
        ({"whitespace": True}, "whitespace"),
        ({"whitespace": []}, "whitespace"),
        ({"whitespace": None}, "whitespace"),
        ({"property_order": "sorted"}, "property_order"),
        ({"spelling": "short"}, "spelling"),
        ({"formats": "ignore"}, "formats"),
        ({"registry": {}}, "registry"),
    ],
)
def test_options_that_do_not_exist_are_refused_by_name(options, name, compiler):
    with pytest.raises(InvalidParameterError, match=f"`{name}` must be"):
        compiler.compile_json_schema(INTEGER, **options)


def test_what_is_not_there_yet_is_refused_by_name(compiler):
    with pytest.raises(UnsupportedSchemaError, match="not supported yet") as refusal:
        compiler.compile_json_schema(INTEGER, property_order="any")
    assert refusal.value.keyword == "property_order"
    with pytest.raises(UnsupportedSchemaError, match="not supported yet"):
        compiler.compile_cfg("root ::= 'a'")


def test_free_spelling_is_whatever_json_allows(compiler, accepts):
    schema = {"type": "array", "items": {"type": ["integer", "string"]}}
    canonical = compiler.compile_json_schema(schema)
    free = compiler.compile_json_schema(schema, spelling="free")
    for text in (' [5.0,"a"]', "[1e2]\n", '["\\u0061\\/"]', f"[1,{' ' * 500}2]"):
        assert accepts(free, text), text
        assert not accepts(canonical, text), text
    assert not accepts(free, " [5.5]")
    assert not any("written" in warning for warning in free.warnings)


def test_other_documents_come_from_the_registry(compiler, accepts):
    contents = {"$schema": "https://json-schema.org/draft/2020-12/schema", **INTEGER}
    resource = referencing.Resource.from_contents(contents)
    registry = referencing.Registry().with_resource("http://example.org/other", resource)
    schema = {"type": "array", "items": {"$ref": "http://example.org/other"}}
    grammar = compiler.compile_json_schema(schema, registry=registry)
    assert accepts(grammar, "[1]")
    assert not accepts(grammar, '["a"]')
    with pytest.raises(UnsupportedSchemaError, match="leads out of the schema"):
        compiler.compile_json_schema(schema)


def test_warnings_name_what_is_only_annotated_or_narrowed(compiler):
    schema = {
        "type": "object",
        "title": "t",
        "x-ui": 1,
        "properties": {
            "a": {"type": "string", "format": "starsign"},
            "b": {"type": "number"},
            "c": {"type": "number", "maximum": 5},
            "d": {"const": 0.5},
        },
    }
    warnings = compiler.compile_json_schema(schema).warnings
    for expected in (
        "/x-ui: unknown keyword",
        "/properties/a/format: format 'starsign' is not enforced",
        "in the order of the schema",
        "whitespace: up to 128 characters",
        "strings: the slash is not escaped",
        "integers: written without fraction and exponent",
        "/properties/c: numbers are written with",
        "constants: written as `json.dumps` writes them",
    ):
        assert any(expected in warning for warning in warnings), expected
    assert not any("title" in warning for warning in warnings)
    assert not any("/properties/b" in warning for warning in warnings)  # every number, every way


def test_runs_of_whitespace_end_at_the_stated_bound(each_compiler, accepts):
    grammar = each_compiler.compile_json_schema({"type": "array", "items": INTEGER})
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
    real = compiler._backend.regex
    monkeypatch.setattr(
        compiler._backend,
        "regex",
        lambda pattern, abandoned: (real(pattern, abandoned), compiled.append(pattern))[0],
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


def test_one_grammar_serves_threads_at_once(each_compiler, random_text):
    grammar = each_compiler.compile_json_schema({"type": "object", "additionalProperties": INTEGER})
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


@pytest.mark.parametrize("backend", ["native", "outlines"])
def test_a_vocabulary_without_an_end_of_sequence_is_refused_by_name(
    backend, make_vocabulary, make_compiler
):
    vocabulary = make_vocabulary()
    vocabulary.eos_token_ids = ()
    compiler = make_compiler(vocabulary=vocabulary, backend=backend)
    with pytest.raises(GrammarError, match="a grammar needs an end-of-sequence token"):
        compiler.compile_regex("a")


def test_another_backend_is_refused_by_name(vocabulary, monkeypatch):
    with pytest.raises(InvalidParameterError, match="`backend` must be one of native, outlines"):
        GrammarCompiler(vocabulary, backend="guidance")
    monkeypatch.setitem(sys.modules, "outlines_core", None)  # as if it were not installed
    with pytest.raises(InvalidParameterError, match=r"pip install 'token-sampler\[outlines\]'"):
        GrammarCompiler(vocabulary, backend="outlines")


def run_script(script):
    """What a process of its own writes to its standard error; it must end well."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_importing_grammars_loads_no_heavy_library():
    script = (
        "import sys, sampler.grammar;"
        "heavy = {'jsonschema', 'outlines_core', 'tokenizers', 'numba', 'multiprocessing'};"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)"
    )
    assert run_script(script) == ""


def test_a_process_that_has_grammars_ends_in_silence():
    script = (
        "from sampler.grammar import GrammarCompiler\n"
        "class Bytes:\n"
        "    size, eos_token_ids, special_token_ids = 257, (256,), frozenset([256])\n"
        "    def token_bytes(self, token_id):\n"
        "        return bytes([token_id]) if token_id < 256 else b''\n"
        "compiler = GrammarCompiler(Bytes())\n"
        "grammars = [compiler.compile_regex(f'a{n}') for n in range(4)]\n"
        "matcher = grammars[0].matcher()\n"
    )
    assert run_script(script) == ""


@pytest.fixture
def compiles_under_way():
    """Asks for a compile that would take for ever, in threads; gives what each will raise."""
    with ThreadPoolExecutor(3) as pool:

        def start(compiler, cancellations):
            specification = {"type": "json", "value": asking_twice(60)}
            return [pool.submit(compiler.compile, specification, c) for c in cancellations]

        yield start


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_closing_ends_the_compiles_that_run_and_those_that_come(make_compiler, compiles_under_way):
    compiler = make_compiler()
    compiles = compiles_under_way(compiler, [lambda: False] * 2)
    wait_until(lambda: [len(w.cancelled) for w in compiler._cache._in_work.values()] == [2])
    compiler.close()
    for compile in compiles:
        with pytest.raises(IncompleteGenerationError, match="the grammar compiler is closed"):
            compile.result(timeout=30)
    with pytest.raises(IncompleteGenerationError, match="the grammar compiler is closed"):
        compiler.compile_regex("a")


def test_a_compile_goes_on_until_all_who_asked_for_it_are_cancelled(
    make_compiler, compiles_under_way
):
    compiler = make_compiler()
    events = [threading.Event() for _ in range(3)]
    compiles = compiles_under_way(compiler, [event.is_set for event in events])
    wait_until(lambda: [len(w.cancelled) for w in compiler._cache._in_work.values()] == [3])
    (work,) = compiler._cache._in_work.values()
    is_first = [cancelled == work.cancelled[0] for cancelled in (e.is_set for e in events)]
    first = is_first.index(True)  # whose thread compiles for the others
    second, third = {0, 1, 2} - {first}
    events[first].set()
    events[second].set()
    with pytest.raises(IncompleteGenerationError, match="cancelled"):
        compiles[second].result(timeout=30)
    assert not compiles[first].done() and not compiles[third].done()
    events[third].set()
    for compile in compiles:
        with pytest.raises(IncompleteGenerationError, match="cancelled"):
            compile.result(timeout=30)
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


def test_a_grammar_whose_languages_have_grown_is_compiled_anew(make_compiler, monkeypatch):
    monkeypatch.setattr("sampler.grammar.text.dfa.MAX_STATES", 400)
    compiler, pattern = make_compiler(), "(a|b)*a(a|b){9}"
    first = compiler.compile_regex(pattern)
    assert compiler.compile_regex(pattern) is first
    matcher = first.matcher()
    choice = random.Random(1)
    while not first.is_worn:
        assert matcher.accept_bytes(choice.choice([b"a", b"b"]))
    second = compiler.compile_regex(pattern)
    assert second is not first
    assert not second.is_worn
    assert second.matcher().accept_bytes(b"ab" * 20)
    assert matcher.accept_bytes(b"b")


def test_texts_that_are_half_full_begin_anew(compiler):
    """With fewer states than all the texts together need."""
    grammar = compiler.compile_regex("(a|b)*a(a|b){10}")
    grammar._limits = AutomatonLimits(max_text_states=300)
    grammar._begin()
    choice = random.Random(1)
    for _ in range(30):
        matcher = grammar.matcher()
        for _ in range(60):
            assert matcher.accept_bytes(choice.choice([b"a", b"b"]))
