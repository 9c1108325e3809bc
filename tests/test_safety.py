"""What must never hurt: a plug-in that raises, nonsense numbers, too many intents, Ctrl-C, and a full log."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from framework.backtest.compose import Plan, Terms, compose
from framework.boundary.jit import JIT
from framework.data import Tape, load_tape
from framework.engine.simulation import Simulation, held_interrupts
from framework.engine.state import LOGS
from framework.errors import StrategyError
from framework.indicators import sma
from framework.model.enums import Reason, Status
from framework.risk import RiskRule, SizingRule, reduce, refuse
from framework.rules import PercentOfEquity
from framework.slippage import SlippageModel
from framework.strategy import BUY, Param, Strategy, buy, close_position, place_limit, sell


def market(bars: int = 2_000, symbols: tuple[str, ...] = ("AAA", "BBB")) -> Tape:
    """Return a seeded random market of hourly bars."""
    return load_tape("synthetic", {"bars": bars, "seed": 7}, symbols=symbols, timeframe="1h")


def run(tape: Tape, strategy: Strategy, **options: object) -> Simulation:
    """Run a strategy to the end of the tape."""
    simulation = compose(tape, [Plan(strategy)], PercentOfEquity(), **options)  # type: ignore[arg-type]
    for _ in simulation.chunks():
        pass
    return simulation


class Crossing(Strategy):
    """Two moving averages, one position."""

    name = "crossing"
    fast = Param(5, low=2, high=50)
    slow = Param(20, low=5, high=200)

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0.0 and now.ind.fast > now.ind.slow:
            buy(now)
        elif now.position.qty > 0.0 and now.ind.fast < now.ind.slow:
            close_position(now)


class Raising(Strategy):
    """Divides by zero at the hundredth bar of the second symbol, after having changed its state."""

    name = "raising"
    state: ClassVar = {"calls": 0}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        now.state.calls += 1
        if now.state.calls == 100 and now.bar.close > 0.0:
            remaining = 100 - now.state.calls
            now.state.calls = 7 // remaining


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_raise_in_decide_shows_the_authors_traceback_with_symbol_and_bar(interpreted: bool) -> None:
    """The compiled and the interpreted way end alike: the line of the author, the symbol and the time of the bar."""
    tape = market()
    simulation = compose(tape, [Plan(Raising())], PercentOfEquity(), interpreted=interpreted)
    with pytest.raises(StrategyError) as caught:
        for _ in simulation.chunks():
            pass
    hundredth = np.datetime_as_string(tape.close_time[99].astype("M8[ns]"), unit="s")
    assert "raising.decide failed on AAA" in str(caught.value)
    assert hundredth in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value)
    assert "now.state.calls = 7 // remaining" in caught.value.details
    assert "framework/boundary" not in caught.value.details
    assert caught.value.symbol == "AAA"


def test_a_fault_leaves_the_simulation_where_the_chunk_began() -> None:
    """Nothing of the failed chunk stays: neither the author's state nor the position in the tape."""
    simulation = compose(market(), [Plan(Raising())], PercentOfEquity())
    simulation.advance(100)
    calls = simulation.nows.tails.tobytes()
    began = simulation.next
    with pytest.raises(StrategyError):
        simulation.advance(simulation.events)
    assert simulation.next == began
    assert simulation.nows.tails.tobytes() == calls


class BrokenSlippage(SlippageModel):
    """Returns nonsense."""

    name = "broken_slippage"
    price_returned = Param(0.0)

    @staticmethod
    def price(fill):  # type: ignore[no-untyped-def]
        return fill.p.price_returned


class RaisingSlippage(SlippageModel):
    """Raises."""

    name = "raising_slippage"

    @staticmethod
    def price(fill):  # type: ignore[no-untyped-def]
        return fill.reference / (fill.qty - fill.qty)


def test_a_slippage_model_that_returns_no_price_stops_the_run_and_is_named() -> None:
    """A price of 0 is not a price: the message carries it and the rule."""
    with pytest.raises(StrategyError, match=r"broken_slippage\.price failed on .*returned the price 0\.0"):
        run(market(), Crossing(), slippage=BrokenSlippage())


def test_a_slippage_model_that_raises_stops_the_run_and_is_named() -> None:
    """The traceback is the author's."""
    with pytest.raises(StrategyError, match=r"raising_slippage\.price failed") as caught:
        run(market(), Crossing(), slippage=RaisingSlippage())
    assert "fill.reference / (fill.qty - fill.qty)" in caught.value.details


