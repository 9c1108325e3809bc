"""`check_plugin`: every check that a plug-in of its kind must pass."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from framework.broker import Broker
from framework.data import Tape
from framework.errors import ConfigError
from framework.parameters import Plugin
from framework.risk import RiskRule, SizingRule
from framework.slippage import SlippageModel
from framework.strategy import Strategy
from framework.testing.broker import BrokerChecks
from framework.testing.report import Failed, Report, run_checks
from framework.testing.rules import RuleChecks
from framework.testing.slippage import SlippageChecks
from framework.testing.strategies import StrategyChecks


def check_plugin(cls: Any, *, params: Mapping[str, Any] | None = None, market: Tape | None = None,
                 interpreted: bool = False) -> Report:
    """Run the conformance kit on a class and return its report; `str(report)` is readable.

    cls: a strategy, slippage model, risk rule, sizing rule or broker; of other kinds (data sources, commands) only name
    and description are looked at.
    params: of the instance that runs; the defaults otherwise.  market: a tape to run on instead of the kit's own, for a
    strategy that trades in none of those.  interpreted: accept one that is not meant to be compiled.
    Raises ConfigError only for params that the class refuses; everything else is in the report.
    """
    given = dict(params or {})
    kinds: tuple[tuple[type[Plugin], str, Any], ...] = (
        (Strategy, "strategy", StrategyChecks), (SlippageModel, "slippage", SlippageChecks),
        (SizingRule, "sizing", RuleChecks), (RiskRule, "risk", RuleChecks))
    if inspect.isclass(cls) and issubclass(cls, Broker):
        if market is not None:
            raise ConfigError(f"check_plugin: the broker {cls.name!r} takes no market")
        cls.validate(given)
        broker = BrokerChecks(cls, given)
        return run_checks(f"broker {cls.name}", broker.checks(), broker.essential)
    for base, kind, checks in kinds:
        if inspect.isclass(cls) and issubclass(cls, base):
            if given:
                cls(**given)
            made = checks(cls, given, market, interpreted)
            return run_checks(f"{kind} {cls.name}", made.checks(), made.essential)
    if given or market is not None:
        raise ConfigError(f"check_plugin: {cls!r} takes neither parameters nor a market")
    return run_checks(f"plug-in {getattr(cls, 'name', cls)}", [("description", lambda: _described(cls))])


def _described(value: Any) -> str:
    """Return the first line of a description; Failed when there is no name or none."""
    if not getattr(value, "name", ""):
        raise Failed("it has no name")
    text = value.__doc__ or "" if inspect.isclass(value) else getattr(value, "help", None) or ""
    missing: frozenset[str] = getattr(value, "__abstractmethods__", frozenset())
    if missing:
        raise Failed(f"it does not implement {', '.join(sorted(missing))}")
    if not text.strip():
        raise Failed(f"{value!r} has no description; say in one line what it does")
    return str(text.strip().splitlines()[0])
