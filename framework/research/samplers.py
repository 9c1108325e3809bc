"""Which points a search tries: all of them, some at random, or where earlier ones did well.

A sampler proposes points in the order of trial numbers.  An adaptive one (Optuna's TPE, CMA-ES and NSGA-II) is asked
for a whole batch, and told its outcomes in the order of trial numbers before it is asked again: what it proposes then
depends on the seed and on outcomes alone, never on which worker was quicker.  So the ledger is the same whoever runs
the trials, and a search is resumed by asking and telling again what the journal holds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from framework.errors import ConfigError
from framework.parameters import Value
from framework.research.objective import Objective
from framework.research.space import TRIES, Dimension, Space
from framework.research.trial import COMPLETE, Outcome

Point = dict[str, Value]

BATCH = 16
"""Points that TPE proposes before it learns of their outcomes."""

POPULATION = 24
"""Points of a generation of CMA-ES and NSGA-II, which learn generation by generation."""

DEFAULT_TRIALS = 100


class Sampler(Protocol):
    """What a study asks for points.

    batch: points that are asked for at a time, None when the sampler does not learn. total: trials in all.
    """

    batch: int | None
    total: int

    def points(self) -> Iterator[Point]:
        """Yield the points in the order of their numbers; an adaptive sampler is told between batches."""

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn a batch's outcomes, in the order of their numbers."""


class Grid:
    """Every point of the space; with `trials`, evenly chosen ones of them."""

    batch: int | None = None

    def __init__(self, space: Space, trials: int | None) -> None:
        self.space = space
        for dimension in space.dimensions:
            dimension.grid()
        self.of = space.count
        self.total = self.of if trials is None else min(self.of, trials)

    def points(self) -> Iterator[Point]:
        """Yield the points in the order of the grid."""
        given = 0
        for place, point in enumerate(self.space.grid()):
            if given < self.total and place * self.total // self.of >= given:
                given += 1
                yield point

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to learn."""


class Random:
    """Different points at random, uniform over the points that satisfy the constraints."""

    batch: int | None = None

    def __init__(self, space: Space, trials: int | None, seed: int) -> None:
        self.space, self.seed = space, seed
        wanted = DEFAULT_TRIALS if trials is None else trials
        self.total = wanted if space.size is None else min(wanted, self._available(wanted))

    def _available(self, wanted: int) -> int:
        """Return how many points a finite space has, counted no further than needed."""
        size = self.space.size or 0
        if size > 4 * wanted and not self.space.constraints:
            return wanted
        if size > TRIES * 50:
            return wanted
        count = 0
        for _ in self.space.grid():
            count += 1
            if count >= wanted:
                break
        return count

    def points(self) -> Iterator[Point]:
        """Yield points drawn with the seed, none twice."""
        random = np.random.default_rng(self.seed)
        seen: set[tuple[Value, ...]] = set()
        misses = 0
        while len(seen) < self.total:
            point = self.space.draw(random)
            key = tuple(point.values())
            if key in seen or not self.space.allows(point):
                misses += 1
                if misses < TRIES:
                    continue
                rest = self._rest(seen, random)
                if not rest:
                    raise ConfigError(f"random search: {TRIES:,} points in a row were outside the constraints or drawn "
                                      f"before; {len(seen)} of {self.total} trials were found; loosen the constraints")
                for point in rest[: self.total - len(seen)]:
                    yield point
                return
            misses = 0
            seen.add(key)
            yield point

    def _rest(self, seen: set[tuple[Value, ...]], random: np.random.Generator) -> list[Point]:
        """Return the points of a finite space that were not drawn yet, shuffled; none when it is too large to list."""
        size = self.space.size
        if size is None or size > TRIES * 50:
            return []
        rest = [point for point in self.space.grid() if tuple(point.values()) not in seen]
        return [rest[int(i)] for i in random.permutation(len(rest))]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to learn."""


