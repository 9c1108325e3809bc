"""Smaller positions in a drawdown, and none beyond the deepest one allowed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

from framework.errors import ConfigError
from framework.risk import Param, RiskRule, reduce, refuse

DEPTHS = ("drawdown_warning", "drawdown_critical", "max_drawdown")
"""The parameters that are depths, in the order in which they bite."""


class Drawdown(RiskRule):
    """Multiply size by drawdown_warning_multiplier from drawdown_warning on, by drawdown_critical_multiplier from
    drawdown_critical on; halt openings once the drawdown has reached max_drawdown.

    Drawdowns are fractions of this rule's own peak of marked equity.  A halt lasts until `resume_after` has passed
    since it began ("none": to the end of the run); the peak then restarts at the equity of that moment, while the
    reported drawdown goes on.
    """

    name = "drawdown"
    drawdown_warning = Param(0.10, low=0.0, high=1.0, doc="fraction of the peak")
    drawdown_warning_multiplier = Param(0.50, low=0.0, high=1.0, doc="of the size, from the warning on")
    drawdown_critical = Param(0.15, low=0.0, high=1.0, doc="fraction of the peak")
    drawdown_critical_multiplier = Param(0.25, low=0.0, high=1.0, doc="of the size, from the critical drawdown on")
    max_drawdown = Param(0.20, low=0.0, high=1.0, doc="fraction of the peak that halts openings")
    resume_after = Param("none", is_duration=True, doc='how long a halt lasts, such as "30d"')
    state: ClassVar[Mapping[str, Any]] = {"peak": 0.0, "drawdown": 0.0, "is_halted": False, "halted_at": 0}

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when those drawdowns that are given are not in order."""
        values: dict[str, Any] = super().validate(params)
        given = [name for name in DEPTHS if name in params]
        for lower, upper in pairwise(given):
            if values[lower] > values[upper]:
                raise ConfigError(f"{cls.name}: {lower} = {values[lower]!r} is above {upper} = {values[upper]!r}; "
                                  f"rule: {' <= '.join(DEPTHS)}")
        return values

    @staticmethod
    def watch(order: Any) -> None:
        """Follow the peak at every mark, begin a halt and end one."""
        state = order.state
        equity = order.account.equity
        lasted = order.clock.time_ns - state.halted_at
        if state.is_halted and order.p.resume_after > 0 and lasted >= order.p.resume_after:
            state.is_halted = False
            state.peak = equity
        state.peak = max(state.peak, equity)
        state.drawdown = (state.peak - equity) / state.peak if state.peak > 0.0 else 0.0
        if not state.is_halted and state.drawdown >= order.p.max_drawdown:
            state.is_halted = True
            state.halted_at = order.clock.time_ns

    @staticmethod
    def check(order: Any) -> None:
        """Refuse during a halt, else shrink by how deep the drawdown is."""
        drawdown = order.state.drawdown
        if order.state.is_halted:
            refuse(order, drawdown, order.p.max_drawdown)
        elif drawdown >= order.p.drawdown_critical:
            reduce(order, order.qty * order.p.drawdown_critical_multiplier, drawdown, order.p.drawdown_critical)
        elif drawdown >= order.p.drawdown_warning:
            reduce(order, order.qty * order.p.drawdown_warning_multiplier, drawdown, order.p.drawdown_warning)
