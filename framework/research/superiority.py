"""Is the best of all trials better than doing nothing?  White's reality check and Hansen's recentred form of it.

Every trial takes part: the best mean of all is compared with the best mean of all in histories in which, by
construction, none is any good.  Those are drawn by the stationary bootstrap of the package arch.

Sources: White (2000), "A Reality Check for Data Snooping"; Hansen (2005), "A Test for Superior Predictive Ability".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import ArrayLike

from framework.errors import ConfigError, DataError
from framework.research.sharpe import Floats, trial_array

if TYPE_CHECKING:
    from arch.bootstrap import StationaryBootstrap

REPETITIONS = 1_000
AT_ONCE = 1 << 21
"""Values of one array that are worked on at a time."""


@attrs.frozen
class Superiority:
    """The p-values of the hypothesis that no trial is better than the benchmark.

    reality_check: White's, the upper bound.  value: Hansen's consistent one, in which trials far worse than the
    benchmark do not count.  lower: its lower bound.  block: mean length of blocks in days.
    """

    value: float
    reality_check: float
    lower: float
    trials: int
    repetitions: int
    block: int

    @property
    def sentence(self) -> str:
        """What the number says."""
        return (f"If none of the {self.trials:,} trials had any edge, the best of them would look at least as good in "
                f"{self.reality_check:.1%} of histories by White's reality check ({self.value:.1%} when those that are "
                f"far worse do not count); above 5 % the edge is not shown.")


def superior_ability(returns: ArrayLike, benchmark: ArrayLike | float = 0.0, block: int | None = None,
                     repetitions: int = REPETITIONS, seed: int = 1) -> Superiority:
    """Return White's reality check and Hansen's test of the mean daily return over a benchmark's.

    returns: (trials, days), every trial of the search.  benchmark: daily returns, float64[days] or one number; 0 is
    doing nothing.  block: mean length of blocks in days, the root of the days by default.
    The statistic is the largest mean, not divided by its error, as in `arch.bootstrap.SPA`, whose p-values these are;
    a repetition costs O(days * trials) as a product of matrices.
    Raises ConfigError when arch is not installed or an argument is out of bounds, DataError for fewer than 10 days.
    """
    values = trial_array(returns)
    trials, days = values.shape
    if days < 10:
        raise DataError(f"{days} days are too few for a bootstrap; it needs at least 10")
    length = max(1, math.isqrt(days)) if block is None else block
    if not 1 <= length <= days or repetitions < 100:
        raise ConfigError(f"block = {length}, repetitions = {repetitions}; a block has 1 to {days} days, and there are "
                          "at least 100 repetitions")
    over = (values - np.asarray(benchmark, np.float64)).T
    mean = over.mean(axis=0)
    bound = -np.sqrt(long_run_variance(over, 1.0 / length) / days * 2.0 * math.log(math.log(days)))
    centres = np.stack((np.maximum(mean, 0.0), np.where(mean >= bound, mean, 0.0), mean))
    best = resampled_best(over, centres, bootstrap(length, days, seed), repetitions)
    lower, consistent, upper = (float(value) for value in np.mean(best >= mean.max(), axis=0))
    return Superiority(consistent, upper, lower, trials, repetitions, length)


def bootstrap(length: int, days: int, seed: int) -> StationaryBootstrap:
    """Return arch's stationary bootstrap over the numbers of the days."""
    try:
        from arch.bootstrap import StationaryBootstrap
    except ImportError:
        raise ConfigError("the reality check needs the package arch; install trading-framework[research]") from None
    return StationaryBootstrap(length, np.arange(days), seed=seed)


def resampled_best(over: Floats, centres: Floats, source: StationaryBootstrap, repetitions: int) -> Floats:
    """Return the largest recentred mean of every resampled history, float64[repetitions, 3].

    A history is the number of times that it shows each day, so that its means are one product of matrices.
    """
    days, trials = over.shape
    best = np.empty((repetitions, len(centres)))
    step = max(1, AT_ONCE // max(days, trials))
    drawn = (rows[0][0] for rows in source.bootstrap(repetitions))
    for at in range(0, repetitions, step):
        count = min(step, repetitions - at)
        weights = np.stack([np.bincount(next(drawn), minlength=days) for _ in range(count)]) / days
        means = weights @ over
        for which, centre in enumerate(centres):
            best[at:at + count, which] = (means - centre).max(axis=1)
    return best


def long_run_variance(over: Floats, restart: float) -> Floats:
    """Return the variance of sqrt(days) * mean under the stationary bootstrap, float64[trials].

    over: (days, trials).  Sum over lags of kappa * autocovariance, kappa(i) = (1 - i / T) * (1 - p)^i + i / T *
    (1 - p)^(T - i); Politis & Romano (1994), lemma 1.  Autocovariances by the fast Fourier transform.
    """
    days, trials = over.shape
    lag = np.arange(days)
    kappa = (1.0 - lag / days) * (1.0 - restart) ** lag + lag / days * (1.0 - restart) ** (days - lag)
    kappa[1:] *= 2.0
    kappa[0] = 1.0
    size = 1 << (2 * days - 1).bit_length()
    result = np.empty(trials)
    step = max(1, AT_ONCE // size)
    for at in range(0, trials, step):
        away = over[:, at:at + step] - over[:, at:at + step].mean(axis=0)
        power = np.abs(np.fft.rfft(away, size, axis=0)) ** 2
        result[at:at + step] = kappa @ np.fft.irfft(power, size, axis=0)[:days] / days
    return np.maximum(result, 0.0)
