"""`framework.walk_forward(...)`: choose parameters on a window of the past, try them on what comes next, move on.

    windows   the time after the longest warm-up is cut into legs: train, then test, then `step` further
    train     the study of `framework optimize` over the bars that closed before the test begins; no other exist for it;
              a strategy with a fit is trained on the first part of them, and its trials run over the rest
    test      the best parameters, warmed up on what lies before, flat at the begin and flat again at the end; a
              strategy with a fit is trained anew on the whole training window
    stitch    each leg's first `step` of its test, begun with the capital that the leg before left

Training gets a tape that ends where the test begins: no test bar can be seen, whatever an indicator does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from framework.backtest.api import settle
from framework.backtest.config import Config, config_from_dict
from framework.backtest.duration import Duration, nanoseconds, parse_duration, utc
from framework.backtest.recorded import Recorded, load_recorded, read_document, same_code
from framework.backtest.result import Result
from framework.backtest.sections import ROLLING, WalkForward
from framework.backtest.strategy_section import trained
from framework.backtest.write import write_whole
from framework.data.tape import Tape
from framework.errors import ConfigError
from framework.indicators import ColumnCache
from framework.parameters import Value
from framework.research.folders import leg_folder, make_folder, refuse_existing, scratch_folder
from framework.research.journal import NAME, Journal
from framework.research.optimize import kept_cluster, run_study
from framework.research.search import found_of, write_config, write_search
from framework.research.stability import SHOWN, Criterion, Steadiness, acceptance, day, finite, number, steadiness
from framework.research.study import Progress, Study, begin_journal, check_same, prepare
from framework.research.trial import FAILED
from framework.research.window import run_window, stitch

if TYPE_CHECKING:
    import polars as pl

    from framework.research.statistics import Evidence

STUDY = "study.json"
"""What is searched, written before the first leg: what a walk-forward is resumed with."""

TEST = "test.toml"
"""What a leg's folder has beside the best of its search: the backtest of the stitched part of its test."""

LEAST_BARS = 2
"""Closes below which a window has nothing to train or test on: a decision, and a bar to fill it."""

Watcher = Callable[[int, int, Progress], None]
"""watch(leg, legs, progress of its search)."""


@attrs.frozen
class Window:
    """One leg's times, each an end exclusive: train [train_start, test_start), test [test_start, test_end).

    stitch_end: where the next leg takes over.
    """

    number: int
    train_start: datetime
    test_start: datetime
    stitch_end: datetime
    test_end: datetime

    def __str__(self) -> str:
        return (f"leg {self.number}: train {day(self.train_start)} to {day(self.test_start)}, test to "
                f"{day(self.test_end)}")


@attrs.frozen(eq=False)
class Leg:
    """What one leg did.

    params: the best on the training window, None when no trial had a value: the leg then stays flat. value: of the
    objective. trials: how many were tried. inside: the statistics of those parameters on the training window.
    outside: on the whole test window. evidence: how far the choice can be believed by the training window alone, None
    where there was nothing to choose from. resumed: trials that were there already.
    """

    window: Window
    params: dict[str, Value] | None
    value: float | None
    trials: int
    inside: Mapping[str, Any] | None
    outside: Mapping[str, Any] | None
    evidence: Evidence | None = None
    resumed: int = 0


