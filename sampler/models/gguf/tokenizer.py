"""The tokenizer and the chat template in the metadata of a GGUF file.

Only byte-level BPE, and only with a pre-tokenizer that is known here by name: a text that is cut
in other places gives other tokens, and nothing would show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from sampler.errors import InvalidParameterError, shown
from sampler.models.gguf.reader import GGUFError, Metadata
from sampler.vocabulary import END_OF_SEQUENCE_NAMES

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)
_PREFIX = "tokenizer.ggml."
_REFUSED_KEYS = (_PREFIX + "add_eos_token", _PREFIX + "add_space_prefix")
_END_KEYS = tuple(_PREFIX + key for key in ("eos_token_id", "eot_token_id", "eom_token_id"))


def tokenizer_of(metadata: Metadata) -> Tokenizer:
    """The tokenizer; control tokens are special, and bos comes first where the file says so.

    Raises
    ------
    GGUFError : another kind of tokenizer, an unknown pre-tokenizer, or tokens, merges and types
        that do not belong together
    """
    for key in _REFUSED_KEYS:
        if metadata.get(key, False) is not False:
            raise GGUFError(f"`{key}` must be false. Given: {shown(metadata[key])}")
    kind = metadata.text(_PREFIX + "model")
    if kind != "gpt2":
        raise GGUFError(f"`{_PREFIX}model` must be 'gpt2' (byte-level BPE). Given: {shown(kind)}")
    tokens = metadata.texts(_PREFIX + "tokens")
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        raise GGUFError(f"`{_PREFIX}tokens` must be unique")
    merges = _merges(metadata.texts(_PREFIX + "merges"), vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(metadata.text(_PREFIX + "pre"))
    tokenizer.decoder = decoders.ByteLevel()
    _add_tokens(tokenizer, tokens, _token_types(metadata, len(tokens)))
    _add_bos(tokenizer, metadata, tokens)
    return tokenizer


def eos_token_ids_of(metadata: Metadata) -> tuple[int, ...]:
    """The ids that end a sequence, ascending.

    Those that the file names as such, and its control tokens with a well-known name: a chat model
    ends a turn with one token and a document with another, and the file names one of them.

    Raises
    ------
    GGUFError : an id that is no token
    """
    tokens = metadata.texts(_PREFIX + "tokens")
    named = {_token_id(metadata, key, len(tokens)) for key in _END_KEYS if key in metadata}
    types = _token_types(metadata, len(tokens))
    known = {i for i in _ids_of(types, _CONTROL) if tokens[i] in END_OF_SEQUENCE_NAMES}
    return tuple(sorted(named | known))


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """How a model wants a conversation to be written.

    Attributes
    ----------
    source : the Jinja template
    bos_token, eos_token : texts that the template may use
    """

    source: str
    bos_token: str
    eos_token: str

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> "ChatTemplate | None":
        """The template of the file; None when it has none."""
        key = "tokenizer.chat_template"
        if key not in metadata:
            return None
        tokens = metadata.texts(_PREFIX + "tokens")
        bos, eos = (
            tokens[_token_id(metadata, _PREFIX + name, len(tokens))]
            if _PREFIX + name in metadata
            else ""
            for name in ("bos_token_id", "eos_token_id")
        )
        return cls(metadata.text(key), bos, eos)

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True
    ) -> str:
        """The prompt for a conversation.

        Parameters
        ----------
        messages : ``{"role": "user", "content": "..."}`` and so on, oldest first
        add_generation_prompt : end with the beginning of the model's answer

        Raises
        ------
        InvalidParameterError : jinja2 is not installed, or the template fails on these messages
        """
        try:
            jinja2, sandbox = import_module("jinja2"), import_module("jinja2.sandbox")
        except ImportError as error:
            raise InvalidParameterError(
                "a chat template needs jinja2: pip install 'token-sampler[chat]'"
            ) from error

        def raise_exception(message: str) -> None:
            raise jinja2.TemplateError(message)

        environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = raise_exception
        try:
            prompt: str = environment.from_string(self.source).render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
            )
            return prompt
        except Exception as error:  # the template comes with the file: whatever it does is wrong
            raise InvalidParameterError(f"the chat template fails: {shown(error)}") from error


def _merges(merges: list[str], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    pairs = []
    for merge in merges:
        left, space, right = merge.partition(" ")
        if not space or not {left, right, left + right} <= vocabulary.keys():
            raise GGUFError(f"`{_PREFIX}merges` must join two tokens to one. Given: {shown(merge)}")
        pairs.append((left, right))
    return pairs


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    if name != "smollm":
        raise GGUFError(f"`{_PREFIX}pre` must be 'smollm'. Given: {shown(name)}")
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _token_types(metadata: Metadata, count: int) -> np.ndarray[Any, Any]:
    types = metadata.get(_PREFIX + "token_type")
    if not isinstance(types, np.ndarray) or types.dtype != np.int32 or len(types) != count:
        raise GGUFError(f"`{_PREFIX}token_type` must be an int32 for each of the {count} tokens")
    if not np.isin(types, range(_NORMAL, _BYTE + 1)).all():
        raise GGUFError(f"`{_PREFIX}token_type` must be from {_NORMAL} to {_BYTE}")
    return types


def _ids_of(types: np.ndarray[Any, Any], *wanted: int) -> Iterator[int]:
    return iter(np.flatnonzero(np.isin(types, wanted)).tolist())


def _add_tokens(tokenizer: Tokenizer, tokens: list[str], types: np.ndarray[Any, Any]) -> None:
    """Makes the tokens that are found in a text before it is cut."""
    added = [
        AddedToken(tokens[i], special=bool(types[i] != _USER_DEFINED), normalized=False)
        for i in _ids_of(types, _UNKNOWN, _CONTROL, _USER_DEFINED)
    ]
    if any(not token.content for token in added):
        raise GGUFError(f"`{_PREFIX}tokens` must not have an empty control token")
    tokenizer.add_tokens(added)


def _add_bos(tokenizer: Tokenizer, metadata: Metadata, tokens: list[str]) -> None:
    if metadata.get(_PREFIX + "add_bos_token", False) is not True:
        return
    bos = _token_id(metadata, _PREFIX + "bos_token_id", len(tokens))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A", special_tokens=[("[BOS]", bos)]
    )


def _token_id(metadata: Metadata, key: str, count: int) -> int:
    return metadata.integer(key, low=0, high=count - 1)
