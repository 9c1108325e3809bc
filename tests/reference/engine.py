"""Run a case in the engine and return its tables in the shape of the reference's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees, Fills
from framework.backtest.run import finish
from framework.engine.simulation import Simulation
from framework.engine.state import used_logs
from framework.model.enums import Status
from tests.reference.cases import Case, RandomRule, RandomSizing, RandomSlippage

FROM_ZERO = ("id", "parent", "order_id")
"""Numbers of rows: the engine counts from 1, the reference from 0."""


def compose_case(case: Case, *, interpreted: bool = False) -> Simulation:
    """Return the simulation of a case at its first event."""
    plans = [
        Plan(shape.strategy_class(**shape.params), tuple(case.tape.symbols[s] for s in shape.symbols))
        for shape in case.strategies
    ]
    rules = [RandomRule(**params) for params in case.rules]
    simulation = compose(case.tape, plans, RandomSizing(**case.sizing), rules, RandomSlippage(**case.slippage),
                         terms_of(case), interpreted=interpreted)  # fmt: skip
    slots = simulation.state.slots
    slots["ready"] = case.tape.series[slots["symbol"]] + [case.strategies[s].warm_up for s in slots["strategy"]]
    return simulation


def terms_of(case: Case) -> Terms:
    """Return the terms of trade of a case."""
    numbers = case.numbers
    fees = Fees(**{name: numbers[name] for name in ("taker_bps", "maker_bps", "per_share", "per_order", "minimum")})
    fills = Fills(**{name: numbers[name] for name in ("participation", "volume_window", "limit_through")})
    account = Account(**{name: numbers[name] for name in ("leverage", "shorts", "cash_buffer")})
    return Terms(numbers["capital"], fees, fills, account, case.start, case.end)


def run_engine(case: Case, *, interpreted: bool = False) -> Any:
    """Return an object with orders, fills, trades, refusals, marks and days: sequences of rows with the names of records.

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
    return SimpleNamespace(**tables, counters=counters, positions=[float(q) for q in state.slots["qty"]])


def as_row(record: np.void) -> Any:
    """Return a record as an object with its names."""
    values = {name: record[name].item() for name in record.dtype.names or ()}
    return SimpleNamespace(**{name: v - 1 if name in FROM_ZERO else v for name, v in values.items()})
