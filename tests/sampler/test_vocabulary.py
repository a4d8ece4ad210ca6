import json
import pickle
import re

import numpy as np
import pytest
from example_tokenizers import (
    SAMPLES,
    byte_level_alphabet,
    byte_level_of,
    shared_tokenizer,
    trained_byte_fallback,
    trained_byte_level,
)
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from sampler.errors import InvalidParameterError
from sampler.vocabulary import Vocabulary

FAMILIES = {"byte-level": trained_byte_level, "byte-fallback": trained_byte_fallback}
SHARED = ("qwen3", "deepseek-v3")


def copy_of(tokenizer: Tokenizer) -> Tokenizer:
    return Tokenizer.from_str(tokenizer.to_str())


def with_decoder(decoder: object) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "▁b": 1, "<0x43>": 2}, merges=[]))
    tokenizer.decoder = decoder
    return tokenizer


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_bytes_of_encoded_text_are_the_text(family, sample):
    text = SAMPLES[sample]
    vocabulary = Vocabulary.from_tokenizer(FAMILIES[family]())
    data = b"".join(vocabulary.token_bytes(i) for i in vocabulary.encode(text))
    prefix = " " if family == "byte-fallback" else ""
    assert data.decode() == prefix + text


def test_byte_level_tokens_spell_every_byte():
    alphabet = byte_level_alphabet()
    assert len(set(alphabet)) == 256
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert [vocabulary.token_bytes(i) for i in range(256)] == [bytes([i]) for i in range(256)]
    assert vocabulary.token_text(0x41) == "A"
    assert vocabulary.token_text(0xE2) == "\ufffd"


@pytest.mark.parametrize(
    "decoder",
    [
        decoders.ByteLevel(),
        decoders.Sequence([decoders.ByteLevel()]),
        decoders.Sequence([decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()])]),
        None,
    ],
)
def test_byte_level_is_recognised_by_decoder_or_else_by_pre_tokenizer(decoder):
    tokenizer = copy_of(trained_byte_level())
    tokenizer.decoder = decoder
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.token_bytes(tokenizer.token_to_id("Ġ")) == b" "


@pytest.mark.parametrize(
    "steps",
    [
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
    ],
)
def test_byte_fallback_is_recognised_with_replace_or_metaspace(steps):
    vocabulary = Vocabulary.from_tokenizer(with_decoder(steps))
    assert [vocabulary.token_bytes(i) for i in range(3)] == [b"a", b" b", b"C"]


