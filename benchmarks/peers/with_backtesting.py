"""The scenario in backtesting.py: python with_backtesting.py FOLDER BARS REPEATS OUT.

Its statistics are not counted: the time in `compute_stats` is taken off.  Slippage is its `spread`, paid at the entry.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import backtesting
import pandas as pd
from backtesting import Backtest, Strategy
from scenario import CAPITAL, FAST, FEE, QTY, SLIPPAGE, SLOW, Clock, load_bars, tell


def average(values: Any, length: int) -> pd.Series:
    """Return the simple moving average."""
    return pd.Series(values).rolling(length).mean()


class Crossing(Strategy):
    """Hold QTY units from the cross upwards to the cross downwards."""

    def init(self) -> None:
        self.fast = self.I(average, self.data.Close, FAST)
        self.slow = self.I(average, self.data.Close, SLOW)

    def next(self) -> None:
        fast, slow = self.fast, self.slow
        if not self.position and fast[-1] > slow[-1] and fast[-2] <= slow[-2]:
            self.buy(size=int(QTY))
        elif self.position and fast[-1] < slow[-1] and fast[-2] >= slow[-2]:
            self.position.close()


def main(folder: Path, count: int, repeats: int, out: Path) -> None:
    """Run, then tell times, trades and the final equity."""
    warnings.simplefilter("ignore")
    bars = load_bars(folder, count)
    table = pd.DataFrame({name.title(): bars[name] for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(bars["open_time"].view("M8[ns]")))
    test = Backtest(table, Crossing, cash=CAPITAL, spread=SLIPPAGE, commission=FEE)
    clock, statistics = Clock(), backtesting.backtesting.compute_stats

    def uncounted(**arguments: Any) -> Any:
        with clock.paused():
            return statistics(**arguments)

    backtesting.backtesting.compute_stats = uncounted
    for _ in range(repeats):
        clock.start()
        stats = test.run()
        clock.stop()
    trades = stats["_trades"].sort_values("EntryBar")
    tell(out, {"entry_bar": trades["EntryBar"], "exit_bar": trades["ExitBar"], "entry_price": trades["EntryPrice"],
               "exit_price": trades["ExitPrice"]},
         **clock.told(warm_up=0), equity=float(stats["Equity Final [$]"]), version=backtesting.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