class Adaptive:
    """One of Optuna's samplers: it is asked in batches, and told in the order of trial numbers."""

    def __init__(self, kind: str, space: Space, objective: Objective, trials: int | None, seed: int,
                 batch: int | None = None) -> None:
        optuna = import_optuna()
        self.space, self.objective, self.kind = space, objective, kind
        self.total = DEFAULT_TRIALS if trials is None else trials
        self.batch: int | None = batch or (BATCH if kind == "tpe" else POPULATION)
        if kind == "cma-es":
            self._refuse_for_cma()
        self.distributions = {one.path: _distribution(optuna, one) for one in space.dimensions}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samplers: dict[str, Any] = {
                "tpe": lambda: optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=True, constant_liar=True,
                                                          n_startup_trials=min(self.batch or BATCH, 16)),
                "cma-es": lambda: optuna.samplers.CmaEsSampler(seed=seed % 2**32, popsize=self.batch,
                                                               warn_independent_sampling=False),
                "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed % 2**32, population_size=self.batch or 1),
            }
            self.study: Any = optuna.create_study(sampler=samplers[kind](), directions=objective.directions)
        self._open: list[Any] = []

    def _refuse_for_cma(self) -> None:
        if len(self.objective.names) > 1:
            raise ConfigError("sampler 'cma-es' searches by one objective; use 'nsga2' or 'tpe' for several")
        for one in self.space.dimensions:
            if one.values is not None:
                raise ConfigError(f"sampler 'cma-es' needs ranges, and {one.path} lists its values; write it as "
                                  "{ low = ..., high = ... } or use 'tpe'")

    def points(self) -> Iterator[Point]:
        """Yield points; `tell` has to come after every `batch` of them."""
        for _ in range(self.total):
            yield self._ask()

    def _ask(self) -> Point:
        """Return the next point; points outside the constraints are given back as failed and asked for again."""
        optuna = import_optuna()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(TRIES // 10):
                trial = self.study.ask(self.distributions)
                point = {one.path: _value(one, trial.params[one.path]) for one in self.space.dimensions}
                if self.space.allows(point):
                    self._open.append(trial)
                    return point
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise ConfigError(f"sampler {self.kind!r}: {TRIES // 10:,} points in a row were outside the constraints; "
                          "loosen them, or use 'random' or 'grid'")

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the outcomes of the points that were asked since the last time."""
        optuna = import_optuna()
        states = optuna.trial.TrialState
        open_trials, self._open = self._open, []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for trial, outcome in zip(open_trials, outcomes, strict=False):
                if outcome.state == COMPLETE:
                    self.study.tell(trial, outcome.values)
                elif self.kind == "tpe" and len(self.objective.names) == 1:
                    self.study.tell(trial, state=states.PRUNED)
                else:
                    self.study.tell(trial, state=states.FAIL)


def import_optuna() -> Any:
    """Return Optuna, quiet; ConfigError says how to install it."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("the samplers tpe, cma-es and nsga2 need Optuna: pip install "
                          "\"trading-framework[optimize]\"; grid and random need nothing") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _distribution(optuna: Any, one: Dimension) -> Any:
    """Return a dimension as Optuna knows it; numbers that are listed are searched by their place in the order."""
    kinds = optuna.distributions
    if one.values is not None:
        if one.is_numeric:
            return kinds.IntDistribution(0, len(one.values) - 1)
        return kinds.CategoricalDistribution(one.values)
    if one.step is not None and not (one.is_whole and one.log):
        return kinds.IntDistribution(0, (one.size or 1) - 1)
    if one.is_whole:
        return kinds.IntDistribution(int(one.low), int(one.high), log=True)
    return kinds.FloatDistribution(one.low, one.high, log=one.log)


def _value(one: Dimension, proposed: Any) -> Value:
    """Return the value that Optuna's proposal stands for."""
    if one.values is not None:
        value: Value = one.order[proposed] if one.is_numeric else proposed
        return value
    if one.step is not None and not (one.is_whole and one.log):
        return one.at(int(proposed))
    return int(proposed) if one.is_whole else float(proposed)


def make_sampler(kind: str, space: Space, objective: Objective, trials: int | None, seed: int,
                 batch: int | None = None) -> Sampler:
    """Return the sampler of [optimize]; ConfigError when it does not fit the space or the objectives."""
    if kind == "grid":
        return Grid(space, trials)
    if kind == "random":
        return Random(space, trials, seed)
    return Adaptive(kind, space, objective, trials, seed, batch)
