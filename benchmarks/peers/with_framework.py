"""The scenario here: python with_framework.py FOLDER BARS REPEATS OUT WAY STRATEGY SLIPPAGE.

WAY: compiled or interpreted, for the simulation with its tables; public, for `framework.backtest` with the result's
frames of trades and equity.  STRATEGY: a name of STRATEGIES.  SLIPPAGE: of both fills or of the entry.

The whole step runs: working orders, ledger, sizing and risk, every mark of the account; nothing is left out for speed.
Each repetition computes the indicators again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scenario import BAR_NS, CAPITAL, FAST, FEE, QTY, SLIPPAGE, SLOW, Clock, load_bars, tell

import framework
from framework import Param, RiskRule, SlippageModel, Strategy, buy, close_position
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Fees
from framework.boundary.jit import engine_key
from framework.data.series import BarSeries
from framework.data.tape import Tape, build_tape
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.indicators import crossed_above, crossed_below, sma
from framework.model.instrument import Instrument
from framework.rules import (
    CircuitBreaker,
    Drawdown,
    Leverage,
    LossLimits,
    LossStreak,
    OrderValidation,
    PercentOfEquity,
    PortfolioHeat,
    PositionLimits,
    StopLoss,
    TakeProfit,
)


class Crossing(Strategy):
    """Hold `qty` units from the cross upwards to the cross downwards."""

    name = "crossing"
    fast = Param(FAST, low=2)
    slow = Param(SLOW, low=2)
    qty = Param(QTY, low=0.0)

    def indicators(self, bars: Any) -> dict[str, Any]:
        """Return the two averages of the close."""
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    def wake(self, bars: Any) -> dict[str, Any]:
        """Ask where the averages cross."""
        averages = self.indicators(bars)
        return {"flat": crossed_above(averages["fast"], averages["slow"]),
                "held": crossed_below(averages["fast"], averages["slow"])}

    @staticmethod
    def decide(now: Any) -> None:
        """Buy on the cross upwards, close on the cross downwards."""
        if now.position.qty == 0 and now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
            buy(now, qty=now.p.qty)
        elif now.position.qty > 0 and now.ind.fast < now.ind.slow and now.prev.fast >= now.prev.slow:
            close_position(now)


class Guarded(Crossing):
    """The same, with a stop, a target and a trail for every entry, all fractions of the close."""

    name = "guarded"
    stop = Param(0.01, low=0.0)
    target = Param(0.03, low=0.0)
    trail = Param(0.012, low=0.0)
    trail_after = Param(0.01, low=0.0)

    @staticmethod
    def decide(now: Any) -> None:
        """Buy on the cross upwards, close on the cross downwards."""
        if now.position.qty == 0 and now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
            close = now.bar.close
            buy(now, qty=now.p.qty, stop_offset=now.p.stop * close, target_offset=now.p.target * close,
                trail=now.p.trail * close, trail_after=now.p.trail_after * close)
        elif now.position.qty > 0 and now.ind.fast < now.ind.slow and now.prev.fast >= now.prev.slow:
            close_position(now)


class AskedCrossing(Crossing):
    """The cross, asked at every close."""

    name = "asked_crossing"

    def wake(self, bars: Any) -> dict[str, Any]:
        """Ask everywhere."""
        return {}


class AskedGuarded(Guarded):
    """The guarded one, asked at every close."""

    name = "asked_guarded"

    def wake(self, bars: Any) -> dict[str, Any]:
        """Ask everywhere."""
        return {}


def ten_rules() -> list[RiskRule]:
    """Return ten rules that are all asked at every entry and let it pass: their limits are wide for these bars."""
    wide = 1e9
    return [
        OrderValidation(max_order_size=wide, max_order_value=wide, max_price=wide),
        PositionLimits(max_shares=wide, max_notional_per_position=wide, max_total_exposure=wide),
        Leverage(),
        LossLimits(max_loss_per_trade=wide, max_daily_loss=wide, max_weekly_loss=wide, max_monthly_loss=wide),
        StopLoss(),
        TakeProfit(),
        CircuitBreaker(daily_loss_threshold=wide, max_consecutive_losses=1_000_000),
        Drawdown(),
        LossStreak(consecutive_loss_limit=1_000_000),
        PortfolioHeat(),
    ]


STRATEGIES: dict[str, tuple[type[Strategy], Callable[[], list[RiskRule]]]] = {
    "wake": (Crossing, list),
    "asked": (AskedCrossing, list),
    "guarded": (Guarded, ten_rules),
    "asked_guarded": (AskedGuarded, ten_rules),
}
"""name -> what is run, and what makes its risk rules."""


class Both(SlippageModel):
    """Worsen every fill by a fraction of the price."""

    name = "both"
    rate = Param(SLIPPAGE, low=0.0)

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference moved against the order."""
        return fill.reference * (1.0 + math.copysign(fill.p.rate, fill.qty))


