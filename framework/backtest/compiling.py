"""Says once what is being compiled, the engine above all, when that takes long enough to wonder about.

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

ENGINE = "framework.engine"
SENTENCE = "compiling the engine, once for this installation: under half a minute"

TOLD: set[str] = set()
"""What somebody was told of already, by whatever way: ENGINE, or another module."""

_log = logging.getLogger("framework")


class Teller(event.Listener):  # type: ignore[misc]
    """Waits while the outermost function of the framework that has to be compiled is compiled.

    Code that is read from disk is not compiled, and what a user compiles is not the framework's to tell of.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._timer: threading.Timer | None = None

    def on_start(self, happening: event.Event) -> None:
        """Begin to wait at the outermost function."""
        self._depth += 1
        module = happening.data["dispatcher"].py_func.__module__
        if self._depth == 1 and module.startswith("framework."):
            self._timer = threading.Timer(SECONDS, tell, (module,))
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, happening: event.Event) -> None:
        """Stop waiting behind the outermost function."""
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def tell(module: str) -> None:
    """Say that a module of the framework is being compiled, unless somebody was told already."""
    what = ENGINE if module.startswith(f"{ENGINE}.") else module
    if what not in TOLD:
        TOLD.add(what)
        _log.warning(SENTENCE if what == ENGINE else f"compiling {module}")


@cache
def tell_of_compiling() -> None:
    """Tell of compiling from now on, in this process."""
    event.register("numba:compile", Teller())
