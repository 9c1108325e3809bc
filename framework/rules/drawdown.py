"""Smaller positions in a drawdown, and none beyond the deepest one allowed."""

from __future__ import annotations

from typing import Any

from framework.risk import Param, RiskRule, reduce, refuse

NANOSECONDS_PER_DAY = 86_400_000_000_000


class Drawdown(RiskRule):
    """Multiply size by warning_multiplier from drawdown_warning on, by critical_multiplier from drawdown_critical on;
    halt openings once the drawdown has reached max_drawdown.

    Drawdowns are fractions of this rule's own peak of equity.  A halt ends resume_after_days after it began
    (0: never); the peak then restarts at the equity of that moment, while the reported drawdown goes on.
    """

    name = "drawdown"
    drawdown_warning = Param(0.10, low=0.0, high=1.0)
    warning_multiplier = Param(0.50, low=0.0, high=1.0)
    drawdown_critical = Param(0.15, low=0.0, high=1.0)
    critical_multiplier = Param(0.25, low=0.0, high=1.0)
    max_drawdown = Param(0.20, low=0.0, high=1.0)
    resume_after_days = Param(0, low=0, high=100_000)
    state = {"peak": 0.0, "drawdown": 0.0, "halted": False, "halted_at": 0}

    @staticmethod
    def watch(order: Any) -> None:
        state = order.state
        equity = order.account.equity
        if state.halted and order.p.resume_after_days > 0:
            if order.clock.time_ns - state.halted_at >= order.p.resume_after_days * NANOSECONDS_PER_DAY:
                state.halted = False
                state.peak = equity
        state.peak = max(state.peak, equity)
        state.drawdown = 1.0 - equity / state.peak if state.peak > 0.0 else 0.0
        if not state.halted and state.drawdown >= order.p.max_drawdown:
            state.halted = True
            state.halted_at = order.clock.time_ns

    @staticmethod
    def check(order: Any) -> None:
        drawdown = order.state.drawdown
        if order.state.halted:
            refuse(order, drawdown, order.p.max_drawdown)
        elif drawdown >= order.p.drawdown_critical:
            reduce(order, order.qty * order.p.critical_multiplier, drawdown, order.p.drawdown_critical)
        elif drawdown >= order.p.drawdown_warning:
            reduce(order, order.qty * order.p.warning_multiplier, drawdown, order.p.drawdown_warning)