@attrs.frozen(eq=False, kw_only=True, slots=False)
class Forward:
    """The result of `framework.walk_forward(...)`.

    result: the stitched out-of-sample run, with the statistics, tables and pictures of any run; None when no leg chose
    anything. left: the time at the end that fills no test window.
    """

    study: Study
    legs: tuple[Leg, ...]
    result: Result | None
    left: timedelta
    folder: Path | None = None

    @property
    def stats(self) -> Mapping[str, Any]:
        """The statistics of the stitched out-of-sample run; ConfigError when no leg chose anything."""
        return self.out.stats

    @property
    def out(self) -> Result:
        """The stitched out-of-sample run; ConfigError when no leg chose anything."""
        if self.result is None:
            raise ConfigError(f"no trial of any of the {len(self.legs)} legs has a value for "
                              f"{', '.join(self.study.objective.names)}; use longer training windows, another space or "
                              "a smaller [optimize] min_trades")
        return self.result

    @cached_property
    def stability(self) -> list[Steadiness]:
        """How steady the chosen parameters are."""
        return steadiness(self.study.space, [leg.params for leg in self.legs if leg.params is not None])

    @cached_property
    def acceptance(self) -> list[Criterion]:
        """The table of acceptance."""
        inside = [leg.inside for leg in self.legs if leg.inside is not None]
        return acceptance(self.stats, inside, len(self.legs))

    @property
    def is_accepted(self) -> bool:
        """Whether every criterion of the table holds."""
        return all(one.passed for one in self.acceptance)

    @property
    def verdict(self) -> str:
        """What the table of acceptance says, with the criteria that do not hold."""
        failed = [one.name for one in self.acceptance if not one.passed]
        return f"not accepted: {', '.join(failed)} failed" if failed else "accepted"

    @cached_property
    def efficiency(self) -> float | None:
        """The annualized out-of-sample return over the mean annualized in-sample one (Pardo 2008); None unless the
        in-sample one is above 0.
        """
        inside = [number(leg.inside["Return (Ann.) [%]"]) for leg in self.legs if leg.inside is not None]
        known = [one for one in inside if np.isfinite(one)]
        mean = float(np.mean(known)) if known else np.nan
        found = number(self.stats["Return (Ann.) [%]"])
        return found / mean if mean > 0.0 and np.isfinite(found) else None

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row per leg: its times, the chosen parameters, the objective, and both sides' main statistics."""
        import polars as pl

        rows = []
        for leg in self.legs:
            window = leg.window
            row: dict[str, Any] = {"leg": window.number, "train_start": window.train_start,
                                   "test_start": window.test_start, "test_end": window.test_end, "trials": leg.trials}
            row |= {one.path: None if leg.params is None else leg.params[one.path]
                    for one in self.study.space.dimensions}
            row["objective"] = leg.value
            for side, stats in (("in-sample", leg.inside), ("out-of-sample", leg.outside)):
                row |= {f"{side} {name}": None if stats is None else finite(stats[name]) for name in SHOWN}
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        lines = [f"{len(self.legs)} legs, {sum(leg.trials for leg in self.legs):,} trials"]
        if self.result is not None:
            lines += [f"{one.name} {'n/a' if one.value is None else f'{one.value:.4g}'} ({one.rule}): "
                      f"{'pass' if one.passed else 'fail'}" for one in self.acceptance]
        return "\n".join(lines)


def walk_forward(config: Config | Mapping[str, Any] | str | Path | None = None, data: Any = None, strategy: Any = None,
                 *, out: str | Path | None = None, resume: bool = False, progress: Watcher | None = None,
                 interpreted: bool = False, **settings: Any) -> Forward:
    """Choose parameters leg by leg, try each on the time that follows, and return the `Forward`.

    config, data, strategy, settings: as for `framework.backtest`; `optimize={...}` and `walk_forward={...}` are the
    sections of those names. out: the folder to write; without one nothing is kept on disk. resume: continue what `out`
    holds. progress: told the leg, the number of legs and the `Progress` of its search.
    Raises ConfigError, DataError, PluginError; Interrupted when somebody asks to stop, with every trial saved.
    """
    made, tape = settle(config, data, strategy, settings)
    if out is not None:
        return forward(made, Path(out), tape, resume=resume, watch=progress, interpreted=interpreted)
    if resume:
        raise ConfigError("walk_forward(): resume=True needs out=..., the folder of the walk-forward to continue")
    with scratch_folder() as scratch:
        found = forward(made, scratch, tape, watch=progress, interpreted=interpreted, write=False)
        return attrs.evolve(found, folder=None)


