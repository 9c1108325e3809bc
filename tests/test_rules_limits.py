"""Rules that look at one opening: the number at which each bites, and what it lets through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from framework import ConfigError
from framework.backtest.compose import Terms
from framework.indicators import Bars, atr
from framework.model.enums import Reason
from framework.model.instrument import Instrument
from framework.model.records import UNSET
from framework.rules import (
    Alerts,
    Correlation,
    Leverage,
    LossLimits,
    LossStreak,
    OrderValidation,
    PortfolioHeat,
    PositionLimits,
    Volatility,
)
from framework.slippage import Param, SlippageModel
from framework.strategy import BUY, SELL, buy, place_limit, sell
from tests.rule_cases import Opening, Script, acting, checked, composed, flat_tape, logs_of, run_of

REFUSED = 0.0


# --- order_validation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "allowed", "value", "limit"), [
    ({"qty": 1.0}, 1.0, 0.0, 0.0),  # exactly the least size passes
    ({"qty": 0.99}, REFUSED, 0.99, 1.0),
    ({"qty": 1_000.0}, 1_000.0, 0.0, 0.0),
    ({"qty": 1_000.5}, REFUSED, 1_000.5, 1_000.0),
    ({"qty": 100.0, "entry": 100.0, "reference": 100.0}, 100.0, 0.0, 0.0),  # 100 * 100 = 10,000
    ({"qty": 101.0, "entry": 100.0, "reference": 100.0}, REFUSED, 10_100.0, 10_000.0),
    ({"qty": 600.0, "multiplier": 2.0}, REFUSED, 12_000.0, 10_000.0),  # 600 * 10 * 2
    ({"entry": 0.01, "reference": 0.01}, 100.0, 0.0, 0.0),
    ({"entry": 0.009, "reference": 0.009}, REFUSED, 0.009, 0.01),
    ({"qty": 1.0, "entry": 10_000.0, "reference": 10_000.0}, 1.0, 0.0, 0.0),
    ({"qty": 1.0, "entry": 10_001.0, "reference": 10_001.0}, REFUSED, 10_001.0, 10_000.0),
    ({"entry": 10.05}, 100.0, 0.0, 0.0),  # 0.05 of 10 is half a percent
    ({"entry": 10.06}, REFUSED, 0.6, 0.5),
    ({"entry": 9.94, "side": -1}, REFUSED, 0.6, 0.5),  # a sale below its reference costs as well
    ({"entry": 9.9}, 100.0, 0.0, 0.0),  # and a purchase below it does not
])
def test_order_validation_refuses_outside_of_its_limits(fields: dict[str, float], allowed: float, value: float,
                                                        limit: float) -> None:
    got, measured, recorded = checked(OrderValidation, **fields)
    assert (got, recorded) == (allowed, limit)
    assert measured == pytest.approx(value)


def test_the_slippage_of_an_order_is_what_the_model_expects_at_the_decision() -> None:
    class Tenth(SlippageModel):
        """A share of the reference."""

        name = "tenth"
        share = Param(0.006, low=0.0, high=1.0)

        @staticmethod
        def price(fill: Any) -> float:
            """Return the price with its cost."""
            return fill.reference * (1.0 + math.copysign(fill.p.share, fill.qty))  # type: ignore[no-any-return]

    for share, fills in ((0.005, 1), (0.006, 0)):
        logs = logs_of(composed(flat_tape([100.0] * 5), [OrderValidation()], Script(), slippage=Tenth(share=share)))
        assert logs["fills"].size == fills
    (refusal,) = logs["refusals"]
    assert refusal["reason"] == Reason.RULE
    assert (refusal["value"], refusal["limit"]) == (pytest.approx(0.6), 0.5)


# --- leverage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "fields", "allowed", "value"), [
    ({}, {"exposure": 9_000.0}, 100.0, 0.0),  # 9,000 + 1,000 = equity
    ({}, {"exposure": 9_400.0}, 60.0, 10_400.0),
    ({}, {"exposure": 9_000.0, "working_notional": 400.0}, 60.0, 10_400.0),  # working openings count
    ({}, {"exposure": 10_000.0}, REFUSED, 11_000.0),
    ({}, {"exposure": 10_000.0, "symbol_qty": -60.0}, 60.0, 10_400.0),  # 60 of 100 cover a short
    ({"max_leverage": 0.5}, {"exposure": 4_500.0}, 50.0, 5_500.0),
    ({"allow_leverage": True, "max_leverage": 2.0, "min_margin_percent": 50.0}, {"exposure": 19_400.0}, 60.0, 20_400.0),
    ({"allow_leverage": True, "max_leverage": 1.0, "min_margin_percent": 100.0}, {"exposure": 9_400.0}, 60.0, 10_400.0),
])
def test_leverage_caps_exposure_over_equity(params: dict[str, Any], fields: dict[str, float], allowed: float,
                                            value: float) -> None:
    got, measured, _ = checked(Leverage, params, **fields)
    assert (got, measured) == (pytest.approx(allowed), pytest.approx(value))


@pytest.mark.parametrize(("params", "told"), [
    ({"max_leverage": 2.0}, "max_leverage = 2.0 needs allow_leverage = true"),
    ({"allow_leverage": True, "max_leverage": 2.0}, r"max_leverage = 2.0 needs min_margin_percent <= 50, not 100.0"),
    ({"min_margin_percent": 20.0}, "is below maintenance_percent = 25.0"),
    ({"min_margin_percent": 0.5}, "it is in percent: 25 means 25 %"),
])
def test_keys_of_leverage_may_not_contradict_each_other(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Leverage(**params)


# --- loss_limits: the trade and the drawdown --------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "allowed", "value"), [
    ({"stop": 5.0}, 100.0, 0.0),  # 100 * 5 = 500
    ({"stop": 4.0}, 500.0 / 6.0, 600.0),
    ({"stop": 16.0, "side": -1}, 500.0 / 6.0, 600.0),
    ({"stop": 5.0, "multiplier": 2.0}, 50.0, 1_000.0),
    ({"stop": 9.0, "slot_heat": 450.0}, 50.0, 550.0),  # the trade has 450 at risk already
    ({"stop": 9.0, "slot_heat": 500.0}, REFUSED, 600.0),
    ({}, 50.0, 1_000.0),  # without a stop all of it may go: 50 * 10
])
def test_a_trade_loses_no_more_than_its_limit_at_the_stop(fields: dict[str, float], allowed: float,
                                                          value: float) -> None:
    got, measured, _ = checked(LossLimits, **fields)
    assert (got, measured) == (pytest.approx(allowed), pytest.approx(value))


@pytest.mark.parametrize(("equity", "allowed"), [(9_010.0, 100.0), (9_000.0, 50.0), (8_000.0, 50.0)])
def test_openings_shrink_from_a_drawdown_on(equity: float, allowed: float) -> None:
    got, value, limit = checked(LossLimits, equity=equity, stop=9.0)
    assert got == allowed
    if got < 100.0:
        assert (value, limit) == (pytest.approx(100.0 - equity / 100.0), 10.0)
    assert checked(LossLimits, {"drawdown_reduction": 0.2}, equity=9_000.0, stop=9.0)[0] == pytest.approx(20.0)


# --- loss_streak ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("streak", "allowed"), [(0, 100.0), (2, 100.0), (3, 75.0), (9, 75.0)])
def test_size_shrinks_from_the_third_loss_in_a_row_on(streak: int, allowed: float) -> None:
    got, value, limit = checked(LossStreak, losing_streak=streak)
    assert got == allowed
    assert (value, limit) == ((float(streak), 3.0) if streak >= 3 else (0.0, 0.0))
    assert checked(LossStreak, {"consecutive_loss_limit": 10, "multiplier": 0.5}, losing_streak=9)[0] == 100.0


# --- volatility -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "current", "allowed", "limit"), [
    ({}, 1.0, 100.0, 0.0),
    ({}, 2.0, 100.0, 0.0),
    ({}, 4.0, 50.0, 2.0),  # 2 / 4
    ({}, 5.0, 40.0, 2.0),
    ({}, 5.01, REFUSED, 5.0),
    ({}, math.nan, REFUSED, 5.0),  # what is not known does not permit
    ({"enable_volatility_scaling": False}, 4.0, 100.0, 0.0),
    ({"reduce_on_high_volatility": False}, 4.0, 100.0, 0.0),
    ({"reduce_on_high_volatility": False}, 5.01, REFUSED, 5.0),
    ({"base_volatility_percent": 1.0}, 4.0, 25.0, 1.0),
    ({"max_atr_percent": 3.0}, 4.0, REFUSED, 3.0),
])
def test_volatility_shrinks_and_refuses(params: dict[str, Any], current: float, allowed: float, limit: float) -> None:
    got, _, recorded = checked(Volatility, params, atr_percent=current)
    assert (got, recorded) == (pytest.approx(allowed), limit)


def test_volatility_is_the_average_true_range_over_the_close() -> None:
    bars = Bars()
    assert Volatility(atr_period=7).indicators(bars) == {"atr_percent": 100.0 * atr(bars, 7) / bars.close}
    # every bar ranges over 4 around 100: 4 %, twice the base; 14 bars make the first average
    tape = flat_tape([100.0] * 30, spread=2.0)
    logs = logs_of(composed(tape, [Volatility()], Script(enter=20)))
    assert logs["fills"]["qty"].tolist() == [5.0]
    assert logs["refusals"]["value"][0] == pytest.approx(4.0)
    early = logs_of(composed(tape, [Volatility()], Script(enter=10)))
    assert early["fills"].size == 0
    assert early["refusals"]["allowed"].tolist() == [0.0]


# --- correlation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alike", "allowed"), [(-1.0, 100.0), (0.7, 100.0), (0.71, REFUSED)])
def test_correlation_refuses_what_moves_alike(alike: float, allowed: float) -> None:
    assert checked(Correlation, correlation=alike)[0] == allowed
    assert checked(Correlation, {"enforce_correlation_check": False}, correlation=alike)[0] == 100.0
    assert Correlation(enforce_correlation_check=False).correlation_days == 0


def two_symbols(seed: int, mix: float, days: int = 60) -> tuple[list[float], list[float]]:
    """Return the closes of two symbols whose returns share a part."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(0.0, 0.01, (2, days))
    one = 100.0 * np.cumprod(1.0 + common)
    return one.tolist(), (100.0 * np.cumprod(1.0 + mix * common + (1.0 - abs(mix)) * own)).tolist()


