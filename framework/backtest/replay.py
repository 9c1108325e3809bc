"""One bar of a recorded run again, with everything that happened at it kept: the run's own step, watched.

The simulation is put together from the recording and driven to the close of one bar.  For that one instant the
decisions are called as plain Python through a function that keeps what they were shown and what they asked for; the
step itself is the same.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from framework.backtest.compose import COSTLY
from framework.backtest.frames import Namer
from framework.backtest.recorded import Recorded, again
from framework.backtest.run import Parts
from framework.boundary.adapter import RECORDS, plain_function
from framework.data.series import format_time
from framework.data.source import time_ns
from framework.data.tape import Tape
from framework.engine import layout
from framework.engine.simulation import Plug, Simulation
from framework.engine.state import used_logs
from framework.errors import ConfigError, did_you_mean
from framework.model.enums import EventKind, Status

DAY = 86_400_000_000_000

Progress = Callable[[int, int], None]


@attrs.frozen(eq=False)
class Asked:
    """One slot's `now` as the decision found it and as it left it, and the strategy's name of each indicator."""

    before: np.void
    after: np.void


@attrs.frozen(eq=False)
class Book:
    """What there was at one point of a run.

    orders: the working ones by slot, WORK rows.  logged: how many rows the logs of orders, fills, refusals and cash
    flows had.
    """

    orders: dict[int, np.ndarray]
    logged: Mapping[str, int]


@attrs.frozen(eq=False)
class Moment:
    """A simulation just after the close of one bar, and what was kept on the way through the bar.

    bar: its row in the tape.  earlier: what there was behind the close of the symbol's bar before; at_close: before the
    close of this one.  asleep: per slot the row of the bar at which it is asked next.  asked: by slot.  halted_by: the
    rules that had everything closed at the mark of this close.  was_over: whether the run had ended before.
    """

    parts: Parts
    namer: Namer
    symbol: int
    bar: int
    earlier: Book
    at_close: Book
    asleep: dict[int, int]
    asked: dict[int, Asked]
    halted_by: tuple[str, ...]
    was_over: bool
    start: int | None
    end: int | None
    notes: tuple[str, ...]

    @property
    def tape(self) -> Tape:
        """The data of the run."""
        return self.parts.tape

    @property
    def simulation(self) -> Simulation:
        """The simulation, behind the close of the bar."""
        return self.parts.simulation

    @property
    def slots(self) -> list[int]:
        """The slots of the symbol."""
        return [int(slot) for slot in np.flatnonzero(self.simulation.state.slots["symbol"] == self.symbol)]

    @property
    def open_time(self) -> int:
        """When the bar opened, ns UTC."""
        return int(self.tape.open_time[self.bar])

    @property
    def close_time(self) -> int:
        """When the bar closed, ns UTC."""
        return int(self.tape.close_time[self.bar])

    @property
    def index(self) -> int:
        """The place of the bar among those of its symbol, from 0."""
        return self.bar - int(self.tape.series[self.symbol])


def replay(run: Recorded, symbol: str, at: str, *, data_folder: Path | None = None, any_version: bool = False,
           tape: Tape | None = None, progress: Progress | None = None) -> Moment:
    """Drive a recorded run to the close of one bar and watch it.

    at: a date, for the last bar that closed on that day, or a time: the bar that closes at it, else the one within
    which it lies.  Raises ConfigError for a symbol or a time without a bar, and what `again` raises.
    """
    check_symbol(run, symbol)
    config, parts, notes = again(run, data_folder, any_version, tape)
    number = parts.tape.symbol_index(symbol)
    bar = bar_at(parts.tape, number, at)
    simulation = parts.simulation
    close = int(np.searchsorted(parts.tape.event_time, int(parts.tape.close_time[bar]), side="left"))
    end = parts.last
    last = min(close, end)
    slots = [int(slot) for slot in np.flatnonzero(simulation.state.slots["symbol"] == number)]
    books = []
    for point in (min(beginning_of(parts.tape, number, bar), last), last):
        for done in simulation.chunks(point):
            if progress is not None:
                progress(done, last)
        books.append(book_of(simulation, slots))
    was_over = simulation.status != Status.RUNNING or end <= close
    asked: dict[int, Asked] = {}
    checks = simulation.state.checks
    checks["flattens"] = 0
    if not was_over:
        for place, plug in enumerate(simulation.plugs):
            if plug.kind == layout.FAULT_DECIDE and not (plug.at or frozenset()).isdisjoint(slots):
                simulation.plugs[place] = watched(plug, simulation, asked)
        simulation.step()
    halted_by = tuple(parts.rules[int(number)].name for number in np.flatnonzero(checks["flattens"]))
    asleep = {slot: int(simulation.state.slots["asleep_until"][slot]) for slot in slots}
    tags = [("", *parts.plans[int(slot["strategy"])].strategy.tags) for slot in simulation.state.slots]
    owners = [(parts.plans[int(slot["strategy"])].label, parts.tape.symbols[int(slot["symbol"])])
              for slot in simulation.state.slots]
    multipliers = np.array([instrument.multiplier for instrument in parts.tape.instruments])
    namer = Namer(parts.tape.symbols, owners, tags, [rule.name for rule in parts.rules[1:]], multipliers)
    moment = Moment(parts, namer, number, bar, books[0], books[1], asleep, asked, halted_by, was_over,
                    config.run.start_ns, config.run.end_ns, tuple(notes))
    return attrs.evolve(moment, notes=(*notes, *unfaithful(run, moment)))


def check_symbol(run: Recorded, symbol: str) -> None:
    """Raise ConfigError for a symbol that a run has not."""
    if symbol not in run.symbols:
        raise ConfigError(f"no symbol {symbol!r} in the run{did_you_mean(symbol, run.symbols)}; it has: "
                          f"{', '.join(run.symbols)}")


def beginning_of(tape: Tape, symbol: int, bar: int) -> int:
    """Return the event behind the close of the symbol's bar before, 0 for its first bar."""
    if bar == int(tape.series[symbol]):
        return 0
    time = int(tape.close_time[bar - 1])
    first, last = (int(np.searchsorted(tape.event_time, time, side)) for side in ("left", "right"))
    return first + int(np.count_nonzero(tape.event_kind[first:last] == EventKind.CLOSE))