def forward(config: Config, folder: Path, tape: Tape | None = None, *, resume: bool = False,
            watch: Watcher | None = None, interpreted: bool = False, report: bool = True, write: bool = True,
            command: Sequence[str] = ()) -> Forward:
    """Run the walk-forward of a configuration in a new folder: a folder a leg, and the whole at the end.

    resume: continue what the folder holds. Trials that its journals have are not run again; tests, one run a leg, are.
    """
    settings = config.walk_forward
    if settings is None:
        raise ConfigError('the section [walk_forward] is missing; add one, such as train = "24mo", test = "6mo"')
    if settings.method != ROLLING:
        raise ConfigError(f"[walk_forward] method = {settings.method!r} has no legs that follow each other")
    if not resume:
        refuse_existing(folder, ", or continue it with --resume")
    study = prepare(config, tape, interpreted, is_leg=False)
    for use in config.strategies:
        if use.trained_until is not None:
            raise ConfigError(f"[strategy] {use.name}: trained_until = {use.trained_until.isoformat()}, but the legs "
                              "of a walk-forward say when to train; remove it")
    windows, left = windows_of(settings, study)
    with kept_cluster(study):
        begin_folder(study, folder, resume)
        legs, parts = run_legs(study, windows, folder, watch, write)
    ends = attrs.evolve(study.config.run, start=windows[0].test_start, end=legs[-1].window.stitch_end)
    has_chosen = any(leg.params is not None for leg in legs)
    result = stitch(attrs.evolve(config, run=ends), study.tape, parts) if has_chosen else None
    found = Forward(study=study, legs=tuple(legs), result=result, left=left, folder=folder)
    if write:
        from framework.research.walk_forward_report import write_forward

        write_forward(found, report, command)
    return found


def forward_again(run: Recorded, data_folder: Path | None = None, watch: Watcher | None = None) -> Forward:
    """Return the walk-forward that a folder holds: its trials are read, the tests of its legs run again.

    data_folder: what relative paths of the data start from, if not as recorded. Nothing is written but trials that the
    folder has lost. Raises ConfigError for other code and DataError for other data than those of the recording.
    """
    study = read_document(run.folder / STUDY)
    config = config_from_dict(study["config"], data_folder or Path(run.document.get("folder") or "."))
    same_code(run, config)
    return forward(config, run.folder, load_recorded(run, config), resume=True, watch=watch,
                   interpreted=study["interpreted"], write=False)


def begin_folder(study: Study, folder: Path, resume: bool) -> None:
    """Make the folder of a walk-forward, or check that what it holds is one of the same study."""
    path = folder / STUDY
    if resume:
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"nothing to resume: {str(path)!r} cannot be read ({error}); name the folder of an "
                              "earlier `framework walk-forward`") from error
        check_same(earlier, study.document())
    make_folder(folder)
    write_whole(path, json.dumps(study.document(), allow_nan=False))


def run_legs(study: Study, windows: Sequence[Window], folder: Path, watch: Watcher | None,
             write: bool) -> tuple[list[Leg], list[Result]]:
    """Run leg after leg; return them, and of each the part of its test that is stitched."""
    interpreted = study.setup.interpreted
    cache = ColumnCache(study.settings.cache_mib << 20)
    legs, parts = [], []
    capital = study.config.run.capital
    for window in windows:
        told = None if watch is None else lambda now, leg=window.number: watch(leg, len(windows), now)
        leg, chosen = train(study, window, folder / leg_folder(window.number), told, write)
        if chosen is not None:
            chosen = trained_on(window, chosen, study)
            ahead = over(chosen, window.test_start, window.test_end, study.config.run.capital)
            whole = run_window(ahead, study.tape, cache, interpreted)
            leg = attrs.evolve(leg, outside=dict(whole.stats))
        mine = over(chosen or trained_on(window, study.config, study), window.test_start, window.stitch_end, capital)
        if write and chosen is not None:
            write_config(mine, folder / leg_folder(window.number) / TEST,
                         f"{window}\n# the stitched part of its test; what is held at its end was closed, with costs")
        parts.append(run_window(mine, study.tape, cache, interpreted, idle=chosen is None))
        capital = final_equity(parts[-1])
        legs.append(leg)
        if capital <= 0.0:
            break
    return legs, parts


def final_equity(part: Result) -> float:
    """Return the equity at the end of a run, account currency."""
    marks = part.records.marks
    return float(marks["equity"][-1]) if len(marks) else part.capital


def trained_on(window: Window, config: Config, study: Study) -> Config:
    """Return a configuration over a leg's test, its strategies that have a fit trained on the whole training window."""
    ahead = over(config, window.test_start, window.test_end, config.run.capital)
    uses = trained(config.strategies, study.subject.trained, window.train_start, window.test_start)
    return attrs.evolve(ahead, strategies=uses)


