"""`framework audit CONFIG`: what a backtest of this configuration could be fooling its user with.

    look-ahead         columns and decisions on all bars equal those on data that ends, or goes on otherwise, at cuts
    repaint            what an indicator shows live, one bar at a time, is what its column shows afterwards
    history            a column that begins later soon agrees with one that began earlier
    costs              results with costs times 0, 1, 2 and 4
    cliffs             results one small step of each parameter away

Checks of columns and decisions are those of the conformance kit (`framework.testing`), run on the user's own data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from framework import plugins
from framework.backtest.api import settle
from framework.backtest.compose import names_of, symbols_named
from framework.backtest.config import Config
from framework.backtest.duration import utc
from framework.backtest.result import Result
from framework.backtest.run import Parts, known_symbols, load, put_together, run
from framework.data.tape import Tape
from framework.errors import ConfigError
from framework.indicators import ColumnCache, Expression, evaluate, first_ready
from framework.parameters import Value
from framework.research.objective import make_objective
from framework.research.stability import finite, number
from framework.research.study import known_statistics
from framework.research.subject import Subject, Target
from framework.research.trial import COMPLETE, Outcome, Setup, Stage, Trial, longest_warm_up
from framework.risk import Rule
from framework.slippage import SlippageModel
from framework.source_check import captured
from framework.strategy import Strategy
from framework.testing.columns import ColumnChecks
from framework.testing.markets import change_future, events_until, quiet_cuts
from framework.testing.report import Failed
from framework.testing.runs import difference, finished, moment

CUTS = 8
"""Cuts at which decisions are looked at."""

STREAMED_BARS = 2_000
"""Bars that indicators are shown one by one, the first of the data."""

TIMES = (0.0, 1.0, 2.0, 4.0)
"""Multiples of the costs."""

AGREES, SETTLED_WITHIN, SETTLED_BARS = 1e-3, 10, 250
"""A column has forgotten where it began when it differs by less than AGREES of its size.  It has to within
SETTLED_WITHIN times its warm-up, or SETTLED_BARS bars where that is more."""

STEP, KEPT = 0.1, 0.5
"""How far a neighbour is: this share of the value (whole numbers at least 1), and what it has to keep of the result."""


@attrs.frozen
class Finding:
    """One thing found. subject: the column, parameter or cost it is about."""

    subject: str
    message: str


@attrs.frozen
class Look:
    """One check: what it found (nothing is good), what it looked at, and its figures."""

    name: str
    findings: tuple[Finding, ...]
    looked_at: str
    figures: tuple[Mapping[str, Any], ...] = ()


@attrs.frozen(eq=False)
class Audit:
    """The result of `framework.audit(...)`."""

    looks: tuple[Look, ...]
    stats: Mapping[str, Any]

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found."""
        return [one for look in self.looks for one in look.findings]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __getitem__(self, name: str) -> Look:
        """Return a check by its name."""
        return next(look for look in self.looks if look.name == name)

    def __str__(self) -> str:
        lines = []
        for look in self.looks:
            lines.append(f"{'FOUND' if look.findings else 'ok   '} {look.name}: {look.looked_at}")
            lines += [f"      {one.subject}: {one.message}" for one in look.findings]
        return "\n".join(lines)

    __repr__ = __str__

    def document(self) -> dict[str, Any]:
        """Return what `--json` answers and audit.json holds."""
        return {"passed": self.passed, "findings": len(self.findings), "checks": [
            {"check": look.name, "passed": not look.findings, "looked_at": look.looked_at,
             "findings": [attrs.asdict(one) for one in look.findings], "figures": [dict(one) for one in look.figures]}
            for look in self.looks]}


def audit(config: Config | Mapping[str, Any] | str | Path | None = None, data: Any = None, strategy: Any = None, *,
          interpreted: bool = False, **settings: Any) -> Audit:
    """Look for what could make a backtest of this configuration lie, and return the `Audit`.

    config, data, strategy, settings: as for `framework.backtest`.
    Raises ConfigError, DataError, PluginError or StrategyError for a configuration that does not run.
    """
    made, tape = settle(config, data, strategy, settings)
    return audited(made, tape, interpreted)


