import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sampler.errors import InvalidParameterError
from sampler.models.gguf.cache import BLOCK_TOKENS, BlockCache

BLOCK_BYTES = 2 * 1 * BLOCK_TOKENS * 32 * 4
BLOCKS = 6
# few different blocks of tokens, so that sequences often begin alike
texts = st.lists(st.integers(0, 1), min_size=1, max_size=4).map(
    lambda parts: np.repeat(np.array(parts, np.int64), BLOCK_TOKENS)
)


def block_cache(blocks=BLOCKS, reuse=True):
    return BlockCache(1, 1, 32, blocks * BLOCK_BYTES + 5, reuse)


def filled(cache, ids):
    """The blocks of a sequence that has come and is published, or None without room."""
    blocks = cache.find(ids)
    first = len(blocks)
    while len(blocks) < len(ids) // BLOCK_TOKENS:
        block = cache.take()
        if block is None:
            cache.give_back(blocks)
            return None
        blocks.append(block)
    cache.publish(blocks, ids, first)
    return blocks


def test_the_limit_is_in_bytes():
    assert block_cache().blocks.nbytes == BLOCKS * BLOCK_BYTES
    assert len(BlockCache(1, 1, 32, np.int32(3 * BLOCK_BYTES), True).blocks) == 3
    for limit in (BLOCK_BYTES - 1, 0, -5, None, 1.5, True):
        with pytest.raises(
            InvalidParameterError, match=f"`kv_cache_bytes` must be >= {BLOCK_BYTES}"
        ):
            BlockCache(1, 1, 32, limit, True)


def test_a_block_that_was_never_used_goes_last_of_the_free_ones():
    cache = block_cache(reuse=False)
    for seed, length in enumerate((1, 3, 2, 3, 1, 2)):
        blocks = filled(cache, np.arange(length * BLOCK_TOKENS) + seed)
        assert set(blocks) <= {0, 1, 2}
        cache.give_back(blocks)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_memory_is_taken_as_blocks_are_written_to():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    cache = BlockCache(4, 4, 64, 512 << 20, True)
    assert resident() - before < 16 << 20
    cache.blocks[cache.take()] = 1.0
    assert resident() - before < 32 << 20


def test_the_block_kept_longest_goes_first_and_the_end_of_a_sequence_before_its_beginning():
    cache = block_cache(4)
    ids = np.arange(3 * BLOCK_TOKENS)
    blocks = filled(cache, ids)
    cache.give_back(blocks)
    cache.take()
    assert cache.find(ids) == blocks  # the fourth was free
    cache.give_back(blocks)
    assert cache.take() == blocks[2]
    assert cache.find(ids) == blocks[:2]


def test_a_block_after_another_one_is_another_block():
    cache = block_cache()
    ones, twos = np.ones(BLOCK_TOKENS, np.int64), np.full(BLOCK_TOKENS, 2)
    filled(cache, np.concatenate([ones, twos]))
    assert cache.find(twos) == []
    assert len(cache.find(np.concatenate([ones, ones, twos]))) == 1


def test_blocks_of_sequences_that_grew_alike_become_one():
    cache = block_cache()
    ids = np.arange(2 * BLOCK_TOKENS)
    first, second = ([cache.take(), cache.take()] for _ in range(2))
    cache.publish(first, ids, 0)
    assert cache.publish(second, ids, 0) == 2
    assert first == second
    assert cache.available == BLOCKS - 2


def test_without_reuse_nothing_is_found():
    cache = block_cache(reuse=False)
    ids = np.arange(BLOCK_TOKENS)
    cache.give_back(filled(cache, ids))
    assert cache.find(ids) == []
    assert cache.available == BLOCKS


class Sequences(RuleBasedStateMachine):
    """Sequences come and go; what a block holds is written down beside the cache."""

    def __init__(self):
        super().__init__()
        self.cache = block_cache()
        self.live = []
        self.holds = {}

    @rule(ids=texts)
    def come(self, ids):
        found = self.cache.find(ids)
        for number, block in enumerate(found):
            assert self.holds[block] == ids[: (number + 1) * BLOCK_TOKENS].tobytes()
        self.cache.give_back(found)
        blocks = filled(self.cache, ids)
        if blocks is None:
            return
        for number, block in enumerate(blocks):
            self.holds[block] = ids[: (number + 1) * BLOCK_TOKENS].tobytes()
        self.live.append((ids, blocks))

    @rule(number=st.integers(0, 9))
    def go(self, number):
        if self.live:
            _, blocks = self.live.pop(number % len(self.live))
            self.cache.give_back(blocks)

    @invariant()
    def what_is_held_is_not_given_away(self):
        held = {block for _, blocks in self.live for block in blocks}
        assert self.cache.available == BLOCKS - len(held)
        for ids, blocks in self.live:
            for number, block in enumerate(blocks):
                assert self.holds[block] == ids[: (number + 1) * BLOCK_TOKENS].tobytes()


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=60, stateful_step_count=30)