def book_of(simulation: Simulation, slots: Sequence[int]) -> Book:
    """Return what there is now in some slots."""
    state = simulation.state
    return Book({slot: state.working[slot, : int(state.slots["working"][slot])].copy() for slot in slots},
                {name: int(state.account[name][0]) for name in ("orders", "fills", "refusals", "cash_flows")})


def watched(plug: Plug, simulation: Simulation, asked: dict[int, Asked]) -> Plug:
    """Bind a decision in plain Python that keeps what it is shown and what it leaves, and is shown everything."""
    decide, nows = plain_function(plug.function), simulation.nows
    at = {nows.address(slot): slot for slot in plug.at or ()}

    def keeping(shown: Any) -> None:
        views = list(shown) if plug.form == RECORDS else [shown]
        before = [copy_of(view, plug.dtype) for view in views]
        decide(shown)
        for view, found in zip(views, before, strict=True):
            asked[at[ctypes.addressof(view)]] = Asked(found, copy_of(view, plug.dtype))

    fresh = attrs.evolve(plug, function=keeping, interpreted=True)
    fresh.bind(simulation.state)
    simulation.state.slots["uses"][sorted(plug.at or ())] |= sum(COSTLY)
    return fresh


def copy_of(view: Any, dtype: np.dtype) -> np.void:
    """Return a copy of the record behind a view."""
    memory = (ctypes.c_uint8 * dtype.itemsize).from_address(ctypes.addressof(view))
    record: np.void = np.frombuffer(bytearray(memory), dtype)[0]
    return record


def bar_at(tape: Tape, symbol: int, at: str, end: int | None = None) -> int:
    """Return the row of the bar of a symbol at a date or time, see `replay`; ConfigError when there is none.

    end: of a date on which bars close before it, ns UTC, only those count.
    """
    rows = tape.rows(symbol)
    opens, closes, name = tape.open_time[rows], tape.close_time[rows], tape.symbols[symbol]
    moment = time_ns(at, "--at")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", at):
        day = date.fromisoformat(at).toordinal() - date(1970, 1, 1).toordinal()
        place = int(np.searchsorted(tape.account_day[rows], day, side="right")) - 1
        if place >= 0 and tape.account_day[rows][place] == day:
            within = place if end is None else min(place, int(np.searchsorted(closes, end, side="left")) - 1)
            return int(rows.start) + (within if within >= 0 and tape.account_day[rows][within] == day else place)
    else:
        place = int(np.searchsorted(closes, moment, side="left"))
        if place < len(closes) and (closes[place] == moment or opens[place] <= moment):
            return int(rows.start) + place
    before, after = int(np.searchsorted(closes, moment, side="left")) - 1, int(np.searchsorted(opens, moment, "left"))
    near = [f"the bar before closed at {format_time(int(closes[before]))}"] if before >= 0 else []
    near += [f"the next one opened at {format_time(int(opens[after]))}"] if after < len(opens) else []
    raise ConfigError(f"no bar of {name} at {at}: {', '.join(near) or 'it has no bars'}; its bars reach from "
                      f"{format_time(int(opens[0]))} to {format_time(int(closes[-1]))}, times are UTC")


def written_until(moment: Moment) -> int:
    """Return the time before which every fill has been written by the moment.

    With finer bars this is the earliest open of a bar in progress: fills inside it come to light at its close.
    """
    tape, until = moment.tape, moment.close_time
    if tape.details is None:
        return until
    return int(min(tape.open_time[(tape.open_time < until) & (tape.close_time > until)], default=until))


def unfaithful(run: Recorded, moment: Moment) -> list[str]:
    """Return the note that the repetition is not what was recorded; none when fills, orders and refusals are."""
    import polars as pl

    logs, namer = used_logs(moment.simulation.state), moment.namer
    fixed = ["id", "parent", "strategy", "symbol", "side", "placed_time", "qty"]
    until = pl.lit(moment.close_time)
    order_time, time = pl.col("placed_time").dt.timestamp("ns"), pl.col("time").dt.timestamp("ns")
    for name, made, is_due in (
        ("orders", namer.orders(logs["orders"]).select(fixed), (order_time <= until) & (pl.col("parent") == 0)),
        ("refusals", namer.refusals(logs["refusals"]), time <= until),
        ("fills", namer.fills(logs["fills"]), time < pl.lit(written_until(moment))),
    ):
        recorded = run.table(name).select(made.columns)
        if recorded.head(len(made)).equals(made) and not recorded.slice(len(made)).filter(is_due).height:
            continue
        return [f"the repetition is not what was recorded: its {name} differ by then, so that what is said here need "
                "not be what happened; a plug-in may depend on something beside its inputs"]
    return []
