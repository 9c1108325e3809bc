"""Sizing rules: how much an opening buys that names no quantity.

Risk per trade (Tharp, "Trade Your Way to Financial Freedom", 1998) sizes a position so that a fixed fraction of
equity is lost at the stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.indicators import Bars, Expression, atr, sma
from framework.risk import UNSET, Param, SizingRule, compiled


class PercentOfEquity(SizingRule):
    """qty = equity * percent / 100 / entry."""

    name = "percent_of_equity"
    percent = Param(10.0, low=0.0, high=1_000.0, doc="share of equity in one position, percent")

    @staticmethod
    def size(order: Any) -> float:
        return order.account.equity * order.p.percent / 100.0 / (order.entry * order.instrument.multiplier)


@compiled
def quantity_at_risk(order, risk):  # type: ignore[no-untyped-def]
    """Return qty = equity * risk / |entry - stop|, at most equity * max_position_pct / 100 / entry; 0 without a stop."""
    most = order.account.equity * order.p.max_position_pct / 100.0 / (order.entry * order.instrument.multiplier)
    if order.stop == UNSET:
        return most if order.p.without_stop else 0.0
    distance = abs(order.entry - order.stop) * order.instrument.multiplier
    if distance == 0.0:
        return 0.0
    return min(most, order.account.equity * risk / distance)


class RiskPerTrade(SizingRule):
    """qty = equity * risk / |entry - stop|, at most equity * max_position_pct / 100 / entry."""

    name = "risk_per_trade"
    risk = Param(0.02, low=0.0, high=1.0, doc="fraction of equity lost at the stop")
    max_position_pct = Param(100.0, low=0.0, high=10_000.0, doc="largest position, percent of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")

    @staticmethod
    def size(order: Any) -> float:
        return quantity_at_risk(order, order.p.risk)


class Regime(SizingRule):
    """risk_per_trade with risk * score of the volatility regime.

    r = Wilder ATR(period) / mean of it over `window` bars: r <= 0.6 Compression (1.5), < 1.5 Normal (1.0),
    < 2.5 Expansion (0.8), else Extreme (0.5); the bounds and scores are parameters.
    """

    name = "regime"
    risk = Param(0.02, low=0.0, high=1.0, doc="fraction of equity lost at the stop")
    max_position_pct = Param(100.0, low=0.0, high=10_000.0, doc="largest position, percent of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")
    atr_period = Param(14, low=2, high=500)
    window = Param(20, low=2, high=1_000)
    compression = Param(0.6, low=0.0, high=100.0)
    normal = Param(1.5, low=0.0, high=100.0)
    expansion = Param(2.5, low=0.0, high=100.0)
    compression_score = Param(1.5, low=0.0, high=100.0)
    normal_score = Param(1.0, low=0.0, high=100.0)
    expansion_score = Param(0.8, low=0.0, high=100.0)
    extreme_score = Param(0.5, low=0.0, high=100.0)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        current = atr(bars, self.atr_period)
        return {"ratio": current / sma(current, self.window)}

    @staticmethod
    def size(order: Any) -> float:
        ratio = order.ind.ratio
        score = order.p.extreme_score
        if ratio <= order.p.compression:
            score = order.p.compression_score
        elif ratio < order.p.normal:
            score = order.p.normal_score
        elif ratio < order.p.expansion:
            score = order.p.expansion_score
        return quantity_at_risk(order, order.p.risk * score)
