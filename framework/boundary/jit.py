"""Compile kernels once and keep them on disk, keyed by the content of everything they reach.

numba's own disk cache looks at the date of one file and misses a change in a function called from
another file; a stale kernel is a wrong backtest.  So the cache directory here carries a hash of all
sources below the engine, and an adapter of a plug-in carries a hash of every function it reaches.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
import numpy as np
from numba import config, njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.extending import register_jitable

from framework.boundary.unit import EntryCompiler, KernelCompiler

JIT = not config.DISABLE_JIT
"""False when NUMBA_DISABLE_JIT is set: kernels are then ordinary Python functions."""

SOURCES = ("boundary", "model", "indicators", "engine")
"""The packages whose sources key the cache of kernels: all that a kernel can reach."""

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function that other kernels call; the caller's cache entry holds its code.

    Kernels own no memory, so numba's reference counting is left out: it costs more than what they do.  LLVM decides
    what it inlines: unless told otherwise, numba hands `inlined` down to all that an inlined kernel calls.
    """
    return _kernel(function, forceinline=False)


def inlined(function: F) -> F:
    """Compile a kernel that runs for every bar into each of its callers."""
    return _kernel(function, forceinline=True)


def _kernel(function: F, **options: Any) -> F:
    dispatcher = njit(nogil=True, _nrt=False, error_model="numpy", pipeline_class=KernelCompiler,
                      **options)(function)  # type: ignore[call-overload]
    if JIT:
        _compile_once_for_all_literals(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def _compile_once_for_all_literals(dispatcher: Any) -> None:
    """Type the literal arguments of compiled callers as plain numbers.

    numba compiles a function anew for every constant that it is called with; one version serves them all.
    """
    resolve = dispatcher.get_call_template

    def resolve_plain(args: Any, kws: Any) -> Any:
        named = {name: types.unliteral(arg) for name, arg in kws.items()}
        return resolve([types.unliteral(arg) for arg in args], named)

    dispatcher.get_call_template = resolve_plain


def compiled(function: F) -> F:
    """Let compiled code call this helper; called from Python it stays the plain function.

    Arithmetic errors raise as in Python, so that the compiled and the interpreted way fail alike.
    """
    return register_jitable(error_model="python")(function)  # type: ignore[no-any-return]


def entry(function: F) -> F:
    """Compile a kernel that Python calls and keep it on disk, keyed by the engine's sources."""
    dispatcher = njit(nogil=True, _nrt=False, error_model="numpy",
                      pipeline_class=EntryCompiler)(function)  # type: ignore[call-overload]
    if JIT:
        keep_on_disk(dispatcher, engine_key())
    return dispatcher  # type: ignore[no-any-return]


def bound_call(function: Any, *arguments: Any) -> Callable[[], Any]:
    """Return a call of compiled or plain code with arguments that stay the same objects.

    Their types are looked up here, once: a dispatcher does it at each call, which costs more than a short kernel.
    """
    if JIT and hasattr(function, "overloads"):
        function = function.compile(tuple(numba.typeof(argument) for argument in arguments))
    return partial(function, *arguments)


@cache
def engine_key() -> str:
    """Return the hash of every source file that a kernel can reach, and of what compiles it."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(p for name in SOURCES for p in (root / name).rglob("*.py"))
    return content_key(p.relative_to(root).as_posix().encode() + b"\0" + p.read_bytes() for p in files)


def content_key(parts: Iterable[bytes]) -> str:
    """Return a hash of the parts and of the versions and switches that shape compiled code."""
    digest = hashlib.sha256()
    toolchain = (sys.version, numba.__version__, np.__version__, llvmlite.__version__, config.BOUNDSCHECK, config.OPT)
    for part in (repr(toolchain).encode(), *parts):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:24]


def cache_directory() -> Path:
    """Return where compiled code is kept: $FRAMEWORK_CACHE_DIR, else the user's cache folder."""
    explicit = os.environ.get("FRAMEWORK_CACHE_DIR")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "trading-framework"


def is_writable(folder: Path) -> bool:
    """Return whether compiled code can be kept there; a read-only home only costs time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def keep_on_disk(dispatcher: Any, key: str) -> None:
    """Give a dispatcher or a cfunc a disk cache whose only key is `key` and the signature."""
    folder = cache_directory() / key
    if is_writable(folder):
        dispatcher._cache = ContentCache(dispatcher.__wrapped__ if not hasattr(dispatcher, "py_func")
                                         else dispatcher.py_func, folder, key)


class ContentLocator(_CacheLocator):
    """Say where the code of one function lives; its content key is its stamp."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def get_cache_path(self) -> str:
        return str(self.folder)

    def get_source_stamp(self) -> str:
        return self.key

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> None:
        return None


class ContentCacheImpl(CompileResultCacheImpl):
    """numba's own serialisation of compiled code under a locator of ours."""

    def __init__(self, py_func: Any, locator: ContentLocator) -> None:
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = locator
        abiflags = getattr(sys, "abiflags", "")
        self._filename_base = self.get_filename_base(f"{py_func.__module__}.{py_func.__qualname__}", abiflags)


class ContentCache(FunctionCache):
    """A disk cache of one function, keyed by content: closures and file dates play no part."""

    def __init__(self, py_func: Any, folder: Path, key: str) -> None:
        locator = ContentLocator(folder, key)
        self._impl_class = lambda function: ContentCacheImpl(function, locator)
        self._key = key
        super().__init__(py_func)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple(), self._key

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return compiled code, None when there is none or none that this process can take: it is compiled anew then.

        Code names the module of its function, which need not be one that every process can import.
        """
        try:
            return super().load_overload(sig, target_context)
        except ImportError:
            return None
