"""The scenario in backtesting.py: python with_backtesting.py FOLDER REPEATS OUT.

Its statistics are not counted: the time in `compute_stats` is taken off.  Slippage is its `spread`, paid at the entry.
"""

from __future__ import annotations

import sys
import time
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


class Stopwatch:
    """Count the seconds in backtesting.py's statistics."""

    def __init__(self) -> None:
        self.function, self.seconds = backtesting.backtesting.compute_stats, 0.0

    def __call__(self, **arguments: Any) -> Any:
        began = time.perf_counter()
        answer = self.function(**arguments)
        self.seconds += time.perf_counter() - began
        return answer


def main(folder: Path, repeats: int, out: Path) -> None:
    """Run, then tell times, trades and the final equity."""
    warnings.simplefilter("ignore")
    bars = load_bars(folder)
    table = pd.DataFrame({name.title(): bars[name] for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(bars["open_time"].view("M8[ns]")))
    test = Backtest(table, Crossing, cash=CAPITAL, spread=SLIPPAGE, commission=FEE)
    stopwatch = backtesting.backtesting.compute_stats = Stopwatch()
    clock = Clock()
    for _ in range(repeats):
        stopwatch.seconds = 0.0
        clock.start()
        stats = test.run()
        clock.stop(less=stopwatch.seconds)
    trades = stats["_trades"].sort_values("EntryBar")
    tell(out, {"entry_bar": trades["EntryBar"], "exit_bar": trades["ExitBar"], "entry_price": trades["EntryPrice"],
               "exit_price": trades["ExitPrice"]},
         **clock.told(warm_up=0), equity=float(stats["Equity Final [$]"]), version=backtesting.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
