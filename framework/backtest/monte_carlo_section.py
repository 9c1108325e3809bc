"""The section [monte_carlo] of a configuration: what `framework monte-carlo` and `backtest --monte-carlo` simulate."""

from __future__ import annotations

from typing import ClassVar

import attrs

from framework.backtest.fields import choice, number, whole

FILE = "monte_carlo.json"
"""The name of the result in the run's folder; a later simulation replaces it."""

METHODS = ("block_bootstrap", "bootstrap", "gbm", "trade_reshuffle")


@attrs.frozen
class MonteCarlo:
    """What is simulated.

    method: block_bootstrap draws blocks of days from the history (Politis & Romano 1994), bootstrap single days, gbm
    normal log returns of the history's mean and deviation, trade_reshuffle the history's trades in another order.
    paths: at least 10,000.  horizon: days of a path; a reshuffled one has the run's trades instead.  block: mean length
    of the blocks of block_bootstrap in days.  ruin: a path is ruined that falls to this
    fraction of its equity at the start.
    """

    SECTION: ClassVar[str] = "monte_carlo"
    method: str = choice("block_bootstrap", METHODS)
    paths: int = whole(10_000, low=10_000, high=10_000_000)
    horizon: int = whole(252, low=1, high=100_000)
    block: float = number(20.0, low=1.0, high=100_000.0)
    ruin: float = number(0.5, above=0.0, below=1.0)
