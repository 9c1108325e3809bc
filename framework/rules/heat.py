"""Portfolio heat: what would be lost if every stop were hit."""

from __future__ import annotations

from typing import Any

from framework.risk import Param, RiskRule, measured, reduce
from framework.rules.losses import risk_each


class PortfolioHeat(RiskRule):
    """Shrink an opening so that heat + new <= equity * max_heat.

    heat = sum of max(0, side * (entry - stop)) * |qty| over positions and working entries; without a stop the full
    notional.  A stop that is moved or trails lowers it.
    """

    name = "portfolio_heat"
    max_heat = Param(0.30, low=0.0, high=1.0, unit="fraction", doc="fraction of equity")
    alert_kind = "position"

    @staticmethod
    def check(order: Any) -> None:
        """Let through what fits under the limit."""
        each = risk_each(order)
        limit = order.account.equity * order.p.max_heat
        after = order.heat + each * order.qty
        measured(order, after, limit)
        if after > limit and each > 0.0:
            reduce(order, (limit - order.heat) / each, after, limit)
