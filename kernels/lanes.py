"""Sixteen float32 numbers as one value of a kernel, so that sums keep a shape that is written down.

A loop that adds floats one after another is not vectorised without permission to reorder it, and
an order that the compiler picks differs between processors. So the order is written here: lane i
holds elements i, i + 16, i + 32, ..., and `fold` adds the lanes in halves. A processor with wide
registers takes one instruction where another takes four; the bits are the same.

Rejected: fused multiply-add, which a processor without it emulates a hundred times slower.

Each operation is plain LLVM code for any processor. The body below it is its meaning in NumPy, and
is what runs where compilation is switched off.
"""

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.extending import intrinsic, models, register_model

from sampler.kernels._jit import Array

LANES = 16
Lanes = Any  # compiled: sixteen float32 in registers; plain: float32[16]

_BYTE, _SHORT, _INTEGER = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_FLOAT = ir.FloatType()
_BYTES, _SHORTS = ir.VectorType(_BYTE, LANES), ir.VectorType(_SHORT, LANES)
_INTEGERS, _FLOATS = ir.VectorType(_INTEGER, LANES), ir.VectorType(_FLOAT, LANES)
_DOUBLES, _LONGS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(64), LANES)


class _LanesType(types.Type):
    """The Numba type of sixteen numbers, `vector` in LLVM."""

    def __init__(self, name: str, vector: Any) -> None:
        super().__init__(name)
        self.vector = vector


_LANES = _LanesType("float32x16", _FLOATS)
_WIDE_LANES = _LanesType("float64x16", _DOUBLES)


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.vector)  # type: ignore[no-untyped-call]


