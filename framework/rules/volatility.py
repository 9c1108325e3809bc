"""Smaller openings in wild markets, none in the wildest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from framework.indicators import Bars, Expression, atr
from framework.risk import Param, RiskRule, reduce, refuse


class Volatility(RiskRule):
    """Refuse an opening while the average true range exceeds max_atr_percent of the price; shrink it below that.

    current = 100 * Wilder ATR(atr_period) / close. Size is multiplied by min(1, base_volatility_percent / current) when
    both reduce_on_high_volatility and enable_volatility_scaling are true. While the ATR is not known, nothing opens.
    """

    name = "volatility"
    max_atr_percent = Param(5.0, low=0.06, high=1_000.0, unit="percent", doc="ATR, percent of the price")
    reduce_on_high_volatility = Param(True, doc="whether high volatility makes openings smaller")
    enable_volatility_scaling = Param(True, doc="whether they shrink in proportion to it")
    base_volatility_percent = Param(2.0, low=0.03, high=1_000.0, unit="percent",
                                    doc="ATR up to which size is left alone, percent")
    atr_period = Param(14, low=2, high=500, doc="bars of the average true range")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the average true range as a percentage of the close."""
        return {"atr_percent": 100.0 * atr(bars, self.atr_period) / bars.close}

    @staticmethod
    def check(order: Any) -> None:
        """Compare the range with its limits."""
        p, current = order.p, order.ind.atr_percent
        if math.isnan(current) or current > p.max_atr_percent:
            refuse(order, current, p.max_atr_percent)
        elif p.reduce_on_high_volatility and p.enable_volatility_scaling and current > p.base_volatility_percent:
            reduce(order, order.qty * p.base_volatility_percent / current, current, p.base_volatility_percent)
