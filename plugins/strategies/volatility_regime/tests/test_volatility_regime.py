"""The flagship, rule by rule: what each of its conditions lets through and what it stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_volatility_regime import register_strategies
from framework_strategy_volatility_regime.strategy import VolatilityRegime

from framework import ConfigError
from framework.data import BarSeries, build_tape
from framework.indicators import Bars, evaluate
from framework.model.enums import OrderKind, Side, Verb
from framework.model.instrument import Instrument
from framework.testing import Decision, check_plugin, decide_once

DAY = 86_400_000_000_000

ENTRY = {"close": 101.0, "fast": 99.0, "slow": 98.0, "adx": 30.1, "atr": 2.0, "regime": 1.0, "level": 100.0}
"""A bar at which every condition of the entry holds, the bar before being below its level."""

BEFORE = {**ENTRY, "close": 99.0}


def flat(before: dict[str, float] = {}, **ind: float) -> Decision:  # noqa: B006 - never written
    """Return the decision while flat, at the entry bar changed by `ind`, after the bar `BEFORE` changed by `before`."""
    return decide_once(VolatilityRegime, ind={**ENTRY, **ind}, prev={**BEFORE, **before})


def held(pnl: float, **ind: float) -> Decision:
    """Return the decision while ten are held, bought at 100."""
    return decide_once(VolatilityRegime, position={"qty": 10.0, "entry_price": 100.0, "pnl": pnl},
                       ind={**ENTRY, **ind}, prev=BEFORE)


# --- entry ------------------------------------------------------------------------------------------------------------


def test_the_entry_buys_with_stop_target_and_trail_in_atrs_of_its_bar() -> None:
    (intent,) = flat()
    assert (intent.verb, intent.side, intent.kind) == (Verb.ORDER, Side.BUY, OrderKind.MARKET)
    assert (intent.qty, intent.weight) == (None, None)  # the sizing rule decides
    assert intent.stop_offset == 5.0  # 2.5 * 2
    assert intent.target_offset == 10.0  # 5 * 2
    assert (intent.trail, intent.trail_after) == (3.0, 1.0)  # 1.5 * 2 after 0.5 * 2


@pytest.mark.parametrize("ind", [
    {"regime": 1.5},  # Expansion
    {"regime": 2.6},  # Extreme
    {"regime": np.nan},
    {"fast": 98.0},  # equal is not above
    {"adx": 30.0},
    {"close": 100.0},  # touches the level only
    {"level": np.nan},
])
def test_no_entry_when_one_condition_fails(ind: dict[str, float]) -> None:
    assert flat(**ind) == ()


@pytest.mark.parametrize("regime", [0.3, 0.6, 1.49])
def test_compression_and_normal_both_allow_it(regime: float) -> None:
    assert len(flat(regime=regime)) == 1


def test_the_close_must_cross_the_level_of_each_bar() -> None:
    assert flat({"close": 100.5}) == ()  # was above already
    assert len(flat({"close": 100.0})) == 1  # was at its level
    assert len(flat({"close": 100.5, "level": 100.5})) == 1  # each bar has its own level


def test_nothing_is_added_to_a_position_or_to_a_working_order() -> None:
    assert held(0.0) == ()
    assert decide_once(VolatilityRegime, position={"pending": 10.0}, ind=ENTRY, prev=BEFORE) == ()


# --- exit -------------------------------------------------------------------------------------------------------------


def test_an_extreme_regime_closes_a_winner_and_a_loser() -> None:
    for pnl in (50.0, -50.0):
        (intent,) = held(pnl, regime=2.5)
        assert intent.verb == Verb.CLOSE
        assert held(pnl, regime=2.49) == ()


def test_a_profit_below_the_slow_average_is_taken_and_a_loss_waits_for_its_stop() -> None:
    (intent,) = held(1.0, close=97.9)
    assert intent.verb == Verb.CLOSE
    assert held(1.0, close=98.0) == ()  # equal is not below
    assert held(0.0, close=97.0) == ()
    assert held(-1.0, close=97.0) == ()


# --- indicators -------------------------------------------------------------------------------------------------------


def test_the_level_is_that_of_the_bars_before_this_one() -> None:
    high = np.full(60, 110.0)
    high[40] = 130.0
    close = np.full(60, 100.0)
    time = np.arange(60, dtype=np.int64) * DAY
    tape = build_tape([BarSeries(Instrument("A"), "1d", time, time + DAY, close, high, close - 5.0, close, close)])
    strategy = VolatilityRegime(atr_period=2, breakout_bars=5, breakout_atr=1.0)
    columns = {name: evaluate(x, tape, 0) for name, x in strategy.indicators(Bars()).items()}
    level, atr = columns["level"], columns["atr"]
    # true range 15 before bar 40, where it is 35: Wilder (15 + 35) / 2 = 25, then (25 + 15) / 2 = 20
    assert atr[39:42].tolist() == [15.0, 25.0, 20.0]
    assert level[39:42].tolist() == [110.0 - 15.0, 110.0 - 25.0, 130.0 - 20.0]  # bar 40 counts from 41 on
    assert level[45] > 110.0 > level[46]  # and for five bars


def test_the_regime_is_the_atr_over_its_mean() -> None:
    close = 100.0 + np.arange(60.0)
    time = np.arange(60, dtype=np.int64) * DAY
    tape = build_tape([BarSeries(Instrument("A"), "1d", time, time + DAY, close, close + 1, close - 1, close, close)])
    column = evaluate(VolatilityRegime().indicators(Bars())["regime"], tape, 0)
    assert np.isnan(column[:33]).all()  # 14 bars for the ATR, 19 more for its mean
    assert column[33:].tolist() == [1.0] * 27  # the same range for ever


def test_the_defaults_are_the_seed_s() -> None:
    assert VolatilityRegime().values() == {
        "fast": 8, "slow": 21, "adx_period": 14, "adx_above": 30.0, "atr_period": 14, "regime_window": 20,
        "normal_below": 1.5, "extreme_from": 2.5, "breakout_bars": 20, "breakout_atr": 1.5, "stop_atr": 2.5,
        "target_atr": 5.0, "trail_atr": 1.5, "trail_after_atr": 0.5,
    }  # fmt: skip


def test_parameters_are_bounded() -> None:
    for params in ({"fast": 1}, {"adx_above": 101.0}, {"stop_atr": 0.0}, {"target_atr": "far"}):
        with pytest.raises(ConfigError):
            VolatilityRegime(**params)


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(VolatilityRegime)
    assert report.passed, str(report)


def test_it_pairs_with_sizing_by_regime() -> None:
    from framework.backtest.compose import Plan, compose
    from framework.rules import Regime
    from framework.testing import synthetic_market

    tape = synthetic_market(600)
    for preset in ("seed", "percentile"):
        simulation: Any = compose(tape, [Plan(VolatilityRegime())], Regime(preset=preset), interpreted=True)
        simulation.advance(simulation.events)
        fills = simulation.state.fills[: simulation.state.account["fills"][0]]
        assert fills.size > 0


def test_the_package_registers_it() -> None:
    assert register_strategies() == [VolatilityRegime]
