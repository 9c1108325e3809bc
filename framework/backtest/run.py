"""From a configuration to a result: find the plug-ins, load the data, put the simulation together, run it."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from framework import plugins
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Config, Use
from framework.backtest.fitting import fitted, must_be_trained
from framework.backtest.result import Counters, Records, Regimes, Result
from framework.backtest.strategy_section import StrategyUse
from framework.backtest.volume import lacking_volume, refuse_missing_volume
from framework.boundary.jit import engine_key
from framework.broker import Broker
from framework.data.cash_flows import CashFlows, read_cash_flows, refuse_adjusted, with_cash_flows
from framework.data.load import load_tape
from framework.data.series import RepairReport, format_time
from framework.data.tape import Tape
from framework.engine.layout import FOREVER
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.errors import ConfigError, PluginNotFound, did_you_mean
from framework.indicators import ColumnCache
from framework.model.enums import CashKind, EventKind, OrderStatus, Status
from framework.model.records import TRADE
from framework.risk import RiskRule, Rule, SizingRule
from framework.slippage import SlippageModel
from framework.strategy import Strategy

VERSIONED = ("trading-framework", "numpy", "numba", "polars")
"""Distributions whose versions shape a result."""

DAYS_PER_YEAR = {"24/7": 365.0}
"""Days per year by account calendar; every exchange's is taken as 252."""

TRADING_DAYS = 252.0


def run(config: Config, tape: Tape | None = None, progress: Callable[[int, int], None] | None = None,
        interpreted: bool = False) -> Result:
    """Run a configuration and return its result.

    progress(done, total) is told the events processed after every chunk.  Raises ConfigError, DataError, PluginError,
    StrategyError; KeyboardInterrupt passes through.
    """
    config = attrs.evolve(config, broker=broker_of(config.broker))
    return run_to_end(config, put_together(config, tape, interpreted), progress)


def run_to_end(config: Config, made: Parts, progress: Callable[[int, int], None] | None = None) -> Result:
    """Run what was put together to the end of the run and return its result."""
    for done in made.simulation.chunks(made.last):
        if progress is not None:
            progress(done, made.last)
    finish(made.simulation)
    return result_of(config, made.tape, made.plans, made.rules, made.simulation, made.last, made.doubts)


@attrs.frozen(eq=False)
class Parts:
    """A simulation at its first event and what it was put together from.

    rules: the sizing rule first.  last: the event at which the run ends, exclusive.  doubts: which constraints of
    strategies their parameters do not satisfy.
    """

    tape: Tape
    plans: list[Plan]
    rules: list[Rule]
    slippage: SlippageModel | None
    simulation: Simulation
    last: int
    doubts: tuple[str, ...] = ()


def put_together(config: Config, tape: Tape | None = None, interpreted: bool = False,
                 cache: ColumnCache | None = None) -> Parts:
    """Find the plug-ins, load the data unless it is given, and return the simulation at its first event."""
    tape = tape if tape is not None else load(config)
    known_symbols(config, tape)
    cache = cache or ColumnCache()
    untrained = [Plan(make("strategy", Use(use.name, use.params), Strategy), use.symbols, label=label)
                 for use, label in zip(config.strategies, config.labels, strict=True)]
    doubts = doubts_of(untrained)
    plans = [trained_plan(plan, use, tape, config.run.seed, cache)
             for plan, use in zip(untrained, config.strategies, strict=True)]
    sizing = make("sizing", config.sizing, SizingRule)
    rules = [make("risk", use, RiskRule) for use in config.risk]
    slippage = slippage_of(config.slippage, tape) if config.slippage else None
    simulation = compose(tape, plans, sizing, rules, slippage, terms_of(config), cache=cache, interpreted=interpreted)
    refuse_missing_volume(tape, config.fills, simulation)
    last = int(np.searchsorted(tape.event_time, config.run.end_ns or FOREVER, side="left"))
    return Parts(tape, plans, [sizing, *rules], slippage, simulation, last, doubts)


def doubts_of(plans: Sequence[Plan]) -> tuple[str, ...]:
    """Return which constraints of strategies are not satisfied; ConfigError for one that cannot be evaluated."""
    return tuple(f"{plan.label}: {doubt}" for plan in plans for doubt in plan.strategy.doubts())