class RaisingRule(RiskRule):
    """Raises when it is asked."""

    name = "raising_rule"

    @staticmethod
    def check(order):  # type: ignore[no-untyped-def]
        if order.qty > 1 // (order.side - order.side):
            refuse(order, 1.0, 0.0)


class RaisingSize(SizingRule):
    """Raises when it is asked."""

    name = "raising_size"

    @staticmethod
    def size(order):  # type: ignore[no-untyped-def]
        return 1 // (order.side - order.side)


def test_rules_that_raise_stop_the_run_and_are_named() -> None:
    """Risk rules and sizing rules alike."""
    with pytest.raises(StrategyError, match=r"raising_rule\.check failed"):
        run(market(), Crossing(), rules=[RaisingRule()])
    simulation = compose(market(), [Plan(Crossing())], RaisingSize())
    with pytest.raises(StrategyError, match=r"raising_size\.size failed"):
        simulation.advance(simulation.events)


class Unsure(RiskRule):
    """Its arithmetic gives no number."""

    name = "unsure"

    @staticmethod
    def check(order):  # type: ignore[no-untyped-def]
        reduce(order, order.entry * math.nan, 1.0, 2.0)


def test_a_rule_that_reduces_to_no_number_lets_nothing_through() -> None:
    """NaN compares as false with everything: it must not compare as permitted. Value and limit are on record."""
    simulation = run(market(), Crossing(), rules=[Unsure()])
    refusals = simulation.state.refusals[: simulation.state.account["refusals"][0]]
    assert simulation.state.account["orders"][0] == 0
    refused = refusals[refusals["reason"] == Reason.RULE]
    assert len(refused) > 10
    assert set(refused["allowed"]) == {0.0}
    assert set(refused["limit"]) == {2.0}


class Nonsense(Strategy):
    """Asks for NaN, infinity and negative numbers in every field, at every bar."""

    name = "nonsense"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        nan = now.bar.close * 0.0 / 0.0 if now.bar.close < 0.0 else now.ind.never
        buy(now, qty=nan)
        sell(now, weight=nan)
        buy(now, qty=1.0, stop=nan)
        buy(now, qty=1.0, target=nan)
        buy(now, qty=1.0, trail=nan)
        place_limit(now, BUY, nan, qty=1.0)
        place_limit(now, BUY, -1.0, qty=1.0)
        buy(now, qty=-5.0)

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"never": (bars.close - bars.close) / (bars.close - bars.close)}


def test_numbers_that_are_none_are_refused_one_by_one_and_never_trade() -> None:
    """Eight refusals a decision, no order, equity untouched."""
    simulation = run(market(bars=300), Nonsense())
    account = simulation.state.account[0]
    refusals = simulation.state.refusals[: account["refusals"]]
    assert account["orders"] == 0
    assert account["equity"] == 100_000.0
    assert set(refusals["reason"]) == {Reason.NOT_A_NUMBER}
    assert len(refusals) % 8 == 0
    assert len(refusals) >= 8 * 2 * 290


class Flood(Strategy):
    """Asks for far more orders than a decision may have."""

    name = "flood"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        for i in range(500):
            place_limit(now, BUY, now.bar.close * 0.5, qty=1.0, tag=i + 1)


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_flood_of_intents_is_refused_and_writes_nowhere_else(interpreted: bool) -> None:
    """32 limit orders work, the overflow is one refusal a decision with both numbers, the other slot is untouched."""
    simulation = run(market(bars=60), Flood(), interpreted=interpreted)
    account = simulation.state.account[0]
    refusals = simulation.state.refusals[: account["refusals"]]
    too_many = refusals[(refusals["reason"] == Reason.TOO_MANY_ORDERS) & (refusals["limit"] == 32)]
    assert set(simulation.state.slots["working"]) == {32}
    assert len(too_many[too_many["value"] == 500]) == 2 * 60
    assert simulation.status == Status.RUNNING


def test_logs_that_start_tiny_grow_without_changing_anything() -> None:
    """FULL, grow, go on: the same fills as with room from the start."""
    tape = market()
    roomy, tight = (compose(tape, [Plan(Crossing())], PercentOfEquity()) for _ in range(2))
    margins = tight.state.margins
    tight._hold(tight.state._replace(**{
        name: np.empty(int(margin), getattr(tight.state, name).dtype)
        for name, margin in zip(LOGS, margins, strict=True)}))
    for simulation in (roomy, tight):
        simulation.advance(simulation.events)
    fills = [s.state.fills[: s.state.account["fills"][0]] for s in (roomy, tight)]
    marks = [s.state.marks[: s.state.account["marks"][0]] for s in (roomy, tight)]
    assert len(fills[0]) > 20
    assert all(np.array_equal(fills[0][name], fills[1][name]) for name in fills[0].dtype.names)
    assert np.array_equal(marks[0]["equity"], marks[1]["equity"])


