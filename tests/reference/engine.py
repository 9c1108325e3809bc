"""Run a case in the engine and return its tables in the shape of the reference's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
from attrs import evolve

from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees, Fills
from framework.backtest.run import finish
from framework.backtest.tax import Tax
from framework.engine.layout import Tape
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.model.enums import Status
from framework.risk import RiskRule, SizingRule, reduce, refuse
from framework.rules import RULES
from framework.slippage import SlippageModel
from framework.strategy import Strategy
from tests.reference.authors import RandomRule, RandomSizing, RandomSlippage
from tests.reference.cases import Case
from tests.reference.detailed import joined
from tests.reference.market import Settings
from tests.reference.simulator import ReferenceStrategy
from tests.reference.taxes import TaxRules

RATES = ("borrow_percent", "interest_percent", "loan_percent")
"""What nights cost and earn."""

CLASSES = {rule.name: rule for rule in (*RULES, RandomRule, RandomSizing)}

FROM_ZERO = ("id", "parent", "order_id")
"""Numbers of rows: the engine counts from 1, the reference from 0."""


def compose_case(case: Case, *, interpreted: bool = False, log_marks: bool = True) -> Simulation:
    """Return the simulation of a case at its first event."""
    plans = [
        Plan(shape.strategy_class(**shape.params), tuple(case.tape.symbols[s] for s in shape.symbols))
        for shape in case.strategies
    ]
    sizing, *rules = (CLASSES[shape.name](**shape.keys) for shape in (case.sizing, *case.rules))
    simulation = compose(case.tape, plans, sizing, rules, RandomSlippage(**case.slippage),
                         evolve(terms_of(case), log_marks=log_marks), interpreted=interpreted)  # fmt: skip
    slots = simulation.state.slots
    slots["ready"] = case.tape.series[slots["symbol"]] + [case.strategies[s].warm_up for s in slots["strategy"]]
    return simulation


def terms_of(case: Case) -> Terms:
    """Return the terms of trade of a case."""
    numbers = case.numbers
    fees = Fees(**{name: numbers[name] for name in ("taker_bps", "maker_bps", "per_share", "per_order", "minimum")})
    fills = Fills(**{name: numbers[name] for name in ("participation", "volume_window", "limit_through",
                                                     "delisted_after", "volume_basis")})
    account = Account(**{name: numbers[name] for name in ("leverage", "maintenance", "shorts", "cash_buffer", *RATES)})
    return Terms(numbers["capital"], fees, fills, account, case.start, case.end,
                 close_at_end=numbers["close_at_end"], tax=tax_of(case.tax))  # fmt: skip


def tax_of(rules: TaxRules | None) -> Tax | None:
    """Return a tax that is paid inside the run."""
    return Tax(**asdict(rules), in_equity=True) if rules is not None else None


def run_engine(case: Case, *, interpreted: bool = False) -> Any:
    """Return an object with orders, fills, trades, refusals, marks and days: rows with the names of records.

    Numbers of rows count from 0 here; `counters` and `positions` (one per slot) are as in ReferenceResult.
    """
    simulation = compose_case(case, interpreted=interpreted)
    simulation.advance(case.tape.n_events)
    return result_of(simulation)


def result_of(simulation: Simulation) -> Any:
    """Return the tables of a simulation that is over."""
    if simulation.state.account[0]["marks"]:
        finish(simulation)
    state = simulation.state
    account = state.account[0]
    counters = {name: int(account[name]) for name in ("ambiguous", "gapped")}
    counters["ruined"] = int(simulation.status == Status.RUINED)
    tables = {name: [as_row(row) for row in log] for name, log in used_logs(state).items()}
    return SimpleNamespace(**tables, counters=counters, positions=[float(q) for q in state.slots["qty"]],
                           alerts=alerts_of(simulation), told=told_of(simulation))  # fmt: skip


def alerts_of(simulation: Simulation) -> dict[int, tuple[int, float]]:
    """Return how often each risk rule was near a limit, and how near at most."""
    rows = simulation.state.rules[1:]
    return {number: (int(row["alerts"]), float(row["nearest"])) for number, row in enumerate(rows) if row["alerts"]}


def told_of(simulation: Simulation) -> dict[int, dict[str, int]]:
    """Return what the memory of each risk rule has counted, by its own names."""
    told = {}
    for plug in simulation.plugs:
        (number, *_) = plug.at if plug.array == "rules" else (0,)
        names = plug.dtype.names if number else ()
        if "state" in names:
            memory = simulation.checks.record(number, plug.dtype)["state"]
            told[number - 1] = {name: int(memory[name]) for name in memory.dtype.names if memory[name].ndim == 0}
            if "count" in memory.dtype.names:
                told[number - 1] |= zip(("days", "weeks", "months"), map(int, memory["count"]), strict=True)
    return told


# --- hand-worked cases: plug-ins are plain Python functions -----------------------------------------------------------


def simulate(tape: Any, strategies: Sequence[ReferenceStrategy], settings: Settings) -> Any:
    """Run strategies over a tape in the engine, interpreted: the reference's own `simulate` with the same arguments."""
    tape = arrays_of(tape)
    plans = [Plan(strategy_of(s), tuple(tape.symbols[symbol] for symbol in s.symbols)) for s in strategies]
    fees = Fees(settings.taker_bps, settings.maker_bps, settings.per_share, settings.per_order, settings.minimum)
    fills = Fills("worst", settings.participation, settings.limit_through, settings.volume_window,
                  settings.delisted_after, settings.volume_basis)  # fmt: skip
    account = Account(leverage=settings.leverage, maintenance=settings.maintenance, shorts=settings.shorts,
                      cash_buffer=settings.cash_buffer, borrow_percent=settings.borrow_percent,
                      interest_percent=settings.interest_percent, loan_percent=settings.loan_percent)  # fmt: skip
    terms = Terms(settings.capital, fees, fills, account, settings.start, settings.end,
                  close_at_end=settings.close_at_end, tax=tax_of(settings.tax))  # fmt: skip
    simulation = compose(tape, plans, sizing_of(settings), [rule_of(rule) for rule in settings.rules],
                         slippage_of(settings), terms, interpreted=True)  # fmt: skip
    slots = simulation.state.slots
    local = [strategies[row["strategy"]].ready.get(int(row["symbol"]), 0) for row in slots]
    slots["ready"] = tape.series[slots["symbol"]] + local
    simulation.advance(tape.n_events)
    return result_of(simulation)


