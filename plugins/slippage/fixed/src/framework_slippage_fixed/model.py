"""The fixed model: a constant fraction of the price."""

from __future__ import annotations

import math
from typing import Any

from framework import Param, SlippageModel


class Fixed(SlippageModel):
    """Fill at reference * (1 + bps / 10,000) for a buy and reference * (1 - bps / 10,000) for a sell."""

    name = "fixed"
    bps = Param(2.0, low=0.0, high=1_000.0, doc="basis points of the reference price, against the order")

    @staticmethod
    def price(fill: Any) -> float:
        """Return the reference moved against the order by `bps` basis points."""
        return float(fill.reference * (1.0 + math.copysign(fill.p.bps / 10_000.0, fill.qty)))