def audited(config: Config, tape: Tape | None = None, interpreted: bool = False) -> Audit:
    """Run every check on a configuration."""
    plugins.use(config.plugins.allow)
    tape = tape if tape is not None else load(config)
    known_symbols(config, tape)
    result = run(config, tape, interpreted=interpreted)
    if not result.records.orders.size and not result.records.refusals.size:
        raise ConfigError(f"nothing to audit: {', '.join(config.labels)} never bought or sold; check conditions, "
                          "parameters and [run] start and end, `framework explain` says why of the run of a backtest")
    work = _Work(config, tape, result, interpreted)
    looks = (work.look_ahead(), work.repaint(), work.history(), work.costs(), work.cliffs())
    return Audit(looks, result.stats)


@attrs.frozen(eq=False, slots=False)
class _Work:
    """The checks of one configuration over one tape; result: of its backtest."""

    config: Config
    tape: Tape
    result: Result
    interpreted: bool

    @cached_property
    def made(self) -> Parts:
        """The simulation at its first event, and its plug-ins."""
        return put_together(self.config, self.tape, interpreted=self.interpreted)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """Every declared indicator, by plug-in and name."""
        owners: list[tuple[Strategy | Rule | SlippageModel, tuple[str, ...]]] = [
            (plan.strategy, symbols_named(plan, self.tape)) for plan in self.made.plans]
        owners += [(rule, ()) for rule in self.made.rules]
        owners += [(model, ()) for model in [self.made.slippage] if model is not None]
        found: dict[str, Expression] = {}
        for place, (owner, symbols) in enumerate(owners):
            for name, expression in names_of(owner, symbols).items():
                label = f"{owner.name}.{name}"
                found[label if label not in found else f"{label} ({place + 1})"] = expression
        return found

    def _failures(self, tape: Tape, check: str) -> Iterator[Finding]:
        """Yield a finding for every column that fails a check of the conformance kit."""
        for name, expression in self.expressions.items():
            try:
                getattr(ColumnChecks({name: expression}, {"the data": tape}), check)()
            except Failed as failure:
                yield Finding(name, str(failure))

    def look_ahead(self) -> Look:
        """No column and no decision changes when the bars after it are missing or are others."""
        findings = [*self._failures(self.tape, "causal"), *self._captured()]
        told = self._decisions()
        if told:
            findings.append(Finding("decisions", told))
        if self.config.fills.volume_basis == "bar":
            findings.append(Finding("[fills] volume_basis", "fills are reckoned with the volume of their own bar, "
                                    'which nobody knew then; "mean" takes that of the bars before'))
        return Look("look-ahead", tuple(findings), f"{len(self.expressions)} columns and all orders, fills and marks, "
                    f"on data cut and continued otherwise at {len(self.cuts)} times")

    @cached_property
    def cuts(self) -> list[int]:
        """The times at which data is cut for decisions: after the first order where there is one."""
        orders = self.result.records.orders
        first = int(orders["placed_time"][0]) if len(orders) else 0
        closes = np.unique(self.tape.close_time)
        return quiet_cuts(self.tape, CUTS, int(np.searchsorted(closes, first)))

    def _captured(self) -> Iterator[Finding]:
        for plan in self.made.plans:
            strategy = plan.strategy
            for name, value in captured(strategy.decide_all or strategy.decide):
                yield Finding(f"{strategy.name}.decide", f"reads {name} ({type(value).__name__}) past its argument: "
                              "what does not come through `now` can hold the future; declare an indicator or keep it "
                              "in state")

    def _decisions(self) -> str:
        """Return where two runs part that know the same up to a cut, "" when they do not."""
        whole = put_together(self.config, self.tape, interpreted=self.interpreted).simulation
        for cut in self.cuts:
            before = finished(whole, min(events_until(self.tape, cut), self.made.last))
            for called, other in (("without the bars after", self.tape.truncate(cut)),
                                  ("with other bars after", change_future(self.tape, cut))):
                made = put_together(self.config, other, interpreted=self.interpreted)
                again = finished(made.simulation, min(events_until(other, cut), made.last))
                told = difference(before, again, self.tape.symbols, ("with all bars", f"{called} {moment(cut)}"))
                if told:
                    return f"a decision depends on bars after {moment(cut)}: {told}"
        return ""

    def repaint(self) -> Look:
        """What a column shows of the past is what was shown at the time."""
        tape = self.tape
        closes = np.sort(tape.close_time)
        if closes.size > STREAMED_BARS:
            tape = tape.truncate(int(closes[STREAMED_BARS - 1]))
        return Look("repaint", tuple(self._failures(tape, "incremental")), f"{len(self.expressions)} columns over "
                    f"{tape.n_bars:,} bars, against one bar at a time, bit for bit")

    def history(self) -> Look:
        """A column over data that begins later comes to agree with the one over all data."""
        times = np.unique(self.tape.close_time)
        begin = int(times[times.size // 3])
        shorter = self.tape.only(self.tape.open_time >= begin)
        findings, figures = [], []
        for name, expression in self.expressions.items():
            warm_up = settled = 0
            for symbol in range(self.tape.n_symbols):
                late = evaluate(expression, shorter, symbol)
                if not late.size:
                    continue
                full = evaluate(expression, self.tape, symbol)[-late.size :]
                ready = first_ready(expression, shorter, symbol)
                bars = settles(full, late, ready)
                allowed = max(SETTLED_WITHIN * ready, SETTLED_BARS)
                warm_up, settled = max(warm_up, ready), max(settled, bars)
                if bars > allowed:
                    at = ready + bars - 1
                    when = moment(self.tape.close_time[self.tape.rows(symbol).stop - late.size + at])
                    findings.append(Finding(
                        name, f"on {self.tape.symbols[symbol]} its value at {when}, {bars} bars after its warm-up of "
                        f"{ready}, still depends on where the data begins: {float(full[at])!r} with all bars, "
                        f"{float(late[at])!r} with those from {moment(begin)} on; live it will differ from this"))
                    break
            figures.append({"column": name, "warm_up_bars": warm_up, "bars_until_it_agrees": settled})
        return Look("history", tuple(findings), f"{len(self.expressions)} columns on data that begins a third later",
                    tuple(figures))

    def costs(self) -> Look:
        """The result survives twice its costs."""
        base = self.result
        fills, fees = base.records.fills, self.config.fees
        multipliers = base.multipliers[fills["symbol"]]
        traded = float((np.abs(fills["qty"]) * fills["price"] * multipliers).sum())
        slipped = float(fills["slippage"].sum())
        bps = slipped / traded * 10_000.0 if traded > 0.0 else 0.0
        figures = []
        for times in TIMES:
            more = max(0.0, times - 1.0) * bps
            maker = fees.taker_bps if fees.maker_bps is None else fees.maker_bps
            scaled = attrs.evolve(
                fees, taker_bps=min(10_000.0, times * fees.taker_bps + more), maker_bps=min(10_000.0, times * maker),
                per_share=times * fees.per_share, per_order=times * fees.per_order, minimum=times * fees.minimum)
            config = attrs.evolve(self.config, fees=scaled, slippage=None if times == 0.0 else self.config.slippage)
            stats = base.stats if times == 1.0 else run(config, self.tape, interpreted=self.interpreted).stats
            figures.append({"costs": times, **{name: finite(stats[name]) for name in (
                "Return [%]", "Sharpe Ratio", "# Trades", "Fees", "Slippage cost")}})
        returns = {one["costs"]: number(one["Return [%]"]) for one in figures}
        findings = []
        if figures[1]["Fees"] == 0.0 and figures[1]["Slippage cost"] == 0.0:
            findings.append(Finding("costs", "nothing is paid for trading: there are neither fees nor slippage; name "
                                    "[fees] and [slippage]"))
        elif returns[1.0] > 0.0 >= returns[2.0]:
            findings.append(Finding("costs", f"the return of {returns[1.0]:.2f} % is {returns[2.0]:.2f} % at twice the "
                                    "costs: what is left lives on the estimate of costs"))
        elif returns[0.0] > 0.0 >= returns[1.0]:
            findings.append(Finding("costs", f"the return of {returns[0.0]:.2f} % without costs is {returns[1.0]:.2f} "
                                    "% with them: costs take all of it"))
        told = ", ".join(f"{one['costs']:g} x {number(one['Return [%]']):.2f} %" for one in figures)
        return Look("costs", tuple(findings), f"returns at multiples of fees and slippage: {told}", tuple(figures))

    def cliffs(self) -> Look:
        """A small step of a parameter does not undo the result."""
        subject = Subject(self.config)
        points = [{target.path: value} for target in varied(subject) for value in neighbours(target)]
        if not points:
            return Look("cliffs", (), "nothing: no strategy has a number among its parameters")
        cache = ColumnCache()
        here, around = self._tried(subject, points, cache)
        figures = [{**one.params, "state": one.state, "Sharpe Ratio": finite(one.statistics.get("Sharpe Ratio")),
                    "Return [%]": finite(one.statistics.get("Return [%]"))} for one in (here, *around)]
        best = number(here.statistics.get("Sharpe Ratio"))
        if here.state != COMPLETE or not best > 0.0:
            return Look("cliffs", (), "nothing: the Sharpe Ratio is not above 0, there is nothing to fall from",
                        tuple(figures))
        findings = []
        for one in around:
            (path, value), = one.params.items()
            found = number(one.statistics.get("Sharpe Ratio")) if one.state == COMPLETE else float("nan")
            if not found >= KEPT * best:
                shown = f"{found:.2f}" if np.isfinite(found) else f"not there ({one.error or one.state})"
                findings.append(Finding(path, f"{path} = {value} in place of {subject.targets[path].value}: the Sharpe "
                                        f"Ratio of {best:.2f} is {shown}"))
        return Look("cliffs", tuple(findings), f"{len(points)} neighbours of {len(varied(subject))} parameters, each "
                    f"{100 * STEP:.0f} % or 1 away; the Sharpe Ratio here is {best:.2f}", tuple(figures))

    def _tried(self, subject: Subject, points: list[dict[str, Value]],
               cache: ColumnCache) -> tuple[Outcome, list[Outcome]]:
        """Return the outcome of the configuration itself and of its neighbours, all over one window."""
        ready = longest_warm_up(subject, self.tape, [{}, *points], cache)
        start = max(ready, self.config.run.start_ns or ready)
        config = attrs.evolve(self.config, run=attrs.evolve(self.config.run, start=utc(start)))
        objective = make_objective("Sharpe Ratio", None, 0, known_statistics(config, self.tape))
        setup = Setup(config, self.tape, objective, interpreted=self.interpreted)
        stage = Stage(setup, cache, Subject(config))
        outcomes = [stage.run(Trial(i, point)) for i, point in enumerate([{}, *points])]
        return outcomes[0], outcomes[1:]


def varied(subject: Subject) -> list[Target]:
    """Return the parameters of strategies that are numbers, each once."""
    return list({(one.place, one.name): one for one in subject.targets.values() if one.kind == "strategy"
                 and one.param.type in (int, float) and not one.param.choices}.values())


def neighbours(target: Target) -> list[Value]:
    """Return the values one small step below and above a parameter's own, those that its bounds and class allow."""
    own = target.value
    assert isinstance(own, int | float)
    step = max(1, round(STEP * abs(own))) if target.param.type is int else STEP * abs(own)
    low = -np.inf if target.param.low is None else target.param.low
    high = np.inf if target.param.high is None else target.param.high
    return [value for value in (own - step, own + step) if step and low <= value <= high]


def settles(full: np.ndarray, late: np.ndarray, ready: int) -> int:
    """Return after how many bars behind `ready` two columns agree for good; 0 when they do from there on."""
    one, other = full[ready:], late[ready:]
    known = np.isfinite(one)
    if not known.any():
        return 0
    size = np.maximum(np.abs(one), float(np.median(np.abs(one[known]))))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(one - other) > AGREES * size
    apart |= np.isfinite(one) != np.isfinite(other)
    places = np.flatnonzero(apart)
    return int(places[-1]) + 1 if places.size else 0
