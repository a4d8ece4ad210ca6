import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import philox as reference

from sampler.kernels.philox import derived_seed, philox4x32, uniform

ALL_ONES = 2**32 - 1
# The known answers that Random123, the authors' library, publishes for philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (ALL_ONES, ALL_ONES),
        (ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (  # digits of pi
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
words = st.integers(0, ALL_ONES)
seeds = st.integers(0, 2**64 - 1)


def kernel_words(key: tuple[int, ...], counter: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(word) for word in philox4x32(*map(np.uint64, (*key, *counter))))


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN_ANSWERS)
def test_known_answers(key, counter, answer):
    assert reference.philox4x32(key, counter) == answer
    assert kernel_words(key, counter) == answer


@given(st.tuples(words, words), st.tuples(words, words, words, words))
def test_the_words_are_the_reference_words(key, counter):
    assert kernel_words(key, counter) == reference.philox4x32(key, counter)


@given(seeds, st.integers(0, 2**63 - 1))
def test_the_uniform_number_is_the_reference_number(seed, position):
    u = uniform(np.uint64(seed), position)
    assert u == reference.uniform(seed, position)
    assert 0.0 <= u < 1.0


@given(seeds, st.integers(0, 1000))
def test_candidates_get_the_reference_seeds(seed, candidate):
    derived = int(derived_seed(np.uint64(seed), candidate))
    assert derived == reference.derived_seed(seed, candidate)


def test_the_first_candidate_keeps_the_seed_and_the_others_differ():
    derived = [int(derived_seed(np.uint64(7), candidate)) for candidate in range(100)]
    assert derived[0] == 7
    assert len(set(derived)) == 100
