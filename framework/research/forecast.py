"""What a study will cost, said before it starts: trials, time and memory, from one trial that is run and timed."""

from __future__ import annotations

import time
from collections.abc import Collection
from itertools import islice

import attrs
import numpy as np

from framework.backtest.compose import declared_by, names_of, plan_slots, symbols_named
from framework.data.tape import BAR_COLUMNS, CLOCK_COLUMNS, EVENT_COLUMNS
from framework.errors import ConfigError
from framework.indicators import ColumnCache, Expression
from framework.model.records import MARK
from framework.research.objective import FULL
from framework.research.study import Study
from framework.research.trial import FAILED, Outcome, Stage, Trial, places_of

SAMPLED = 2_000
"""Points whose indicators are counted; a larger study is told by these."""


@attrs.frozen
class Forecast:
    """What a study will cost.

    trials: in all; done: those of them that a journal has, and `left` the others. trial_seconds: one trial on one
    worker, columns ready. seconds: all that are left. columns: different indicator columns that these need;
    `columns_are_all` says whether all points were looked at. bytes: of the tape, of all columns, of those that the
    budget keeps, and of the private memory of a worker. notes: what could not be compiled, and why.
    """

    trials: int
    trial_seconds: float
    column_seconds: float
    workers: int
    columns: int
    columns_are_all: bool
    tape_bytes: int
    column_bytes: int
    budget_bytes: int
    worker_bytes: int
    done: int = 0
    notes: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """The trials that are still to run."""
        return self.trials - self.done

    @property
    def seconds(self) -> float:
        """What is left of the study: its trials on all workers, and each column computed once."""
        return (self.left * self.trial_seconds + self.columns * self.column_seconds) / max(1, self.workers)

    @property
    def memory_bytes(self) -> int:
        """The tape, the columns that the budget keeps, and the workers' own memory."""
        return self.tape_bytes + min(self.column_bytes, self.budget_bytes) + self.workers * self.worker_bytes

    def __str__(self) -> str:
        if self.done and not self.left:
            return f"all {self.trials:,} trials are there already"
        trials = f"{self.left:,} of {self.trials:,} trials left to run" if self.done else f"{self.trials:,} trials"
        columns = f"{'' if self.columns_are_all else 'at least '}{self.columns:,} indicator columns"
        kept = "" if self.column_bytes <= self.budget_bytes else (
            f"; {in_bytes(self.column_bytes)} of them do not fit in [optimize] cache_mib = "
            f"{self.budget_bytes >> 20}, some will be computed again")
        told = (f"{trials} on {self.workers} worker{'' if self.workers == 1 else 's'}, about "
                f"{in_seconds(self.seconds)} ({1e3 * self.trial_seconds:.1f} ms a trial); about "
                f"{in_bytes(self.memory_bytes)} for data and {columns}{kept}")
        return "\n".join([told, *(f"* {note}" for note in self.notes)])


def timed_trial(study: Study) -> tuple[Outcome, float, tuple[str, ...]]:
    """Run the first trial twice; return its outcome, what the second took, and notes on what could not be compiled."""
    first = next(study.sampler().points(), None)
    if first is None:
        raise ConfigError("[optimize] there is no point to try; check space and constraints")
    stage = Stage(study.setup, study.cache, study.subject)
    stage.run(Trial(0, first))
    began = time.perf_counter()
    outcome = stage.run(Trial(0, first))
    return outcome, time.perf_counter() - began, tuple(stage.notes)


def forecast(study: Study, workers: int, known: Collection[int] = ()) -> Forecast:
    """Run one trial twice, and return what the study will cost.  known: numbers of trials that a journal has."""
    outcome, warm, notes = timed_trial(study)
    first, sampler = outcome.params, study.sampler()
    column_seconds = 0.0
    if outcome.state != FAILED:
        fresh = ColumnCache()
        began = time.perf_counter()
        plans = study.subject.parts(first).plans
        plan_slots(study.tape, plans, [declared_by(plan, study.tape) for plan in plans], fresh)
        column_seconds = (time.perf_counter() - began) / max(1, fresh.computed)
    done = frozenset(number for number in known if number < sampler.total)
    expressions, column_bytes, looked = unique_columns(study, done)
    bars = study.tape.n_bars
    marks = MARK.itemsize * bars if study.objective.mode == FULL else 0
    tape_bytes = sum(getattr(study.tape, name).nbytes for name in (*BAR_COLUMNS, *CLOCK_COLUMNS, *EVENT_COLUMNS))
    tape_bytes += sum(column.nbytes for column in study.tape.book.values())
    tape_bytes += study.tape.details.nbytes if study.tape.details is not None else 0
    return Forecast(
        trials=sampler.total, trial_seconds=warm, column_seconds=column_seconds, workers=workers,
        columns=expressions, columns_are_all=looked >= sampler.total - len(done), tape_bytes=tape_bytes,
        column_bytes=column_bytes, budget_bytes=study.cache.budget_bytes,
        worker_bytes=(8 << 20) + marks, done=len(done), notes=notes)


def unique_columns(study: Study, done: Collection[int] = ()) -> tuple[int, int, int]:
    """Return the number and the bytes of different columns of the first SAMPLED points, and the points looked at.

    done: numbers of trials that need none any more. An adaptive sampler is not asked, as that would change its next
    points: random ones stand for its own.
    """
    sampler = study.sampler()
    if sampler.batch is None:
        left = (point for number, point in enumerate(sampler.points()) if number not in done)
        points = islice(left, SAMPLED)
    else:
        random = np.random.default_rng(0)
        points = islice((study.space.draw(random) for _ in range(min(SAMPLED, sampler.total - len(done)))), SAMPLED)
    seen: set[tuple[int | None, Expression]] = set()
    looked = 0
    for point in points:
        looked += 1
        try:
            parts = study.subject.parts(point)
        except ConfigError:
            continue
        for plan in parts.plans:
            declared = names_of(plan.strategy, symbols_named(plan, study.tape))
            seen |= {(place, one) for one in declared.values() for place in places_of(plan, study.tape)}
        for other in parts.others:
            seen |= {(None, one) for one in names_of(other).values()}
    lengths = np.diff(study.tape.series)
    size = sum(8 * (study.tape.n_bars if place is None else int(lengths[place])) for place, _ in seen)
    return len(seen), size, looked if sampler.batch is None else 0


def in_bytes(count: float) -> str:
    """Return a number of bytes for a reader.

    >>> in_bytes(3 << 20)
    '3.0 MiB'
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def in_seconds(seconds: float) -> str:
    """Return a duration for a reader.

    >>> in_seconds(4000)
    '1 h 07 min'
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
