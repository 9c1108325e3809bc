"""The sizing and risk rules: the number at which each bites, what it lets through and what ends it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framework import ConfigError
from framework.backtest.config import config_from_dict
from framework.indicators import Bars, atr, sma
from framework.model.enums import OrderStatus, Reason, Role, Side
from framework.risk import RiskRule
from framework.rules import RULES, Drawdown, PercentOfEquity, PortfolioHeat, PositionLimits, Regime, RiskPerTrade
from framework.rules.regime import trailing_rank
from tests.rule_cases import DAY, Opening, checked, run_of, sized

PASTED = """
[data]
source = "sample"
[strategy]
name = "x"
[risk.position_limits]
enabled = true
max_shares = 1000
max_notional_per_position = 10_000
max_total_exposure = 50_000
max_open_positions = 5
max_concentration_percent = 25
[risk.portfolio_heat]
max_heat = 0.30
[risk.drawdown]
drawdown_warning = 0.10
drawdown_warning_multiplier = 0.50
drawdown_critical = 0.15
drawdown_critical_multiplier = 0.25
max_drawdown = 0.20
resume_after = "none"
"""


WIDE = {"max_shares": 1e12, "max_notional_per_position": 1e12, "max_total_exposure": 1e12, "max_open_positions": 99,
        "max_concentration_percent": 1e9}


# --- keys and defaults ------------------------------------------------------------------------------------------------


def test_a_seed_s_risk_limits_can_be_pasted_and_are_the_defaults() -> None:
    import tomllib

    config = config_from_dict(tomllib.loads(PASTED))
    rules = {rule.name: rule for rule in RULES}
    assert [use.name for use in config.risk] == ["position_limits", "portfolio_heat", "drawdown"]
    for use in config.risk:
        assert rules[use.name](**use.params).values() == rules[use.name]().values()
        assert set(use.params) == set(rules[use.name].params())


def test_sizing_is_ten_percent_of_equity_unless_said_otherwise() -> None:
    assert PercentOfEquity().values() == {"percent": 10.0}
    assert RiskPerTrade().values()["risk"] == 0.02
    assert Regime().values()["preset"] == "seed"


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_name_and_says_what_it_does(rule: Any) -> None:
    assert rule.name
    assert (rule.__doc__ or "").strip()


# --- position_limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "at", "allowed", "value"), [
    ({"max_shares": 100.0}, {}, 100.0, 0.0),  # exactly the limit passes
    ({"max_shares": 60.0}, {}, 60.0, 100.0),
    ({"max_shares": 60.0}, {"symbol_qty": 50.0}, 10.0, 150.0),
    ({"max_shares": 60.0}, {"symbol_pending": 50.0}, 10.0, 150.0),  # working orders count
    ({"max_shares": 60.0}, {"symbol_qty": -50.0}, 100.0, 0.0),  # 50 short + 100 = 50 long
    ({"max_shares": 60.0}, {"symbol_qty": -30.0}, 90.0, 70.0),
    ({"max_shares": 60.0}, {"symbol_qty": -50.0, "side": -1}, 10.0, 150.0),  # limits hold for shorts alike
    ({"max_notional_per_position": 1_000.0}, {}, 100.0, 0.0),  # 100 * 10
    ({"max_notional_per_position": 800.0}, {}, 80.0, 1_000.0),
    ({"max_notional_per_position": 800.0}, {"multiplier": 2.0}, 40.0, 2_000.0),
    ({"max_total_exposure": 5_000.0}, {"exposure": 4_000.0}, 100.0, 0.0),
    ({"max_total_exposure": 5_000.0}, {"exposure": 4_400.0}, 60.0, 5_400.0),
    ({"max_total_exposure": 5_000.0}, {"exposure": 4_000.0, "working_notional": 400.0}, 60.0, 5_400.0),
    # 40 of the 100 cover a short: gross grows by 60 * 10 at most, and the cover always passes
    ({"max_total_exposure": 5_000.0}, {"exposure": 4_600.0, "symbol_qty": -40.0}, 80.0, 5_200.0),
    ({"max_concentration_percent": 10.0}, {}, 100.0, 0.0),  # 10 % of 10,000 / 10
    ({"max_concentration_percent": 4.0}, {}, 40.0, 1_000.0),
])
def test_position_limits_reduce_to_fit(limit: dict[str, float], at: dict[str, float], allowed: float,
                                       value: float) -> None:
    got, measured, recorded = checked(PositionLimits, WIDE | limit, **at)
    assert got == pytest.approx(allowed)
    assert measured == pytest.approx(value)
    if value:
        most = next(iter(limit.values()))
        assert recorded == pytest.approx(most * 100.0 if "max_concentration_percent" in limit else most)


def test_nothing_is_allowed_when_nothing_fits() -> None:
    assert checked(PositionLimits, WIDE | {"max_shares": 60.0}, symbol_qty=60.0)[0] == 0.0
    assert checked(PositionLimits, WIDE | {"max_total_exposure": 5.0}, exposure=50.0)[0] == 0.0


def test_the_tightest_limit_counts() -> None:
    limits = {"max_shares": 80.0, "max_notional_per_position": 500.0, "max_concentration_percent": 7.0}
    assert checked(PositionLimits, WIDE | limits) == (50.0, 1_000.0, 500.0)


def test_the_sixth_symbol_is_refused_and_a_held_one_may_grow() -> None:
    five = WIDE | {"max_open_positions": 5}
    assert checked(PositionLimits, five, committed_positions=4)[0] == 100.0
    assert checked(PositionLimits, five, committed_positions=5) == (0.0, 6, 5)
    assert checked(PositionLimits, five, committed_positions=5, symbol_committed=1)[0] == 100.0


# --- portfolio_heat ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "allowed", "value"), [
    ({"stop": 9.0, "heat": 2_900.0}, 100.0, 0.0),  # 2,900 + 100 * 1 = 3,000 = 30 % of 10,000
    ({"stop": 9.0, "heat": 2_950.0}, 50.0, 3_050.0),
    ({"stop": 9.0, "heat": 3_100.0}, 0.0, 3_200.0),  # beyond it already
    ({"stop": 11.0, "side": -1, "heat": 2_950.0}, 50.0, 3_050.0),
    ({"stop": 9.0, "multiplier": 2.0, "heat": 2_950.0}, 25.0, 3_150.0),
    ({"heat": 2_500.0}, 50.0, 3_500.0),  # without a stop the whole notional, 100 * 10
    ({"stop": 10.0, "heat": 9_999.0}, 100.0, 0.0),  # a stop at the entry risks nothing
])
def test_heat_shrinks_what_does_not_fit(fields: dict[str, float], allowed: float, value: float) -> None:
    got, measured, _ = checked(PortfolioHeat, **fields)
    assert (got, measured) == (pytest.approx(allowed), pytest.approx(value))


# --- drawdown ---------------------------------------------------------------------------------------------------------


def drawn_down(equities: list[float], params: dict[str, Any] | None = None) -> Opening:
    """Return the opening after the rule has watched one equity a day, and has been asked at the last."""
    opening = Opening(Drawdown, params)
    for number, equity in enumerate(equities):
        opening.watch(equity=equity, time_ns=number * DAY)
    opening.check()
    return opening


@pytest.mark.parametrize(("equity", "allowed", "limit"), [
    (91.0, 100.0, 0.0), (90.0, 50.0, 0.10), (86.0, 50.0, 0.10), (85.0, 25.0, 0.15), (81.0, 25.0, 0.15),
])
def test_size_shrinks_by_how_deep_the_drawdown_is(equity: float, allowed: float, limit: float) -> None:
    order = drawn_down([80.0, 100.0, equity]).order
    assert (order.allowed, order.limit, order.refused) == (allowed, limit, 0)
    assert order.value == pytest.approx(1.0 - equity / 100.0 if limit else 0.0)


def test_the_deepest_drawdown_halts_and_recovery_alone_does_not_end_it() -> None:
    order = drawn_down([100.0, 80.0]).order
    assert (order.refused, order.limit) == (1, 0.20)
    assert drawn_down([100.0, 80.0, 99.0, 150.0]).order.refused == 1


def test_a_halt_ends_after_its_duration_and_the_peak_restarts() -> None:
    resume = {"resume_after": "3d"}
    assert drawn_down([100.0, 80.0, 70.0, 70.0], resume).order.refused == 1  # two days later
    order = drawn_down([100.0, 80.0, 70.0, 70.0, 70.0], resume).order  # three days later
    assert (order.refused, order.allowed, order.state.peak) == (0, 100.0, 70.0)
    assert drawn_down([100.0, 80.0, 70.0, 70.0, 70.0, 63.0], resume).order.allowed == 50.0  # 10 % below the new peak
    assert drawn_down([100.0, 80.0, 70.0, 70.0, 70.0, 56.0], resume).order.refused == 1  # and a second halt


def test_the_keys_of_drawdown_are_checked_together() -> None:
    with pytest.raises(ConfigError, match="drawdown_warning = 0.3 is above drawdown_critical = 0.2"):
        Drawdown(drawdown_warning=0.3, drawdown_critical=0.2)
    assert Drawdown(max_drawdown=0.05).max_drawdown == 0.05
    with pytest.raises(ConfigError, match=r"resume_after = '3' must be \"none\" or a duration"):
        Drawdown(resume_after="3")
    with pytest.raises(ConfigError, match="unknown parameter 'warning_multiplier'"):
        Drawdown(warning_multiplier=0.5)


# --- sizing -----------------------------------------------------------------------------------------------------------


def test_percent_of_equity() -> None:
    assert sized(PercentOfEquity) == 100.0  # 10,000 * 10 % / 10
    assert sized(PercentOfEquity, {"percent": 25.0}, multiplier=5.0) == 50.0


def test_risk_per_trade_loses_its_fraction_at_the_stop() -> None:
    assert sized(RiskPerTrade, stop=9.0) == 200.0  # 10,000 * 2 % / 1
    assert sized(RiskPerTrade, stop=11.0, side=-1) == 200.0
    assert sized(RiskPerTrade, stop=9.0, multiplier=4.0) == 50.0
    assert sized(RiskPerTrade, stop=9.9) == pytest.approx(1_000.0)  # 2,000, at most 10,000 * 1.0 / 10
    assert sized(RiskPerTrade, {"max_position_pct": 0.05}, stop=9.0) == 50.0  # a fraction of equity: 500 / 10
    assert sized(RiskPerTrade) == 0.0
    assert sized(RiskPerTrade, {"without_stop": True, "max_position_pct": 0.5}) == 500.0
    assert sized(RiskPerTrade, stop=10.0) == 0.0


@pytest.mark.parametrize(("measure", "score"), [
    (0.3, 1.5), (0.6, 1.5), (0.61, 1.0), (1.49, 1.0), (1.5, 0.8), (2.49, 0.8), (2.5, 0.5), (9.0, 0.5), (np.nan, 0.5),
])
def test_regime_scores_of_the_preset_seed(measure: float, score: float) -> None:
    assert sized(Regime, stop=9.0, measure=measure) == pytest.approx(200.0 * score)


@pytest.mark.parametrize(("rank", "score"), [
    (0.004, 1.5), (0.20, 1.5), (0.21, 1.0), (0.79, 1.0), (0.80, 0.8), (0.94, 0.8), (0.95, 0.5), (1.0, 0.5),
])
def test_regime_scores_of_the_preset_percentile(rank: float, score: float) -> None:
    assert sized(Regime, {"preset": "percentile"}, stop=9.0, measure=rank) == pytest.approx(200.0 * score)


def test_the_measure_of_the_regime() -> None:
    bars = Bars()
    ratio = atr(bars, 14) / sma(atr(bars, 14), 20)
    assert Regime().indicators(bars) == {"measure": ratio}
    assert Regime(preset="percentile", rank_window=50).indicators(bars) == {"measure": trailing_rank(ratio, 50)}


def test_the_trailing_rank_counts_what_is_not_above_the_newest() -> None:
    values = np.array([3.0, 1.0, 2.0, 2.0, 5.0, 0.0])
    ranks = trailing_rank.compute(values, length=4)  # type: ignore[attr-defined]
    assert ranks[3:].tolist() == [3 / 4, 4 / 4, 1 / 4]  # of 3 1 2 2; 1 2 2 5; 2 2 5 0
    assert np.isnan(ranks[:3]).all()


def test_regimes_held_are_counted_and_said() -> None:
    measure = np.array([np.nan, 0.5, 0.6, 1.0, 1.5, 2.5, 3.0, 1.2])
    assert Regime().held(measure) == {"compression": 2, "normal": 2, "expansion": 1, "extreme": 2}
    (note,) = Regime().notes([{"measure": measure[:4]}, {"measure": measure[4:]}])
    assert note == ("regime: of 7 bars in which the regime was known: compression 28.6%, normal 28.6%, "
                    "expansion 14.3%, extreme 28.6%")
    assert Regime().notes([{"measure": np.array([np.nan])}]) == []
    assert PercentOfEquity().notes([{}]) == []


# --- in a run ---------------------------------------------------------------------------------------------------------


FLAT = [100.0] * 8


def test_a_reduced_opening_is_recorded_with_value_and_limit() -> None:
    logs = run_of(FLAT, [PositionLimits(**WIDE | {"max_shares": 7.0})])
    assert logs["fills"]["qty"].tolist() == [7.0]
    (refusal,) = logs["refusals"]
    assert (refusal["reason"], refusal["asked"], refusal["allowed"]) == (Reason.RULE, 10.0, 7.0)
    assert (refusal["value"], refusal["limit"]) == (10.0, 7.0)


def test_rules_run_in_the_order_of_the_config() -> None:
    first, second = PositionLimits(**WIDE | {"max_shares": 7.0}), PositionLimits(**WIDE | {"max_shares": 4.0})
    assert run_of(FLAT, [first, second])["refusals"]["reason"].tolist() == [Reason.RULE, Reason.RULE + 1]
    assert run_of(FLAT, [second, first])["refusals"]["reason"].tolist() == [Reason.RULE]


def test_the_limit_on_open_positions_ends_when_one_is_closed() -> None:
    one = [PositionLimits(**WIDE | {"max_open_positions": 1})]
    logs = run_of(FLAT, one, symbols=("A", "B"), enter=1, leave=3, again=5)
    # day 1: A opens, B is refused; day 3: A closes; day 5: A opens again, B is refused again
    assert [(row["symbol"], row["side"]) for row in logs["fills"]] == [(0, 1), (0, -1), (0, 1)]
    assert [row["symbol"] for row in logs["refusals"] if row["reason"] == Reason.RULE] == [1, 1]


def test_heat_of_an_open_position_counts_until_it_is_closed() -> None:
    rules: list[RiskRule] = [PortfolioHeat(max_heat=0.01)]  # 100 of 10,000
    logs = run_of(FLAT, rules, enter=1, again=2, qty=8.0, stop=90.0)
    assert logs["fills"]["qty"].tolist() == [8.0, 2.0]  # 8 * 10 = 80 at risk, 2 more fit
    again = run_of(FLAT, rules, enter=1, leave=3, again=5, qty=8.0, stop=90.0)
    assert again["fills"]["qty"].tolist() == [8.0, 8.0, 8.0]


def test_heat_never_blocks_a_reduction_or_a_stop() -> None:
    rules: list[RiskRule] = [PortfolioHeat(max_heat=0.0)]
    assert run_of(FLAT, rules)["fills"].size == 0
    falling = [100.0, 100.0, 100.0, 80.0, 80.0]
    logs = run_of(falling, [PortfolioHeat(max_heat=0.01)], enter=1, qty=8.0, stop=90.0, leave=4)
    assert logs["fills"]["role"].tolist() == [Role.ENTRY, Role.STOP]


def test_a_halt_refuses_openings_and_still_watches_stops_and_closes() -> None:
    # 40 bought at 100 lose 4 each = 160 of 10,000 = 1.6 %: halted from day 3 on
    closes = [100.0, 100.0, 100.0, 96.0, 96.0, 96.0, 89.0, 89.0]
    rules: list[RiskRule] = [Drawdown(max_drawdown=0.015, resume_after="none")]
    logs = run_of(closes, rules, enter=1, again=4, qty=40.0, stop=90.0)
    assert logs["refusals"]["reason"][0] == Reason.RULE
    assert logs["refusals"]["value"][0] == pytest.approx(0.016)
    assert [row["role"] for row in logs["fills"]] == [Role.ENTRY, Role.STOP]
    closed = run_of(closes, rules, enter=1, leave=5, qty=40.0)
    assert [row["role"] for row in closed["fills"]] == [Role.ENTRY, Role.EXIT]


def test_a_halt_ends_after_its_duration_in_a_run() -> None:
    closes = [100.0, 100.0, 100.0, 96.0, 96.0, 96.0, 96.0, 96.0]
    again = {"enter": 1, "again": 6, "qty": 30.0}
    halted = run_of(closes, [Drawdown(max_drawdown=0.01)], **again)
    assert halted["fills"]["qty"].tolist() == [30.0]
    resumed = run_of(closes, [Drawdown(max_drawdown=0.01, resume_after="2d")], **again)
    assert resumed["fills"]["qty"].tolist() == [30.0, 30.0]


def test_sizing_rules_in_a_run() -> None:
    assert run_of(FLAT, [], PercentOfEquity(), qty=0.0, stop=90.0)["fills"]["qty"].tolist() == [10.0]
    assert run_of(FLAT, [], RiskPerTrade(), qty=0.0, stop=90.0)["fills"]["qty"].tolist() == [20.0]  # 200 / 10
    # before the regime is known its score is 0.5
    assert run_of(FLAT, [], Regime(), qty=0.0, stop=90.0)["fills"]["qty"].tolist() == [10.0]


def test_no_rule_sees_a_reduction() -> None:
    class Refuses(RiskRule):
        """Refuse everything."""

        name = "refuses"

        @staticmethod
        def check(order: Any) -> None:
            raise AssertionError("a rule was asked")

    closes = run_of(FLAT, [], enter=1, leave=3)
    assert closes["orders"]["status"].tolist() == [OrderStatus.FILLED, OrderStatus.FILLED]
    with pytest.raises(Exception, match="a rule was asked"):
        run_of(FLAT, [Refuses()], enter=1, leave=3)
    assert run_of(FLAT, [Refuses()], enter=-1, leave=3)["refusals"]["reason"].tolist() == [Reason.NOTHING_TO_CLOSE]
    assert Side.BUY == 1