def test_byte_tokens_are_bytes_when_only_the_model_says_so():
    tokenizer = Tokenizer(models.BPE(vocab={"<0x43>": 0}, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Metaspace()
    assert Vocabulary.from_tokenizer(tokenizer).token_bytes(0) == b"C"


def test_byte_tokens_are_text_when_neither_decoder_nor_model_knows_them():
    vocabulary = Vocabulary.from_tokenizer(with_decoder(decoders.Metaspace()))
    assert vocabulary.token_bytes(2) == b"<0x43>"


def test_a_leading_space_is_part_of_the_token():
    vocabulary = Vocabulary.from_tokenizer(trained_byte_fallback())
    token_id = vocabulary.tokenizer.token_to_id("▁token")
    assert vocabulary.token_bytes(token_id) == b" token"
    assert vocabulary.tokenizer.decode([token_id]) == "token"


def test_different_tokens_may_have_the_same_bytes():
    fallback = Vocabulary.from_tokenizer(trained_byte_fallback())
    plain, spelled = (fallback.tokenizer.token_to_id(token) for token in ("t", "<0x74>"))
    assert plain != spelled
    assert fallback.token_bytes(plain) == fallback.token_bytes(spelled) == b"t"

    tokenizer = byte_level_of([b" ", b"  ", b"x"])
    tokenizer.add_tokens([AddedToken("  ", normalized=False)])
    level = Vocabulary.from_tokenizer(tokenizer)
    assert level.size == 4
    assert level.token_bytes(1) == level.token_bytes(3) == b"  "


def test_added_tokens_of_a_byte_level_tokenizer_are_plain_text():
    tokenizer = byte_level_of([b"a", b"\xc3"])
    tokenizer.add_tokens(["Ġé"])
    tokenizer.add_special_tokens(["<｜end▁é｜>"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.token_bytes(2) == "Ġé".encode()
    assert vocabulary.token_bytes(3) == "<｜end▁é｜>".encode()
    assert vocabulary.token_text(3) == "<｜end▁é｜>"
    assert vocabulary.special_token_ids == {3}


def test_added_spaces_of_a_byte_fallback_tokenizer_are_spaces_except_in_specials():
    tokenizer = copy_of(trained_byte_fallback())
    tokenizer.add_tokens(["▁▁▁▁"])
    tokenizer.add_special_tokens(["<end▁of>"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.token_bytes(vocabulary.size - 2) == b"    "
    assert vocabulary.token_text(vocabulary.size - 1) == "<end▁of>"


def test_holes_and_empty_tokens_have_no_bytes_and_are_special():
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 4, "": 5}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.size == 6
    assert [vocabulary.token_bytes(i) for i in range(6)] == [b"a", b"", b"", b"", b"b", b""]
    assert vocabulary.special_token_ids == {1, 2, 3, 5}


@pytest.mark.parametrize("token_id", [-1, 3, 1 << 40])
def test_an_id_out_of_range_is_named(token_id):
    vocabulary = Vocabulary.from_tokenizer(byte_level_of([b"a", b"b", b"c"]))
    with pytest.raises(InvalidParameterError, match=rf"`token_id`.* < 3\. Given: {token_id}"):
        vocabulary.token_bytes(token_id)
    with pytest.raises(InvalidParameterError, match="`token_id`"):
        vocabulary.token_text(token_id)


def test_end_of_sequence_tokens_are_looked_up_among_the_specials():
    assert Vocabulary.from_tokenizer(trained_byte_fallback()).eos_token_ids == (2,)
    tokenizer = byte_level_of([b"a"], ["<pad>", "<|im_end|>", "<|endoftext|>"])
    tokenizer.add_tokens(["</s>"])
    assert Vocabulary.from_tokenizer(tokenizer).eos_token_ids == (2, 3)
    assert Vocabulary.from_tokenizer(byte_level_of([b"a"])).eos_token_ids == ()


def test_given_end_of_sequence_tokens_are_taken_and_special():
    tokenizer = byte_level_of([b"a", b"b"], ["</s>"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[1, 0])
    assert vocabulary.eos_token_ids == (1, 0)
    assert vocabulary.special_token_ids == {0, 1, 2}
    none = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[])
    assert (none.eos_token_ids, none.special_token_ids) == ((), {2})


def test_integers_of_numpy_are_ids():
    tokenizer = byte_level_of([b"a", b"b"], ["</s>"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=np.array([1, 0]))
    assert vocabulary.eos_token_ids == (1, 0)
    assert {type(token_id) for token_id in vocabulary.eos_token_ids} == {int}
    assert vocabulary.token_bytes(np.int64(1)) == vocabulary.token_bytes(1)


@pytest.mark.parametrize("token_id", ["a", 1.0, True, np.bool_(True), None, [1], -1, 3])
@pytest.mark.parametrize("name", ["token_bytes", "token_text"])
def test_what_is_no_id_has_no_bytes(name, token_id):
    vocabulary = Vocabulary.from_tokenizer(byte_level_of([b"a", b"b"], ["</s>"]))
    legal = "`token_id` must be an integer, >= 0 and < 3. Given: "
    with pytest.raises(InvalidParameterError, match=f"^{legal}{re.escape(repr(token_id))}$"):
        getattr(vocabulary, name)(token_id)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([3], "3"),
        ([-1], "-1"),
        ([True], "True"),
        (["</s>"], "'</s>'"),
        ([1.0], r"1\.0"),
        ([1, 1], r"each once.*\[1, 1\]"),
        (2, "2"),
        ("2", "'2'"),
    ],
)
def test_wrong_end_of_sequence_tokens_are_named(given, named):
    tokenizer = byte_level_of([b"a", b"b"], ["</s>"])
    with pytest.raises(InvalidParameterError, match=rf"`eos_token_ids` must be .*{named}"):
        Vocabulary.from_tokenizer(tokenizer, eos_token_ids=given)


@pytest.mark.parametrize(
    ("decoder", "named"),
    [
        (decoders.WordPiece(), "WordPiece"),
        (decoders.CTC(), "CTC"),
        (decoders.BPEDecoder(), "BPEDecoder"),
        (decoders.Sequence([decoders.ByteLevel(), decoders.WordPiece()]), "WordPiece"),
        (decoders.Sequence([decoders.Strip(" ", 1, 0), decoders.Fuse()]), "Strip"),
        (decoders.Sequence([decoders.Fuse(), decoders.Strip("_", 1, 0)]), "Strip"),
        (decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 0, 1)]), "Strip"),
        (None, "no steps"),
    ],
)
def test_other_decoders_are_refused_by_name(decoder, named):
    with pytest.raises(InvalidParameterError, match=f"byte-fallback.*{named}"):
        Vocabulary.from_tokenizer(with_decoder(decoder))


def test_a_replaced_pattern_is_refused():
    state = json.loads(with_decoder(decoders.Replace("▁", " ")).to_str())
    state["decoder"]["pattern"] = {"Regex": "▁+"}
    with pytest.raises(InvalidParameterError, match="Replace"):
        Vocabulary.from_tokenizer(Tokenizer.from_str(json.dumps(state)))


def test_a_decoder_written_in_python_is_refused():
    class Upper:
        def decode_chain(self, tokens: list[str]) -> list[str]:
            return [token.upper() for token in tokens]

    with pytest.raises(InvalidParameterError, match="custom decoders"):
        Vocabulary.from_tokenizer(with_decoder(decoders.Decoder.custom(Upper())))


def test_word_marks_of_the_model_are_refused():
    tokenizer = Tokenizer(models.BPE(vocab={"a</w>": 0}, merges=[], end_of_word_suffix="</w>"))
    tokenizer.decoder = decoders.ByteLevel()
    with pytest.raises(InvalidParameterError, match="end_of_word_suffix '</w>'"):
        Vocabulary.from_tokenizer(tokenizer)


def test_what_is_no_tokenizer_or_empty_is_refused():
    with pytest.raises(InvalidParameterError, match=r"tokenizers\.Tokenizer. Given: str"):
        Vocabulary.from_tokenizer("tokenizer.json")
    empty = Tokenizer(models.BPE())
    empty.decoder = decoders.ByteLevel()
    with pytest.raises(InvalidParameterError, match="empty vocabulary"):
        Vocabulary.from_tokenizer(empty)


def test_prompts_are_neither_cut_nor_padded():
    tokenizer = copy_of(trained_byte_level())
    text = SAMPLES["ascii"]
    expected = tokenizer.encode(text).ids
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=100)
    assert Vocabulary.from_tokenizer(tokenizer).encode(text) == expected
    assert len(tokenizer.encode(text).ids) == 100, "the caller's tokenizer is as it was"


