"""A trading framework: one compiled step for backtest, research and trading.

    import framework

    result = framework.backtest(data="sample", symbols=["AAPL", "MSFT"], strategy="ema_cross")
    result.stats

Everything an author of a strategy, a slippage model or a rule needs stands at the top level; indicators are in
`framework.indicators`, the conformance kit in `framework.testing`.  A name is imported when it is first used, so
`import framework` costs almost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backtest.api import backtest as backtest
    from framework.backtest.config import Config as Config
    from framework.backtest.config import load_config as load_config
    from framework.backtest.explain import explain as explain
    from framework.backtest.result import Result as Result
    from framework.boundary.jit import compiled as compiled
    from framework.broker import Broker as Broker
    from framework.data.source import DataSource as DataSource
    from framework.data.tape import Tape as Tape
    from framework.errors import ConfigError as ConfigError
    from framework.errors import DataError as DataError
    from framework.errors import FrameworkError as FrameworkError
    from framework.errors import PluginError as PluginError
    from framework.errors import StrategyError as StrategyError
    from framework.hookspecs import hookimpl as hookimpl
    from framework.model.instrument import Instrument as Instrument
    from framework.parameters import Param as Param
    from framework.research.audit import Audit as Audit
    from framework.research.audit import audit as audit
    from framework.research.monte_carlo import MonteCarloResult as MonteCarloResult
    from framework.research.monte_carlo import monte_carlo as monte_carlo
    from framework.research.optimize import optimize as optimize
    from framework.research.search import Search as Search
    from framework.research.walk_forward import Forward as Forward
    from framework.research.walk_forward import walk_forward as walk_forward
    from framework.risk import RiskRule as RiskRule
    from framework.risk import SizingRule as SizingRule
    from framework.slippage import SlippageModel as SlippageModel
    from framework.strategy import Now as Now
    from framework.strategy import Strategy as Strategy
    from framework.strategy import Train as Train
    from framework.strategy import buy as buy
    from framework.strategy import cancel as cancel
    from framework.strategy import cancel_all as cancel_all
    from framework.strategy import close_position as close_position
    from framework.strategy import move_stop as move_stop
    from framework.strategy import place_limit as place_limit
    from framework.strategy import place_stop as place_stop
    from framework.strategy import place_stop_limit as place_stop_limit
    from framework.strategy import sell as sell
    from framework.strategy import target as target

__all__ = [
    "Audit",
    "Broker",
    "Config",
    "ConfigError",
    "DataError",
    "DataSource",
    "Forward",
    "FrameworkError",
    "Instrument",
    "MonteCarloResult",
    "Now",
    "Param",
    "PluginError",
    "Result",
    "RiskRule",
    "Search",
    "SizingRule",
    "SlippageModel",
    "Strategy",
    "StrategyError",
    "Tape",
    "Train",
    "__version__",
    "audit",
    "backtest",
    "buy",
    "cancel",
    "cancel_all",
    "close_position",
    "compiled",
    "explain",
    "hookimpl",
    "load_config",
    "monte_carlo",
    "move_stop",
    "optimize",
    "place_limit",
    "place_stop",
    "place_stop_limit",
    "sell",
    "target",
    "walk_forward",
]

_HOME = {
    "framework.backtest.config": ("Config", "load_config"),
    "framework.backtest.explain": ("explain",),
    "framework.backtest.result": ("Result",),
    "framework.boundary.jit": ("compiled",),
    "framework.broker": ("Broker",),
    "framework.data.source": ("DataSource",),
    "framework.data.tape": ("Tape",),
    "framework.errors": ("ConfigError", "DataError", "FrameworkError", "PluginError", "StrategyError"),
    "framework.hookspecs": ("hookimpl",),
    "framework.model.instrument": ("Instrument",),
    "framework.parameters": ("Param",),
    "framework.research.monte_carlo": ("MonteCarloResult", "monte_carlo"),
    "framework.research.optimize": ("optimize",),
    "framework.research.audit": ("Audit", "audit"),
    "framework.research.search": ("Search",),
    "framework.research.walk_forward": ("Forward", "walk_forward"),
    "framework.risk": ("RiskRule", "SizingRule"),
    "framework.slippage": ("SlippageModel",),
    "framework.strategy": ("Now", "Strategy", "Train", "buy", "cancel", "cancel_all", "close_position", "move_stop",
                           "place_limit", "place_stop", "place_stop_limit", "sell", "target"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("trading-framework")
    if name == "backtest":
        return importlib.import_module("framework.backtest")
    module = _MODULE_OF.get(name)
    if module is None:
        from framework.errors import did_you_mean

        raise AttributeError(f"module 'framework' has no attribute {name!r}{did_you_mean(name, __all__)}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
