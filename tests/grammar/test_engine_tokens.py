"""Tokens as tries and masks, and their files on disk."""

import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from example_tokenizers import shared_tokenizer, trained_byte_fallback, trained_byte_level
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler import Vocabulary
from sampler.errors import GrammarError
from sampler.grammar.engine.tokens import (
    MAX_PLAIN_LENGTH,
    TokenTrie,
    _arrays_of,
    build,
    token_texts,
)
from sampler.grammar.engine.tokens_cache import TokensCache, digest_of
from sampler.kernels.grammar import memory

PIECES = ["a", "ab", '"', "\\", "\n", " ", "\x00", "\x7f", "é", "日", "😀", "\u07ff", "\uffff"]
SOME_BYTES = [piece.encode() for piece in PIECES]
SOME_BYTES += [b"\xc3", b"\xe6\x97", b"\xa5", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90"]
token_lists = st.lists(
    st.one_of(
        st.lists(st.sampled_from(SOME_BYTES), max_size=5).map(b"".join),
        st.binary(max_size=12),
    ),
    max_size=40,
)


def is_plain(token):
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return False
    never = any(c < " " or c in '"\\' for c in text)
    return 0 < len(text) <= MAX_PLAIN_LENGTH and not never


def spelled_nodes(trie):
    """(what it spells, node) of each node of `trie`, depth-first."""
    spelled, path = [], []
    node, depth = 0, 0
    while node < trie.nodes.size:
        word = int(trie.nodes[node])
        del path[depth:]
        path.append((word & memory.NODE_BYTE, node))
        spelled.append((bytes(byte for byte, _ in path), node))
        if word >> memory.FIRST_CHILD:
            node, depth = word >> memory.FIRST_CHILD, depth + 1
            continue
        while depth and trie.nodes[node] & memory.LAST_CHILD:
            depth -= 1
            node = path[depth][1]
        node = node + 1 if not trie.nodes[node] & memory.LAST_CHILD else trie.nodes.size
    assert sorted(node for _, node in spelled) == list(range(trie.nodes.size))
    return spelled


def own_tokens(trie, node):
    own = int(trie.nodes[node]) >> memory.OWN_TOKENS & memory.OWN_MASK
    return trie.token_ids[trie.first_token[node] :][:own].tolist()


def assert_is_trie_of(trie, texts, chosen):
    spelled = spelled_nodes(trie)
    prefixes = {texts[i][:n] for i in chosen for n in range(1, len(texts[i]) + 1)}
    assert [text for text, _ in spelled] == sorted(prefixes)
    ids = defaultdict(list)
    for token_id in chosen:
        ids[texts[token_id]].append(token_id)
    for text, node in spelled:
        assert own_tokens(trie, node) == ids[text]
        below = [i for other in sorted(ids) if other.startswith(text) for i in ids[other]]
        assert trie.token_ids[trie.first_token[node] : trie.end_token[node]].tolist() == below
    assert len(trie.token_ids) == len(chosen)
    tops = {text[0]: node for text, node in spelled if len(text) == 1}
    assert trie.roots.tolist() == [*(tops.get(byte, -1) for byte in range(256)), len(tops)]


def bits_of(words, count):
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")[:count]).tolist()


class Tokens:
    """A vocabulary of given tokens, the last of which ends a sequence."""

    def __init__(self, tokens, special=(), eos=None):
        self.tokens = [*tokens, b"<end>"]
        self.size = len(self.tokens)
        self.eos_token_ids = (self.size - 1,) if eos is None else eos
        self.special_token_ids = frozenset(special)

    def token_bytes(self, token_id):
        return self.tokens[token_id]


@given(token_lists)
def test_every_node_spells_a_prefix_of_a_token_and_has_its_tokens(texts):
    arrays = build(tuple(texts))
    assert_is_trie_of(arrays.all, texts, [i for i, text in enumerate(texts) if text])
    rest = [i for i, text in enumerate(texts) if text and not is_plain(text)]
    assert_is_trie_of(arrays.rest, texts, rest)


@given(token_lists)
def test_plain_tokens_are_whole_characters_that_need_no_escape(texts):
    lengths = build(tuple(texts)).plain_lengths
    expected = [len(text.decode()) if is_plain(text) else 0 for text in texts]
    assert lengths.tolist() == expected


@given(st.binary(min_size=1, max_size=4))
@settings(max_examples=300)
def test_characters_are_those_of_utf8(token):
    assert build((token,)).plain_lengths[0] == (len(token.decode()) if is_plain(token) else 0)


@settings(max_examples=30)
@given(token_lists)
def test_masks_have_the_plain_tokens_that_fit(tmp_path_factory, texts):
    trie = TokenTrie(Tokens(texts), tmp_path_factory.getbasetemp() / "tokens")
    assert trie.plain_masks.shape == (trie.plain_budget + 1, -(-len(texts) // 32) or 1)
    for budget in range(trie.plain_budget + 1):
        fit = [i for i, t in enumerate(texts) if is_plain(t) and len(t.decode()) <= budget]
        assert bits_of(trie.plain_masks[budget], trie.vocab_size) == fit


def test_a_token_of_very_many_characters_is_left_to_the_walk(tmp_path):
    trie = TokenTrie(Tokens([b"a" * 128, b"b" * 129, b"c" * 70_000]), tmp_path)
    assert trie.plain_budget == 128
    assert bits_of(trie.plain_masks[-1], 4) == [0]
    assert trie.rest.token_ids.tolist() == [1, 2]
    assert trie.height == 70_000


def test_tokens_that_share_long_prefixes_are_sorted(tmp_path):
    texts = [b"x" * 40 + bytes([byte]) * (byte % 3) for byte in range(256)]
    order = build(tuple(texts)).all.token_ids
    assert order.tolist() == sorted(range(256), key=texts.__getitem__)


def test_special_tokens_and_ends_are_no_text(tmp_path):
    trie = TokenTrie(Tokens([b"a", b"<pad>", b"", b"a"], special=[1]), tmp_path)
    assert trie.all.token_ids.tolist() == [0, 3]
    assert trie.eos_token_ids == (4,)
    assert [trie.token_bytes(i) for i in range(5)] == [b"a", b"", b"", b"a", b""]


def test_single_bytes_and_quotation_marks_are_counted(tmp_path):
    trie = TokenTrie(Tokens([b"a", b'"', b'""', b'"a"b"', b"bc", b"c", b'a""']), tmp_path)
    assert bytes(np.flatnonzero(trie.single_byte).astype(np.uint8)) == b'"ac'
    assert trie.two_quotes.tolist() == [2, 3, 6]
    assert trie.three_quotes.tolist() == [3]


def test_a_vocabulary_without_an_end_is_refused(tmp_path):
    with pytest.raises(GrammarError, match="end-of-sequence"):
        TokenTrie(Tokens([b"a"], eos=()), tmp_path)


def test_a_vocabulary_without_text_has_empty_tries(tmp_path):
    trie = TokenTrie(Tokens([]), tmp_path)
    assert trie.all.nodes.size == trie.rest.nodes.size == trie.plain_budget == 0
    assert not trie.single_byte.any()


@pytest.mark.parametrize("tokenizer", [trained_byte_level, trained_byte_fallback])
def test_tries_of_real_tokenizers_have_every_text_token(tokenizer, tmp_path):
    vocabulary = Vocabulary.from_tokenizer(tokenizer(), eos_token_ids=[0])
    texts = token_texts(vocabulary)
    trie = TokenTrie(vocabulary, tmp_path)
    assert_is_trie_of(trie.all, texts, [i for i, text in enumerate(texts) if text])
    assert trie.single_byte.all()


def test_a_large_vocabulary_is_laid_out_whole(tmp_path):
    vocabulary = Vocabulary.from_tokenizer(shared_tokenizer("qwen3"), eos_token_ids=[151645])
    texts = token_texts(vocabulary)
    trie = TokenTrie(vocabulary, tmp_path)
    assert trie.all.token_ids.tolist() == sorted(
        (i for i, text in enumerate(texts) if text), key=texts.__getitem__
    )
    assert [text for text, _ in spelled_nodes(trie.all)] == sorted(
        {text[:n] for text in texts for n in range(1, len(text) + 1)}
    )
    rest = {i for i, text in enumerate(texts) if text and not is_plain(text)}
    assert set(trie.rest.token_ids.tolist()) == rest
    assert not rest & set(bits_of(trie.plain_masks[-1], len(texts)))


class Listed(Tokens):
    """A vocabulary that gives all its tokens at once, and none by one."""

    def __init__(self, tokens):
        super().__init__(tokens)
        self.all_token_bytes = tuple(self.tokens)

    def token_bytes(self, token_id):
        raise AssertionError("asked for one token")


def test_a_vocabulary_may_give_all_tokens_at_once():
    tokens = [b"a", b"b"]
    assert token_texts(Listed(tokens)) == token_texts(Tokens(tokens)) == (b"a", b"b", b"")


# files

TEXTS = (b"a", b"ab", b'"', b"", "é".encode())


def arrays_equal(one, other):
    pairs = zip(one.to_list(), other.to_list(), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def files_in(folder):
    return sorted(folder.iterdir())


def test_arrays_come_back_from_disk_as_they_were_made(tmp_path):
    made = _arrays_of(TEXTS, TokensCache(tmp_path))
    assert len(files_in(tmp_path)) == 1
    kept = TokensCache(tmp_path).load(digest_of(TEXTS))
    assert kept is not None
    loaded = _arrays_of(TEXTS, TokensCache(tmp_path))
    assert arrays_equal(made, loaded)
    assert all(array.flags.writeable and array.flags.c_contiguous for array in loaded.to_list())
    assert all(array.flags.writeable for array in made.to_list())  # or kernels compile twice


def test_another_vocabulary_has_another_file(tmp_path):
    cache = TokensCache(tmp_path)
    others = [(b"a", b"b"), (b"ab", b""), (b"", b"ab"), (b"a", b"b", b""), (b"b", b"a")]
    assert len({digest_of(texts) for texts in others}) == len(others)
    for texts in others:
        _arrays_of(texts, cache)
    assert len(files_in(tmp_path)) == len(others)


def test_the_digest_does_not_depend_on_how_the_tokens_are_kept():
    shared = b"x" * 3
    assert digest_of([shared, shared]) == digest_of((bytes(bytearray(shared)), shared))


def damages():
    def shorten(content):
        return content[:-1]

    def empty(content):
        return b""

    def flip(content):
        return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]

    def other_version(content):
        return content.replace(b"version ", b"version 1", 1)

    def lengthen(content):
        return content + b"\0"

    return [shorten, empty, flip, other_version, lengthen]


@pytest.mark.parametrize("damage", damages(), ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_ignored_and_replaced(tmp_path, damage):
    cache = TokensCache(tmp_path)
    made = _arrays_of(TEXTS, cache)
    (path,) = files_in(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert cache.load(digest_of(TEXTS)) is None
    assert arrays_equal(_arrays_of(TEXTS, cache), made)
    assert files_in(tmp_path) == [path]
    assert path.read_bytes() == sound


def test_a_file_of_another_vocabulary_is_ignored(tmp_path):
    cache = TokensCache(tmp_path)
    _arrays_of(TEXTS, cache)
    (path,) = files_in(tmp_path)
    others = (b"b", b"bc")
    path.rename(path.with_name(path.name.replace(digest_of(TEXTS), digest_of(others))))
    assert cache.load(digest_of(others)) is None


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    for _ in range(2):
        arrays = _arrays_of(TEXTS, TokensCache(in_the_way / "tokens"))
        assert arrays.all.token_ids.tolist() == [2, 0, 1, 4]


def test_a_directory_in_the_place_of_a_file_is_left_alone(tmp_path):
    (tmp_path / (digest_of(TEXTS) + ".tokens")).mkdir()
    arrays = _arrays_of(TEXTS, TokensCache(tmp_path))
    assert arrays.all.token_ids.tolist() == [2, 0, 1, 4]
    assert len(files_in(tmp_path)) == 1


def test_the_least_recently_used_files_are_removed(tmp_path):
    cache = TokensCache(tmp_path)
    vocabularies = [(bytes([65 + number]),) for number in range(4)]
    for age, texts in enumerate(vocabularies[:3]):
        _arrays_of(texts, cache)
        os.utime(tmp_path / (digest_of(texts) + ".tokens"), (age, age))
    size = files_in(tmp_path)[0].stat().st_size
    small = TokensCache(tmp_path, max_bytes=2 * size)
    assert small.load(digest_of(vocabularies[0])) is not None  # the oldest, used now
    _arrays_of(vocabularies[3], small)
    kept = [cache.load(digest_of(texts)) is not None for texts in vocabularies]
    assert kept == [True, False, False, True]


def test_a_vocabulary_larger_than_the_limit_is_not_kept(tmp_path):
    _arrays_of(TEXTS, TokensCache(tmp_path, max_bytes=100))
    assert files_in(tmp_path) == []


WRITER = """
import sys
from pathlib import Path
from sampler.grammar.engine.tokens import build
from sampler.grammar.engine.tokens_cache import TokensCache, digest_of

texts = tuple(b"%d" % number for number in range(3000))
cache, digest, arrays = TokensCache(Path(sys.argv[1])), digest_of(texts), build(texts).to_list()
sound = 0
for _ in range(60):
    cache.store(digest, arrays)
    kept = cache.load(digest)
    assert kept is None or all((a == b).all() for a, b in zip(kept, arrays, strict=True))
    sound += kept is not None
print(sound)
"""


def test_processes_that_write_at_once_do_not_disturb_each_other(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert outputs == ["60\n", "60\n"]
    assert len(files_in(tmp_path)) == 1


def test_tails_are_tokens_without_the_plain_characters_before(tmp_path):
    texts = [
        b'ab"',
        b'"',
        b"\xc3",
        b"a\xc3",
        b"\xc3\xa9\\",
        b"ab",
        b"a" * 200,
        b"\n",
        b"a\nb",
        b"<e>",
    ]

    class Few:
        size = len(texts)
        eos_token_ids = (size - 1,)
        special_token_ids = frozenset((size - 1,))

        def token_bytes(self, token_id):
            return texts[token_id]

    trie = TokenTrie(Few(), tmp_path)
    tails = trie.tails
    found = [
        (text, token_id)
        for text, node in spelled_nodes(tails)
        for token_id in own_tokens(tails, node)
    ]
    assert sorted(found) == [
        (b"\n", 7),
        (b"\nb", 8),
        (b'"', 0),
        (b'"', 1),
        (b"\\", 4),
        (b"a" * 200, 6),
        (b"\xc3", 2),
        (b"\xc3", 3),
    ]
