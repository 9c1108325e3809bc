"""Sizing rules: how much an opening buys that names no quantity.

Risk per trade (Tharp, "Trade Your Way to Financial Freedom", 1998) sizes a position so that a fixed fraction of
equity is lost at the stop.
"""

from __future__ import annotations

from typing import Any

from framework.risk import UNSET, Param, SizingRule, compiled


class PercentOfEquity(SizingRule):
    """qty = equity * percent / 100 / entry."""

    name = "percent_of_equity"
    percent = Param(10.0, low=0.0, high=1_000.0, doc="share of equity in one position, percent")

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        qty: float = order.account.equity * order.p.percent / 100.0 / (order.entry * order.instrument.multiplier)
        return qty


@compiled
def quantity_at_risk(order: Any, risk: float) -> float:
    """Return qty = equity * risk / |entry - stop|, at most equity * max_position_pct / entry.

    order: with parameters max_position_pct and without_stop.  risk: a fraction of equity.  Without a stop nothing, or
    the most when without_stop says so.
    """
    most: float = order.account.equity * order.p.max_position_pct / (order.entry * order.instrument.multiplier)
    if order.stop == UNSET:
        return most if order.p.without_stop else 0.0
    distance = abs(order.entry - order.stop) * order.instrument.multiplier
    if distance == 0.0:
        return 0.0
    qty: float = min(most, order.account.equity * risk / distance)
    return qty


class RiskPerTrade(SizingRule):
    """qty = equity * risk / |entry - stop|, at most equity * max_position_pct / entry."""

    name = "risk_per_trade"
    risk = Param(0.02, low=0.0, high=1.0, doc="fraction of equity lost at the stop")
    max_position_pct = Param(1.0, low=0.0, high=10.0, doc="largest position, fraction of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        return quantity_at_risk(order, order.p.risk)
