import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import SPECIALS, TOKENS, tiny_metadata

from sampler import Vocabulary
from sampler.models.gguf.metadata import GGUFError, Metadata
from sampler.models.gguf.tokenizer import eos_token_ids_of, tokenizer_of

TOKENIZER = tokenizer_of(Metadata(tiny_metadata()))


def metadata(**changes):
    given_keys = {"tokenizer.ggml." + key: value for key, value in changes.items()}
    merged = tiny_metadata() | given_keys
    return Metadata({key: value for key, value in merged.items() if value is not None})


def types(**changed):
    """Token types with some changed: token=type."""
    values = tiny_metadata()["tokenizer.ggml.token_type"].copy()
    for token, kind in changed.items():
        values[TOKENS.index(token)] = kind
    return values


def tokens_of(text, tokenizer=TOKENIZER):
    return [TOKENS[token_id] for token_id in tokenizer.encode(text).ids]


# --- text to tokens and back


def test_merges_are_applied_and_digits_stay_alone():
    merges = [*tiny_metadata()["tokenizer.ggml.merges"], "1 2", "Ġ 1"]
    tokens = [*TOKENS, "12", "Ġ1"]
    kinds = np.append(types(), [1, 1]).astype(np.int32)
    tokenizer = tokenizer_of(metadata(merges=merges, tokens=tokens, token_type=kinds))
    encoded = [tokens[i] for i in tokenizer.encode("hello world 12 ١٢").ids]
    assert encoded[:6] == ["hello", "Ġw", "o", "r", "l", "d"]
    assert encoded[6:9] == ["Ġ", "1", "2"]


def test_control_tokens_are_special_and_found_in_a_text():
    assert tokens_of("<|im_start|>hello<|im_end|>") == ["<|im_start|>", "hello", "<|im_end|>"]
    vocabulary = Vocabulary.from_tokenizer(TOKENIZER, [2])
    assert vocabulary.special_token_ids == {TOKENS.index(token) for token in SPECIALS}
    assert vocabulary.size == len(TOKENS)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_every_text_comes_back(text):
    ids = TOKENIZER.encode(text).ids
    vocabulary = Vocabulary.from_tokenizer(TOKENIZER, [2])
    assert b"".join(map(vocabulary.token_bytes, ids)).decode() == text
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


def test_bos_comes_first_where_the_file_says_so():
    tokenizer = tokenizer_of(metadata(add_bos_token=True))
    assert tokens_of("hello", tokenizer) == ["<|im_start|>", "hello"]
    assert tokens_of("hello") == ["hello"]


def test_user_defined_tokens_are_found_in_a_text_and_are_text():
    tokenizer = tokenizer_of(metadata(token_type=types(hello=4)))
    assert tokens_of("xhello", tokenizer) == ["x", "hello"]
    vocabulary = Vocabulary.from_tokenizer(tokenizer, [2])
    assert TOKENS.index("hello") not in vocabulary.special_token_ids


# --- the end


def test_the_end_is_what_the_file_names_and_control_tokens_with_well_known_names():
    assert eos_token_ids_of(metadata()) == (0, 2)
    assert eos_token_ids_of(metadata(eos_token_id=5, eot_token_id=7)) == (0, 2, 5, 7)
    assert eos_token_ids_of(metadata(eos_token_id=None)) == (0, 2)
    normal = types() * 0 + 1
    assert eos_token_ids_of(metadata(eos_token_id=3, token_type=normal)) == (3,)


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, "must be 'gpt2' (byte-level BPE). Given: 'llama'"),
        ({"model": None}, "`tokenizer.ggml.model` must be a text"),
        ({"pre": "qwen2"}, "`tokenizer.ggml.pre` must be 'smollm'. Given: 'qwen2'"),
        ({"pre": None}, "`tokenizer.ggml.pre` must be a text. Given: None"),
        (
            {"tokens": [*TOKENS[:-1], "a"]},
            "tokens` must be unique. Given twice: 'a'",
        ),
        ({"tokens": [*TOKENS[:-1], ""]}, f"must not be empty. Given: '' at id {len(TOKENS) - 1}"),
        ({"tokens": 5}, "must be an array of texts. Given: 5"),
        ({"merges": ["he"]}, "must join two tokens to one. Given: 'he'"),
        ({"merges": ["a b"]}, "must join two tokens to one. Given: 'a b'"),
        ({"merges": [" h"]}, "must join two tokens to one. Given: ' h'"),
        ({"merges": ["h e", "l l", "h e"]}, "merges` must be unique. Given twice: 'h e'"),
        ({"token_type": None}, f"an int32 for each of the {len(TOKENS)} tokens"),
        ({"token_type": types()[1:]}, "an int32 for each"),
        ({"token_type": types().astype(np.float32)}, "an int32 for each"),
        ({"token_type": types(a=0)}, "must be from 1 to 6"),
        ({"token_type": types(a=7)}, "must be from 1 to 6"),
        ({"add_bos_token": True, "bos_token_id": None}, "`tokenizer.ggml.bos_token_id`"),
        ({"add_bos_token": True, "bos_token_id": len(TOKENS)}, "from 0 to"),
        ({"add_bos_token": 1}, "`tokenizer.ggml.add_bos_token` must be true or false. Given: 1"),
        ({"add_bos_token": "yes"}, "`tokenizer.ggml.add_bos_token` must be true or false"),
        *(
            ({name: value}, f"`tokenizer.ggml.{name}` must be {legal}. Given: {value}")
            for name in (
                "add_eos_token",
                "add_sep_token",
                "add_space_prefix",
                "remove_extra_whitespaces",
            )
            for value, legal in ((True, "false"), (0, "true or false"))
        ),
        ({"normalizer": "NFC"}, "not supported in a tokenizer: 'tokenizer.ggml.normalizer'"),
        ({"precompiled_charsmap": "x"}, "'tokenizer.ggml.precompiled_charsmap'"),
    ],
)
def test_a_tokenizer_that_is_not_understood_is_refused(changes, message):
    with pytest.raises(GGUFError) as caught:
        tokenizer_of(metadata(**changes))
    assert message in str(caught.value)


def test_keys_without_effect_on_the_tokens_of_a_text_are_allowed():
    ids = {f"{name}_token_id": 0 for name in ("unknown", "padding", "fim_pre", "mask")}
    tokenizer = tokenizer_of(metadata(add_eos_token=False, scores=types(), **ids))
    assert tokens_of("hello", tokenizer) == ["hello"]


@pytest.mark.parametrize(
    ("limit", "most", "message"),
    [
        ("tokens.MAX_TOKENS", 100, "`tokenizer.ggml.tokens` must have <= 100 texts. Given: 264"),
        ("tokenizer.MAX_MERGES", 4, "`tokenizer.ggml.merges` must have <= 4 texts. Given: 5"),
        ("tokens.MAX_ADDED_TOKENS", 2, "<= 2 unknown, control and user-defined tokens. Given: 3"),
        ("tokens.MAX_ADDED_TOKEN_LENGTH", 10, "<= 10 characters. Given: '<|endoftext|>'"),
    ],
)
def test_a_vocabulary_beyond_a_limit_is_refused(monkeypatch, limit, most, message):
    monkeypatch.setattr(f"sampler.models.gguf.{limit}", most)
    with pytest.raises(GGUFError) as caught:
        tokenizer_of(metadata())
    assert message in str(caught.value)


def test_an_end_that_is_no_token_is_refused():
    with pytest.raises(GGUFError, match=r"`tokenizer\.ggml\.eos_token_id` must be an integer"):
        eos_token_ids_of(metadata(eos_token_id=len(TOKENS)))
