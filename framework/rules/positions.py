"""Limits on how large positions may become, working orders counted."""

from __future__ import annotations

from typing import Any

from framework.risk import Param, RiskRule, measured, reduce, refuse
from framework.rules.leverage import exposure_after


class PositionLimits(RiskRule):
    """Reduce an opening until every limit holds; refuse it when nothing fits.

    Shares, notional and concentration are of the account's net position in the symbol with its pending orders counted;
    exposure is gross over all symbols. Positions are valued at the order's expected fill price, other symbols at their
    marks. What of an order brings the net position nearer to zero is never limited.
    """

    name = "position_limits"
    max_shares = Param(1_000.0, low=0.0, doc="units per symbol")
    max_notional_per_position = Param(10_000.0, low=0.0, doc="currency per symbol")
    max_total_exposure = Param(50_000.0, low=0.0, doc="currency, gross, all symbols")
    max_open_positions = Param(5, low=0, doc="symbols with a position or a working opening")
    max_concentration_percent = Param(25.0, low=0.0, least=1.0, unit="percent", doc="percent of equity per symbol")
    alert_kind = "position"

    @staticmethod
    def check(order: Any) -> None:
        """Apply the five limits; the tightest one is recorded."""
        p = order.p
        unit = order.entry * order.instrument.multiplier
        held = order.side * (order.symbol_qty + order.symbol_pending)
        positions = order.committed_positions + (0 if order.symbol_committed else 1)
        measured(order, positions, p.max_open_positions)
        if not order.symbol_committed and order.committed_positions >= p.max_open_positions:
            refuse(order, positions, p.max_open_positions)
            return
        after = held + order.qty
        measured(order, after, p.max_shares)
        measured(order, after * unit, p.max_notional_per_position)
        if after > p.max_shares:
            reduce(order, p.max_shares - held, after, p.max_shares)
        most = p.max_notional_per_position
        if after * unit > most:
            reduce(order, most / unit - held, after * unit, most)
        most = order.account.equity * p.max_concentration_percent / 100.0
        measured(order, after * unit, most)
        if after * unit > most:
            reduce(order, most / unit - held, after * unit, most)
        exposure, most = exposure_after(order), p.max_total_exposure
        measured(order, exposure, most)
        if exposure > most:
            reduce(order, order.qty - (exposure - most) / unit, exposure, most)
