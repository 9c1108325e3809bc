"""Estimates of a simulation, each with the interval in which it has settled and what it was with fewer paths.

Losses are positive: a value at risk of 0.05 is a loss of 5 %, one below zero a gain.  Quantiles are values that
occurred: the smallest that a share q of all does not exceed, so that VaR 99 >= VaR 95 and CVaR >= VaR by construction.

Sources: Acerbi & Tasche (2002), "On the Coherence of Expected Shortfall"; Manistre & Hancock (2005), "Variance of the
CTE Estimator"; Conover (1999), "Practical Nonparametric Statistics", section 3.2 (quantiles); Wilson (1927), "Probable
Inference" (shares).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""Two-sided 95 % point of the standard normal distribution."""

PARTS = (8, 4, 2, 1)
"""The trace shows an estimate at these fractions of the paths: 1/8, 1/4, 1/2 and all."""

SETTLED_SHARE, SETTLED_POINTS = 0.05, 0.02
"""An estimate has settled when half its interval is below this share of it, or below these percentage points."""


@attrs.frozen
class Figure:
    """A number and its 95 % interval of simulation error."""

    value: float
    low: float
    high: float


@attrs.frozen
class Estimate:
    """One figure of a simulation, a percentage.  trace: (paths, value) at 1/8, 1/4, 1/2 and all of the paths."""

    value: float
    low: float
    high: float
    trace: tuple[tuple[int, float], ...]

    @property
    def has_settled(self) -> bool:
        """Whether more paths would change little: half the interval is at most 5 % of the value, or 0.02 points."""
        return (self.high - self.low) / 2.0 <= max(SETTLED_POINTS, SETTLED_SHARE * abs(self.value))


def rank_of(count: int, share: float) -> int:
    """Return how many of `count` sorted values a share takes, at least one; rounding does not add one more."""
    return min(count, max(1, math.ceil(round(count * share, 6))))


def quantile(ordered: Floats, share: float) -> Figure:
    """Return the smallest value that `share` of all do not exceed; ordered: float64[n], rising; 0 < share < 1.

    The interval is that between two order statistics, by the normal approximation to the binomial.
    """
    count = len(ordered)
    spread = Z95 * math.sqrt(count * share * (1.0 - share))
    low = max(1, math.floor(count * share - spread))
    high = min(count, math.ceil(count * share + spread) + 1)
    return Figure(*(float(ordered[at - 1]) for at in (rank_of(count, share), low, high)))


def negative(figure: Figure) -> Figure:
    """Return a loss from a return, or the other way round."""
    return Figure(-figure.value, -figure.high, -figure.low)


def value_at_risk(ordered: Floats, level: float) -> Figure:
    """Return the loss that is exceeded with probability 1 - level; ordered: returns, rising; level such as 0.95."""
    return negative(quantile(ordered, round(1.0 - level, 9)))


def expected_shortfall(ordered: Floats, level: float) -> Figure:
    """Return CVaR, the mean of the worst 1 - level of all returns, as a loss; ordered: returns, rising.

    A value at the edge counts with the part of it that belongs to the tail (Acerbi & Tasche 2002).  The error is
    sqrt((variance of the tail + level * (CVaR - VaR)^2) / (n * (1 - level))) (Manistre & Hancock 2005).
    """
    share = round(1.0 - level, 9)
    size = max(1.0, round(len(ordered) * share, 6))
    tail = -ordered[:math.ceil(size)]
    weights = np.ones(len(tail))
    weights[-1] = size - (len(tail) - 1)
    value = float(weights @ tail) / size
    variance = float(weights @ (tail - value) ** 2) / size
    half = Z95 * math.sqrt((variance + level * (value - float(tail[-1])) ** 2) / size)
    return Figure(max(value, float(tail[-1])), value - half, value + half)


def mean(values: Floats) -> Figure:
    """Return the mean and its interval."""
    value = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Figure(value, value - half, value + half)


def share(is_true: NDArray[np.bool_]) -> Figure:
    """Return the share of those that are true, with Wilson's interval."""
    count = len(is_true)
    value = float(np.count_nonzero(is_true)) / count
    centre = (value + Z95**2 / (2 * count)) / (1.0 + Z95**2 / count)
    half = Z95 / (1.0 + Z95**2 / count) * math.sqrt(value * (1.0 - value) / count + Z95**2 / (4 * count**2))
    return Figure(value, min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half)))


def traced(paths: int, figures: Callable[[int], Mapping[str, Figure]]) -> dict[str, Estimate]:
    """Return estimates by name: ``figures(m)`` of the first m paths for each part of them."""
    counts = [paths // part for part in PARTS]
    found = [figures(count) for count in counts]
    return {
        name: Estimate(last.value, last.low, last.high,
                       tuple((count, part[name].value) for count, part in zip(counts, found, strict=True)))
        for name, last in found[-1].items()
    }
