"""The router: regimes, confidence, whom it asks, and who says when to leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_router import register_strategies
from framework_strategy_router.strategy import MIXED, RANGING, TRENDING, Router, confidence_of, regime_of

from framework import Strategy
from framework.indicators import Bars
from framework.model.enums import Side, Verb
from framework.testing import Decision, check_plugin, decide_once

QUIET = {"atr": 2.0, "upper": 110.0, "band": 100.0, "lower": 90.0, "fast": 100.0, "middle": 100.0, "slow": 100.0,
         "rsi": 50.0, "histogram": 0.0, "width_rank": 30.0}
TREND = {**QUIET, "adx": 30.0, "r2": 0.8, "fast": 103.0, "middle": 102.0, "slow": 101.0}
RANGE = {**QUIET, "adx": 15.0, "r2": 0.2}
MIX = {**QUIET, "adx": 22.0, "r2": 0.6, "rsi": 70.0, "histogram": 0.5}
TOUCH = {"low": 90.0, "high": 99.0, "close": 95.0}
"""A bar that touches the lower band."""


class Tells(Strategy):
    """Keep the regime and its confidence."""

    name = "tells"
    state = {"regime": -1, "confidence": 0.0}  # noqa: RUF012 - a contract of the class
    trend_adx, trend_r2, range_adx, range_r2, narrow_rank = (
        Router.params()[name] for name in ("trend_adx", "trend_r2", "range_adx", "range_r2", "narrow_rank"))
    indicators = Router.indicators

    length = Router.params()["length"]

    @staticmethod
    def decide(now: Any) -> None:
        """Ask the router's helpers."""
        now.state.regime = regime_of(now)
        now.state.confidence = confidence_of(now, now.state.regime)


def told(**ind: float) -> tuple[int, float]:
    """Return the regime and its confidence."""
    state = decide_once(Tells, ind={**QUIET, **ind}).state
    return state.regime, state.confidence


def routed(ind: dict[str, float], bar: dict[str, float] = TOUCH, qty: float = 0.0, member: int = 0,
           **params: Any) -> Decision:
    """Return what the router wants."""
    return decide_once(Router(**params), ind=ind, bar=bar, position={"qty": qty}, state={"member": member})


@pytest.mark.parametrize(("ind", "regime"), [
    ({"adx": 25.1, "r2": 0.71}, TRENDING), ({"adx": 25.0, "r2": 0.71}, MIXED), ({"adx": 25.1, "r2": 0.7}, MIXED),
    ({"adx": 19.9, "r2": 0.49}, RANGING), ({"adx": 20.0, "r2": 0.49}, MIXED), ({"adx": 19.9, "r2": 0.5}, MIXED),
    ({"adx": 19.9, "r2": 0.49, "width_rank": 50.0}, RANGING), ({"adx": 19.9, "r2": 0.49, "width_rank": 50.1}, MIXED),
    ({"adx": np.nan, "r2": 0.9}, MIXED),
])  # fmt: skip
def test_the_bounds_of_the_regimes(ind: dict[str, float], regime: int) -> None:
    assert told(**ind)[0] == regime


@pytest.mark.parametrize(("ind", "confidence"), [
    ({"adx": 30.0, "r2": 0.8}, 0.7),  # (30 / 50 + 0.8) / 2
    ({"adx": 60.0, "r2": 0.8}, 0.9),  # (1 + 0.8) / 2
    ({"adx": 10.0, "r2": 0.4}, 0.7),  # (1 - 10 / 50 + 1 - 0.4) / 2
    ({"adx": 20.0, "r2": 0.6, "rsi": 38.0}, 0.7),  # (12 / 20 + 20 / 25) / 2
    ({"adx": 30.0, "r2": 0.6, "rsi": 75.0}, 1.0),
])  # fmt: skip
def test_confidence_is_the_mean_of_what_speaks_for_the_regime(ind: dict[str, float], confidence: float) -> None:
    assert told(**ind)[1] == pytest.approx(confidence)