def test_encode_adds_what_the_post_processor_adds():
    tokenizer = copy_of(trained_byte_fallback())
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    assert Vocabulary.from_tokenizer(tokenizer).encode("the")[0] == 1


def test_encode_names_a_lone_surrogate():
    vocabulary = Vocabulary.from_tokenizer(trained_byte_level())
    with pytest.raises(InvalidParameterError, match="lone surrogate at index 2"):
        vocabulary.encode("ok\ud83d")


@pytest.mark.parametrize("value", [5, None, b"text", ["text"]])
def test_encode_names_what_is_no_string(value):
    vocabulary = Vocabulary.from_tokenizer(trained_byte_level())
    with pytest.raises(
        InvalidParameterError, match=r"`inputs` must be a string. Given: "
    ) as caught:
        vocabulary.encode(value)
    assert repr(value) in str(caught.value)


# --- no character is lost


def level_without(*missing, **options):
    """Byte-level BPE with a token for every byte but these, and <|end|>."""
    alphabet = byte_level_alphabet()
    tokens = {alphabet[byte]: i for i, byte in enumerate(set(range(256)) - set(missing))}
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[], **options))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def fallback_without(*missing):
    """BPE that knows "a" and "▁", and spells every other byte but these."""
    tokens = ["a", "▁", *(f"<0x{byte:02X}>" for byte in range(256) if byte not in missing)]
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "text", "named"),
    [
        (level_without(4), "ab\x04c", r"'\x04' at index 2"),
        (level_without(4), "\x04", r"'\x04' at index 0"),
        (level_without(4), "é\x04" + "\x04" * 99, r"'\x04' at index 1"),
        (level_without(4), "a" * 10_000 + "\x04", r"'\x04' at index 10000"),
        (level_without(0x9F, 0xFF), "日本 \U0001f600", "'\U0001f600' at index 3"),
        (level_without(4), "<|end|>\x04", r"'\x04' at index 7"),
        (fallback_without(4), "a \x04", r"'\x04' at index 2"),
        (fallback_without(0xC3), "a é", "'é' at index 2"),
        (with_decoder(decoders.Metaspace()), "ab", "'b' at index 1"),
        (byte_level_of([b"a", b"b"]), "abc", "'c' at index 2"),
    ],
)
def test_a_character_without_a_token_is_named_and_not_left_out(tokenizer, text, named):
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    with pytest.raises(InvalidParameterError) as caught:
        vocabulary.encode(text)
    problem = "`inputs` must have characters that the vocabulary has tokens for. Given: "
    assert str(caught.value) == problem + named


