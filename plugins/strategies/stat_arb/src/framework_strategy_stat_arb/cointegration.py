"""Test whether two symbols are cointegrated, before they are traded as a pair."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from framework import ConfigError, DataError, Tape

BARS_LEAST = 30


@attrs.frozen
class Cointegration:
    """What the Engle-Granger test says of log(first) = intercept + hedge * log(second) + residual.

    statistic: the Dickey-Fuller t of the residuals.  p_value: of no cointegration.  half_life: bars in which half of a
    residual has gone, infinite when it does not come back.
    """

    statistic: float
    p_value: float
    hedge: float
    intercept: float
    half_life: float

    def holds(self, significance: float = 0.05) -> bool:
        """Return whether "no cointegration" is rejected."""
        return self.p_value < significance


def cointegration(first: Any, second: Any) -> Cointegration:
    """Return the test of two series of closes, float64[n] of the same bars, n >= 30.

    Raises DataError for series that do not fit together or have no logarithm, ConfigError without statsmodels.
    Source: Engle and Granger (1987), Econometrica 55(2); p-values of MacKinnon (1994, 2010) by statsmodels.
    """
    y, x = (np.asarray(series, np.float64) for series in (first, second))
    if y.ndim != 1 or y.shape != x.shape or y.size < BARS_LEAST:
        raise DataError(f"cointegration: series of shapes {y.shape} and {x.shape}; rule: two series of the same bars, "
                        f"at least {BARS_LEAST}; mend: common_closes gives them")
    for name, series in (("first", y), ("second", x)):
        bad = np.flatnonzero(~(np.isfinite(series) & (series > 0.0)))
        if bad.size:
            raise DataError(f"cointegration: {name}[{bad[0]}] = {series[bad[0]]}; rule: prices are finite and above 0")
        if np.ptp(series) == 0.0:
            raise DataError(f"cointegration: all of {name} is {series[0]}; rule: prices that move")
    try:
        from statsmodels.tsa.stattools import coint
    except ImportError:
        raise ConfigError("cointegration needs the package statsmodels; mend: install "
                          '"trading-framework-strategy-stat-arb[cointegration]"') from None
    y, x = np.log(y), np.log(x)
    statistic, p_value, _ = coint(y, x, trend="c", autolag="aic")
    hedge, intercept = np.polyfit(x, y, 1)
    return Cointegration(float(statistic), float(p_value), float(hedge), float(intercept),
                         half_life(y - intercept - hedge * x))


def half_life(residuals: np.ndarray) -> float:
    """Return in how many bars half of a residual has gone: ln 2 / -ln(rho) of an AR(1), infinite for rho >= 1."""
    before, after = residuals[:-1], residuals[1:]
    rho = float(np.dot(before, after) / np.dot(before, before))
    if rho >= 1.0:
        return math.inf
    return math.log(2.0) / -math.log(rho) if rho > 0.0 else 0.0


def common_closes(tape: Tape, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the closes of two symbols at the instants at which both closed a bar: two float64[n]."""
    rows = [tape.rows(tape.symbol_index(symbol)) for symbol in (first, second)]
    _, mine, its = np.intersect1d(tape.close_time[rows[0]], tape.close_time[rows[1]], return_indices=True)
    return tape.close[rows[0]][mine], tape.close[rows[1]][its]
