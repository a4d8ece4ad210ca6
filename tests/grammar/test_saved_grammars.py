"""Grammars in files: the same ones come back, or an error."""

import json

import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar import GrammarCompiler
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.program import Program
from sampler.limits import Limits

SCHEMA = {"type": "object", "properties": {"b": {"enum": ["x", 1]}, "a": {"type": "integer"}}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "grammar.json"


@pytest.mark.parametrize(
    "options",
    [{}, {"whitespace": 2}, {"property_order": "any", "spelling": "free"}, {"formats": "annotate"}],
    ids=str,
)
def test_a_saved_grammar_comes_back(options, path, compiler, accepts):
    grammar = compiler.compile_json_schema(SCHEMA, **options)
    grammar.save(path)
    loaded = GrammarCompiler(compiler_vocabulary(compiler)).load(path)
    assert loaded.warnings == grammar.warnings
    for text in ('{"b":"x","a":1}', '{"a":1,"b":1}', '{\n  "a": 5.0\n}', '{"b":2}', "1"):
        assert accepts(loaded, text) == accepts(grammar, text), text


def compiler_vocabulary(compiler):
    return compiler._backend._vocabulary


def test_a_pattern_comes_back(path, compiler, accepts):
    compiler.compile_regex("[a-c]{2,3}").save(str(path))
    loaded = compiler.load(path)
    assert accepts(loaded, "abc") and not accepts(loaded, "abcd")


def test_what_a_request_asked_for_comes_back(path, compiler, accepts):
    grammar = compiler.compile({"type": "json", "value": {"properties": {"a": {}}}})
    grammar.save(path)
    assert compiler.load(path).warnings == grammar.warnings
    assert not accepts(compiler.load(path), "1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda saved: saved | {"version": 2}, "`version` of a saved grammar must be 1. Given: 2"),
        (lambda saved: saved | {"format": "other"}, "has no grammar"),
        (lambda saved: saved | {"source": '{"type":"null"}'}, "is damaged"),
        (lambda saved: saved | {"more": 1}, "is damaged"),
        (lambda saved: {k: v for k, v in saved.items() if k != "digest"}, "is damaged"),
        (lambda saved: [saved], "has no grammar"),
    ],
)
def test_what_is_not_as_it_was_is_refused(change, message, path, compiler):
    compiler.compile_json_schema(SCHEMA).save(path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(GrammarError, match=message):
        compiler.load(path)


def test_a_part_of_a_file_and_none_are_refused(path, compiler):
    with pytest.raises(GrammarError, match=r"has no grammar: .*No such file"):
        compiler.load(path)
    compiler.compile_json_schema(SCHEMA).save(path)
    whole = path.read_bytes()
    for size in (0, 1, 40, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(GrammarError, match="has no grammar"):
            compiler.load(path)


def test_a_grammar_of_another_vocabulary_is_refused(path, compiler, make_compiler):
    compiler.compile_json_schema(SCHEMA).save(path)
    other = make_compiler(vocabulary=Other(compiler_vocabulary(compiler)))
    with pytest.raises(GrammarError, match="is of another vocabulary"):
        other.load(path)


class Other:
    """A vocabulary with two tokens exchanged."""

    def __init__(self, vocabulary):
        self._known = vocabulary
        self.size = vocabulary.size
        self.eos_token_ids = vocabulary.eos_token_ids
        self.special_token_ids = vocabulary.special_token_ids

    def token_bytes(self, token_id):
        return self._known.token_bytes({0x41: 0x42, 0x42: 0x41}.get(token_id, token_id))


def test_a_registry_is_asked_for_again(path, compiler, accepts):
    there = DRAFT202012.create_resource({"type": "integer"})
    registry = Registry().with_resource("http://example.org/there", there)
    schema = {"items": {"$ref": "http://example.org/there"}, "type": "array"}
    compiler.compile_json_schema(schema, registry=registry).save(path)
    with pytest.raises(GrammarError, match="needs its `registry`"):
        compiler.load(path)
    assert accepts(compiler.load(path, registry=registry), "[1]")


def test_limits_are_those_of_who_loads(path, compiler, make_compiler):
    compiler.compile_json_schema(SCHEMA).save(path)
    with pytest.raises(GrammarLimitError):
        make_compiler(limits=Limits(max_grammar_bytes=20)).load(path)


def test_nothing_is_left_behind_where_a_file_cannot_be_written(tmp_path, compiler):
    grammar = compiler.compile_regex("a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        grammar.save(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_no_compiler_made_cannot_be_saved(path, compiler):
    grammar = compiler.compile_regex("a")
    program = Program()
    program.declare_frame(lambda: [program.emit_bytes(b"a"), program.emit(12)], closes=False)
    with pytest.raises(GrammarError, match="only what a GrammarCompiler has compiled"):
        CompiledGrammar(program, grammar.tokens).save(path)


# Graphs.


def test_a_graph_has_each_place_of_a_text(compiler):
    assert compiler.compile_regex("a[b-e]?|[x ]").to_dot().splitlines() == [
        "digraph grammar {",
        "  rankdir=LR;",
        "  node [shape=circle];",
        '  start [shape=none, label=""];',
        "  start -> 0;",
        "  1 [shape=doublecircle];",
        "  2 [shape=doublecircle];",
        '  0 -> 1 [label="space, x"];',
        '  0 -> 2 [label="a"];',
        '  2 -> 1 [label="b-e"];',
        "}",
    ]


def test_quotation_marks_are_escaped_in_a_graph(compiler):
    graph = compiler.compile_json_schema({"const": "\\"}, whitespace="compact").to_dot()
    assert '[label="\\""]' in graph
    assert '[label="\\\\"]' in graph


def test_a_graph_has_a_limit(compiler):
    with pytest.raises(GrammarLimitError, match=r"positions of a graph must be <= 30\. Given: 31"):
        compiler.compile_json_schema({}).to_dot(max_positions=30)
