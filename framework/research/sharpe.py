"""How far a Sharpe ratio can be believed: its error, the luck of the best of many, the history that it takes.

Sharpe ratios here are per day, mean / std(ddof=1), not annualized; skew and kurtosis are moments of the sample, 0 and 3
for a normal distribution.  A ratio that is not defined (fewer than two days, no variation) is NaN.

Sources: Bailey & Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier"; Bailey & Lopez de Prado (2014), "The
Deflated Sharpe Ratio"; Bailey, Borwein, Lopez de Prado & Zhu (2014), "Pseudo-Mathematics and Financial Charlatanism".
"""

from __future__ import annotations

import math
from statistics import NormalDist

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.backtest.metrics import varies
from framework.errors import DataError

Floats = NDArray[np.float64]

EULER_GAMMA = 0.5772156649015329

ROUNDING = 1e-13
"""A deviation below this share of the size of the returns is rounding, not variation."""

_NORMAL = NormalDist()


@attrs.frozen
class Moments:
    """What a Sharpe ratio and its error are made of: days, Sharpe ratio per day, skew and kurtosis (normal: 3)."""

    days: int
    sharpe: float
    skew: float = 0.0
    kurtosis: float = 3.0


def daily_array(returns: ArrayLike) -> Floats:
    """Return daily returns as float64[days]; raises DataError unless they are one row of finite numbers."""
    values = np.asarray(returns, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"daily returns of shape {values.shape} are not one row of finite numbers; leave out days "
                        "without a value")
    return values


