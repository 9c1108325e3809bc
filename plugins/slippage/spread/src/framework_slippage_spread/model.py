"""Half of the bid-ask spread: a price in between is quoted, a market order takes the worse side."""

from __future__ import annotations

import math
from typing import Any

from framework import Instrument, Param, SlippageModel


class Spread(SlippageModel):
    """Fill half a spread away from the reference: the larger of half_spread_bps of it and half_spread_ticks ticks."""

    name = "spread"
    half_spread_bps = Param(1.0, low=0.0, high=1_000.0, doc="half of the spread, basis points of the reference price")
    half_spread_ticks = Param(0.0, low=0.0, high=1_000.0, doc="half of the spread, ticks of the instrument; the least")

    def lacks(self, instrument: Instrument) -> str:
        """Return that ticks are asked for where there are none."""
        if self.half_spread_ticks and not instrument.tick:
            return f"half_spread_ticks = {self.half_spread_ticks} needs a tick; give half_spread_bps instead"
        return ""

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference moved by half a spread against the order."""
        least = fill.p.half_spread_ticks * fill.instrument.tick
        half = max(fill.reference * (fill.p.half_spread_bps / 10_000.0), least)
        return float(fill.reference + math.copysign(half, fill.qty))
