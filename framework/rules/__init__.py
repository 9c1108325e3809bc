"""The sizing and risk rules that come with the framework, written as anybody's are; docs/risk.md describes each.

sizing       fixed_qty, fixed_notional, percent_of_equity, risk_per_trade, volatility_target, kelly
regime       regime
validation   order_validation
positions    position_limits
leverage     leverage
losses       loss_limits, loss_streak
protection   stop_loss, take_profit
breaker      circuit_breaker
drawdown     drawdown
heat         portfolio_heat
volatility   volatility
hours        time_restrictions
correlation  correlation
alerts       alerts
"""

from __future__ import annotations

from framework.risk import Rule
from framework.rules.alerts import Alerts
from framework.rules.breaker import CircuitBreaker
from framework.rules.correlation import Correlation
from framework.rules.drawdown import Drawdown
from framework.rules.heat import PortfolioHeat
from framework.rules.hours import TimeRestrictions
from framework.rules.leverage import Leverage
from framework.rules.losses import LossLimits, LossStreak
from framework.rules.positions import PositionLimits
from framework.rules.protection import StopLoss, TakeProfit
from framework.rules.regime import Regime
from framework.rules.sizing import FixedNotional, FixedQty, Kelly, PercentOfEquity, RiskPerTrade, VolatilityTarget
from framework.rules.validation import OrderValidation
from framework.rules.volatility import Volatility

__all__ = ["RULES", "Alerts", "CircuitBreaker", "Correlation", "Drawdown", "FixedNotional", "FixedQty", "Kelly",
           "Leverage", "LossLimits", "LossStreak", "OrderValidation", "PercentOfEquity", "PortfolioHeat",
           "PositionLimits", "Regime", "RiskPerTrade", "StopLoss", "TakeProfit", "TimeRestrictions", "Volatility",
           "VolatilityTarget"]

RULES: tuple[type[Rule], ...] = (
    PercentOfEquity, RiskPerTrade, Regime, FixedQty, FixedNotional, VolatilityTarget, Kelly,
    OrderValidation, PositionLimits, Leverage, LossLimits, StopLoss, TakeProfit, CircuitBreaker, Drawdown, LossStreak,
    PortfolioHeat, Volatility, TimeRestrictions, Correlation, Alerts,
)  # fmt: skip
