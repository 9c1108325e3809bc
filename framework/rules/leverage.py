"""How much may be held for each unit of equity, and what happens when equity no longer carries it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from framework.errors import ConfigError
from framework.risk import Param, RiskRule, call_again, compiled, flatten, measured, reduce
from framework.rules.told import moment, times


@compiled
def exposure_after(order: Any) -> float:
    """Return what all positions may come to, with the opening and all working ones, less what exits free: currency."""
    unit = order.entry * order.instrument.multiplier
    covering = max(0.0, -order.side * (order.symbol_qty + order.symbol_pending))
    before: float = order.carried + order.working_notional - order.proceeds
    after: float = before + (order.qty - covering) * unit
    return after


class Leverage(RiskRule):
    """Cap gross exposure over equity; close everything at the next open once equity no longer carries it.

    The cap is max_leverage (1 while allow_leverage = false), and at most 100 / min_margin_percent. Liquidation begins
    at a mark where equity < exposure * maintenance_percent / 100. Buying power, `[account] leverage`, is a limit of its
    own.
    """

    name = "leverage"
    allow_leverage = Param(False, doc="whether exposure may exceed equity")
    max_leverage = Param(1.0, low=0.0, high=1_000.0, doc="gross exposure over equity")
    min_margin_percent = Param(100.0, low=1.0, high=100.0, unit="percent",
                               doc="equity that an opening needs, percent of exposure")
    maintenance_percent = Param(25.0, low=0.0, least=1.0, high=100.0, unit="percent",
                                doc="equity below which all is closed, percent of exposure")
    state: ClassVar[Mapping[str, Any]] = {"is_called": False, "calls": 0, "first_call": 0}
    alert_kind = "position"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when they contradict each other."""
        values: dict[str, Any] = super().validate(params)
        leverage, margin = values["max_leverage"], values["min_margin_percent"]
        if leverage > 1.0 and not values["allow_leverage"]:
            raise ConfigError(f"{cls.name}: max_leverage = {leverage!r} needs allow_leverage = true")
        if leverage * margin > 100.0 * (1.0 + 1e-9):
            raise ConfigError(f"{cls.name}: max_leverage = {leverage!r} needs min_margin_percent <= "
                              f"{100.0 / leverage:g}, not {margin!r}; rule: a position of L times equity has a margin "
                              "of 100 / L percent")
        if margin < values["maintenance_percent"] and {"min_margin_percent", "maintenance_percent"} & params.keys():
            raise ConfigError(f"{cls.name}: min_margin_percent = {margin!r} is below maintenance_percent = "
                              f"{values['maintenance_percent']!r}: what is opened would be liquidated at once")
        return values

    @staticmethod
    def watch(order: Any) -> None:
        """Liquidate when equity is below the maintenance margin."""
        state = order.state
        share = order.p.maintenance_percent / 100.0
        is_called = order.account.equity < share * order.account.exposure
        if is_called:
            flatten(order)
            if not state.is_called:
                state.calls += 1
                if state.calls == 1:
                    state.first_call = order.clock.time_ns
        state.is_called = is_called
        call_again(order, -math.inf, math.inf, share)

    @staticmethod
    def check(order: Any) -> None:
        """Reduce an opening to what the cap leaves."""
        p = order.p
        cap = min(p.max_leverage, 100.0 / p.min_margin_percent)
        limit = order.account.equity * cap
        after = exposure_after(order)
        measured(order, after, limit)
        if after > limit:
            unit = order.entry * order.instrument.multiplier
            reduce(order, order.qty - (after - limit) / unit, after, limit)

    def outcome(self, state: Any) -> list[str]:
        """Say how often positions were liquidated."""
        if not state["calls"]:
            return []
        return [f"{self.name}: equity fell below the maintenance margin {times(int(state['calls']))}, first at "
                f"{moment(state['first_call'])}; all positions were closed at the next open"]