def pair(one: list[float], other: list[float]) -> Any:
    """Return a tape of two symbols."""
    from framework.data import build_tape

    tapes = [flat_tape(closes, (name,)) for closes, name in ((one, "A"), (other, "B"))]
    from framework.data import BarSeries

    series = [BarSeries(t.instruments[0], "1d", t.open_time, t.close_time, t.open, t.high, t.low, t.close, t.volume)
              for t in tapes]  # fmt: skip
    return build_tape(series)


@pytest.mark.parametrize("mix", [0.95, 0.8, 0.5, 0.0, -0.9])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("days", [30, 12])
def test_correlation_is_numpys_over_the_days_looked_back_on(mix: float, side: int, days: int) -> None:
    """A opens at bar 40 and B at bar 45; what B is measured by is what numpy says of the 30 returns before."""
    from framework.backtest.compose import Plan, Terms, compose
    from framework.rules import PercentOfEquity

    one, other = two_symbols(7, mix)
    plans = [Plan(Script(enter=40, qty=5.0), ("A",)), Plan(Script(enter=45, qty=5.0, side=side), ("B",))]
    rule = Correlation(max_position_correlation=-1.0, correlation_lookback_days=days)
    simulation = compose(pair(one, other), plans, PercentOfEquity(), [rule], terms=Terms(capital=1e6), interpreted=True)
    logs = logs_of(simulation)
    returns = [np.diff(np.array(closes[45 - days:46])) / np.array(closes[45 - days:45]) for closes in (one, other)]
    expected = side * np.corrcoef(*returns)[0, 1]
    (refusal,) = logs["refusals"]
    assert refusal["symbol"] == 1
    assert refusal["value"] == pytest.approx(expected, abs=1e-9)
    assert refusal["limit"] == -1.0


