"""Smaller positions in a drawdown, and none beyond the deepest one allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from framework.risk import Param, RiskRule, call_again, compiled, measured, reduce, refuse
from framework.rules.order import require_order
from framework.rules.told import moment, times

DEPTHS = ("drawdown_warning", "drawdown_critical", "max_drawdown")
"""The parameters that are depths, in the order in which they bite."""


@compiled
def depth_below(peak: float, equity: float) -> float:
    """Return the drawdown from a peak as a fraction of it."""
    return (peak - equity) / peak if peak > 0.0 else 0.0


class Drawdown(RiskRule):
    """Multiply size by drawdown_warning_multiplier from drawdown_warning on, by drawdown_critical_multiplier from
    drawdown_critical on; halt openings once the drawdown has reached max_drawdown.

    Drawdowns are fractions of this rule's own peak of marked equity.  A halt lasts until `resume_after` has passed
    since it began ("none": to the end of the run); the peak then restarts at the equity of that moment, while the
    reported drawdown goes on.
    """

    name = "drawdown"
    drawdown_warning = Param(0.10, low=0.0, high=1.0, unit="fraction", doc="fraction of the peak")
    drawdown_warning_multiplier = Param(0.50, low=0.0, high=1.0, unit="fraction",
                                        doc="of the size, from the warning on")
    drawdown_critical = Param(0.15, low=0.0, high=1.0, unit="fraction", doc="fraction of the peak")
    drawdown_critical_multiplier = Param(0.25, low=0.0, high=1.0, unit="fraction",
                                         doc="of the size, from the critical drawdown on")
    max_drawdown = Param(0.20, low=0.0, high=1.0, unit="fraction", doc="fraction of the peak that halts openings")
    resume_after = Param("none", is_duration=True, doc='how long a halt lasts, such as "30d"')
    state: ClassVar[Mapping[str, Any]] = {"peak": 0.0, "is_halted": False, "halted_at": 0, "halts": 0, "first_halt": 0}
    alert_kind = "loss"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when those drawdowns that are given are not in order."""
        values: dict[str, Any] = super().validate(params)
        require_order(cls.name, values, params, *DEPTHS)
        return values

    @staticmethod
    def watch(order: Any) -> None:
        """Follow the peak, begin and end halts; look again at a new peak and near the deepest drawdown, then at it.

        During a halt that ends, at every mark; during one that does not, at a new peak only.
        """
        state = order.state
        equity = order.account.equity
        lasted = order.clock.time_ns - state.halted_at
        if state.is_halted and order.p.resume_after > 0 and lasted >= order.p.resume_after:
            state.is_halted = False
            state.peak = equity
        state.peak = max(state.peak, equity)
        drawdown = depth_below(state.peak, equity)
        measured(order, drawdown, order.p.max_drawdown)
        if not state.is_halted and drawdown >= order.p.max_drawdown:
            state.is_halted = True
            state.halted_at = order.clock.time_ns
            state.halts += 1
            if state.halts == 1:
                state.first_halt = state.halted_at
        if not state.is_halted:
            is_near = order.p.max_drawdown > 0.0 and drawdown / order.p.max_drawdown >= order.alert_at
            depth = order.p.max_drawdown if is_near else min(order.alert_at, 1.0) * order.p.max_drawdown
            call_again(order, state.peak * (1.0 - depth + 1e-9), state.peak)
        elif order.p.resume_after == 0:
            call_again(order, -math.inf, state.peak)

    @staticmethod
    def check(order: Any) -> None:
        """Refuse during a halt, else shrink by how deep the drawdown is."""
        drawdown = depth_below(order.state.peak, order.account.equity)
        measured(order, drawdown, order.p.max_drawdown)
        if order.state.is_halted:
            refuse(order, drawdown, order.p.max_drawdown)
        elif drawdown >= order.p.drawdown_critical:
            reduce(order, order.qty * order.p.drawdown_critical_multiplier, drawdown, order.p.drawdown_critical)
        elif drawdown >= order.p.drawdown_warning:
            reduce(order, order.qty * order.p.drawdown_warning_multiplier, drawdown, order.p.drawdown_warning)

    def outcome(self, state: Any) -> list[str]:
        """Say how often openings were halted, and whether they still are."""
        if not state["halts"]:
            return []
        told = f"{self.name}: openings were halted {times(int(state['halts']))}, first at {moment(state['first_halt'])}"
        return [f"{told}; they are halted at the end" if state["is_halted"] else told]
