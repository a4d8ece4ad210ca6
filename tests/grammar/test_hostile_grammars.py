"""Hostile grammars and texts: a grammar or a named error, in bounded time and memory.

Each group of cases runs in a child process (this file as a script) that has a limit of CPU time and
of memory. A case compiles, walks some random tokens where that succeeded, and leaves a line of
JSON. After every case an ordinary grammar still works in the same process.
"""

import json
import random
import reprlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 150  # of a child, for all its cases
MEMORY_BYTES = 3 << 30  # of a child, on top of what it maps once everything is loaded
GROWTH_BYTES = 700 << 20  # of what a child really uses
COMPILE_SECONDS = 5.0  # the limit the compiler is given
STEPS = 12  # random tokens of each grammar that compiles

Case = tuple[str, Any]  # "schema" or "regex", and what is compiled
STRING = {"type": "string"}


def nested(opening: str, inner: str, closing: str, depth: int) -> str:
    return opening * depth + inner + closing * depth


def patterns_of(*patterns: str) -> Iterator[Case]:
    """Each as a whole regex, and as the pattern of a string."""
    for pattern in patterns:
        yield "regex", pattern
        yield "schema", STRING | {"pattern": pattern}


def invalid_regexes() -> Iterator[Case]:
    yield from patterns_of("(", ")", "[", "[z-a]", "a{2,1}", "*a", "+", "(?P<n", "(?<n>a", "a\\")
    yield from patterns_of("(?<=", "\\u{110000}", "\\p{Nonsense}", "(?", "(?z)a", "[\\d-", "\\k<x>")
    yield from patterns_of("(a)\\1", "(?P=n)", "(?R)", "(?(1)a|b)", "\ud800", "[\udfff]")


def exponential_regexes() -> Iterator[Case]:
    yield from patterns_of(
        "^(a+)+$", "^(a|a)*b", "^(a*)*c$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"
    )
    yield from patterns_of("(a|b)*a(a|b){30}", "(.*a){25}", "^(a?){40}a{40}$", "(a|aa)+$")
    yield from patterns_of("^" + "".join(f"(?=.*{c})" for c in "abcdefghijklmnopqrst") + ".*$")
    yield from patterns_of(
        "(" * 12 + "a" + "*)+" * 12, "|".join(f".*{c}.*z{c}" for c in "abcdefghij")
    )


def counted_regexes() -> Iterator[Case]:
    yield from patterns_of(
        "a{1,100000}", "(ab|c){1,100000}", "[a-z]{100000}", "(a{1,1000}){1,1000}"
    )
    yield from patterns_of("(((a{1,100}){1,100}){1,100}){1,100}", "^[a-z]{1,50000}[0-9]{1,50000}$")
    yield from patterns_of(
        "a{99999999999999999999}", "(.{0,1000}x){0,1000}", ".{1,100000}a.{1,100000}"
    )


def nested_grammars() -> Iterator[Case]:
    yield from patterns_of(nested("(", "a", ")", 10_000), nested("(?:a|", "b", ")", 10_000))
    yield from patterns_of(nested("[", "a", "]", 10_000), nested("(?=", "a", ")", 10_000))
    for opening, closing in (
        ('{"items":', "}"),
        ('{"properties":{"a":', "}}"),
        ('{"allOf":[', "]}"),
        ('{"anyOf":[{"type":"null"},', "]}"),
        ('{"not":', "}"),
        ('{"additionalProperties":', "}"),
    ):
        yield "schema", nested(opening, "true", closing, 10_000)
    yield "schema", {"const": 0, "title": "x"} | {"default": None}
    yield "schema", '{"const":' + nested("[", "", "]", 10_000) + "}"
    yield "schema", "[" * 100_000
    yield "schema", '{"a":' * 100_000
    deep: Any = {"type": "integer"}
    for _ in range(10_000):
        deep = {"type": "array", "items": deep}
    yield "schema", deep


