"""`framework.optimize(...)`: a search over parameters from Python or from the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from framework.backtest.api import settle
from framework.backtest.config import Config
from framework.backtest.sections import Optimize
from framework.data.tape import Tape
from framework.errors import ConfigError
from framework.research.executors import Executor, LocalExecutor, cores
from framework.research.folders import make_folder, refuse_existing, scratch_folder
from framework.research.forecast import Forecast, forecast, timed_trial
from framework.research.journal import NAME, Journal
from framework.research.search import Search, Work, found_of, write_search
from framework.research.study import Driver, Study, Watcher, begin_journal, check_same, prepare
from framework.research.trial import Outcome


def optimize(config: Config | Mapping[str, Any] | str | Path | None = None, data: Any = None, strategy: Any = None, *,
             space: Mapping[str, Any] | None = None, out: str | Path | None = None, resume: bool = False,
             progress: Watcher | None = None, interpreted: bool = False, **settings: Any) -> Search:
    """Search over parameters and return the `Search`, with `.best`, `.trials`, `.config`, `.neighbourhood`.

    config, data, strategy, settings: as for `framework.backtest`. space: parameter -> its values or its range, as in
    [optimize.space]. settings: the keys of [optimize] as well (``sampler="tpe"``, ``objective=...``, ``trials=200``,
    ``constraints=["fast < slow"]``). out: the folder to write; without one nothing is kept on disk. resume: continue
    what `out` holds. progress: told a `Progress` after every trial.
    Raises ConfigError, DataError, PluginError; Interrupted when somebody asks to stop, with everything saved.
    """
    own = {field.name for field in attrs.fields(Optimize)}
    section = {key: settings.pop(key) for key in [*settings] if key in own}
    if space is not None:
        section["space"] = dict(space)
    made, tape = settle(config, data, strategy, settings)
    if section:
        before = {} if made.optimize is None else attrs.asdict(made.optimize, recurse=False)
        made = attrs.evolve(made, optimize=Optimize(**{**before, **section}))
    if out is not None:
        return search(made, Path(out), tape, resume=resume, watch=progress, interpreted=interpreted)
    if resume:
        raise ConfigError("optimize(): resume=True needs out=..., the folder of the search to continue")
    with scratch_folder() as scratch:
        found = search(made, scratch, tape, watch=progress, interpreted=interpreted, write=False)
        return attrs.evolve(found, folder=None)


def search(config: Config, folder: Path, tape: Tape | None = None, *, resume: bool = False,
           watch: Watcher | None = None, told: Callable[[Forecast], None] | None = None, interpreted: bool = False,
           report: bool = True, write: bool = True, command: Sequence[str] = ()) -> Search:
    """Run the search of a configuration in a folder: its journal from the first trial on, its results at the end.

    resume: continue the journal of the folder. told: given the forecast before the first trial.
    """
    if not resume:
        refuse_existing(folder, ", or continue it with --resume")
    earlier = Journal.open(folder / NAME) if resume else None
    study = prepare(config, tape, interpreted)
    if earlier is not None:
        check_same(earlier.document, study.document())
    if told is not None:
        ahead = forecast(study, study.settings.workers or cores(), () if earlier is None else earlier.outcomes())
        told(ahead)
        seconds, notes = ahead.trial_seconds, ahead.notes
    else:
        _, seconds, notes = timed_trial(study)
    with kept_cluster(study):
        make_folder(folder)
        journal = begin_journal(study, folder / NAME, earlier)
        try:
            found = found_of(study, *run_study(study, journal, seconds, watch), journal, folder, notes)
        finally:
            journal.close()
    found.check()
    if write:
        write_search(found, command)
        if report:
            from framework.research.search_report import search_html

            (folder / "report.html").write_text(search_html(found), encoding="utf-8")
    return found


def run_study(study: Study, journal: Journal, trial_seconds: float,
              watch: Watcher | None) -> tuple[Work, dict[int, Outcome]]:
    """Run a study with the executor of its settings; return what it took, and all trials by number.

    trial_seconds: about how long a trial takes, 0 when that is not known.
    """
    executor = make_executor(study, trial_seconds)
    began = time.perf_counter()
    try:
        driver = Driver(study, journal, executor, watch)
        driver.run()
        return Work(executor.name, executor.workers, time.perf_counter() - began, driver.ran, driver.resumed,
                    executor.computed), driver.outcomes
    finally:
        executor.close()


def uses_ray(study: Study) -> bool:
    """Return whether [optimize] executor, or the address with "auto", asks for Ray."""
    settings = study.settings
    return settings.executor == "ray" or (settings.executor == "auto" and settings.address is not None)


@contextmanager
def kept_cluster(study: Study) -> Iterator[None]:
    """Keep Ray's processes for all studies of the same settings that are run inside; nothing to keep for threads."""
    if not uses_ray(study):
        yield
        return
    from framework.research.ray_cluster import kept_connection

    with kept_connection(study.tape, study.cache.budget_bytes, study.settings.workers, study.settings.address):
        yield


def make_executor(study: Study, trial_seconds: float = 0.0) -> Executor:
    """Return who runs the trials: [optimize] executor; with "auto", Ray where there is an address."""
    settings = study.settings
    if uses_ray(study):
        from framework.research.ray_cluster import RayExecutor

        return RayExecutor(study.setup, study.cache.budget_bytes, settings.workers, settings.address,
                           study.subject.session_classes(), trial_seconds)
    return LocalExecutor(study.setup, study.cache, settings.workers, trial_seconds)
