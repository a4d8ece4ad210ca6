"""The state of the rows of a batch, in arrays that the kernels read and write in place."""

from collections.abc import Mapping, Sequence

import numpy as np

from sampler.kernels._jit import Array
from sampler.kernels.row import RECENT, ROW, TOUCHED, workspace
from sampler.kernels.rows import count_in_slot
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
_LEAST_ROOM = 64  # ids that a table has room for beyond those in it, and entries that are kept
_MANY = 2**62
_BITS = (1 << np.arange(32)).astype(np.uint32).view(np.int32)


class Slots:
    """`size` rows: their parameters, the ids that penalties and biases touch, their last tokens.

    The tables of touched ids lie one after another in one array. One that needs more room moves
    behind the last; where there is no room left, all move to a new array of twice the room in use.
    Rejected: an array of [slots, ids], in which each table takes as much as the largest.

    Tables never overlap, even when an interrupt ends a method halfway: where they lie changes in
    one assignment.

    Attributes
    ----------
    arrays : parameters, tables, touched and recent, as `kernels.rows` wants them, and a workspace
    draws_left : so many tokens may be drawn for each row before `make_room` is to be called
    """

    def __init__(self, size: int, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._rooms = np.zeros(size, np.int64)  # how many ids the table of each slot has room for
        self._end = 0  # of the last table
        self.draws_left = 0
        self.arrays = (
            np.zeros(size, ROW).view(np.uint8),
            np.empty(0, np.uint8),
            np.zeros((size, -(-vocab_size // 32)), np.int32),
            np.zeros((size, RECENT), np.int64),
            workspace(vocab_size),
        )

    @property
    def _parameters(self) -> Array:
        return self.arrays[0].view(ROW)

    @property
    def _tables(self) -> Array:
        return self.arrays[1].view(TOUCHED)

    def begin(
        self,
        slot: int,
        parameters: SamplingParameters,
        seed: int,
        history: Sequence[int],
        prompt_length: int,
    ) -> None:
        """Makes `slot` a row with this context, whatever it was before."""
        self.draws_left = 0  # its table may have less room than the others
        self.end(slot)
        self._write_parameters(slot, parameters, seed)
        if parameters.logit_bias or parameters.counts_tokens:
            self._fill(slot, _table(parameters, history, prompt_length))
        self.set_context(slot, history, len(history) - prompt_length)

    def _fill(self, slot: int, table: Array) -> None:
        """Gives a slot that touches no ids the table that it begins with."""
        self._move(slot, len(table) + _LEAST_ROOM)
        start = self._parameters[slot]["table_start"]
        self._tables[start : start + len(table)] = table
        self._parameters[slot]["touched_size"] = len(table)
        np.bitwise_or.at(self.arrays[2][slot], table["id"] >> 5, _BITS[table["id"] & 31])

    def end(self, slot: int) -> None:
        """Gives up what `slot` holds."""
        self._parameters[slot] = 0
        self._rooms[slot] = 0
        self.arrays[2][slot] = 0
        if len(self._tables) > 4 * (self._rooms.sum() + _LEAST_ROOM):
            self._pack(0)

    def set_context(self, slot: int, history: Sequence[int], generated: int) -> None:
        """Tells the kernels how long the context is, how much of it is generated, and its end."""
        record, recent, size = self._parameters[slot], self.arrays[3][slot], len(history)
        record["context_size"] = size
        record["position"] = generated
        for i in range(max(size - RECENT, 0), size):
            recent[i % RECENT] = history[i]

    def count(self, slot: int, token_id: int, change: int) -> None:
        """Notes that a generated token joined (1) or left (-1) the context of a row."""
        if self.draws_left == 0:
            self.make_room()
        self.draws_left -= 1
        count_in_slot(*self.arrays[:3], slot, token_id, change)

    def make_room(self) -> None:
        """Room for more ids in the table of each row whose tokens are counted."""
        left = _MANY
        for slot in np.flatnonzero(self._parameters["counts_tokens"]).tolist():
            size = int(self._parameters[slot]["touched_size"])
            if size + _LEAST_ROOM > self._rooms[slot]:
                self._move(slot, size + size // 2 + 2 * _LEAST_ROOM)
            left = min(left, int(self._rooms[slot]) - size)
        self.draws_left = left

    def _move(self, slot: int, room: int) -> None:
        """Gives the table of `slot` a place with this much room."""
        if self._end + room > len(self._tables):
            self._pack(room)
        place, self._end = self._end, self._end + room
        record = self._parameters[slot]
        start, size = int(record["table_start"]), int(record["touched_size"])
        self._tables[place : place + size] = self._tables[start : start + size]
        record["table_start"] = place
        self._rooms[slot] = room

    def _pack(self, more: int) -> None:
        """Moves all tables to a new array, with room for `more` ids and as much again."""
        parameters, end = self._parameters.copy(), 0
        tables = np.empty(2 * (int(self._rooms.sum()) + more), TOUCHED)
        for slot in np.flatnonzero(self._rooms).tolist():
            record = parameters[slot]
            start, size = int(record["table_start"]), int(record["touched_size"])
            tables[end : end + size] = self._tables[start : start + size]
            record["table_start"] = end
            end += int(self._rooms[slot])
        self.arrays = (parameters.view(np.uint8), tables.view(np.uint8), *self.arrays[2:])
        self._end = end

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


def _table(parameters: SamplingParameters, history: Sequence[int], prompt_length: int) -> Array:
    """TOUCHED[n]: the ids that biases and penalties touch, ascending."""
    bias: Mapping[int, float] = parameters.logit_bias or {}
    context = np.array(history if parameters.counts_tokens else (), np.int64)
    biased = np.array(list(bias), np.int64)
    token_ids, places = np.unique(np.concatenate([biased, context]), return_inverse=True)
    of_bias, of_context = places[: len(bias)], places[len(bias) :]
    table = np.zeros(len(token_ids), TOUCHED)
    table["id"] = token_ids
    table["bias"][of_bias] = list(bias.values())
    table["occurrences"] = np.bincount(of_context, minlength=len(table))
    table["generated"] = np.bincount(of_context[prompt_length:], minlength=len(table))
    return table
