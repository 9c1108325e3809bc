"""Purged and embargoed k-fold and combinatorial purged cross-validation (Lopez de Prado 2018, chapters 7 and 12).

    splitters   `purged_kfold` and `cpcv`: which days train and which are tested, with a gap on both sides of every test
    study       every point runs once over the whole time; its daily returns are what is cut into folds
    choose      in each split, the point that is best by the daily returns of the training days
    paths       its returns on the tested days, put together so that each path covers every day once

A point's decisions use earlier bars only, in any split: what the folds test is the choice.  Training days lie on both
sides of tested ones, so that this says how the choice generalises, not what it would have brought: walk-forward does.
For the same reason no model is trained here: `fit` is given one stretch of time that ends before decisions begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import combinations
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest import metrics
from framework.backtest.config import Config
from framework.backtest.duration import nanoseconds, parse_duration, utc
from framework.backtest.run import DAYS_PER_YEAR, TRADING_DAYS
from framework.backtest.sections import CPCV, PURGED_KFOLD, WalkForward
from framework.backtest.strategy_section import StrategyUse
from framework.data.tape import Tape
from framework.errors import ConfigError
from framework.parameters import Value
from framework.research.objective import Objective
from framework.research.optimize import search
from framework.research.search import Search
from framework.research.stability import Steadiness, steadiness
from framework.research.study import KEPT_RETURNS, Study, Watcher, prepare

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

DEFAULT_FOLDS, DEFAULT_TEST_FOLDS, DEFAULT_GAP = 5, 2, 0.01
"""Of [walk_forward]; the gap is a share of the whole time (Lopez de Prado 2018, 7.4.2)."""


@attrs.frozen(eq=False)
class Split:
    """Places of the days that train and of those that are tested; groups: the folds that are tested."""

    groups: tuple[int, ...]
    train: Places
    test: Places


def purged_kfold(time: Places, folds: int, purge_ns: int = 0, embargo_ns: int = 0) -> list[Split]:
    """Return one split a fold: it is tested, the rest trains but for the gaps.

    time: int64[n] in ns, rising: when each observation is known. purge_ns: training ends so long before a test;
    embargo_ns: and begins again so long after it. ConfigError when a fold is empty or nothing is left to train on.

    >>> [split.train.tolist() for split in purged_kfold(np.arange(6), 3, 1, 1)]
    [[3, 4, 5], [0, 5], [0, 1, 2]]
    """
    return cpcv(time, folds, 1, purge_ns, embargo_ns)


def cpcv(time: Places, folds: int, test_folds: int, purge_ns: int = 0, embargo_ns: int = 0) -> list[Split]:
    """Return a split for every choice of `test_folds` folds, in the order of combinations; else as `purged_kfold`.

    An observation trains unless time[first] - purge_ns <= its time <= time[last] + embargo_ns of some tested fold.
    """
    if not 1 <= test_folds < folds <= len(time):
        raise ConfigError(f"{folds} folds of which {test_folds} are tested, over {len(time)} days: there must be fewer "
                          "tested than all, and at least a day a fold; use other folds or more data")
    parts = np.array_split(np.arange(len(time), dtype=np.int64), folds)
    splits = []
    for groups in combinations(range(folds), test_folds):
        may_train = np.ones(len(time), np.bool_)
        for group in groups:
            first, last = time[parts[group][0]], time[parts[group][-1]]
            may_train &= (time < first - purge_ns) | (time > last + embargo_ns)
        if may_train.sum() < 2:
            named = ", ".join(str(one + 1) for one in groups)
            raise ConfigError(f"purge and embargo leave {int(may_train.sum())} days to train on when folds {named} are "
                              "tested; use shorter gaps or fewer folds")
        splits.append(Split(groups, np.flatnonzero(may_train), np.concatenate([parts[group] for group in groups])))
    return splits


def paths_of(splits: Sequence[Split], folds: int) -> list[list[int]]:
    """Return for each path the split that each fold is taken from: path j has the j-th test of every fold.

    >>> paths_of(cpcv(np.arange(8), 4, 2), 4)
    [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]
    """
    tests = [[number for number, split in enumerate(splits) if fold in split.groups] for fold in range(folds)]
    return [[tested[path] for tested in tests] for path in range(len(tests[0]))]


def measure(name: str, returns: Floats, periods: float, rate: float) -> float:
    """Return a statistic of daily returns by its name in the table of statistics; NaN where it is not defined."""
    return MEASURES[name](returns, periods, rate)


def _deepest(returns: Floats) -> float:
    wealth = np.cumprod(1.0 + returns)
    return float((1.0 - wealth / np.maximum.accumulate(np.maximum(wealth, 1.0))).max()) if len(wealth) else 0.0


MEASURES: dict[str, Callable[[Floats, float, float], float]] = {
    "Sharpe Ratio": metrics.sharpe_ratio,
    "Sortino Ratio": metrics.sortino_ratio,
    "Return [%]": lambda returns, periods, rate: 100.0 * float(np.prod(1.0 + returns) - 1.0),
    "Return (Ann.) [%]": lambda returns, periods, rate: 100.0 * metrics.annualized_return(returns, periods),
    "Volatility (Ann.) [%]": lambda returns, periods, rate: 100.0 * metrics.annualized_volatility(returns, periods),
    "Max. Drawdown [%]": lambda returns, periods, rate: -100.0 * _deepest(returns) + 0.0,
}
"""Objectives that daily returns alone give; a drawdown is that of daily closes."""


@attrs.frozen(eq=False)
class Fold:
    """What one split chose. value: of the objective on the training days; out: on the tested ones."""

    split: Split
    params: dict[str, Value]
    value: float
    out: float
    returns: Floats


@attrs.frozen(eq=False, kw_only=True, slots=False)
class Validation:
    """The result of `cross_validate(...)`: the choice of each split, and the paths that they make.

    time: int64[days], ns: the last mark of each day. paths: float64[paths, days], daily returns out of sample.
    """

    search: Search
    settings: WalkForward
    time: Places
    folds: tuple[Fold, ...]
    paths: Floats
    periods: float
    purge: timedelta
    embargo: timedelta

    @cached_property
    def stability(self) -> list[Steadiness]:
        """How steady the choices of the splits are."""
        return steadiness(self.search.study.space, [fold.params for fold in self.folds])

    @cached_property
    def of_paths(self) -> list[dict[str, float]]:
        """The statistics of every path, from daily returns."""
        rate = self.search.study.config.account.risk_free_rate
        return [{name: measure(name, path, self.periods, rate) for name in MEASURES} for path in self.paths]

    def document(self) -> dict[str, Any]:
        """Return what `--json` answers and walk_forward.json holds."""
        sharpes = np.array([one["Sharpe Ratio"] for one in self.of_paths])
        known = sharpes[np.isfinite(sharpes)]
        spread = {"paths": len(sharpes), "mean": float(known.mean()) if len(known) else None,
                  "low": float(known.min()) if len(known) else None, "high": float(known.max()) if len(known) else None}
        return {"run": None if self.search.folder is None else str(self.search.folder),
                "method": self.settings.method, "days": len(self.time), "sharpe": spread,
                "purge_days": self.purge / timedelta(days=1), "embargo_days": self.embargo / timedelta(days=1),
                "paths": self.of_paths, "splits": [
                    {"tested": [group + 1 for group in fold.split.groups], "train_days": len(fold.split.train),
                     "test_days": len(fold.split.test), "params": fold.params, "value": fold.value, "out": fold.out}
                    for fold in self.folds],
                "stability": [{"parameter": one.path, "values": list(one.values), "common": one.common,
                               "share": one.share, "spread": one.spread} for one in self.stability],
                "trials": len(self.search.outcomes), "objective": list(self.search.study.objective.names)}

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row per day: its time and the return of each path."""
        import polars as pl

        columns = {f"path {number + 1}": path for number, path in enumerate(self.paths)}
        return pl.DataFrame({"time": self.time, **columns}).with_columns(pl.col("time").cast(pl.Datetime("ns", "UTC")))


