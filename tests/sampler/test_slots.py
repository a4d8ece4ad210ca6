"""The tables of touched ids: what they hold, in which order, and how much memory they take."""

import numpy as np
import pytest

from sampler import SamplingParameters
from sampler.kernels import candidates
from sampler.kernels.row import ROW, TOUCHED, edits_at
from sampler.slots import Slots

VOCAB_SIZE = 128_000
PENALISED = SamplingParameters(repetition_penalty=1.2)
NAMES = ["id", "occurrences", "generated", "bias"]


def table(slots: Slots, slot: int) -> list[tuple]:
    parameters, tables, touched, *_ = slots.arrays
    row = parameters.view(ROW)[slot]
    entries, bits = edits_at(row, slot, tables, touched)
    held = entries[NAMES][: row["touched_size"]].tolist()
    set_bits = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist()
    assert sorted(token_id for token_id, *_ in held) == set_bits
    return held


def bytes_of_tables(slots: Slots) -> int:
    return slots.arrays[1].nbytes


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_a_table_ascends_whatever_the_order_of_biases_and_prompt(order):
    rng = np.random.default_rng(4)
    ids = rng.permutation(VOCAB_SIZE)[:60_000]
    biased, prompt = ids[:30_000], rng.permutation(ids[15_000:])
    if order != "random":
        biased, prompt = np.sort(biased), np.sort(prompt)
    if order == "descending":
        biased, prompt = biased[::-1], prompt[::-1]
    parameters = SamplingParameters(
        repetition_penalty=1.2, logit_bias={i: i / 8 for i in biased.tolist()}
    )
    slots = Slots(3, VOCAB_SIZE)
    slots.begin(1, parameters, 0, prompt.tolist(), len(prompt))
    in_prompt, with_bias = set(prompt.tolist()), set(biased.tolist())
    assert table(slots, 1) == [
        (i, int(i in in_prompt), 0, i / 8 if i in with_bias else 0.0) for i in np.sort(ids).tolist()
    ]
    assert table(slots, 0) == table(slots, 2) == []


def test_a_history_is_counted_once_and_its_generated_part_twice():
    slots = Slots(1, 40)
    parameters = SamplingParameters(presence_penalty=0.5, logit_bias={31: -2.0, 3: 1.0})
    slots.begin(0, parameters, 0, [5, 3, 5, 39, 3, 3], 4)
    assert table(slots, 0) == [(3, 3, 2, 1.0), (5, 2, 0, 0.0), (31, 0, 0, -2.0), (39, 1, 0, 0.0)]


def test_rows_without_penalties_touch_their_biases_only():
    slots = Slots(1, 40)
    slots.begin(0, SamplingParameters(logit_bias={7: 1.0}), 0, [1, 2, 3], 3)
    assert table(slots, 0) == [(7, 0, 0, 1.0)]
    slots.begin(0, SamplingParameters(), 0, [1, 2, 3], 3)
    assert table(slots, 0) == []


def test_one_large_row_takes_the_memory_of_one_and_gives_it_back():
    slots = Slots(64, VOCAB_SIZE)
    for slot in range(64):
        slots.begin(slot, PENALISED, 0, [1, 2, 3], 3)
    slots.make_room()
    before = bytes_of_tables(slots)
    slots.begin(7, PENALISED, 0, list(range(60_000)), 60_000)
    slots.make_room()
    assert bytes_of_tables(slots) <= 4 * 60_000 * TOUCHED.itemsize + before
    slots.end(7)
    assert bytes_of_tables(slots) <= 4 * before
    for slot in range(64):
        slots.end(slot)
    assert bytes_of_tables(slots) <= 256 * TOUCHED.itemsize


def test_rows_that_come_grow_and_leave_keep_their_tables_in_bounded_memory():
    rng = np.random.default_rng(8)
    slots, expected = Slots(8, 5_000), {}
    for step in range(3_000):
        slot, change = int(rng.integers(8)), rng.random()
        if change < 0.03:
            slots.end(slot)
            expected.pop(slot, None)
        elif change < 0.1:
            size = int(rng.choice([0, 5, 300, 4_000]))
            prompt = rng.permutation(5_000)[:size].tolist()
            slots.begin(slot, PENALISED, 0, prompt, size)
            expected[slot] = {i: [1, 0] for i in prompt}
        elif slot in expected:
            for token_id in rng.integers(5_000, size=8).tolist():
                slots.count(slot, token_id, 1)
                counts = expected[slot].setdefault(token_id, [0, 0])
                counts[0], counts[1] = counts[0] + 1, counts[1] + 1
        used = sum(len(counts) for counts in expected.values())
        assert bytes_of_tables(slots) <= (6 * used + 8 * 512) * TOUCHED.itemsize
        if step % 50 == 0:
            for held in range(8):
                counts = expected.get(held, {})
                assert table(slots, held) == sorted((i, *n, 0.0) for i, n in counts.items())


class _Counting(list):
    writes = 0

    def __setitem__(self, at, value):
        super().__setitem__(at, value)
        self.writes += 1


@pytest.mark.parametrize("of_touched", [0, 1, 400, 800])
def test_touched_candidates_are_merged_in_one_pass(of_touched):
    merge = getattr(candidates._merge, "py_func", candidates._merge)
    every = np.random.default_rng(5).permutation(2_000)[:800]
    found, others = np.sort(every[:of_touched]).tolist(), np.sort(every[of_touched:]).tolist()
    ids = _Counting(others + [-1] * of_touched)
    z = _Counting([i / 2 for i in others] + [0.0] * of_touched)
    assert merge((found, [i / 2 for i in found]), of_touched, len(others), (ids, z)) == 800
    assert ids == np.sort(every).tolist() and z == [i / 2 for i in ids]
    assert ids.writes <= 800 and z.writes <= 800
