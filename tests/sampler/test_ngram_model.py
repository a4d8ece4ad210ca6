import json
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.errors import InvalidParameterError
from sampler.models.demo import EOS_TOKEN, EOS_TOKEN_ID, SPECIAL_TOKENS, TAGS, demo_tokenizer
from sampler.models.ngram import NgramModel

VOCAB_SIZE = 4096
TAG_IDS = [SPECIAL_TOKENS.index(tag) for tag in TAGS]
contexts = st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=24)


@pytest.fixture(scope="module")
def tokenizer():
    return demo_tokenizer()


@pytest.fixture(scope="module")
def model():
    return NgramModel.load()


def view(token_ids, sequence_id=0):
    return SimpleNamespace(id=sequence_id, token_ids=np.array(token_ids, np.int64))


def next_probabilities(model, tokenizer, text):
    return np.exp(model([view(tokenizer.encode(text).ids, text)])[0])


def continuations(model, tokenizer, prompt, count=8, tokens=60):
    """Texts that the model writes after a prompt, drawn among its 40 most probable tokens."""
    random = np.random.default_rng(0)
    texts = []
    for _ in range(count):
        ids = tokenizer.encode(prompt).ids
        start = len(ids)
        while len(ids) < start + tokens and ids[-1] != EOS_TOKEN_ID:
            row = model([view(ids, prompt)])[0].astype(float)
            likely = np.argsort(-row, kind="stable")[:40]
            weights = np.exp(row[likely])
            ids.append(int(random.choice(likely, p=weights / weights.sum())))
        texts.append(tokenizer.decode(ids[start:]))
    model.release(prompt)
    return texts


# --- shape of the answer


def test_model_answers_one_float32_row_of_its_vocabulary_for_each_view(model, tokenizer):
    logits = model([view([5, 6, 7], 1), view([9], 2)])
    assert model.name == "demo-ngram"
    assert logits.dtype == np.float32
    assert logits.shape == (2, model.vocab_size) == (2, tokenizer.get_vocab_size())