class Entry(SlippageModel):
    """Worsen buys only."""

    name = "entry"
    rate = Param(SLIPPAGE, low=0.0)

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference, for a buy moved upwards."""
        return fill.reference * (1.0 + fill.p.rate) if fill.qty > 0 else fill.reference


TRADE_COLUMNS = ("entry_time", "exit_time", "entry_price", "exit_price")
SLIPPAGES: dict[str, type[SlippageModel]] = {"both": Both, "entry": Entry}


def tape_of(bars: dict[str, np.ndarray]) -> Tape:
    """Return the bars of one symbol as a tape."""
    series = BarSeries(Instrument("A"), "5m", bars["open_time"], bars["open_time"] + BAR_NS,
                       *(bars[name] for name in ("open", "high", "low", "close", "volume")))
    return build_tape([series])


def simulate(tape: Tape, way: str, strategy: str, slippage: str) -> Simulation:
    """Return a finished simulation; its tables hold the trades and the equity at every bar."""
    kind, rules = STRATEGIES[strategy]
    made = compose(tape, [Plan(kind())], PercentOfEquity(), rules(), SLIPPAGES[slippage](),
                   Terms(capital=CAPITAL, fees=Fees(taker_bps=FEE * 10_000.0)), interpreted=way == "interpreted")
    for _ in made.chunks():
        pass
    return made


def publicly(tape: Tape, strategy: str, slippage: str) -> tuple[framework.Result, pl.DataFrame, pl.DataFrame]:
    """Return the result of a strategy without rules, its trades and its equity by bar, as a user gets them."""
    kind, _ = STRATEGIES[strategy]
    result = framework.backtest(data=tape, strategy=kind, slippage=SLIPPAGES[slippage], capital=CAPITAL,
                                fees={"taker_bps": FEE * 10_000.0})
    return result, result.trades, result.equity


def main(folder: Path, count: int, repeats: int, out: Path, way: str, strategy: str, slippage: str) -> None:
    """Run, then tell times, trades and the final equity."""
    tape = tape_of(load_bars(folder, count))
    work = partial(publicly, tape) if way == "public" else partial(simulate, tape, way)
    clock = Clock()
    for _ in range(repeats + 1):
        clock.start()
        made = work(strategy, slippage)
        clock.stop()
    if isinstance(made, Simulation):
        assert not made.notes, made.notes
        logs = used_logs(made.state)
        trades, refused, equity = logs["trades"], len(logs["refusals"]), float(made.state.account["equity"][0])
    else:
        result, frame, marks = made
        trades = {name: frame[name].to_physical().to_numpy() for name in TRADE_COLUMNS}
        refused, equity = len(result.refusals), float(marks["equity"][-1])
    entry, leave = (np.searchsorted(tape.open_time, trades[name]) for name in ("entry_time", "exit_time"))
    tell(out, {"entry_bar": entry, "exit_bar": leave, "entry_price": trades["entry_price"],
               "exit_price": trades["exit_price"]},
         **clock.told(), equity=equity, refused=refused, version=engine_key())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
