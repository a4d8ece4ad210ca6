"""What a grammar needs to know of a tokenizer."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class GrammarVocabulary(Protocol):
    """The tokens of a tokenizer as byte strings; `sampler.Vocabulary` is one."""

    @property
    def size(self) -> int:
        """The number of token ids."""

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Ids that end a sequence; at least one."""

    @property
    def special_token_ids(self) -> frozenset[int]:
        """Ids that are never text."""

    def token_bytes(self, token_id: int) -> bytes:
        """What `token_id` adds to the text."""