def trained_plan(plan: Plan, use: StrategyUse, tape: Tape, seed: int, cache: ColumnCache) -> Plan:
    """Return a plan whose strategy was trained on its leg, where it has a fit; ConfigError when the leg is missing."""
    start, until = use.leg_ns
    if not must_be_trained(plan.strategy, until) or until is None:
        return plan
    return attrs.evolve(plan, fitted=fitted(plan.strategy, tape, plan.symbols, start, until, seed, cache))


def load(config: Config) -> Tape:
    """Return the tape that the configuration names."""
    source = plugins.find("data_source", config.data.source)
    tape = load_tape(config.data.source, config.data.options, config.data.symbols, config.data.timeframe,
                     detail_timeframe=config.data.detail_timeframe, instruments=config.instruments,
                     account_calendar=config.account.calendar, folder=config.folder,
                     sources={config.data.source: source})
    return with_cash_flows(tape, flows) if (flows := cash_flows_of(config, tape)) else tape


def cash_flows_of(config: Config, tape: Tape) -> list[CashFlows]:
    """Return the dividends and the funding that the configuration names."""
    found = []
    for key, kind in (("dividends", CashKind.DIVIDEND), ("funding", CashKind.FUNDING)):
        path = getattr(config.data, key)
        if path is not None:
            found.append(read_cash_flows(config.folder / path, kind, tape))
            if kind == CashKind.DIVIDEND:
                refuse_adjusted(tape, found[-1])
    return found


def known_symbols(config: Config, tape: Tape) -> None:
    """Refuse instruments and a benchmark of symbols that the data does not have."""
    for symbol in (*config.instruments, *filter(None, [config.benchmark.symbol])):
        tape.symbol_index(symbol)


def slippage_of(use: Use, tape: Tape) -> SlippageModel:
    """Return the slippage model; ConfigError when it needs what an instrument of the tape does not have."""
    model: SlippageModel = make("slippage", use, SlippageModel)
    for instrument in tape.instruments:
        lacking = model.lacks(instrument)
        if lacking:
            raise ConfigError(f"[slippage] {use.name}: {instrument.symbol}: {lacking}")
    return model


def broker_of(use: Use) -> Use:
    """Return the broker that is named with all its parameters, given or default; ConfigError when it has none of those.

    A backtest does not talk to it, but a configuration that names it must be right, and says so in run.json.
    """
    paper = plugins.RESERVED_BROKER
    if use.name == paper:
        if use.params:
            raise ConfigError(f"[broker] {paper}: unknown parameter {next(iter(use.params))!r}; it has none")
        return use
    try:
        found: type[Broker] = plugins.find("broker", use.name)
    except PluginNotFound as error:
        message = f"[broker]: {error}; the framework's own is {paper!r}{did_you_mean(use.name, [paper])}"
        raise PluginNotFound(message, details=error.details) from None
    return Use(use.name, found.validate(use.params))


def make(kind: str, use: Use, base: type) -> Any:
    """Return an instance of a plug-in with its parameters; ConfigError when they are not its own."""
    found = plugins.find(kind, use.name)
    if isinstance(found, type) and not issubclass(found, base):
        raise ConfigError(f"{use.name!r} is not a {base.__name__}, it cannot be used as {kind}")
    return found(**use.params)


def terms_of(config: Config) -> Terms:
    """Return the terms of trade that a configuration names."""
    start, end = config.run.start_ns, config.run.end_ns
    return Terms(capital=config.run.capital, fees=config.fees, fills=config.fills, account=config.account,
                 start=-FOREVER if start is None else start, end=FOREVER if end is None else end, strict=config.strict,
                 close_at_end=config.run.close_at_end, tax=config.tax)


def finish(simulation: Simulation) -> None:
    """Close the last day and give orders that still work their final status."""
    close_last_day(simulation)
    account = simulation.state.account[0]
    orders = simulation.state.orders[: account["orders"]]
    working = orders["status"] == OrderStatus.WORKING
    orders["status"][working] = OrderStatus.ENDED
    orders["ended_time"][working] = account["time"]


def close_last_day(simulation: Simulation) -> None:
    """Append the day that was under way to the days."""
    account = simulation.state.account[0]
    if account["day"] >= 0 and account["time"] >= simulation.state.settings["start"][0]:
        row = simulation.state.days[account["days"]]
        row["day"], row["time"] = account["day"], account["time"]
        row["equity"], row["exposure"] = account["equity"], account["exposure"]
        account["days"] += 1


