"""Market orders at the next open are those of backtesting.py, trade by trade, on real bars.

Daily Apple and Google (bokeh_sampledata, as it came and adjusted) and hourly EURUSD (backtesting.py's own sample).  The
oracle pays its `spread` at the entry only and trades whole units; the slippage model and the quantity here do the same.
Both sides read the same averages: which of two sums in another order is the larger is not what is compared here.
"""

from __future__ import annotations

import warnings
from typing import Any

import attrs
import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest
from backtesting import Strategy as Oracle
from backtesting.test import EURUSD, GOOG

from framework import Param, SlippageModel, Strategy, buy, close_position, sell
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees
from framework.data import Tape, load_tape, tape_from_frames
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.indicators import sma
from framework.rules import PercentOfEquity

CAPITAL = 1_000_000.0
QTY = 100
SPREAD, FEE = 0.0003, 0.0005
EXACT = 1e-12


class EntrySpread(SlippageModel):
    """Pay the spread where a position is opened: with `direction` 1 on buys, with -1 on sells."""

    name = "entry_spread"
    rate = Param(SPREAD, low=0.0)
    direction = Param(1)

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference, moved against an opening order."""
        is_opening = fill.qty * fill.p.direction > 0
        return fill.reference * (1.0 + fill.p.direction * fill.p.rate) if is_opening else fill.reference


class Crossing(Strategy):
    """Hold QTY units in one direction between two crosses of averages."""

    name = "crossing"
    fast = Param(10, low=2)
    slow = Param(30, low=2)
    direction = Param(1)

    def indicators(self, bars: Any) -> dict[str, Any]:
        """Return the two averages of the close."""
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    @staticmethod
    def decide(now: Any) -> None:
        """Enter on the cross in the position's direction, leave on the other one."""
        gap, before = now.ind.fast - now.ind.slow, now.prev.fast - now.prev.slow
        if now.p.direction < 0:
            gap, before = -gap, -before
        if now.position.qty == 0 and gap > 0 and before <= 0:
            if now.p.direction > 0:
                buy(now, qty=100.0)
            else:
                sell(now, qty=100.0)
        elif now.position.qty != 0 and gap < 0 and before >= 0:
            close_position(now)


def average(values: Any, length: int) -> np.ndarray:
    """Return the simple moving average."""
    return sma.compute(np.asarray(values, dtype=float), length=length)


class OracleCrossing(Oracle):
    """The same in backtesting.py."""

    fast, slow, direction = 10, 30, 1

    def init(self) -> None:
        self.quick = self.I(average, self.data.Close, self.fast)
        self.calm = self.I(average, self.data.Close, self.slow)

    def next(self) -> None:
        before, gap = (self.direction * (self.quick[i] - self.calm[i]) for i in (-2, -1))
        if not self.position and gap > 0 and before <= 0:
            (self.buy if self.direction > 0 else self.sell)(size=QTY)
        elif self.position and gap < 0 and before >= 0:
            self.position.close()


def sample(symbol: str) -> Tape:
    """Return the bars of one symbol of the sample source."""
    return load_tape("sample", {}, [symbol])


def frame(table: pd.DataFrame, symbol: str, timeframe: str) -> Tape:
    """Return a table of backtesting.py's samples as a tape; its rows are bars by their opens."""
    return tape_from_frames({symbol: table.tz_localize("UTC")}, timeframe=timeframe, stamp="open", gaps="allow")


MARKETS = {"AAPL daily": lambda: sample("AAPL"), "GOOG daily": lambda: sample("GOOG"),
           "GOOG daily as it came": lambda: frame(GOOG, "GOOG", "1d"),
           "EURUSD hourly": lambda: frame(EURUSD, "EURUSD", "1h")}


@attrs.frozen(eq=False)
class Trades:
    """Closed trades in order of entry, and the equity at every close."""

    entry_bar: np.ndarray
    exit_bar: np.ndarray
    qty: np.ndarray
    entry_price: np.ndarray
    exit_price: np.ndarray
    pnl: np.ndarray
    equity: np.ndarray


def ours(tape: Tape, direction: int, fast: int, slow: int) -> Trades:
    """Run the compiled step."""
    made: Simulation = compose(
        tape, [Plan(Crossing(fast=fast, slow=slow, direction=direction))], PercentOfEquity(), [],
        EntrySpread(direction=direction),
        Terms(capital=CAPITAL, fees=Fees(taker_bps=FEE * 1e4), account=Account(shorts=True)))
    for _ in made.chunks():
        pass
    logs = used_logs(made.state)
    rows = logs["trades"]
    entry, leave = (np.searchsorted(tape.open_time, rows[name]) for name in ("entry_time", "exit_time"))
    return Trades(entry, leave, rows["qty"] * rows["side"], rows["entry_price"], rows["exit_price"], rows["pnl"],
                  logs["marks"]["equity"])


def oracle(tape: Tape, direction: int, fast: int, slow: int) -> Trades:
    """Run backtesting.py on the bars of the tape."""
    table = pd.DataFrame({name.title(): getattr(tape, name) for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(np.array(tape.open_time).view("M8[ns]")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(table, OracleCrossing, cash=CAPITAL, spread=SPREAD, commission=FEE).run(
            fast=fast, slow=slow, direction=direction)
    rows = stats["_trades"].sort_values("EntryBar")
    columns = ("EntryBar", "ExitBar", "Size", "EntryPrice", "ExitPrice", "PnL")
    return Trades(*(rows[name].to_numpy() for name in columns), stats["_equity_curve"]["Equity"].to_numpy())


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("direction", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize(("fast", "slow"), [(10, 30), (3, 7)])
def test_next_open_market_orders_are_the_oracles(market: str, direction: int, fast: int, slow: int) -> None:
    """Bars, quantities and prices of every trade, its profit after fees, and the equity at the last close."""
    tape = MARKETS[market]()
    here, there = ours(tape, direction, fast, slow), oracle(tape, direction, fast, slow)
    assert here.entry_bar.size > 20
    assert here.entry_bar.tolist() == there.entry_bar.tolist()
    assert here.exit_bar.tolist() == there.exit_bar.tolist()
    assert here.qty.tolist() == there.qty.tolist()
    assert here.entry_price == pytest.approx(there.entry_price, rel=EXACT)
    assert here.exit_price == pytest.approx(there.exit_price, rel=EXACT)
    assert here.pnl == pytest.approx(there.pnl, abs=1e-6)
    assert here.equity == pytest.approx(there.equity, rel=EXACT)
