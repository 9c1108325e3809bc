"""Every hook that a plug-in can implement, on one page.

A plug-in is a module or object that an installed distribution names under the entry-point group ``framework``:

    [project.entry-points.framework]
    trend = "framework_strategy_trend"

Its functions carry ``@framework.hookimpl`` and the name of a hook below.  A hook may take fewer arguments than its
specification; arguments may be added here later without breaking anybody.  No hook is called inside the compiled loop.

The ``register_...`` hooks take nothing and return a list of classes.  Import those classes inside the hook, not at the
top of the module: then the command line stays quick.  The others are observers: they are told, and return nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from framework.broker import Broker
    from framework.data.source import DataSource
    from framework.risk import RiskRule, SizingRule
    from framework.slippage import SlippageModel
    from framework.strategy import Strategy

PROJECT = "framework"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Mark a function of a plug-in as the implementation of the hook of the same name."""


@attrs.frozen
class Session:
    """What an observer is told about the run that it observes.

    driver: "backtest".  name: the run's name.  config: the whole configuration as a plain dict.
    """

    driver: str
    name: str
    config: Mapping[str, Any]


@hookspec
def register_strategies() -> list[type[Strategy]]:  # type: ignore[empty-body]
    """Return the strategy classes of this package, each under its class attribute `name`."""


@hookspec
def register_slippage_models() -> list[type[SlippageModel]]:  # type: ignore[empty-body]
    """Return the slippage models of this package: what a fill costs beyond its reference price."""


@hookspec
def register_risk_rules() -> list[type[RiskRule] | type[SizingRule]]:  # type: ignore[empty-body]
    """Return the risk rules and the sizing rules of this package."""


@hookspec
def register_brokers() -> list[type[Broker]]:  # type: ignore[empty-body]
    """Return the brokers of this package: the venues that a trading session can send orders to."""


@hookspec
def register_data_sources() -> list[type[DataSource]]:  # type: ignore[empty-body]
    """Return the data sources of this package, each usable as ``[data] source``."""


@hookspec
def register_commands() -> list[click.Command]:  # type: ignore[empty-body]
    """Return the verbs that this package adds to the command line; their names must be free."""


@hookspec
def session_started(session: Session) -> None:
    """Hear that a run begins, before its first bar."""


@hookspec
def order_updated(session: Session, order: Mapping[str, Any]) -> None:
    """Hear of one order's change of state; told by trading sessions, while a backtest keeps a table of orders."""


@hookspec
def fill_recorded(session: Session, fill: Mapping[str, Any]) -> None:
    """Hear of one execution; told by trading sessions, while a backtest keeps a table of fills."""


@hookspec
def session_finished(session: Session, result: Any) -> None:
    """Hear that a run has ended; result is the `framework.Result` of a backtest."""