def open_trades(simulation: Simulation) -> np.ndarray:
    """Return the positions that are still open as TRADE rows, marked at the last close and without exit costs."""
    state = simulation.state
    held = np.flatnonzero(state.slots["qty"])
    rows = np.zeros(held.size, TRADE)
    for row, number in zip(rows, held, strict=True):
        slot = state.slots[number]
        symbol = state.symbols[slot["symbol"]]
        row["slot"], row["symbol"], row["side"], row["exit_role"] = number, slot["symbol"], np.sign(slot["qty"]), -1
        row["bars"], row["fills"] = slot["bars_held"], slot["trade_fills"]
        row["entry_time"], row["exit_time"] = slot["entry_time"], state.account["time"][0]
        row["qty"], row["entry_price"] = slot["qty_in"], slot["cost_in"] / slot["qty_in"]
        row["exit_price"] = symbol["mark"]
        unrealised = slot["qty"] * (symbol["mark"] - slot["entry_price"]) * symbol["multiplier"]
        row["pnl"] = slot["realised"] - slot["fees"] + slot["cash_flows"] + unrealised
        row["fees"], row["slippage"], row["cash_flows"] = slot["fees"], slot["slippage"], slot["cash_flows"]
        row["mae"], row["mfe"] = slot["worst"], slot["best"]
    return rows


def result_of(config: Config, tape: Tape, plans: list[Plan], rules: list[Rule], simulation: Simulation,
              last: int, doubts: Sequence[str] = (), may_be_idle: bool = False) -> Result:
    """Return the result of a finished simulation, whose logs it takes over. rules: the sizing rule first.

    doubts: notes that were known before it began.  A run in which no strategy could ever decide is an error unless it
    may be idle.
    """
    state = simulation.state
    logs = used_logs(state)
    idle = logs["orders"].size == 0 and logs["refusals"].size == 0
    if idle and not may_be_idle:
        refuse_undecidable(config, tape, simulation)
    slots = tuple((plans[int(slot["strategy"])].label, tape.symbols[int(slot["symbol"])])
                  for slot in state.slots)
    tags = tuple(("", *plans[int(slot["strategy"])].strategy.tags) for slot in state.slots)
    account = state.account[0]
    first_close, last_close = window_closes(tape, config)
    return Result(
        config=config.to_dict(), symbols=tape.symbols, slots=slots, tags=tags, capital=config.run.capital,
        annualization=DAYS_PER_YEAR.get(tape.account_calendar, TRADING_DAYS),
        risk_free_rate=config.account.risk_free_rate, fingerprint=tape.fingerprint, seed=config.run.seed,
        records=Records(open_trades=open_trades(simulation), **logs), first_close=first_close, last_close=last_close,
        positions=state.symbols["net"].copy(), cash=float(account["cash"]), versions=versions(),
        counters=Counters(ambiguous_bars=int(account["ambiguous"]), gapped_entries=int(account["gapped"]),
                          rejected_orders=int(np.sum(logs["refusals"]["allowed"] == 0.0)), events=simulation.next,
                          bars=int(np.sum(tape.event_kind[: simulation.next] == EventKind.CLOSE))),
        rule_names=tuple(rule.name for rule in rules[1:]), status=Status(int(account["status"])),
        notes=(*doubts, *notes_of(tape, simulation)),
        data=data_summary(tape), prices=tape, currency=config.account.currency,
        multipliers=np.array([instrument.multiplier for instrument in tape.instruments]),
        start=config.run.start_ns, end=config.run.end_ns, benchmark=config.benchmark.symbol, tax=config.tax,
        folder=str(config.folder.resolve()), plugins=tuple(used_plugins(config)), engine=engine_key(),
        regimes=regimes_of(rules[0], simulation),
        fits=tuple(plan.fitted.document() for plan in plans if plan.fitted is not None))


def regimes_of(sizing: Rule, simulation: Simulation) -> Regimes | None:
    """Return which regime of the sizing rule held on every bar; None for a rule without regimes.

    Such a rule names its `regimes`, and its ``places(columns)`` says per bar which of them holds.
    """
    names, places = getattr(sizing, "regimes", None), getattr(sizing, "places", None)
    if names is None or places is None:
        return None
    return Regimes(tuple(names), places(simulation.keep.rule_columns[0]))