def interrupt_after(seconds: float) -> list[float]:
    """Send SIGINT to this process after a while; the list will hold the moment."""
    sent: list[float] = []

    def send() -> None:
        time.sleep(seconds)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()
    return sent


def until_interrupted(simulation: Simulation, after: float) -> float:
    """Run a simulation over and over, interrupt it, and return the seconds that it took to answer."""
    sent = interrupt_after(after)
    start = simulation.snapshot()

    def run_over_and_over() -> None:
        while True:
            for _ in simulation.chunks():
                pass
            simulation.restore(start)

    with pytest.raises(KeyboardInterrupt):
        run_over_and_over()
    return time.perf_counter() - sent[0]


@pytest.mark.parametrize("interpreted", [False, True])
def test_an_interrupt_is_answered_within_half_a_second(interpreted: bool) -> None:
    """Ctrl-C in the middle of a run; what was done so far is whole: the simulation goes on from there."""
    tape = market(bars=20_000)
    simulation = compose(tape, [Plan(Crossing())], PercentOfEquity(), interpreted=interpreted)
    simulation.advance(10)
    assert until_interrupted(simulation, after=0.4) < 0.5
    for _ in simulation.chunks():
        pass
    straight = run(tape, Crossing(), interpreted=interpreted)
    assert simulation.state.account["equity"][0] == straight.state.account["equity"][0]


@pytest.mark.slow
@pytest.mark.skipif(not JIT, reason="ten million bars need compiled code")
def test_an_interrupt_in_the_middle_of_ten_million_bars_is_answered_within_half_a_second() -> None:
    """A chunk is measured in time, so that its length in bars does not matter."""
    tape = load_tape("synthetic", {"bars": 10_000_000, "seed": 7}, symbols=["AAA"], timeframe="1m")
    simulation = compose(tape, [Plan(Crossing())], PercentOfEquity(), terms=Terms(log_marks=False))
    simulation.advance(10)
    assert until_interrupted(simulation, after=0.3) < 0.5
    assert simulation.next > 10


COMMAND = """
import sys
from pathlib import Path
from framework import plugins
from framework.strategy import Strategy, buy

class Slow(Strategy):
    name = "slow"

    def indicators(self, bars):
        Path("composed").touch()
        return {{}}

    @staticmethod
    def decide(now):
        {body}

plugins.registry().add("strategy", Slow)
from framework.cli import main
sys.exit(main())
"""

SLOW_CONFIG = """
[data]
source = "synthetic"
symbols = ["AAA"]
bars = {bars}
timeframe = "1m"
[strategy]
name = "slow"
"""


@pytest.mark.parametrize(("body", "flags"), [
    pytest.param("sum(range(2000))", ["--interpreted"], id="in the middle of a run"),
    pytest.param("while now.bar.close == now.bar.close: now.bar.close", ["--interpreted"], id="in an endless loop"),
    pytest.param("while now.bar.close != 0.0: pass", [], id="in an endless compiled loop"),
])
def test_an_interrupted_command_writes_nothing_and_exits_130(tmp_path: Path, body: str, flags: list[str]) -> None:
    """However long `decide` takes, Ctrl-C ends the command: no traceback, no run folder, exit code 130."""
    (tmp_path / "slow.py").write_text(COMMAND.format(body=body))
    (tmp_path / "slow.toml").write_text(SLOW_CONFIG.format(bars=400_000))
    started = subprocess.Popen([sys.executable, "slow.py", "backtest", "slow.toml", *flags], cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60.0
    while not (tmp_path / "composed").exists() and started.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(2.0)
    assert started.poll() is None, started.stderr.read()
    began = time.perf_counter()
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert time.perf_counter() - began < 2.0
    assert started.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.skipif(not JIT, reason="numba's checks need numba")
@pytest.mark.slow
def test_the_engine_passes_its_tests_with_bounds_checks_on() -> None:
    """Every index of a borrowed array is checked in this run; none is out of bounds."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
               "tests/test_engine_fills.py", "tests/test_engine_intake.py", "tests/test_rules.py",
               "tests/test_boundary.py", "tests/test_safety.py",
               "-k", "not bounds and not interrupt and not second_process and not edit_of"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    """A shell starts what it puts into the background so; Ctrl-C is meant for the foreground then."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
        assert interrupts == []
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