def cycles() -> Iterator[Case]:
    yield "schema", {"$ref": "#"}
    yield "schema", {"allOf": [{"$ref": "#"}]}
    yield "schema", {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    definitions = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    yield "schema", {"$ref": "#/$defs/a", "$defs": definitions}
    ring = {f"r{i}": {"allOf": [{"$ref": f"#/$defs/r{(i + 1) % 500}"}]} for i in range(500)}
    yield "schema", {"$ref": "#/$defs/r0", "$defs": ring}
    chain: dict[str, Any] = {f"r{i}": {"$ref": f"#/$defs/r{i + 1}"} for i in range(5000)}
    yield "schema", {"$ref": "#/$defs/r0", "$defs": chain | {"r5000": {"type": "null"}}}
    yield "schema", {"not": {"$ref": "#"}}
    doubling: dict[str, Any] = {
        f"r{i}": {
            "anyOf": [{"$ref": f"#/$defs/r{i + 1}"}, {"items": {"$ref": f"#/$defs/r{i + 1}"}}]
        }
        for i in range(60)
    }
    yield "schema", {"$ref": "#/$defs/r0", "$defs": doubling | {"r60": {"type": "null"}}}


def unsatisfiable() -> Iterator[Case]:
    yield from (("schema", schema) for schema in (False, {"enum": []}, {"not": {}}))
    yield "schema", STRING | {"minLength": 3, "maxLength": 2}
    yield "schema", {"type": "integer", "minimum": 3, "maximum": 2}
    yield "schema", {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3}
    yield "schema", {"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}
    yield "schema", {"allOf": [STRING, {"type": "null"}]}
    yield "schema", {"type": "array", "minItems": 2, "maxItems": 1}
    yield "schema", {"type": "array", "items": False, "minItems": 1}
    yield "schema", {"type": "object", "required": ["a"], "properties": {"a": False}}
    yield "schema", {"type": "object", "required": ["a"], "additionalProperties": False}
    yield "schema", {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}
    yield "schema", STRING | {"pattern": "^a$", "minLength": 2}
    yield "schema", STRING | {"pattern": "a^b"}
    yield "schema", {"type": "array", "minItems": 1, "items": {"$ref": "#"}}
    yield "regex", "[^\\s\\S]"


def large_grammars() -> Iterator[Case]:
    yield "schema", {"enum": [f"value {i}" for i in range(100_000)]}
    yield "schema", {"enum": list(range(100_000))}
    yield "schema", {"enum": [{"a": i} for i in range(20_000)]}
    yield "schema", {"type": "object", "properties": {f"p{i}": STRING for i in range(20_000)}}
    yield "schema", {"anyOf": [{"required": [f"p{i}"]} for i in range(1000)]}
    yield "schema", {"allOf": [{"anyOf": [{"minimum": i}, {"maximum": -i}]} for i in range(60)]}
    patterns = {f"^{a}.*{b}$": {"type": "integer"} for a in "abcdef" for b in "uvwxyz"}
    yield "schema", {"type": "object", "patternProperties": patterns}
    yield "schema", {"type": "array", "prefixItems": [{"type": "null"}] * 50_000}
    for keyword in ("minLength", "maxLength"):
        yield "schema", STRING | {keyword: 10**9}
        yield "schema", STRING | {keyword: 10**30, "pattern": "^[a-z]+$"}
    for size in (10**9, 2**63, 10**30):
        for limit in ("min", "max"):
            yield "schema", {"type": "array", f"{limit}Items": size}
            yield "schema", {"type": "object", f"{limit}Properties": size}
    yield "schema", {"type": "number", "minimum": 10**400, "maximum": 10**500}
    yield "schema", '{"type": "number", "minimum": 1e400, "maximum": 1e999999}'
    yield "schema", {"type": "number", "multipleOf": 1e-300}
    yield "schema", {"type": "integer", "multipleOf": 10**40 + 1}
    yield "schema", '{"type": "number", "maximum": ' + "9" * 10_000 + "}"
    yield "schema", {"const": "x" * 500_000}
    yield "schema", {"type": "object", "properties": {"x" * 500_000: STRING}}


def malformed() -> Iterator[Case]:
    yield from (
        ("schema", value) for value in (None, 5, 1.5, [], b"{}", "", "{", "not json", "NaN")
    )
    yield from (("regex", value) for value in (None, 5, b"a", ["a"]))
    yield from (("schema", text) for text in ('"\\ud800"', '{"const": NaN}', '{"type": "x"}'))
    for keyword in ("properties", "items", "anyOf", "required", "enum", "type", "$ref", "$defs"):
        for value in (7, [7], [], None, "\ud800"):
            yield "schema", {keyword: value}
    yield "schema", {"type": "object", "properties": {"\ud800": STRING}}
    yield "schema", {"const": "\udfff"}
    yield "schema", {"$ref": "https://example.com/schema.json"}
    yield "schema", {"$ref": "#/$defs/absent"}
    yield "schema", {"$schema": "https://example.com/dialect"}
    yield "schema", {"minLength": -1}
    yield "schema", {"minLength": "1"}
    yield "schema", {"const": {1, 2}}
    yield "schema", {1: 2}
    yield "schema", {"multipleOf": 0}


GROUPS: dict[str, tuple[Callable[[], Iterator[Case]], str]] = {
    # what must come out: "refused", or "either" a grammar or a refusal
    "invalid regexes": (invalid_regexes, "refused"),
    "exponential regexes": (exponential_regexes, "either"),
    "counted regexes": (counted_regexes, "either"),
    "nested grammars": (nested_grammars, "either"),
    "cycles": (cycles, "either"),
    "unsatisfiable": (unsatisfiable, "refused"),
    "large grammars": (large_grammars, "either"),
    "malformed": (malformed, "either"),
}


# ---- the child


class Bench:
    """A compiler of a small vocabulary, and what it costs."""

    def __init__(self) -> None:
        from sampler import Limits
        from sampler.grammar import GrammarCompiler, allocate_token_bitmask

        sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
        from example_tokenizers import trained_byte_level

        from sampler import Vocabulary

        vocabulary = Vocabulary.from_tokenizer(trained_byte_level(), eos_token_ids=[0])
        limits = Limits(grammar_compile_seconds=COMPILE_SECONDS)
        self.compiler = GrammarCompiler(vocabulary, cache_bytes=4 << 20, limits=limits)
        self.size = vocabulary.size
        self.bitmask = allocate_token_bitmask(1, vocabulary.size)

    def compile(self, kind: str, value: Any) -> Any:
        if kind == "regex":
            return self.compiler.compile_regex(value)
        return self.compiler.compile_json_schema(value)

    def outcome(self, kind: str, value: Any) -> str:
        """What came of a case."""
        from sampler.errors import GrammarError, GrammarLimitError

        try:
            grammar = self.compile(kind, value)
        except GrammarError as error:
            if not str(error) or len(str(error)) > 2000:
                return "escaped: an error without a useful message"
            if isinstance(error, GrammarLimitError) and (error.given is None or not error.limit):
                return "escaped: a limit without its figures"
            return "refused"
        except Exception as error:
            return f"escaped: {error!r:.200}"
        try:
            self.walk(grammar.matcher())
        except GrammarLimitError:
            return "limit while walking"
        except Exception as error:
            return f"escaped while walking: {error!r:.200}"
        return "compiled"

    def walk(self, matcher: Any) -> None:
        """None; random tokens, none of which may be a dead end."""
        choice = random.Random(1)
        for _ in range(STEPS):
            matcher.fill_next_token_bitmask(self.bitmask)
            bits = np.unpackbits(self.bitmask[0].view(np.uint8), bitorder="little")
            allowed = np.flatnonzero(bits).tolist()
            if not allowed:
                raise AssertionError("a dead end")
            if not matcher.accept_token(choice.choice(allowed)):
                raise AssertionError("the mask allows what is refused")

    def still_works(self) -> None:
        """None; raises AssertionError if an ordinary grammar does not work any more."""
        for pattern, texts in (("[ab]{2}", (b"ab", b"ba")), ("a|bc", (b"a", b"bc"))):
            matcher = self.compile("regex", pattern).matcher()
            for text in texts:
                if not (matcher.accept_bytes(text) and matcher.is_accepting()):
                    raise AssertionError(f"{pattern} does not take {text!r} any more")
                matcher.reset()


def used_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def run_group(name: str) -> None:
    """None; prints a line for each case of a group."""
    bench = Bench()
    bench.outcome("schema", {"type": "object"})  # everything is loaded and compiled
    bench.still_works()
    if Path("/proc/self/statm").exists():
        limit = mapped_bytes() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, spent + CPU_SECONDS))
    before = used_bytes()
    for kind, value in GROUPS[name][0]():
        case = f"{kind} {reprlib.repr(value)}"
        print(json.dumps({"begins": case}), flush=True)
        started = time.process_time()
        result = bench.outcome(kind, value)
        bench.still_works()
        seconds = time.process_time() - started
        line = {"case": case, "outcome": result, "seconds": seconds}
        print(json.dumps(line | {"growth": used_bytes() - before}), flush=True)


