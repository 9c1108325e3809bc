"""Settings of all tests: property tests draw the same cases on every run and have no deadline on slow machines."""

from __future__ import annotations

import signal
import sys
from functools import wraps
from typing import Any

import pytest
from hypothesis import settings
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts what it puts into the background with SIGINT ignored, and so would every process of a test be."""

KERNELS = ("test_boundary", "test_engine", "test_indicators_values", "test_indicators_columns", "test_rules",
           "test_monte_carlo_paths", "test_fills_pictures")
"""How files begin whose tests also run with NUMBA_DISABLE_JIT=1, where coverage sees the branches of kernels."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of kernels."""
    for item in items:
        if item.path.name.startswith(KERNELS):
            item.add_marker(pytest.mark.kernels)


class Compiler:
    """numba's compiler, kept out of coverage's sight: watched, it takes twice as long.

    It is watched in the files that test what runs inside it, `framework/boundary`.
    """

    is_watched = False

    @classmethod
    def hide(cls, owner: type, name: str) -> None:
        """Let a method that compiles run without the tracer of its thread."""
        method = getattr(owner, name)

        @wraps(method)
        def run(*args: Any, **kwargs: Any) -> Any:
            tracer = sys.gettrace()
            if tracer is None or cls.is_watched:
                return method(*args, **kwargs)
            sys.settrace(None)
            try:
                return method(*args, **kwargs)
            finally:
                sys.settrace(tracer)

        setattr(owner, name, run)


Compiler.hide(Dispatcher, "compile")
Compiler.hide(CFunc, "compile")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Watch the compiler where it is what is tested."""
    Compiler.is_watched = item.path.name.startswith("test_boundary")


@pytest.fixture(params=["reference", "engine"])
def both_simulators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the hand-worked cases of a test on the reference and on the engine; see tests/reference/hand.py."""
    from tests.reference import hand

    monkeypatch.setitem(hand.chosen, "simulate", hand.SIMULATORS[request.param])
