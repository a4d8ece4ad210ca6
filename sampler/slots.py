"""The state of the rows of a batch, in arrays that the kernels read and write in place."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sampler.kernels.row import RECENT, ROW, TOUCHED, workspace
from sampler.kernels.rows import count_in_slot, touch_all
from sampler.parameters import SamplingParameters

_COPIED = (
    "temperature",
    "top_p",
    "typical_p",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
)
_NO_BIASES = np.empty(0)


class Slots:
    """`size` rows: their parameters, the ids that penalties and biases touch, their last tokens.

    Attributes
    ----------
    arrays : parameters, tables, touched and recent, as `kernels.rows` wants them, and a workspace
    """

    def __init__(self, size: int, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._parameters = np.zeros(size, ROW)
        self._tables = np.zeros((size, 16), TOUCHED)
        self._touched = np.zeros((size, -(-vocab_size // 32)), np.int32)
        self._recent = np.zeros((size, RECENT), np.int64)
        self.workspace = workspace(vocab_size)
        self._entries = [0] * size  # at most so many ids of a slot are touched
        self._set_arrays()

    def _set_arrays(self) -> None:
        self._capacity = self._tables.shape[1]
        self.arrays = (
            self._parameters.view(np.uint8),
            self._tables.view(np.uint8),
            self._touched,
            self._recent,
            self.workspace,
        )

    def begin(
        self, slot: int, parameters: SamplingParameters, seed: int, prompt: Sequence[int]
    ) -> None:
        """Makes `slot` a new row with this context."""
        self._touched[slot] = 0
        self._parameters[slot] = 0
        self._write_parameters(slot, parameters, seed)
        bias: Mapping[int, float] = parameters.logit_bias or {}
        self._touch(slot, np.array(list(bias), np.int64), np.array(list(bias.values()), float))
        if self._parameters[slot]["counts_tokens"]:
            self._touch(slot, np.array(prompt, np.int64), _NO_BIASES)
        self.set_context(slot, prompt, 0)

    def set_context(self, slot: int, history: Sequence[int], generated: int) -> None:
        """Tells the kernels how long the context is, how much of it is generated, and its end."""
        record, size = self._parameters[slot], len(history)
        record["context_size"] = size
        record["position"] = generated
        for i in range(max(size - RECENT, 0), size):
            self._recent[slot, i % RECENT] = history[i]

    def count(self, slot: int, token_id: int, change: int) -> None:
        """Notes that a generated token joined (1) or left (-1) the context of a row."""
        count_in_slot(*self.arrays[:3], slot, token_id, change)
        if change > 0:
            self.make_room(slot)

    def make_room(self, slot: int) -> None:
        """To be called after each token of a row whose tokens are counted: room for another id."""
        self._entries[slot] += 1
        if self._entries[slot] >= self._capacity:
            self._reserve(slot, 1)

    def _reserve(self, slot: int, count: int) -> None:
        """Room for `count` more ids in the table of `slot`."""
        if self._entries[slot] + count <= self._capacity:
            return
        self._entries[slot] = int(self._parameters[slot]["touched_size"])
        needed = self._entries[slot] + count
        if needed > self._capacity:
            grown = np.zeros((len(self._tables), 2 * needed), TOUCHED)
            grown[:, : self._capacity] = self._tables
            self._tables = grown
            self._set_arrays()

    def _touch(
        self, slot: int, token_ids: npt.NDArray[np.int64], biases: npt.NDArray[np.float64]
    ) -> None:
        """Adds biases of ids, or occurrences of tokens where `biases` is empty."""
        distinct, counts = np.unique(token_ids, return_counts=True)
        if len(biases):
            distinct, counts = token_ids, np.zeros(len(token_ids), np.int64)
        self._entries[slot] = int(self._parameters[slot]["touched_size"])
        self._reserve(slot, len(distinct) + 1)
        if len(distinct):
            touch_all(*self.arrays[:3], slot, distinct, counts, biases)
        self._entries[slot] += len(distinct)

    def _write_parameters(self, slot: int, given: SamplingParameters, seed: int) -> None:
        record = self._parameters[slot]
        record["seed"] = seed
        record["greedy"] = given.is_greedy
        record["raw_logprobs"] = given.logprobs == "raw"
        record["counts_tokens"] = given.counts_tokens
        record["top_k"] = min(given.top_k, self._vocab_size)
        record["top_n"] = min(given.top_n_tokens, self._vocab_size)
        for name in _COPIED:
            record[name] = getattr(given, name)
        if watermark := given.watermark_scheme:
            record["green_width"] = watermark.context_width
            record["green_key"] = watermark.key
            record["green_delta"] = watermark.delta
            record["green_threshold"] = int(watermark.gamma * 2**32)
