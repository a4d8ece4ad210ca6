import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import InvalidParameterError
from sampler.grammar import allocate_token_bitmask, apply_token_bitmask_inplace


@pytest.mark.parametrize(
    ("vocab_size", "words"), [(1, 1), (31, 1), (32, 1), (33, 2), (151669, 4740)]
)
def test_a_new_bitmask_allows_everything(vocab_size, words):
    bitmask = allocate_token_bitmask(3, vocab_size)
    assert bitmask.shape == (3, words)
    assert bitmask.dtype == np.int32
    assert (bitmask == -1).all()


@pytest.mark.parametrize("sizes", [(-1, 5), (1, 0), (1.0, 5), (1, "5"), (True, 5), (1, None)])
def test_sizes_are_checked(sizes):
    with pytest.raises(InvalidParameterError, match="must be an integer >="):
        allocate_token_bitmask(*sizes)


@pytest.mark.parametrize(
    "sizes", [(10**15, 64), (1, 10**18), (2**62, 2**62), (10**30, 1), (1, 10**30)]
)
def test_sizes_beyond_any_memory_are_refused(sizes):
    with pytest.raises(InvalidParameterError, match="must fit into memory"):
        allocate_token_bitmask(*sizes)


def test_words_beyond_the_logits_are_not_even_copied():
    logits = np.zeros((2, 40), np.float32)
    apply_token_bitmask_inplace(logits, np.broadcast_to(np.int32(5), (2, 2**50)))
    assert np.flatnonzero(np.isfinite(logits[0])).tolist() == [0, 2, 32, 34]
    assert np.array_equal(logits[0], logits[1])


def allowed_by_definition(bitmask_row, vocab):
    """Bit i % 32 of word i // 32, one at a time; beyond the mask nothing is allowed."""
    return [
        i // 32 < len(bitmask_row) and (int(bitmask_row[i // 32]) >> i % 32) & 1 == 1
        for i in range(vocab)
    ]


@given(
    words=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=3),
    vocab=st.integers(1, 120),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_forbidden_logits_become_minus_infinity(words, vocab, dtype):
    bitmask = np.array(words, dtype=np.int32)
    logits = np.arange(vocab, dtype=dtype)
    apply_token_bitmask_inplace(logits, bitmask)
    expected = [
        float(i) if allowed else -np.inf
        for i, allowed in enumerate(allowed_by_definition(bitmask, vocab))
    ]
    assert logits.tolist() == expected
    assert logits.dtype == dtype


def test_each_row_has_its_own_mask_and_one_mask_serves_all_rows():
    logits = np.zeros((2, 5), dtype=np.float32)
    apply_token_bitmask_inplace(logits, np.array([[0b00011], [0b11100]], dtype=np.int32))
    assert np.isfinite(logits).tolist() == [
        [True, True, False, False, False],
        [False, False, True, True, True],
    ]
    logits = np.zeros((2, 5), dtype=np.float32)
    apply_token_bitmask_inplace(logits, np.array([0b00101], dtype=np.int32))
    assert np.isfinite(logits).tolist() == [[True, False, True, False, False]] * 2


def test_a_view_with_strides_is_edited_in_place():
    backing = np.zeros((4, 10), dtype=np.float32)
    apply_token_bitmask_inplace(backing[::2, ::2], np.array([0b10110], dtype=np.int32))
    assert np.isneginf(backing[::2, ::2]).tolist() == [[True, False, False, True, False]] * 2
    assert np.isfinite(backing[1::2]).all()
    assert np.isfinite(backing[:, 1::2]).all()


def test_values_at_allowed_positions_are_left_alone():
    logits = np.array([np.nan, np.inf, -np.inf, -0.0, 1.5], dtype=np.float64)
    apply_token_bitmask_inplace(logits, np.array([0b11111], dtype=np.int32))
    assert np.array_equal(logits, [np.nan, np.inf, -np.inf, 0.0, 1.5], equal_nan=True)


@pytest.mark.parametrize(
    ("logits", "bitmask"),
    [
        ([0.0], np.zeros(1, np.int32)),
        (np.zeros(5, np.int64), np.zeros(1, np.int32)),
        (np.zeros((1, 1, 5), np.float32), np.zeros(1, np.int32)),
        (np.zeros((), np.float32), np.zeros(1, np.int32)),
        (np.zeros(5, np.float32), np.zeros(1, np.uint32)),
        (np.zeros(5, np.float32), np.zeros(1, np.int64)),
        (np.zeros(5, np.float32), [0]),
        (np.zeros((3, 5), np.float32), np.zeros((2, 1), np.int32)),
        (np.zeros((3, 5), np.float32), np.zeros((1, 1, 1), np.int32)),
        (np.broadcast_to(np.float32(0), (5,)), np.zeros(1, np.int32)),
    ],
)
def test_wrong_dtypes_and_shapes_are_named_and_change_nothing(logits, bitmask):
    before = np.array(logits)
    with pytest.raises(InvalidParameterError, match=r"`(logits|bitmask)` must"):
        apply_token_bitmask_inplace(logits, bitmask)
    assert np.array_equal(before, logits)
