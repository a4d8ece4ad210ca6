"""Answers for sixteen lanes that stay in registers, and what is listed by them.

An answer as a number (`lane_bits`) has to leave the registers in which a processor compares lanes;
where many answers are combined for each load, that takes longer than the sums they are for.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from sampler.kernels._jit import Array
from sampler.kernels.lanes import (
    _FLOATS,
    _INTEGER,
    _INTEGERS,
    _LANES,
    _WIDE_LANES,
    LANES,
    Lanes,
    _at,
    _LanesType,
    _operation,
    _shuffled,
)

Choice = Any  # compiled: sixteen answers in registers; plain: bool[16]

_ANSWERS = ir.VectorType(ir.IntType(1), LANES)
_SHORT = ir.IntType(LANES)
_CHOICE = _LanesType("bool16", _ANSWERS)


def _compressed(builder: Any, lanes: Any, choice: Any) -> Any:
    """The chosen lanes first, in their order; what follows them is undefined."""
    kind = lanes.type
    element = "i32" if kind == _INTEGERS else "f32"
    name = f"llvm.experimental.vector.compress.v{LANES}{element}"
    signature = ir.FunctionType(kind, [kind, _ANSWERS, kind])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, [lanes, choice, ir.Constant(kind, ir.Undefined)])


def _build_store_ids(builder: Any, to: Any, at: Any, start: Any, choice: Any) -> Any:
    single = ir.Constant(ir.VectorType(_INTEGER, 1), ir.Undefined)
    first = builder.insert_element(single, builder.trunc(start, _INTEGER), _INTEGER(0))
    ids = builder.add(
        _shuffled(builder, first, [0] * LANES), ir.Constant(_INTEGERS, list(range(LANES)))
    )
    builder.store(_compressed(builder, ids, choice), _at(builder, to, at, _INTEGERS), align=4)


def _build_store_chosen(builder: Any, to: Any, at: Any, lanes: Any, choice: Any) -> Any:
    builder.store(_compressed(builder, lanes, choice), _at(builder, to, at, _FLOATS), align=4)


@_operation(_CHOICE, lambda b, left, right: b.fcmp_unordered(">=", left, right))
def reaches(left: Lanes, right: Lanes) -> Choice:
    """Whether not left < right, of float32 or float64; NaN reaches everything."""
    return ~(left < right)


@_operation(_CHOICE, lambda b, left, right: b.and_(left, b.not_(right)))
def but_not(left: Choice, right: Choice) -> Choice:
    """Left and not right."""
    return left & ~right


@_operation(_CHOICE, lambda b, left, right: b.or_(left, right))
def either(left: Choice, right: Choice) -> Choice:
    """Left or right."""
    return left | right


@_operation(_LANES, lambda b, choice, left, right: b.select(choice, left, right))
def choose(choice: Choice, left: Lanes, right: Lanes) -> Lanes:
    """The left lane where it is chosen, else the right one."""
    return np.where(choice, left, right)


@_operation(_WIDE_LANES, lambda b, choice, left, right: b.select(choice, left, right))
def wide_choose(choice: Choice, left: Lanes, right: Lanes) -> Lanes:
    """As `choose`, of sixteen float64."""
    return np.where(choice, left, right)


@_operation(
    types.boolean, lambda b, choice: b.icmp_signed("!=", b.bitcast(choice, _SHORT), _SHORT(0))
)
def any_chosen(choice: Choice) -> bool:
    """Whether any lane is chosen."""
    return bool(choice.any())


@_operation(
    types.int64,
    lambda b, choice: b.zext(b.ctpop(b.bitcast(choice, _SHORT)), ir.IntType(64)),
)
def count_chosen(choice: Choice) -> int:
    """How many lanes are chosen."""
    return int(choice.sum())


@_operation(types.void, _build_store_ids)
def store_ids(to: Array, at: int, start: int, choice: Choice) -> None:
    """to[at:] = start + the chosen lanes, ascending; writes to to[at : at + 16] of int32."""
    chosen = start + np.flatnonzero(choice)
    to[at : at + len(chosen)] = chosen


@_operation(types.void, _build_store_chosen)
def store_chosen(to: Array, at: int, lanes: Lanes, choice: Choice) -> None:
    """to[at:] = the chosen lanes in their order; writes to to[at : at + 16] of float32."""
    chosen = lanes[choice]
    to[at : at + len(chosen)] = chosen