def test_with_few_days_in_common_symbols_count_as_alike_and_alone_nothing_does() -> None:
    logs = run_of([100.0, 101.0] * 6, [Correlation()], symbols=("A", "B"), enter=5)
    assert logs["fills"]["symbol"].tolist() == [0]
    assert logs["refusals"]["value"].tolist() == [1.0]


def test_a_position_that_is_wholly_on_its_way_out_is_none_to_be_alike_with() -> None:
    from framework import buy, close_position
    from framework.backtest.compose import Plan, Terms, compose
    from framework.data import BarSeries, build_tape
    from framework.rules import PercentOfEquity
    from tests.rule_cases import acting

    # A is held by two strategies, 0.1 and 0.5: 6 lots of 0.1 are a shade more than 0.1 + 0.5, which is on its way out
    assert 0.1 + 0.5 < 6 * 0.1
    t = flat_tape([100.0] * 8)
    series = [BarSeries(Instrument(symbol, lot=0.1), "1d", t.open_time, t.close_time, t.open, t.high, t.low, t.close,
                        t.volume) for symbol in ("A", "B")]  # fmt: skip
    plans = [Plan(acting({1: lambda now, qty=qty: buy(now, qty=qty), 4: close_position}), ("A",)) for qty in (0.1, 0.5)]
    plans.append(Plan(acting(dict.fromkeys((3, 4), lambda now: buy(now, qty=5.0))), ("B",)))
    logs = logs_of(compose(build_tape(series), plans, PercentOfEquity(), [Correlation()], terms=Terms(capital=1e4),
                           interpreted=True))  # fmt: skip
    assert [(row["symbol"], row["value"]) for row in logs["refusals"]] == [(1, 1.0)]  # on bar 3, while A was held
    assert logs["fills"]["symbol"].tolist().count(1) == 1


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_let_everything_through() -> None:
    assert checked(Alerts, qty=1e12)[0] == 1e12