def test_an_empty_batch_and_an_empty_context_are_answered(model):
    assert model([]).shape == (0, VOCAB_SIZE)
    assert model.prompt_logits(view([])).shape == (0, VOCAB_SIZE)
    assert np.exp(model([view([])]).astype(float)).sum() == pytest.approx(1, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(contexts)
def test_probabilities_sum_to_one_and_only_tags_have_none(model, token_ids):
    row = model([view(token_ids)])[0]
    assert np.exp(row.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    assert np.flatnonzero(row == -np.inf).tolist() == TAG_IDS
    assert not np.isnan(row).any()


@settings(max_examples=30, deadline=None)
@given(contexts)
def test_logits_are_logarithms_of_what_the_tokens_are_scored_with(model, token_ids):
    scores = model.token_logprobs(token_ids)
    for place, token_id in enumerate(token_ids):
        row = model([view(token_ids[:place], "scored")])[0]
        assert row[token_id] == pytest.approx(scores[place], rel=1e-6)


@pytest.mark.parametrize("wrong", [-1, VOCAB_SIZE])
def test_a_token_id_outside_the_vocabulary_is_refused(model, wrong):
    with pytest.raises(InvalidParameterError, match=rf"< {VOCAB_SIZE}. Given: {wrong}"):
        model([view([5, wrong])])


# --- the same bits whatever else happens


@settings(max_examples=30, deadline=None)
@given(st.lists(contexts, min_size=1, max_size=5))
def test_a_row_is_the_same_alone_in_a_batch_and_by_a_fresh_model(model, batch):
    rows = model([view(ids, place) for place, ids in enumerate(batch)])
    for row, ids in zip(rows, batch, strict=True):
        assert model([view(ids, "alone")])[0].tobytes() == row.tobytes()


@settings(max_examples=30, deadline=None)
@given(contexts)
def test_prompt_rows_are_the_rows_of_calls_that_grow_token_by_token(model, token_ids):
    rows = model.prompt_logits(view(token_ids))
    for place, row in enumerate(rows):
        grown = model([view(token_ids[: place + 1], "grown")])[0]
        assert grown.tobytes() == row.tobytes()


def test_an_id_used_for_other_tokens_than_before_is_answered_for_those(model):
    for token_ids in ([300, 301, 302, 303], [300, 301], [300, 400, 302], [7]):
        reused = model([view(token_ids, "reused")])
        assert reused.tobytes() == model([view(token_ids, object())]).tobytes()


def test_what_is_remembered_does_not_change_with_the_callers_array(model):
    view_of_buffer = view([300, 301, 302], "buffer")
    model([view_of_buffer])
    view_of_buffer.token_ids[:] = [400, 401, 402]
    fresh = model([view([400, 401, 402], "fresh")])
    assert model([view_of_buffer]).tobytes() == fresh.tobytes()


def test_release_forgets_one_sequence_and_takes_unknown_ids():
    model = NgramModel.load()
    model([view([5], "a"), view([6], "b")])
    model.release("a")
    model.release("a")
    assert list(model._known) == ["b"]


def test_sequences_that_nobody_releases_do_not_pile_up():
    model = NgramModel.load()
    for sequence_id in range(1100):
        model([view([], sequence_id)])
    assert len(model._known) == 1024
    assert 1099 in model._known


# --- what it writes


@pytest.mark.parametrize(
    "prompt", ['{"name": "', "<|json|>{", 'Write JSON about a city.\n{"name": "']
)
def test_a_json_prompt_is_continued_with_json(model, tokenizer, prompt):
    texts = continuations(model, tokenizer, prompt)
    assert sum('":' in text for text in texts) >= len(texts) - 1
    assert not any(". The " in text for text in texts)


def test_an_object_key_is_followed_by_a_colon_and_a_colon_by_a_value(model, tokenizer):
    for prompt, plausible in [('{"name', '":'), ('{"name":"Chad","Population', '":')]:
        probabilities = next_probabilities(model, tokenizer, prompt)
        fitting = [plausible in tokenizer.decode([token_id]) for token_id in range(VOCAB_SIZE)]
        assert probabilities[fitting].sum() > 0.5


@pytest.mark.parametrize(
    "prompt", ["The President of the United States", "<|speech|>", "The whale"]
)
def test_a_prose_prompt_is_continued_with_prose(model, tokenizer, prompt):
    texts = continuations(model, tokenizer, prompt)
    assert not any('":' in text or "{" in text for text in texts)
    assert sum(" the " in text for text in texts) >= len(texts) - 1


def test_a_tag_decides_where_the_text_does_not(model, tokenizer):
    json_text, novel = (
        next_probabilities(model, tokenizer, tag) for tag in ("<|json|>", "<|novel|>")
    )
    opening = ["{" in tokenizer.decode([token_id]) for token_id in range(VOCAB_SIZE)]
    assert json_text[opening].sum() > 0.8 > 0.1 > novel[opening].sum()


def test_documents_end(model, tokenizer):
    record = '{"year": 2009, "name": "Barack Obama", "party": "Democratic"}'
    assert next_probabilities(model, tokenizer, record)[EOS_TOKEN_ID] > 0.1


# --- tokenizer and artefact


@pytest.mark.parametrize(
    "text",
    [
        "Call me Ishmael.",
        " two  spaces\tand\r\n\nlines ",
        "日本語のテキスト",
        "👩‍👩‍👧 naïve café",
        "\x00\x7f\U0010ffff",
        '{"a": [1, 2.5e-3, null, "\\u00e9"]}',
    ],
)
def test_text_comes_back_from_its_tokens(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_from_its_tokens(tokenizer, text):
    if not any(special in text for special in SPECIAL_TOKENS):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_every_byte_has_a_token_and_special_tokens_come_first(tokenizer):
    tokens = json.loads(tokenizer.to_str())["model"]["vocab"]
    assert sum(len(token) == 1 for token in tokens) == 256
    assert [tokenizer.id_to_token(place) for place in range(4)] == list(SPECIAL_TOKENS)
    assert tokenizer.token_to_id(EOS_TOKEN) == EOS_TOKEN_ID


def test_the_artefact_is_under_three_megabytes():
    folder = resources.files("sampler.models.demo")
    sizes = [len(folder.joinpath(name).read_bytes()) for name in ("ngram.npz", "tokenizer.json")]
    assert sum(sizes) < 3_000_000
