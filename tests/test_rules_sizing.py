"""The sizing rules that were not there from the beginning: by hand, and against plain Python over real runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framework import ConfigError, buy, close_position
from framework.model.enums import Role
from framework.rules import FixedNotional, FixedQty, Kelly, RiskPerTrade, VolatilityTarget
from tests.rule_cases import acting, composed, flat_tape, logs_of, run_of, sized

FLAT = [100.0] * 8


@pytest.mark.parametrize(("rule", "params", "fields", "qty"), [
    (FixedQty, {}, {}, 1.0),
    (FixedQty, {"qty": 7.5}, {"equity": 1.0, "entry": 99.0}, 7.5),
    (FixedNotional, {}, {}, 1_000.0),  # 10,000 / 10
    (FixedNotional, {"notional": 500.0}, {"entry": 20.0, "multiplier": 5.0}, 5.0),
    (VolatilityTarget, {}, {"volatility": 2.0}, 500.0),  # 10,000 * 1 % / (2 % of 10)
    (VolatilityTarget, {}, {"volatility": 2.0, "multiplier": 4.0}, 125.0),
    (VolatilityTarget, {}, {"volatility": 0.5}, 1_000.0),  # 2,000, at most all of equity
    (VolatilityTarget, {"daily_volatility_percent": 4.0, "max_position_pct": 3.0}, {"volatility": 2.0}, 2_000.0),
    (VolatilityTarget, {"max_position_pct": 0.5}, {"volatility": 0.0}, 500.0),
])
def test_quantities_by_hand(rule: Any, params: dict[str, float], fields: dict[str, float], qty: float) -> None:
    assert sized(rule, params, **fields) == pytest.approx(qty)


# p = 0.6, b = 20 / 10 = 2: (0.6 * 2 - 0.4) / 2 = 0.4
SIX_OF_TEN = {"count": 50, "wins": 30, "losses": 20, "won": 600.0, "lost": 200.0}


@pytest.mark.parametrize(("params", "trips", "risk"), [
    ({"cap": 1.0}, SIX_OF_TEN, 0.2),  # half of 0.4
    ({"cap": 1.0, "fraction": 1.0}, SIX_OF_TEN, 0.4),
    ({}, SIX_OF_TEN, 0.05),  # the cap
    ({"cap": 1.0}, SIX_OF_TEN | {"count": 60}, 0.125),  # ten broke even: p = 0.5, 0.5 - 0.5 / 2 = 0.25
    ({"cap": 1.0}, SIX_OF_TEN | {"wins": 10, "losses": 40, "won": 100.0, "lost": 400.0}, 0.0),  # 0.2 - 0.8 / 1 < 0
    ({"cap": 1.0}, SIX_OF_TEN | {"wins": 50, "losses": 0, "lost": 0.0}, 0.5),  # nothing but winners: p
    ({"cap": 1.0}, SIX_OF_TEN | {"wins": 0, "losses": 50, "won": 0.0}, 0.0),
    ({"cap": 1.0}, SIX_OF_TEN | {"count": 29, "wins": 29, "losses": 0}, 0.02),  # too few: as risk_per_trade
    ({"cap": 1.0}, SIX_OF_TEN | {"count": 30, "wins": 18, "losses": 12, "won": 360.0, "lost": 120.0}, 0.2),
])
def test_kelly_risks_what_the_odds_say(params: dict[str, float], trips: dict[str, float], risk: float) -> None:
    # a stop 1 below the entry: equity * risk units, at most the 100,000 that max_position_pct = 10 pays
    qty = sized(Kelly, {"max_position_pct": 10.0} | params, stop=9.0, **trips)
    assert qty == pytest.approx(10_000.0 * risk)


def test_kelly_without_a_stop_opens_nothing_or_the_most() -> None:
    assert sized(Kelly, **SIX_OF_TEN) == 0.0
    assert sized(Kelly, {"without_stop": True, "max_position_pct": 0.5}, **SIX_OF_TEN) == 500.0
    with pytest.raises(ConfigError, match="out of bounds: 30 <= value"):
        Kelly(trades=10)


def test_fixed_sizes_in_a_run() -> None:
    assert run_of(FLAT, [], FixedQty(qty=3.0), qty=0.0, stop=90.0)["fills"]["qty"].tolist() == [3.0]
    assert run_of(FLAT, [], FixedNotional(notional=550.0), qty=0.0, stop=90.0)["fills"]["qty"].tolist() == [5.0]


def test_volatility_target_is_numpys_deviation_of_daily_returns() -> None:
    rng = np.random.default_rng(3)
    closes = 100.0 * np.cumprod(1.0 + rng.normal(0.0, 0.02, 60))
    logs = run_of(closes.tolist(), [], VolatilityTarget(daily_volatility_percent=0.4), enter=40, qty=0.0, stop=1.0)
    returns = np.diff(closes[20:41]) / closes[20:40]
    expected = 10_000.0 * 0.004 / (returns.std() * closes[40])
    assert logs["fills"]["qty"].tolist() == [np.floor(expected)]
    early = run_of(closes.tolist(), [], VolatilityTarget(), enter=10, qty=0.0, stop=1.0)
    assert early["fills"].size == 0


def test_kelly_in_a_run_counts_the_last_round_trips() -> None:
    """Plain Python over the trades of the run gives the same quantity at every entry."""
    rng = np.random.default_rng(11)
    closes = (100.0 * np.exp(np.cumsum(rng.normal(0.002, 0.02, 400)))).tolist()
    turns: dict[int, Any] = {bar: lambda now: buy(now, stop_offset=8.0) for bar in range(1, 400, 4)}
    turns |= {bar + 2: lambda now: close_position(now) for bar in range(1, 396, 4)}
    rule = Kelly(trades=40, fraction=0.3, cap=0.06)
    logs = logs_of(composed(flat_tape(closes), [], acting(turns), rule))
    marks = {int(mark["time"]): float(mark["equity"]) for mark in logs["marks"]}
    entries = logs["orders"][logs["orders"]["role"] == Role.ENTRY]
    sizes = set()
    for order in entries:
        time = int(order["placed_time"])
        pnl = logs["trades"]["pnl"][logs["trades"]["exit_time"] < time][-40:]
        wins, losses = pnl[pnl > 0.0], pnl[pnl < 0.0]
        risk = 0.02
        if pnl.size >= 30:
            p, b = wins.size / pnl.size, wins.mean() / -losses.mean()
            risk = min(max(0.3 * (p * b - (1.0 - p)) / b, 0.0), 0.06)
        close = closes[time // 86_400_000_000_000 - 1]
        wanted = min(marks[time] * risk / 8.0, marks[time] / close)
        assert order["qty"] == np.floor(min(wanted, marks[time] * 0.9975 / close))
        sizes.add(round(risk, 6))
    assert len(sizes) > 5
    assert len(entries) > 50


def test_risk_per_trade_is_what_kelly_starts_with() -> None:
    assert sized(Kelly, stop=9.0) == sized(RiskPerTrade, stop=9.0) == 200.0