def test_a_trending_market_is_followed_to_either_side() -> None:
    wanted = routed(TREND)
    (intent,) = wanted
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.BUY, 4.0, 10.0)  # 2 and 5 ATRs of 2
    assert wanted.state.member == TRENDING
    falling = {**TREND, "fast": 99.0, "middle": 100.0, "slow": 101.0}
    assert [intent.side for intent in routed(falling)] == [Side.SELL]
    assert routed(falling, shorts=False) == ()
    assert routed({**TREND, "slow": 103.0}) == ()  # not stacked; the touched band is not asked


def test_a_ranging_market_is_faded() -> None:
    wanted = routed(RANGE)
    (intent,) = wanted
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.BUY, 4.0, 6.0)
    assert wanted.state.member == RANGING
    assert [intent.side for intent in routed(RANGE, {"low": 101.0, "high": 110.0, "close": 105.0})] == [Side.SELL]
    assert routed(RANGE, {"low": 90.1, "high": 109.9, "close": 95.0}) == ()
    assert routed({**RANGE, "rsi": 70.0, "histogram": 0.5}, {"low": 95.0, "high": 99.0, "close": 97.0}) == ()


def test_a_mixed_market_is_traded_by_momentum() -> None:
    wanted = routed(MIX)
    (intent,) = wanted
    assert (intent.side, intent.target_offset, wanted.state.member) == (Side.BUY, 6.0, MIXED)
    assert [intent.side for intent in routed({**MIX, "rsi": 30.0, "histogram": -0.5})] == [Side.SELL]
    assert routed({**MIX, "histogram": -0.5}) == ()


@pytest.mark.parametrize(("confidence", "count"), [(0.7, 1), (0.71, 0)])
def test_an_unclear_regime_is_not_traded(confidence: float, count: int) -> None:
    assert len(routed(TREND, confidence_from=confidence)) == count


def test_the_member_that_entered_says_when_to_leave() -> None:
    def leaves(member: int, qty: float, **ind: float) -> bool:
        wanted = routed({**RANGE, **ind}, {"low": 90.0, "high": 110.0, "close": 100.0}, qty, member)
        assert [intent.verb for intent in wanted] in ([], [Verb.CLOSE])
        return len(wanted) == 1

    assert leaves(TRENDING, 5.0, fast=99.0)  # below the middle EMA
    assert not leaves(TRENDING, 5.0, fast=101.0)
    assert leaves(TRENDING, -5.0, fast=101.0)
    assert leaves(RANGING, 5.0)  # back at the band
    assert not leaves(RANGING, 5.0, band=100.1)
    assert not leaves(RANGING, -5.0, band=99.9)
    assert leaves(MIXED, 5.0, histogram=-0.1)
    assert not leaves(MIXED, 5.0, histogram=0.1, fast=99.0)
    assert leaves(MIXED, -5.0, histogram=0.1)


def test_a_position_or_a_working_order_is_not_doubled() -> None:
    assert routed(TREND, qty=5.0, member=TRENDING) == ()
    assert decide_once(Router, ind=TREND, bar=TOUCH, position={"pending": 5.0}) == ()


def test_it_looks_at_the_lengths_that_its_rules_name() -> None:
    read = {name: repr(x) for name, x in Router().indicators(Bars()).items()}
    assert [read[name] for name in ("fast", "middle", "slow")] == ["ema(close, 9)", "ema(close, 21)", "ema(close, 50)"]
    assert [read[name] for name in ("adx", "r2", "rsi", "atr")] == [
        "adx(bars, 14).adx", "linreg(close, 20).r2", "rsi(close, 14)", "atr(bars, 14)"]
    assert read["histogram"] == "macd(close, 12, 26, 9).histogram"
    assert [read[name] for name in ("upper", "band", "lower")] == [
        f"bollinger(close, 20, 2).{band}" for band in ("upper", "middle", "lower")]


def test_the_package_registers_it() -> None:
    assert register_strategies() == [Router]


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(Router)
    assert report.passed, str(report)
