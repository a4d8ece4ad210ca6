"""What `BatchSampler` takes as logits, masks, ids and handles, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from reference.batches import DRAW, EVERYTHING, bits, noise, one_row
from reference.comparison import sampled
from strategies import cases

from sampler import BatchSampler, SamplingParameters, next_token_distribution
from sampler.errors import InvalidParameterError
from sampler.kernels.sampling import distribution_of_row, score_tokens
from sampler.readiness import KERNELS, make_ready


@pytest.mark.parametrize(
    "convert",
    [
        lambda logits: logits.astype(np.float64),
        lambda logits: logits.astype(">f4"),
        lambda logits: np.asfortranarray(logits),
        lambda logits: np.repeat(logits, 2, axis=1)[:, ::2],
        lambda logits: logits[::-1].copy()[::-1],
        lambda logits: logits.tolist(),
        lambda logits: np.frombuffer(logits.tobytes(), np.float32).reshape(logits.shape),
    ],
    ids=["float64", "big-endian", "fortran", "strided", "reversed", "lists", "read-only"],
)
def test_any_layout_of_the_same_numbers_gives_the_same_tokens(convert):
    logits = noise(3, 70)
    results = []
    for given_logits in (logits, convert(logits)):
        sampler = BatchSampler(70, 3)
        for seed in range(3):
            sampler.add(replace(EVERYTHING, seed=seed))
        tokens = sampler.sample(given_logits)
        results.append([bits(tokens, row, 3) for row in range(3)])
    assert results[0] == results[1]


def test_float16_is_converted_once():
    half = noise(1, 70).astype(np.float16)
    wide, _ = one_row(EVERYTHING, 70)
    narrow, _ = one_row(EVERYTHING, 70)
    assert bits(narrow.sample(half), 0, 3) == bits(wide.sample(half.astype(np.float32)), 0, 3)


def test_what_float32_cannot_hold_is_an_error_of_its_row():
    sampler = BatchSampler(4, 2)
    for _ in range(2):
        sampler.add(DRAW)
    tokens = sampler.sample(np.array([[0.0, 1e300, 0.0, 0.0], [0.0, -1e300, 0.0, 0.0]]))
    assert list(tokens.errors) == [0]


def test_columns_beyond_the_vocabulary_are_never_looked_at():
    wide = np.full((1, 80), np.nan, np.float32)
    wide[:, :70] = noise(1, 70)
    wide[:, 75] = np.inf
    for logprobs in ("processed", "raw"):
        parameters = replace(EVERYTHING, logprobs=logprobs)
        exact, _ = one_row(parameters, 70)
        padded, _ = one_row(parameters, 70)
        mask = np.full((1, 3), -1, np.int32)
        assert bits(padded.sample(wide, mask), 0, 3) == bits(exact.sample(wide[:, :70]), 0, 3)


@given(cases())
def test_logits_and_bitmask_are_unchanged_on_return(case):
    logits = case.logits.tobytes()
    mask = None if case.bitmask is None else case.bitmask.tobytes()
    sampled(case)
    assert case.logits.tobytes() == logits
    assert mask is None or case.bitmask.tobytes() == mask


@pytest.mark.parametrize(
    "logits",
    [
        np.zeros((2, 4), np.int64),
        np.zeros((2, 4), bool),
        np.zeros((2, 4), np.complex64),
        np.zeros((2, 4), object),
        np.zeros((1, 4), np.float32),
        np.zeros((3, 4), np.float32),
        np.zeros((2, 3), np.float32),
        np.zeros((1, 2, 4), np.float32),
        np.zeros(4, np.float32),
    ],
    ids=lambda logits: f"{logits.dtype}{logits.shape}",
)
def test_logits_of_a_wrong_shape_or_type_are_refused(logits):
    sampler = BatchSampler(4, 2)
    for _ in range(2):
        sampler.add(DRAW)
    with pytest.raises(InvalidParameterError, match="`logits`"):
        sampler.sample(logits)


@pytest.mark.parametrize(
    "bitmask",
    [
        np.ones((1, 1), np.int64),
        np.ones((1, 1), np.uint32),
        np.ones((1, 4), bool),
        np.ones((2, 1), np.int32),
        np.ones(1, np.int32),
    ],
    ids=lambda bitmask: f"{bitmask.dtype}{bitmask.shape}",
)
def test_a_bitmask_of_a_wrong_shape_or_type_is_refused(bitmask):
    sampler, _ = one_row(DRAW, 4)
    with pytest.raises(InvalidParameterError, match="`bitmask`"):
        sampler.sample(np.zeros((1, 4), np.float32), bitmask)


class _Unreadable:
    """As a tensor that has no array to give."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("no array here")


NO_ARRAYS = {
    "ragged": [[1.0, 2.0], [1.0]],
    "mixed": [1.0, [2.0]],
    "larger than memory": range(10**15),
    "unreadable": _Unreadable(),
    "None": [None, None],
    "text": "ab",
    "view": np.broadcast_to(np.float64(0.0), (2, 2**50)),
    "wide view": np.broadcast_to(np.float64(0.0), 2**50),
    "words": np.broadcast_to(np.int32(0), (2, 2**50)),
    "wide words": np.broadcast_to(np.int32(0), 2**50),
}


