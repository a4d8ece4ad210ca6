"""The steps of a Llama layer that are not products of weights: norm, rotation, attention, gate.

Each output element is computed from its own row by a fixed sequence of operations, so a row has the
same bits in any batch and chunk: sums over numbers of a head or a row go by lanes (`_dot`), sums
over positions go from the first position on. Square root, quotient, product and sum are exact to
the last bit by IEEE 754; the exponential, sine and cosine stand below.

The cache of keys and values is float32[blocks, layers, 2, heads, tokens, size]: [.., 0, ..] keys,
[.., 1, ..] values. Position j of a sequence is token j % tokens of its block table[j // tokens].

Source: Touvron et al., arXiv 2302.13971, section 2.2; Su et al., arXiv 2104.09864, section 3.4
(rotation of adjacent pairs); Ainslie et al., arXiv 2305.13245 (heads that share keys and values).
"""

import math
from typing import Any

import numpy as np

from sampler.kernels._jit import Array, Arrays, kernel
from sampler.kernels.lanes import LANES, fold, load, multiply, multiply_add, splat, store, zeros

_TWO_OVER_PI = 0.6366197723675814
_HALF_PI_HIGH = 1.5707963267341256  # pi / 2 to 33 bits, so that k * _HALF_PI_HIGH is exact
_HALF_PI_LOW = 6.077100506506192e-11
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # ln 2 to 33 bits, so that k * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10
_ROUND = 1.5 * 2.0**52  # numbers of this size have no fraction
_INVERSE_FACTORIALS = np.array([1.0 / math.factorial(i) for i in range(10)])
_SINE = np.array([(-1.0) ** i / math.factorial(2 * i + 1) for i in range(9)])
_COSINE = np.array([(-1.0) ** i / math.factorial(2 * i) for i in range(9)])
_KEYS, _VALUES = 0, 1


@kernel
def _dot(left: Array, right: Array) -> Any:
    """The inner product of contiguous float32 arrays, a multiple of 16 long, in float32."""
    total = zeros()
    for i in range(0, len(left), LANES):
        total = multiply_add(total, load(left, i), load(right, i))
    return fold(total)


@kernel
def rms_norm(x: Array, weight: Array, epsilon: float, out: Array) -> None:
    """Fills out[r] with x[r] / sqrt(mean(x[r]**2) + epsilon) * weight; float32[rows, size].

    Where the mean overflows, the row becomes NaN and not a plausible 0.
    Source: Zhang and Sennrich, arXiv 1910.07467, section 4.
    """
    rows, size = x.shape
    for r in range(rows):
        square = np.float64(_dot(x[r], x[r])) / size + epsilon
        scale = np.float32(1.0 / math.sqrt(square)) if square < np.inf else np.float32(np.nan)
        for i in range(size):
            out[r, i] = x[r, i] * scale * weight[i]


@kernel
def cosine_and_sine(angle: float) -> tuple[float, float]:
    """(cos, sin) of an angle from 0 to 2**20, in radians; the error is below 1e-15.

    angle = k pi / 2 + r with |r| <= pi / 4, then Taylor polynomials of degree 16 and 17.
    Source: Cody and Waite, "Software Manual for the Elementary Functions" (1980), chapter 8.
    """
    k = math.floor(angle * _TWO_OVER_PI + 0.5)
    r = (angle - k * _HALF_PI_HIGH) - k * _HALF_PI_LOW
    square = r * r
    sine, cosine = float(_SINE[8]), float(_COSINE[8])
    for i in range(7, -1, -1):
        sine = sine * square + _SINE[i]
        cosine = cosine * square + _COSINE[i]
    sine *= r
    quarter = int(k) % 4
    if quarter == 0:
        return cosine, sine
    if quarter == 1:
        return -sine, cosine
    if quarter == 2:
        return -cosine, -sine
    return sine, -cosine


@kernel
def rotations(positions: Array, frequencies: Array, out: Array) -> None:
    """Fills out[r, i] with the cosine and sine of positions[r] * frequencies[i].

    positions : int64[rows]; frequencies : float64[pairs]; out : float32[rows, pairs, 2].
    """
    for r in range(len(positions)):
        for i in range(len(frequencies)):
            cosine, sine = cosine_and_sine(positions[r] * frequencies[i])
            out[r, i, 0] = cosine
            out[r, i, 1] = sine


@kernel
def rotate(x: Array, rotation: Array) -> None:
    """Rotates each adjacent pair of each head in place.

    x : float32[rows, heads * 2 * pairs]; rotation : float32[rows, pairs, 2] of `rotations`.
    """
    rows, width = x.shape
    pairs = rotation.shape[1]
    for r in range(rows):
        for start in range(0, width, 2 * pairs):
            for i in range(pairs):
                cosine, sine = rotation[r, i, 0], rotation[r, i, 1]
                first, second = x[r, start + 2 * i], x[r, start + 2 * i + 1]
                x[r, start + 2 * i] = first * cosine - second * sine
                x[r, start + 2 * i + 1] = first * sine + second * cosine


