"""One trial: new parameters for a simulation that was put together once, its run, and what is measured of it.

Putting a simulation together checks sources, lays out records and loads compiled adapters; none of that depends on the
values of parameters.  A `Stage` does it once and from then on only puts the state back to its beginning, writes
parameters and addresses of columns into it, and runs.  Results are those of a simulation put together anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from framework.backtest.compose import (
    FOREVER,
    WAKES,
    Plan,
    Slots,
    columns_of,
    compose,
    names_of,
    wake_of,
)
from framework.backtest.config import Config
from framework.backtest.run import DAYS_PER_YEAR, TRADING_DAYS, finish, result_of, terms_of
from framework.data.tape import Tape
from framework.engine.simulation import Simulation
from framework.errors import ConfigError, FrameworkError, Interrupted, StrategyError
from framework.indicators import ColumnCache, Condition, Expression, evaluate, first_ready, truth
from framework.indicators.condition import Begins, Comparison, Joined, Not
from framework.model.enums import Status
from framework.parameters import Value
from framework.research.objective import FULL, LIGHT, MarkSummary, Measures, Objective, Terms, daily_moments, number_of
from framework.research.subject import Parts, Subject
from framework.risk import Rule, store_rule
from framework.strategy import Strategy, store_constants

COMPLETE, FEW_TRADES, UNDEFINED, FAILED = "complete", "few trades", "undefined", "failed"
"""How a trial can end; only complete ones can be best."""

CHUNK_EVENTS = 1 << 17
"""Events between two looks at whether to stop: some ten milliseconds, and a bounded log of marks."""

KEPT = ("account", "symbols", "slots", "working", "strategies", "rules", "shared")


@attrs.frozen
class Trial:
    """One point to try: its number in the study and the values of the parameters that vary, by path."""

    number: int
    params: dict[str, Value]


@attrs.frozen(eq=False)
class Outcome:
    """What came of a trial.

    values: of the objectives, in their order; None where not complete. statistics: a few figures of every trial.
    returns: daily returns, or None when they were not asked for. seconds, worker: how long and where; never part of a
    comparison.
    """

    number: int
    params: dict[str, Value]
    state: str
    values: tuple[float, ...] | None
    statistics: dict[str, Any] = attrs.field(factory=dict)
    error: str = ""
    returns: np.ndarray | None = attrs.field(default=None, repr=False)
    seconds: float = 0.0
    worker: str = ""


@attrs.frozen(eq=False)
class Setup:
    """What all trials of a study have in common.

    config: with the common window in [run] start. keep_returns: whether the daily returns of a trial are wanted, by its
    number.
    """

    config: Config
    tape: Tape
    objective: Objective
    keep_returns: Callable[[int], bool] = attrs.field(default=lambda number: False)
    interpreted: bool = False

    @property
    def last(self) -> int:
        """The event at which every trial ends."""
        end = self.config.run.end_ns
        return int(np.searchsorted(self.tape.event_time, FOREVER if end is None else end, side="left"))


class Stage:
    """A simulation that runs one trial after another; one per thread."""

    def __init__(self, setup: Setup, cache: ColumnCache, subject: Subject | None = None,
                 stopped: Callable[[], bool] = lambda: False) -> None:
        self.setup, self.cache, self.stopped = setup, cache, stopped
        self.subject = subject or Subject(setup.config)
        config, tape = setup.config, setup.tape
        self.terms = terms_of(config)
        self.measured = Terms(config.run.capital, DAYS_PER_YEAR.get(tape.account_calendar, TRADING_DAYS),
                              config.account.risk_free_rate, config.run.start_ns or 0, config.run.end_ns,
                              np.array([one.multiplier for one in tape.instruments]))
        self._last = setup.last
        self._simulation: Simulation | None = None
        self._signature: tuple[Any, ...] = ()
        self._pristine: dict[str, np.ndarray] = {}
        self._check_dtypes: list[np.dtype] = []
        self._fixed: dict[int, Mapping[str, Expression]] = {}
        self._ready: dict[tuple[int, Expression], int] = {}

    def run(self, trial: Trial, worker: str = "") -> Outcome:
        """Run one trial; errors of its plug-ins make it a failed one. Raises Interrupted when told to stop."""
        began = time.perf_counter()
        try:
            parts = self.subject.parts(trial.params)
            try:
                simulation = self._prepared(parts)
                marks = self._run(simulation, simulation.step)
            except StrategyError:
                simulation = self._prepared(parts)
                marks = self._run(simulation, simulation.advance)
            outcome = self._measured(trial, parts, simulation, marks)
        except Interrupted:
            raise
        except FrameworkError as error:
            outcome = Outcome(trial.number, trial.params, FAILED, None, {}, f"{type(error).__name__}: {error}")
        return attrs.evolve(outcome, seconds=time.perf_counter() - began, worker=worker)

    def touch_columns(self, trial: Trial) -> None:
        """Ask the cache for every column of a trial, without running it; conditions for what they compare only."""
        parts, tape = self.subject.parts(trial.params), self.setup.tape
        for plan in parts.plans:
            declared = [*names_of(plan.strategy).values()]
            compared = [one for condition in wake_of(plan.strategy).values() for one in operands(condition)]
            for symbol in symbols_of(plan, tape):
                for expression in (*declared, *compared):
                    evaluate(expression, tape, symbol, self.cache)
                for expression in declared:
                    first_ready(expression, tape, symbol, self.cache)
        for rule in (parts.sizing, *parts.rules):
            for symbol in range(tape.n_symbols):
                columns_of(names_of(rule), tape, symbol, self.cache)

    @property
    def notes(self) -> list[str]:
        """What the user is told once: plug-ins that could not be compiled."""
        return self._simulation.notes if self._simulation is not None else []

    def _prepared(self, parts: Parts) -> Simulation:
        """Return the simulation at its first event with these plug-ins' parameters."""
        rules: list[Rule] = [parts.sizing, *parts.rules]
        owners: list[Strategy | Rule] = [*(plan.strategy for plan in parts.plans), *rules]
        declared = [self._declared(one) for one in owners]
        signature = tuple(tuple(one) for one in declared)
        if self._simulation is None or signature != self._signature:
            terms = attrs.evolve(self.terms, log_marks=self.setup.objective.mode != LIGHT)
            made = compose(self.setup.tape, parts.plans, parts.sizing, parts.rules, parts.slippage, terms,
                           cache=self.cache, interpreted=self.setup.interpreted)
            self._simulation, self._signature = made, signature
            self._pristine = {name: getattr(made.state, name).copy() for name in KEPT}
            for name in WAKES:
                self._pristine["slots"][f"wake_{name}"] = 0
            self._check_dtypes = [next(plug.dtype for plug in made.plugs if plug.array == "rules"
                                       and plug.rows == (number,)) for number in range(len(rules))]
            self._pristine |= {"nows": made.nows.bytes.copy(), "checks": made.checks.bytes.copy()}
            self._check_ready(made)
            return made
        self._reset(self._simulation, parts, rules, declared)
        self._check_ready(self._simulation)
        return self._simulation

    def _declared(self, owner: Strategy | Rule) -> Mapping[str, Expression]:
        """Return the indicators of a plug-in; those of plug-ins that no trial varies are asked for once."""
        kept = self._fixed.get(id(owner))
        if kept is None:
            kept = names_of(owner)
            if self.subject.is_fixed(owner):
                self._fixed[id(owner)] = kept
        return kept

    def _slots(self, plans: Sequence[Plan], declared: Sequence[Mapping[str, Expression]]) -> Slots:
        """Return what `plan_slots` does."""
        slots, tape, cache = Slots([], [], [], [], []), self.setup.tape, self.cache
        for number, (plan, named) in enumerate(zip(plans, declared, strict=False)):
            wake = wake_of(plan.strategy)
            for symbol in symbols_of(plan, tape):
                slots.strategies.append(number)
                slots.symbols.append(symbol)
                slots.columns.append({name: evaluate(one, tape, symbol, cache) for name, one in named.items()})
                slots.wakes.append({name: truth(one, tape, symbol, cache) for name, one in wake.items()})
                ready = max((self._first_ready(one, symbol) for one in named.values()), default=-1)
                slots.ready.append(int(tape.series[symbol]) + ready + 1)
        return slots

    def _first_ready(self, expression: Expression, symbol: int) -> int:
        """Return the bar at which an expression is defined, remembered."""
        found = self._ready.get((symbol, expression))
        if found is None:
            found = self._ready[symbol, expression] = first_ready(expression, self.setup.tape, symbol, self.cache)
        return found

    def _reset(self, simulation: Simulation, parts: Parts, rules: list[Rule],
               declared: Sequence[Mapping[str, Expression]]) -> None:
        """Put the state back to its beginning and write the parameters and columns of other plug-ins into it."""
        made, tape, plugs = simulation.state, self.setup.tape, simulation.plugs
        for name in KEPT:
            getattr(made, name)[...] = self._pristine[name]
        simulation.nows.bytes[...], simulation.checks.bytes[...] = self._pristine["nows"], self._pristine["checks"]
        slots = self._slots(parts.plans, declared)
        place = 0
        for number, columns in enumerate(slots.columns):
            slot, strategy = made.slots[number], slots.strategies[number]
            slot["ready"] = slots.ready[number]
            for name, holds in slots.wakes[number].items():
                slot[f"wake_{name}"] = holds.ctypes.data
            for values in columns.values():
                made.columns[place] = values.ctypes.data
                place += 1
            store_constants(parts.plans[strategy].strategy, simulation.nows.record(number, plugs[strategy].dtype))
        rule_columns = self._reset_rules(simulation, rules, declared[len(parts.plans) :])
        if parts.slippage is not None and parts.slippage.params():
            request = simulation.keep[3]
            parts.slippage.store_params(request.record(0, plugs[-1].dtype)["p"])
        simulation.keep = (tape, slots, rule_columns, simulation.keep[3])
        simulation.next, simulation.status = 0, Status.RUNNING

    def _reset_rules(self, simulation: Simulation, rules: list[Rule],
                     declared: Sequence[Mapping[str, Expression]]) -> list[list[dict[str, np.ndarray]]]:
        """Write the parameters and columns of rules into the state; return the columns, rule by rule."""
        tape, kept = self.setup.tape, []
        for number, (rule, named_here) in enumerate(zip(rules, declared, strict=True)):
            columns = [{name: evaluate(one, tape, symbol, self.cache) for name, one in named_here.items()}
                       for symbol in range(tape.n_symbols)]
            for symbol, named in enumerate(columns):
                for j, values in enumerate(named.values()):
                    simulation.state.rule_columns[number, symbol, j] = values.ctypes.data
            store_rule(rule, simulation.checks.record(number, self._check_dtypes[number]))
            kept.append(columns)
        return kept

    def _check_ready(self, simulation: Simulation) -> None:
        """Refuse parameters whose indicators warm up beyond the common window: trials would not be comparable."""
        start, tape, slots = self.setup.config.run.start_ns, self.setup.tape, simulation.keep[1]
        if start is None:
            return
        ready = first_decision(tape, slots.ready, slots.symbols)
        if ready is None or ready > start:
            moment = "never" if ready is None else str(np.datetime64(ready, "ns").astype("M8[s]"))
            raise ConfigError(f"its indicators are ready at {moment}, after the common window began "
                              f"({np.datetime64(start, 'ns').astype('M8[s]')}); set a later [run] start, or a "
                              "smaller space")

    def _run(self, simulation: Simulation, forward: Callable[[int], Status]) -> MarkSummary | None:
        """Run to the end, chunk by chunk; marks are summed up and forgotten unless a whole result needs them.

        forward: `step` of the simulation, or `advance`, which explains a failure and costs a snapshot a chunk.
        """
        mode = self.setup.objective.mode
        marks = MarkSummary(self.measured.capital) if mode != LIGHT else None
        account = simulation.state.account
        while simulation.next < self._last and simulation.status == Status.RUNNING:
            if self.stopped():
                raise Interrupted("stopped")
            forward(min(self._last, simulation.next + CHUNK_EVENTS))
            if marks is not None and mode != FULL:
                marks.add(simulation.state.marks[: account["marks"][0]])
                account["marks"] = 0
        finish(simulation)
        return marks

    def _measured(self, trial: Trial, parts: Parts, simulation: Simulation, marks: MarkSummary | None) -> Outcome:
        """Return the outcome of a finished run."""
        objective, state = self.setup.objective, simulation.state
        measures = Measures(state, self.measured, marks)
        trades = len(measures.trades)
        statistics: dict[str, Any] = {"Return [%]": plain_number(measures.value("Return [%]")),
                                      "Sharpe Ratio": plain_number(measures.value("Sharpe Ratio")),
                                      "# Trades": trades, **daily_moments(measures.returns)}
        returns = measures.returns.copy() if self.setup.keep_returns(trial.number) else None
        if trades < objective.min_trades:
            return Outcome(trial.number, trial.params, FEW_TRADES, None, statistics,
                           f"{trades} closed trades, min_trades = {objective.min_trades}", returns)
        if objective.mode == FULL:
            result = result_of(self.setup.config, self.setup.tape, list(parts.plans), list(parts.rules), simulation,
                               self._last)
            values = tuple(number_of(result.stats[name]) for name in objective.names)
        else:
            values = tuple(measures.value(name) for name in objective.names)
        undefined = [name for name, value in zip(objective.names, values, strict=True) if not np.isfinite(value)]
        if undefined:
            return Outcome(trial.number, trial.params, UNDEFINED, None, statistics,
                           f"{', '.join(undefined)} is not defined", returns)
        return Outcome(trial.number, trial.params, COMPLETE, values, statistics, "", returns)


