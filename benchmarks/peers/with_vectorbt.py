"""The scenario in vectorbt: python with_vectorbt.py FOLDER BARS REPEATS OUT VARIANT (idiomatic, numba, rust).

`idiomatic` is written as in its documentation, with pandas; `numba` and `rust` hand bare arrays to the same
functions of its two engines, the fastest ways there are.  vectorbt makes its list of trades and its equity curve when
they are asked for; both times are told, that of the simulation and that of all three.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from scenario import CAPITAL, FAST, FEE, QTY, SLIPPAGE, SLOW, Clock, load_bars, tell
from vectorbt.generic import dispatch


def later(signal: np.ndarray) -> np.ndarray:
    """Return a signal moved to the next bar, at whose open it is executed."""
    moved = np.empty_like(signal)
    moved[0], moved[1:] = False, signal[:-1]
    return moved


def portfolio(close: Any, entries: Any, exits: Any, price: Any, **options: Any) -> Any:
    """Run vectorbt's simulation."""
    return vbt.Portfolio.from_signals(close, entries, exits, price=price, size=QTY, fees=FEE, slippage=SLIPPAGE,
                                      init_cash=CAPITAL, freq="5min", **options)


def idiomatic(close: pd.Series, price: pd.Series) -> Any:
    """Return the portfolio by vectorbt's documented way."""
    fast, slow = vbt.MA.run(close, FAST), vbt.MA.run(close, SLOW)
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    return portfolio(close, entries.vbt.signals.fshift(1), exits.vbt.signals.fshift(1), price)


def bare(close: np.ndarray, price: np.ndarray, engine: str) -> Any:
    """Return the portfolio with averages and signals as bare arrays."""
    fast, slow = (dispatch.rolling_mean_1d(close, length, minp=length, engine=engine) for length in (FAST, SLOW))
    above, below = fast > slow, fast < slow
    entries, exits = np.zeros(close.size, bool), np.zeros(close.size, bool)
    entries[1:] = above[1:] & (fast[:-1] <= slow[:-1])
    exits[1:] = below[1:] & (fast[:-1] >= slow[:-1])
    return portfolio(close, later(entries), later(exits), price, engine=engine)


def main(folder: Path, count: int, repeats: int, out: Path, variant: str) -> None:
    """Run, then tell times, trades and the final equity."""
    bars = load_bars(folder, count)
    if variant == "idiomatic":
        index = pd.DatetimeIndex(bars["open_time"].view("M8[ns]"))
        close, price = pd.Series(bars["close"], index), pd.Series(bars["open"], index)
        work = partial(idiomatic, close, price)
    else:
        vbt.settings["engine"] = variant
        work = partial(bare, bars["close"], bars["open"], variant)
    clock, simulation_only = Clock(), []
    for _ in range(repeats + 1):
        clock.start()
        made = work()
        simulation_only.append(time.perf_counter() - clock.began[0])
        trades, equity = made.trades.values, made.value()
        clock.stop()
    closed = trades[trades["status"] == 1]
    tell(out, {"entry_bar": closed["entry_idx"], "exit_bar": closed["exit_idx"], "entry_price": closed["entry_price"],
               "exit_price": closed["exit_price"]},
         **clock.told(), simulation_only=simulation_only[1:], equity=float(np.asarray(equity).reshape(-1)[-1]),
         version=vbt.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
