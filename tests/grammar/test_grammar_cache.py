"""The cache of compilers, threads that share it, and the processes that they run in."""

import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from schema_tables import asking_twice

from sampler.errors import (
    GrammarError,
    IncompleteGenerationError,
    InvalidParameterError,
)
from sampler.grammar import GrammarCompiler
from sampler.grammar.cache import GrammarCache
from sampler.limits import AutomatonLimits

INTEGER = {"type": "integer"}


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


@dataclass
class Sized:
    nbytes: int
    is_worn: bool = False


def test_a_value_that_is_made_anew_is_the_last_one_to_leave():
    cache, worn = GrammarCache(2), Sized(1)
    cache.get("a", lambda abandoned: worn)
    old = cache.get("b", lambda abandoned: Sized(1))
    worn.is_worn = True
    new = cache.get("a", lambda abandoned: Sized(1))
    cache.get("c", lambda abandoned: Sized(1))
    assert cache.get("a", lambda abandoned: Sized(1)) is new
    assert cache.get("b", lambda abandoned: Sized(1)) is not old


def test_a_worn_value_is_not_kept_where_the_new_one_is_too_large():
    cache, worn = GrammarCache(2), Sized(1)
    cache.get("a", lambda abandoned: worn)
    worn.is_worn = True
    cache.get("a", lambda abandoned: Sized(3))
    worn.is_worn = False
    assert cache.get("a", lambda abandoned: Sized(1)) is not worn


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
