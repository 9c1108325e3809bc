"""The search in vectorbt: python search_with_vectorbt.py FOLDER BARS REPEATS OUT VARIANT (idiomatic, numba, rust).

`idiomatic` is written as in its documentation: all pairs at once, with pandas.  `numba` and `rust` hand bare arrays to
the same functions of its two engines.  Only the total returns are asked for, which is the least that a search needs.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from scenario import CAPITAL, FEE, QTY, SLIPPAGE, Clock, load_bars
from search_scenario import FIRST, LENGTHS, PAIRS, tell_search
from vectorbt.generic import dispatch


def idiomatic(close: pd.Series, price: pd.Series) -> np.ndarray:
    """Return the total return of every pair by vectorbt's documented way."""
    fast, slow = vbt.MA.run_combs(close, window=list(LENGTHS), r=2, short_names=["fast", "slow"])
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    entries.iloc[:FIRST] = False
    made = vbt.Portfolio.from_signals(close, entries.vbt.signals.fshift(1), exits.vbt.signals.fshift(1), price=price,
                                      size=QTY, fees=FEE, slippage=SLIPPAGE, init_cash=CAPITAL, freq="5min")
    return np.asarray(made.total_return())


def bare(close: np.ndarray, price: np.ndarray, engine: str) -> np.ndarray:
    """Return the same with averages and signals as bare arrays."""
    averages = {length: dispatch.rolling_mean_1d(close, length, minp=length, engine=engine) for length in LENGTHS}
    entries, exits = (np.zeros((close.size, len(PAIRS)), bool) for _ in range(2))
    for number, (first, second) in enumerate(PAIRS):
        fast, slow = averages[first], averages[second]
        above, below = fast > slow, fast < slow
        entries[2:, number] = above[1:-1] & (fast[:-2] <= slow[:-2])
        exits[2:, number] = below[1:-1] & (fast[:-2] >= slow[:-2])
    entries[: FIRST + 1] = False
    made = vbt.Portfolio.from_signals(close[:, None], entries, exits, price=price[:, None], size=QTY, fees=FEE,
                                      slippage=SLIPPAGE, init_cash=CAPITAL, freq="5min", engine=engine)
    return np.asarray(made.total_return())


def main(folder: Path, count: int, repeats: int, out: Path, variant: str) -> None:
    """Run, then tell times, memory and the return of every pair."""
    bars = load_bars(folder, count)
    work: partial[Any]
    if variant == "idiomatic":
        index = pd.DatetimeIndex(bars["open_time"].view("M8[ns]"))
        work = partial(idiomatic, pd.Series(bars["close"], index), pd.Series(bars["open"], index))
    else:
        vbt.settings["engine"] = variant
        work = partial(bare, bars["close"], bars["open"], variant)
    clock = Clock()
    for _ in range(repeats + 1):
        clock.start()
        returns = work()
        clock.stop()
    tell_search(out, dict(zip(PAIRS, returns.tolist(), strict=True)), **clock.told(),
                version=vbt.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
