"""No two positions that are one."""

from __future__ import annotations

from typing import Any

from framework.risk import Param, RiskRule, refuse


class Correlation(RiskRule):
    """Refuse an opening that moves like a position of another symbol.

    Measured is the highest Pearson correlation of daily returns over correlation_lookback_days days on which both
    symbols closed. Positions count with their direction: long one and short the other of two symbols that move alike is
    a hedge, not the same bet twice. With fewer than 10 returns in common two symbols count as alike (1).
    """

    name = "correlation"
    max_position_correlation = Param(0.7, low=-1.0, high=1.0, doc="of daily returns, direction included")
    correlation_lookback_days = Param(30, low=3, high=1_000, doc="daily returns")
    enforce_correlation_check = Param(True, doc="whether the rule looks at all")

    @property
    def correlation_days(self) -> int:
        """How many daily returns the step compares."""
        values = self.values()
        return int(values["correlation_lookback_days"]) if values["enforce_correlation_check"] else 0

    @staticmethod
    def check(order: Any) -> None:
        """Refuse above the limit."""
        if order.p.enforce_correlation_check and order.correlation > order.p.max_position_correlation:
            refuse(order, order.correlation, order.p.max_position_correlation)
