"""One trial: new parameters for a simulation that was put together once, its run, and what is measured of it.

Putting a simulation together checks sources, lays out records and loads compiled adapters; none of that depends on the
values of parameters.  A `Stage` does it once and from then on only puts the state back to its beginning, writes
parameters and addresses of columns into it, and runs.  Results are those of a simulation put together anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from framework.backtest.compose import (
    Declared,
    Kept,
    Plan,
    Slots,
    addresses_of,
    columns_of_rule,
    compose,
    declared_by,
    names_of,
    plan_slots,
    set_rule_terms,
    symbols_named,
    write_rules,
    write_slots,
)
from framework.backtest.config import Config
from framework.backtest.run import (
    DAYS_PER_YEAR,
    TRADING_DAYS,
    close_last_day,
    finish,
    result_of,
    terms_of,
    trained_plan,
)
from framework.backtest.volume import refuse_missing_volume
from framework.data.tape import Tape
from framework.engine.layout import FOREVER
from framework.engine.simulation import Simulation
from framework.errors import ConfigError, FrameworkError, Interrupted, StrategyError
from framework.indicators import ColumnCache, Condition, Expression, evaluate, ready_rows
from framework.indicators.condition import Begins, Comparison, Joined, Not
from framework.indicators.expression import Constant
from framework.model.enums import Status
from framework.parameters import Value
from framework.research.objective import FULL, LIGHT, MarkSummary, Measures, Objective, Terms, number_of
from framework.research.subject import Parts, Subject
from framework.risk import Rule
from framework.slippage import SlippageModel

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

    def timed(self, seconds: float, worker: str) -> Outcome:
        """Return the outcome with how long the trial took, and where it ran."""
        return Outcome(self.number, self.params, self.state, self.values, self.statistics, self.error, self.returns,
                       seconds, worker)


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
        self._pristine: list[tuple[np.ndarray, np.ndarray]] = []
        self._check_dtypes: list[np.dtype] = []
        self._first: Kept | None = None
        self._names: dict[int, tuple[str, ...]] = {}

    def run(self, trial: Trial, worker: str = "") -> Outcome:
        """Run one trial; errors of its plug-ins make it a failed one. Raises Interrupted when told to stop."""
        began = time.perf_counter()
        try:
            parts = self._trained(self.subject.parts(trial.params))
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
        return outcome.timed(time.perf_counter() - began, worker)

    def _trained(self, parts: Parts) -> Parts:
        """Return the plug-ins, strategies with a fit trained on the legs that the configuration names."""
        config = self.setup.config
        return attrs.evolve(parts, plans=tuple(
            trained_plan(plan, use, self.setup.tape, config.run.seed, self.cache)
            for plan, use in zip(parts.plans, config.strategies, strict=True)))

    def touch_columns(self, trial: Trial) -> None:
        """Ask the cache for every column of a trial, without running it; conditions for what they compare only."""
        parts, tape, cache = self.subject.parts(trial.params), self.setup.tape, self.cache
        for plan in parts.plans:
            one = declared_by(plan, tape)
            compared = [operand for condition in one.wake.values() for operand in operands(condition)]
            for place in places_of(plan, tape):
                for expression in (*one.indicators.values(), *compared):
                    evaluate(expression, tape, place, cache)
            ready_rows(list(one.indicators.values()), tape, cache)
        traded = [symbol for plan in parts.plans for symbol in symbols_of(plan, tape)]
        for other in parts.others:
            for expression in names_of(other).values():
                evaluate(expression, tape, None, cache, traded)

    @property
    def notes(self) -> list[str]:
        """What the user is told once: plug-ins that could not be compiled, and why."""
        plugs = self._simulation.plugs if self._simulation is not None else []
        return list(dict.fromkeys(plug.note for plug in plugs if plug.note))

    def _prepared(self, parts: Parts) -> Simulation:
        """Return the simulation at its first event with these plug-ins' parameters."""
        rules: list[Rule] = [parts.sizing, *parts.rules]
        declared = [declared_by(plan, self.setup.tape) for plan in parts.plans]
        signature = (*(tuple(one.indicators) for one in declared), *map(self._names_of, parts.others))
        if parts.slippage is not None and not self.subject.is_fixed(parts.slippage):
            refuse_lacking(parts.slippage, self.setup.tape)
        has_models = any(plan.fitted is not None for plan in parts.plans)
        if self._simulation is None or signature != self._signature or has_models:
            terms = attrs.evolve(self.terms, log_marks=self.setup.objective.mode != LIGHT)
            made = compose(self.setup.tape, parts.plans, parts.sizing, parts.rules, parts.slippage, terms,
                           cache=self.cache, interpreted=self.setup.interpreted)
            refuse_missing_volume(self.setup.tape, self.setup.config.fills, made)
            self._simulation, self._signature = made, signature
            self._first = attrs.evolve(made.keep, slots=Slots())
            changing = [*(getattr(made.state, name) for name in KEPT), made.nows.bytes, made.checks.bytes]
            self._pristine = [(bytes_of(memory), bytes_of(memory).copy()) for memory in changing]
            self._check_dtypes = [next(plug.dtype for plug in made.plugs if plug.array == "rules"
                                       and plug.rows == (number,)) for number in range(len(rules))]
        else:
            self._reset(self._simulation, parts, declared, rules)
        self._check_ready(self._simulation)
        return self._simulation

    def _names_of(self, owner: Rule | SlippageModel) -> tuple[str, ...]:
        """Return the names of a plug-in's indicators; those of plug-ins that no trial varies are asked for once."""
        kept = self._names.get(id(owner))
        if kept is None:
            kept = tuple(names_of(owner))
            if self.subject.is_fixed(owner):
                self._names[id(owner)] = kept
        return kept

    def _reset(self, simulation: Simulation, parts: Parts, declared: Sequence[Declared], rules: list[Rule]) -> None:
        """Put the state back to its beginning and write the parameters and columns of other plug-ins into it.

        Plug-ins that no trial varies are there as they were put together first.
        """
        made, tape, plugs, first = simulation.state, self.setup.tape, simulation.plugs, self._first
        assert first is not None
        for memory, pristine in self._pristine:
            memory[...] = pristine
        slots = plan_slots(tape, parts.plans, declared, self.cache)
        write_slots(made, parts.plans, slots, simulation.nows, [plug.dtype for plug in plugs[: len(parts.plans)]])
        rule_columns = first.rule_columns
        if not all(self.subject.is_fixed(rule) for rule in rules):
            rule_columns = [kept if self.subject.is_fixed(rule)
                            else columns_of_rule(rule, tape, self.cache, slots.symbols)
                            for kept, rule in zip(first.rule_columns, rules, strict=True)]
            set_rule_terms(made, rules)
            write_rules(made, tape, rules, rule_columns, self._check_dtypes, simulation.checks)
        costs, request = first.slippage_columns, first.request
        if parts.slippage is not None and not self.subject.is_fixed(parts.slippage):
            costs = {name: evaluate(one, tape, None, self.cache, slots.symbols)
                     for name, one in names_of(parts.slippage).items()}
            made.slippage_columns[...] = addresses_of(tape, costs)
            parts.slippage.store_params(request.record(0, plugs[-1].dtype)["p"])
        simulation.keep = Kept(tape, slots, rule_columns, costs, request)
        simulation.next, simulation.status = 0, Status.RUNNING

    def _check_ready(self, simulation: Simulation) -> None:
        """Refuse parameters whose indicators warm up beyond the common window: trials would not be comparable."""
        start, tape, slots = self.setup.config.run.start_ns, self.setup.tape, simulation.keep.slots
        if start is None:
            return
        ready = first_decision(tape, np.concatenate(slots.ready), np.asarray(slots.symbols))
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
        if mode == FULL:
            finish(simulation)
        else:
            close_last_day(simulation)
        return marks

    def _measured(self, trial: Trial, parts: Parts, simulation: Simulation, marks: MarkSummary | None) -> Outcome:
        """Return the outcome of a finished run."""
        objective, state = self.setup.objective, simulation.state
        measures = Measures(state, self.measured, marks)
        trades = len(measures.trades)
        statistics: dict[str, Any] = {"Return [%]": plain_number(measures.value("Return [%]")),
                                      "Sharpe Ratio": plain_number(measures.value("Sharpe Ratio")),
                                      "# Trades": trades, **measures.moments}
        returns = measures.returns.copy() if self.setup.keep_returns(trial.number) else None
        if trades < objective.min_trades:
            return Outcome(trial.number, trial.params, FEW_TRADES, None, statistics,
                           f"{trades} closed trades, min_trades = {objective.min_trades}", returns)
        if objective.mode == FULL:
            result = result_of(self.setup.config, self.setup.tape, list(parts.plans), [parts.sizing, *parts.rules],
                               simulation, self._last)
            values = tuple(number_of(result.stats[name]) for name in objective.names)
        else:
            values = tuple(measures.value(name) for name in objective.names)
        undefined = [name for name, value in zip(objective.names, values, strict=True) if not np.isfinite(value)]
        if undefined:
            return Outcome(trial.number, trial.params, UNDEFINED, None, statistics,
                           f"{', '.join(undefined)} is not defined", returns)
        return Outcome(trial.number, trial.params, COMPLETE, values, statistics, "", returns)


