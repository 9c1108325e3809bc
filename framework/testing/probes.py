"""Call a plug-in's function on records made for the purpose, compiled or as plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.boundary.adapter import FAULT, Adapter, compile_adapter, interpret_adapter
from framework.boundary.address import CALLBACK
from framework.boundary.jit import JIT
from framework.engine.simulation import first_line
from framework.model.records import UNSET
from framework.strategy import Now, Param, Strategy, buy, close_position, sell
from framework.testing.report import Failed

ACCEPT = "it works, slower; check_plugin(cls, interpreted=True) accepts that"


class Churn(Strategy):
    """Enter every few bars, long and short by turns and as sizing says, with a stop; leave two bars later."""

    name = "churn"
    every = Param(5, low=3, high=1_000)
    stop = Param(0.05, low=0.001, high=0.5, doc="distance of the stop, fraction of the close")
    state = {"bars": 0}  # noqa: RUF012 - declared as an author would

    @staticmethod
    def decide(now: Now) -> None:
        """Count bars, enter and leave."""
        now.state.bars += 1
        turn = now.state.bars % (2 * now.p.every)
        if turn == 1:
            buy(now, stop=now.bar.close * (1.0 - now.p.stop))
        elif turn == 1 + now.p.every:
            sell(now, stop=now.bar.close * (1.0 + now.p.stop))
        elif now.position.qty != 0.0 and (turn == 3 or turn == 3 + now.p.every):
            close_position(now)


def call(adapter: Adapter, records: np.ndarray) -> None:
    """Call a function on every record, in place; Failed with what it raised."""
    function = CALLBACK(adapter.address)
    for i in range(records.shape[0]):
        if function(records.ctypes.data + i * records.dtype.itemsize) == FAULT:
            fault = adapter.take_fault()
            what = f"{type(fault).__name__}: {fault}" if fault is not None else "an exception"
            raise Failed(f"it raised {what} for {shown(records[i])}")


def called(function: Callable[..., Any], records: np.ndarray, form: str, compiled: bool = False) -> np.ndarray:
    """Return copies of the records after a function has been called on each."""
    after = records.copy()
    make = compile_adapter if compiled else interpret_adapter
    call(make(function, records.dtype, form), after)
    return after


def check_compiles(owner: str, function: Callable[..., Any], dtype: np.dtype, form: str) -> str:
    """Return "" when a function compiles; Failed says why it does not."""
    if not JIT:
        return "not looked at: the compiler is switched off"
    try:
        compile_adapter(function, dtype, form)
    except Exception as error:
        raise Failed(f"{owner} does not compile: {first_line(error)}\n{ACCEPT}") from error
    return ""


def fill_orders(records: np.ndarray, seed: int) -> None:
    """Write plausible openings into ORDER_CHECK records: all sizes, both sides, with and without a stop."""
    rng = np.random.default_rng(seed)
    count = records.shape[0]
    entry = 10.0 ** rng.uniform(-4, 5, count)
    side = rng.choice([-1, 1], count)
    qty = 10.0 ** rng.uniform(-3, 5, count)
    equity = 10.0 ** rng.uniform(2, 8, count)
    records["qty"] = records["allowed"] = qty
    records["reference"] = entry * (1.0 - side * rng.choice([0.0, 0.001, 0.01], count))
    records["entry"], records["side"], records["kind"] = entry, side, rng.integers(0, 3, count)
    records["stop"] = np.where(rng.random(count) < 0.3, UNSET, entry * (1.0 - side * rng.uniform(0.001, 0.3, count)))
    records["target"] = np.where(rng.random(count) < 0.5, UNSET, entry * (1.0 + side * rng.uniform(0.001, 0.3, count)))
    for name in ("position_qty", "symbol_qty", "symbol_pending"):
        records[name] = qty * rng.choice([0.0, 0.5, 2.0, -1.0], count)
    records["symbol_committed"] = rng.integers(0, 2, count)
    records["committed_positions"] = rng.integers(0, 8, count)
    records["available"] = equity * rng.uniform(0, 1, count)
    records["heat"], records["working_notional"] = equity * rng.uniform(0, 0.5, (2, count))
    records["slot_heat"] = records["heat"] * rng.uniform(0, 1, count)
    records["correlation"] = rng.uniform(-1, 1, count)
    for name in ("trail", "trail_after", "held_stop", "held_target"):
        records[name] = np.where(rng.random(count) < 0.6, UNSET, entry * rng.uniform(0.001, 0.3, count))
    for name, values in (("open", entry), ("high", 1.1 * entry), ("low", 0.9 * entry), ("close", entry)):
        records["bar"][name] = values
    records["bar"]["volume"] = qty * 10.0
    account = records["account"]
    account["equity"] = account["cash"] = account["buying_power"] = equity
    account["exposure"] = equity * rng.uniform(0, 2, count)
    account["peak"] = equity * rng.uniform(1.0, 1.5, count)
    account["drawdown"] = 1.0 - equity / account["peak"]
    account["day_start_equity"] = equity * rng.uniform(0.9, 1.1, count)
    account["open_positions"] = records["committed_positions"]
    records["clock"]["time_ns"] = 1_577_836_800_000_000_000 + np.arange(count) * 3_600_000_000_000
    records["clock"]["minute"], records["clock"]["weekday"] = rng.integers(0, 1440, count), rng.integers(0, 7, count)
    records["instrument"]["multiplier"] = rng.choice([1.0, 1.0, 50.0], count)
    records["instrument"]["lot"] = 1e-8
    records["alert_at"] = np.where(np.arange(count) % 2 == 0, 0.8, math.inf)
    fill_past(records, rng)
    for name in (records.dtype["ind"].names or ()) if "ind" in (records.dtype.names or ()) else ():
        records["ind"][name] = np.where(rng.random(count) < 0.1, math.nan, 10.0 ** rng.uniform(-2, 2, count))


def fill_past(records: np.ndarray, rng: np.random.Generator) -> None:
    """Write plausible days, weeks, months and round trips into ORDER_CHECK records."""
    count = records.shape[0]
    past, trips = records["past"], records["trips"]
    past["day"] = 18_262 + np.arange(count) // 24
    past["week"], past["month"] = (past["day"] + 3) // 7, past["day"] // 30
    for name in ("week_start_equity", "month_start_equity"):
        past[name] = records["account"]["equity"] * rng.uniform(0.8, 1.2, count)
    past["round_trips"], past["losing_streak"] = rng.integers(0, 200, count), rng.integers(0, 8, count)
    past["trades_today"] = rng.integers(0, 60, count)
    past["last_exit_time"] = records["clock"]["time_ns"] - 60_000_000_000 * rng.integers(0, 500, count)
    trips["wins"], trips["losses"] = rng.integers(0, 60, (2, count))
    trips["count"] = trips["wins"] + trips["losses"]
    trips["won"], trips["lost"] = trips["wins"] * 10.0, trips["losses"] * 8.0


def shown(record: Any) -> str:
    """Return a record's plain numbers in words."""
    parts = record.dtype
    names = [name for name in parts.names or () if parts[name].names is None and not parts[name].shape]
    return ", ".join(f"{name} {record[name].item()!r}" for name in names if record[name] != 0)
