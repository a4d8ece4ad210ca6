"""Small model callbacks whose every logit is known, and a tokenizer to go with them.

The tokenizer has one token for each byte, with the byte as its id, so that a test reads
``b"text"`` where a list of ids is meant; then some tokens of several bytes and two special ones.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from example_tokenizers import byte_level_of
from tokenizers import Tokenizer, pre_tokenizers

from sampler import Generator, Vocabulary

WORDS = [b"the", b" cat", b"END", b"abc", b"\xf0\x9f", b"\x91\x8d", b"stop here"]
TOKENS = [bytes([byte]) for byte in range(256)] + WORDS
END = len(TOKENS)
TOOL = END + 1
SIZE = END + 2
PATIENCE = 60  # seconds until a test that waits for another thread gives up


@cache
def byte_tokenizer() -> Tokenizer:
    tokenizer = byte_level_of(TOKENS, ["<|end|>", "<|tool|>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


@cache
def byte_vocabulary() -> Vocabulary:
    return Vocabulary.from_tokenizer(byte_tokenizer(), [END])


def word(text: bytes) -> int:
    """The id of a token."""
    return TOKENS.index(text)


def hash_row(token_ids: Sequence[int], size: int = SIZE) -> np.ndarray:
    """float32[size] in [-6, 6) that follows from `token_ids` alone, by integer arithmetic."""
    seed = 0x9E3779B97F4A7C15
    for token_id in token_ids:
        seed = (seed ^ (int(token_id) + 1)) * 0xBF58476D1CE4E5B9 % 2**64
        seed ^= seed >> 29
    mixed = (np.arange(size, dtype=np.uint64) + np.uint64(seed)) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(40)).astype(np.float32) * 2.0**-24 * 12 - 6).astype(np.float32)


def hash_model(batch: Sequence) -> np.ndarray:
    """Logits that depend on nothing but the sequence's own tokens."""
    return np.stack([hash_row(view.token_ids) for view in batch])


def favouring(token_id: int, size: int = SIZE) -> np.ndarray:
    """float32[size] with one id far above the others."""
    row = np.zeros(size, np.float32)
    row[token_id] = 20.0
    return row


class ScriptedModel:
    """Makes the tokens of a script the most probable, one after the other, then the end.

    The script of a sequence is the one whose key its prompt is.
    """

    def __init__(self, scripts: Mapping[str, Sequence[int]]) -> None:
        self._scripts = {prompt.encode(): list(ids) for prompt, ids in scripts.items()}

    def __call__(self, batch: Sequence) -> np.ndarray:
        return np.stack([self.row(view.token_ids.tolist()) for view in batch])

    def row(self, token_ids: list[int]) -> np.ndarray:
        for prompt, script in self._scripts.items():
            if token_ids[: len(prompt)] == list(prompt):
                return favouring([*script, END][min(len(token_ids) - len(prompt), len(script))])
        return np.zeros(SIZE, np.float32)


class Watched:
    """A model around another one: notes what it is shown, and can be held up before each call.

    Sequences are numbered from 0, as their ids go on from the first one that the model was shown.

    Attributes
    ----------
    calls : the numbers of the sequences of each call
    shown : by number, the new token ids of all calls
    contexts : by number, the whole context in the last call
    released : numbers, in order
    overlapped : whether two calls ever ran at the same time
    """

    def __init__(self, model: Callable = hash_model, held: bool = False) -> None:
        self._model = model
        self._changed = threading.Condition()
        self._permits = 0
        self._held = held
        self._running = 0
        self._first_id: int | None = None
        self.entered = 0
        self.calls: list[list[int]] = []
        self.shown: dict[int, list[int]] = defaultdict(list)
        self.contexts: dict[int, list[int]] = {}
        self.released: list[int] = []
        self.overlapped = False

    def __call__(self, batch: Sequence) -> np.ndarray:
        with self._changed:
            self._running += 1
            self.overlapped |= self._running > 1
            self.entered += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._held or self._permits, PATIENCE)
            self._permits -= self._held
            numbers = self._numbers([view.id for view in batch])
            self.calls.append(numbers)
            for number, view in zip(numbers, batch, strict=True):
                self.shown[number] += view.new_token_ids.tolist()
                self.contexts[number] = view.token_ids.tolist()
        try:
            return self._model(batch)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def release(self, sequence_id: int) -> None:
        with self._changed:
            self.released += self._numbers([sequence_id])
            self._changed.notify_all()

    def _numbers(self, sequence_ids: Sequence[int]) -> list[int]:
        if self._first_id is None:
            self._first_id = min(sequence_ids)
        return [sequence_id - self._first_id for sequence_id in sequence_ids]

    def hold(self) -> None:
        """Lets no further call through."""
        with self._changed:
            self._held, self._permits = True, 0

    def allow(self, calls: int) -> None:
        """Lets so many calls through."""
        with self._changed:
            self._permits += calls
            self._changed.notify_all()

    def let_go(self) -> None:
        """Holds nothing up any more."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def wait_until(self, holds: Callable[["Watched"], bool]) -> None:
        """Returns when `holds`; fails the test when that takes too long."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), PATIENCE), "waited in vain"

    def wait_for_call(self, number: int) -> None:
        """Returns when call `number`, counted from 1, has begun: it may be held up."""
        self.wait_until(lambda model: model.entered >= number)


class WithPromptLogits:
    """The hash model with `prompt_logits`."""

    def __call__(self, batch: Sequence) -> np.ndarray:
        return hash_model(batch)

    def prompt_logits(self, view: object) -> np.ndarray:
        ids = view.token_ids
        return np.stack([hash_row(ids[: i + 1]) for i in range(len(ids))])


def scheduler_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "sampler-scheduler"]


def wait_until_queued(generator: Generator, count: int) -> None:
    """Returns when `count` prepared requests wait for a row."""
    end = time.monotonic() + PATIENCE
    while len(generator._scheduler._waiting) != count:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def request(inputs: str = "a", **parameters: object) -> dict:
    return {"inputs": inputs, "parameters": parameters}


def wire(events: Sequence) -> list[dict]:
    """The wire form of each event."""
    return [event.to_dict() for event in events]


def joined(events: Sequence) -> str:
    """The texts that are not special, put together."""
    return "".join(event.token.text for event in events if not event.token.special)