def refuse_undecidable(config: Config, tape: Tape, simulation: Simulation) -> None:
    """Raise ConfigError when no bar lies in the window of decisions, or none after the warm-up."""
    if not np.isfinite(window_closes(tape, config)[0]).any():
        raise ConfigError(outside(config, tape))
    if all(int(slot["ready"]) >= int(tape.series[int(slot["symbol"]) + 1]) for slot in simulation.state.slots):
        bars = int(np.diff(tape.series).max())
        raise ConfigError(f"no decision in the whole run: {', '.join(config.labels)} needs more bars to warm up than "
                          f"the data has ({bars} for the longest symbol); use more data or shorter indicators")


def outside(config: Config, tape: Tape) -> str:
    """Return the message for a window of decisions within which no bar closes."""
    window = " and ".join(f"{word} = {format_time(limit)}" for word, limit in
                          (("start", config.run.start_ns), ("end", config.run.end_ns)) if limit is not None)
    return (f"no bar closes in the window of the run: [run] {window}, and the bars of the data close from "
            f"{format_time(int(tape.close_time.min()))} to {format_time(int(tape.close_time.max()))}; a decision at "
            "time t is taken when start <= t < end: move the window, or leave it out")


def notes_of(tape: Tape, simulation: Simulation) -> list[str]:
    """Return what the reader of a result must know and cannot see in its records."""
    notes = list(simulation.notes)
    if simulation.state.settings["own_volume"][0]:
        notes.append('[fills] volume_basis = "bar": fills were reckoned with the volume of their own bar, which nobody '
                     "knew then; such a result is for comparison only")
    if lacking := lacking_volume(tape, simulation.state.slots["symbol"]):
        notes.append(f"the data of {', '.join(lacking)} have no volume: fills are not limited by any")
    notes += [str(report) for report in tape.repairs if report != RepairReport(report.symbol)]
    return notes


def window_closes(tape: Tape, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last close of every symbol inside the window of decisions, NaN for a symbol without any."""
    first, last = np.full(tape.n_symbols, np.nan), np.full(tape.n_symbols, np.nan)
    start, end = config.run.start_ns, config.run.end_ns
    for number in range(tape.n_symbols):
        rows = tape.rows(number)
        times, closes = tape.close_time[rows], tape.close[rows]
        low = 0 if start is None else int(np.searchsorted(times, start, side="left"))
        high = times.size if end is None else int(np.searchsorted(times, end, side="left"))
        if high > low:
            first[number], last[number] = closes[low], closes[high - 1]
    return first, last


def data_summary(tape: Tape) -> dict[str, object]:
    """Return what the data was, as plain values."""
    details = {} if tape.details is None else {"detail_timeframe": tape.details.timeframe,
                                               "detail_bars": len(tape.details)}
    return {"symbols": list(tape.symbols), "timeframes": list(tape.timeframes), "bars": tape.n_bars, **details,
            "account_calendar": tape.account_calendar, "fingerprint": tape.fingerprint}


def used_plugins(config: Config) -> list[dict[str, str]]:
    """Return kind, name, distribution, version and a hash of the source of every plug-in that a run uses."""
    uses = [*(("strategy", use.name) for use in config.strategies), ("sizing", config.sizing.name),
            *(("risk", use.name) for use in config.risk), ("data_source", config.data.source)]
    if config.slippage is not None:
        uses.append(("slippage", config.slippage.name))
    found = []
    for kind, name in dict.fromkeys(uses):
        for item in plugins.registry().found(kind):
            if item.name == name:
                found.append({"kind": kind, "name": name, "distribution": item.plugin.distribution,
                              "version": item.plugin.version, "source": source_key(item.value)})
    return found


def source_key(value: type) -> str:
    """Return a hash of the source of a plug-in: of its whole package, of one file of the framework; "" without any."""
    module = sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None)
    package = sys.modules.get(value.__module__.partition(".")[0])
    digest = hashlib.sha256()
    try:
        if file is None:
            digest.update(inspect.getsource(value).encode())
        elif package is None or package is module or value.__module__.startswith("framework."):
            digest.update(Path(file).read_bytes())
        else:
            for root in package.__path__:
                for path in sorted(Path(root).rglob("*.py")):
                    digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    except (OSError, TypeError):
        return ""
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of everything that shapes a result."""
    found = {name: version for name in VERSIONED if (version := _version(name))}
    return {"python": sys.version.split()[0], **found}


@cache
def _version(name: str) -> str:
    """Return the version of an installed distribution, "" without one; it is looked up once."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
