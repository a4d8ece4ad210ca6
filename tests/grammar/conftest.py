import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sampler.grammar import (
    CompiledGrammar,
    GrammarCompiler,
    GrammarMatcher,
    allocate_token_bitmask,
)

_MERGES = [b'"', b'": ', b'", "', b'{"', b'"}', b'":', b'","', b'"a', b'{"a":', b"[1", b"true"]
_MERGES += [b"null", b"12", b"0.5", b"ab", b"abc", b"a", b"name", b"\n  ", b'\\"', b"\\u00", b"]}"]
_MERGES += [
    "é".encode(),
    "日".encode(),
    "日".encode()[:2],
    "😀".encode()[1:],
    b"a\xc3",
    b"-1",
    b"e+",
]
_MERGES += [b'"a":1,"a":', b'a":1,"a', b'"x":"x","x"']


class ByteVocabulary:
    """All bytes, some merges (some of them twice), an empty token, a special one, two ends."""

    def __init__(self, missing: bytes = b"") -> None:
        single = [bytes([byte]) for byte in range(256) if byte not in missing]
        self.tokens = [*single, *_MERGES, b"", b"<pad>", b"<end>", b"<turn>"]
        self.size = len(self.tokens)
        self.eos_token_ids: tuple[int, ...] = (self.size - 2, self.size - 1)
        self.special_token_ids = frozenset(range(self.size - 3, self.size))

    def token_bytes(self, token_id: int) -> bytes:
        return self.tokens[token_id]


def allowed_ids(matcher: GrammarMatcher, size: int) -> list[int]:
    """The ids whose bit the matcher sets."""
    bitmask = allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(bitmask)
    return np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")[:size]).tolist()


def spell_random_text(
    grammar: CompiledGrammar, vocabulary: ByteVocabulary, seed: int, examples: str = "0"
) -> bytes:
    """A text that is spelled by random allowed tokens; after some steps a short way is taken.

    Then tokens that close are preferred, and pieces of `examples`, which may have to occur. At
    least one token is allowed at each step and accepted, so a dead end fails the test.
    """
    choice = random.Random(seed)
    matcher, text, piece = grammar.matcher(), b"", b""
    patience = choice.choice([3, 20, 100])
    for step in range(20_000):
        allowed = allowed_ids(matcher, vocabulary.size)
        assert allowed, text
        if step > patience and matcher.is_accepting():
            return text
        if step > patience and not piece and choice.random() < 0.1:
            piece = examples[choice.randrange(len(examples)) :][:8].encode()
        wanted = {piece[:1]} if piece else {b'"', b"}", b"]", b"0", b"8"}
        closing = [i for i in allowed if vocabulary.tokens[i] in wanted]
        if closing and step > patience and (piece or choice.random() < 0.8):
            allowed = closing
        piece = piece[1:] if closing else b""
        token_id = choice.choice(allowed)
        assert matcher.accept_token(token_id)
        if matcher.is_terminated():
            return text
        text += vocabulary.tokens[token_id]
    raise AssertionError("no end was reached")


@pytest.fixture(scope="session")
def vocabulary() -> ByteVocabulary:
    return ByteVocabulary()


@pytest.fixture(scope="session")
def make_vocabulary() -> Callable[..., ByteVocabulary]:
    return ByteVocabulary


@pytest.fixture(scope="session")
def compiler(vocabulary: ByteVocabulary) -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(vocabulary)
    yield compiler
    compiler.close()


@pytest.fixture(scope="session")
def outlines_compiler(vocabulary: ByteVocabulary) -> Iterator[GrammarCompiler]:
    """Of the older backend, which is there for comparison."""
    pytest.importorskip("outlines_core", reason="outlines-core, an extra, is not installed")
    compiler = GrammarCompiler(vocabulary, backend="outlines")
    yield compiler
    compiler.close()


@pytest.fixture(scope="session", params=["native", "outlines"])
def each_compiler(request: pytest.FixtureRequest) -> GrammarCompiler:
    """Of one backend, then of the other."""
    is_native = request.param == "native"
    return request.getfixturevalue("compiler" if is_native else "outlines_compiler")


@pytest.fixture
def make_compiler(vocabulary: ByteVocabulary) -> Iterator[Callable[..., GrammarCompiler]]:
    """Compilers that are closed at the end of the test."""
    compilers = []

    def make(**options: object) -> GrammarCompiler:
        if options.get("backend") == "outlines":
            pytest.importorskip("outlines_core", reason="outlines-core, an extra, is not installed")
        compilers.append(GrammarCompiler(**{"vocabulary": vocabulary, **options}))
        return compilers[-1]

    yield make
    for compiler in compilers:
        compiler.close()


@pytest.fixture(scope="session")
def allowed_tokens(vocabulary: ByteVocabulary) -> Callable[[GrammarMatcher], list[int]]:
    return lambda matcher: allowed_ids(matcher, vocabulary.size)


@pytest.fixture(scope="session")
def random_text(vocabulary: ByteVocabulary) -> Callable[..., bytes]:
    return lambda grammar, *how: spell_random_text(grammar, vocabulary, *how)


@pytest.fixture(scope="session")
def accepts() -> Callable[[CompiledGrammar, str | bytes], bool]:
    """Whether a grammar takes a whole text, byte by byte."""

    def check(grammar: CompiledGrammar, text: str | bytes) -> bool:
        matcher = grammar.matcher()
        data = text.encode() if isinstance(text, str) else text
        return all(matcher.accept_bytes(bytes([b])) for b in data) and matcher.is_accepting()

    return check