def cross_validate(config: Config, folder: Path, tape: Tape | None = None, *, resume: bool = False,
                   watch: Watcher | None = None, interpreted: bool = False, report: bool = True, write: bool = True,
                   command: Sequence[str] = ()) -> Validation:
    """Run the study of a configuration once and choose by purged folds, in a new folder.

    resume: continue the journal of the folder.
    Raises ConfigError for an objective that daily returns do not give, too many trials, and folds that cannot be.
    """
    settings = config.walk_forward
    if settings is None or settings.method not in (PURGED_KFOLD, CPCV):
        raise ConfigError(f'[walk_forward] method must be "{PURGED_KFOLD}" or "{CPCV}" to cross-validate')
    names = config.optimize.objective if config.optimize else ("Sharpe Ratio",)
    if len(names) != 1 or names[0] not in MEASURES:
        raise ConfigError(f"[optimize] objective = {list(names)!r}: folds choose by one statistic of daily returns; "
                          f"use one of {', '.join(MEASURES)}")
    searched = attrs.evolve(config, walk_forward=None)
    study = prepare(searched, tape, interpreted)
    refuse_training(study, settings, config.strategies)
    total = study.sampler().total
    if total > KEPT_RETURNS:
        raise ConfigError(f"[optimize] {total:,} trials: the daily returns of at most {KEPT_RETURNS:,} are kept; use a "
                          "smaller space or fewer trials")
    found = search(searched, folder, study.tape, resume=resume, watch=watch, interpreted=interpreted, report=False,
                   write=write, command=command)
    validation = validated(found, settings)
    if write:
        from framework.research.folds_report import write_validation

        write_validation(validation, report, command)
    return validation


