"""Run a step function over columns: one loop, specialised per step, kept on disk.

A step is an ordinary function `step(s, window, x, ...)`: `s` is a record of its parameters and its state, `window` a
float64 array of the length it asked for, the rest are this bar's inputs.  The loop gives it one bar after another.
A column of a million bars and a single live bar go through the same compiled function, which is why they agree bit
for bit.  The record lives on the stack of the loop, so that LLVM keeps the state in registers.

The rule of missing values is here and nowhere else: a bar with an input that is NaN or infinite has no value (NaN)
and leaves the state as it was; a value is NaN as long as the inputs seen are not more than the declared lookback.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic

from framework.boundary.adapter import content_of
from framework.boundary.address import address_of
from framework.boundary.jit import JIT, content_key, engine_key, keep_on_disk
from framework.boundary.unit import EntryCompiler, KernelCompiler, LoneCompiler
from framework.boundary.view import view_at

Column = Callable[[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, ...], np.ndarray, np.ndarray], None]
"""column(state record[1], window, lookbacks int64[k], inputs read-only float64[n] each, out float64[k, n], bounds).

bounds: read-only int64[parts + 1]; each part bounds[i]:bounds[i + 1] of the bars begins afresh.  The record and the
window are left as the last part leaves them.
"""

NAN = math.nan

ENDLESS = 1 << 62
"""What `s.seen` says once all outputs are known: more bars than any length, which are 32 bits wide."""


def _copy_fields(context: Any, builder: Any, record: Any, target: Any, source: Any) -> None:
    """Copy a record field by field, each in its own type, so that LLVM keeps each in a register of its kind."""
    for field in record.fields.values():
        kind = context.get_value_type(field.type)
        here, there = (cgutils.get_record_member(builder, one, field.offset, kind)  # type: ignore[no-untyped-call]
                       for one in (source, target))
        builder.store(builder.load(here), there)


@intrinsic
def _on_stack(typingctx: Any, record: Any) -> Any:
    """Return a copy of a record that lives in the frame of the caller; its lengths, 32 bits wide, are not negative."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        memory = cgutils.alloca_once(builder, args[0].type.pointee)  # type: ignore[no-untyped-call]
        _copy_fields(context, builder, record, memory, args[0])
        for field in record.fields.values():
            if field.type == numba.types.int32:
                kind = context.get_value_type(field.type)
                length = builder.load(cgutils.get_record_member(  # type: ignore[no-untyped-call]
                    builder, memory, field.offset, kind))
                builder.assume(builder.icmp_signed(">=", length, kind(0)))
        return memory

    return record(record), codegen


@intrinsic
def _copy_record(typingctx: Any, target: Any, source: Any) -> Any:
    """Copy the fields of one record over those of another of the same type."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _copy_fields(context, builder, target, args[0], args[1])
        return context.get_dummy_value()

    return numba.types.none(target, source), codegen


@intrinsic
def _apart(typingctx: Any) -> Any:
    """Keep the function that says so out of its callers: a loop that is alone has all registers to itself."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return numba.types.none(), codegen


CHUNK = 256
"""How many bars are looked through for missing values at once: their inputs fit the fastest cache."""


def _compiled_loop(known_at: Any, run: Any, walk: Any) -> Column:
    """Return the loop for compiling: bars without missing values beyond the lookback run without looking at either."""

    def column(states: Any, window: Any, lookbacks: Any, columns: Any, out: Any, bounds: Any) -> None:
        kept = states[0]
        longest = 0
        for k in range(len(lookbacks)):
            longest = max(longest, lookbacks[k])
        for part in range(len(bounds) - 1):
            s: Any = _on_stack(kept)  # type: ignore[call-arg]
            if part > 0:
                for k in range(len(window)):
                    window[k] = 0.0
            n = bounds[part + 1]
            chunk = CHUNK // len(columns)
            for first in range(bounds[part], n, chunk):
                last = min(first + chunk, n)
                missing = 0 if s.count > longest else 1
                for i in range(np.uintp(first), np.uintp(last)):  # unsigned: no index counts from the end
                    missing |= 0 if known_at(columns, i) else 1
                if missing == 0:
                    run(s, window, columns, out, first, last)
                else:
                    walk(s, window, lookbacks, columns, out, first, last)
            if part == len(bounds) - 2:
                _copy_record(kept, s)

    return column


