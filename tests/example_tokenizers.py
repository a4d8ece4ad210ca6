"""Small real tokenizers of both families, and the large ones where they are at hand."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SHARED_TOKENIZERS = Path(__file__).parents[2] / "shared" / "tokenizers"
CORPUS = (
    "The quick brown fox jumps over the lazy dog. Tokens are bytes, and bytes are text.\n"
    "A text that is generated token by token must never lose a character of the text.\n"
) * 20
# Whole of one script, then characters of several code points, then each plane of UTF-8.
SAMPLES = {
    "ascii": "The quick text, token by token.",
    "latin": "Zażółć gęślą jaźń, œuvre naïve",
    "cjk": "你好，世界。日本語のテキスト 한국어",
    "emoji": "ok 👍🏽 🎉🎊 🇪🇺 done",
    "zwj": "family 👩‍👩‍👧‍👦 flag 🏳️‍🌈 end",
    "combining": "e\u0301 a\u0308\u0323 नमस्ते ก็ zalgo\u0334\u0316\u0341",
    "planes": "\u007f\u0080\u07ff\u0800\ufffd\uffff\U00010000\U0010ffff",
    "spaces": "  two  spaces\tand\n\nlines \u00a0 ",
}


def byte_level_alphabet() -> list[str]:
    """The character that spells each byte, taken from the library itself."""
    spelled_by = {}
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for character in map(chr, range(0x110)):
        spelled = pre_tokenizer.pre_tokenize_str(character)[0][0]
        spelled_by.update(zip(character.encode(), spelled, strict=True))
    # The bytes that are not in those characters print in Latin-1 and stand for themselves.
    return [spelled_by.get(byte, chr(byte)) for byte in range(256)]


def byte_level_of(tokens: Sequence[bytes], specials: Sequence[str] = ()) -> Tokenizer:
    """A byte-level tokenizer that has exactly `tokens` in order, then `specials`."""
    alphabet = byte_level_alphabet()
    spelled = {"".join(alphabet[b] for b in token): i for i, token in enumerate(tokens)}
    assert len(spelled) == len(tokens), "the tokens must differ"
    tokenizer = Tokenizer(models.BPE(vocab=spelled, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(specials))
    return tokenizer


@cache
def trained_byte_level() -> Tokenizer:
    """Byte-level BPE, with one special token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS, "日本語 👍🏽 日本語 👍🏽"], trainer)
    return tokenizer


@cache
def trained_byte_fallback() -> Tokenizer:
    """BPE over visible spaces whose other characters fall back to ``<0xNN>``, as Llama's."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    # The trainer does not make the byte tokens: they follow the others.
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    size = len(vocabulary)
    vocabulary.update({f"<0x{byte:02X}>": size + byte for byte in range(256)})
    return Tokenizer.from_str(json.dumps(state))


@cache
def shared_tokenizer(name: str) -> Tokenizer:
    """A large tokenizer that is no part of the repository; skips the test where it is absent."""
    path = SHARED_TOKENIZERS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return Tokenizer.from_file(str(path))
