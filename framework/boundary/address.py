"""Call a function, or read a column, at a raw address from inside compiled code.

One loop is compiled once and calls whatever was plugged in: nothing is recompiled when a strategy,
a slippage model or a rule changes.  With the JIT off, the same names go through ctypes.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from framework.boundary.jit import JIT

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
"""The one signature of the boundary: int64 status = f(pointer to a record)."""


def address_of(array: np.ndarray) -> int:
    """Return the address of an array's first byte; the caller keeps the array alive."""
    return array.ctypes.data


@intrinsic
def _compiled_call(typingctx: Any, address: Any, pointer: Any) -> Any:
    signature = types.int64(types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.IntType(64), [cgutils.voidptr_t]).as_pointer()
        return builder.call(builder.inttoptr(args[0], function), [builder.inttoptr(args[1], cgutils.voidptr_t)])

    return signature, codegen


@intrinsic
def _compiled_read(typingctx: Any, address: Any, index: Any) -> Any:
    signature = types.float64(types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        column = builder.inttoptr(args[0], ir.DoubleType().as_pointer())
        return builder.load(builder.gep(column, [args[1]]))

    return signature, codegen


@intrinsic
def _compiled_truth(typingctx: Any, address: Any, index: Any) -> Any:
    return types.boolean(types.int64, types.int64), _is_nonzero(8)


@intrinsic
def _compiled_truths(typingctx: Any, address: Any, index: Any) -> Any:
    return types.boolean(types.int64, types.int64), _is_nonzero(64)


def _is_nonzero(bits: int) -> Any:
    """Return what writes the instructions that tell whether a byte, or the eight from it on, hold anything but 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = ir.IntType(bits)
        byte = builder.gep(builder.inttoptr(args[0], ir.IntType(8).as_pointer()), [args[1]])
        loaded = builder.load(builder.bitcast(byte, word.as_pointer()), align=1)
        return builder.icmp_unsigned("!=", loaded, ir.Constant(word, 0))

    return codegen


def emit_prefetch(builder: Any, place: Any) -> None:
    """Write the instruction that fetches a place in memory into the cache ahead of its use."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    read, keep, data = (ir.Constant(number, x) for x in (0, 3, 1))
    builder.call(fetch, [builder.bitcast(place, cgutils.voidptr_t), read, keep, data])


@intrinsic
def _compiled_prefetch(typingctx: Any, address: Any, index: Any) -> Any:
    signature = types.none(types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emit_prefetch(builder, builder.gep(builder.inttoptr(args[0], ir.DoubleType().as_pointer()), [args[1]]))
        return context.get_dummy_value()

    return signature, codegen


def _interpreted_call(address: int, pointer: int) -> int:
    return int(CALLBACK(int(address))(int(pointer)))


def _interpreted_read(address: int, index: int) -> float:
    return ctypes.c_double.from_address(int(address) + 8 * int(index)).value


def _interpreted_truth(address: int, index: int) -> bool:
    return ctypes.c_bool.from_address(int(address) + int(index)).value


def _interpreted_truths(address: int, index: int) -> bool:
    return ctypes.c_uint64.from_address(int(address) + int(index)).value != 0


call_at = _compiled_call if JIT else _interpreted_call
"""call_at(address, pointer) -> status: call the int64 f(void *) at `address`."""

read_column = _compiled_read if JIT else _interpreted_read
"""read_column(address, index) -> float64: read one value of a float64 column."""

read_truth = _compiled_truth if JIT else _interpreted_truth
"""read_truth(address, index) -> bool: read one value of a bool column."""

read_truths = _compiled_truths if JIT else _interpreted_truths
"""read_truths(address, index) -> bool: whether one of eight values of a bool column is true, those from index on."""

prefetch_column = _compiled_prefetch if JIT else lambda address, index: None
"""prefetch_column(address, index): ask for one value of a float64 column that will be read a little later."""
