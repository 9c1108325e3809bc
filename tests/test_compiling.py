"""What is being compiled is said once, when it takes long, and only then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba
import pytest
from numba.core import event

import framework
from framework.backtest import compiling
from framework.boundary.jit import JIT
from framework.cli.progress import announce_compiling

pytestmark = pytest.mark.skipif(not JIT, reason="nothing is compiled")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """A process in which nobody was told yet, with a listener of its own; returns what was said."""
    monkeypatch.setattr(compiling, "TOLD", set())
    teller = compiling.Teller()
    event.register("numba:compile", teller)
    caplog.set_level(logging.WARNING, "framework")
    yield lambda: [record.getMessage() for record in caplog.records if record.name == "framework"]
    event.unregister("numba:compile", teller)


def compile_one(module: str) -> Any:
    """Compile a new function as if it stood in a module; it calls another one."""
    @numba.njit
    def inner(x: float) -> float:
        return x + 1.0

    def outer(x: float) -> float:
        return inner(inner(x)) * 2.0

    outer.__module__ = module
    made = numba.njit(outer)
    assert made(1.0) == 6.0
    return made


def test_long_compiling_is_told_once(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two functions are compiled; the first is told of."""
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    made = compile_one("framework.engine.loop")
    assert told() == ["compiling the engine, once for this installation: under half a minute"]
    made(2.0)
    compile_one("framework.engine.loop")
    assert len(told()) == 1


def test_another_part_is_told_by_its_own_name(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing of the engine, which is told of afterwards all the same."""
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    for module in ("framework.indicators.loop", "framework.indicators.loop", "framework.engine.loop"):
        compile_one(module)
    assert told() == ["compiling framework.indicators.loop", compiling.SENTENCE]


def test_the_command_that_has_told_of_the_engine_is_not_repeated(
    told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says the same sentence, before anything is compiled."""
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    monkeypatch.setattr("framework.cli.state.engine_is_compiled", lambda: False)
    announce_compiling()
    assert capsys.readouterr().err == f"{compiling.SENTENCE}\n"
    compile_one("framework.engine.loop")
    assert told() == []


def test_quick_compiling_is_not_told(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it afterwards: the timer ends with the compiling, long before its time."""
    monkeypatch.setattr(compiling, "SECONDS", 60.0)
    compile_one("framework.engine.loop")
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.join(5.0)
            assert not timer.is_alive()
    assert told() == []


def test_what_a_user_compiles_is_not_told(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    compile_one("notebook")
    assert told() == []


def test_code_that_is_there_is_not_told(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A backtest with the engine on disk, or already in memory, says nothing however short the patience is."""
    arguments: dict[str, Any] = {"data": {"source": "synthetic", "bars": 60}, "symbols": ["A"], "strategy": "ema_cross"}
    framework.backtest(**arguments)
    compiling.TOLD.clear()
    before = len(told())
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    framework.backtest(**arguments)
    assert len(told()) == before


def test_the_log_can_be_silenced(told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch,
                                 caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    caplog.set_level(logging.ERROR, "framework")
    compile_one("framework.engine.loop")
    assert told() == []
