"""Trend following and supertrend, rule by rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_trend.following import Supertrend, TrendFollowing

from framework.model.enums import OrderKind, Side, Verb
from framework.testing import Decision, decide_once

STACKED = {"fast": 103.0, "middle": 102.0, "slow": 101.0, "adx": 25.1}
FALLING = {"fast": 101.0, "middle": 102.0, "slow": 103.0, "adx": 25.1}


def follow(ind: dict[str, float], qty: float = 0.0, **params: Any) -> Decision:
    """Return what trend_following wants at a close of 200."""
    return decide_once(TrendFollowing(**params), bar={"close": 200.0}, ind=ind, position={"qty": qty})


def test_averages_stacked_upwards_buy_with_a_stop_target_and_trail_in_percent() -> None:
    (intent,) = follow(STACKED)
    assert (intent.verb, intent.side, intent.kind) == (Verb.ORDER, Side.BUY, OrderKind.MARKET)
    assert intent.stop_offset == 5.0  # 2.5 % of 200
    assert intent.target_offset == 10.0  # 5 %
    assert (intent.trail, intent.trail_after) == (4.0, 4.0)  # 2 % after 2 %
    assert (intent.qty, intent.weight) == (None, None)  # the sizing rule decides


def test_averages_stacked_downwards_sell_with_the_same_distances() -> None:
    (intent,) = follow(FALLING)
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.SELL, 5.0, 10.0)
    assert follow(FALLING, shorts=False) == ()


@pytest.mark.parametrize("ind", [
    {"adx": 25.0},  # not above
    {"adx": np.nan},
    {"middle": 103.0},  # equal is not stacked
    {"middle": 100.0},  # below the slow one
    {"slow": np.nan},
])
def test_no_trend_no_entry(ind: dict[str, float]) -> None:
    assert follow({**STACKED, **ind}) == ()


def test_a_position_is_left_to_its_stop_and_target_and_a_working_entry_is_not_doubled() -> None:
    assert follow(STACKED, qty=5.0) == ()
    assert follow(FALLING, qty=5.0) == ()
    assert decide_once(TrendFollowing, bar={"close": 200.0}, ind=STACKED, position={"pending": 5.0}) == ()


def turn(now: float, before: float, qty: float = 0.0, **params: Any) -> Decision:
    """Return what supertrend wants where the direction goes from `before` to `now`, the line being at 95."""
    return decide_once(Supertrend(**params), bar={"close": 100.0}, position={"qty": qty},
                       ind={"line": 95.0, "direction": now}, prev={"line": 104.0, "direction": before})


def test_a_turn_upwards_buys_with_the_line_as_stop_from_flat_and_from_short() -> None:
    for qty in (0.0, -3.0):
        (intent,) = turn(1.0, -1.0, qty)
        assert (intent.verb, intent.side, intent.stop) == (Verb.ORDER, Side.BUY, 95.0)
    assert turn(1.0, -1.0, 3.0) == ()


def test_a_turn_downwards_sells_or_only_closes() -> None:
    for qty in (0.0, 3.0):
        (intent,) = turn(-1.0, 1.0, qty)
        assert (intent.verb, intent.side) == (Verb.ORDER, Side.SELL)
    assert [intent.verb for intent in turn(-1.0, 1.0, 3.0, shorts=False)] == [Verb.CLOSE]
    assert turn(-1.0, 1.0, 0.0, shorts=False) == ()


@pytest.mark.parametrize("directions", [(1.0, 1.0), (-1.0, -1.0), (1.0, np.nan), (-1.0, np.nan)])
def test_between_turns_there_is_no_view(directions: tuple[float, float]) -> None:
    for qty in (0.0, 3.0, -3.0):
        assert turn(*directions, qty) == ()