def trial_array(returns: ArrayLike) -> Floats:
    """Return the daily returns of trials as float64[trials, days] on common days; raises DataError otherwise."""
    values = np.asarray(returns, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(f"daily returns of trials have the shape {values.shape}; they must be finite numbers of shape "
                        "(trials, days), on days that all trials share")
    return values


def moments(returns: ArrayLike) -> Moments:
    """Return the moments of daily returns, float64[days]; skew and kurtosis are those of a normal where undefined."""
    values = daily_array(returns)
    if not varies(values):
        return Moments(len(values), math.nan)
    away = values - values.mean()
    variance = float(np.mean(away**2))
    skew, kurtosis = float(np.mean(away**3)) / variance**1.5, float(np.mean(away**4)) / variance**2
    return Moments(len(values), float(values.mean() / values.std(ddof=1)), skew, kurtosis)


def sharpe_ratios(returns: ArrayLike) -> Floats:
    """Return the Sharpe ratio per day of each of (trials, days), float64[trials]; NaN where undefined."""
    values = trial_array(returns)
    if values.shape[1] < 2:
        return np.full(len(values), math.nan)
    deviation = values.std(axis=1, ddof=1)
    is_known = deviation > ROUNDING * np.maximum(1.0, np.abs(values).max(axis=1))
    ratios = np.full(len(values), math.nan)
    np.divide(values.mean(axis=1), deviation, out=ratios, where=is_known)
    return ratios


# --- the probabilistic Sharpe ratio -----------------------------------------------------------------------------------


@attrs.frozen
class ProbabilisticSharpe:
    """The probability that the true Sharpe ratio exceeds a benchmark; all ratios are per day.

    value: the probability, NaN where the Sharpe ratio is not defined.
    """

    value: float
    benchmark: float
    moments: Moments

    @property
    def sentence(self) -> str:
        """What the number says."""
        if math.isnan(self.value):
            return "Returns that do not vary have no Sharpe ratio, so nothing can be said about it."
        above = "zero" if self.benchmark == 0.0 else f"{self.benchmark:.4f} a day"
        return (f"If this were the only strategy ever tried, its true Sharpe ratio would be above {above} with a "
                f"probability of {self.value:.1%}, given {self.moments.days:,} days with their skew and fat tails.")


def probabilistic_sharpe_ratio(returns: ArrayLike, benchmark: float = 0.0) -> ProbabilisticSharpe:
    """Return the Probabilistic Sharpe Ratio of daily returns, float64[days], against a benchmark ratio per day."""
    of = moments(returns)
    return ProbabilisticSharpe(probability_above(of, benchmark), benchmark, of)


def probability_above(of: Moments, benchmark: float) -> float:
    """Return Phi((SR - SR*) * sqrt(T - 1) / sqrt(1 - skew * SR + (kurtosis - 1) / 4 * SR^2)); all per day.

    Bailey & Lopez de Prado (2012), equation 11.  NaN where it is not defined.

    >>> round(probability_above(Moments(24, 0.458, -2.448, 10.164), 0.0), 3)
    0.913
    """
    spread = 1.0 - of.skew * of.sharpe + (of.kurtosis - 1.0) / 4.0 * of.sharpe**2
    if of.days < 2 or math.isnan(of.sharpe) or math.isnan(benchmark) or spread <= 0.0:
        return math.nan
    return _NORMAL.cdf((of.sharpe - benchmark) * math.sqrt((of.days - 1) / spread))


# --- the best of many trials ------------------------------------------------------------------------------------------


def expected_maximum(trials: float) -> float:
    """Return the expected maximum of `trials` independent standard normal numbers, 0 for one; trials >= 1.

    (1 - g) * Phi^-1(1 - 1 / N) + g * Phi^-1(1 - 1 / (N * e)), g the Euler-Mascheroni constant.  Bailey et al. (2014),
    proposition 1.
    """
    if trials <= 1.0:
        return 0.0
    first, second = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max(0.0, (1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)


def effective_trials(returns: ArrayLike) -> float:
    """Return how many independent trials N correlated ones are worth: rho + (1 - rho) * N, rho their mean correlation.

    returns: (trials, days).  rho is taken within 0..1; trials whose returns do not vary are left out.  O(trials *
    days).  Bailey & Lopez de Prado (2014), appendix A.3.
    """
    values = trial_array(returns)
    values = values[np.isfinite(sharpe_ratios(values))]
    count = len(values)
    if count < 2:
        return float(max(count, 1))
    away = values - values.mean(axis=1, keepdims=True)
    away /= np.sqrt(np.sum(away**2, axis=1, keepdims=True))
    together = float(np.sum(away.sum(axis=0) ** 2))
    correlation = min(1.0, max(0.0, (together - count) / (count * (count - 1))))
    return correlation + (1.0 - correlation) * count


@attrs.frozen
class DeflatedSharpe:
    """The probability that the true Sharpe ratio of the best trial exceeds what luck gives the best of as many.

    value: with `trials`, the raw number; value_effective: with `effective`, the number of independent ones.
    threshold, threshold_effective: the Sharpe ratios per day that luck gives.  variance: of the Sharpe ratios per day
    of all trials.
    """

    value: float
    value_effective: float
    threshold: float
    threshold_effective: float
    trials: int
    effective: float
    variance: float
    moments: Moments

    @property
    def sentence(self) -> str:
        """What the number says."""
        if math.isnan(self.value):
            return "Returns that do not vary have no Sharpe ratio, so it cannot be deflated."
        return (f"Counting all {self.trials:,} trials (worth about {self.effective:,.1f} independent ones), the true "
                f"Sharpe ratio is above what luck alone gives the best of them with a probability of {self.value:.1%} "
                f"({self.value_effective:.1%} for the independent ones); below 95 % it may well be luck.")


def deflated_sharpe_ratio(
    returns: ArrayLike, sharpes: ArrayLike, trials: int | None = None, effective: float | None = None
) -> DeflatedSharpe:
    """Return the Deflated Sharpe Ratio of the chosen trial.

    returns: its daily returns, float64[days].  sharpes: the Sharpe ratio per day of every trial ever made, the chosen
    one included; NaN where undefined: such a trial counts, and has no part in the variance.  trials: their number,
    that of `sharpes` by default.  effective: the number of independent ones, see `effective_trials`; all by default.
    Raises DataError for no trials, or an effective number that is not between 1 and theirs.
    """
    ratios = np.asarray(sharpes, np.float64).ravel()
    number = len(ratios) if trials is None else trials
    if number < max(1, len(ratios)):
        raise DataError(f"{number} trials with {len(ratios)} Sharpe ratios; count every trial, and the chosen one")
    independent = float(number) if effective is None else float(effective)
    if not 1.0 <= independent <= number:
        raise DataError(f"{independent:g} effective of {number} trials; the number must be from 1 to {number}")
    known = ratios[np.isfinite(ratios)]
    variance = float(np.var(known, ddof=1)) if len(known) > 1 else 0.0
    return deflated(moments(returns), variance, number, independent)


def deflated(of: Moments, variance: float, trials: int, effective: float) -> DeflatedSharpe:
    """Return the Deflated Sharpe Ratio of given moments: the probability above sqrt(variance) * `expected_maximum`.

    Bailey & Lopez de Prado (2014), equations 1 and 2; their example, 100 trials over five years of 250 days:

    >>> example = Moments(1250, 2.5 / 250**0.5, -3.0, 10.0)
    >>> round(deflated(example, 0.5 / 250, 100, 100.0).value, 4)
    0.9004
    """
    raw, independent = (math.sqrt(variance) * expected_maximum(number) for number in (trials, effective))
    return DeflatedSharpe(probability_above(of, raw), probability_above(of, independent), raw, independent, trials,
                          effective, variance, of)


# --- the minimum backtest length --------------------------------------------------------------------------------------


@attrs.frozen
class BacktestLength:
    """The history below which luck alone is expected to show a Sharpe ratio among so many trials.

    years: that history. sharpe: the annual ratio. available: the years there are.
    """

    years: float
    sharpe: float
    trials: float
    available: float

    @property
    def is_long_enough(self) -> bool:
        """Whether the history is at least as long."""
        return self.available >= self.years

    @property
    def sentence(self) -> str:
        """What the number says."""
        if math.isnan(self.years):
            return "Without a positive Sharpe ratio there is none to be explained by luck, however short the history."
        verdict = "is longer" if self.is_long_enough else "is too short"
        return (f"Among {self.trials:,.0f} trials without any skill the best is expected to show an annual Sharpe "
                f"ratio of {self.sharpe:.2f} on {self.years:.1f} years of history; this one of {self.available:.1f} "
                f"years {verdict}.")


def minimum_backtest_length(trials: float, sharpe: float, available: float = math.nan) -> BacktestLength:
    """Return the minimum backtest length in years, (expected maximum of N / annual Sharpe ratio)^2.

    trials: independent ones, >= 1.  sharpe: annual; the length is NaN unless it is positive.  available: years of
    history.  Bailey et al. (2014), theorem 2; theirs: five years allow 45 trials at a Sharpe ratio of 1.

    >>> round(minimum_backtest_length(45, 1.0).years, 1)
    5.0
    """
    years = (expected_maximum(trials) / sharpe) ** 2 if sharpe > 0.0 else math.nan
    return BacktestLength(years, sharpe, trials, available)
