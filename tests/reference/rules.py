"""The rules of docs/risk.md, written from that page alone: by name, as the reference asks them.

limits        what looks at one opening
losses        what looks back on marks and round trips
protection    stops, targets, partial profits
sizing        how much
hours         when
"""

from __future__ import annotations

from typing import Any

from tests.reference.rules_base import Rule
from tests.reference.rules_hours import TimeRestrictions
from tests.reference.rules_limits import (
    Alerts,
    Correlation,
    Leverage,
    OrderValidation,
    PortfolioHeat,
    PositionLimits,
    Volatility,
)
from tests.reference.rules_losses import CircuitBreaker, Drawdown, LossLimits, LossStreak
from tests.reference.rules_protection import StopLoss, TakeProfit
from tests.reference.rules_sizing import SIZING

RULES: dict[str, type[Rule]] = {
    "order_validation": OrderValidation, "position_limits": PositionLimits, "leverage": Leverage,
    "loss_limits": LossLimits, "stop_loss": StopLoss, "take_profit": TakeProfit, "circuit_breaker": CircuitBreaker,
    "drawdown": Drawdown, "loss_streak": LossStreak, "portfolio_heat": PortfolioHeat, "volatility": Volatility,
    "time_restrictions": TimeRestrictions, "correlation": Correlation, "alerts": Alerts,
}  # fmt: skip


def rule_called(name: str, keys: dict[str, Any]) -> Rule:
    """Return a rule of docs/risk.md with all its keys; durations become nanoseconds."""
    lasting = {key: nanoseconds(value) for key, value in keys.items() if key == "resume_after"}
    return RULES[name](name=name, **{**keys, **lasting})


def nanoseconds(duration: str) -> int:
    """Return a duration such as "15m", 0 for "none"."""
    seconds = {"m": 60, "h": 3_600, "d": 86_400}
    return 0 if duration == "none" else int(duration[:-1]) * seconds[duration[-1]] * 1_000_000_000


def sizing_called(name: str, keys: dict[str, Any]) -> Any:
    """Return a sizing rule of docs/risk.md as a function of an opening."""

    def size(order: Any) -> float:
        return SIZING[name](order, **keys)

    return size
