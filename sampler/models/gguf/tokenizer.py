"""The tokenizer in the metadata of a GGUF file.

Only byte-level BPE, and only with a pre-tokenizer that is known here by name: a text that is cut
in other places gives other tokens, and nothing would show it. For the same reason a key of the
tokenizer that is not known here is refused and not ignored.
"""

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from sampler.errors import shown
from sampler.models.gguf.metadata import GGUFError, Metadata
from sampler.models.gguf.tokens import (
    CONTROL,
    PREFIX,
    added_tokens_of,
    ids_of_type,
    token_id_of,
    tokens_of,
)
from sampler.vocabulary import END_OF_SEQUENCE_NAMES, NO_TOKEN

MAX_MERGES = 1 << 20
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
_READ = {"model", "pre", "tokens", "token_type", "merges", "bos_token_id", "add_bos_token"}
_MUST_BE_FALSE = ("add_eos_token", "add_sep_token", "add_space_prefix", "remove_extra_whitespaces")
# fmt: off
_WITHOUT_EFFECT = {  # on the tokens of a text: they name tokens for other uses, or rank them
    "scores", "token_type_count", "unknown_token_id", "separator_token_id", "seperator_token_id",
    "padding_token_id", "cls_token_id", "mask_token_id", "prefix_token_id", "suffix_token_id",
    "middle_token_id", "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id",
    "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id",
}
# fmt: on
_KNOWN_KEYS = {PREFIX + name for name in {*_READ, *_END_KEYS, *_MUST_BE_FALSE, *_WITHOUT_EFFECT}}


def tokenizer_of(metadata: Metadata) -> Tokenizer:
    """The tokenizer; control tokens are special, and bos comes first where the file says so.

    A text with a byte for which there is no token is refused: in transformers such a byte gives no
    token. The file's unknown token does not stand in: it is often the one that ends a document.

    Raises
    ------
    GGUFError : another kind of tokenizer, an unknown pre-tokenizer, a key that is not known, or
        tokens, merges and types that do not belong together
    """
    _check_keys(metadata)
    tokens = _vocabulary(tokens_of(metadata))
    merges = _merges(metadata.texts(PREFIX + "merges", MAX_MERGES), tokens)
    tokenizer = Tokenizer(models.BPE(tokens, merges, unk_token=NO_TOKEN))
    tokenizer.pre_tokenizer = _pre_tokenizer(metadata.text(PREFIX + "pre"))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(added_tokens_of(metadata))
    if metadata.truth(PREFIX + "add_bos_token"):
        tokenizer.post_processor = _bos_first(token_id_of(metadata, "bos_token_id"))
    return tokenizer


def eos_token_ids_of(metadata: Metadata) -> tuple[int, ...]:
    """The ids that end a sequence, ascending.

    Those that the file names as such, and its control tokens with a well-known name: a chat model
    ends a turn with one token and a document with another, and the file names one of them.

    Raises
    ------
    GGUFError : an id that is no token
    """
    tokens = tokens_of(metadata)
    named = {token_id_of(metadata, name) for name in _END_KEYS} - {None}
    known = {i for i in ids_of_type(metadata, CONTROL) if tokens[i] in END_OF_SEQUENCE_NAMES}
    return tuple(sorted(i for i in named | known if i is not None))


def _check_keys(metadata: Metadata) -> None:
    for key in metadata:
        if key.startswith(PREFIX) and key not in _KNOWN_KEYS:
            raise GGUFError(f"not supported in a tokenizer: {shown(key)}")
    for name in _MUST_BE_FALSE:
        if metadata.truth(PREFIX + name):
            raise GGUFError(f"`{PREFIX}{name}` must be false. Given: True")
    kind = metadata.text(PREFIX + "model")
    if kind != "gpt2":
        raise GGUFError(f"`{PREFIX}model` must be 'gpt2' (byte-level BPE). Given: {shown(kind)}")


def _vocabulary(tokens: Sequence[str]) -> dict[str, int]:
    vocabulary: dict[str, int] = {}
    for token_id, token in enumerate(tokens):
        if not token:
            raise GGUFError(f"`{PREFIX}tokens` must not be empty. Given: '' at id {token_id}")
        if token in vocabulary:
            raise GGUFError(f"`{PREFIX}tokens` must be unique. Given twice: {shown(token)}")
        vocabulary[token] = token_id
    return vocabulary


def _merges(merges: Sequence[str], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    pairs: dict[tuple[str, str], None] = {}  # in the order of the file
    for merge in merges:
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= vocabulary.keys():
            raise GGUFError(f"`{PREFIX}merges` must join two tokens to one. Given: {shown(merge)}")
        if (left, right) in pairs:
            raise GGUFError(f"`{PREFIX}merges` must be unique. Given twice: {shown(merge)}")
        pairs[left, right] = None
    return list(pairs)


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    if name != "smollm":
        raise GGUFError(f"`{PREFIX}pre` must be 'smollm'. Given: {shown(name)}")
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _bos_first(bos: int | None) -> processors.TemplateProcessing:
    if bos is None:
        raise GGUFError(f"`{PREFIX}bos_token_id` must be there where add_bos_token is true")
    return processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", bos)])
