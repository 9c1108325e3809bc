"""Sizing by volatility regime: more risk in calm markets, less in wild ones.

r = Wilder ATR(atr_period) / mean of it over `window` bars says how volatile a market is against its own recent past.
The preset `seed` divides r by fixed bounds. On real daily bars r hardly leaves 0.7 to 1.7, so that its outer regimes
never occur; the preset `percentile` divides the rank of r among its last `rank_window` values instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.indicators import Bars, Expression, atr, indicator, length, sma
from framework.risk import Param, SizingRule
from framework.rules.sizing import quantity_at_risk

REGIMES = ("compression", "normal", "expansion", "extreme")


@indicator(inputs=("x",), parameters={"length": length(2)}, state={"at": int}, window=lambda p: p.length,
           lookback=lambda p: p.length - 1, source="empirical distribution function", cost="O(length)")
def trailing_rank(s: Any, window: Any, x: float) -> float:
    """Share of the last `length` values that are not above the newest one, itself included: above 0, at most 1."""
    window[s.at] = x
    s.at = (s.at + 1) % s.length
    below = 0
    for i in range(s.length):
        if window[i] <= x:
            below += 1
    share: float = below / s.length
    return share


class Regime(SizingRule):
    """risk_per_trade with risk * score of the volatility regime.

    The measure is r (preset "seed") or its trailing rank (preset "percentile"). With the bounds of the preset:
    measure <= compression, else < normal, else < expansion, else extreme; the scores are parameters. While the measure
    is not known yet, the score is that of the extreme regime.
    """

    name = "regime"
    regimes = REGIMES
    risk = Param(0.02, low=0.0, high=0.4, unit="fraction", doc="fraction of equity lost at the stop")
    max_position_pct = Param(1.0, low=0.0, high=10.0, unit="fraction", doc="largest position, fraction of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")
    preset = Param("seed", choices=("seed", "percentile"), doc="bounds on r, or on its trailing rank")
    atr_period = Param(14, low=2, high=500, doc="bars of the average true range")
    window = Param(20, low=2, high=1_000, doc="bars of its mean")
    rank_window = Param(250, low=10, high=5_000, doc="bars of the trailing rank")
    compression = Param(0.6, low=0.0, high=100.0, doc="largest r of the regime")
    normal = Param(1.5, low=0.0, high=100.0, doc="r below which it is normal")
    expansion = Param(2.5, low=0.0, high=100.0, doc="r below which it is expansion")
    compression_rank = Param(0.20, low=0.0, high=1.0, doc="largest rank of the regime")
    normal_rank = Param(0.80, low=0.0, high=1.0, doc="rank below which it is normal")
    expansion_rank = Param(0.95, low=0.0, high=1.0, doc="rank below which it is expansion")
    compression_score = Param(1.5, low=0.0, high=100.0)
    normal_score = Param(1.0, low=0.0, high=100.0)
    expansion_score = Param(0.8, low=0.0, high=100.0)
    extreme_score = Param(0.5, low=0.0, high=100.0)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the measure of the preset."""
        current = atr(bars, self.atr_period)
        ratio = current / sma(current, self.window)
        is_rank = self.values()["preset"] == "percentile"
        return {"measure": trailing_rank(ratio, self.rank_window) if is_rank else ratio}

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        p = order.p
        measure = order.ind.measure
        compression, normal, expansion = p.compression, p.normal, p.expansion
        if p.preset == 1:
            compression, normal, expansion = p.compression_rank, p.normal_rank, p.expansion_rank
        score = p.extreme_score
        if measure <= compression:
            score = p.compression_score
        elif measure < normal:
            score = p.normal_score
        elif measure < expansion:
            score = p.expansion_score
        return quantity_at_risk(order, p.risk * score)

    def places(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return per bar which of REGIMES holds, int64[n bars], -1 where that is not known yet."""
        measure = columns["measure"]
        values = self.values()
        suffix = "_rank" if values["preset"] == "percentile" else ""
        compression, normal, expansion = (values[f"{name}{suffix}"] for name in REGIMES[:3])
        conditions = [~np.isfinite(measure), measure <= compression, measure < normal, measure < expansion]
        return np.select(conditions, [-1, 0, 1, 2], 3).astype(np.int64)

    def held(self, measure: np.ndarray) -> dict[str, int]:
        """Return how many of the values of the measure lie in each regime; what is not known yet does not count."""
        places = self.places({"measure": measure})
        return dict(zip(REGIMES, np.bincount(places[places >= 0], minlength=4).tolist(), strict=True))

    def notes(self, columns: Sequence[Mapping[str, np.ndarray]]) -> list[str]:
        """Say how often each regime held, over the bars of all symbols."""
        held = self.held(np.concatenate([column["measure"] for column in columns]))
        total = sum(held.values())
        if total == 0:
            return []
        shares = ", ".join(f"{name} {count / total:.1%}" for name, count in held.items())
        return [f"{self.name}: of {total} bars in which the regime was known: {shares}"]
