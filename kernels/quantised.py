"""Products with weights that stay quantised: y[r, o] = sum over k of weight[o, k] * x[r, k].

A weight is first what it stands for, in float32 (`_block`); then each sum has one fixed shape: lane
k mod 16 adds its products in ascending k, and the lanes are folded in halves. A product therefore
has the same bits alone or beside any other rows and outputs; tiles only decide how often a weight
is decoded. Rejected: BLAS, whose sums change with the number of rows, and activations rounded to
integers, which are faster but lose more than the quantised weights themselves.

Every format stores 32 consecutive weights of one output in a block of bytes:

    F32, F16   32 numbers
    Q8_0       a float16 scale d, then 32 signed bytes q:    weight = d * q
    Q4_0       d, then 16 bytes of two 4-bit q:              weight = d * (q - 8)
    Q4_1       d, a float16 minimum m, then 16 bytes:        weight = d * q + m

The low four bits of the 16 bytes are weights 0 to 15, the high ones are weights 16 to 31.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, kernel
from sampler.kernels.lanes import (
    LANES,
    Lanes,
    add,
    floats,
    fold,
    halves,
    high_nibbles,
    load,
    low_nibbles,
    multiply,
    multiply_add,
    signed_bytes,
    splat,
    splat_half,
    store,
    zeros,
)

BLOCK = 32  # weights
F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8  # the numbers that the file format gives them
BLOCK_BYTES = {F32: 128, F16: 64, Q4_0: 18, Q4_1: 20, Q8_0: 34}
TILE = 4  # outputs whose weights are decoded together
_FLOATS = {F32: 32, F16: 32, Q4_0: 1, Q4_1: 2, Q8_0: 1}  # at the beginning of a block
_BLOCK_FLOATS = np.array([_FLOATS.get(kind, 0) for kind in range(Q8_0 + 1)])
_BLOCK_BYTES = np.array([BLOCK_BYTES.get(kind, 0) for kind in range(Q8_0 + 1)])


@kernel
def _block(data: Array, at: int, kind: int) -> tuple[Lanes, Lanes]:
    """The 32 weights of the block at `at`, as two times sixteen."""
    if kind == Q4_1:
        scale, minimum = splat_half(data, at), splat_half(data, at + 2)
        low = multiply_add(minimum, scale, low_nibbles(data, at + 4))
        return low, multiply_add(minimum, scale, high_nibbles(data, at + 4))
    if kind == Q8_0:
        scale = splat_half(data, at)
        low = multiply(scale, signed_bytes(data, at + 2))
        return low, multiply(scale, signed_bytes(data, at + 2 + LANES))
    if kind == Q4_0:
        scale, offset = splat_half(data, at), splat(np.float32(-8.0))
        low = multiply(scale, add(offset, low_nibbles(data, at + 2)))
        return low, multiply(scale, add(offset, high_nibbles(data, at + 2)))
    if kind == F16:
        return halves(data, at), halves(data, at + 2 * LANES)
    return floats(data, at), floats(data, at + 4 * LANES)


@kernel
def row_bytes(kind: int, inputs: int) -> int:
    """The bytes of the weights of one output; `inputs` is a multiple of 32."""
    return int(inputs // BLOCK * _BLOCK_BYTES[kind])


@kernel
def dequantise(data: Array, at: int, kind: int, weights: Array) -> None:
    """Fills contiguous float32 `weights`, a multiple of 32, from the blocks that begin at `at`."""
    for k in range(0, len(weights), BLOCK):
        low, high = _block(data, at, kind)
        store(weights, k, low)
        store(weights, k + LANES, high)
        at += _BLOCK_BYTES[kind]


@kernel
def is_finite(data: Array, span: tuple[int, int], kind: int) -> bool:
    """Whether the weights in the span (first byte, number of bytes) have no infinity and no NaN.

    Only numbers that the format stores as floating point can be either.
    """
    start, size = span
    step = _BLOCK_BYTES[kind]
    width = 4 if kind == F32 else 2
    exponent = 0x7F80 if kind == F32 else 0x7C00  # of the upper two bytes, all ones
    count = _BLOCK_FLOATS[kind]
    for block in range(start, start + size, step):
        for i in range(count):
            last = block + (i + 1) * width - 1
            upper = int(data[last]) << 8 | int(data[last - 1])
            if upper & exponent == exponent:
                return False
    return True


@kernel
def _add_block(data: Array, at: int, kind: int, x: Arrays, total: Lanes) -> Lanes:
    low, high = _block(data, at, kind)
    return multiply_add(multiply_add(total, low, x[0]), high, x[1])


@kernel
def _products_of_row(data: Array, at: int, kind: int, x: Array, y: Array) -> None:
    """y[o] for TILE outputs from `at` on and one row; no weight is written to memory."""
    step, size = row_bytes(kind, len(x)), _BLOCK_BYTES[kind]
    first, second, third, fourth = zeros(), zeros(), zeros(), zeros()
    for k in range(0, len(x), BLOCK):
        values = load(x, k), load(x, k + LANES)
        first = _add_block(data, at, kind, values, first)
        second = _add_block(data, at + step, kind, values, second)
        third = _add_block(data, at + 2 * step, kind, values, third)
        fourth = _add_block(data, at + 3 * step, kind, values, fourth)
        at += size
    y[0], y[1], y[2], y[3] = fold(first), fold(second), fold(third), fold(fourth)


@kernel
def _products_of_two(weights: Array, x: Arrays, y: Arrays) -> None:
    """y[r][o] for TILE outputs, whose weights are decoded, and two rows."""
    x0, x1 = x
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    a0, a1, a2, a3 = zeros(), zeros(), zeros(), zeros()
    b0, b1, b2, b3 = zeros(), zeros(), zeros(), zeros()
    for k in range(0, len(x0), LANES):
        a, b = load(x0, k), load(x1, k)
        w = load(w0, k)
        a0, b0 = multiply_add(a0, w, a), multiply_add(b0, w, b)
        w = load(w1, k)
        a1, b1 = multiply_add(a1, w, a), multiply_add(b1, w, b)
        w = load(w2, k)
        a2, b2 = multiply_add(a2, w, a), multiply_add(b2, w, b)
        w = load(w3, k)
        a3, b3 = multiply_add(a3, w, a), multiply_add(b3, w, b)
    y0, y1 = y
    y0[0], y0[1], y0[2], y0[3] = fold(a0), fold(a1), fold(a2), fold(a3)
    y1[0], y1[1], y1[2], y1[3] = fold(b0), fold(b1), fold(b2), fold(b3)


@kernel
def product(
    data: Array, tensor: tuple[int, int], span: tuple[int, int], x: Array, y: Array, work: Array
) -> None:
    """Fills y[:, start:stop] with the products of the rows of `x` and the outputs of the span.

    data : uint8[bytes of the file]; tensor : (offset in data, kind);
    span : (start, stop), stop - start >= TILE; x : float32[rows, inputs], y : float32[rows,
    outputs], contiguous; work : float32[TILE, >= inputs], overwritten.
    """
    offset, kind = tensor
    start, stop = span
    rows, inputs = x.shape
    step = row_bytes(kind, inputs)
    weights = work[:, :inputs]
    for tile in range(start, stop, TILE):
        first = min(tile, stop - TILE)  # the last tile may do outputs again, to the same bits
        last = first + TILE
        if rows == 1:
            _products_of_row(data, offset + first * step, kind, x[0], y[0, first:last])
            continue
        for o in range(TILE):
            dequantise(data, offset + (first + o) * step, kind, weights[o])
        for r in range(0, rows - 1, 2):
            ys = y[r, first:last], y[r + 1, first:last]
            _products_of_two(weights, (x[r], x[r + 1]), ys)
        if rows % 2 == 1:
            # the last row beside itself
            ys = y[rows - 1, first:last], y[rows - 1, first:last]
            _products_of_two(weights, (x[rows - 1], x[rows - 1]), ys)
