"""Why a grammar does not allow a token: where its bytes stop fitting, and what could come there."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Reason = Literal[
    "bytes",
    "repeated_key",
    "repeated_value",
    "incomplete",
    "ended",
    "special",
    "no_bytes",
    "unknown_id",
]
Expectations = dict[bytes, tuple[bytes, bool]]  # what can come after bytes, and whether an end can
_TEXTS = {
    "incomplete": "the text cannot end here",
    "ended": "the text has ended",
    "special": "a special token is no text",
    "no_bytes": "a token without bytes is no text",
    "unknown_id": "the vocabulary has no such token",
}
_NAMES = {0x20: "a space", 0x0A: "a line break", 0x09: "a tab", 0x0D: "a carriage return"}
_LEADS = frozenset(range(0xC2, 0xF5))  # what the characters beyond ASCII begin with
_MOST_ITEMS = 8
_MOST_BEFORE = 24  # characters


class Follower(Protocol):
    """What is needed of a matcher."""

    def accept_bytes(self, data: bytes) -> bool:
        """Whether `data` can come next; if so it becomes part of the text, as one step."""

    def rollback(self, n: int) -> None:
        """None; takes back the last `n` steps."""

    def is_accepting(self) -> bool:
        """Whether the text is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """Why a token cannot come next; its `str` is a sentence.

    Attributes
    ----------
    reason : "bytes" (its text does not fit), "repeated_key" (an object would have a key twice),
        "repeated_value" (so would an array an item, or all such keys or items are there already),
        "incomplete" (an end of sequence while the text cannot end), "ended" (only an end of
        sequence can follow one), "special" or "no_bytes" (it is no text), "unknown_id"
    token_bytes : its text; b"" where it has none
    accepted : how many bytes of it could still come
    expected : the bytes that could come after those, ascending, each once
    may_end : whether the text could end after those
    """

    reason: Reason
    token_bytes: bytes
    accepted: int
    expected: bytes
    may_end: bool

    def __str__(self) -> str:
        return self.describe()

    def describe(self, before: bytes = b"") -> str:
        """A sentence about it; `before` is the text so far, of which the end is shown."""
        fitting = before[-4 * (_MOST_BEFORE + 1) :] + self.token_bytes[: self.accepted]
        known = fitting.decode("utf-8", "replace")
        cut = "…" if len(known) > _MOST_BEFORE else ""
        place = f"after `{cut}{known[-_MOST_BEFORE:]}`" if known else "at the beginning"
        if self.reason == "repeated_key":
            what = f"{place} the object would have a key twice"
        elif self.reason == "repeated_value":
            what = f"{place} there would be a key or an item twice, or none is left"
        elif self.reason == "bytes":
            what = f"{place} there cannot be {_first_character(self.token_bytes[self.accepted :])}"
        else:
            what = _TEXTS[self.reason]
            if self.reason == "incomplete" and known:
                what = f"the text cannot end {place}"
        items = [*_items(self.expected), *(["the end of the text"] if self.may_end else [])]
        more = [f"{len(items) - _MOST_ITEMS} more"] if len(items) > _MOST_ITEMS else []
        return f"{what}; expected: {', '.join(items[:_MOST_ITEMS] + more)}"


class Tokens(Protocol):
    """What is needed of a vocabulary."""

    vocab_size: int
    eos_token_ids: tuple[int, ...]
    special_token_ids: frozenset[int]


def reason_for(token_id: int, token_bytes: bytes, tokens: Tokens, is_terminated: bool) -> Reason:
    """Why a token is refused, as far as that can be told from the token."""
    if not 0 <= token_id < tokens.vocab_size:
        return "unknown_id"
    if token_id in tokens.eos_token_ids:
        return "incomplete"
    if is_terminated:
        return "ended"
    if not token_bytes:
        return "special" if token_id in tokens.special_token_ids else "no_bytes"
    return "bytes"


