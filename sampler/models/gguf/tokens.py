"""The tokens that a GGUF file lists, and of what type each is; all of it checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken

from sampler.errors import shown
from sampler.models.gguf.metadata import GGUFError, Metadata

PREFIX = "tokenizer.ggml."
MAX_TOKENS = 1 << 19
MAX_ADDED_TOKENS = 1 << 14
MAX_ADDED_TOKEN_LENGTH = 256  # all of them are searched for at once, in an automaton

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def tokens_of(metadata: Metadata) -> Sequence[str]:
    """The text of each token, in the order of ids; raises GGUFError where there are none."""
    return metadata.texts(PREFIX + "tokens", MAX_TOKENS)


def token_id_of(metadata: Metadata, name: str) -> int | None:
    """The id at the key `name`, None without one; raises GGUFError where it is no token."""
    if PREFIX + name not in metadata:
        return None
    return metadata.integer(PREFIX + name, low=0, high=len(tokens_of(metadata)) - 1)


def ids_of_type(metadata: Metadata, *types: int) -> list[int]:
    """The ids of the tokens of any of these types, ascending; raises GGUFError without types."""
    return np.flatnonzero(np.isin(_types(metadata), types)).tolist()


def added_tokens_of(metadata: Metadata) -> list[AddedToken]:
    """The tokens that are found in a text before it is cut; special unless they are user-defined.

    Raises
    ------
    GGUFError : more of them, or longer ones, than the limits allow; no types of tokens
    """
    tokens = tokens_of(metadata)
    ids = ids_of_type(metadata, UNKNOWN, CONTROL, USER_DEFINED)
    if len(ids) > MAX_ADDED_TOKENS:
        raise GGUFError(
            f"`{PREFIX}token_type` must have <= {MAX_ADDED_TOKENS} unknown, control and"
            f" user-defined tokens. Given: {len(ids)}"
        )
    user_defined = set(ids_of_type(metadata, USER_DEFINED))
    added = []
    for token_id in ids:
        content = tokens[token_id]
        if len(content) > MAX_ADDED_TOKEN_LENGTH:
            raise GGUFError(
                f"control and user-defined tokens must have <= {MAX_ADDED_TOKEN_LENGTH}"
                f" characters. Given: {shown(content)}"
            )
        special = token_id not in user_defined
        added.append(AddedToken(content, special=special, normalized=False))
    return added


def _types(metadata: Metadata) -> npt.NDArray[Any]:
    types, count = metadata.get(PREFIX + "token_type"), len(tokens_of(metadata))
    if not isinstance(types, np.ndarray) or types.dtype != np.int32 or len(types) != count:
        raise GGUFError(f"`{PREFIX}token_type` must be an int32 for each of the {count} tokens")
    if not np.isin(types, range(NORMAL, BYTE + 1)).all():
        raise GGUFError(f"`{PREFIX}token_type` must be from {NORMAL} to {BYTE}")
    return types
