"""Turn an author's function into an address that the compiled loop can call.

An adapter takes a pointer to a record, shows it to the function under the author's own names, and
answers OK or FAULT.  It never lets an exception out: numba would print it and run on, ctypes would
swallow it, and both would be a wrong backtest.
"""

from __future__ import annotations

import ctypes
import dis
import enum
import functools
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import numba
import numpy as np
from numba import carray, njit, types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from framework.boundary.address import CALLBACK
from framework.boundary.jit import JIT, content_key, engine_key, keep_on_disk
from framework.boundary.view import view_at

OK = 0
FAULT = 1

RECORD = "record"
"""The function takes one record and returns nothing."""
RESULT = "result"
"""The function takes one record and returns a number, stored in the record's field `result`."""
RECORDS = "records"
"""The function takes an array of adjacent records; the first one's field `universe` is their number."""


@attrs.define(eq=False)
class Adapter:
    """A callable address and what keeps it alive."""

    address: int
    is_compiled: bool
    owner: Any
    fault: BaseException | None = None
    """The exception that an interpreted function raised, until somebody takes it."""

    def take_fault(self) -> BaseException | None:
        """Return the last exception and forget it."""
        fault, self.fault = self.fault, None
        return fault


_COMPILED: dict[str, Adapter] = {}
"""Adapters of this process by the content of what they call: the next run of the same code finds them ready."""


def compile_adapter(function: Callable[..., Any], dtype: np.dtype, form: str = RECORD) -> Adapter:
    """Compile `function` for records of `dtype`, once; raises numba's own error when it cannot be compiled."""
    if not JIT:
        return interpret_adapter(function, dtype, form)
    key = adapter_key(function, dtype, form)
    if key is None:
        return _compile(function, dtype, form, None)
    if key not in _COMPILED:
        _COMPILED[key] = _compile(function, dtype, form, key)
    return _COMPILED[key]


def adapter_key(function: Callable[..., Any], dtype: np.dtype, form: str) -> str | None:
    """Return the hash of all that an adapter is made of, None when some of it has no stable content."""
    parts = content_of(function)
    if parts is None:
        return None
    layout = [layout_of(dtype).encode(), str(dtype.itemsize).encode(), form.encode()]
    return content_key([engine_key().encode(), *layout, *parts])


@functools.cache
def layout_of(dtype: np.dtype) -> str:
    """Return the fields of a record's layout as text, which takes numpy a while to put together."""
    return repr(dtype.descr)


def _compile(function: Callable[..., Any], dtype: np.dtype, form: str, key: str | None) -> Adapter:
    body = njit(nogil=True, error_model="python")(plain_function(function))
    callback = CFunc(_guarded(body, numba.from_dtype(dtype), form), ((types.CPointer(types.uint8),), types.int64),
                     locals={}, options={"nopython": True, "error_model": "python", "nogil": True})
    if key is not None:
        keep_on_disk(callback, key)
    callback.compile()
    return Adapter(int(callback.address or 0), True, (callback, body))


def interpret_adapter(function: Callable[..., Any], dtype: np.dtype, form: str = RECORD) -> Adapter:
    """Wrap `function` as it is: the loop calls back into Python, a debugger stops in it."""
    function = plain_function(function)
    views = _Views(dtype, form)
    adapter = Adapter(0, False, None)

    def show(pointer: int) -> int:
        try:
            function(views[pointer])
        except BaseException as exception:
            adapter.fault = exception
            return FAULT
        return OK

    def ask(pointer: int) -> int:
        try:
            shown = views[pointer]
            shown.result = function(shown)
        except BaseException as exception:
            adapter.fault = exception
            return FAULT
        return OK

    adapter.owner = CALLBACK(ask if form == RESULT else show)
    adapter.address = int(ctypes.cast(adapter.owner, ctypes.c_void_p).value or 0)
    return adapter


def with_model(function: Callable[..., Any], model: Any, form: str = RECORD) -> Callable[..., Any]:
    """Return `function` for records that carry a Python object besides, as `model`; it can only be interpreted.

    What is returned knows the function itself as its attribute `asks`.
    """
    inner = plain_function(function)

    def show(shown: Any) -> Any:
        for record in shown if form == RECORDS else (shown,):
            record.model = model
        return inner(shown)

    show.asks = inner  # type: ignore[attr-defined]
    return show


class _Views(dict[int, Any]):
    """What interpreted functions are shown, by address: made at the first call, kept for all others."""

    def __init__(self, dtype: np.dtype, form: str) -> None:
        super().__init__()
        self.dtype, self.form = dtype, form

    def __missing__(self, pointer: int) -> Any:
        shown = first = view_at(pointer, self.dtype)
        if self.form == RECORDS:
            shown = [first, *(view_at(pointer + i * self.dtype.itemsize, self.dtype) for i in range(1, first.universe))]
        self[pointer] = shown
        return shown


def _guarded(body: Any, record: Any, form: str) -> Callable[[Any], int]:
    """Return the uncompiled adapter around a compiled body."""

    @intrinsic
    def as_record(typingctx: Any, pointer: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(sig.return_type))

        return record(pointer), codegen

    def one_record(pointer: Any) -> int:
        try:
            body(as_record(pointer))
        except Exception:
            return FAULT
        return OK

    def with_result(pointer: Any) -> int:
        try:
            shown = as_record(pointer)
            shown.result = body(shown)
        except Exception:
            return FAULT
        return OK

    def all_records(pointer: Any) -> int:
        try:
            body(carray(as_array(pointer), as_record(pointer).universe))
        except Exception:
            return FAULT
        return OK

    @intrinsic
    def as_array(typingctx: Any, pointer: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(sig.return_type))

        return types.CPointer(record)(pointer), codegen

    return {RECORD: one_record, RESULT: with_result, RECORDS: all_records}[form]


