"""Tell when limits are near, before they bite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from framework.errors import ConfigError
from framework.risk import Param, RiskRule

CHANNELS: dict[str, Any] = {"email_notifications": False, "sms_notifications": False, "alert_webhook_url": ""}
"""Keys that name ways to reach a person, with the one value that they may have."""


class Alerts(RiskRule):
    """Tell when what another rule measures reaches a share of its limit; let everything through.

    Measured are, at each opening that reaches the rule, position_limits, portfolio_heat and leverage as positions, and
    loss_limits, loss_streak, circuit_breaker and drawdown as losses, these whenever they look at a mark as well. A
    backtest counts them in the notes of its result.
    """

    name = "alerts"
    position_limit_alert_threshold = Param(80.0, low=1.0, high=100.0, unit="percent",
                                           doc="percent of a limit on positions")
    loss_limit_alert_threshold = Param(80.0, low=1.0, high=100.0, unit="percent", doc="percent of a limit on losses")

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; channels of delivery may be named as long as they are off."""
        for name, off in CHANNELS.items():
            if params.get(name, off) != off or isinstance(params.get(name, off), bool) != isinstance(off, bool):
                raise ConfigError(f"{cls.name}: {name} = {params[name]!r} is not available: a rule tells those who "
                                  f"observe the run; leave {name} out, or off")
        values: dict[str, Any] = super().validate({k: v for k, v in params.items() if k not in CHANNELS})
        return values

    def threshold(self, kind: str) -> float:
        """Return the share of a limit of this kind, "position" or "loss", at which it is told; inf for any other."""
        percent = self.values().get(f"{kind}_limit_alert_threshold")
        return math.inf if percent is None else float(percent) / 100.0