def _running(value_at: Any, put: Any) -> Any:
    """Return the loop over bars that have all values and lie beyond the lookback."""

    def run(kept: Any, window: Any, columns: Any, out: Any, first: int, last: int) -> None:
        _apart()  # type: ignore[call-arg]
        s: Any = _on_stack(kept)  # type: ignore[call-arg]
        s.seen = ENDLESS
        for i in range(np.uintp(first), np.uintp(last)):
            s.count += 1
            put(out, i, value_at(s, window, columns, i))
        _copy_record(kept, s)

    return run


def _walking(step_at: Any) -> Any:
    """Return the loop over any bars."""

    def walk(s: Any, window: Any, lookbacks: Any, columns: Any, out: Any, first: int, last: int) -> None:
        _apart()  # type: ignore[call-arg]
        for i in range(np.uintp(first), np.uintp(last)):
            step_at(s, window, lookbacks, columns, out, i)

    return walk


def _interpreted_loop(step_at: Any) -> Column:
    def column(states: Any, window: Any, lookbacks: Any, columns: Any, out: Any, bounds: Any) -> None:
        fresh = states.copy()
        s = view_at(address_of(states), states.dtype)
        floats = memoryview(window)
        for part in range(len(bounds) - 1):
            if part > 0:
                states[:] = fresh
                window[:] = 0.0
            for i in range(bounds[part], bounds[part + 1]):
                step_at(s, floats, lookbacks, columns, out, i)

    return column


def _store_one(out: Any, i: int, value: Any, count: int, lookbacks: Any) -> None:
    out[0, i] = value if count > lookbacks[0] else NAN


def _store_many(out: Any, i: int, values: Any, count: int, lookbacks: Any) -> None:
    for k in range(len(values)):
        out[k, i] = values[k] if count > lookbacks[k] else NAN


def _put_one(out: Any, i: int, value: Any) -> None:
    out[0, i] = value


def _put_many(out: Any, i: int, values: Any) -> None:
    for k in range(len(values)):
        out[k, i] = values[k]


def _blank(out: Any, i: int) -> None:
    for k in range(out.shape[0]):
        out[k, i] = NAN


def _checked(value_at: Any, known_at: Any, store: Any, blank: Any) -> Any:
    """Return the rule of missing values around a step."""

    def step_at(s: Any, window: Any, lookbacks: Any, columns: Any, out: Any, i: int) -> None:
        if known_at(columns, i):
            s.count += 1
            s.seen = s.count
            store(out, i, value_at(s, window, columns, i), s.count, lookbacks)
        else:
            blank(out, i)

    return step_at


def _one_input(step: Any) -> tuple[Any, Any]:
    def known_at(columns: Any, i: int) -> bool:
        a = float(columns[0][i])
        return a - a == 0.0

    def value_at(s: Any, window: Any, columns: Any, i: int) -> Any:
        return step(s, window, float(columns[0][i]))

    return known_at, value_at


def _two_inputs(step: Any) -> tuple[Any, Any]:
    def known_at(columns: Any, i: int) -> bool:
        a, b = float(columns[0][i]), float(columns[1][i])
        return (a - a) + (b - b) == 0.0

    def value_at(s: Any, window: Any, columns: Any, i: int) -> Any:
        return step(s, window, float(columns[0][i]), float(columns[1][i]))

    return known_at, value_at


def _three_inputs(step: Any) -> tuple[Any, Any]:
    def known_at(columns: Any, i: int) -> bool:
        a, b, c = float(columns[0][i]), float(columns[1][i]), float(columns[2][i])
        return (a - a) + (b - b) + (c - c) == 0.0

    def value_at(s: Any, window: Any, columns: Any, i: int) -> Any:
        return step(s, window, float(columns[0][i]), float(columns[1][i]), float(columns[2][i]))

    return known_at, value_at