@kernel
def remember(rows: Arrays, layer: int, keys: Array, values: Array, cache: Array) -> None:
    """Writes the keys and values of some tokens into the cache.

    rows : (positions int64[rows], which table int64[rows], tables int64[sequences, blocks]);
    keys, values : float32[rows, heads * size].
    """
    positions, sequences, tables = rows
    heads, tokens, size = cache.shape[3], cache.shape[4], cache.shape[5]
    for r in range(len(positions)):
        block = tables[sequences[r], positions[r] // tokens]
        at = positions[r] % tokens
        for h in range(heads):
            for d in range(size):
                cache[block, layer, _KEYS, h, at, d] = keys[r, h * size + d]
                cache[block, layer, _VALUES, h, at, d] = values[r, h * size + d]


@kernel
def _exp(t: float) -> float:
    """e**t for t <= 0, to 1e-11, in a form that compiles to vectors; NaN counts as -700.

    t = k ln 2 + r with |r| <= ln 2 / 2: a Taylor polynomial of degree 9 times 2**k. Adding _ROUND
    rounds to an integer and leaves it in the lowest bits, from where it becomes the exponent.
    """
    t = t if t > -700.0 else -700.0
    rounded = t * _LOG2_E + _ROUND
    k = rounded - _ROUND
    r = (t - k * _LN2_HIGH) - k * _LN2_LOW
    polynomial = float(_INVERSE_FACTORIALS[9])
    for i in range(8, -1, -1):
        polynomial = polynomial * r + _INVERSE_FACTORIALS[i]
    power = (np.float64(rounded).view(np.int64) + 1023) << 52
    return float(polynomial * np.int64(power).view(np.float64))


@kernel
def _softmax(scores: Array) -> float:
    """exp(score - highest) in place of each score; their sum."""
    highest = scores[0]
    for j in range(1, len(scores)):
        highest = max(highest, scores[j])
    for j in range(len(scores)):
        scores[j] = _exp(np.float64(scores[j]) - np.float64(highest))
    mass = 0.0
    for j in range(len(scores)):
        mass += np.float64(scores[j])
    return mass


@kernel
def _attend_head(query: Array, table: Array, cache: Arrays, scores: Array, out: Array) -> None:
    """One head of one row: scores has one place for each position that is seen.

    cache : (the whole cache, layer, head of keys and values)
    """
    blocks, layer, head = cache
    tokens, size = blocks.shape[4], blocks.shape[5]
    seen = len(scores)
    scale = np.float32(1.0 / math.sqrt(size))
    for start in range(0, seen, tokens):
        keys = blocks[table[start // tokens], layer, _KEYS, head]
        for j in range(min(tokens, seen - start)):
            scores[start + j] = _dot(query, keys[j]) * scale
    share = splat(np.float32(1.0 / _softmax(scores)))
    for d in range(0, size, 2 * LANES):
        low, high = zeros(), zeros()
        for start in range(0, seen, tokens):
            values = blocks[table[start // tokens], layer, _VALUES, head]
            for j in range(min(tokens, seen - start)):
                weight = splat(scores[start + j])
                low = multiply_add(low, weight, load(values[j], d))
                high = multiply_add(high, weight, load(values[j], d + LANES))
        store(out, d, multiply(low, share))
        store(out, d + LANES, multiply(high, share))


@kernel
def attend(
    rows: Arrays, layer: int, queries: Array, cache: Array, scores: Array, out: Array
) -> None:
    """Fills `out` with what each head of each row takes from its own and all earlier positions.

    rows : as for `remember`; queries, out : float32[rows, heads * size], head h reads the keys
    and values of head h // (heads / heads of the cache); scores : float32[longest context], work.
    """
    positions, sequences, tables = rows
    heads_of_cache, size = cache.shape[3], cache.shape[5]
    group = queries.shape[1] // size // heads_of_cache
    for r in range(len(positions)):
        table = tables[sequences[r]]
        for h in range(group * heads_of_cache):
            part = slice(h * size, (h + 1) * size)
            _attend_head(
                queries[r, part],
                table,
                (cache, layer, h // group),
                scores[: positions[r] + 1],
                out[r, part],
            )


@kernel
def gate(x: Array, by: Array) -> None:
    """Replaces x by silu(x) * by, with silu(x) = x / (1 + e**-x); float32[rows, size].

    Source: Shazeer, arXiv 2002.05202, section 2 (SwiGLU).
    """
    rows, size = x.shape
    for r in range(rows):
        for i in range(size):
            value = np.float64(x[r, i])
            weight = _exp(-abs(value))
            sigmoid = (1.0 if value >= 0.0 else weight) / (1.0 + weight)
            x[r, i] = np.float32(value * sigmoid) * by[r, i]
