"""Sizing rules: how much an opening buys that names no quantity.

Risk per trade (Tharp, "Trade Your Way to Financial Freedom", 1998) sizes a position so that a fixed fraction of
equity is lost at the stop. Kelly ("A New Interpretation of Information Rate", 1956; Thorp, "The Kelly Criterion in
Blackjack, Sports Betting and the Stock Market", 1997) takes that fraction from the odds of the last round trips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from framework.indicators import Bars, Expression, roc, std
from framework.risk import UNSET, Param, SizingRule, compiled

LEAST_TRIPS = 30
"""Round trips from which odds are estimated at the least."""


class FixedQty(SizingRule):
    """The same number of units every time."""

    name = "fixed_qty"
    qty = Param(1.0, low=0.0, doc="units")

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        qty: float = order.p.qty
        return qty


class FixedNotional(SizingRule):
    """The same value every time: qty = notional / entry."""

    name = "fixed_notional"
    notional = Param(10_000.0, low=0.0, doc="currency")

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        qty: float = order.p.notional / (order.entry * order.instrument.multiplier)
        return qty


class PercentOfEquity(SizingRule):
    """qty = equity * percent / 100 / entry."""

    name = "percent_of_equity"
    percent = Param(10.0, low=0.0, high=1_000.0, unit="percent", doc="share of equity in one position, percent")

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
    risk = Param(0.02, low=0.0, high=0.4, unit="fraction", doc="fraction of equity lost at the stop")
    max_position_pct = Param(1.0, low=0.0, high=10.0, unit="fraction", doc="largest position, fraction of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        return quantity_at_risk(order, order.p.risk)


class VolatilityTarget(SizingRule):
    """Aim at daily_volatility_percent: qty = equity * that / (daily volatility [%] * entry), up to max_position_pct.

    The daily volatility is the population standard deviation of the last `window` daily returns of the symbol. While it
    is not known, nothing opens.
    """

    name = "volatility_target"
    daily_volatility_percent = Param(1.0, low=0.05, high=100.0, unit="percent",
                                     doc="of equity, moved by the position in a usual day")
    window = Param(20, low=2, high=1_000, doc="daily returns")
    max_position_pct = Param(1.0, low=0.0, high=10.0, unit="fraction", doc="largest position, fraction of equity")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the deviation of daily returns, percent."""
        return {"volatility": std(roc(bars.timeframe("1d").close, 1), self.window)}

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        p, volatility = order.p, order.ind.volatility
        value = order.account.equity * p.max_position_pct
        if volatility > 0.0:
            value = min(value, order.account.equity * p.daily_volatility_percent / volatility)
        elif math.isnan(volatility):
            value = 0.0
        qty: float = value / (order.entry * order.instrument.multiplier)
        return qty


@compiled
def kelly_fraction(trips: Any) -> float:
    """Return (p * b - q) / b: p the share of winners, q = 1 - p, b the average win over the average loss.

    p without losers, the limit of ever smaller losses; 0 without winners.
    """
    if trips.wins == 0:
        return 0.0
    p: float = trips.wins / trips.count
    if trips.losses == 0:
        return p
    b: float = (trips.won / trips.wins) / (trips.lost / trips.losses)
    return p - (1.0 - p) / b


class Kelly(SizingRule):
    """risk_per_trade with risk = clip(fraction * (p * b - q) / b, 0, cap) of the last round trips of the account.

    p is the share of winners among the last `trades` round trips, q = 1 - p, b the average win over the average loss.
    Before 30 round trips have ended, `risk` is used.
    """

    name = "kelly"
    fraction = Param(0.5, low=0.0, high=1.0, unit="fraction", doc="of the fraction that Kelly names")
    cap = Param(0.05, low=0.0, high=1.0, unit="fraction", doc="largest fraction of equity lost at the stop")
    trades = Param(100, low=30, high=100_000, doc="round trips that are looked at")
    risk = Param(0.02, low=0.0, high=0.4, unit="fraction",
                 doc="fraction of equity lost at the stop before 30 round trips")
    max_position_pct = Param(1.0, low=0.0, high=10.0, unit="fraction", doc="largest position, fraction of equity")
    without_stop = Param(False, doc="open the largest position when an order has no stop, instead of none")

    @property
    def trip_window(self) -> int:
        """How many round trips the step sums up."""
        return int(self.values()["trades"])

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity in units."""
        p = order.p
        risk = p.risk
        if order.trips.count >= LEAST_TRIPS:
            risk = max(0.0, min(p.cap, p.fraction * kelly_fraction(order.trips)))
        return quantity_at_risk(order, risk)
