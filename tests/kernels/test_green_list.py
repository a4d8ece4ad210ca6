import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import green_list as reference

from sampler import Watermark
from sampler.kernels.green_list import context_seed, is_green

keys = st.integers(0, 2**64 - 1)
token_ids = st.integers(0, 2**31 - 1)
shares = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


def kernel_seed(key: int, context: list[int], width: int) -> int:
    recent = np.array(context, np.int64)
    return int(context_seed(np.uint64(key), recent, len(recent), width))


def kernel_green(seed: int, token_id: int, gamma: float) -> bool:
    return is_green(np.uint64(seed), token_id, np.uint64(math.floor(gamma * 2**32)))


@given(keys, st.lists(token_ids, min_size=1, max_size=20), st.data())
def test_the_context_seed_is_the_reference_seed_of_the_last_tokens(key, context, data):
    width = data.draw(st.integers(1, len(context)))
    expected = reference.context_seed(key, context[-width:])
    assert kernel_seed(key, context, width) == expected


@given(keys, token_ids, shares)
def test_membership_is_the_reference_membership(seed, token_id, gamma):
    assert kernel_green(seed, token_id, gamma) == reference.is_green(seed, token_id, gamma)


@given(keys, st.lists(token_ids, min_size=2, max_size=8))
def test_the_seed_depends_on_each_token_and_on_their_order(key, context):
    seed = kernel_seed(key, context, len(context))
    changed = [context[0] + 1, *context[1:]]
    assert kernel_seed(key, changed, len(changed)) != seed
    if context[::-1] != context:
        assert kernel_seed(key, context[::-1], len(context)) != seed


@pytest.mark.parametrize("gamma", [0.1, 0.25, 0.5, 0.9])
def test_gamma_of_the_ids_are_green(gamma):
    """One false alarm in 1e6 if membership were random: 4.9 standard deviations."""
    size = 20_000
    seed = kernel_seed(15485863, [42], 1)
    green = sum(kernel_green(seed, token_id, gamma) for token_id in range(size))
    assert abs(green - gamma * size) < 4.9 * math.sqrt(size * gamma * (1.0 - gamma))


def test_lists_of_different_contexts_are_unrelated():
    """Two halves overlap in a quarter; one false alarm in 1e6, as above."""
    size = 20_000
    lists = [kernel_seed(15485863, [token_id], 1) for token_id in (1, 2)]
    both = sum(all(kernel_green(seed, i, 0.5) for seed in lists) for i in range(size))
    assert abs(both - size / 4) < 4.9 * math.sqrt(size * 0.25 * 0.75)


def test_no_id_is_green_while_the_context_is_shorter_than_the_width():
    watermark = Watermark(context_width=3)
    assert reference.green_ids(watermark, [5, 6], 50) == []
    assert reference.green_ids(watermark, [5, 6, 7], 50) != []
