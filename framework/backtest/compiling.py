"""Says once that the engine is being compiled, when that takes long enough to wonder about.

It goes to the log of the framework, which stands on stderr unless the application sets logging up otherwise:
``logging.getLogger("framework").setLevel(logging.ERROR)`` silences it.
"""

from __future__ import annotations

import logging
import threading
from functools import cache

from numba.core import event

SECONDS = 2.0
"""How long compiling lasts before it is told."""

TOLD = threading.Event()
"""Set once somebody was told, by whatever way."""

_log = logging.getLogger("framework")


class Teller(event.Listener):  # type: ignore[misc]
    """Waits while the outermost function of the framework that has to be compiled is compiled.

    Code that is read from disk is not compiled, and what a user compiles is not the framework's to tell of.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._timer: threading.Timer | None = None

    def on_start(self, event: event.Event) -> None:
        """Begin to wait at the outermost function."""
        self._depth += 1
        if self._depth == 1 and event.data["dispatcher"].py_func.__module__.startswith("framework."):
            self._timer = threading.Timer(SECONDS, tell)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: event.Event) -> None:
        """Stop waiting behind the outermost function."""
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def tell() -> None:
    """Say that the engine is being compiled, unless somebody was told already."""
    if not TOLD.is_set():
        TOLD.set()
        _log.warning("compiling the engine, once for this installation: under half a minute")


@cache
def tell_of_compiling() -> None:
    """Tell of compiling from now on, in this process."""
    event.register("numba:compile", Teller())
