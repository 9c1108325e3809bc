"""The search in backtesting.py: python search_with_backtesting.py FOLDER BARS REPEATS OUT PAIRS.

`Backtest.optimize` over the first lengths that give about PAIRS pairs: all of them would take many minutes; what is
compared is the time a pair.  Slippage is its `spread`, paid at the entry, so that returns are not compared.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import backtesting
import pandas as pd
from backtesting import Backtest
from scenario import CAPITAL, FEE, SLIPPAGE, Clock, load_bars
from search_scenario import LENGTHS, tell_search
from with_backtesting import Crossing, average


class Pair(Crossing):
    """The cross with lengths that can be searched."""

    fast_length = 20
    slow_length = 50

    def init(self) -> None:
        self.fast = self.I(average, self.data.Close, self.fast_length)
        self.slow = self.I(average, self.data.Close, self.slow_length)


def main(folder: Path, count: int, repeats: int, out: Path, pairs: int) -> None:
    """Run, then tell times, memory and the returns."""
    warnings.simplefilter("ignore")
    bars = load_bars(folder, count)
    table = pd.DataFrame({name.title(): bars[name] for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(bars["open_time"].view("M8[ns]")))
    test = Backtest(table, Pair, cash=CAPITAL, spread=SLIPPAGE, commission=FEE)
    count = next(n for n in range(2, len(LENGTHS) + 1) if n * (n - 1) // 2 >= pairs)
    lengths = [LENGTHS[i * (len(LENGTHS) - 1) // (count - 1)] for i in range(count)]
    clock = Clock()
    for _ in range(repeats):
        clock.start()
        _, heat = test.optimize(fast_length=lengths, slow_length=lengths, maximize="Return [%]", return_heatmap=True,
                                constraint=lambda one: one.fast_length < one.slow_length)
        clock.stop()
    returns = {tuple(pair): float(value) / 100.0 for pair, value in heat.dropna().items()}
    tell_search(out, returns, **clock.told(warm_up=0), version=backtesting.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
