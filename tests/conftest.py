"""Settings of all tests: property tests draw the same cases on every run and have no deadline on slow machines."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

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


@pytest.fixture(params=["reference", "engine"])
def both_simulators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the hand-worked cases of a test on the reference and on the engine; see tests/reference/hand.py."""
    from tests.reference import hand

    monkeypatch.setitem(hand.chosen, "simulate", hand.SIMULATORS[request.param])
