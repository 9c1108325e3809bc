"""Stops and targets for entries that have none, and bounds on those that have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.errors import ConfigError
from framework.risk import UNSET, Param, RiskRule, compiled, protect, refuse, take_partial
from framework.rules.order import require_order


@compiled
def clipped(value: float, low: float, high: float) -> float:
    """Return the value, or the bound that it is beyond."""
    return max(low, min(high, value))


class StopLoss(RiskRule):
    """Give a stop to an entry that has none, and bring others to between the least and the greatest distance.

    Distances are percent of the price at the decision: the close, or a limit's or stop's own. The stop given to an
    entry counts from its fill. A trail that is active from the beginning is a stop as well. With enable_trailing_stop,
    an entry without a trail of its own gets one of trailing_stop_percent, active once the profit has reached
    trailing_activation_percent. What adds to a position that has a stop keeps it.
    """

    name = "stop_loss"
    default_stop_loss_percent = Param(2.0, low=0.01, high=99.0, unit="percent",
                                      doc="distance of the stop of an entry without one")
    min_stop_loss_percent = Param(0.5, low=0.0, least=0.01, high=99.0, unit="percent", doc="least distance of a stop")
    max_stop_loss_percent = Param(10.0, low=0.11, high=99.0, unit="percent", doc="greatest distance of a stop")
    enable_trailing_stop = Param(True, doc="whether an entry without a trail gets one")
    trailing_stop_percent = Param(1.5, low=0.05, high=99.0, unit="percent",
                                  doc="distance of the trail from the best price")
    trailing_activation_percent = Param(2.0, low=0.0, least=0.05, high=1_000.0, unit="percent",
                                        doc="profit that makes the trail active")

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when the bounds are not in order, or a given default is outside.

        The default that nobody gave is brought between bounds that somebody did.
        """
        values: dict[str, Any] = super().validate(params)
        least, default, most = "min_stop_loss_percent", "default_stop_loss_percent", "max_stop_loss_percent"
        require_order(cls.name, values, values, *((least, default, most) if default in params else (least, most)))
        return values

    @staticmethod
    def protect(order: Any) -> None:
        """Set or move the stop, and add a trail."""
        p, side, entry = order.p, order.side, order.entry
        least, most = entry * p.min_stop_loss_percent / 100.0, entry * p.max_stop_loss_percent / 100.0
        is_trailed = order.trail != UNSET
        is_active = is_trailed and order.trail_after == UNSET
        has_stop = order.stop != UNSET or is_active
        if order.stop != UNSET and side * (entry - order.stop) > 0.0:
            distance = side * (entry - order.stop)
            if distance < least or distance > most:
                protect(order, entry - side * clipped(distance, least, most))
        if is_active and (order.trail < least or order.trail > most):
            protect(order, UNSET, UNSET, clipped(order.trail, least, most), UNSET)
        if has_stop or order.held_stop == UNSET:
            if not has_stop:
                default = clipped(entry * p.default_stop_loss_percent / 100.0, least, most)
                protect(order, entry - side * default)
            if p.enable_trailing_stop and not is_trailed:
                protect(order, UNSET, UNSET, entry * p.trailing_stop_percent / 100.0,
                        entry * p.trailing_activation_percent / 100.0)


class TakeProfit(RiskRule):
    """Give a target to an entry that has none; refuse an entry whose reward is too small for its risk.

    Distances are percent of the price at the decision; a target given to an entry counts from its fill. With
    enable_partial_profit there are two: at first_target_percent partial_profit_percent of the position is closed, at
    second_target_percent the rest; without it default_take_profit_percent is the only one. The reward is the way from
    the expected fill to the target, the risk that to the stop; an entry without one of them is not measured. What adds
    to a position that has a target keeps it.
    """

    name = "take_profit"
    default_take_profit_percent = Param(5.0, low=0.06, high=1_000.0, unit="percent",
                                        doc="distance of the target of an entry without one")
    min_risk_reward_ratio = Param(2.0, low=0.0, high=1_000.0, doc="reward over risk")
    enable_partial_profit = Param(True, doc="whether an entry without a target is closed in two parts")
    partial_profit_percent = Param(50.0, low=1.0, high=100.0, unit="percent",
                                   doc="percent of the position closed at the first target")
    first_target_percent = Param(3.0, low=0.06, high=1_000.0, unit="percent", doc="distance of the first target")
    second_target_percent = Param(5.0, low=0.06, high=1_000.0, unit="percent", doc="distance of the second target")

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when the first target lies behind the second, or a default is given
        that no entry would get: with partial profits the second target is the last.
        """
        values: dict[str, Any] = super().validate(params)
        is_partial = values["enable_partial_profit"]
        require_order(cls.name, values, values if is_partial else params, "first_target_percent",
                      "second_target_percent")
        default, second = values["default_take_profit_percent"], values["second_target_percent"]
        if is_partial and "default_take_profit_percent" in params and default != second:
            raise ConfigError(f"{cls.name}: default_take_profit_percent = {default!r} would not be used: with "
                              f"enable_partial_profit = true entries get second_target_percent = {second!r}; set that "
                              "one, or enable_partial_profit = false")
        return values

    @staticmethod
    def protect(order: Any) -> None:
        """Set the target."""
        p = order.p
        if order.target != UNSET or order.held_target != UNSET:
            return
        percent = p.second_target_percent if p.enable_partial_profit else p.default_take_profit_percent
        protect(order, UNSET, order.entry * (1.0 + order.side * percent / 100.0))
        if p.enable_partial_profit:
            take_partial(order, p.first_target_percent / 100.0, p.partial_profit_percent / 100.0)

    @staticmethod
    def check(order: Any) -> None:
        """Refuse a reward below the ratio."""
        if order.stop == UNSET or order.target == UNSET:
            return
        risk, reward = order.side * (order.entry - order.stop), order.side * (order.target - order.entry)
        least = order.p.min_risk_reward_ratio
        if reward < risk * least * (1.0 - 1e-9):
            refuse(order, reward / risk, least)
