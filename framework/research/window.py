"""One run inside a window of time: warmed up before it, flat at its begin, and flat again at its end.

The positions that are left are closed by the engine itself, at the open of each symbol's last bar that closes inside
the window: a price that could be traded, with slippage, fees and participation like any other fill.  The strategy is
not asked any more from the close before that open on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from framework.backtest.config import Config
from framework.backtest.result import Records, Result
from framework.backtest.run import finish, put_together, result_of
from framework.boundary.adapter import RECORD, interpret_adapter
from framework.data.tape import Tape
from framework.engine.simulation import Simulation
from framework.indicators import ColumnCache
from framework.model.enums import EventKind, Status
from framework.strategy import cancel_all, close_position

IDS = {"orders": ("id", "parent"), "fills": ("id", "previous", "order_id"), "trades": ("id",), "open_trades": ("id",),
       "cash_flows": ("id",)}
"""Fields that number rows of a table, 0 for none."""


def leave(now: Any) -> None:
    """Cancel what works and close what is held."""
    cancel_all(now)
    if now.position.qty != 0.0:
        close_position(now)


def run_window(config: Config, tape: Tape, cache: ColumnCache | None = None, interpreted: bool = False,
               idle: bool = False) -> Result:
    """Run a configuration over [run] start to end and leave flat; the result is of the window only.

    Both ends have to be given. idle: never ask the strategies, so that the account only waits. Positions that could not
    be closed (no later bar of the symbol, no volume) stay open, marked at the last close. Raises
    ConfigError, PluginError or StrategyError.
    """
    start, end = config.run.start_ns, config.run.end_ns
    assert start is not None
    assert end is not None
    made = put_together(config, tape, interpreted, cache)
    simulation, keep = made.simulation, []
    stops = [(0, symbol) for symbol in range(tape.n_symbols)] if idle else last_decisions(tape, made.last)
    for event, symbol in stops:
        for _ in simulation.chunks(event):
            pass
        keep += leave_symbol(simulation, symbol)
    for _ in simulation.chunks(made.last):
        pass
    finish(simulation)
    result = result_of(config, tape, made.plans, made.rules, simulation, made.last, made.doubts, may_be_idle=True)
    logs = result.records
    inside = attrs.evolve(logs, marks=logs.marks[logs.marks["time"] >= start],
                          days=logs.days[logs.days["time"] >= start])
    return attrs.evolve(result, records=inside)


def last_decisions(tape: Tape, last: int) -> list[tuple[int, int]]:
    """Return, in the order of time, where each symbol is left: (first event of that instant, symbol).

    It is the close before the last of the symbol's bars that close before the event `last`.
    """
    found = []
    symbols, kinds = tape.event_symbol[:last], tape.event_kind[:last]
    for symbol in range(tape.n_symbols):
        closes = np.flatnonzero((symbols == symbol) & (kinds == EventKind.CLOSE))
        if closes.size > 1:
            time = tape.event_time[closes[-2]]
            found.append((int(np.searchsorted(tape.event_time, time, side="left")), symbol))
    return sorted(found)


def leave_symbol(simulation: Simulation, symbol: int) -> list[Any]:
    """Let `leave` decide for every slot of a symbol from now on; returns what has to be kept alive."""
    state = simulation.state
    keep = []
    for number in np.flatnonzero(state.slots["symbol"] == symbol):
        strategy = int(state.slots["strategy"][number])
        plug = simulation.plugs[strategy]
        adapter = interpret_adapter(leave, plug.dtype, RECORD)
        keep.append(adapter)
        if state.strategies["decide_all"][strategy] != 0:
            state.strategies["decide_all"][strategy] = 0
            state.slots["decide"][state.slots["strategy"] == strategy] = 0
        state.slots["decide"][number] = adapter.address
        for name in ("wake_flat", "wake_held", "asleep_until"):
            state.slots[name][number] = 0
    state.symbols["asleep_until"][symbol] = 0
    return keep


def stitch(config: Config, tape: Tape, parts: Sequence[Result]) -> Result:
    """Return one result of runs that follow each other in time, each begun with the capital of the one before.

    Tables are put one behind the other with rows numbered on; a day that two parts share is the later one's.
    """
    first, last = parts[0], parts[-1]
    tables: dict[str, list[np.ndarray]] = {field.name: [] for field in attrs.fields(Records)}
    ahead = dict.fromkeys(IDS, 0)
    for part in parts:
        for name, rows in tables.items():
            rows.append(getattr(part.records, name).copy())
        for name, fields in IDS.items():
            table = tables[name][-1]
            for field in fields:
                offset = ahead["orders" if field in ("parent", "order_id") else name]
                table[field][table[field] > 0] += offset
        for name in ahead:
            ahead[name] += len(tables[name][-1])
    joined = {name: np.concatenate(rows) for name, rows in tables.items()}
    days = joined["days"]
    joined["days"] = days[np.append(np.diff(days["day"]) != 0, True)] if len(days) else days
    counted = [attrs.asdict(part.counters) for part in parts]
    counters = type(first.counters)(**{name: sum(one[name] for one in counted) for name in counted[0]})
    ruined = [part.status for part in parts if part.status == Status.RUINED]
    return attrs.evolve(
        last, config=config.to_dict(), capital=first.capital, records=Records(**joined), first_close=first.first_close,
        counters=counters, status=ruined[0] if ruined else last.status, start=first.start, end=last.end,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)), prices=tape,
        fits=tuple(one for part in parts for one in part.fits), is_stitched=True)
