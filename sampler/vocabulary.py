"""Tokens as bytes: what each id of a tokenizer stands for in the generated text.

Rule of the file: a token is a byte string that does not depend on its neighbours. That holds for
two families of tokenizers, told apart by the tokenizer's own decoder: byte-level BPE, whose tokens
spell bytes in an alphabet of 256 printable characters, and SentencePiece-like ones, which write
the space as a visible character and may spell bytes as ``<0xNN>``. Decoders that look at
neighbours (WordPiece, CTC, BPE with suffixes) are refused. Rejected design: calling
``Tokenizer.decode`` on each id, which loses leading spaces and every incomplete character.
"""

import codecs
import copy
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer

from sampler.errors import InvalidParameterError, shown
from sampler.parameters import is_integer

# A tokenizer does not say which of its special tokens ends a sequence; these are the names in use.
# fmt: off
END_OF_SEQUENCE_NAMES = frozenset({
    "</s>", "<eos>", "[EOS]", "<|eos|>", "<EOS_TOKEN>", "<|endoftext|>", "<|end_of_text|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", "<|end|>", "<|return|>", "<|im_end|>", "<|eot|>",
    "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>",
})
# fmt: on
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vocabulary:
    """The tokens of one tokenizer as byte strings; immutable. Made by `from_tokenizer`.

    Attributes
    ----------
    tokenizer : turns prompts into token ids; never pads or truncates
    eos_token_ids : ids that end a sequence, as given, or ascending when they were looked up
    special_token_ids : ids that are never text: the tokenizer's special tokens, `eos_token_ids`,
        and ids without bytes (holes in the numbering)
    """

    tokenizer: Tokenizer
    eos_token_ids: tuple[int, ...]
    special_token_ids: frozenset[int]
    _token_bytes: tuple[bytes, ...]

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Tokenizer, eos_token_ids: Iterable[int] | None = None
    ) -> "Vocabulary":
        """The vocabulary of a byte-level or byte-fallback `tokenizer`.

        Parameters
        ----------
        tokenizer : a ``tokenizers.Tokenizer``; copied first when it pads or truncates, else used as
            it is, and tokens added to it later are not seen
        eos_token_ids : ids >= 0 and < `size`, each once; empty when nothing ends a sequence. None
            looks for `END_OF_SEQUENCE_NAMES` among the special added tokens: a guess that may
            find several or none, because a tokenizer does not say which token ends a sequence

        Raises
        ------
        InvalidParameterError : a tokenizer whose tokens are not byte strings of their own (its
            decoder is named), or an id that is out of range, repeated or not an integer
        """
        if not isinstance(tokenizer, Tokenizer):
            raise InvalidParameterError(
                f"`tokenizer` must be a tokenizers.Tokenizer. Given: {type(tokenizer).__name__}"
            )
        added = tokenizer.get_added_tokens_decoder()
        token_bytes = _all_token_bytes(tokenizer, added)
        if eos_token_ids is None:
            eos = tuple(i for i in sorted(added) if _is_end_of_sequence(added[i]))
        else:
            eos = _checked_eos_token_ids(eos_token_ids, len(token_bytes))
        special = {token_id for token_id, token in added.items() if token.special}
        special.update(eos)
        special.update(i for i, data in enumerate(token_bytes) if not data)
        return cls(_without_padding(tokenizer), eos, frozenset(special), token_bytes)

    def __repr__(self) -> str:
        return f"Vocabulary(size={self.size}, eos_token_ids={self.eos_token_ids})"

    @property
    def size(self) -> int:
        """The highest token id + 1, added tokens and holes in the numbering included."""
        return len(self._token_bytes)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that `token_id` (0 to `size` - 1) adds to the text, wherever it stands.

        Not always valid UTF-8, not always different from another token's, and empty for a hole.
        A leading space stays. Added tokens, special ones too, give their content in UTF-8.

        Raises
        ------
        InvalidParameterError : an id that is out of range or no integer
        """
        if is_integer(token_id) and 0 <= token_id < len(self._token_bytes):
            return self._token_bytes[token_id]
        raise InvalidParameterError(
            f"`token_id` must be an integer, >= 0 and < {self.size}. Given: {shown(token_id)}"
        )

    def token_text(self, token_id: int) -> str:
        """The text of `token_id` alone: U+FFFD for what is not UTF-8, the content of a special.

        Raises
        ------
        InvalidParameterError : an id that is out of range or no integer
        """
        return self.token_bytes(token_id).decode("utf-8", "replace")

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`, with the special tokens that the tokenizer itself puts around.

        Raises
        ------
        InvalidParameterError : a lone surrogate, which no tokenizer can take
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidParameterError(
                f"`inputs` must be valid Unicode. Given: a lone surrogate at index {error.start}"
            ) from None
        # `encode` would hold the GIL, and with a long text hold up every running stream
        (encoding,) = self.tokenizer.encode_batch_fast([text])
        return encoding.ids


def _without_padding(tokenizer: Tokenizer) -> Tokenizer:
    """`tokenizer`, or a copy where it would silently lengthen or shorten prompts."""
    if tokenizer.padding is None and tokenizer.truncation is None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _is_end_of_sequence(token: AddedToken) -> bool:
    return token.special and token.content in END_OF_SEQUENCE_NAMES


def _checked_eos_token_ids(given: Iterable[int], size: int) -> tuple[int, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidParameterError(f"`eos_token_ids` must be a list of ids. Given: {given!r}")
    token_ids = tuple(given)
    legal = f"`eos_token_ids` must be integers >= 0 and < {size}"
    problems = [
        f"{legal}. Given: {token_id!r}"
        for token_id in token_ids
        if not is_integer(token_id) or not 0 <= token_id < size
    ]
    if not problems and len(set(token_ids)) < len(token_ids):
        problems.append(f"{legal}, each once. Given: {list(token_ids)}")
    if problems:
        raise InvalidParameterError(problems)
    return tuple(map(int, token_ids))


def _all_token_bytes(tokenizer: Tokenizer, added: dict[int, AddedToken]) -> tuple[bytes, ...]:
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
    steps = _steps(tokenizer.decoder, "decoders")
    if not steps:
        # Trained without a decoder, but the pre-tokenizer already says how bytes are written.
        steps = [s for s in _steps(tokenizer.pre_tokenizer, "pretokenizers") if _is_byte_level(s)]
    if any(_is_byte_level(step) for step in steps):
        _refuse(step for step in steps if step["type"] not in ("ByteLevel", "Fuse"))
        return _byte_level_reader(), str.encode
    has_byte_tokens = getattr(model, "byte_fallback", False) or any(
        step["type"] == "ByteFallback" for step in steps
    )
    reader = _byte_fallback_reader(_replacements(steps), has_byte_tokens)
    return reader, reader


def _steps(component: Any, children: str) -> list[dict[str, Any]]:
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


def _is_byte_level(step: dict[str, Any]) -> bool:
    return bool(step["type"] == "ByteLevel")


def _refuse(steps: Iterable[dict[str, Any]]) -> None:
    if names := [step["type"] for step in steps]:
        raise InvalidParameterError(
            "`tokenizer` must be byte-level or byte-fallback, each token with its own bytes. "
            f"Given: a decoder with {', '.join(names)}"
        )


def _byte_level_reader() -> _Reader:
    """Reads the byte-level alphabet; a token with any other character is plain text.

    Bytes that print in Latin-1 stand for themselves, the others for U+0100 and up, in order.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section
    2.2, and the released encoder.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    alphabet = "".join(chr(byte if byte in printable else next(others)) for byte in range(256))
    encoding_map = codecs.charmap_build(alphabet)

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