@pytest.mark.parametrize(("threshold", "told"), [(71.0, False), (70.0, True), (50.0, True)])
def test_what_comes_near_a_limit_is_told_once_it_reaches_the_share(threshold: float, told: bool) -> None:
    limits = PositionLimits(max_shares=10.0 / 0.7, max_notional_per_position=1e9, max_total_exposure=1e9,
                            max_concentration_percent=1e6, max_open_positions=99)
    alerts = Alerts(position_limit_alert_threshold=threshold, loss_limit_alert_threshold=1.0)
    simulation = composed(flat_tape([100.0] * 5), [limits, alerts], Script(qty=10.0))
    logs_of(simulation)  # 10 of 14.28... shares are 70 %
    share = f"{threshold:.0f}%"
    expected = [f"position_limits: once at {share} of a limit or beyond, first at 1970-01-03T00:00Z, 70% at most"]
    assert simulation.notes == (expected if told else [])


def test_losses_have_a_threshold_of_their_own() -> None:
    falling = [100.0, 100.0, 100.0, 96.0, 96.0, 96.0]  # 10 shares lose 40 of 45
    rules = [LossLimits(max_daily_loss=45.0, max_loss_per_trade=1e9), PortfolioHeat(max_heat=1.0)]
    loud = composed(flat_tape(falling), [*rules, Alerts(loss_limit_alert_threshold=85.0)], Script(qty=10.0))
    logs_of(loud)
    assert [note.split(",")[0] for note in loud.notes] == ["loss_limits: once at 85% of a limit or beyond"]
    quiet = composed(flat_tape(falling), [*rules, Alerts(loss_limit_alert_threshold=90.0)], Script(qty=10.0))
    logs_of(quiet)
    assert quiet.notes == []


@pytest.mark.parametrize(("rule", "fields", "share"), [
    (PositionLimits, {"qty": 500.0}, 0.5),  # of 1,000 shares; 5,000 of 10,000; 200 % of equity: 2.0 below
    (PortfolioHeat, {"stop": 9.0, "heat": 1_400.0}, 0.5),  # 1,500 of 3,000
    (Leverage, {"exposure": 4_000.0}, 0.5),
    (LossStreak, {"losing_streak": 2}, 2 / 3),
    (LossLimits, {"stop": 9.0, "slot_heat": 150.0}, 0.5),
])
def test_rules_report_the_largest_share_of_their_limits(rule: Any, fields: dict[str, float], share: float) -> None:
    opening = Opening(rule, {"max_concentration_percent": 100.0} if rule is PositionLimits else None, **fields)
    opening.check()
    assert opening.order.nearness == pytest.approx(share)


def test_an_order_without_a_stop_says_so() -> None:
    assert Opening(LossLimits).order.stop == UNSET


# --- what leaves, and what only waits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [
    Leverage(), PositionLimits(max_open_positions=1, max_notional_per_position=1e9, max_total_exposure=10_000.0,
                               max_concentration_percent=100.0),
    PortfolioHeat(max_heat=1.0), LossLimits(max_loss_per_trade=9_900.0),
], ids=lambda rule: rule.name)  # fmt: skip
def test_a_position_can_be_turned_under_a_rule_that_allows_one_of_its_size(rule: Any) -> None:
    turn = acting({1: lambda now: sell(now, qty=95), 2: lambda now: buy(now, qty=190)})
    logs = logs_of(composed(flat_tape([100.0] * 6), [rule], turn))
    assert [(row["side"], row["qty"]) for row in logs["fills"]] == [(-1, 95.0), (1, 95.0), (1, 95.0)]


def test_position_limits_hold_whatever_works_on_the_other_side() -> None:
    """Purchases of 60 each, sales of as much beside them: 100 are the most, and the sales are no purchases back."""

    def ladder(now: Any) -> None:
        for step in range(3):
            place_limit(now, BUY, 95.0 - step, qty=60)
            place_limit(now, SELL, 120.0 + step, qty=60)

    rule = PositionLimits(max_shares=100.0, max_notional_per_position=1e9, max_total_exposure=1e9,
                          max_concentration_percent=100.0)
    tape = flat_tape([100.0, 100.0, 100.0, 80.0, 80.0])
    logs = logs_of(composed(tape, [rule], acting({1: ladder}), terms=Terms(capital=1e6)))
    assert logs["fills"]["qty"].tolist() == [60.0, 40.0]
    assert logs["refusals"]["limit"].tolist() == [100.0] * 4
