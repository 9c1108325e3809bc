"""Half of the bid-ask spread: a price in between is quoted, a market order takes the worse side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from framework import Instrument, Param, SlippageModel
from framework.indicators import Bars, Expression, sma
from framework_slippage_spread.estimators import close_against_middles, high_low_spread

ESTIMATORS = ("none", "abdi_ranaldo", "corwin_schultz")
ABDI_RANALDO = ESTIMATORS.index("abdi_ranaldo")
WIDEST = 0.5


class Spread(SlippageModel):
    """Fill half a spread away from the reference: the largest of an estimate, half_spread_bps and half_spread_ticks.

    The estimate is made of the last `window` closed bars and known when they are; it is at most half of the price.
    """

    name = "spread"
    half_spread_bps = Param(1.0, low=0.0, high=1_000.0, doc="half of the spread, basis points; the least")
    half_spread_ticks = Param(0.0, low=0.0, high=1_000.0, doc="half of the spread, ticks of the instrument; the least")
    estimator = Param("none", choices=ESTIMATORS, doc="how the spread is estimated from bars")
    window = Param(60, low=2, high=10_000, doc="closed bars in the estimate")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the mean of what the estimator makes of two bars, 0 without one."""
        estimator = self.values()["estimator"]
        if estimator == "abdi_ranaldo":
            return {"estimate": sma(close_against_middles(bars), self.window)}
        if estimator == "corwin_schultz":
            return {"estimate": sma(high_low_spread(bars), self.window)}
        return {"estimate": bars.close * 0.0}

    def lacks(self, instrument: Instrument) -> str:
        """Return that ticks are asked for where there are none."""
        if self.half_spread_ticks and not instrument.tick:
            return f"half_spread_ticks = {self.half_spread_ticks} needs a tick; give half_spread_bps instead"
        return ""

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference moved by half a spread against the order."""
        estimate = fill.ind.estimate if fill.ind.estimate > 0.0 else 0.0
        share = math.sqrt(estimate) if fill.p.estimator == ABDI_RANALDO else 0.5 * estimate
        share = max(min(share, WIDEST), fill.p.half_spread_bps / 10_000.0)
        half = max(fill.reference * share, fill.p.half_spread_ticks * fill.instrument.tick)
        return float(fill.reference + math.copysign(half, fill.qty))
