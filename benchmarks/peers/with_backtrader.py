"""The scenario in backtrader: python with_backtrader.py FOLDER BARS REPEATS OUT.

As in its documentation, in its fastest mode: feeds loaded before and indicators computed at once (`preload` and
`runonce`), no observers (`stdstats=False`).  Loading the feed is not counted.  It keeps no equity by bar then; that of
the end is asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
from scenario import CAPITAL, FAST, FEE, QTY, SLIPPAGE, SLOW, Clock, load_bars, tell


class Feed(bt.feeds.PandasDirectData):
    """Bars of a frame, loaded while the clock is paused."""

    params = (("clock", None), ("datetime", 0), ("open", 1), ("high", 2), ("low", 3), ("close", 4), ("volume", 5),
              ("openinterest", -1))

    def preload(self) -> None:
        """Load all bars."""
        with self.p.clock.paused():
            super().preload()


class Crossing(bt.Strategy):
    """Hold QTY units from the cross upwards to the cross downwards."""

    def __init__(self) -> None:
        fast, slow = (bt.ind.SMA(self.data.close, period=length) for length in (FAST, SLOW))
        self.cross = bt.ind.CrossOver(fast, slow)
        self.fills: list[tuple[float, float]] = []

    def notify_order(self, order: bt.Order) -> None:
        """Keep time and price of every fill."""
        if order.status == order.Completed:
            self.fills.append((order.executed.dt, order.executed.price))

    def next(self) -> None:
        """Buy on the cross upwards, close on the cross downwards."""
        cross = self.cross[0]
        if cross > 0.0:
            if not self.position:
                self.buy(size=QTY)
        elif cross < 0.0 and self.position:
            self.close()


def main(folder: Path, count: int, repeats: int, out: Path) -> None:
    """Run, then tell times, trades and the final equity."""
    bars = load_bars(folder, count)
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(bars["open_time"].view("M8[ns]")))
    clock = Clock()
    for _ in range(repeats):
        feed = Feed(dataname=frame, clock=clock)
        cerebro = bt.Cerebro(preload=True, runonce=True, stdstats=False)
        cerebro.adddata(feed)
        cerebro.addstrategy(Crossing)
        cerebro.broker.setcash(CAPITAL)
        cerebro.broker.setcommission(commission=FEE)
        cerebro.broker.set_slippage_perc(SLIPPAGE, slip_open=True, slip_out=True)
        clock.start()
        (strategy,) = cerebro.run()
        fills, equity = np.array(strategy.fills), cerebro.broker.getvalue()
        clock.stop()
    at = np.searchsorted(np.array(feed.datetime.array), fills[:, 0])
    closed = len(fills) // 2 * 2
    tell(out, {"entry_bar": at[:closed:2], "exit_bar": at[1:closed:2], "entry_price": fills[:closed:2, 1],
               "exit_price": fills[1:closed:2, 1]},
         **clock.told(warm_up=0), equity=equity, version=bt.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
