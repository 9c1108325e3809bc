"""Is the best point a plateau or a spike: how its neighbours in the space did."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from framework.parameters import Value
from framework.research.objective import Objective
from framework.research.space import Dimension, Space
from framework.research.trial import COMPLETE, Outcome

PLATEAU, SLOPE, SPIKE, UNKNOWN = "plateau", "slope", "spike", "unknown"
FEWEST = 3
"""Neighbours below which nothing is said."""

NEAREST = 8
"""Neighbours that are looked at where the space is no grid: so many nearest ones, at least two a dimension."""


@attrs.frozen
class Neighbourhood:
    """How the neighbours of the best trial did.

    best: its value. middle: the median of all complete trials. around: the median of its neighbours, which are
    `numbers`. kept: the share of the best's lead over the middle that the neighbours keep: 1 for a plateau, 0 when
    they are like any other trial. lost: neighbours that were not complete.
    """

    verdict: str
    best: float
    middle: float
    around: float
    kept: float
    numbers: tuple[int, ...]
    lost: int = 0

    def __str__(self) -> str:
        if self.verdict == UNKNOWN:
            return f"only {len(self.numbers)} neighbours of the best trial were tried: too few to say what it stands on"
        return (f"{self.verdict}: the best is {self.best:.4g}, its {len(self.numbers)} neighbours {self.around:.4g}, "
                f"all trials {self.middle:.4g} (medians); neighbours keep {100 * self.kept:.0f} % of its lead")


def neighbourhood(space: Space, objective: Objective, outcomes: Sequence[Outcome], best: Outcome,
                  is_grid: bool) -> Neighbourhood:
    """Return how the neighbours of the best trial did by the first objective.

    is_grid: whether neighbours are the points one step away in any dimensions, else the nearest ones. plateau: at least
    half of the lead is kept; spike: less than a fifth.
    """
    places = {one.path: _places(one, outcomes) for one in space.dimensions}
    points = np.array([[places[one.path](outcome.params[one.path]) for one in space.dimensions]
                       for outcome in outcomes])
    centre = np.array([places[one.path](best.params[one.path]) for one in space.dimensions])
    apart = np.abs(points - centre).max(axis=1)
    same = np.array([outcome.params == best.params for outcome in outcomes])
    if is_grid:
        chosen = np.flatnonzero((apart <= 1.0) & ~same)
    else:
        scale = np.maximum(np.ptp(points, axis=0), 1e-300)
        distance = np.where(same, np.inf, np.abs((points - centre) / scale).max(axis=1))
        order = np.argsort(distance, kind="stable")
        most = max(NEAREST, 2 * len(space.dimensions))
        chosen = np.array([i for i in order[:most] if np.isfinite(distance[i])], np.int64)
    near = [outcomes[int(i)] for i in chosen]
    values = [objective.losses(one.values)[0] for one in near if one.state == COMPLETE and one.values]
    everyone = [objective.losses(one.values)[0] for one in outcomes if one.state == COMPLETE and one.values]
    assert best.values is not None
    top, middle = objective.losses(best.values)[0], float(np.median(everyone))
    sign = 1.0 if objective.losses((1.0,) * len(objective.names))[0] > 0 else -1.0
    lost = len(near) - len(values)
    if len(values) < FEWEST or middle <= top:
        around = float(np.median(values)) if values else np.nan
        kept = 1.0 if len(values) >= FEWEST and middle <= top else np.nan
        verdict = PLATEAU if kept == 1.0 else UNKNOWN
    else:
        around = float(np.median(values))
        kept = (middle - around) / (middle - top)
        verdict = PLATEAU if kept >= 0.5 else SPIKE if kept < 0.2 else SLOPE
    return Neighbourhood(verdict, sign * top, sign * middle, sign * around, float(kept),
                         tuple(one.number for one in near), lost)


def _places(one: Dimension, outcomes: Sequence[Outcome]) -> _Place:
    """Return the place of a value in its dimension: its step, or its number or logarithm where there are no steps."""
    if one.values is not None:
        far = 1.0 if one.is_numeric else 2.0
        return _Place({value: far * place for place, value in enumerate(one.order)}, one)
    return _Place({}, one)


@attrs.frozen
class _Place:
    places: dict[Value, float]
    dimension: Dimension

    def __call__(self, value: Value) -> float:
        if self.places:
            return self.places[value]
        number = float(value)
        if self.dimension.step is not None:
            return round((number - self.dimension.low) / self.dimension.step)
        return float(np.log(number)) if self.dimension.log else number
