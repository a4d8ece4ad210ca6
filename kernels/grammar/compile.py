"""How the kernels of the grammar are compiled: once each, whatever integers they are called with.

Numba compiles a function anew for each constant and each width of an argument that it meets, which
here would double the time of the first start for nothing: all numbers are int64.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import types

from sampler.kernels import _jit

Function = TypeVar("Function", bound=Callable[..., Any])

# elements of arrays, and what is counted up, are of this type whatever the array has
int64 = cast(Callable[[Any], int], np.int64)


def _wide(kind: Any) -> Any:
    kind = types.unliteral(kind)  # type: ignore[no-untyped-call]
    return types.int64 if isinstance(kind, types.Integer) else kind


def _once(compiled: Function) -> Function:
    compile_for = getattr(compiled, "compile", None)
    if compile_for is not None:  # compilation is not switched off

        def compile_once(kinds: Any) -> Any:
            return compile_for(tuple(map(_wide, kinds)) if isinstance(kinds, tuple) else kinds)

        compiled.compile = compile_once  # type: ignore[attr-defined]
    return compiled


def kernel(function: Function) -> Function:
    """As `sampler.kernels._jit.kernel`, for int64 wherever an integer is given."""
    return _once(_jit.kernel(function))


def inlined(function: Function) -> Function:
    """As `sampler.kernels._jit.inlined`, for int64 wherever an integer is given."""
    return _once(_jit.inlined(function))


def embedded(function: Function) -> Function:
    """As `sampler.kernels._jit.embedded`, for int64 wherever an integer is given."""
    return _once(_jit.embedded(function))
