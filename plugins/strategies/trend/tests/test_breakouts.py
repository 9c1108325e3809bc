"""Range breakout and quick flip, rule by rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_trend.breakouts import QuickFlip, RangeBreakout

from framework.data import BarSeries, build_tape
from framework.indicators import Bars, evaluate
from framework.model.enums import Side, Verb
from framework.model.instrument import Instrument
from framework.testing import Decision, decide_once

DAY = 86_400_000_000_000

ABOVE = {"close": 111.0, "top": 110.0, "bottom": 90.0, "atr": 4.0, "atr_before": 4.0, "mean_volume": 100.0,
         "trend": 100.0, "adx": 30.0}
BELOW = {**ABOVE, "close": 89.0, "trend": 100.0}
INSIDE = {"close": 100.0, "top": 110.0, "bottom": 90.0}


def breakout(ind: dict[str, float], prev: dict[str, float] = INSIDE, volume: float = 100.0, qty: float = 0.0,
             **params: Any) -> Decision:
    """Return what range_breakout wants."""
    return decide_once(RangeBreakout(**params), bar={"volume": volume}, ind=ind, prev=prev, position={"qty": qty})


def test_a_close_across_the_high_of_the_range_buys_with_a_stop_of_1_and_a_target_of_2_atrs() -> None:
    (intent,) = breakout(ABOVE)
    assert (intent.verb, intent.side) == (Verb.ORDER, Side.BUY)
    assert (intent.stop_offset, intent.target_offset) == (4.0, 8.0)
    assert (intent.trail, intent.trail_after) == (4.0, 4.0)
    (intent,) = breakout(ABOVE, trail_atr=0.0)
    assert (intent.trail, intent.trail_after) == (None, None)


def test_it_must_cross_and_a_touch_does_not() -> None:
    assert breakout(ABOVE, {**INSIDE, "close": 110.5}) == ()  # was above already
    assert breakout({**ABOVE, "close": 110.0}) == ()
    assert len(breakout(ABOVE, {**INSIDE, "close": 110.0})) == 1
    assert breakout(ABOVE, qty=5.0) == ()


def test_volatility_must_exceed_nine_tenths_of_what_it_was_four_bars_ago() -> None:
    assert breakout({**ABOVE, "atr_before": 4.0 / 0.9}) == ()  # 4 > 0.9 * 4.444... = 4 is false
    assert len(breakout({**ABOVE, "atr_before": 4.4})) == 1  # 0.9 * 4.4 = 3.96


def test_shorts_are_an_option() -> None:
    assert breakout(BELOW) == ()
    (intent,) = breakout(BELOW, shorts=True)
    assert (intent.side, intent.stop_offset) == (Side.SELL, 4.0)


@pytest.mark.parametrize(("option", "ind", "volume"), [
    ("use_volume", {}, 80.0),  # not above 0.8 * 100
    ("use_trend", {"trend": 111.0}, 100.0),
    ("use_adx", {"adx": 20.0}, 100.0),
])  # fmt: skip
def test_volume_trend_and_adx_are_options(option: str, ind: dict[str, float], volume: float) -> None:
    assert len(breakout({**ABOVE, **ind}, volume=volume)) == 1
    assert breakout({**ABOVE, **ind}, volume=volume, **{option: True}) == ()
    assert len(breakout(ABOVE, volume=81.0, **{option: True})) == 1


def test_a_short_asks_for_a_close_below_the_trend() -> None:
    assert len(breakout(BELOW, shorts=True, use_trend=True)) == 1
    assert breakout({**BELOW, "trend": 88.0}, shorts=True, use_trend=True) == ()


def test_the_range_is_that_of_the_bars_before() -> None:
    high = np.full(40, 110.0)
    high[30] = 130.0
    flat = np.full(40, 100.0)
    time = np.arange(40, dtype=np.int64) * DAY
    tape = build_tape([BarSeries(Instrument("A"), "1d", time, time + DAY, flat, high, flat - 5.0, flat, flat)])
    seen = {name: evaluate(x, tape, 0) for name, x in RangeBreakout(length=5).indicators(Bars()).items()}
    top = seen["top"]
    assert top[29:37].tolist() == [110.0, 110.0, 130.0, 130.0, 130.0, 130.0, 130.0, 110.0]  # from bar 31, for five
    assert seen["atr_before"][24:].tolist() == seen["atr"][20:-4].tolist()  # four bars ago
    assert seen["atr"][30] > seen["atr"][29]


# --- quick flip -------------------------------------------------------------------------------------------------------

RANGE = {"top": 110.0, "bottom": 90.0, "atr": 4.0}


def candle(opened: float, high: float, low: float, close: float, before: float = 0.0, qty: float = 0.0,
           bars_held: int = 0, **params: Any) -> Decision:
    """Return what quick_flip wants after a candle whose predecessor had the body `before`."""
    return decide_once(QuickFlip(**params), bar={"open": opened, "high": high, "low": low, "close": close},
                       ind={**RANGE, "body": close - opened}, prev={**RANGE, "body": before},
                       position={"qty": qty, "bars_held": bars_held})


def test_a_strong_candle_out_of_the_range_is_joined_with_its_far_end_as_stop() -> None:
    (intent,) = candle(106.0, 112.0, 105.0, 111.0)  # body 5 of 7
    assert (intent.side, intent.stop, intent.target_offset) == (Side.BUY, 105.0 - 0.1 * 4.0, 6.0)  # 1.5 ATRs
    (intent,) = candle(94.0, 95.0, 88.0, 89.0)
    assert (intent.side, intent.stop, intent.target_offset) == (Side.SELL, 95.0 + 0.1 * 4.0, 6.0)
    assert candle(94.0, 95.0, 88.0, 89.0, shorts=False) == ()


@pytest.mark.parametrize("prices", [
    (108.0, 114.0, 108.0, 111.0),  # body 3 of 6 is not more than half
    (106.0, 112.0, 105.0, 110.0),  # closes at the range
    (112.0, 116.0, 110.5, 111.0),  # outside, but a falling candle
])
def test_no_breakout_with_half_a_body_at_the_edge_or_against_its_candle(prices: tuple[float, ...]) -> None:
    assert candle(*prices) == ()


def test_a_turn_of_candles_in_the_outer_30_percent_of_the_range_is_joined() -> None:
    (intent,) = candle(96.0, 100.0, 95.9, 97.0, before=-2.0)  # low below 90 + 0.3 * 20 = 96
    assert (intent.side, intent.stop) == (Side.BUY, 95.9 - 0.4)
    (intent,) = candle(104.0, 104.1, 100.0, 103.0, before=2.0)  # high above 104
    assert (intent.side, intent.stop) == (Side.SELL, 104.1 + 0.4)


@pytest.mark.parametrize(("prices", "before"), [
    ((97.0, 100.0, 96.1, 98.0), -2.0),  # above the zone
    ((96.0, 100.0, 95.0, 97.0), 2.0),  # nothing turns
    ((88.0, 90.0, 86.0, 89.5), -2.0),  # closes below the range
    ((103.0, 103.9, 100.0, 102.0), 2.0),  # below the upper zone
    ((112.0, 114.0, 110.1, 111.5), 2.0),  # closes above the range
])
def test_no_turn_outside_the_zone_or_after_a_candle_of_the_same_colour(prices: tuple[float, ...],
                                                                      before: float) -> None:
    assert candle(*prices, before=before) == ()


def test_a_position_is_closed_after_ten_bars_and_never_doubled() -> None:
    assert candle(106.0, 112.0, 105.0, 111.0, qty=5.0, bars_held=9) == ()
    assert [intent.verb for intent in candle(106.0, 112.0, 105.0, 111.0, qty=-5.0, bars_held=10)] == [Verb.CLOSE]
