"""Token ids to text, one token at a time: nothing lost, nothing garbled, cut at the stop string.

Rules of the text:

- Each token has its text at once. Text that is not certain yet moves to the text of a later token:
  an incomplete UTF-8 character and, with `trim_stop`, what may become a stop string. The last token
  brings whatever is still held; an incomplete character is then U+FFFD, as is a byte that cannot
  be UTF-8 as soon as it is seen.
- Special tokens show their content and are no part of the generated text. They do not interrupt an
  incomplete character. A last token that is special gives up its place when text is still held:
  its text is the held text, marked as not special. So the texts that are not special always
  concatenate to the generated text.
- Stop strings are looked for in the generated text with the content of special tokens in it, each
  character where its last byte stands. The first to end wins, the longest of those that end
  together. The generated text ends behind it, or before it with `trim_stop`.

Rejected design: decoding a window of tokens again for each token and comparing the two texts.
"""

from codecs import utf_8_decode
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sampler.stopping import StopStrings
from sampler.vocabulary import Vocabulary


class TokenText(NamedTuple):
    """What one token adds: `text`, whether it is `special`, whether a stop string is complete.

    The text of a special token is its whole content, also where a stop string ends inside it.
    """

    text: str
    special: bool
    stopped: bool


class TextStream:
    """The text of one sequence while it is generated.

    Parameters
    ----------
    vocabulary : of the tokens that will be pushed
    stop : stop strings, or one `StopStrings` for all sequences of a request; an empty string stops
        at the end of the first token
    trim_stop : leave the stop string out of the text
    """

    __slots__ = (
        "_held",
        "_held_length",
        "_incomplete",
        "_pieces",
        "_special_length",
        "_state",
        "_stop",
        "_trim_stop",
        "_vocabulary",
        "finished",
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        stop: StopStrings | Iterable[str] = (),
        trim_stop: bool = False,
    ) -> None:
        self.finished = False
        self._vocabulary = vocabulary
        self._stop = stop if isinstance(stop, StopStrings) else StopStrings(stop)
        self._trim_stop = trim_stop
        self._state = 0
        self._pieces: list[str] = []
        # Scanned text that has not been given to a token: (text, special) from left to right.
        self._held: deque[tuple[str, bool]] = deque()
        self._held_length = 0
        # Bytes of an incomplete character, and the length of the specials since its first byte.
        self._incomplete = b""
        self._special_length = 0

    @property
    def text(self) -> str:
        """The generated text so far, special tokens and text that is still held left out."""
        return "".join(self._pieces)

    def push(self, token_id: int, last: bool = False) -> TokenText:
        """What `token_id` adds to the text.

        Parameters
        ----------
        token_id : an id of the vocabulary
        last : no token follows, whatever the stop strings say; `stopped` tells whether one is
            complete all the same, and then the text is cut there

        Raises
        ------
        InvalidParameterError : an id out of range
        RuntimeError : the stream has had its last token, by `last` or by a stop string
        """
        if self.finished:
            raise RuntimeError("no token can follow the last one of a sequence")
        last = last or self._stop.has_empty
        if token_id in self._vocabulary.special_token_ids:
            added = self._push_special(self._vocabulary.token_text(token_id), last)
        else:
            added = self._push_text(self._vocabulary.token_bytes(token_id), last)
        if added.text and not added.special:
            self._pieces.append(added.text)
        self.finished = last or added.stopped
        return added._replace(stopped=True) if self._stop.has_empty else added

    def _push_text(self, data: bytes, last: bool) -> TokenText:
        match_length = self._scan(self._decode(data, last), special=False)
        return TokenText(self._release(match_length, last), False, match_length > 0)

    def _push_special(self, content: str, last: bool) -> TokenText:
        match_length = self._scan(content, special=True)
        if match_length:
            # An incomplete character stands before this token. It goes only with a trimmed stop
            # string that began even before it.
            stays = not self._trim_stop or match_length <= self._special_length
            text = self._release(match_length, last)
            text += self._decode(b"", last=True) if stays else ""
        elif last:
            match_length = self._scan(self._decode(b"", last=True), special=False)
            text = self._release(match_length, last)
        else:
            text = ""
        if text:
            return TokenText(text, False, match_length > 0)
        return TokenText(content, True, match_length > 0)

    def _decode(self, data: bytes, last: bool) -> str:
        """The characters that `data` completes; the rest of it waits, unless this is the last."""
        if self._incomplete:
            data = self._incomplete + data
        text, used = utf_8_decode(data, "replace", last)
        rest = data[used:]
        if b"\xed\xa0" <= rest < b"\xee":
            # The codec waits for the third byte of a surrogate, but the second is already invalid.
            text, rest = text + "\ufffd\ufffd", b""
        if text or not self._incomplete:
            self._special_length = 0
        self._incomplete = rest
        return text

    def _scan(self, text: str, special: bool) -> int:
        """Holds `text` up to the end of a stop string; the length of that, or 0."""
        self._state, end, length = self._stop.scan(self._state, text)
        if length:
            text = text[:end]
        if special:
            self._special_length += len(text)
        if text:
            self._held.append((text, special))
            self._held_length += len(text)
        return length

    def _release(self, match_length: int, last: bool) -> str:
        """Takes the text that is certain, without specials, out of what is held."""
        keep = 0
        if self._trim_stop:
            keep = match_length or (0 if last else self._stop.depths[self._state])
        certain = []
        while self._held_length > keep:
            text, special = self._held.popleft()
            surplus = self._held_length - keep
            if len(text) > surplus:
                self._held.appendleft((text[surplus:], special))
                text = text[:surplus]
            self._held_length -= len(text)
            if not special:
                certain.append(text)
        return "".join(certain)
