"""What holds whatever the rules: over runs with all of them on, compiled and interpreted, in several orders."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees
from framework.boundary.jit import JIT
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.indicators import ColumnCache
from framework.model.enums import Reason, Role, Verb
from framework.risk import RiskRule, SizingRule
from framework.rules import (
    Alerts,
    CircuitBreaker,
    Correlation,
    Drawdown,
    FixedQty,
    Kelly,
    Leverage,
    LossLimits,
    LossStreak,
    OrderValidation,
    PortfolioHeat,
    PositionLimits,
    StopLoss,
    TakeProfit,
    TimeRestrictions,
    Volatility,
    VolatilityTarget,
)
from framework.strategy import place_limit
from framework.testing.markets import synthetic_market
from framework.testing.runs import difference

ORDERS = [0, 3, 4] if JIT else [0]
"""The orders of the rules; without the compiler one of them shows every branch."""

TIGHT: list[tuple[type[RiskRule], dict[str, Any]]] = [
    (PositionLimits, {"max_shares": 1e5, "max_notional_per_position": 30_000.0, "max_total_exposure": 60_000.0,
                      "max_concentration_percent": 30.0, "max_open_positions": 2}),
    (LossLimits, {"max_loss_per_trade": 600.0, "max_daily_loss": 700.0, "max_weekly_loss": 1_500.0,
                  "drawdown_threshold_percent": 2.0}),
    (StopLoss, {"trailing_activation_percent": 1.0}),
    (TakeProfit, {"min_risk_reward_ratio": 1.0}),
    (CircuitBreaker, {"daily_loss_threshold": 600.0, "max_consecutive_losses": 4, "max_trades_per_day": 6,
                      "auto_resume": True, "on_trip": "flatten"}),
    (OrderValidation, {"max_order_size": 1e5, "max_order_value": 45_000.0, "min_order_size": 0.0}),
    (Leverage, {"allow_leverage": True, "max_leverage": 1.5, "min_margin_percent": 60.0, "maintenance_percent": 50.0}),
    (Volatility, {"max_atr_percent": 4.0, "base_volatility_percent": 0.8}),
    (TimeRestrictions, {"blackout_periods": ["03:00-05:00", "23:30-00:30"]}),
    (Correlation, {"max_position_correlation": 0.2, "correlation_lookback_days": 12}),
    (Drawdown, {"drawdown_warning": 0.01, "drawdown_critical": 0.03, "max_drawdown": 0.06, "resume_after": "2d"}),
    (LossStreak, {"consecutive_loss_limit": 2}),
    (PortfolioHeat, {"max_heat": 0.01}),
    (Alerts, {}),
]  # fmt: skip


class Busy(Strategy):
    """Enter, add, turn, ladder and leave by turns."""

    name = "busy"
    every = Param(7, low=3, high=1_000)
    state: ClassVar[Any] = {"bars": 0}
    tags = ("ladder",)

    @staticmethod
    def decide(now: Now) -> None:
        """Do the next thing of the round."""
        now.state.bars += 1
        turn = now.state.bars % (6 * now.p.every)
        if turn == 1:
            buy(now)
        elif turn == 3:
            buy(now, weight=0.1, stop=0.97 * now.bar.close)
        elif turn == 2 * now.p.every:
            sell(now, weight=0.5)
        elif turn == 3 * now.p.every:
            place_limit(now, 1, 0.995 * now.bar.close, tag=now.tag.ladder, target=1.02 * now.bar.close)
        elif turn == 4 * now.p.every and now.position.qty != 0.0:
            close_position(now, 0.5)
        elif turn == 5 * now.p.every and now.position.qty != 0.0:
            close_position(now)


MARKET = synthetic_market(900, ("AAA", "BBB", "CCC"), "1h", "gappy")


def simulated(rules: list[RiskRule], sizing: SizingRule, interpreted: bool) -> Simulation:
    """Return a finished simulation of the busy strategy."""
    terms = Terms(capital=50_000.0, fees=Fees(taker_bps=5.0), account=Account(leverage=2.0))
    simulation = compose(MARKET, [Plan(Busy())], sizing, rules, None, terms, cache=ColumnCache(),
                         interpreted=interpreted)  # fmt: skip
    simulation.advance(simulation.events)
    return simulation


def in_order(seed: int) -> list[RiskRule]:
    """Return the rules in an order drawn by the seed; 0 leaves it as it is."""
    places = np.arange(len(TIGHT)) if seed == 0 else np.random.default_rng(seed).permutation(len(TIGHT))
    return [TIGHT[place][0](**TIGHT[place][1]) for place in places]


@pytest.mark.skipif(not JIT, reason="compares compiled code")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_all_rules_on_compiled_equals_interpreted(seed: int) -> None:
    sizing: list[SizingRule] = [Kelly(without_stop=True), FixedQty(qty=40.0), VolatilityTarget()]
    one = simulated(in_order(seed), sizing[seed], False)
    other = simulated(in_order(seed), sizing[seed], True)
    assert all(plug.adapter is not None and plug.adapter.is_compiled for plug in one.plugs)
    assert not difference(used_logs(one.state), used_logs(other.state), MARKET.symbols, ("compiled", "interpreted"))
    assert one.notes == other.notes


@pytest.mark.parametrize("seed", ORDERS)
def test_rules_reduce_and_refuse_openings_only_and_say_why(seed: int) -> None:
    rules = in_order(seed)
    simulation = simulated(rules, FixedQty(qty=40.0), True)
    logs = used_logs(simulation.state)
    bites = logs["refusals"][logs["refusals"]["reason"] >= Reason.RULE]
    assert np.unique(bites["reason"]).size >= 4
    assert (bites["allowed"] >= 0.0).all()
    assert (bites["allowed"] < bites["asked"]).all()
    assert np.isin(bites["verb"], [Verb.ORDER, Verb.TARGET]).all()
    unknown = np.array([rules[int(reason) - Reason.RULE].name == "volatility" for reason in bites["reason"]])
    assert np.isfinite(bites["value"][~unknown]).all()
    assert np.isfinite(bites["limit"]).all()
    assert (bites["value"] != 0.0).any()
    closes = logs["refusals"][logs["refusals"]["verb"] == Verb.CLOSE]
    assert (closes["reason"] == Reason.NOTHING_TO_CLOSE).all()


@pytest.mark.parametrize("seed", ORDERS)
def test_no_rule_raises_a_quantity_and_what_opens_covers_what_it_asked(seed: int) -> None:
    """An opening that sizing gave 40 units is never larger; the rules alone make it smaller."""
    free = used_logs(simulated([], FixedQty(qty=40.0), True).state)
    bound = used_logs(simulated(in_order(seed), FixedQty(qty=40.0), True).state)
    for logs in (free, bound):
        entries = logs["orders"][logs["orders"]["role"] == Role.ENTRY]
        assert entries.size > 5
    assert bound["fills"]["qty"][bound["fills"]["role"] == Role.ENTRY].sum() < free["fills"]["qty"][
        free["fills"]["role"] == Role.ENTRY].sum()


def test_every_position_has_a_stop_where_the_rule_gives_one() -> None:
    """After each fill that opens, a protective stop works until the position is gone."""
    logs = used_logs(simulated([StopLoss()], FixedQty(qty=40.0), True).state)
    stops = logs["orders"][np.isin(logs["orders"]["role"], [Role.STOP, Role.TRAIL])]
    began = logs["fills"][(logs["fills"]["role"] == Role.ENTRY) & (np.abs(logs["fills"]["position"])
                                                                   == logs["fills"]["qty"])]
    assert began.size > 10
    for fill in began:
        at_fill = (stops["slot"] == fill["slot"]) & (stops["placed_time"] == fill["time"])
        assert at_fill.any()


@pytest.mark.parametrize("cut", [333, 2_000])
def test_a_run_under_all_rules_continues_from_a_snapshot(cut: int) -> None:
    whole = simulated(in_order(0), Kelly(without_stop=True), True)
    terms = Terms(capital=50_000.0, fees=Fees(taker_bps=5.0), account=Account(leverage=2.0))

    def fresh() -> Simulation:
        return compose(MARKET, [Plan(Busy())], Kelly(without_stop=True), in_order(0), None, terms, interpreted=True)

    first, second = fresh(), fresh()
    first.advance(cut)
    second.restore(first.snapshot())
    second.advance(second.events)
    assert not difference(used_logs(whole.state), used_logs(second.state), MARKET.symbols, ("whole", "restored"))
    assert whole.notes == second.notes
