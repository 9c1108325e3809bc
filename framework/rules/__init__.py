"""The sizing and risk rules that come with the framework, written as anybody's are.

sizing      percent_of_equity, risk_per_trade
regime      regime
positions   position_limits
heat        portfolio_heat
drawdown    drawdown
"""

from __future__ import annotations

from framework.risk import Rule
from framework.rules.drawdown import Drawdown
from framework.rules.heat import PortfolioHeat
from framework.rules.positions import PositionLimits
from framework.rules.regime import Regime
from framework.rules.sizing import PercentOfEquity, RiskPerTrade

__all__ = ["RULES", "Drawdown", "PercentOfEquity", "PortfolioHeat", "PositionLimits", "Regime", "RiskPerTrade"]

RULES: tuple[type[Rule], ...] = (PercentOfEquity, RiskPerTrade, Regime, PositionLimits, PortfolioHeat, Drawdown)