def plain_function(function: Any) -> Callable[..., Any]:
    """Return the Python function behind a dispatcher, a static method or a function."""
    function = getattr(function, "__func__", function)
    return getattr(function, "py_func", function)


def content_of(function: Any) -> list[bytes] | None:
    """Return the content of everything `function` reaches, or None when some of it has no stable content."""
    plain = plain_function(function)
    held = _HELD.get()
    if held is not None and id(plain) in held:
        return held[id(plain)]
    parts: list[bytes] | None
    try:
        parts = list(_reach(plain, set()))
    except _NoStableContent:
        parts = None
    if held is not None:
        held[id(plain)] = parts
    return parts


_HELD: ContextVar[dict[int, list[bytes] | None] | None] = ContextVar("_HELD", default=None)


@contextmanager
def contents_held() -> Iterator[None]:
    """Look at what a function reaches once while this lasts: nobody edits it meanwhile, and all functions live on."""
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


def names_used(function: Any) -> frozenset[str]:
    """Return every attribute and global name that a function, or a function that it calls, mentions."""
    names: set[str] = set()
    waiting, seen = [plain_function(function)], set()
    while waiting:
        reached = waiting.pop()
        if id(reached) in seen:
            continue
        seen.add(id(reached))
        names |= _global_names(reached.__code__)
        values = [plain_function(value) for _, value in _values_reached(reached)]
        waiting += [value for value in values if isinstance(value, python_types.FunctionType)]
    return frozenset(names)


class _NoStableContent(Exception):
    """A global that compiled code would freeze has no content that a key could name."""


def _reach(function: Any, seen: set[int]) -> Iterator[bytes]:
    """Yield the code of a function, of the functions it calls and the constants it reads, each once."""
    if id(function) in seen:
        return
    seen.add(id(function))
    code = function.__code__
    yield from _code(code)
    for name, value in _values_reached(function):
        yield name.encode()
        yield from _constant(value, seen)
    yield repr(function.__defaults__).encode() + repr(function.__kwdefaults__).encode()


@functools.cache
def _code(code: python_types.CodeType) -> tuple[bytes, ...]:
    parts = [code.co_code, repr((code.co_names, code.co_varnames, code.co_freevars)).encode()]
    for constant in code.co_consts:
        parts += _code(constant) if isinstance(constant, python_types.CodeType) else [repr(constant).encode()]
    return tuple(parts)


VERSIONED = ("numpy", "numba", "math", "cmath", "builtins")
"""Modules whose content a key does not need: their versions are in it."""


def _values_reached(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield every global, module attribute and closed-over value that a function's code names."""
    names = sorted(_global_names(function.__code__))
    modules: list[Any] = []
    for name in _globals_loaded(function.__code__):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name, value
            if isinstance(value, python_types.ModuleType):
                modules.append(value)
    while modules:
        module = modules.pop()
        if module.__name__.partition(".")[0] in VERSIONED:
            continue
        for name in names:
            value = getattr(module, name, None)
            if isinstance(value, python_types.ModuleType):
                if value.__name__.startswith(module.__name__ + "."):
                    modules.append(value)
            elif value is not None:
                yield f"{module.__name__}.{name}", value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


@functools.cache
def _globals_loaded(code: python_types.CodeType) -> tuple[str, ...]:
    """Return the names that code looks up as globals; an attribute of the same name, as now.ind.atr, is none."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            names.update(_globals_loaded(constant))
    return tuple(sorted(names))


@functools.cache
def _global_names(code: python_types.CodeType) -> frozenset[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            names |= _global_names(constant)
    return frozenset(names)


def _class_content(value: type) -> Iterator[bytes]:
    """Yield what compiled code can freeze of a class: its name and its plain attributes, its bases' as well."""
    for part in value.__mro__:
        yield f"{part.__module__}.{part.__qualname__}".encode()
        if part.__module__.partition(".")[0] in VERSIONED:
            continue
        for name, attribute in sorted(vars(part).items()):
            if not name.startswith("__") and isinstance(attribute, (bool, int, float, str, bytes, type(None))):
                yield f"{name}={attribute!r}".encode()


def _constant(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Yield the content of one global: a function's code, a module's name or a plain value."""
    if isinstance(plain_function(value), python_types.FunctionType):
        yield from _reach(plain_function(value), seen)
    elif isinstance(value, enum.EnumMeta):
        members: Any = value
        yield repr([(member.name, member.value) for member in members]).encode()
    elif isinstance(value, enum.Enum):
        yield repr((value.name, value.value)).encode()
    elif isinstance(value, type) and value.__module__.partition(".")[0] not in VERSIONED:
        yield from _class_content(value)
    elif isinstance(value, (python_types.ModuleType, python_types.BuiltinFunctionType, type)):
        yield repr(getattr(value, "__name__", value)).encode()
    elif isinstance(value, np.ndarray):
        yield str(value.dtype).encode() + value.tobytes()
    elif isinstance(value, (bool, int, float, complex, str, bytes, type(None), np.generic)):
        yield repr(value).encode()
    elif isinstance(value, tuple):
        for part in value:
            yield from _constant(part, seen)
    else:
        raise _NoStableContent(repr(value))
