"""Market impact: an order moves the price by volatility times a power of its share of the usual volume.

    impact = coefficient * volatility * (|qty| / mean volume) ** exponent        a fraction of the reference price

exponent 0.5 is the square-root law, with a coefficient of order one (Toth et al. 2011, "Anomalous price impact and the
critical nature of liquidity in financial markets", Physical Review X 1, 021006).  It does not depend on the length of
the bars: volatility grows with the root of it and volume in proportion.  Almgren, Thum, Hauptmann and Li (2005,
"Direct estimation of equity market impact", Risk 18) fit an exponent of 3/5 and a coefficient of 0.142 for the
temporary part, with daily volatility and the share of the volume that trades while the order does.

Both figures are trailing means over `[fills] volume_window` closed bars; nothing of the filling bar is known.
"""

from __future__ import annotations

import math
from typing import Any

from framework import Param, SlippageModel


class VolumeImpact(SlippageModel):
    """Move the price against the order by coefficient * volatility * (share of mean volume) ** exponent, and a spread.

    Where no volume is known, or the law would say more, max_impact_bps is paid; where no volatility is, the spread.
    """

    name = "volume_impact"
    coefficient = Param(1.0, low=0.0, high=100.0, doc="impact in volatilities of an order as large as the mean volume")
    exponent = Param(0.5, low=0.0, high=2.0, doc="0.5: square-root law; 0.6: Almgren et al.; 1: linear")
    half_spread_bps = Param(0.0, low=0.0, high=1_000.0, doc="paid besides, basis points of the reference price")
    max_impact_bps = Param(1_000.0, low=0.0, high=5_000.0, doc="the most that impact costs, basis points")

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference moved against the order by its impact and half a spread."""
        most = fill.p.max_impact_bps / 10_000.0
        impact = most
        if fill.mean_volume > 0.0:
            share = abs(fill.qty) / fill.mean_volume
            law = math.sqrt(share) if fill.p.exponent == 0.5 else math.pow(share, fill.p.exponent)
            impact = min(fill.p.coefficient * fill.volatility * law, most)
        move = impact + fill.p.half_spread_bps / 10_000.0
        return float(fill.reference * (1.0 + math.copysign(move, fill.qty)))
