"""Rules that give entries their stop and target: by how much, to whom, and what becomes of it in a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framework import ConfigError, buy, close_position, sell, target
from framework.model.enums import OrderKind, OrderStatus, Reason, Role
from framework.model.records import UNSET
from framework.risk import RiskRule, protect
from framework.rules import LossLimits, OrderValidation, RiskPerTrade, StopLoss, TakeProfit
from framework.strategy import place_limit
from tests.rule_cases import Opening, acting, checked, composed, flat_tape, logs_of

NO_TRAIL = {"enable_trailing_stop": False}
WHOLE = {"enable_partial_profit": False}


# --- stop_loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "given", "stop"), [
    (1, UNSET, 98.0),  # 2 % of 100
    (-1, UNSET, 102.0),
    (1, 95.0, 95.0),
    (1, 99.5, 99.5),  # exactly the least distance
    (1, 99.8, 99.5),
    (1, 90.0, 90.0),
    (1, 80.0, 90.0),
    (-1, 100.1, 100.5),
    (-1, 130.0, 110.0),
    (1, 101.0, 101.0),  # on the wrong side: left to be refused
])
def test_a_stop_is_given_or_brought_between_the_bounds(side: int, given: float, stop: float) -> None:
    order = Opening(StopLoss, NO_TRAIL, entry=100.0, side=side, stop=given).protect()
    assert order.stop == pytest.approx(stop)
    assert (order.trail, order.trail_after, order.target) == (UNSET, UNSET, UNSET)


@pytest.mark.parametrize(("trail", "after", "got", "got_after", "stop"), [
    (UNSET, UNSET, 1.5, 2.0, 98.0),  # 1.5 % of 100, active 2 above the entry
    (3.0, UNSET, 3.0, UNSET, UNSET),  # a trail from the beginning is a stop
    (0.2, UNSET, 0.5, UNSET, UNSET),
    (30.0, UNSET, 10.0, UNSET, UNSET),
    (3.0, 5.0, 3.0, 5.0, 98.0),  # active later: until then there is no stop
])
def test_an_entry_without_a_trail_gets_one(trail: float, after: float, got: float, got_after: float,
                                           stop: float) -> None:
    order = Opening(StopLoss, entry=100.0, trail=trail, trail_after=after).protect()
    assert (order.trail, order.trail_after, order.stop) == (pytest.approx(got), pytest.approx(got_after),
                                                            pytest.approx(stop))


def test_what_adds_to_a_position_with_a_stop_keeps_it() -> None:
    order = Opening(StopLoss, entry=100.0, held_stop=97.0).protect()
    assert (order.stop, order.trail) == (UNSET, UNSET)
    named = Opening(StopLoss, entry=100.0, held_stop=97.0, stop=60.0).protect()
    assert named.stop == 90.0  # a stop of its own is brought to the bounds


def test_the_bounds_hold_for_the_default_too() -> None:
    assert Opening(StopLoss, {"max_stop_loss_percent": 1.0}, entry=100.0).protect().stop == 99.0
    assert Opening(StopLoss, {"min_stop_loss_percent": 3.0}, entry=100.0).protect().stop == 97.0


@pytest.mark.parametrize(("rule", "params", "told"), [
    (StopLoss, {"min_stop_loss_percent": 5.0, "max_stop_loss_percent": 3.0}, "min_stop_loss_percent = 5.0 is above"),
    (StopLoss, {"default_stop_loss_percent": 12.0, "max_stop_loss_percent": 10.0}, "default_stop_loss_percent = 12"),
    (StopLoss, {"default_stop_loss_percent": 12.0}, "max_stop_loss_percent = 10.0; rule"),  # the default bounds count
    (StopLoss, {"default_stop_loss_percent": 0.3}, "min_stop_loss_percent = 0.5 is above default_stop_loss_percent"),
    (StopLoss, {"min_stop_loss_percent": 12.0}, "min_stop_loss_percent = 12.0 is above max_stop_loss_percent = 10.0"),
    (StopLoss, {"default_stop_loss_percent": 120.0}, "it is in percent: 25 means 25 %"),
    (TakeProfit, {"first_target_percent": 5.0, "second_target_percent": 3.0}, "first_target_percent = 5.0 is above"),
    (TakeProfit, {"partial_profit_percent": 0.5}, "it is in percent"),
])
def test_distances_must_be_in_order_and_in_percent(rule: Any, params: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        rule(**params)


# --- take_profit ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "told"), [
    ({"default_take_profit_percent": 8.0}, "default_take_profit_percent = 8.0 would not be used: with "
     "enable_partial_profit = true entries get second_target_percent = 5.0"),
    ({"default_take_profit_percent": 5.0, "second_target_percent": 6.0}, "default_take_profit_percent = 5.0 would not"),
    ({"first_target_percent": 7.0}, "first_target_percent = 7.0 is above second_target_percent = 5.0"),
    ({"second_target_percent": 2.0}, "first_target_percent = 3.0 is above second_target_percent = 2.0"),
])
def test_a_target_that_no_entry_would_get_is_refused(params: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        TakeProfit(**params)


@pytest.mark.parametrize(("params", "goal"), [
    ({"default_take_profit_percent": 8.0, "second_target_percent": 8.0}, 108.0),
    ({"default_take_profit_percent": 8.0, **WHOLE}, 108.0),
    ({"first_target_percent": 7.0, **WHOLE}, 105.0),  # switched off, it contradicts no default
])
def test_a_default_that_is_given_is_the_target(params: dict[str, Any], goal: float) -> None:
    assert Opening(TakeProfit, params, entry=100.0).protect().target == pytest.approx(goal)


@pytest.mark.parametrize(("params", "side", "given", "held", "got", "share"), [
    (WHOLE, 1, UNSET, UNSET, 105.0, 0.0),
    (WHOLE, -1, UNSET, UNSET, 95.0, 0.0),
    (WHOLE, 1, 120.0, UNSET, 120.0, 0.0),
    (WHOLE, 1, UNSET, 104.0, UNSET, 0.0),
    ({"second_target_percent": 6.0}, 1, UNSET, UNSET, 106.0, 0.5),
    ({"second_target_percent": 6.0}, 1, 120.0, UNSET, 120.0, 0.0),  # partial profits are for targets given by the rule
])
def test_a_target_is_given_to_those_without(params: dict[str, Any], side: int, given: float, held: float, got: float,
                                            share: float) -> None:
    order = Opening(TakeProfit, params, entry=100.0, side=side, target=given, held_target=held).protect()
    assert order.target == pytest.approx(got)
    assert (order.partial_share, order.partial_distance) == (share, 0.03 if share else 0.0)


@pytest.mark.parametrize(("side", "stop", "goal", "allowed", "value"), [
    (1, 98.0, 104.0, 100.0, 0.0),  # 4 for 2
    (1, 98.0, 103.9, 0.0, 1.95),
    (-1, 102.0, 96.0, 100.0, 0.0),
    (-1, 102.0, 97.0, 0.0, 1.5),
    (1, UNSET, 100.1, 100.0, 0.0),
    (1, 98.0, UNSET, 100.0, 0.0),
])
def test_a_reward_that_is_too_small_is_refused(side: int, stop: float, goal: float, allowed: float,
                                               value: float) -> None:
    got, measured, limit = checked(TakeProfit, entry=100.0, side=side, stop=stop, target=goal)
    assert (got, measured) == (allowed, pytest.approx(value))
    assert limit == (0.0 if allowed else 2.0)


# --- in a run ---------------------------------------------------------------------------------------------------------


def acted(closes: list[float], rules: list[RiskRule], actions: dict[int, Any], spread: float = 0.0,
          sizing: Any = None) -> dict[str, np.ndarray]:
    """Return the tables of a run of some actions over daily closes."""
    return logs_of(composed(flat_tape(closes, spread=spread), rules, acting(actions), sizing))


@pytest.mark.parametrize("enter", [
    lambda now: buy(now, qty=10.0), lambda now: target(now, qty=10.0), lambda now: target(now, weight=0.1),
    lambda now: place_limit(now, 1, 100.0, qty=10.0),
])
def test_a_bare_entry_is_stopped_out_at_two_percent(enter: Any) -> None:
    logs = acted([100.0, 100.0, 100.0, 97.0, 97.0], [StopLoss()], {1: enter})
    assert [(row["role"], row["price"]) for row in logs["fills"]] == [(Role.ENTRY, 100.0), (Role.STOP, 98.0)]


def test_the_trail_of_the_rule_becomes_active_with_the_profit() -> None:
    # 1.5 behind the best price once 2 are won: at 105 the stop is at 103.5
    actions = {1: lambda now: buy(now, qty=10.0)}
    logs = acted([100.0, 100.0, 100.0, 101.9, 101.0, 105.0, 103.0, 103.0], [StopLoss()], actions)
    assert [(row["role"], row["price"]) for row in logs["fills"]] == [(Role.ENTRY, 100.0), (Role.TRAIL, 103.5)]
    less = acted([100.0, 100.0, 100.0, 101.9, 100.0, 99.0, 99.0], [StopLoss()], actions)
    assert less["fills"].size == 1


def test_a_short_target_flips_with_a_stop_of_its_own() -> None:
    actions = {1: lambda now: buy(now, qty=10.0), 3: lambda now: target(now, qty=-5.0)}
    logs = acted([100.0] * 6 + [103.0, 103.0], [StopLoss(**NO_TRAIL)], actions)
    assert [(row["role"], row["side"], row["price"]) for row in logs["fills"]][-1] == (Role.STOP, 1, 102.0)


def test_sizing_and_loss_limits_count_on_the_stop_that_the_rule_gives() -> None:
    actions = {1: lambda now: buy(now)}
    logs = acted([100.0] * 5, [StopLoss()], actions, sizing=RiskPerTrade())
    assert logs["fills"]["qty"].tolist() == [99.0]  # 200 / 2 = 100, of which 9,975 pay 99
    pasted = [LossLimits(max_loss_per_trade=50.0), StopLoss()]  # the stop counts though its rule comes later
    limited = acted([100.0] * 5, pasted, actions, sizing=RiskPerTrade())
    assert limited["fills"]["qty"].tolist() == [25.0]


def test_what_adds_to_a_position_leaves_its_stop_alone() -> None:
    actions = {1: lambda now: buy(now, qty=10.0), 4: lambda now: buy(now, qty=5.0)}
    logs = acted([100.0, 100.0, 100.0, 101.0, 101.0, 101.0, 97.0], [StopLoss(**NO_TRAIL)], actions)
    stops = logs["orders"][logs["orders"]["role"] == Role.STOP]
    assert stops["price"].tolist() == [98.0]
    assert logs["fills"]["qty"].tolist() == [10.0, 5.0, 15.0]


def test_a_reduction_is_left_alone() -> None:
    actions = {1: lambda now: buy(now, qty=10.0), 3: lambda now: sell(now, qty=4.0), 4: close_position}
    logs = acted([100.0] * 7, [StopLoss(), TakeProfit()], actions)
    assert logs["fills"]["qty"].tolist() == [10.0, 4.0, 6.0]
    assert logs["refusals"].size == 0


def test_a_bad_number_is_refused_before_a_rule_sees_it() -> None:
    seen: list[float] = []

    class Sees(RiskRule):
        """Note what it sees."""

        name = "sees"

        @staticmethod
        def protect(order: Any) -> None:
            """Keep the stop."""
            seen.append(order.stop)
            protect(order, 95.0)

    logs = acted([100.0] * 4, [Sees()], {1: lambda now: buy(now, qty=1.0, stop=float("nan"))})
    assert seen == []
    assert logs["refusals"]["reason"].tolist() == [Reason.NOT_A_NUMBER]


def test_half_is_closed_at_the_first_target_and_the_rest_at_the_second() -> None:
    closes = [100.0, 100.0, 100.0, 102.0, 103.5, 104.0, 106.0, 106.0]
    logs = acted(closes, [TakeProfit()], {1: lambda now: buy(now, qty=11.0)})
    assert [(row["role"], row["qty"], row["price"]) for row in logs["fills"]] == [
        (Role.ENTRY, 11.0, 100.0), (Role.EXIT, 5.0, 103.0), (Role.TARGET, 6.0, 105.0)]
    partial = logs["orders"][logs["orders"]["price"] == 103.0]
    assert (partial["kind"].tolist(), partial["reduce_only"].tolist()) == ([OrderKind.LIMIT], [1])


def test_the_first_target_of_a_short_lies_below_and_ends_with_the_position() -> None:
    actions: dict[int, Any] = {1: lambda now: sell(now, qty=10.0), 4: close_position}
    logs = acted([100.0, 100.0, 100.0, 98.0, 98.0, 98.0, 98.0], [TakeProfit()], actions)
    partial = logs["orders"][logs["orders"]["price"] == 97.0]
    assert partial["status"].tolist() == [OrderStatus.POSITION_CLOSED]
    reached = acted([100.0, 100.0, 100.0, 96.5, 96.5, 94.0], [TakeProfit(partial_profit_percent=30.0)],
                    {1: lambda now: sell(now, qty=10.0)})
    assert [(row["qty"], row["price"]) for row in reached["fills"]] == [(10.0, 100.0), (3.0, 97.0), (7.0, 95.0)]


def test_an_entry_inside_a_bar_has_its_first_target_from_the_next_bar_on() -> None:
    actions = {1: lambda now: place_limit(now, 1, 99.0, qty=10.0)}
    logs = acted([100.0, 100.0, 100.0, 100.0, 100.0], [TakeProfit(first_target_percent=1.0)], actions, spread=4.0)
    # the limit fills in bar 2, whose high of 104 is not asked for its first target at 99.99; bar 3 opens beyond it
    assert [(int(row["bar"]), row["qty"], row["price"]) for row in logs["fills"]][:2] == [
        (2, 10.0, 99.0), (3, 5.0, 100.0)]


def test_with_a_target_of_its_own_an_entry_has_no_first_target() -> None:
    actions = {1: lambda now: buy(now, qty=10.0), 3: close_position, 4: lambda now: buy(now, qty=10.0, target=120.0)}
    logs = acted([100.0] * 8, [TakeProfit()], actions)
    assert np.sum(logs["orders"]["price"] == 103.0) == 1


def test_a_pasted_pair_of_stop_and_target_passes_its_own_ratio() -> None:
    logs = acted([100.0] * 5, [StopLoss(), TakeProfit()], {1: lambda now: buy(now, qty=10.0)})
    assert logs["refusals"].size == 0
    tight = acted([100.0] * 5, [StopLoss(default_stop_loss_percent=3.0), TakeProfit()],
                  {1: lambda now: buy(now, qty=10.0)})
    assert tight["fills"].size == 0
    assert tight["refusals"]["value"][0] == pytest.approx(5.0 / 3.0)


@pytest.mark.parametrize(("actions", "rules", "closes", "targets"), [
    # the second limit, with a target of its own, comes while the first one works
    ({1: lambda now: place_limit(now, 1, 99.0, qty=10.0),
      2: lambda now: place_limit(now, 1, 90.0, qty=10.0, target=120.0)}, [], [99.0] * 3, [101.97]),
    # an entry with a target of its own is accepted, one without is refused
    ({1: lambda now: (place_limit(now, 1, 99.0, qty=10.0, target=120.0), buy(now, qty=60.0))},
     [OrderValidation(max_order_size=50.0)], [99.0] * 3, []),
    # two entries work; the first is filled and stopped out before the second is filled
    ({1: lambda now: (place_limit(now, 1, 99.0, qty=10.0, stop=98.0), place_limit(now, 1, 95.0, qty=10.0, stop=94.0))},
     [], [99.0, 99.0, 97.0, 95.0, 95.0, 95.0], [101.97, 97.85]),
])
def test_a_first_target_belongs_to_the_entry_that_it_was_given_to(actions: Any, rules: list[RiskRule],
                                                                  closes: list[float], targets: list[float]) -> None:
    logs = acted([100.0] * 4 + closes, [TakeProfit(), *rules], actions, spread=0.5)
    partials = logs["orders"][(logs["orders"]["role"] == Role.EXIT) & (logs["orders"]["kind"] == OrderKind.LIMIT)]
    assert partials["price"].tolist() == pytest.approx(targets)
