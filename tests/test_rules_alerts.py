"""Alerts on losses: told between two rolls of the day, before the limit bites, without a look at every mark."""

from __future__ import annotations

from typing import Any

import pytest

from framework import buy
from framework.risk import RiskRule
from framework.rules import Alerts, CircuitBreaker, Drawdown, LossLimits
from tests.rule_cases import MINUTE, acting, composed, flat_tape, logs_of

HOUR = 60 * MINUTE
WIDE = {"max_loss_per_trade": 1e9, "max_daily_loss": 1e9, "max_weekly_loss": 1e9, "max_monthly_loss": 1e9,
        "drawdown_threshold_percent": 100.0}  # fmt: skip

LIMITS: list[Any] = [
    (LossLimits, {**WIDE, "max_daily_loss": 1_000.0}),
    (LossLimits, {**WIDE, "max_weekly_loss": 1_000.0}),
    (LossLimits, {**WIDE, "max_monthly_loss": 1_000.0}),
    (Drawdown, {"max_drawdown": 0.10}),
    (CircuitBreaker, {"daily_loss_threshold": 1_000.0}),
]
"""Rules that bite at a loss of 1,000 of 10,000."""

NAMES = ["day", "week", "month", "drawdown", "breaker"]


def fallen(rule: type[RiskRule], params: dict[str, Any], losses: list[float], *others: RiskRule) -> tuple[Any, Any]:
    """Return notes and refusals of a day of hours: 100 held from the second one on, with a loss at each later close.

    One more is asked for at the last hour.
    """
    closes = [90.0, 90.0, *(90.0 - loss / 100.0 for loss in losses), 90.0 - losses[-1] / 100.0]
    actions = {0: lambda now: buy(now, qty=100.0), len(closes) - 2: lambda now: buy(now, qty=1.0)}
    simulation = composed(flat_tape(closes, step=HOUR), [rule(**params), *others], acting(actions))
    refusals = logs_of(simulation)["refusals"]
    return [note for note in simulation.notes if " of a limit" in note], refusals


@pytest.mark.parametrize(("rule", "params"), LIMITS, ids=NAMES)
@pytest.mark.parametrize(("loss", "told"), [(799.0, False), (801.0, True), (960.0, True)])
def test_a_loss_near_its_limit_is_told_within_the_day(rule: type[RiskRule], params: dict[str, Any], loss: float,
                                                     told: bool) -> None:
    """At 80 % of 1,000; the loss is there at the close of the fourth hour and the opening after it passes."""
    notes, refusals = fallen(rule, params, [100.0, loss, loss - 50.0], Alerts())
    assert refusals.size == 0
    assert len(notes) == told
    if told:
        assert "first at 1970-01-01T04:00Z" in notes[0]
        assert notes[0].endswith(f"{loss / 1_000.0:.0%} at most")


@pytest.mark.parametrize(("rule", "params"), LIMITS, ids=NAMES)
def test_the_limit_bites_after_its_alert_as_without_one(rule: type[RiskRule], params: dict[str, Any]) -> None:
    losses = [100.0, 850.0, 900.0, 1_000.0, 700.0]
    _, silent = fallen(rule, params, losses)
    notes, loud = fallen(rule, params, losses, Alerts())
    assert loud["allowed"].tolist() == [0.0]
    assert loud.tobytes() == silent.tobytes()
    assert "first at 1970-01-01T04:00Z, 100% at most" in notes[0]


@pytest.mark.parametrize(("rule", "params"), LIMITS, ids=NAMES)
def test_an_alert_costs_one_look(rule: type[RiskRule], params: dict[str, Any]) -> None:
    """Looks: at the first mark of the day and at the one that is near; falls on either side of it wake nobody."""
    looks: list[float] = []

    class Counted(rule):  # type: ignore[misc, valid-type]
        """Note the equity at every look."""

        @staticmethod
        def watch(order: Any) -> None:
            """Look as the rule does."""
            looks.append(order.account.equity)
            rule.watch(order)

    fallen(Counted, params, [100.0, 300.0, 790.0, 810.0, 820.0, 990.0, 815.0], Alerts())
    assert looks == [10_000.0, 9_190.0]
    looks.clear()
    fallen(Counted, params, [100.0, 300.0, 790.0, 810.0, 820.0, 990.0, 815.0])
    assert looks == [10_000.0]
