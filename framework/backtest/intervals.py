"""How far to believe a run: intervals of its return, Sharpe ratio and drawdown by the stationary bootstrap.

Days are drawn again with replacement in blocks of random length, which keeps what depends on the day before (Politis &
Romano 1994, "The Stationary Bootstrap").  The mean block length is chosen from the data (Politis & White 2004,
corrected in Patton, Politis & White 2009), and at least n^(1/3): dependence too weak to be seen in n days still widens
an interval.  The quantiles of the resampled statistics are taken a little further out than the level says, as much as
Student's t lies outside the normal distribution: the expanded percentile interval of Hesterberg (2015), "What Teachers
Should Know About the Bootstrap", with the degrees of freedom that blocks leave.

For the return and the Sharpe ratio the interval is of their true value.  A maximum drawdown has no true value apart
from a length of time, so its interval is of the drawdown of another run, as long and from the same law: besides the
order of days it takes into account that their mean is only known as well as this run tells it.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.metrics import ROUNDING, excess_returns, varies

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVEL = 0.95
RESAMPLES = 1_000
FEWEST_DAYS = 30
"""Below this number of days there is no interval: too few blocks to draw from."""

ELEMENTS = 1 << 20
"""Resampled days that are held at a time."""


@attrs.frozen
class Interval:
    """From low to high, in the unit of the statistic; level: how often such intervals hold what they promise."""

    low: float
    high: float
    level: float = LEVEL


def intervals(returns: Floats, periods: float, risk_free_rate: float = 0.0, *, seed: int = 1, level: float = LEVEL,
              resamples: int = RESAMPLES) -> dict[str, Interval]:
    """Return the intervals by the name of their statistic; empty below 30 days or when returns do not vary.

    A statistic that is not defined in every resample (the Sharpe ratio of days that hardly ever change) has none.
    returns: float64[n days], fractions. periods: days per year. Equal arguments give equal intervals. O(resamples * n).
    """
    days = len(returns)
    if days < FEWEST_DAYS or not varies(returns):
        return {}
    block = max(mean_block_length(returns), days ** (1.0 / 3.0))
    growth, sharpe, depth = resampled_statistics(returns, excess_returns(returns, periods, risk_free_rate),
                                                 block, np.random.default_rng(seed), resamples)
    tail = expanded_tail(level, days, block)
    found = {
        "Return [%]": 100.0 * np.expm1(growth * days),
        "Return (Ann.) [%]": 100.0 * np.expm1(growth * periods),
        "Sharpe Ratio": sharpe * math.sqrt(periods),
        "Max. Drawdown [%]": -100.0 * depth,
    }
    ends = {name: np.quantile(values, (tail, 1.0 - tail)).tolist()
            for name, values in found.items() if np.isfinite(values).all()}
    return {name: Interval(low, high, level) for name, (low, high) in ends.items()}


def resampled_statistics(returns: Floats, excess: Floats, block: float, rng: np.random.Generator,
                         resamples: int) -> tuple[Floats, Floats, Floats]:
    """Return per resample: mean log growth a day, Sharpe ratio a day and maximum drawdown (a fraction, >= 0).

    A drawdown is that of the resampled days, their mean moved as far as the mean of another resample lies from the
    mean of the run. A day that loses everything is a growth of minus infinity.
    """
    days = len(returns)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(1.0 + returns, 0.0))
    growth, sharpe, depth, mean = (np.empty(resamples) for _ in range(4))
    at_a_time = max(1, ELEMENTS // days)
    moved = 0.0
    for first in range(0, resamples, at_a_time):
        rows = slice(first, min(first + at_a_time, resamples))
        index = resampled_days(rng, days, block, rows.stop - first)
        growth[rows] = logs[index].mean(axis=1)
        drawn = excess[index]
        deviation = drawn.std(axis=1, ddof=1)
        mean[rows] = drawn.mean(axis=1)
        sharpe[rows] = np.divide(mean[rows], deviation, out=np.full(len(index), np.nan), where=deviation > ROUNDING)
        shift = np.concatenate(([moved], mean[rows][:-1] - excess.mean()))
        moved = float(mean[rows.stop - 1] - excess.mean())
        depth[rows] = deepest(returns[index] + shift[:, None])
    return growth, sharpe, depth


def resampled_days(rng: np.random.Generator, days: int, block: float, resamples: int) -> Integers:
    """Return the days of each resample, int64[resamples, days]: blocks of geometric length with the mean `block`.

    A block begins anywhere and goes on from the last day to the first. Politis & Romano (1994).
    """
    start, chance = np.empty((resamples, days), np.int64), np.empty((resamples, days))
    for row in range(resamples):
        start[row] = rng.integers(days, size=days)
        chance[row] = rng.random(days)
    place = np.arange(days)
    last = np.maximum.accumulate(np.where(chance <= 1.0 / block, place, 0), axis=1)
    index: Integers = (np.take_along_axis(start, last, axis=1) + place - last) % days
    return index


def deepest(returns: Floats) -> Floats:
    """Return the maximum drawdown of each row of returns, a fraction; the peak starts as what one begins with."""
    wealth = np.cumprod(np.maximum(1.0 + returns, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    depth: Floats = (1.0 - wealth / peak).max(axis=1)
    return depth


def mean_block_length(values: Floats) -> float:
    """Return the mean block length for the stationary bootstrap of a mean, at least 1.

    (2 g^2 n / (2 s^2))^(1/3) with g = sum of w(k) |k| c(k) and s = sum of w(k) c(k) over lags -m to m, c the
    autocovariance and w(k) = min(1, 2 (1 - |k| / m)); m is twice the first lag after which max(5, log10 n) of them in a
    row have correlations below 2 sqrt(log10(n) / n). Politis & White (2004); Patton, Politis & White (2009).
    """
    n = len(values)
    centred = values - values.mean()
    in_a_row = max(5, int(math.log10(n)))
    furthest = min(math.ceil(math.sqrt(n)) + in_a_row, n - 2)
    band = 2.0 * math.sqrt(math.log10(n) / n)
    lags = np.arange(furthest + 1)
    covariance = np.array([centred[k:] @ centred[: n - k] for k in lags]) / n
    scale = np.array([(centred[k + 1 :] @ centred[k + 1 :]) * (centred[: -(k + 1)] @ centred[: -(k + 1)])
                      for k in lags])
    small = n * np.abs(covariance) < band * np.sqrt(scale)
    quiet = [k for k in range(furthest + 1 - in_a_row) if small[k : k + in_a_row].all()]
    reach = min(2 * max(quiet[0], 1) if quiet else furthest, furthest)
    weight = np.minimum(1.0, 2.0 * (1.0 - lags[1 : reach + 1] / reach))
    lagged = 2.0 * weight * covariance[1 : reach + 1]
    longrun = covariance[0] + lagged.sum()
    if longrun == 0.0:
        return 1.0
    best = (float(lags[1 : reach + 1] @ lagged) ** 2 / longrun**2 * n) ** (1.0 / 3.0)
    return float(min(max(1.0, best), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def expanded_tail(level: float, days: int, block: float) -> float:
    """Return the share of resamples to leave out on each side: less than (1 - level) / 2.

    With q = 1 - 1 / block, resampled means of independent days have a variance that is too small by the factor
    1 - (2 block - 1) / n on average, and as uncertain as one of n (1 - q^2) / (1 + q^2) degrees of freedom. For blocks
    of one day this is Student's t of n - 1 degrees, as in Hesterberg (2015).
    """
    keep = (1.0 - 1.0 / block) ** 2
    freedom = max(2.0, days * (1.0 - keep) / (1.0 + keep) - 1.0)
    bias = math.sqrt(1.0 - min((2.0 * block - 1.0) / days, 0.75))
    return NormalDist().cdf(student_quantile((1.0 - level) / 2.0, freedom) / bias)


def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t: the expansion of Abramowitz & Stegun (1964), 26.7.5.

    Good to 1 % from 4 degrees of freedom on and to 0.01 % from 20 on, for probabilities of 0.5 % and more.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))