def test_texts_without_that_character_are_encoded_as_ever():
    tokenizer = level_without(4, 0xFF)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    for sample in SAMPLES.values():
        assert vocabulary.encode(sample) == tokenizer.encode(sample).ids
    assert len(tokenizer.encode("a\x04b").ids) == 2, "the caller's tokenizer is as it was"
    tokenizer.add_tokens(["\x04"])
    assert len(Vocabulary.from_tokenizer(tokenizer).encode("a\x04b")) == 3
    again = pickle.loads(pickle.dumps(vocabulary))
    with pytest.raises(InvalidParameterError, match="has tokens for"):
        again.encode("\x04")


def test_a_complete_tokenizer_is_used_as_it_is():
    for tokenizer in (trained_byte_level(), trained_byte_fallback(), fallback_without()):
        assert Vocabulary.from_tokenizer(tokenizer).tokenizer is tokenizer


def test_an_unknown_token_of_the_tokenizer_stands_for_what_has_no_token():
    vocab = {"<unk>": 0, "a": 1}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Metaspace()
    assert Vocabulary.from_tokenizer(tokenizer).encode("aba") == [1, 0, 1]


def test_a_model_that_fails_on_a_character_is_named_too():
    tokenizer = Tokenizer(models.Unigram([("a", -1.0)], None, False))
    tokenizer.decoder = decoders.Metaspace()
    with pytest.raises(InvalidParameterError, match="Given: 'b' at index 1"):
        Vocabulary.from_tokenizer(tokenizer).encode("ab")


def test_a_text_that_fails_only_as_a_whole_is_named():
    tokenizer = level_without(0xA9)  # of é in one character, not of its parts
    tokenizer.normalizer = normalizers.NFC()
    with pytest.raises(InvalidParameterError, match="`inputs` must be a text that the tokenizer"):
        Vocabulary.from_tokenizer(tokenizer).encode("e\u0301")


def test_what_cannot_be_copied_and_may_lose_characters_is_refused():
    class Words:
        def pre_tokenize(self, text: object) -> None:
            pass

    tokenizer = byte_level_of([b"a"])
    tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(Words())
    with pytest.raises(InvalidParameterError, match=r"custom components: .* `model\.unk_token`"):
        Vocabulary.from_tokenizer(tokenizer)
    tokenizer.model.unk_token = "no token"
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.tokenizer is tokenizer
    with pytest.raises(InvalidParameterError, match="Given: 'b' at index 1"):
        vocabulary.encode("ab")
    tokenizer.enable_truncation(3)
    with pytest.raises(InvalidParameterError, match="`no_truncation`"):
        Vocabulary.from_tokenizer(tokenizer)


def test_a_vocabulary_is_immutable_and_can_be_pickled():
    vocabulary = Vocabulary.from_tokenizer(trained_byte_level())
    with pytest.raises(AttributeError):
        vocabulary.eos_token_ids = ()
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again.eos_token_ids == vocabulary.eos_token_ids
    assert again.encode("token") == vocabulary.encode("token")
    assert repr(vocabulary) == f"Vocabulary(size={vocabulary.size}, eos_token_ids=(0,))"


@pytest.mark.parametrize("name", SHARED)
def test_every_token_of_a_large_tokenizer_decodes_as_the_library_does(name):
    tokenizer = shared_tokenizer(name)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    alone = tokenizer.decode_batch([[i] for i in range(vocabulary.size)], skip_special_tokens=False)
    valid = 0
    for token_id, decoded in enumerate(alone):
        try:
            text = vocabulary.token_bytes(token_id).decode()
        except UnicodeDecodeError:
            continue
        valid += 1
        assert text == decoded, token_id
    assert valid > 0.97 * vocabulary.size


@pytest.mark.parametrize(("name", "size", "eos"), [
    ("qwen3", 151_669, {"<|endoftext|>", "<|im_end|>"}),
    ("deepseek-v3", 128_815, {"<｜end▁of▁sentence｜>"}),
])  # fmt: skip
def test_large_tokenizers_have_their_size_and_end_of_sequence(name, size, eos):
    vocabulary = Vocabulary.from_tokenizer(shared_tokenizer(name))
    assert vocabulary.size == size
    assert {vocabulary.token_text(i) for i in vocabulary.eos_token_ids} == eos
    assert set(vocabulary.eos_token_ids) <= vocabulary.special_token_ids
    assert all(vocabulary.token_bytes(i) for i in range(size))


def test_a_byte_level_pre_tokenizer_does_not_override_another_decoder():
    tokenizer = with_decoder(decoders.WordPiece())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    with pytest.raises(InvalidParameterError, match="WordPiece"):
        Vocabulary.from_tokenizer(tokenizer)