# ---- the parent


@pytest.mark.parametrize("name", GROUPS)
def test_hostile_grammars_give_a_grammar_or_a_named_error_in_bounded_time_and_memory(name):
    command = [sys.executable, __file__, name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1:]} {done.stderr[-2000:]}"
    results = [line for line in lines if "outcome" in line]
    generate, expected = GROUPS[name]
    assert len(results) == sum(1 for _ in generate())
    assert [line for line in results if line["outcome"].startswith("escaped")] == []
    if expected == "refused":
        assert [line["case"] for line in results if line["outcome"] != "refused"] == []
    assert results[-1]["growth"] < GROWTH_BYTES


def test_invalid_utf8_is_refused_and_changes_nothing(compiler):
    matcher = compiler.compile_json_schema({"type": "string"}).matcher()
    assert matcher.accept_bytes(b'"a')
    invalid = [
        b"\xff",
        b"\xc3(",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xf8",
    ]
    for data in invalid:
        assert not matcher.accept_bytes(data)
        assert not matcher.accept_bytes(data + b'"')
        assert not matcher.accept_bytes(b"b" + data)
    assert matcher.accept_bytes(b"\xc3")
    assert not matcher.accept_bytes(b'"')
    assert matcher.accept_bytes(b'\xa9"')
    assert matcher.is_accepting()


