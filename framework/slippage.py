"""The contract of a slippage model: the price at which a market or stop order really fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.model.instrument import Instrument
from framework.model.records import FILL_REQUEST, record
from framework.parameters import Param, Plugin, fields_of

if TYPE_CHECKING:
    from framework.indicators import Bars, Expression

__all__ = ["Param", "SlippageModel", "fill_dtype"]


class SlippageModel(Plugin):
    """Base class of slippage models.

        class Fixed(SlippageModel):
            name = "fixed"
            bps = Param(2.0, low=0.0, high=1_000.0)

            @staticmethod
            def price(fill):
                return fill.reference * (1.0 + math.copysign(fill.p.bps / 10_000.0, fill.qty))

    `fill` carries what was known at the fill, never the filling bar's high, low or volume:

    reference    price without slippage; qty: signed quantity, > 0 buys
    bar          the symbol's last closed bar; mean_volume, volatility (standard deviation of log returns per bar)
                 over the last `volume_window` closed bars
    instrument   tick, lot, min_qty, min_notional, multiplier;  p: the parameters
    ind          the declared indicators at the last closed bar, NaN before they are defined

    A price better than the reference is replaced by the reference; prices round to the tick against the order.
    """

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return named expressions over the fill's symbol, read at its last closed bar as `fill.ind.NAME`."""
        return {}

    def lacks(self, instrument: Instrument) -> str:
        """Return what these parameters need and an instrument of the run does not have; "" when it has all of it."""
        return ""

    @staticmethod
    def price(fill: Any) -> float:
        """Return the fill price in currency per unit."""
        return float(fill.reference)


def fill_dtype(model: SlippageModel, indicator_names: tuple[str, ...] = ()) -> np.dtype:
    """Return the record layout of `fill` for one model: the header, `ind`, then its parameters."""
    fields = fields_of(FILL_REQUEST)
    if indicator_names:
        fields.append(("ind", record(*((name, "f8") for name in indicator_names))))
    if model.params():
        fields.append(("p", record(*model.param_fields())))
    return record(*fields)
