"""Where the closed P&L came from: split by a key such as symbol, side, strategy, exit reason or regime."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Structured = NDArray[np.void]


@attrs.frozen
class Share:
    """What one group of closed trades made: pnl = gross_profit + gross_loss, after fees; losses are negative."""

    name: Hashable
    trades: int
    wins: int
    gross_profit: float
    gross_loss: float
    pnl: float
    fees: float
    slippage: float

    @property
    def win_rate(self) -> float:
        """The share of winning trades, a fraction."""
        return self.wins / self.trades if self.trades else math.nan


def attribute(trades: Structured, keys: Integers, names: Sequence[Hashable]) -> list[Share]:
    """Split the closed P&L by a key: one Share per name that has trades, in the order of names; they sum to the whole.

    trades: TRADE rows. keys: int64[n], the index into names of each trade.
    """
    size = len(names)
    pnl = np.asarray(trades["pnl"], np.float64)

    def total(weights: Floats) -> Floats:
        return np.bincount(keys, weights=weights, minlength=size).astype(np.float64, copy=False)

    counts = np.bincount(keys, minlength=size)
    wins = total((pnl > 0.0).astype(np.float64))
    profit, loss = total(np.maximum(pnl, 0.0)), total(np.minimum(pnl, 0.0))
    fees, slippage = total(trades["fees"]), total(trades["slippage"])
    return [
        Share(
            names[i],
            int(counts[i]),
            int(wins[i]),
            float(profit[i]),
            float(loss[i]),
            float(profit[i] + loss[i]),
            float(fees[i]),
            float(slippage[i]),
        )
        for i in range(size)
        if counts[i]
    ]
