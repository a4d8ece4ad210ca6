"""`Vocabulary`: the tokens of a tokenizer as byte strings, and prompts as tokens, nothing lost."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer, models

from sampler.errors import InvalidParameterError, shown
from sampler.parameters import is_integer
from sampler.token_bytes import BYTE_ALPHABET, all_token_bytes, is_byte_level, steps_of

# A tokenizer does not say which of its special tokens ends a sequence; these are the names in use.
# fmt: off
END_OF_SEQUENCE_NAMES = frozenset({
    "</s>", "<eos>", "[EOS]", "<|eos|>", "<EOS_TOKEN>", "<|endoftext|>", "<|end_of_text|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", "<|end|>", "<|return|>", "<|im_end|>", "<|eot|>",
    "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>",
})
# fmt: on
NO_TOKEN = "a token that no vocabulary has"  # as unknown token, it lets no character get lost


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vocabulary:
    """The tokens of one tokenizer as byte strings; immutable. Made by `from_tokenizer`.

    Attributes
    ----------
    tokenizer : turns prompts into token ids; never pads, truncates or leaves characters out
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
        tokenizer : a ``tokenizers.Tokenizer``; copied first when it pads or truncates, or leaves
            out what it has no token for, else used as it is; tokens added to it later are not seen
        eos_token_ids : ids >= 0 and < `size`, each once; empty when nothing ends a sequence. None
            looks for `END_OF_SEQUENCE_NAMES` among the special added tokens: a guess that may
            find several or none, because a tokenizer does not say which token ends a sequence

        Raises
        ------
        InvalidParameterError : a tokenizer whose tokens are not byte strings of their own (its
            decoder is named) or that cannot be copied, or an id that is out of range, repeated or
            not an integer
        """
        if not isinstance(tokenizer, Tokenizer):
            raise InvalidParameterError(
                f"`tokenizer` must be a tokenizers.Tokenizer. Given: {type(tokenizer).__name__}"
            )
        added = tokenizer.get_added_tokens_decoder()
        token_bytes = all_token_bytes(tokenizer, added)
        if eos_token_ids is None:
            eos = tuple(i for i in sorted(added) if _is_end_of_sequence(added[i]))
        else:
            eos = _checked_eos_token_ids(eos_token_ids, len(token_bytes))
        special = {token_id for token_id, token in added.items() if token.special}
        special.update(eos)
        special.update(i for i, data in enumerate(token_bytes) if not data)
        return cls(_that_loses_nothing(tokenizer), eos, frozenset(special), token_bytes)

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

        Every character is in them: what the vocabulary has no tokens for becomes the tokenizer's
        unknown token, if it has one of its own, and is refused if not. Most libraries would leave
        it out, and the model would answer another prompt than it was given.

        Raises
        ------
        InvalidParameterError : no string; a lone surrogate, which no tokenizer can take; a
            character that has no token, or another text that the tokenizer fails on
        """
        _check_text(text)
        try:
            return self._token_ids(text)
        except Exception as error:  # the native library raises plain Exception
            raise InvalidParameterError(self._problem(text, error)) from error

    def encode_with_offsets(self, text: str) -> list[tuple[int, tuple[int, int]]]:
        """The token ids of `encode`, each with where its characters begin and end in `text`.

        Raises
        ------
        InvalidParameterError : as `encode`
        """
        _check_text(text)
        try:
            (encoding,) = self.tokenizer.encode_batch([text])
        except Exception as error:
            raise InvalidParameterError(self._problem(text, error)) from error
        return list(zip(encoding.ids, encoding.offsets, strict=True))

    def _token_ids(self, text: str) -> list[int]:
        # `encode` would hold the GIL, and with a long text hold up every running stream
        (encoding,) = self.tokenizer.encode_batch_fast([text])
        return encoding.ids

    def _problem(self, text: str, error: Exception) -> str:
        """Why `text` cannot be encoded: the first character with which it fails, if one does."""
        start, stop = 0, len(text)
        while stop - start > 1:
            middle = (start + stop) // 2
            if self._fails_on(text[start:middle]):
                stop = middle
            else:
                start = middle
        if self._fails_on(text[start:stop]):
            return (
                "`inputs` must have characters that the vocabulary has tokens for."
                f" Given: {shown(text[start:stop])} at index {start}"
            )
        return f"`inputs` must be a text that the tokenizer takes. It says: {error}"

    def _fails_on(self, text: str) -> bool:
        try:
            self._token_ids(text)
        except Exception:
            return True
        return False


def _check_text(text: object) -> None:
    """Raises InvalidParameterError for what no tokenizer can take."""
    if not isinstance(text, str):
        raise InvalidParameterError(f"`inputs` must be a string. Given: {shown(text)}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidParameterError(
            f"`inputs` must be valid Unicode. Given: a lone surrogate at index {error.start}"
        ) from None


def _that_loses_nothing(tokenizer: Tokenizer) -> Tokenizer:
    """`tokenizer`, or a copy where it would silently lengthen, shorten or change prompts."""
    drops = _drops_characters(tokenizer)
    if tokenizer.padding is None and tokenizer.truncation is None and not drops:
        return tokenizer
    try:
        tokenizer = copy.deepcopy(tokenizer)
    except Exception as error:  # the native library raises plain Exception for Python components
        raise InvalidParameterError(
            "`tokenizer` must not have custom components: it has to be changed, and they cannot be"
            " copied. Used as it is when it does not pad or truncate (`no_padding`,"
            " `no_truncation`) and, if its model is BPE, `model.unk_token` is set; with a text that"
            " is no token, characters without a token are refused"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if drops:
        # looked up where a character would be left out, and then missed with an error
        tokenizer.model.unk_token = NO_TOKEN
    return tokenizer


def _drops_characters(tokenizer: Tokenizer) -> bool:
    """Whether there may be characters that encode to nothing: only BPE does that."""
    model = tokenizer.model
    if not isinstance(model, models.BPE) or model.unk_token is not None:
        return False
    if model.byte_fallback:
        return any(tokenizer.token_to_id(f"<0x{byte:02X}>") is None for byte in range(256))
    try:
        steps = steps_of(tokenizer.pre_tokenizer, "pretokenizers")
    except InvalidParameterError:  # it is custom, and may do anything
        return True
    if not any(is_byte_level(step) for step in steps):
        return True
    return any(tokenizer.token_to_id(character) is None for character in BYTE_ALPHABET)


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
