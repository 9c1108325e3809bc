"""a * b + c, rounded once.

A processor does it in one instruction of four cycles, where a product and a sum take six: what an average that moves
from bar to bar waits for. Compiled and in plain Python the bits are the same, since there is one correct rounding.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from numba import types
from numba.extending import intrinsic, overload

_fma = ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fma
_fma.argtypes = [ctypes.c_double] * 3
_fma.restype = ctypes.c_double


def fma(a: float, b: float, c: float) -> float:
    """Return a * b + c, rounded once, as C does.

    >>> fma(1.0 + 2.0**-30, 1.0 - 2.0**-30, -1.0) == -(2.0**-60)
    True
    """
    return _fma(a, b, c)  # type: ignore[no-any-return]


@intrinsic
def _instruction(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@overload(fma, strict=False, jit_options={"forceinline": True})
def _compiled_fma(a: Any, b: Any, c: Any) -> Any:
    return lambda a, b, c: _instruction(a, b, c)
