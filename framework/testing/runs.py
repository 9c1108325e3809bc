"""Run a plug-in over a tape as the kit does, and say where two runs part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees
from framework.backtest.fitting import Fitted
from framework.data import Tape
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.indicators import ColumnCache
from framework.model.enums import OrderKind, Reason, Role, Side, Verb
from framework.model.records import UNSET
from framework.risk import RiskRule, SizingRule
from framework.rules import PercentOfEquity
from framework.slippage import SlippageModel
from framework.strategy import Strategy

LOGS = ("orders", "refusals", "fills", "trades", "marks")
"""The tables in which two runs are compared, decisions first."""

Logs = Mapping[str, np.ndarray]


class OneUnit(SizingRule):
    """Open one unit, whatever the account holds."""

    name = "one_unit"

    @staticmethod
    def size(order: Any) -> float:
        """Return 1."""
        return 1.0


def simulate(strategy: Strategy, tape: Tape, *, interpreted: bool = False, symbols: tuple[str, ...] | None = None,
             sizing: SizingRule | None = None, rules: Sequence[RiskRule] = (), slippage: SlippageModel | None = None,
             capital: float = 1_000_000.0, leverage: float = 2.0, cache: ColumnCache | None = None,
             fitted: Fitted | None = None) -> Simulation:
    """Return a simulation of one strategy at the tape's first event, with fees of 5 basis points.

    fitted: its model, for a strategy with a fit.
    """
    terms = Terms(capital=capital, fees=Fees(taker_bps=5.0), account=Account(leverage=leverage))
    return compose(tape, [Plan(strategy, symbols, fitted)], sizing or PercentOfEquity(), rules, slippage, terms,
                   cache=cache, interpreted=interpreted)


def finished(simulation: Simulation, last: int | None = None) -> Logs:
    """Advance to the event `last` (default: the end) and return copies of all tables.

    Bars of fills are counted within their symbol, so that tapes of different lengths compare.
    """
    simulation.advance(simulation.events if last is None else last)
    logs = {name: np.array(rows) for name, rows in used_logs(simulation.state).items()}
    logs["fills"]["bar"] -= simulation.tape.series[logs["fills"]["symbol"]]
    return logs


def part_at(one: Logs, other: Logs, names: Sequence[str] = LOGS) -> tuple[str, int] | None:
    """Return the table and the row at which two runs first differ in any bit, None when they are equal.

    Of several tables, the one whose differing row is earliest in time counts.
    """
    found: list[tuple[int, int, str, int]] = []
    for order, name in enumerate(names):
        a, b = one[name], other[name]
        common = min(a.size, b.size)
        differing = np.flatnonzero(rows_differ(a[:common], b[:common]))
        if differing.size == 0 and a.size == b.size:
            continue
        row = int(differing[0]) if differing.size else common
        times = [int(table[time_field(name)][row]) for table in (a, b) if row < table.size]
        found.append((min(times), order, name, row))
    return min(found)[2:] if found else None


def rows_differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for each row of two equally long tables whether any bit of any field differs; padding does not count."""
    if one.dtype.names is not None:
        parts = [rows_differ(one[name], other[name]) for name in one.dtype.names]
        return np.asarray(np.logical_or.reduce(parts))
    rows = one.shape[0]
    raw = [np.ascontiguousarray(x).view(np.uint8).reshape(rows, x.nbytes // max(1, rows)) for x in (one, other)]
    return np.asarray((raw[0] != raw[1]).any(axis=1))


def time_field(name: str) -> str:
    """Return which field of a table says when its row came about."""
    return {"orders": "placed_time", "trades": "exit_time"}.get(name, "time")


def moment(time_ns: int) -> str:
    """Return a time as text, to the second, in UTC.

    >>> moment(0)
    '1970-01-01T00:00:00Z'
    """
    return f"{np.datetime_as_string(np.datetime64(int(time_ns), 'ns'), unit='s')}Z"


def describe(logs: Logs, name: str, row: int, symbols: Sequence[str]) -> str:
    """Return one row of a table in words, "nothing" when the table ends before it."""
    table = logs[name]
    if row >= table.size:
        return "nothing"
    one = table[row]
    at = moment(one[time_field(name)])
    if name == "marks":
        return f"equity {one['equity']!r} at {at}"
    where = f"of {symbols[int(one['symbol'])]} at {at}"
    side = Side(int(one["side"])).name.lower() if one["side"] else "an intent"
    if name == "orders":
        kind, role = OrderKind(int(one["kind"])).name.lower(), Role(int(one["role"])).name.lower()
        price = "" if one["price"] == UNSET else f" at {float(one['price'])!r}"
        return f"{side} {float(one['qty'])!r} ({kind} {role}{price}) {where}"
    if name == "refusals":
        reason = int(one["reason"])
        named = Reason(reason).name.lower() if reason < Reason.RULE else f"rule {reason - int(Reason.RULE)}"
        return f"{side} refused ({Verb(int(one['verb'])).name.lower()}, {named}) {where}"
    if name == "fills":
        return f"fill: {side} {float(one['qty'])!r} at {float(one['price'])!r} {where}"
    return f"trade: {side} with profit {float(one['pnl'])!r} {where}"


def difference(one: Logs, other: Logs, symbols: Sequence[str], called: tuple[str, str],
               names: Sequence[str] = LOGS) -> str:
    """Say in words where two runs part, "" when they do not; called: what the runs are called."""
    place = part_at(one, other, names)
    if place is None:
        return ""
    name, row = place
    told = f"{called[0]}: {describe(one, name, row, symbols)}; {called[1]}: {describe(other, name, row, symbols)}"
    a, b = one[name][row: row + 1], other[name][row: row + 1]
    if a.size and b.size:
        fields = [field for field in a.dtype.names or () if rows_differ(a[field], b[field])[0]]
        told += f" (differing: {', '.join(fields)})"
    return told