def plain_number(value: float) -> float | None:
    """Return a number, or None for one that is not finite: what JSON can carry."""
    return float(value) if np.isfinite(value) else None


def first_decision(tape: Tape, rows: Sequence[int], symbols: Sequence[int]) -> int | None:
    """Return the earliest close [ns UTC] at which a slot can be asked, None when no slot ever is.

    rows: of each slot, the bar from which on it is asked; symbols: of each slot.
    """
    times = [int(tape.close_time[row]) for row, symbol in zip(rows, symbols, strict=True)
             if row < int(tape.series[symbol + 1])]
    return min(times, default=None)


def first_ready_close(tape: Tape, parts: Parts, cache: ColumnCache) -> int | None:
    """Return what `first_decision` does, from declared lookbacks alone: no column is computed."""
    rows, symbols = [], []
    for plan in parts.plans:
        declared = names_of(plan.strategy)
        for symbol in symbols_of(plan, tape):
            ready = max((first_ready(one, tape, symbol, cache) for one in declared.values()), default=-1)
            symbols.append(symbol)
            rows.append(int(tape.series[symbol]) + ready + 1)
    return first_decision(tape, rows, symbols)


def symbols_of(plan: Plan, tape: Tape) -> list[int]:
    """Return the places of the symbols that a strategy looks at."""
    return [*range(tape.n_symbols)] if plan.symbols is None else [tape.symbol_index(one) for one in plan.symbols]


def operands(condition: Condition) -> list[Expression]:
    """Return the expressions that a condition compares."""
    match condition:
        case Comparison(_, left, right):
            return [left, right]
        case Joined(_, first, second):
            return [*operands(first), *operands(second)]
        case Not(x) | Begins(x):
            return operands(x)
    return []


def longest_warm_up(subject: Subject, tape: Tape, points: list[Mapping[str, Value]], cache: ColumnCache) -> int:
    """Return the close [ns UTC] from which on the strategies of every point can decide.

    Raises ConfigError when the data is too short for one of them.
    """
    found: list[int] = []
    for point in points:
        try:
            parts = subject.parts(point)
        except ConfigError:
            continue
        ready = first_ready_close(tape, parts, cache)
        if ready is None:
            told = ", ".join(f"{path} = {value}" for path, value in point.items())
            raise ConfigError(f"the data is too short for the space: with {told} the indicators need more bars than "
                              f"the {int(np.diff(tape.series).max())} that there are; use more data or smaller bounds")
        found.append(ready)
    if not found:
        raise ConfigError("no point of the space makes a strategy; its plug-ins refuse the values at every corner")
    return max(found)
