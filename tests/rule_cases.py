"""What tests of rules share: one opening as a rule sees it, a scripted strategy and runs of it over prices made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.backtest.compose import Plan, Terms, columns_of_rule, compose
from framework.boundary.view import view_at
from framework.data import BarSeries, Tape, build_tape
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.indicators import ColumnCache
from framework.model.instrument import Instrument
from framework.model.records import UNSET
from framework.risk import RiskRule, Rule, SizingRule, check_dtype, store_rule
from framework.rules import PercentOfEquity
from framework.slippage import SlippageModel

MINUTE = 60_000_000_000
DAY = 86_400_000_000_000

DEFAULTS = {"qty": 100.0, "reference": 10.0, "entry": 10.0, "stop": UNSET, "target": UNSET, "side": 1,
            "equity": 10_000.0, "peak": 10_000.0, "day_start_equity": 10_000.0, "week_start_equity": 10_000.0,
            "month_start_equity": 10_000.0, "multiplier": 1.0, "correlation": -1.0, "trail": UNSET,
            "trail_after": UNSET, "held_stop": UNSET, "held_target": UNSET, "alert_at": np.inf}  # fmt: skip
"""An opening of 100 at 10 with equity 10,000 in an account without a past."""

PARTS = ("ind", "account", "past", "trips", "clock", "instrument", "bar")


class Opening:
    """One opening in a record of the rule's own layout; fields of its parts are set by their own names."""

    def __init__(self, rule: type[Rule], params: dict[str, Any] | None = None, **fields: Any) -> None:
        self.rule = rule(**params or {})
        one = flat_tape([1.0, 1.0])
        names = tuple(columns_of_rule(self.rule, one, ColumnCache(), range(one.n_symbols)))
        self.memory = np.zeros(1, check_dtype(self.rule, names))
        store_rule(self.rule, self.memory[0])
        self.order = view_at(self.memory.ctypes.data, self.memory.dtype)
        self.set(**{**DEFAULTS, **fields})

    def set(self, **fields: Any) -> None:
        """Set fields wherever they stand; an unknown one is an error of the test.

        Exposure is that of one strategy: nothing of it is hedged by another.
        """
        if "exposure" in fields:
            fields.setdefault("carried", fields["exposure"])
        for name, value in fields.items():
            dtype = self.memory.dtype
            holders = [self.order] if name in dtype.names else [
                getattr(self.order, part) for part in PARTS if part in dtype.names and name in dtype[part].names]
            assert holders, name
            setattr(holders[0], name, value)
        self.order.allowed = self.order.qty
        self.order.account.drawdown = 1.0 - self.order.account.equity / self.order.account.peak

    def watch(self, **fields: Any) -> Any:
        """Let the rule see a mark; return the order."""
        self.set(**fields)
        self.order.alarm_below, self.order.alarm_above = np.inf, np.inf
        self.order.flattens = 0
        self.rule.watch(self.order)  # type: ignore[attr-defined]
        return self.order

    def check(self, **fields: Any) -> tuple[float, float, float]:
        """Ask the rule; return what it allows, with the value it measured and its limit."""
        self.set(**fields)
        self.order.refused, self.order.value, self.order.limit, self.order.nearness = 0, 0.0, 0.0, 0.0
        self.rule.check(self.order)  # type: ignore[attr-defined]
        return (0.0 if self.order.refused else self.order.allowed), self.order.value, self.order.limit

    def size(self) -> float:
        """Return the quantity of a sizing rule."""
        return float(self.rule.size(self.order))  # type: ignore[attr-defined]

    def protect(self) -> Any:
        """Let the rule protect the opening; return the order."""
        self.rule.protect(self.order)  # type: ignore[attr-defined]
        return self.order


def checked(rule: type[Rule], params: dict[str, Any] | None = None, **fields: Any) -> tuple[float, float, float]:
    """Return what a rule allows of an opening, with the value it measured and its limit."""
    return Opening(rule, params, **fields).check()


def sized(rule: type[Rule], params: dict[str, Any] | None = None, **fields: Any) -> float:
    """Return the quantity of a sizing rule for an opening."""
    return Opening(rule, params, **fields).size()


class Script(Strategy):
    """Buy `qty` (0: as sizing says) at bar `enter`, again at bar `again`; close at bar `leave`."""

    name = "script"
    qty = Param(10.0, low=0.0, high=1e9)
    enter = Param(1, low=-1, high=1_000)
    again = Param(-1, low=-1, high=1_000)
    leave = Param(-1, low=-1, high=1_000)
    stop = Param(0.0, low=0.0, high=1e9)
    side = Param(1, low=-1, high=1)
    state = {"bar": -1}  # noqa: RUF012 - declared as an author would

    @staticmethod
    def decide(now: Now) -> None:
        """Act at the bars of the script."""
        now.state.bar += 1
        bar = now.state.bar
        if bar == now.p.leave:
            close_position(now)
        elif bar == now.p.enter or bar == now.p.again:
            if now.p.side < 0:
                sell(now, qty=now.p.qty)
            elif now.p.qty == 0.0:
                buy(now, stop=now.p.stop)
            elif now.p.stop > 0.0:
                buy(now, qty=now.p.qty, stop=now.p.stop)
            else:
                buy(now, qty=now.p.qty)


def acting(actions: dict[int, Callable[[Any], None]]) -> Strategy:
    """Return a strategy, for interpreted runs, that calls one function at each of some bars of a symbol."""

    def decide(now: Any) -> None:
        now.state.bar += 1
        if now.state.bar in actions:
            actions[now.state.bar](now)

    own = {"name": "acting", "state": {"bar": -1}, "decide": staticmethod(decide)}
    made: Strategy = type("Acting", (Strategy,), own)()
    return made


def flat_tape(closes: Sequence[float], symbols: tuple[str, ...] = ("A",), step: int = DAY, start: int = 0,
              spread: float = 0.0) -> Tape:
    """Return bars from `start` on that open at the close before and reach `spread` beyond both prices."""
    close = np.array(closes, float)
    opened = np.concatenate(([close[0]], close[:-1]))
    time = start + np.arange(close.size, dtype=np.int64) * step
    timeframe = "1d" if step == DAY else f"{step // MINUTE}m"
    high, low = np.maximum(opened, close) + spread, np.minimum(opened, close) - spread
    return build_tape([BarSeries(Instrument(symbol, lot=1.0), timeframe, time, time + step, opened, high, low, close,
                                 np.ones(close.size)) for symbol in symbols])  # fmt: skip


def composed(tape: Tape, rules: Sequence[RiskRule], strategy: Strategy, sizing: SizingRule | None = None,
             slippage: SlippageModel | None = None, terms: Terms | None = None, *,
             interpreted: bool = True) -> Simulation:
    """Return a simulation with 10,000 in cash at its first event."""
    return compose(tape, [Plan(strategy)], sizing or PercentOfEquity(), list(rules), slippage,
                   terms or Terms(capital=10_000.0), interpreted=interpreted)


def logs_of(simulation: Simulation) -> dict[str, np.ndarray]:
    """Run a simulation to its end and return copies of its tables."""
    simulation.advance(simulation.events)
    return {name: rows.copy() for name, rows in used_logs(simulation.state).items()}


def run_of(closes: Sequence[float], rules: Sequence[RiskRule], sizing: SizingRule | None = None,
           symbols: tuple[str, ...] = ("A",), **params: Any) -> dict[str, np.ndarray]:
    """Return the tables of a run of the script over daily closes."""
    return logs_of(composed(flat_tape(closes, symbols), rules, Script(**params), sizing))
