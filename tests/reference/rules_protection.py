"""Rules that give entries their stop, trail and target."""

from __future__ import annotations

from typing import Any

from framework.model.records import UNSET
from tests.reference.rules_base import Entry, Rule, Verdict, refuse, tightest


class StopLoss(Rule):
    """A stop for entries without one, bounds for the others, and a trail that the profit makes active."""

    def protects(self, entry: Entry) -> None:
        intent, price, side = entry.intent, entry.price, entry.side
        low, high = price * self.min_stop_loss_percent / 100, price * self.max_stop_loss_percent / 100

        def bounded(distance: float) -> float:
            return min(max(distance, low), high)

        has_trail = intent.given("trail") is not None
        trails_at_once = has_trail and intent.given("trail_after") is None
        has_own = intent.given("stop") is not None or intent.given("stop_offset") is not None or trails_at_once
        if intent.given("stop") is not None:
            distance = side * (price - intent.stop)
            if distance > 0:
                intent.stop = price - side * bounded(distance)
        elif intent.given("stop_offset") is not None:
            intent.stop_offset = bounded(intent.stop_offset)
        if trails_at_once:
            intent.trail = bounded(intent.trail)
        if entry.has_stop and not has_own:
            return
        if not has_own:
            intent.stop_offset = bounded(price * self.default_stop_loss_percent / 100)
        if self.enable_trailing_stop and not has_trail:
            intent.trail = price * self.trailing_stop_percent / 100
            intent.trail_after = price * self.trailing_activation_percent / 100


class TakeProfit(Rule):
    """A target for entries without one, perhaps in two parts; nothing whose reward is too small for its risk."""

    def protects(self, entry: Entry) -> None:
        intent = entry.intent
        if entry.has_target or intent.given("target") is not None or intent.given("target_offset") is not None:
            return
        if self.enable_partial_profit:
            intent.target_offset = entry.price * self.second_target_percent / 100
            entry.partial = self.first_target_percent / 100, self.partial_profit_percent / 100
        else:
            intent.target_offset = entry.price * self.default_take_profit_percent / 100

    def __call__(self, order: Any) -> Verdict:
        if UNSET in (order.stop, order.target):
            return tightest(order.qty)
        risk, reward = order.side * (order.entry - order.stop), order.side * (order.target - order.entry)
        if reward >= risk * self.min_risk_reward_ratio * (1 - 1e-9):
            return tightest(order.qty)
        return refuse(reward / risk, self.min_risk_reward_ratio)