def refuse_training(study: Study, settings: WalkForward, uses: Sequence[StrategyUse]) -> None:
    """Raise ConfigError for a strategy that would have to be trained split by split.

    uses: as configured. One that says itself until when it is trained has one model, of bars before all folds: they are
    cut from the rest.
    """
    for place in study.subject.trained:
        use = uses[place]
        if use.trained_until is None:
            raise ConfigError(f"[walk_forward] method = {settings.method!r}: {use.name} has a fit, which is given "
                              "one stretch of bars that ends before its decisions begin, and the days that train a "
                              'split lie on both sides of the tested ones. Use method = "walk_forward", which trains '
                              "in every leg, or say trained_until in its section [strategy]: one model of the bars "
                              "before it serves all splits, and the folds are cut from what comes after")


def validated(found: Search, settings: WalkForward) -> Validation:
    """Return what the folds of a finished search choose."""
    study = found.study
    days = found.backtest().records.days
    assert study.config.run.start is not None
    inside = days["time"] >= nanoseconds(study.config.run.start)
    time = days["time"][inside].astype(np.int64)
    trials = [one for one in found.complete if len(found.returns.get(one.number, ())) == len(days)]
    if not trials or len(time) < 2:
        raise ConfigError("no trial has daily returns over the whole time: nothing can be cut into folds")
    matrix = np.array([found.returns[one.number][inside] for one in trials])
    folds = settings.folds or DEFAULT_FOLDS
    tested = (settings.test_folds or DEFAULT_TEST_FOLDS) if settings.method == CPCV else 1
    gaps = [gap_ns(settings, name, time) for name in ("purge", "embargo")]
    splits = cpcv(time, folds, tested, *gaps)
    periods = DAYS_PER_YEAR.get(study.tape.account_calendar, TRADING_DAYS)
    rate = study.config.account.risk_free_rate
    chosen = [Fold(split, dict(trials[best].params), value, measure(study.objective.names[0], matrix[best][split.test],
                                                                  periods, rate), matrix[best])
              for split, best, value in choices(splits, matrix, study.objective, periods, rate)]
    parts = np.array_split(np.arange(len(time)), folds)
    paths = np.array([np.concatenate([chosen[number].returns[part] for number, part in zip(path, parts, strict=True)])
                      for path in paths_of(splits, folds)])
    assert len(paths) == comb(folds, tested) * tested // folds
    purge, embargo = (timedelta(microseconds=gap // 1_000) for gap in gaps)
    return Validation(search=found, settings=settings, time=time, folds=tuple(chosen), paths=paths, periods=periods,
                      purge=purge, embargo=embargo)


def choices(splits: Sequence[Split], matrix: Floats, objective: Objective, periods: float,
            rate: float) -> Iterator[tuple[Split, int, float]]:
    """Yield for each split the row of the best trial by its training days, of equal ones the first, and its value.

    matrix: float64[trials, days]. No day that is tested, purged or under embargo is looked at.
    """
    for split in splits:
        values = [measure(objective.names[0], row[split.train], periods, rate) for row in matrix]
        losses = [objective.losses((value,))[0] if np.isfinite(value) else np.inf for value in values]
        best = int(np.argmin(losses))
        if not np.isfinite(losses[best]):
            raise ConfigError(f"{objective.names[0]} is not defined for any trial on the training days of folds tested "
                              f"{', '.join(str(one + 1) for one in split.groups)}; use fewer folds or shorter gaps")
        yield split, best, values[best]


def gap_ns(settings: WalkForward, name: str, time: Places) -> int:
    """Return the gap before or after a test in ns: what is set, or a share of the whole time."""
    text = getattr(settings, name)
    if text is None:
        return int(DEFAULT_GAP * float(time[-1] - time[0]))
    begin = utc(int(time[0]))
    return nanoseconds(parse_duration(f"[walk_forward] {name}", text).after(begin)) - nanoseconds(begin)


def shown_values(point: Mapping[str, Value]) -> str:
    """Return a point in words."""
    return ", ".join(f"{path} = {value}" for path, value in point.items())