def arrays_of(tape: Any) -> Any:
    """Return a tape of lists as arrays in the types of a data tape."""
    types = {"event_kind": np.uint8, "event_symbol": np.int32, "account_day": np.int32, "local_minute": np.int16,
             "weekday": np.int8, "bars_in_session": np.int32, "minutes_to_close": np.int32, "flow_symbol": np.int32,
             "flow_kind": np.uint8}  # fmt: skip
    floats = ("open", "high", "low", "close", "volume", "flow_rate")
    made = {name: np.array(getattr(tape, name), np.float64 if name in floats else types.get(name, np.int64))
            for name in Tape._fields if name not in ("detail", "nights", "day_before")}  # fmt: skip
    sizes = {"n_symbols": len(tape.symbols), "n_events": len(tape.event_time), "n_bars": len(tape.close)}
    return SimpleNamespace(**made, **sizes, joined=joined(tape, made), symbols=tape.symbols,
                           instruments=tape.instruments,
                           symbol_index=tape.symbols.index)  # fmt: skip


def strategy_of(strategy: ReferenceStrategy) -> Strategy:
    """Return a strategy that calls the functions of a reference strategy and fills in all of `now`."""

    def decide(now: Any) -> None:
        assert all((now.fills, now.orders, now.account, now.clock, now.bar))  # naming them has them filled in
        strategy.decide(now)

    def decide_all(nows: Any) -> None:
        now = nows[0]
        assert all((now.fills, now.orders, now.account, now.clock, now.bar))
        strategy.decide_all(nows)

    own = {"name": "scripted", "tags": strategy.tags, "state": strategy.state}
    if strategy.decide_all is not None:
        own["decide_all"] = staticmethod(decide_all)
    else:
        own["decide"] = staticmethod(decide)
    return type("Scripted", (Strategy,), own)()


def sizing_of(settings: Settings) -> SizingRule:
    """Return the sizing rule of settings."""
    return type("Sizing", (SizingRule,), {"name": "sizing", "size": staticmethod(settings.sizing)})()


def rule_of(rule: Any) -> RiskRule:
    """Return a rule that answers as a reference rule does: (allowed, refused, value, limit)."""

    def check(order: Any) -> None:
        allowed, refused, value, limit = rule(order)
        if refused:
            refuse(order, value, limit)
        else:
            reduce(order, allowed, value, limit)

    own = {"name": "rule", "check": staticmethod(check), "max_slippage": getattr(rule, "max_slippage", math.inf)}
    return type("Rule", (RiskRule,), own)()


def slippage_of(settings: Settings) -> SlippageModel:
    """Return the slippage model of settings."""

    def price(fill: Any) -> float:
        return settings.slippage(fill.reference, fill.qty, fill.bar, fill.mean_volume, fill.volatility)

    return type("Slippage", (SlippageModel,), {"name": "slippage", "price": staticmethod(price)})()


def as_row(record: np.void) -> Any:
    """Return a record as an object with its names."""
    values = {name: record[name].item() for name in record.dtype.names or ()}
    return SimpleNamespace(**{name: v - 1 if name in FROM_ZERO else v for name, v in values.items()})
