"""Random rules of docs/risk.md, with keys that bite on the markets of cases.

Limits in currency are shares of the capital.  Values are crooked, so that no sum lands on a limit by rounding alone.
One seed draws them all: each rule comes as often as any other.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

CROOKED = 1.0000031
"""Moves a limit off the sums of round prices and quantities."""

MANY_TRIPS = "kelly"
"""The sizing rule that needs many round trips."""

DAYS = ("volatility_target", "correlation")
"""Rules that need many days."""


@dataclass(frozen=True)
class RuleShape:
    """One rule by its name, with all its keys."""

    name: str
    keys: dict[str, Any]


def shares(capital: float, *parts: float) -> tuple[float, ...]:
    """Return shares of the capital, made crooked."""
    return tuple(capital * part * CROOKED for part in parts)


def leverage_keys(allowed: bool, most: float, margin: float, maintenance: float) -> dict[str, Any]:
    """Return keys of `leverage` that do not contradict each other; maintenance is a share of the margin."""
    return {"allow_leverage": allowed, "max_leverage": most, "min_margin_percent": margin,
            "maintenance_percent": margin * maintenance}  # fmt: skip


def drawdown_keys(warning: float, critical: float, most: float) -> dict[str, Any]:
    """Return the depths of `drawdown`."""
    return {"drawdown_warning": warning * CROOKED, "drawdown_critical": critical * CROOKED,
            "max_drawdown": most * CROOKED}  # fmt: skip


def stop_keys(low: float, given: float, high: float) -> dict[str, Any]:
    """Return the distances of `stop_loss`."""
    return {"min_stop_loss_percent": low, "default_stop_loss_percent": given, "max_stop_loss_percent": high}


def target_keys(first: float, second: float) -> dict[str, Any]:
    """Return the targets of `take_profit`."""
    return {"first_target_percent": first, "second_target_percent": second}


Choices = tuple[Any, ...]
"""What a key, or several that must fit each other, are drawn from."""


def keys(**choices: Choices) -> dict[str, Choices]:
    """Return what each key is drawn from."""
    return choices


def rule_keys(capital: float, grid: float) -> dict[str, dict[str, Choices]]:
    """Return what to draw the keys of every risk rule from; prices of the market lie around 40 grids.

    Under `together` stand keys that must fit each other, drawn all at once.
    """
    return {
        "random_rule": keys(cap=(100.0, 6.0, 0.7), step=(1_000, 7, 3), heat=(10.0, 0.2), most=(10, 1),
                            slippage=(10.0, 0.02, 0.0)),
        "order_validation": keys(
            min_order_size=(0.0, 1.3, 4.7), max_order_size=(1e6, 15.3, 7.7), min_price=(0.01, 0.01, 36.3 * grid),
            max_order_value=shares(capital, 50.0, 0.83, 0.31), max_price=(1e4, 1e4, 43.7 * grid),
            max_slippage_percent=(50.0, 0.73, 0.31)),
        "position_limits": keys(
            max_shares=(1e6, 23.3000000047, 9.7000000031), max_notional_per_position=shares(capital, 50.0, 0.77, 0.33),
            max_total_exposure=shares(capital, 50.0, 1.27, 0.71), max_open_positions=(5, 2, 1),
            max_concentration_percent=(1_000.0, 63.3, 27.1)),
        "leverage": keys(together=tuple(
            leverage_keys(*most, share) for share in (0.97, 1.0, 0.53)
            for most in ((False, 1.0, 100.0), (True, 1.0, 100.0), (True, 1.43, 69.9), (True, 3.7, 27.0)))),
        "loss_limits": keys(
            max_loss_per_trade=shares(capital, 50.0, 0.13, 0.037),
            max_daily_loss=shares(capital, 50.0, 0.0137, 0.0037),
            max_weekly_loss=shares(capital, 50.0, 0.0237, 0.0077),
            max_monthly_loss=shares(capital, 50.0, 0.0313, 0.0117),
            drawdown_threshold_percent=(100.0, 1.3, 3.7), drawdown_reduction=(0.5, 0.0, 0.3)),
        "stop_loss": keys(
            together=(stop_keys(0.5, 2.0, 10.0), stop_keys(0.0, 3.3, 7.7), stop_keys(2.9, 5.3, 13.7)),
            enable_trailing_stop=(True, False), trailing_stop_percent=(1.5, 4.3),
            trailing_activation_percent=(2.0, 0.0, 7.1)),
        "take_profit": keys(
            together=(target_keys(3.0, 5.0), target_keys(1.3, 9.1)),
            default_take_profit_percent=(5.0, 3.1, 12.3), min_risk_reward_ratio=(2.0, 0.0, 0.7, 1.3),
            enable_partial_profit=(True, False), partial_profit_percent=(50.0, 30.0, 100.0)),
        "circuit_breaker": keys(
            daily_loss_threshold=shares(capital, 50.0, 0.041, 0.0127), max_consecutive_losses=(5, 3, 2, 1),
            max_trades_per_day=(50, 7, 4), cooldown_minutes=(60, 0, 7, 240), auto_resume=(False, True),
            on_trip=("block", "flatten")),
        "drawdown": keys(
            together=(drawdown_keys(0.1, 0.15, 0.2), drawdown_keys(0.0131, 0.0337, 0.0713),
                      drawdown_keys(0.0013, 0.0217, 0.413), drawdown_keys(0.0211, 0.0233, 0.0239)),
            drawdown_warning_multiplier=(0.5, 0.83), drawdown_critical_multiplier=(0.25, 0.0),
            resume_after=("none", "15m", "3h", "2d")),
        "loss_streak": keys(consecutive_loss_limit=(3, 2, 1), multiplier=(0.75, 0.0, 0.4)),
        "portfolio_heat": keys(max_heat=(0.3, 0.117, 0.0313)),
        "volatility": keys(
            max_atr_percent=(5.0, 9.7, 3.3), base_volatility_percent=(2.0, 0.73, 4.1), atr_period=(14, 2, 3, 5),
            reduce_on_high_volatility=(True, True, False), enable_volatility_scaling=(True, True, False)),
        "time_restrictions": keys(
            enforce_market_hours=(True, False), allow_premarket=(False, True), allow_afterhours=(False, True),
            blackout_periods=(("09:30-09:45", "15:45-16:00"), ("00:05-00:20",), ("23:30-00:07", "00:30-24:00"),
                              ("11:30-12:31", "14:45-15:10"), ("08:00-08:01", "00:00-00:01"))),
        "correlation": keys(
            max_position_correlation=(0.7, 0.31, -0.23), correlation_lookback_days=(30, 3, 5, 12),
            enforce_correlation_check=(True, True, False)),
        "alerts": keys(position_limit_alert_threshold=(80.0, 31.3), loss_limit_alert_threshold=(80.0, 31.3)),
    }  # fmt: skip


def sizing_keys(capital: float) -> dict[str, dict[str, Choices]]:
    """Return what to draw the keys of every sizing rule from."""
    most = {"max_position_pct": (1.0, 0.37), "without_stop": (False, True)}
    return {
        "random_sizing": keys(fraction=(0.1, 0.5, 2.0)),
        "fixed_qty": keys(qty=(1.0, 2.7, 13.3)),
        "fixed_notional": keys(notional=shares(capital, 0.117, 0.73)),
        "percent_of_equity": keys(percent=(10.0, 37.3, 91.0)),
        "risk_per_trade": keys(risk=(0.02, 0.13), **most),
        "volatility_target": keys(daily_volatility_percent=(1.0, 0.37), window=(2, 3, 5),
                                  max_position_pct=(1.0, 0.37)),
        "kelly": keys(fraction=(0.5, 1.0), cap=(0.05, 0.31), trades=(30, 100), risk=(0.02, 0.13),
                      max_position_pct=(1.0, 0.37), without_stop=(True, True, False)),
        "regime": keys(
            risk=(0.02, 0.13), preset=("seed", "percentile"), atr_period=(2, 3, 14), window=(2, 5, 20),
            rank_window=(10, 13), compression=(0.6, 0.83), normal=(1.5, 1.04), expansion=(2.5, 1.21),
            compression_rank=(0.2, 0.37), normal_rank=(0.83, 0.57), expansion_rank=(0.97, 0.77),
            compression_score=(1.5,), normal_score=(1.0,), expansion_score=(0.8,), extreme_score=(0.5, 0.0), **most),
    }  # fmt: skip


def drawn(rng: random.Random, name: str, choices: dict[str, Choices]) -> RuleShape:
    """Return a rule with every key drawn."""
    values = {key: rng.choice(those) for key, those in choices.items()}
    values = {**values.pop("together", {}), **values}
    if values.get("enable_partial_profit"):
        values["default_take_profit_percent"] = values["second_target_percent"]
    return RuleShape(name, values)


def risk_rules(rng: random.Random, capital: float, grid: float, *, few: bool) -> tuple[RuleShape, ...]:
    """Draw some risk rules, in any order; a few only where much is to be traded."""
    choices = rule_keys(capital, grid)
    names = rng.sample(sorted(choices), rng.choice((0, 1) if few else (0, 1, 2, 3, 4, 6)))
    return tuple(drawn(rng, name, choices[name]) for name in names)


def sizing_rule(rng: random.Random, capital: float) -> RuleShape:
    """Draw a sizing rule."""
    choices = sizing_keys(capital)
    name = rng.choice(("random_sizing", *choices))
    return drawn(rng, name, choices[name])