def was_run(one: Outcome) -> bool:
    """Return whether a trial came to its end, with a value or without: such trials count against the best of all."""
    return "sharpe_daily" in one.statistics


def sharpe_of(one: Outcome) -> float:
    """Return the Sharpe ratio per day of a trial that was run, NaN for one that never moved."""
    sharpe = one.statistics["sharpe_daily"]
    return math.nan if sharpe is None else float(sharpe)


def bytes_of(memory: np.ndarray) -> np.ndarray:
    """Return an array's memory as bytes, which are copied quicker than records are."""
    return memory.reshape(-1).view(np.uint8)


def plain_number(value: float) -> float | None:
    """Return a number, or None for one that is not finite: what JSON can carry."""
    return float(value) if np.isfinite(value) else None


def first_decision(tape: Tape, rows: np.ndarray, symbols: np.ndarray) -> int | None:
    """Return the earliest close [ns UTC] at which a slot can be asked, None when no slot ever is.

    rows: int64[slots], the row from which on each is asked; symbols: int64[slots].
    """
    there = rows[rows < tape.series[symbols + 1]]
    return int(tape.close_time[there].min()) if there.size else None


def first_ready_close(tape: Tape, parts: Parts, cache: ColumnCache) -> int | None:
    """Return what `first_decision` does, from declared lookbacks alone: no column is computed."""
    found = []
    for plan in parts.plans:
        declared = [*names_of(plan.strategy, symbols_named(plan, tape)).values()]
        symbols = np.asarray(symbols_of(plan, tape))
        rows = ready_rows(declared, tape, cache)[symbols] + (1 if declared else 0)
        found.append(first_decision(tape, rows, symbols))
    return min((one for one in found if one is not None), default=None)


def symbols_of(plan: Plan, tape: Tape) -> list[int]:
    """Return the places of the symbols that a strategy looks at."""
    return [*range(tape.n_symbols)] if plan.symbols is None else [tape.symbol_index(one) for one in plan.symbols]


def places_of(plan: Plan, tape: Tape) -> Sequence[int | None]:
    """Return what columns of a strategy are evaluated over: all symbols at once (None), or some, one by one."""
    symbols = symbols_of(plan, tape)
    return [None] if len(symbols) == tape.n_symbols else symbols


def refuse_lacking(model: SlippageModel, tape: Tape) -> None:
    """Raise ConfigError when a slippage model needs what an instrument of the tape does not have."""
    for instrument in tape.instruments:
        lacking = model.lacks(instrument)
        if lacking:
            raise ConfigError(f"slippage {model.name}: {instrument.symbol}: {lacking}")


def operands(condition: Condition) -> list[Expression]:
    """Return the expressions that a condition compares, numbers left out."""
    match condition:
        case Comparison(_, left, right):
            return [one for one in (left, right) if not isinstance(one, Constant)]
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
