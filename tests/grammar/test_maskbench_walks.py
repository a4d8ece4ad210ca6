"""Random walks along the masks of real schemas end in valid texts, with a large vocabulary."""

import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from example_tokenizers import shared_tokenizer
from schema_tables import assert_valid

from sampler import Vocabulary
from sampler.errors import UnsupportedSchemaError
from sampler.grammar import GrammarCompiler, allocate_token_bitmask

MASKBENCH = Path(__file__).parents[3] / "shared" / "maskbench" / "dev.jsonl.gz"
QWEN3_END = 151645
MOST_TOKENS = 20_000  # of a walk that has turned to closing: more means that it finds no end


def some_schemas():
    """One in 22 of the development schemas, as the benchmark itself chooses them."""
    if not MASKBENCH.exists():
        pytest.skip(f"the schemas of MaskBench are not at {MASKBENCH}")
    with gzip.open(MASKBENCH, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            digest = hashlib.sha1(f"{row['name']}.json".encode()).hexdigest()
            if int(digest[:8], 16) % 22 == 0:
                instances = [test["data"] for test in row["tests"] if test["valid"]]
                yield row["name"], row["schema"], list(strings_in(instances))


def strings_in(value):
    """All strings in a JSON value that are no keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings_in(inner)


@pytest.fixture(scope="module")
def qwen3():
    return Vocabulary.from_tokenizer(shared_tokenizer("qwen3"), eos_token_ids=[QWEN3_END])


class Tokens:
    """The bytes of all tokens, and ids of those that bring texts to their end."""

    def __init__(self, vocabulary):
        self.all = [vocabulary.token_bytes(token_id) for token_id in range(vocabulary.size)]
        closing = self.ids(lambda token: set(token) <= set(b'"}]'))
        ascii = self.ids(lambda token: len(token) == 1 and token < b"\x7f")
        self.useful = [closing, closing, ascii]
        self.single_byte = {self.all[i][0]: i for i in self.ids(lambda token: len(token) == 1)}

    def ids(self, is_wanted):
        return np.array([i for i, token in enumerate(self.all) if token and is_wanted(token)])


class Walker:
    """Draws tokens that the masks of one grammar allow.

    Some patterns want a text that chance does not find, so pieces of `examples` are tried.
    """

    def __init__(self, grammar, tokens, schema, examples):
        self._grammar = grammar
        self._tokens = tokens
        self._bitmask = allocate_token_bitmask(1, len(tokens.all))
        written = json.dumps(schema, ensure_ascii=False).encode()
        self._preferred = [*tokens.useful, tokens.ids(lambda token: token in written)]
        self._examples = [text.encode()[:50] for text in examples]

    def walk(self, seed, patience):
        """The bytes of a text: `patience` random tokens, then preferably those that close."""
        choice, matcher, text = random.Random(seed), self._grammar.matcher(), b""
        piece = []  # the tokens that are tried next
        for step in range(MOST_TOKENS):
            matcher.fill_next_token_bitmask(self._bitmask)
            if step >= patience and matcher.is_accepting():
                return text
            if step < patience:
                self._forbid_end()
            elif not piece and self._examples and choice.random() < 0.05:
                example = choice.choice(self._examples)
                piece = [self._tokens.single_byte[byte] for byte in reversed(example)]
            if piece and not self._allows(piece[-1]):
                piece = []
            token_id = piece.pop() if piece else self._drawn(choice, step >= patience)
            assert token_id is not None, f"seed {seed}: a dead end behind {text!r}"
            assert matcher.accept_token(token_id)
            if matcher.is_terminated():
                return text
            text += self._tokens.all[token_id]
        raise AssertionError(f"seed {seed}: no end was reached: {text[:1000]!r}")

    def _drawn(self, choice, is_closing):
        """An allowed token, or None; when closing, one that closes, is short or known."""
        if is_closing and choice.random() < 0.9:
            preferred = choice.choice(self._preferred)
            words = self._bitmask[0, preferred >> 5] >> (preferred & 31)
            preferred = preferred[(words & 1).astype(bool)]
            if preferred.size:
                return int(choice.choice(preferred))
        words = np.flatnonzero(self._bitmask[0])
        if not words.size:
            return None
        if choice.random() < 0.5:  # every token alike: mostly text and white space
            bits = np.unpackbits(self._bitmask.view(np.uint8)[0], bitorder="little")
            return int(choice.choice(np.flatnonzero(bits)))
        word = int(choice.choice(words))  # every word alike: mostly what is allowed beside them
        return choice.choice([i for i in range(32 * word, 32 * word + 32) if self._allows(i)])

    def _allows(self, token_id):
        return bool(self._bitmask[0, token_id // 32] >> token_id % 32 & 1)

    def _forbid_end(self):
        """None; leaves the end out, unless nothing else is allowed."""
        word, bit = divmod(QWEN3_END, 32)
        kept = self._bitmask[0, word]
        self._bitmask[0, word] &= ~np.int32(1 << bit)
        if not self._bitmask.any():
            self._bitmask[0, word] = kept

    def _drawn(self, choice, is_closing):
        """An allowed token, or None; when closing, one that closes, is short or known."""
        if is_closing and choice.random() < 0.9:
            preferred = choice.choice(self._preferred)
            words = self._bitmask[0, preferred >> 5] >> (preferred & 31)
            preferred = preferred[(words & 1).astype(bool)]
            if preferred.size:
                return int(choice.choice(preferred))
        words = np.flatnonzero(self._bitmask[0])
        if not words.size:
            return None
        if choice.random() < 0.5:  # every token alike: mostly text and white space
            bits = np.unpackbits(self._bitmask.view(np.uint8)[0], bitorder="little")
            return int(choice.choice(np.flatnonzero(bits)))
        word = int(choice.choice(words))  # every word alike: mostly what is allowed beside them
        bits = int(self._bitmask[0, word])
        return 32 * word + choice.choice([bit for bit in range(32) if bits >> bit & 1])

    def _forbid_end(self):
        """None; leaves the end out, unless nothing else is allowed."""
        word, bit = divmod(QWEN3_END, 32)
        kept = self._bitmask[0, word]
        self._bitmask[0, word] &= ~np.int32(1 << bit)
        if not self._bitmask.any():
            self._bitmask[0, word] = kept

    def _drawn(self, choice, is_closing):
        """An allowed token, or None; when closing, one that closes, is short or known."""
        if is_closing and choice.random() < 0.9:
            preferred = choice.choice(self._preferred)
            words = self._bitmask[0, preferred >> 5] >> (preferred & 31)
            preferred = preferred[(words & 1).astype(bool)]
            if preferred.size:
                return int(choice.choice(preferred))
        words = np.flatnonzero(self._bitmask[0])  # some word, some token of it: fast, not uniform
        if not words.size:
            return None
        word = int(choice.choice(words))
        bits = int(self._bitmask[0, word])
        return 32 * word + choice.choice([bit for bit in range(32) if bits >> bit & 1])


def assert_walks_are_valid(vocabulary, most_schemas, walks, patience):
    compiler, tokens, count = GrammarCompiler(vocabulary), Tokens(vocabulary), 0
    for name, schema, examples in some_schemas():
        try:
            grammar = compiler.compile_json_schema(schema)
        except UnsupportedSchemaError:
            continue
        walker = Walker(grammar, tokens, schema, examples)
        for seed in range(walks):
            text = walker.walk(seed, patience)
            try:
                assert_valid(schema, text)
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}: {text!r}") from error
        count += 1
        if count == most_schemas:
            return
    raise AssertionError(f"only {count} schemas were compiled")


def test_walks_through_some_schemas_end_in_valid_texts(qwen3):
    assert_walks_are_valid(qwen3, most_schemas=12, walks=2, patience=40)


@pytest.mark.slow
def test_walks_through_many_schemas_end_in_valid_texts(qwen3):
    assert_walks_are_valid(qwen3, most_schemas=200, walks=50, patience=400)
