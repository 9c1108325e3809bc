"""Limits on how large positions may become, working orders counted."""

from __future__ import annotations

from typing import Any

from framework.risk import Param, RiskRule, reduce, refuse


class PositionLimits(RiskRule):
    """Reduce an opening until every limit holds; refuse it when nothing fits.

    max_shares and max_notional_per_position are of the account's net position in the symbol, pending orders counted;
    max_total_exposure is gross over all symbols; max_concentration_percent is of equity.
    """

    name = "position_limits"
    max_shares = Param(1_000.0, low=0.0, doc="units per symbol")
    max_notional_per_position = Param(10_000.0, low=0.0, doc="currency per symbol")
    max_total_exposure = Param(50_000.0, low=0.0, doc="currency, gross, all symbols")
    max_open_positions = Param(5, low=0, doc="symbols with a position or a working opening")
    max_concentration_percent = Param(25.0, low=0.0, doc="percent of equity per symbol")

    @staticmethod
    def check(order: Any) -> None:
        unit = order.entry * order.instrument.multiplier
        held = order.side * (order.symbol_qty + order.symbol_pending)
        if not order.symbol_committed and order.committed_positions >= order.p.max_open_positions:
            refuse(order, order.committed_positions + 1, order.p.max_open_positions)
            return
        after = held + order.qty
        if after > order.p.max_shares:
            reduce(order, order.p.max_shares - held, after, order.p.max_shares)
        if after * unit > order.p.max_notional_per_position:
            reduce(order, order.p.max_notional_per_position / unit - held, after * unit, order.p.max_notional_per_position)
        most = order.account.equity * order.p.max_concentration_percent / 100.0
        if after * unit > most:
            reduce(order, most / unit - held, after * unit, most)
        gross = order.account.exposure + order.working_notional
        if gross + order.qty * unit > order.p.max_total_exposure:
            reduce(order, (order.p.max_total_exposure - gross) / unit, gross + order.qty * unit, order.p.max_total_exposure)
