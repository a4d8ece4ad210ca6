import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.llama import dequantised
from tiny_gguf import KINDS, random_blocks

from sampler.kernels.quantised import BLOCK_BYTES, TILE, dequantise, is_finite, product

kinds = st.sampled_from(sorted(KINDS.values()))

PLAIN = """
import numba, numpy as np
from tiny_gguf import KINDS, random_blocks
from sampler.kernels.quantised import TILE, product
assert bool(numba.config.DISABLE_JIT) is {plain}
random = np.random.default_rng(3)
for kind in KINDS.values():
    data = np.frombuffer(random_blocks(random, kind, 96 * 6, 1.0), np.uint8)
    for rows in (1, 2, 3):
        x = random.normal(size=(rows, 96)).astype(np.float32)
        y = np.zeros((rows, 6), np.float32)
        product(data, (0, kind), (0, 6), x, y, np.empty((TILE, 96), np.float32))
        print(kind, rows, y.tobytes().hex())
"""


def blocks(random, kind, count, scale=1.0):
    """Read-only bytes as a mapped file has them, after some that belong to others."""
    return np.frombuffer(b"other" + random_blocks(random, kind, count, scale), np.uint8)


def products(data, kind, outputs, x, span=None):
    y = np.full((len(x), outputs), np.nan, np.float32)
    work = np.empty((TILE, x.shape[1] + 32), np.float32)
    product(data, (5, kind), span or (0, outputs), x, y, work)
    return y


def by_lanes(weights, x):
    """The written shape of a sum, in float32: 16 lanes, then halves."""
    lanes = np.zeros(16, np.float32)
    for start in range(0, len(x), 16):
        lanes = lanes + weights[start : start + 16] * x[start : start + 16]
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


@given(kinds, st.integers(1, 6), st.integers(0, 99))
def test_weights_are_those_of_the_reference(kind, count, seed):
    data = blocks(np.random.default_rng(seed), kind, 32 * count)
    weights = np.empty(32 * count, np.float32)
    dequantise(data, 5, kind, weights)
    expected = dequantised(data[5:].tobytes(), kind, 32 * count)[0]
    # one or two roundings to float32, of a sum that may cancel
    np.testing.assert_allclose(weights, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_scales_of_every_size_are_exact(kind):
    """Subnormal, smallest, largest and negative float16 scales."""
    if kind == KINDS["F32"]:
        pytest.skip("has no float16")
    scales = np.array([0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0x8001, 0xFBFF, 0x8000], np.uint16)
    size = BLOCK_BYTES[kind]
    data = np.zeros((len(scales), size), np.uint8)
    data[:, :2] = scales.view(np.uint8).reshape(-1, 2)
    data[:, -1] = 0x70
    weights = np.empty(32 * len(scales), np.float32)
    dequantise(data.reshape(-1), 0, kind, weights)
    assert weights.tolist() == dequantised(data.tobytes(), kind, 32)[:].reshape(-1).tolist()


@given(kinds, st.integers(1, 5), st.integers(4, 19), st.integers(1, 5), st.integers(0, 99))
def test_a_product_is_the_sum_of_the_written_shape(kind, columns, outputs, rows, seed):
    random = np.random.default_rng(seed)
    data = blocks(random, kind, 32 * columns * outputs)
    x = random.normal(size=(rows, 32 * columns)).astype(np.float32)
    y = products(data, kind, outputs, x)
    weights = np.empty(32 * columns, np.float32)
    for o in range(outputs):
        dequantise(data, 5 + o * columns * BLOCK_BYTES[kind], kind, weights)
        assert [by_lanes(weights, row) for row in x] == y[:, o].tolist()


@given(kinds, st.integers(0, 99), st.data())
def test_spans_fill_their_own_outputs_only(kind, seed, data):
    random = np.random.default_rng(seed)
    packed = blocks(random, kind, 64 * 12)
    x = random.normal(size=(data.draw(st.integers(1, 3)), 64)).astype(np.float32)
    start = data.draw(st.integers(0, 8))
    stop = data.draw(st.integers(start + TILE, 12))
    whole, part = products(packed, kind, 12, x), products(packed, kind, 12, x, (start, stop))
    assert part[:, start:stop].tobytes() == whole[:, start:stop].tobytes()
    assert np.isnan(part[:, :start]).all()
    assert np.isnan(part[:, stop:]).all()


@given(kinds, st.integers(0, 99))
def test_numbers_that_are_not_finite_are_found(kind, seed):
    random = np.random.default_rng(seed)
    data = blocks(random, kind, 32 * 7).copy()
    span = (5, len(data) - 5)
    assert is_finite(data, span, kind)
    width = 4 if kind == KINDS["F32"] else 2
    number = np.array(random.choice([np.inf, -np.inf, np.nan]), f"f{width}")
    at = 5 + random.integers(7) * BLOCK_BYTES[kind]
    data[at : at + width] = np.frombuffer(number.tobytes(), np.uint8)
    assert not is_finite(data, span, kind)


def test_the_plain_functions_give_the_same_bits():
    printed = set()
    for plain in (False, True):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        environment |= {"NUMBA_DISABLE_JIT": "1"} if plain else {}
        done = subprocess.run(
            [sys.executable, "-c", PLAIN.format(plain=plain)],
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1