def test_tokens_of_another_vocabulary_are_refused(compiler, vocabulary):
    matcher = compiler.compile_json_schema({"type": "string"}).matcher()
    for token_id in (-1, -(2**63), vocabulary.size, vocabulary.size + 31, 2**31, 2**63, 10**30):
        assert not matcher.accept_token(token_id)
        assert matcher.accept_tokens([token_id]) == matcher.validate_tokens([token_id]) == 0
    assert matcher.accept_bytes(b'"')


def test_a_bitmask_of_another_vocabulary_is_refused(compiler, vocabulary):
    from sampler.errors import InvalidParameterError

    matcher = compiler.compile_json_schema({"type": "string"}).matcher()
    words = -(-vocabulary.size // 32)
    for shape in ((1, words - 1), (1, words + 1), (0,), (2, 2, words)):
        with pytest.raises(InvalidParameterError):
            matcher.fill_next_token_bitmask(np.zeros(shape, np.int32))
    with pytest.raises(InvalidParameterError):
        matcher.fill_next_token_bitmask(np.zeros((1, words), np.int64))


def test_many_grammars_do_not_grow_the_cache_beyond_its_limit():
    done = subprocess.run(
        [sys.executable, __file__, "--cache"], capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 200 << 20


def fill_the_cache() -> None:
    """None; prints by how many bytes a process grows with many different grammars."""
    bench = Bench()
    growth = 0
    for number in range(400):
        schema = {"type": "object", "properties": {f"key {number} {i}": STRING for i in range(20)}}
        bench.outcome("schema", schema)
        if number == 50:  # the allocator has settled, and the cache is in use
            growth = -used_bytes()
    print(growth + used_bytes())


if __name__ == "__main__":
    fill_the_cache() if sys.argv[1] == "--cache" else run_group(sys.argv[1])
