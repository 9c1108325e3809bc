"""What a search leaves behind: its trials, its best points, and the folder they are written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from framework.backtest.config import Config
from framework.backtest.run import DAYS_PER_YEAR, TRADING_DAYS
from framework.backtest.write import write_json
from framework.data.catalogue import CATALOGUE, CatalogueSource
from framework.errors import ConfigError
from framework.research.journal import Journal, earlier_sharpes
from framework.research.neighbourhood import Neighbourhood, neighbourhood
from framework.research.study import Study
from framework.research.trial import COMPLETE, Outcome, Stage, Trial, sharpe_of, was_run

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.result import Result
    from framework.research.statistics import Evidence


@attrs.frozen
class Work:
    """What running a study took.

    seconds: of this process's run. ran, resumed: trials run now, and found in the journal. computed: indicator columns
    that were computed, a column once for each time; unique: different ones.
    """

    executor: str
    workers: int
    seconds: float
    ran: int
    resumed: int
    computed: int


@attrs.frozen(eq=False, kw_only=True, slots=False)
class Search:
    """The result of `framework.optimize(...)`.

    outcomes: every trial in order. folder: where it was written, None for a search that was not. returns: daily, of
    the trials whose returns were kept. earlier: Sharpe ratios per day of trials of earlier searches in the folders
    beside it, with the same data and strategies. notes: what could not be compiled and ran interpreted, and why.
    """

    study: Study
    outcomes: tuple[Outcome, ...]
    work: Work
    folder: Path | None = None
    returns: dict[int, np.ndarray] = attrs.field(factory=dict)
    earlier: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def complete(self) -> list[Outcome]:
        """The trials that have a value."""
        return [one for one in self.outcomes if one.state == COMPLETE]

    @cached_property
    def best(self) -> Outcome:
        """The best trial by the first objective, the earliest of equal ones; among several objectives, of the front.

        Raises ConfigError when no trial has a value.
        """
        self.check()
        found: Outcome | None = None
        for one in self.front:
            found = one if self.study.better(one, found) else found
        assert found is not None
        return found

    @cached_property
    def front(self) -> list[Outcome]:
        """The trials that no other one beats in every objective, best first by the first; with one objective, the best.

        Of equal trials the earliest one stands for all.
        """
        losses: dict[tuple[float, ...], Outcome] = {}
        for one in self.complete:
            losses.setdefault(self.study.objective.losses(one.values or ()), one)
        chosen: list[tuple[float, ...]] = []
        for loss in sorted(losses):
            if not any(all(a <= b for a, b in zip(other, loss, strict=True)) for other in chosen):
                chosen.append(loss)
        return [losses[loss] for loss in chosen]

    def leaders(self, most: int) -> list[Outcome]:
        """Return the best different points by the first objective, at most so many."""
        found: dict[tuple[Any, ...], Outcome] = {}
        losses = self.study.objective.losses
        for one in sorted(self.complete, key=lambda one: (losses(one.values or ())[0], one.number)):
            found.setdefault(tuple(one.params.values()), one)
            if len(found) == most:
                break
        return list(found.values())

    def check(self) -> None:
        """Raise ConfigError when no trial has a value, saying why."""
        if self.complete:
            return
        counts: dict[str, int] = {}
        for one in self.outcomes:
            counts[one.state] = counts.get(one.state, 0) + 1
        why = ", ".join(f"{count:,} {state}" for state, count in counts.items())
        example = next((one for one in self.outcomes if one.error), None)
        said = f"; trial {example.number} with {example.params}: {example.error}" if example else ""
        kept = f" All trials are in {self.folder}." if self.folder else ""
        raise ConfigError(f"no trial has a value for {', '.join(self.study.objective.names)} ({why}){said}. Use other "
                          f"bounds, more data, or a smaller [optimize] min_trades.{kept}")

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """Whether the best point stands on a plateau or is a spike."""
        is_grid = self.study.settings.sampler == "grid" and self.study.settings.trials is None
        return neighbourhood(self.study.space, self.study.objective, self.outcomes, self.best, is_grid)

    @cached_property
    def evidence(self) -> Evidence | None:
        """How far the best can be believed, all trials counted, those of `earlier` searches as well.

        None with fewer than two trials whose daily returns were kept; those of the best are made again where they were
        not. Trials that ended early, ruined, have no common days with the others; they and trials whose returns were
        not kept count by their Sharpe ratio, one that never moved without any.
        """
        returns = dict(self.returns)
        if returns and self.best.number not in returns:
            returns[self.best.number] = self.returns_of(self.best)
        days = max((len(one) for one in returns.values()), default=0)
        rows = [number for number, one in sorted(returns.items()) if len(one) == days]
        if len(rows) < 2 or self.best.number not in rows:
            return None
        from framework.research.statistics import search_evidence

        kept = set(rows)
        others = [sharpe_of(one) for one in self.outcomes if one.number not in kept and was_run(one)]
        periods = DAYS_PER_YEAR.get(self.study.tape.account_calendar, TRADING_DAYS)
        return search_evidence(np.array([returns[number] for number in rows]), rows.index(self.best.number),
                               periods, [*others, *self.earlier], seed=self.study.config.run.seed)

    def returns_of(self, one: Outcome) -> np.ndarray:
        """Run a trial once more and return its daily returns, float64[days]."""
        setup = attrs.evolve(self.study.setup, keep_returns=lambda number: True)
        again = Stage(setup, self.study.cache).run(Trial(one.number, one.params))
        assert again.returns is not None, again.error
        return again.returns

    @cached_property
    def config(self) -> Config:
        """The configuration with the best parameters, ready for a backtest over the study's window."""
        made = self.study.subject.configured(self.best.params)
        return attrs.evolve(made, optimize=None)

    def backtest(self) -> Result:
        """Run the best point as a backtest."""
        from framework.backtest.api import execute

        return execute(self.config, self.study.tape, interpreted=self.study.setup.interpreted)

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row per trial: number, state, the parameters, the objectives, a few statistics and the error."""
        import polars as pl

        names = self.study.objective.names
        rows = []
        for one in self.outcomes:
            values = one.values or (None,) * len(names)
            row: dict[str, Any] = {"trial": one.number, "state": one.state, **one.params}
            row |= {key: value for key, value in one.statistics.items() if key not in names}
            rows.append({**row, **dict(zip(names, values, strict=True)), "error": one.error})
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        lines = [f"{len(self.outcomes):,} trials, {len(self.complete):,} with a value"]
        if self.complete:
            values = zip(self.study.objective.names, self.best.values or (), strict=True)
            lines.append("best    " + ", ".join(f"{name} = {value:.4f}" for name, value in values))
            lines.append("with    " + ", ".join(f"{path} = {value}" for path, value in self.best.params.items()))
            lines.append(f"around  {self.neighbourhood}")
        lines += [f"* {note}" for note in self.notes]
        return "\n".join(lines)


def document(search: Search) -> dict[str, Any]:
    """Return what `--json` answers and optimize.json holds."""
    study, work = search.study, search.work
    names = study.objective.names

    def shown(one: Outcome) -> dict[str, Any]:
        values = list(one.values or ())
        return {"trial": one.number, "params": one.params, "value": values[0] if len(values) == 1 else values,
                "statistics": one.statistics}

    near = search.neighbourhood
    return {
        "run": None if search.folder is None else str(search.folder),
        "best": shown(search.best),
        "front": [shown(one) for one in search.front] if len(names) > 1 else [],
        "trials": len(search.outcomes),
        "complete": len(search.complete),
        "objective": list(names),
        "directions": list(study.objective.directions),
        "sampler": study.settings.sampler,
        "start": study.config.run.start,
        "seed": study.config.run.seed,
        "fingerprint": study.tape.fingerprint,
        "statistics": {"neighbourhood": {"verdict": near.verdict, "best": near.best, "around": near.around,
                                         "middle": near.middle, "kept": near.kept, "neighbours": len(near.numbers)},
                       "evidence": None if search.evidence is None else search.evidence.to_dict()},
        "work": attrs.asdict(work),
        "notes": list(search.notes),
    }


def write_search(search: Search, command: Sequence[str] = ()) -> None:
    """Write best.toml, optimize.json and trials.parquet beside the journal."""
    assert search.folder is not None
    from framework.backtest.write import write_table

    folder = search.folder
    values = ", ".join(f"{path} = {value}" for path, value in search.best.params.items())
    write_config(search.config, folder / "best.toml", f"The best of {len(search.outcomes)} trials: {values}")
    write_json(folder / "optimize.json", {**document(search), "command": list(command),
                                          "study": search.study.document()})
    write_table(folder / "trials.parquet", search.trials)


def write_config(config: Config, path: Path, told: str) -> None:
    """Write a configuration as a file that can be run from anywhere: what it names in `[data]` is named whole.

    Those are `path`, which the source catalogue has without being told, `dividends` and `funding`.
    told: what the file is, for its first line.
    """
    import tomli_w

    document = config.to_dict()
    own = document["data"]
    if not own["symbols"]:
        del own["symbols"]
    if own["source"] == CatalogueSource.name:
        own.setdefault("path", CATALOGUE)
    for key in ("path", "dividends", "funding"):
        if isinstance(own.get(key), str | Path):
            own[key] = str((config.folder / own[key]).resolve())
    head = f"# {told}\n# framework backtest {path.name}\n\n"
    path.write_text(head + tomli_w.dumps(document), encoding="utf-8")


def found_of(study: Study, work: Work, outcomes: Mapping[int, Outcome], journal: Journal, folder: Path,
             notes: tuple[str, ...] = ()) -> Search:
    """Return the search of a finished study. outcomes: by number; the daily returns of resumed ones are read.

    notes: of the `Search`.
    """
    returns = journal.daily_returns() if work.resumed else {}
    returns |= {number: one.returns for number, one in outcomes.items() if one.returns is not None}
    return Search(study=study, outcomes=tuple(outcomes[number] for number in sorted(outcomes)), work=work,
                  folder=folder, notes=notes, returns=dict(sorted(returns.items())),
                  earlier=earlier_sharpes(folder, study.document(), (one.params for one in outcomes.values())))