def _operation(result: Any, build: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: the compiled operation, or the plain one where compilation is off.

    build(builder, *arguments) makes the LLVM code; an array arrives as a pointer to its data.
    """

    def typed(_: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:
            arguments = [
                context.make_array(kind)(context, builder, value).data
                if isinstance(kind, types.Array)
                else value
                for kind, value in zip(call.args, values, strict=True)
            ]
            built = build(builder, *arguments)
            return context.get_dummy_value() if result is types.void else built

        return result(*map(types.unliteral, kinds)), generate

    def operation(plain: Callable[..., Any]) -> Any:
        if getattr(config, "DISABLE_JIT", False):
            return plain
        first = Parameter("typing_context", Parameter.POSITIONAL_ONLY)
        names = (Parameter(name, Parameter.POSITIONAL_ONLY) for name in signature(plain).parameters)
        typed.__signature__ = Signature([first, *names])  # type: ignore[attr-defined]
        return intrinsic(typed)

    return operation


def _at(builder: Any, data: Any, start: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(data, [start]), kind.as_pointer())


def _same(kind: Any, value: float) -> Any:
    """A constant: `value` itself, or in every lane of a vector."""
    return ir.Constant(kind, [value] * LANES if isinstance(kind, ir.VectorType) else value)


def _shuffled(builder: Any, vector: Any, lanes: list[int]) -> Any:
    order = ir.Constant(ir.VectorType(_INTEGER, len(lanes)), lanes)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)


def _build_splat(builder: Any, number: Any) -> Any:
    single = ir.Constant(ir.VectorType(number.type, 1), ir.Undefined)
    return _shuffled(builder, builder.insert_element(single, number, _INTEGER(0)), [0] * LANES)


def _build_fold(builder: Any, vector: Any) -> Any:
    width = LANES
    while width > 1:
        width //= 2
        low = _shuffled(builder, vector, list(range(width)))
        high = _shuffled(builder, vector, list(range(width, 2 * width)))
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, _INTEGER(0))


def _build_times_power(builder: Any, vector: Any, steps: Any) -> Any:
    wide = vector.type == _DOUBLES
    integers, place = (_LONGS, 52) if wide else (_INTEGERS, 23)
    shift = builder.shl(builder.bitcast(steps, integers), _same(integers, place))
    return builder.bitcast(builder.add(builder.bitcast(vector, integers), shift), vector.type)


def _build_fused(builder: Any, left: Any, right: Any, addend: Any) -> Any:
    name = f"llvm.fmuladd.v{LANES}f{64 if left.type == _DOUBLES else 32}"
    kind = ir.FunctionType(left.type, [left.type] * 3)
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, [left, right, addend])


def _build_half(builder: Any, half: Any, integer: Any, floating: Any) -> Any:
    """float16 to float32: its bits in place, then times 2**112, exact for subnormals too."""
    bits = builder.shl(builder.sext(half, integer), _same(integer, 13))
    bits = builder.and_(bits, _same(integer, 0x8FFFE000))
    return builder.fmul(builder.bitcast(bits, floating), _same(floating, 2.0**112))


def _build_splat_half(builder: Any, data: Any, start: Any) -> Any:
    half = builder.load(_at(builder, data, start, _SHORT), align=1)
    return _build_splat(builder, _build_half(builder, half, _INTEGER, _FLOAT))


def _build_halves(builder: Any, data: Any, start: Any) -> Any:
    halves = builder.load(_at(builder, data, start, _SHORTS), align=1)
    return _build_half(builder, halves, _INTEGERS, _FLOATS)


def _build_low_nibbles(builder: Any, data: Any, start: Any) -> Any:
    packed = builder.zext(builder.load(_at(builder, data, start, _BYTES), align=1), _INTEGERS)
    return builder.sitofp(builder.and_(packed, _same(_INTEGERS, 15)), _FLOATS)


def _build_high_nibbles(builder: Any, data: Any, start: Any) -> Any:
    packed = builder.zext(builder.load(_at(builder, data, start, _BYTES), align=1), _INTEGERS)
    return builder.sitofp(builder.lshr(packed, _same(_INTEGERS, 4)), _FLOATS)


def _build_signed_bytes(builder: Any, data: Any, start: Any) -> Any:
    packed = builder.load(_at(builder, data, start, _BYTES), align=1)
    return builder.sitofp(builder.sext(packed, _INTEGERS), _FLOATS)


@_operation(_LANES, lambda builder: _same(_FLOATS, 0.0))
def zeros() -> Lanes:
    """Sixteen zeros."""
    return np.zeros(LANES, np.float32)


@_operation(_LANES, _build_splat)
def splat(number: float) -> Lanes:
    """The float32 `number` in each lane."""
    return np.full(LANES, number, np.float32)


@_operation(_LANES, lambda b, values, start: b.load(_at(b, values, start, _FLOATS), align=4))
def load(values: Array, start: int) -> Lanes:
    """values[start : start + 16] of a contiguous float32 array; start >= 0."""
    return values[start : start + LANES]


@_operation(types.void, lambda b, to, start, x: b.store(x, _at(b, to, start, _FLOATS), align=4))
def store(to: Array, start: int, lanes: Lanes) -> None:
    """Writes `lanes` to to[start : start + 16] of a contiguous float32 array; start >= 0."""
    to[start : start + LANES] = lanes


@_operation(_LANES, lambda b, total, left, right: b.fadd(total, b.fmul(left, right)))
def multiply_add(total: Lanes, left: Lanes, right: Lanes) -> Lanes:
    """The sum total + left * right, rounded after the product and after the sum."""
    return total + left * right


@_operation(_LANES, lambda b, left, right: b.fadd(left, right))
def add(left: Lanes, right: Lanes) -> Lanes:
    """The sum of each lane."""
    return left + right


@_operation(_LANES, lambda b, left, right: b.fmul(left, right))
def multiply(left: Lanes, right: Lanes) -> Lanes:
    """The product of each lane."""
    return left * right


@_operation(
    _LANES,
    lambda b, lanes: b.bitcast(
        b.and_(b.bitcast(lanes, _INTEGERS), _same(_INTEGERS, 0x7FFFFFFF)), _FLOATS
    ),
)
def absolute(lanes: Lanes) -> Lanes:
    """Each lane without its sign."""
    return np.abs(lanes)


@_operation(_LANES, lambda b, left, right: b.fsub(left, right))
def subtract(left: Lanes, right: Lanes) -> Lanes:
    """The difference of each lane."""
    return left - right


@_operation(_LANES, _build_fused)
def fused(left: Lanes, right: Lanes, addend: Lanes) -> Lanes:
    """Left * right + addend: rounded once where the processor has such an instruction, else twice.

    Only for results whose error is bounded either way; `multiply_add` is the same everywhere.
    """
    with np.errstate(invalid="ignore"):
        return left * right + addend


@_operation(_LANES, _build_times_power)
def times_power(lanes: Lanes, steps: Lanes) -> Lanes:
    """Each lane * 2**k, with k in the lowest bits of `steps` = 1.5 * 2**23 + k; all stay normal.

    Adding 1.5 * 2**23 rounds to an integer and leaves it in the lowest bits.
    """
    exponents = steps.view(np.int32) << 23
    return (lanes.view(np.int32) + exponents).view(np.float32)


@_operation(_WIDE_LANES, lambda builder: _same(_DOUBLES, 0.0))
def wide_zeros() -> Lanes:
    """Sixteen float64 zeros."""
    return np.zeros(LANES)


@_operation(_WIDE_LANES, _build_splat)
def wide_splat(number: float) -> Lanes:
    """A float64 in each of sixteen lanes."""
    return np.full(LANES, number)


@_operation(_WIDE_LANES, lambda b, total, lanes: b.fadd(total, b.fpext(lanes, _DOUBLES)))
def add_widened(total: Lanes, lanes: Lanes) -> Lanes:
    """The sum of each lane; `total` is sixteen float64."""
    return total + lanes


@_operation(_WIDE_LANES, lambda b, values, start: b.load(_at(b, values, start, _DOUBLES), align=8))
def wide_load(values: Array, start: int) -> Lanes:
    """values[start : start + 16] of a contiguous float64 array; start >= 0."""
    return values[start : start + LANES]


@_operation(_WIDE_LANES, lambda b, left, right: b.fadd(left, right))
def wide_add(left: Lanes, right: Lanes) -> Lanes:
    """The sum of each lane, of sixteen float64."""
    return left + right


@_operation(_WIDE_LANES, lambda b, lanes: b.fpext(lanes, _DOUBLES))
def widened(lanes: Lanes) -> Lanes:
    """Sixteen float32 as float64."""
    return lanes.astype(np.float64)


@_operation(_WIDE_LANES, lambda b, left, right: b.fsub(left, right))
def wide_subtract(left: Lanes, right: Lanes) -> Lanes:
    """The difference of each lane, of sixteen float64."""
    return left - right


@_operation(_WIDE_LANES, lambda b, left, right: b.fmul(left, right))
def wide_multiply(left: Lanes, right: Lanes) -> Lanes:
    """The product of each lane, of sixteen float64."""
    return left * right


@_operation(
    _WIDE_LANES, lambda b, left, right: b.select(b.fcmp_ordered(">", left, right), left, right)
)
def wide_maximum(left: Lanes, right: Lanes) -> Lanes:
    """The left lane where it is greater, else the right one, of sixteen float64."""
    return np.where(left > right, left, right)


@_operation(_WIDE_LANES, _build_fused)
def wide_fused(left: Lanes, right: Lanes, addend: Lanes) -> Lanes:
    """As `fused`, of sixteen float64."""
    return left * right + addend


@_operation(_WIDE_LANES, _build_times_power)
def wide_times_power(lanes: Lanes, steps: Lanes) -> Lanes:
    """As `times_power`, of sixteen float64, with steps = 1.5 * 2**52 + k."""
    return (lanes.view(np.int64) + (steps.view(np.int64) << 52)).view(np.float64)


@_operation(types.float64, _build_fold)
def wide_fold(lanes: Lanes) -> float:
    """As `fold`, of sixteen float64."""
    return float(fold(lanes))


@_operation(types.float32, _build_fold)
def fold(lanes: Lanes) -> float:
    """The sum of the lanes in halves: 0 + 8, 1 + 9, ...; then 0 + 4, ...; 0 + 2, 1 + 3; 0 + 1."""
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]  # type: ignore[no-any-return]


@_operation(_LANES, _build_splat_half)
def splat_half(data: Array, start: int) -> Lanes:
    """The finite float16 in data[start : start + 2], little-endian bytes, in each lane."""
    return splat(data[start : start + 2].view(np.float16)[0])


@_operation(_LANES, _build_halves)
def halves(data: Array, start: int) -> Lanes:
    """The 16 finite float16 in data[start : start + 32], little-endian bytes."""
    return data[start : start + 2 * LANES].view(np.float16).astype(np.float32)


@_operation(_LANES, lambda b, data, start: b.load(_at(b, data, start, _FLOATS), align=1))
def floats(data: Array, start: int) -> Lanes:
    """The 16 float32 in data[start : start + 64], little-endian bytes."""
    return data[start : start + 4 * LANES].view(np.float32)


@_operation(_LANES, _build_low_nibbles)
def low_nibbles(data: Array, start: int) -> Lanes:
    """The lower four bits of each of data[start : start + 16], 0 to 15."""
    return (data[start : start + LANES] & 15).astype(np.float32)


@_operation(_LANES, _build_high_nibbles)
def high_nibbles(data: Array, start: int) -> Lanes:
    """The upper four bits of each of data[start : start + 16], 0 to 15."""
    return (data[start : start + LANES] >> 4).astype(np.float32)


@_operation(_LANES, _build_signed_bytes)
def signed_bytes(data: Array, start: int) -> Lanes:
    """data[start : start + 16] read as int8, -128 to 127."""
    return data[start : start + LANES].view(np.int8).astype(np.float32)