def over(config: Config, start: datetime, end: datetime, capital: float) -> Config:
    """Return a configuration over another window and with another capital."""
    return attrs.evolve(config, run=attrs.evolve(config.run, start=start, end=end, capital=capital))


def windows_of(settings: WalkForward, study: Study) -> tuple[list[Window], timedelta]:
    """Return the windows of all legs, whole ones only, and the time at the end that is left over.

    The first training window begins where every point of the space can decide; where all durations are whole days, at
    the midnight (UTC) that follows.  Raises ConfigError when there is no leg, or hardly a bar in a window.
    """
    train = parse_duration("[walk_forward] train", settings.train or "")
    test = parse_duration("[walk_forward] test", settings.test or "")
    step = parse_duration("[walk_forward] step", settings.step) if settings.step else test
    begin, end = ends_of(study, (train, test, step))
    windows: list[Window] = []
    while True:
        number_of_leg = len(windows)
        start = step.times(number_of_leg).after(begin)
        tried = train.after(start)
        if test.after(tried) > end:
            break
        windows.append(Window(number_of_leg + 1, begin if settings.anchored else start, tried, step.after(tried),
                              test.after(tried)))
    if not windows:
        bars = int(np.diff(study.tape.series).max())
        raise ConfigError(f"[walk_forward] train = {settings.train!r} and test = {settings.test!r} are longer than the "
                          f"time there is, {day(begin)} to {day(end)} ({bars} bars of the longest symbol, after the "
                          "longest warm-up of the space); use shorter windows or more data")
    closes = np.sort(study.tape.close_time)
    for window in windows:
        for name, first, last in (("training", window.train_start, window.test_start),
                                  ("test", window.test_start, window.stitch_end)):
            ends = np.searchsorted(closes, [nanoseconds(first), nanoseconds(last)], side="left")
            count = np.unique(closes[ends[0] : ends[1]]).size
            if count < LEAST_BARS:
                raise ConfigError(f"[walk_forward] leg {window.number}: {count} bars close in its {name} window, "
                                  f"{day(first)} to {day(last)}; a window needs at least {LEAST_BARS}: use longer "
                                  "windows or shorter bars")
    return windows, end - windows[-1].stitch_end


def ends_of(study: Study, lengths: Sequence[Duration]) -> tuple[datetime, datetime]:
    """Return from when to when legs can lie; on midnights (UTC) where all lengths are whole days."""
    run = study.config.run
    assert run.start is not None
    begin = run.start
    last_close = int(study.tape.close_time.max())
    end = utc(last_close + 1_000_000) if run.end is None else min(run.end, utc(last_close + 1_000_000))
    if all(one.is_of_days for one in lengths):
        begin, end = next_midnight(begin), next_midnight(end)
    return begin, end


def next_midnight(moment: datetime) -> datetime:
    """Return the first midnight that is not before a moment."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == moment else midnight + timedelta(days=1)


def train(study: Study, window: Window, folder: Path, watch: Callable[[Progress], None] | None,
          write: bool) -> tuple[Leg, Config | None]:
    """Search on a training window; return the leg, its test still to come, and the configuration that it chose."""
    known = study.tape.truncate(nanoseconds(window.test_start) - 1)
    config = over(study.config, window.train_start, window.test_start, study.config.run.capital)
    mine = prepare(attrs.evolve(config, optimize=study.settings, walk_forward=None), known, study.setup.interpreted)
    make_folder(folder)
    path = folder / NAME
    journal = begin_journal(mine, path, Journal.open(path) if Journal.is_begun(path) else None)
    try:
        found = found_of(mine, *run_study(mine, journal, 0.0, watch), journal, folder)
    finally:
        journal.close()
    if not found.complete:
        if all(one.state == FAILED for one in found.outcomes):
            found.check()
        return Leg(window, None, None, len(found.outcomes), None, None, None, found.work.resumed), None
    if write:
        write_search(found)
    inside = run_window(found.config, known, mine.cache, study.setup.interpreted)
    values = found.best.values or (np.nan,)
    leg = Leg(window, dict(found.best.params), float(values[0]), len(found.outcomes), dict(inside.stats), None,
              found.evidence, found.work.resumed)
    return leg, found.config
