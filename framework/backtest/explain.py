"""Why there was or was no trade at one bar of a run: what was known, asked, intended, refused, ordered and filled.

The answer is a document of plain values; `framework.backtest.explain_text` says it in sentences.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framework import plugins
from framework.backtest.compose import WAKES, names_of, symbols_named, wake_of
from framework.backtest.explain_orders import (
    Working,
    cash_flows_of,
    fills_of_bar,
    lifetime_of,
    name_of,
    orders_ended,
    orders_made,
    orders_placed,
    refusals_of,
    set_numbers,
    tag_of,
)
from framework.backtest.explain_text import lines, verdict_of_slot
from framework.backtest.plain import plain
from framework.backtest.recorded import (
    Recorded,
    is_stitched,
    legs_end,
    load_recorded,
    of_result,
    open_run,
    refuse_stitched,
)
from framework.backtest.replay import Asked, Moment, bar_at, check_symbol, replay
from framework.data.series import FIELDS, format_time
from framework.data.tape import Tape
from framework.model.enums import OrderKind, Role, Side, Status, Verb
from framework.model.records import UNSET

if TYPE_CHECKING:
    from framework.backtest.result import Result

OVER, RUINED, WINDOW, WARM_UP, ASLEEP, ASKED = "over", "ruined", "window", "warm-up", "asleep", "asked"
"""Why a strategy was or was not asked."""

NUMBERS = ("qty", "weight", "price", "limit", "stop", "stop_offset", "target", "target_offset", "trail", "trail_after")
"""The optional numbers of an intent."""

Progress = Callable[[int, int], None]


class Explanation(dict[str, Any]):
    """What happened at one bar, as plain values; printed, it is sentences."""

    def __str__(self) -> str:
        return "\n".join(lines(self))


def explain(run: Recorded | Result | str | Path, symbol: str, at: str, *, data_folder: Path | None = None,
            any_version: bool = False, progress: Progress | None = None) -> Explanation:
    """Return what happened to a symbol at one bar of a run; ``framework explain --json`` writes it.

    run: a run folder, or the result of a run that was made here. at: a date (the last bar that closed on that day) or
    a time: the bar that closes at it, else the one within which it lies. data_folder: what relative paths of the data
    start from, if not as recorded. any_version: go on when versions differ.
    Raises ConfigError for an unknown run, symbol or time and for other versions, DataError for other data.
    """
    recorded = recorded_run(run)
    if is_stitched(recorded):
        refuse_stitched(recorded, at, close_at(recorded, symbol, at, data_folder))
    tape = recorded.result.prices if recorded.result is not None else None
    moment = replay(recorded, symbol, at, data_folder=data_folder, any_version=any_version,
                    tape=tape if isinstance(tape, Tape) else None, progress=progress)
    document: Any = plain(describe(recorded, moment))
    return Explanation(document)


def close_at(run: Recorded, symbol: str, at: str, data_folder: Path | None) -> int:
    """Return when the bar closes that a date or time means in a stitched run, ns UTC.

    A date on which the last test ends means its last bar in that test. Raises as `replay` does.
    """
    check_symbol(run, symbol)
    config = run.config(data_folder)
    plugins.use(config.plugins.allow)
    tape = load_recorded(run, config)
    return int(tape.close_time[bar_at(tape, tape.symbol_index(symbol), at, legs_end(run))])


def recorded_run(run: Recorded | Result | str | Path) -> Recorded:
    """Return a run by its folder, its name or its result."""
    if isinstance(run, Recorded):
        return run
    return open_run(run) if isinstance(run, str | Path) else of_result(run)


def describe(run: Recorded, moment: Moment) -> dict[str, Any]:
    """Return the whole document of one moment."""
    tape, account = moment.tape, moment.simulation.state.account[0]
    slots = [slot_facts(run, moment, slot) for slot in moment.slots]
    for slot in slots:
        slot["verdict"] = verdict_of_slot(slot)
    rows = tape.rows(moment.symbol)
    bar = {"number": moment.index + 1, "of": rows.stop - rows.start, "timeframe": tape.timeframes[moment.symbol],
           "open_time": format_time(moment.open_time), "close_time": format_time(moment.close_time),
           **{name: float(getattr(tape, name)[moment.bar]) for name in FIELDS}}
    told = {name: float(account[name]) for name in ("equity", "cash", "exposure", "peak")}
    told["drawdown"] = 1.0 - told["equity"] / told["peak"] if told["peak"] > 0 else 0.0
    return {
        "run": str(run.folder),
        "symbol": tape.symbols[moment.symbol],
        "at": bar["close_time"],
        "bar": bar,
        "account": told | {"open_positions": int(account["open_positions"]), "cash_flows": cash_flows_of(moment, -1)},
        "slots": slots,
        "verdict": "; ".join(f"{slot['strategy']}: {slot['verdict']}" for slot in slots)
        or "no strategy looks at this symbol",
        "is_faithful": not any(note.startswith("the repetition is not") for note in moment.notes),
        "notes": list(moment.notes),
    }


def slot_facts(run: Recorded, moment: Moment, slot: int) -> dict[str, Any]:
    """Return what one strategy knew, intended and got at the bar."""
    reason, told = why_asked(moment, slot)
    kept = moment.asked.get(slot)
    return {
        "strategy": moment.namer.slots[slot][0],
        "was_asked": kept is not None,
        "reason": reason,
        "because": told,
        **indicators_of(moment, slot),
        **({"state": fields_of(kept.before, "state"), "parameters": fields_of(kept.before, "p")} if kept else {}),
        **({"buying_power": float(kept.before["account"]["buying_power"])} if kept else {}),
        "position": position_of(moment, slot),
        "working": Working(moment, slot).orders(),
        "fills": fills_of_bar(moment, slot),
        "cash_flows": cash_flows_of(moment, slot),
        "made": orders_made(moment, slot),
        "intents": intents_of(kept, moment.namer.tags[slot]) if kept else [],
        "refusals": refusals_of(moment, slot),
        "orders": orders_placed(run, moment, slot),
        "ended": orders_ended(moment, slot),
    }


def why_asked(moment: Moment, slot: int) -> tuple[str, str]:
    """Return the code and the sentence of why a strategy was asked about the bar, or was not."""
    simulation, tape, time = moment.simulation, moment.tape, moment.close_time
    ready = int(simulation.state.slots["ready"][slot])
    if moment.was_over:
        status = simulation.status.name.lower()
        ended = f"the account was {status}" if status == "ruined" else "it was past the end of the run"
        return OVER, f"the run had ended before: {ended}"
    if simulation.status == Status.RUINED:
        return RUINED, f"the account was ruined at this mark: equity {float(simulation.state.account['equity'][0]):g}"
    for limit, is_outside, word in ((moment.start, moment.start is not None and time < moment.start, "start"),
                                    (moment.end, moment.end is not None and time >= moment.end, "end")):
        if is_outside and limit is not None:
            return WINDOW, f"outside the window of decisions: [run] {word} = {format_time(limit)}"
    first = int(tape.series[moment.symbol])
    if moment.bar < ready:
        last = int(tape.series[moment.symbol + 1])
        since = f"at {format_time(int(tape.close_time[ready]))}" if ready < last else "never: the data is too short"
        told = f"warm-up: this is bar {moment.index + 1}, it is asked from bar {ready - first + 1} on ({since})"
        return WARM_UP, told
    if slot in moment.asked:
        return ASKED, "asked at this close"
    if moment.asleep[slot] > moment.bar:
        return ASLEEP, asleep_told(moment, slot)
    return OVER, "not asked"


def asleep_told(moment: Moment, slot: int) -> str:
    """Return which condition let the slot sleep, and until when."""
    record = moment.simulation.state.slots[slot]
    place = "flat" if record["qty"] == 0.0 else "held"
    plan = moment.parts.plans[int(record["strategy"])]
    condition = wake_of(plan.strategy, symbols_named(plan, moment.tape)).get(place)
    tape, until = moment.tape, moment.asleep[slot]
    is_there = until < int(tape.series[moment.symbol + 1])
    woken = f"it is asked next at {format_time(int(tape.close_time[until]))}" if is_there else "to the end of the data"
    return f"asleep: its wake when {place}, {condition!r}, is not true at this bar; {woken} unless an order fills"


def indicators_of(moment: Moment, slot: int) -> dict[str, Mapping[str, float]]:
    """Return the indicators at the bar and at the one before, and the conditions of `wake`, by name."""
    state = moment.simulation.state
    record = state.slots[slot]
    strategy = moment.parts.plans[int(record["strategy"])].strategy
    now, before = {}, {}
    for place, name in enumerate(names_of(strategy)):
        address = int(state.columns[int(record["first_column"]) + place])
        now[name] = read_number(address, moment.index)
        before[name] = read_number(address, moment.index - 1) if moment.index else math.nan
    wake = {name: bool(ctypes.c_bool.from_address(int(record[f"wake_{name}"]) + moment.index).value)
            for name in WAKES if record[f"wake_{name}"]}
    found: dict[str, Mapping[str, float]] = {"indicators": now, "indicators_before": before}
    return found | {"wake": wake} if wake else found


def read_number(address: int, index: int) -> float:
    """Return an element of a float64 column at an address."""
    return float(ctypes.c_double.from_address(address + 8 * index).value)


def fields_of(record: np.void, part: str) -> dict[str, Any]:
    """Return the fields of a nested record by name; empty when the strategy has none."""
    if part not in (record.dtype.names or ()):
        return {}
    return {name: record[part][name].tolist() for name in record[part].dtype.names or ()}


def position_of(moment: Moment, slot: int) -> dict[str, Any]:
    """Return the slot's position as marked at the close."""
    state = moment.simulation.state
    record, symbol = state.slots[slot], state.symbols[moment.symbol]
    qty = float(record["qty"])
    if qty == 0.0:
        return {"qty": 0.0}
    levels = {Role(int(order["role"])).name.lower(): float(order["price"])
              for order in state.working[slot, : int(record["working"])]
              if order["role"] in (Role.STOP, Role.TARGET, Role.TRAIL) and order["price"] != UNSET}
    pnl = qty * (float(symbol["mark"]) - float(record["entry_price"])) * float(symbol["multiplier"])
    entered = format_time(int(record["entry_time"]))
    return {"qty": qty, "entry_price": float(record["entry_price"]), "entry_time": entered,
            "bars_held": int(record["bars_held"]), "pnl": pnl, **levels}


def intents_of(kept: Asked, tags: Any) -> list[dict[str, Any]]:
    """Return what the decision asked for, in order of call, without what it left out."""
    record = kept.after
    found = []
    for intent in record["intents"][: int(record["intent_count"])]:
        verb = Verb(int(intent["verb"]))
        one: dict[str, Any] = {"verb": verb.name.lower()}
        if verb == Verb.ORDER:
            one |= {"side": name_of(Side, intent["side"]), "kind": name_of(OrderKind, intent["kind"])}
        numbers = set_numbers(intent, NUMBERS)
        if verb == Verb.CLOSE and "weight" in numbers:
            numbers["fraction"] = numbers.pop("weight")
        one |= numbers | tag_of(tags, intent["tag"])
        one |= {name: float(intent[name]) for name in ("priority", "group", "oco") if intent[name] != 0}
        one |= lifetime_of(intent["tif"], intent["until"])
        if verb == Verb.ORDER and intent["reduce_only"]:
            one["reduce_only"] = True
        found.append(one)
    return found