class Explaining(ABC):
    """What all matchers have to say of the tokens that they refuse."""

    def explain_token(self, token_id: int) -> TokenRefusal | None:
        """Why `token_id` cannot come next; None if it can. Nothing changes.

        Raises
        ------
        InvalidParameterError : an id that is not an integer
        """
        return self.explain_tokens([token_id]).get(token_id)

    def explain_tokens(self, token_ids: Iterable[int]) -> dict[int, TokenRefusal]:
        """Why tokens cannot come next, by id; those that can are left out. Nothing changes.

        Raises
        ------
        InvalidParameterError : an id that is not an integer
        """
        known: Expectations = {}
        return {
            token_id: _refusal(self.fork(), *self._refused(token_id), known)
            for token_id in token_ids
            if not self.validate_tokens([token_id])
        }

    @abstractmethod
    def fork(self) -> Follower:
        """A second matcher in the same state, independent from here on."""

    @abstractmethod
    def validate_tokens(self, token_ids: Iterable[int]) -> int:
        """How many of `token_ids` could be accepted in order; nothing changes."""

    @abstractmethod
    def _refused(self, token_id: int) -> tuple[Reason, bytes]:
        """Why a token is refused, and its text."""


def _refusal(
    follower: Follower, reason: Reason, token_bytes: bytes, known: Expectations
) -> TokenRefusal:
    """What there is to say of a refused token; `follower`, where the text is now, is used up.

    At most 256 bytes are tried after those of the token that fit, unless `known`, which is filled,
    has what can come after those.
    """
    accepted = 0
    if reason in ("bytes", "repeated_key"):
        while accepted < len(token_bytes) and follower.accept_bytes(
            token_bytes[accepted : accepted + 1]
        ):
            accepted += 1
    fitting = token_bytes[:accepted]
    if fitting not in known:
        known[fitting] = _expected(follower), follower.is_accepting()
    expected, may_end = known[fitting]
    return TokenRefusal(
        reason=reason,
        token_bytes=token_bytes,
        accepted=accepted,
        expected=expected,
        may_end=may_end,
    )


def _expected(follower: Follower) -> bytes:
    """The bytes that can come next, ascending."""
    expected = bytearray()
    for byte in range(256):
        if follower.accept_bytes(bytes([byte])):
            follower.rollback(1)
            expected.append(byte)
    return bytes(expected)


def _first_character(data: bytes) -> str:
    """How the first character of `data` is written, or its first byte if that begins none."""
    for size in range(1, 5):
        try:
            character = data[:size].decode()
        except UnicodeDecodeError:
            continue
        return _NAMES.get(data[0], f"`{character}`" if character.isprintable() else _hex(data[0]))
    return _hex(data[0])


def _items(expected: bytes) -> Iterator[str]:
    """How a set of bytes is written: runs of printable ones, names, and what is beyond ASCII."""
    for first, last in _runs(byte for byte in expected if 0x20 < byte < 0x7F):
        if (first, last) == (0x30, 0x39):
            yield "a digit"
        elif last - first > 1:
            yield f"`{chr(first)}` to `{chr(last)}`"
        else:
            yield from (f"`{chr(byte)}`" for byte in range(first, last + 1))
    yield from (name for byte, name in _NAMES.items() if byte in expected)
    high = {byte for byte in expected if byte >= 0x80}
    if high == _LEADS:
        yield "a character beyond ASCII"
        high = set()
    control = {byte for byte in expected if byte < 0x20 or byte == 0x7F} - _NAMES.keys()
    for first, last in _runs(sorted(control | high)):
        yield _hex(first) if first == last else f"{_hex(first)} to {_hex(last)}"


def _runs(ascending: Iterator[int] | list[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of consecutive integers."""
    runs: list[tuple[int, int]] = []
    for value in ascending:
        if runs and runs[-1][1] == value - 1:
            runs[-1] = runs[-1][0], value
        else:
            runs.append((value, value))
    return runs


def _hex(byte: int) -> str:
    return f"byte 0x{byte:02X}"
