"""A study: the trials of a search from its first to its last, whoever runs them, and whatever interrupts it.

    prepare   the configuration becomes a space, an objective, a sampler and one common window
    forecast  one trial is run and timed
    run       trials are asked for, run, journalled and told, batch by batch where the sampler learns

Everything random comes from [run] seed, and trials are told in the order of their numbers: equal studies have equal
ledgers, with any executor and any number of workers, interrupted or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from framework import plugins
from framework.backtest.config import Config
from framework.backtest.duration import utc
from framework.backtest.result import Records, Result
from framework.backtest.run import DAYS_PER_YEAR, TRADING_DAYS, broker_of, known_symbols, load, slippage_of, versions
from framework.backtest.sections import Optimize
from framework.backtest.stats import Value as Statistic
from framework.backtest.strategy_section import trained
from framework.data.tape import Tape
from framework.engine.simulation import held_interrupts
from framework.errors import ConfigError, Interrupted
from framework.indicators import ColumnCache
from framework.parameters import Value
from framework.research.executors import Executor
from framework.research.journal import Journal
from framework.research.objective import Objective, make_objective
from framework.research.samplers import Sampler, make_sampler
from framework.research.space import Space, make_space
from framework.research.subject import Subject
from framework.research.trial import COMPLETE, FAILED, Outcome, Setup, Trial, longest_warm_up

KEPT_RETURNS = 2_000
"""Trials whose daily returns are kept: all, or beyond this number a seeded sample of about as many."""

FLUSH_SECONDS = 0.5
"""How long a finished trial may wait before it is committed."""

WHO_RUNS = ("executor", "workers", "address", "cache_mib")
"""Keys of [optimize] that cannot change a result: a study may be resumed with others."""


@attrs.frozen
class Sample:
    """Chooses trials by their number and the seed, `share` of them."""

    seed: int
    share: float

    def __call__(self, number: int) -> bool:
        return self.share >= 1.0 or float(np.random.default_rng([self.seed, number]).random()) < self.share


@attrs.frozen
class Progress:
    """How far a study is.

    done, total: trials. best: the best value of the first objective so far, None before there is one. eta_seconds:
    until the end, at the rate so far; None before there is one.
    """

    done: int
    total: int
    best: float | None
    failed: int
    eta_seconds: float | None


Watcher = Callable[[Progress], None]


@attrs.frozen(eq=False)
class Study:
    """A search that is ready to run.

    config: with the common window in [run] start. settings: its section [optimize].
    """

    config: Config
    settings: Optimize
    tape: Tape
    subject: Subject
    space: Space
    objective: Objective
    setup: Setup
    cache: ColumnCache
    statistics: tuple[str, ...]

    def sampler(self) -> Sampler:
        """Return the sampler at its first point."""
        return make_sampler(self.settings.sampler, self.space, self.objective, self.settings.trials,
                            self.config.run.seed, self.settings.batch)

    def document(self) -> dict[str, Any]:
        """Return what decides every trial, as plain values: what a journal is opened and resumed with."""
        config = self.config.to_dict()
        section = {key: value for key, value in config.pop("optimize", {}).items() if key not in WHO_RUNS}
        config["optimize"] = section
        return {"config": config, "fingerprint": self.tape.fingerprint, "versions": study_versions(self.settings),
                "space": self.space.described(), "interpreted": self.setup.interpreted,
                "objective": {"names": list(self.objective.names), "directions": list(self.objective.directions),
                              "min_trades": self.objective.min_trades}}

    def better(self, one: Outcome, other: Outcome | None) -> bool:
        """Return whether a trial is better by the first objective; the earlier of two equal ones is."""
        if one.values is None:
            return False
        if other is None or other.values is None:
            return True
        mine, best = self.objective.losses(one.values)[0], self.objective.losses(other.values)[0]
        return (mine, one.number) < (best, other.number)


def prepare(config: Config, tape: Tape | None = None, interpreted: bool = False, is_leg: bool = True) -> Study:
    """Return the study of a configuration; raises ConfigError, DataError or PluginError for anything wrong with it.

    is_leg: whether trials run over its window: the first part of it then trains the strategies that have a fit.
    """
    plugins.use(config.plugins.allow)
    settings = config.optimize or Optimize()
    if settings.address is not None and settings.executor == "local":
        raise ConfigError(f"[optimize] address = {settings.address!r} names a Ray cluster and executor = 'local' does "
                          "not use one; remove one of them")
    subject = Subject(config)
    space = make_space(subject, settings.space, settings.constraints)
    tape = tape if tape is not None else load(config)
    known_symbols(config, tape)
    broker_of(config.broker)
    if config.slippage is not None:
        slippage_of(config.slippage, tape)
    known = known_statistics(config, tape)
    objective = make_objective(settings.objective, settings.direction, settings.min_trades, known)
    cache = ColumnCache(settings.cache_mib << 20)
    common = with_common_window(config, tape, subject, space, cache)
    if is_leg:
        common = with_training(common, tape, subject.trained, settings.fit_share)
    subject = Subject(common)
    total = make_sampler(settings.sampler, space, objective, settings.trials, config.run.seed, settings.batch).total
    keep = Sample(config.run.seed, KEPT_RETURNS / max(total, 1))
    setup = Setup(common, tape, objective, keep, interpreted)
    return Study(common, settings, tape, subject, space, objective, setup, cache, tuple(known))


def known_statistics(config: Config, tape: Tape) -> dict[str, Statistic]:
    """Return the statistics of a run in which nothing happened: their names, and of which kind each is."""
    none = np.full(tape.n_symbols, np.nan)
    result = Result(config={}, symbols=tape.symbols, slots=(), capital=config.run.capital,
                    annualization=DAYS_PER_YEAR.get(tape.account_calendar, TRADING_DAYS), fingerprint="",
                    seed=config.run.seed, records=Records(), first_close=none, last_close=none,
                    positions=np.zeros(tape.n_symbols), cash=config.run.capital)
    return dict(result.stats)


def with_common_window(config: Config, tape: Tape, subject: Subject, space: Space, cache: ColumnCache) -> Config:
    """Return the configuration with [run] start after the longest warm-up of the space.

    The longest warm-up is looked for at the ends of every dimension; a trial that needs more all the same is refused.
    """
    corners = [corner for corner in space.corners() if space.allows(corner)]
    points = corners or list(space.corners())
    ready = longest_warm_up(subject, tape, [*points], cache)
    start = config.run.start_ns
    if start is not None and start >= ready:
        return config
    end = config.run.end_ns
    if end is not None and ready >= end:
        moment = np.datetime64(ready, "ns").astype("M8[s]")
        raise ConfigError(f"[run] end comes before the longest warm-up of the space is over ({moment}); use earlier "
                          "data, a later end, or smaller bounds")
    moment_utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ready // 1000)
    return attrs.evolve(config, run=attrs.evolve(config.run, start=moment_utc))


def with_training(config: Config, tape: Tape, places: Sequence[int], share: float) -> Config:
    """Return the configuration whose strategies with a fit are trained on the first share of the window.

    places: of those strategies; ones that say themselves until when they are trained stay as they are.  The rest of the
    window, to the millisecond, is what trials run over, so that none is measured on a bar that its model has seen.
    """
    waiting = [place for place in places if config.strategies[place].trained_until is None]
    if not waiting:
        return config
    start, end = config.run.start_ns, config.run.end_ns
    assert start is not None
    last = int(tape.close_time.max()) + 1
    whole = (last if end is None else min(last, end)) - start
    until = utc(start + int(share * whole) // 1_000_000 * 1_000_000)
    return attrs.evolve(config, strategies=trained(config.strategies, waiting, config.run.start, until),
                        run=attrs.evolve(config.run, start=until))


def study_versions(settings: Optimize) -> dict[str, str]:
    """Return the versions of everything that shapes a trial or the choice of the next one."""
    from importlib import metadata

    found = versions()
    if settings.sampler not in ("grid", "random"):
        for name in ("optuna", "cmaes"):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return found


def check_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise ConfigError when a journal belongs to another study; only the number of trials may differ."""
    for name in ("fingerprint", "versions", "interpreted", "space", "objective"):
        if old.get(name) != new[name]:
            raise ConfigError(f"this journal belongs to another study: {name} was {old.get(name)!r}, now it is "
                              f"{new[name]!r}; resume with the same, or start a new study")
    for section in {*old["config"], *new["config"]}:
        before, now = old["config"].get(section), new["config"].get(section)
        if section == "optimize":
            before, now = ({key: value for key, value in (part or {}).items() if key != "trials"}
                           for part in (before, now))
        if before != now:
            raise ConfigError(f"this journal belongs to another study: [{section}] was {before!r}, now it is {now!r}; "
                              "resume with the same configuration, or start a new study")


