"""Comparisons of lanes: sixteen answers as the low bits of one number, and what to do with them.

Bit i belongs to lane i. Scans use these: they look at every element but keep hardly any.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from sampler.kernels._jit import Array
from sampler.kernels.lanes import (
    _INTEGER,
    _INTEGERS,
    _LANES,
    LANES,
    Lanes,
    _at,
    _operation,
    _same,
    _shuffled,
)

_BITS = ir.IntType(LANES)
_WIDE = ir.IntType(64)


def _build_bits(builder: Any, answers: Any) -> Any:
    return builder.zext(builder.bitcast(answers, _BITS), _INTEGER)


def _build_where(builder: Any, bits: Any, left: Any, right: Any) -> Any:
    lanes = ir.VectorType(ir.IntType(1), LANES)
    return builder.select(builder.bitcast(builder.trunc(bits, _BITS), lanes), left, right)


def _build_highest(builder: Any, vector: Any) -> Any:
    width = LANES
    while width > 1:
        width //= 2
        low = _shuffled(builder, vector, list(range(width)))
        high = _shuffled(builder, vector, list(range(width, 2 * width)))
        vector = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(vector, _INTEGER(0))


def _build_any_word(builder: Any, words: Any, start: Any) -> Any:
    sixteen = builder.load(_at(builder, words, start, _INTEGERS), align=4)
    answers = builder.icmp_signed("!=", sixteen, _same(_INTEGERS, 0))
    return builder.icmp_signed("!=", builder.bitcast(answers, _BITS), _BITS(0))


def _plain_bits(answers: Any) -> int:
    return int(sum(1 << lane for lane, answer in enumerate(answers) if answer))


@_operation(_LANES, lambda b, left, right: b.select(b.fcmp_ordered(">", left, right), left, right))
def maximum(left: Lanes, right: Lanes) -> Lanes:
    """The left lane where it is greater, else the right one; so the right one where left is NaN."""
    return np.where(left > right, left, right)


@_operation(types.uint32, lambda b, left, right: _build_bits(b, b.fcmp_ordered(">=", left, right)))
def at_least(left: Lanes, right: Lanes) -> int:
    """Which lanes have left >= right."""
    return _plain_bits(left >= right)


@_operation(types.uint32, lambda b, left, right: _build_bits(b, b.fcmp_ordered(">=", left, right)))
def wide_at_least(left: Lanes, right: Lanes) -> int:
    """As `at_least`, of sixteen float64."""
    return _plain_bits(left >= right)


@_operation(
    types.uint32, lambda b, left, right: _build_bits(b, b.fcmp_unordered(">=", left, right))
)
def not_below(left: Lanes, right: Lanes) -> int:
    """Which lanes do not have left < right; NaN is never below."""
    return _plain_bits(~(left < right))


@_operation(_LANES, _build_where)
def where(bits: int, left: Lanes, right: Lanes) -> Lanes:
    """The left lane where its bit is set, else the right one."""
    return np.where([bits >> lane & 1 for lane in range(LANES)], left, right)


@_operation(types.float32, _build_highest)
def highest(lanes: Lanes) -> float:
    """The greatest lane; no lane is NaN."""
    return lanes.max()  # type: ignore[no-any-return]


@_operation(types.float64, _build_highest)
def wide_highest(lanes: Lanes) -> float:
    """As `highest`, of sixteen float64."""
    return float(lanes.max())


@_operation(types.boolean, _build_any_word)
def any_word(words: Array, start: int) -> bool:
    """Whether any of words[start : start + 16] (uint32) is not 0."""
    return bool(words[start : start + LANES].any())


@_operation(types.int64, lambda b, bits: b.zext(b.ctpop(bits), _WIDE))
def count_bits(bits: int) -> int:
    """How many bits are set."""
    return int(bits).bit_count()


@_operation(types.int64, lambda b, bits: b.zext(b.cttz(bits, ir.IntType(1)(1)), _WIDE))
def lowest_bit(bits: int) -> int:
    """The place of the lowest bit that is set; there is one."""
    return (int(bits) & -int(bits)).bit_length() - 1
