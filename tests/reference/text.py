"""Slow twin of `sampler.detokenizer`: the rules of the text, applied to the whole text each time.

A token is given as ``(bytes, special)``. Nothing is kept from one token to the next: the text of
the k-th token is the difference between what is known after k and after k - 1 tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

ReferenceToken = tuple[bytes, bool]


class Character(NamedTuple):
    value: str
    special: bool
    token: int  # the token that completes it


class ReferenceText(NamedTuple):
    events: list[tuple[str, bool, bool]]  # text, special, stopped
    text: str


def _incomplete_prefixes() -> frozenset[bytes]:
    """Every proper prefix of a UTF-8 character of more than one byte."""
    samples = [chr(code) for code in (*range(0x80, 0x800), *range(0x800, 0x110000, 0x40))]
    encoded = [c.encode() for c in samples if not 0xD800 <= ord(c) < 0xE000]
    return frozenset(e[:n] for e in encoded for n in range(1, len(e)))


_INCOMPLETE = _incomplete_prefixes()


def split_incomplete(data: bytes) -> tuple[bytes, bytes]:
    """`data` without, and only, the incomplete character at its end."""
    for length in (3, 2, 1):
        if len(data) >= length and data[-length:] in _INCOMPLETE:
            return data[:-length], data[-length:]
    return data, b""


def characters(tokens: Sequence[ReferenceToken], complete: bool) -> tuple[list[Character], int]:
    """The text with specials in it, and the token where its incomplete character begins.

    Each character stands where its last byte stands. With `complete` an incomplete character at
    the end becomes U+FFFD. The second result is the number of tokens when there is none.
    """
    found: list[Character] = []
    plain, origin, done = b"", [], ""
    for index, (data, special) in enumerate(tokens):
        if special:
            found += [Character(c, True, index) for c in data.decode("utf-8", "replace")]
            continue
        plain += data
        origin += [index] * len(data)
        certain = split_incomplete(plain)[0].decode("utf-8", "replace")
        found += [Character(c, False, index) for c in certain[len(done) :]]
        done = certain
    rest = split_incomplete(plain)[1]
    if complete and rest:
        found += [Character("\ufffd", False, len(tokens) - 1)]
    return found, origin[len(plain) - len(rest)] if rest else len(tokens)


def first_match(text: str, stops: Sequence[str]) -> tuple[int, int] | None:
    """Where the first stop string to end begins and ends; the longest of those that end there."""
    for end in range(1, len(text) + 1):
        ending = [len(s) for s in stops if s and text[:end].endswith(s)]
        if ending:
            return end - max(ending), end
    return None


def possible_beginning(text: str, stops: Sequence[str]) -> int:
    """The length of the longest end of `text` with which a stop string begins."""
    lengths = [n for s in stops for n in range(1, len(s)) if text.endswith(s[:n])]
    return max(lengths, default=0)


def _plain(found: Sequence[Character]) -> str:
    return "".join(c.value for c in found if not c.special)


def _stopped_text(tokens: Sequence[ReferenceToken], stops: Sequence[str], trim: bool) -> str | None:
    """The generated text if the last of `tokens` completes a stop string."""
    found, incomplete_from = characters(tokens, complete=False)
    match = first_match("".join(c.value for c in found), stops)
    if match is None:
        return None
    start, end = match
    kept = found[:start] if trim else found[:end]
    text = _plain(kept)
    if found[end - 1].special and incomplete_from < len(tokens):
        # The incomplete character lies before the token that stops; was it cut off?
        before = [c for c in found if c.token <= incomplete_from]
        if not trim or start >= len(before):
            text += "\ufffd"
    return text


def _final_text(tokens: Sequence[ReferenceToken], stops: Sequence[str], trim: bool) -> str:
    found, _ = characters(tokens, complete=True)
    match = first_match("".join(c.value for c in found), stops)
    if match:
        found = found[: match[0] if trim else match[1]]
    return _plain(found)


def _certain_text(tokens: Sequence[ReferenceToken], stops: Sequence[str], trim: bool) -> str:
    found, _ = characters(tokens, complete=False)
    held = possible_beginning("".join(c.value for c in found), stops) if trim else 0
    return _plain(found[: len(found) - held])


def reference_text(
    tokens: Sequence[ReferenceToken], stops: Sequence[str], trim: bool
) -> ReferenceText:
    """The events of `tokens`, of which the last is pushed as such, and the generated text.

    There are fewer events than tokens when a stop string ends the text before.
    """
    events: list[tuple[str, bool, bool]] = []
    sent = ""
    for count in range(1, len(tokens) + 1):
        sofar = tokens[:count]
        data, special = sofar[-1]
        last = count == len(tokens) or "" in stops
        text = _stopped_text(sofar, stops, trim)
        stopped = text is not None
        if text is None and last:
            text = _final_text(sofar, stops, trim)
            found, _ = characters(sofar, complete=True)
            whole = "".join(c.value for c in found)
            stopped = "" in stops or first_match(whole, stops) is not None
        if text is None:
            text = sent if special else _certain_text(sofar, stops, trim)
        new = text[len(sent) :]
        assert text.startswith(sent), "text that was sent cannot be taken back"
        sent = text
        if special and not new:
            events.append((data.decode("utf-8", "replace"), True, stopped))
        else:
            events.append((new, False, stopped))
        if stopped or last:
            break
    return ReferenceText(events, sent)