def begin_journal(study: Study, path: Path, earlier: Journal | None) -> Journal:
    """Return the journal to write: the one of an earlier run, unless it belongs to another study, or a new one."""
    document = study.document()
    if earlier is None:
        return Journal.create(path, document)
    check_same(earlier.document, document)
    earlier.replace_document(document)
    return earlier


class Driver:
    """Runs a study to its end: the one who asks, journals and tells."""

    def __init__(self, study: Study, journal: Journal, executor: Executor, watch: Watcher | None = None) -> None:
        self.study, self.journal, self.executor, self.watch = study, journal, executor, watch
        self.sampler = study.sampler()
        self.outcomes: dict[int, Outcome] = {}
        self.best: Outcome | None = None
        self.failed = 0
        self.ran = 0
        self._known = journal.outcomes()
        self._buffer: list[Outcome] = []
        self._flushed = time.perf_counter()
        self._began = time.perf_counter()

    @property
    def resumed(self) -> int:
        """The trials that the journal held already."""
        return len(self._known)

    def run(self) -> None:
        """Run every trial that the journal does not hold; Interrupted when somebody asks to stop, nothing lost."""
        try:
            if self.sampler.batch is None:
                self._stream()
            else:
                self._batches(self.sampler.batch)
        except (KeyboardInterrupt, Interrupted):
            self._keep(self.executor.stop())
            raise Interrupted(f"interrupted with {len(self.outcomes):,} of {self.sampler.total:,} trials, all of them "
                              "saved") from None
        finally:
            self._flush()

    def _stream(self) -> None:
        """Run trials that do not depend on each other, all of them as they come."""
        def wanted() -> Iterator[Trial]:
            for number, point in enumerate(self.sampler.points()):
                if not self._recall(number, point):
                    yield Trial(number, point)

        for outcome in self.executor.outcomes(wanted()):
            self._keep([outcome])

    def _batches(self, size: int) -> None:
        """Run batch after batch; points that were tried before are not run again."""
        points = self.sampler.points()
        seen: dict[tuple[Value, ...], Outcome] = {}
        for first in range(0, self.sampler.total, size):
            asked = [Trial(number, next(points)) for number in range(first, min(first + size, self.sampler.total))]
            new = []
            for trial in asked:
                earlier = seen.get(tuple(trial.params.values()))
                if self._recall(trial.number, trial.params):
                    continue
                if earlier is not None:
                    self._keep([attrs.evolve(earlier, number=trial.number, returns=None, seconds=0.0)])
                else:
                    new.append(trial)
            for outcome in self.executor.outcomes(new):
                self._keep([outcome])
            told = [self.outcomes[trial.number] for trial in asked]
            for one in told:
                seen.setdefault(tuple(one.params.values()), one)
            self.sampler.tell(told)

    def _recall(self, number: int, point: dict[str, Value]) -> bool:
        """Return whether the journal holds this trial; ConfigError when it holds another under its number."""
        known = self._known.get(number)
        if known is None:
            return False
        if known.params != point:
            raise ConfigError(f"the journal's trial {number} tried {known.params}, the study would try {point}; it was "
                              "made by another version or was changed: start a new study")
        self._count(known)
        return True

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        """Take finished trials; they are committed at the latest FLUSH_SECONDS later. Ctrl-C waits until they are."""
        with held_interrupts() as interrupts:
            for outcome in outcomes:
                if outcome.number in self.outcomes:
                    continue
                self._buffer.append(outcome)
                self.ran += 1
                self._count(outcome)
            if time.perf_counter() - self._flushed >= FLUSH_SECONDS:
                self._flush()
        if interrupts:
            raise KeyboardInterrupt

    def _count(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.failed += outcome.state == FAILED
        if outcome.state == COMPLETE and self.study.better(outcome, self.best):
            self.best = outcome
        if self.watch is not None:
            self.watch(self._progress())

    def _flush(self) -> None:
        with held_interrupts() as interrupts:
            self.journal.append(self._buffer)
            self._buffer = []
        self._flushed = time.perf_counter()
        if interrupts:
            raise KeyboardInterrupt

    def _progress(self) -> Progress:
        done, total = len(self.outcomes), self.sampler.total
        elapsed = time.perf_counter() - self._began
        eta = elapsed / self.ran * (total - done) if self.ran else None
        best = self.best.values[0] if self.best is not None and self.best.values else None
        return Progress(done, total, best, self.failed, eta)


def ordered(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return trials in the order of their numbers."""
    return sorted(outcomes, key=lambda one: one.number)