@pytest.mark.parametrize("given", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_what_is_no_array_that_fits_is_refused_by_its_name(given):
    sampler, logits = BatchSampler(4, 2), np.zeros((2, 4), np.float32)
    for _ in range(2):
        sampler.add(DRAW)
    for name, call in {
        "logits": lambda: sampler.sample(given),
        "bitmask": lambda: sampler.sample(logits, given),
        "`logits": lambda: sampler.score(given, [0, 1]),
        "logits`": lambda: next_token_distribution(given, DRAW),
        "bitmask`": lambda: next_token_distribution(logits[0], DRAW, bitmask=given),
    }.items():
        with pytest.raises(InvalidParameterError, match=name):
            call()


@pytest.mark.parametrize("given", [5, None, np.array(1)], ids=["int", "None", "scalar array"])
def test_what_has_no_elements_is_refused_by_its_name(given):
    sampler, _ = one_row(DRAW, 4)
    logits = np.zeros((1, 4), np.float32)
    for name, call in {
        "token_ids": lambda: sampler.score(logits, given),
        "prompt_token_ids": lambda: BatchSampler(4, 1).add(DRAW, given),
        "context_token_ids": lambda: next_token_distribution(logits[0], DRAW, given),
    }.items():
        with pytest.raises(InvalidParameterError, match=name):
            call()
    if given is not None:
        with pytest.raises(InvalidParameterError, match="rows"):
            sampler.sample(logits, rows=given)


def read_only(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


def unaligned(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(b" " + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def empty(array: np.ndarray) -> np.ndarray:
    array = np.empty((len(array), 0), array.dtype)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("convert", [read_only, unaligned, empty])
def test_no_layout_of_an_array_makes_a_kernel_compile_again(name, convert):
    kernels = [*KERNELS.values(), score_tokens, distribution_of_row]
    if not hasattr(score_tokens, "signatures"):
        pytest.skip("nothing is compiled")
    make_ready(name)
    parameters = {
        "sample_plain": SamplingParameters(top_k=1_000, seed=1),
        "sample_few": SamplingParameters(top_k=2, seed=1),
        "sample_wide": DRAW,
    }[name]
    logits, mask = noise(1, 2_048), np.full((1, 64), -1, np.int32)
    sampler, _ = one_row(parameters, 2_048)

    def use(logits, mask):
        sampler.sample(logits, mask)
        sampler.score(logits, [0])
        sampler.score(logits[:0], [])
        next_token_distribution(logits[0], parameters, bitmask=mask[0])

    use(logits, mask)
    before = [len(kernel.signatures) for kernel in kernels]
    if convert is empty:
        assert list(sampler.sample(logits, empty(mask)).errors) == [0]
    else:
        use(convert(logits), convert(mask))
    assert [len(kernel.signatures) for kernel in kernels] == before


def test_a_refused_call_moves_no_row():
    sampler, handle = one_row(EVERYTHING, 64)
    untouched, _ = one_row(EVERYTHING, 64)
    for arguments in ({"logits": noise(2, 64)}, {"logits": noise(1, 64), "rows": [handle + 1]}):
        with pytest.raises(InvalidParameterError):
            sampler.sample(**arguments)
    assert bits(sampler.sample(noise(1, 64)), 0, 3) == bits(untouched.sample(noise(1, 64)), 0, 3)


@pytest.mark.parametrize("bad", [-1, 8, 2**40, 1.5, "1", None])
def test_ids_outside_the_vocabulary_are_refused(bad):
    sampler, handle = one_row(DRAW, 8)
    with pytest.raises(InvalidParameterError, match="token_id"):
        sampler.push(handle, bad)
    sampler.remove(handle)
    with pytest.raises(InvalidParameterError, match="prompt_token_ids"):
        sampler.add(DRAW, [0, bad])


def test_a_bias_outside_the_vocabulary_is_refused():
    with pytest.raises(InvalidParameterError, match="logit_bias"):
        BatchSampler(8, 1).add(SamplingParameters(logit_bias={8: 1.0}))


def test_a_refused_row_takes_no_place():
    sampler = BatchSampler(8, 1)
    for refused in (lambda: sampler.add(DRAW, [8]), lambda: sampler.add(bias_of_id(8))):
        with pytest.raises(InvalidParameterError):
            refused()
    sampler.add(DRAW)
    with pytest.raises(InvalidParameterError, match="max_batch_size"):
        sampler.add(DRAW)


def bias_of_id(token_id: int) -> SamplingParameters:
    return SamplingParameters(logit_bias={token_id: 1.0})


@pytest.mark.parametrize(
    "use",
    [
        lambda sampler, handle: sampler.sample(np.zeros((1, 8), np.float32), rows=[handle]),
        lambda sampler, handle: sampler.push(handle, 1),
        lambda sampler, handle: sampler.rollback(handle, 0),
        lambda sampler, handle: sampler.seed(handle),
        lambda sampler, handle: sampler.remove(handle),
    ],
    ids=["sample", "push", "rollback", "seed", "remove"],
)
def test_an_unknown_handle_is_refused(use):
    sampler, handle = one_row(DRAW, 8)
    sampler.remove(handle)
    with pytest.raises(InvalidParameterError, match="handle"):
        use(sampler, handle)


def test_a_row_cannot_be_drawn_twice_in_one_call():
    sampler, handle = one_row(DRAW, 8)
    with pytest.raises(InvalidParameterError, match="rows"):
        sampler.sample(np.zeros((2, 8), np.float32), rows=[handle, handle])


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 1), (1.5, 1), (True, 1), (1, "2")])
def test_sizes_must_be_positive_integers(sizes):
    with pytest.raises(InvalidParameterError, match=r"vocab_size|max_batch_size"):
        BatchSampler(*sizes)
