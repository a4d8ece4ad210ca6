"""How the tokens of a tokenizer spell bytes.

Rule of the file: a token is a byte string that does not depend on its neighbours. That holds for
two families of tokenizers, told apart by the tokenizer's own decoder: byte-level BPE, whose tokens
spell bytes in an alphabet of 256 printable characters, and SentencePiece-like ones, which write
the space as a visible character and may spell bytes as ``<0xNN>``. Decoders that look at
neighbours (WordPiece, CTC, BPE with suffixes) are refused. Rejected design: calling
``Tokenizer.decode`` on each id, which loses leading spaces and every incomplete character.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer

from sampler.errors import InvalidParameterError

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_alphabet() -> str:
    """The 256 characters that spell bytes: those that print in Latin-1 stand for themselves.

    The others stand for U+0100 and up, in order.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section
    2.2, and the released encoder.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_ALPHABET = _byte_alphabet()


def all_token_bytes(tokenizer: Tokenizer, added: dict[int, AddedToken]) -> tuple[bytes, ...]:
    """The bytes of every id from 0 to the highest; empty where no token has the id."""
    to_bytes, added_to_bytes = _readers(tokenizer)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    highest = max([*vocabulary.values(), *added], default=-1)
    if highest < 0:
        raise InvalidParameterError("`tokenizer` must have tokens. Given: an empty vocabulary")
    token_bytes = [b""] * (highest + 1)
    for token, token_id in vocabulary.items():
        token_bytes[token_id] = to_bytes(token)
    for token_id, entry in added.items():
        read = str.encode if entry.special else added_to_bytes
        token_bytes[token_id] = read(entry.content)
    return tuple(token_bytes)


_Reader = Callable[[str], bytes]


def _readers(tokenizer: Tokenizer) -> tuple[_Reader, _Reader]:
    """How a token, and how an added token that is not special, is read as bytes.

    An added token of a byte-level tokenizer is plain text. The others run theirs through the
    decoder like any token: some list runs of the visible space character as added tokens.
    """
    model = tokenizer.model
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if value := getattr(model, name, None):
            raise InvalidParameterError(f"`tokenizer` must not mark words by {name} {value!r}")
    steps = steps_of(tokenizer.decoder, "decoders")
    if not steps:
        # Trained without a decoder, but the pre-tokenizer already says how bytes are written.
        steps = [s for s in steps_of(tokenizer.pre_tokenizer, "pretokenizers") if is_byte_level(s)]
    if any(is_byte_level(step) for step in steps):
        _refuse(step for step in steps if step["type"] not in ("ByteLevel", "Fuse"))
        return _byte_level_reader(), str.encode
    has_byte_tokens = getattr(model, "byte_fallback", False) or any(
        step["type"] == "ByteFallback" for step in steps
    )
    reader = _byte_fallback_reader(_replacements(steps), has_byte_tokens)
    return reader, reader


def steps_of(component: Any, children: str) -> list[dict[str, Any]]:
    """The JSON of a decoder or pre-tokenizer as a flat list of its steps, outermost first."""
    if component is None:
        return []
    try:
        # Only this part: writing out a whole tokenizer takes as long as loading it.
        state = json.loads(component.__getstate__())
    except Exception as error:  # the native library raises plain Exception for Python components
        raise InvalidParameterError(f"`tokenizer` must not have custom {children}") from error
    return _flattened(state, children)


def _flattened(state: dict[str, Any], children: str) -> list[dict[str, Any]]:
    if state["type"] != "Sequence":
        return [state]
    return [step for child in state[children] for step in _flattened(child, children)]


def is_byte_level(step: dict[str, Any]) -> bool:
    """Whether a step of `steps_of` writes bytes in the byte-level alphabet, or reads them."""
    return bool(step["type"] == "ByteLevel")


def _refuse(steps: Iterable[dict[str, Any]]) -> None:
    if names := [step["type"] for step in steps]:
        raise InvalidParameterError(
            "`tokenizer` must be byte-level or byte-fallback, each token with its own bytes. "
            f"Given: a decoder with {', '.join(names)}"
        )


def _byte_level_reader() -> _Reader:
    """Reads the byte-level alphabet; a token with any other character is plain text."""
    encoding_map = codecs.charmap_build(BYTE_ALPHABET)

    def read(token: str) -> bytes:
        try:
            return codecs.charmap_encode(token, "strict", encoding_map)[0]
        except UnicodeEncodeError:
            return token.encode()

    return read


def _replacements(steps: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """What a decoder puts in place of what in each token; any other kind of step is refused.

    A final Strip, and Metaspace at the start, only take the first space of a whole decoded text.
    Generated text continues a prompt, so that space is real and stays.
    """
    replacements: list[tuple[str, str]] = []
    refused: list[dict[str, Any]] = [] if steps else [{"type": "no steps"}]
    fused = False
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": pattern}, "content": content}:
                replacements.append((pattern, content))
            case {"type": "Metaspace", "replacement": replacement}:
                replacements.append((replacement, " "))
            case {"type": "Fuse"}:
                fused = True
            case {"type": "ByteFallback"}:
                pass
            case {"type": "Strip", "content": " ", "stop": 0} if fused:
                pass
            case _:
                refused.append(step)
    _refuse(refused)
    return replacements


def _byte_fallback_reader(
    replacements: Sequence[tuple[str, str]], has_byte_tokens: bool
) -> _Reader:
    """Reads plain text with `replacements` and, if any, tokens that spell a byte as ``<0xNN>``."""

    def read(token: str) -> bytes:
        if has_byte_tokens and (byte := _BYTE_TOKEN.fullmatch(token)):
            return bytes.fromhex(byte[1])
        for old, new in replacements:
            token = token.replace(old, new)
        return token.encode()

    return read