def _four_inputs(step: Any) -> tuple[Any, Any]:
    def known_at(columns: Any, i: int) -> bool:
        a, b, c, d = float(columns[0][i]), float(columns[1][i]), float(columns[2][i]), float(columns[3][i])
        return (a - a) + (b - b) + (c - c) + (d - d) == 0.0

    def value_at(s: Any, window: Any, columns: Any, i: int) -> Any:
        return step(s, window, float(columns[0][i]), float(columns[1][i]), float(columns[2][i]), float(columns[3][i]))

    return known_at, value_at


def _five_inputs(step: Any) -> tuple[Any, Any]:
    def known_at(columns: Any, i: int) -> bool:
        a, b, c, d = float(columns[0][i]), float(columns[1][i]), float(columns[2][i]), float(columns[3][i])
        e = float(columns[4][i])
        return (a - a) + (b - b) + (c - c) + (d - d) + (e - e) == 0.0

    def value_at(s: Any, window: Any, columns: Any, i: int) -> Any:
        return step(s, window, float(columns[0][i]), float(columns[1][i]), float(columns[2][i]), float(columns[3][i]),
                    float(columns[4][i]))

    return known_at, value_at


_BY_INPUTS = {1: _one_input, 2: _two_inputs, 3: _three_inputs, 4: _four_inputs, 5: _five_inputs}

MAX_INPUTS = max(_BY_INPUTS)
"""A step takes at most as many inputs as a bar has prices and volume."""


GUARDED = "framework.indicators."
"""Where every division is guarded: the steps of this package are compiled without a look at each divisor."""


def _jit(function: Any, **options: Any) -> Any:
    """Compile without numba's reference counting, which costs more than a step; so a step cannot allocate memory."""
    jit: Any = njit
    return jit(nogil=True, _nrt=False, **{"error_model": "python", **options})(function)


def _inner(function: Any, error_model: str = "python") -> Any:
    """Compile a part of the loop so that nothing of it is called: the state must not leave the registers."""
    return _jit(function, forceinline=True, pipeline_class=KernelCompiler, error_model=error_model)


def interpreted_column(step: Callable[..., Any], inputs: int, outputs: int) -> Column:
    """Return the column function of `step` in plain Python: for debuggers, and for steps that do not compile."""
    store = _store_one if outputs == 1 else _store_many
    known_at, value_at = _BY_INPUTS[inputs](step)
    return _interpreted_loop(_checked(value_at, known_at, store, _blank))


def compiled_column(step: Callable[..., Any], layout: np.dtype, inputs: int, outputs: int) -> Column:
    """Return the column function of `step`, compiled at its first call and kept on disk.

    The key on disk is the content of the engine's sources, of the step and of all that it calls.  Division by zero
    raises as it does in Python.
    """
    if not JIT:
        return interpreted_column(step, inputs, outputs)
    store, put = (_store_one, _put_one) if outputs == 1 else (_store_many, _put_many)
    division = "numpy" if step.__module__.startswith(GUARDED) else "python"
    known_at, value_at = (_inner(function) for function in _BY_INPUTS[inputs](_inner(step, division)))
    step_at = _inner(_checked(value_at, known_at, _inner(store), _inner(_blank)))
    run = _jit(_running(value_at, _inner(put)), pipeline_class=LoneCompiler)
    walk = _jit(_walking(step_at), pipeline_class=LoneCompiler)
    dispatcher = _jit(_compiled_loop(known_at, run, walk), pipeline_class=EntryCompiler)
    parts = content_of(step)
    if parts is not None:
        shape = f"{layout.descr} {layout.itemsize} {inputs} {outputs}"
        keep_on_disk(dispatcher, content_key([engine_key().encode(), shape.encode(), *parts]))
    return dispatcher  # type: ignore[no-any-return]
