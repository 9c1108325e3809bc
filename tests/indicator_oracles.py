"""What indicators should be, where TA-Lib has no function: pandas, scipy and formulas of the literature in plain numpy.

Nothing here is fast, incremental or shared with the framework. Each takes the arrays of a market and gives arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import talib
from scipy import stats

Array = np.ndarray


def rolling(function: Callable[..., float], length: int, *columns: Array) -> Array:
    """Return a function of each window of some columns, NaN before the first full one."""
    out = np.full(len(columns[0]), np.nan)
    for i in range(length - 1, len(out)):
        out[i] = function(*(column[i - length + 1:i + 1] for column in columns))
    return out


def centred(window: Array) -> Array:
    """Return the differences of a window from its mean, exactly 0 where all are equal."""
    window = window - window[0]
    return window - window.mean()


def zscore(x: Array, length: int) -> Array:
    """Return how many population deviations the last value of each window is above its mean; 0 without any."""

    def of(window: Array) -> float:
        apart = centred(window)
        return float(apart[-1] / np.sqrt((apart**2).mean())) if apart.any() else 0.0

    return rolling(of, length, x)


def keltner(high: Array, low: Array, close: Array, length: int, atr_length: int, width: float) -> list[Array]:
    """Return the EMA of the close and bands of average true ranges, from TA-Lib's two functions."""
    middle, reach = talib.EMA(close, length), width * talib.ATR(high, low, close, atr_length)
    return [middle + reach, middle, middle - reach]


def supertrend(high: Array, low: Array, close: Array, length: int, multiplier: float) -> list[Array]:
    """Return line and direction: final bands by the usual recursion, then the side that the close is on."""
    reach = multiplier * talib.ATR(high, low, close, length)
    upper, lower = (high + low) / 2 + reach, (high + low) / 2 - reach
    line, direction = np.full(len(close), np.nan), np.full(len(close), np.nan)
    for i in range(length, len(close)):
        if i > length:
            upper[i] = upper[i] if upper[i] < upper[i - 1] or close[i - 1] > upper[i - 1] else upper[i - 1]
            lower[i] = lower[i] if lower[i] > lower[i - 1] or close[i - 1] < lower[i - 1] else lower[i - 1]
            was = direction[i - 1]
            direction[i] = (1 if close[i] > upper[i] else -1) if was < 0 else (-1 if close[i] < lower[i] else 1)
        else:
            direction[i] = 1 if close[i] > (high[i] + low[i]) / 2 else -1
        line[i] = lower[i] if direction[i] > 0 else upper[i]
    return [line, direction]


def ichimoku(high: Array, low: Array, conversion: int, base: int, span: int, displacement: int) -> list[Array]:
    """Return the two lines and the two edges of the cloud, drawn `displacement` bars ahead, from pandas windows."""
    tops, bottoms = pd.Series(high), pd.Series(low)

    def middle(length: int) -> pd.Series[float]:
        return (tops.rolling(length).max() + bottoms.rolling(length).min()) / 2

    cloud = ((middle(conversion) + middle(base)) / 2).shift(displacement), middle(span).shift(displacement)
    return [np.asarray(x) for x in (middle(conversion), middle(base), *cloud)]


def linreg(x: Array, length: int) -> list[Array]:
    """Return value, slope, intercept, R2 and forecast of numpy's centred normal equations in each window."""
    place = np.arange(length) - (length - 1) / 2
    lines = []
    for i in range(length - 1, len(x)):
        window = x[i - length + 1:i + 1]
        rises = centred(window)
        slope, spread = (place * rises).sum() / (place**2).sum(), (rises**2).sum()
        r2 = slope**2 * (place**2).sum() / spread if spread > 0 else 0.0
        reach = slope * (length - 1) / 2
        lines.append((window.mean() + reach, slope, window.mean() - reach, r2, window.mean() + reach + slope))
    empty = np.full((min(length - 1, len(x)), 5), np.nan)
    return list(np.concatenate((empty, np.array(lines).reshape(-1, 5))).T)


def correlation(x: Array, y: Array, length: int) -> Array:
    """Return Pearson's coefficient of each window; 0 when one side is constant."""

    def of(a: Array, b: Array) -> float:
        a, b = centred(a), centred(b)
        size = np.sqrt((a**2).sum() * (b**2).sum())
        return float((a * b).sum() / size) if size > 0 else 0.0

    return rolling(of, length, x, y)


def beta(x: Array, market: Array, length: int) -> Array:
    """Return cov(x, market) / var(market) of each window."""

    def of(a: Array, b: Array) -> float:
        a, b = centred(a), centred(b)
        return float((a * b).sum() / (b**2).sum()) if b.any() else 0.0

    return rolling(of, length, x, market)


def percentile_rank(x: Array, length: int) -> Array:
    """Return scipy's percentile of the last value of each window."""
    return rolling(lambda window: float(stats.percentileofscore(window, window[-1], kind="rank")), length, x)


def quantile(x: Array, length: int, share: float) -> Array:
    """Return pandas' rolling quantile."""
    return np.asarray(pd.Series(x).rolling(length).quantile(share))


def hurst(x: Array, length: int) -> Array:
    """Return half the slope of log mean squared differences on log lags, by numpy's polynomial fit."""
    lags = [2**k for k in range(20) if 4 * 2**k <= length]

    def of(window: Array) -> float:
        spreads = np.array([np.mean((window[lag:] - window[:-lag]) ** 2) for lag in lags])
        return float(np.polyfit(np.log(lags), np.log(spreads), 1)[0] / 2) if (spreads > 0).all() else 0.5

    return rolling(of, length, x)


def log_returns(x: Array) -> Array:
    """Return the logarithm of each value over the one before; the first has none."""
    return np.concatenate(([np.nan], np.log(x[1:] / x[:-1])))[:len(x)]


def mean_root(terms: Array, length: int, periods: float) -> Array:
    """Return the root of the mean of each window of some squared terms, over `periods` bars."""
    return np.sqrt(periods * np.asarray(pd.Series(rolling(np.mean, length, terms))).clip(0))


def historical(x: Array, length: int, periods: float) -> Array:
    """Return the sample deviation of log returns."""
    return np.sqrt(periods) * rolling(lambda window: float(np.std(window, ddof=1)), length, log_returns(x))


def parkinson(high: Array, low: Array, length: int, periods: float) -> Array:
    """Return the root of the mean of ln(H/L)^2 / (4 ln 2)."""
    return mean_root(np.log(high / low) ** 2 / (4 * np.log(2)), length, periods)


def garman_klass(open_: Array, high: Array, low: Array, close: Array, length: int, periods: float) -> Array:
    """Return the root of the mean of ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2."""
    terms = np.log(high / low) ** 2 / 2 - (2 * np.log(2) - 1) * np.log(close / open_) ** 2
    return mean_root(terms, length, periods)


def _rogers_satchell_terms(open_: Array, high: Array, low: Array, close: Array) -> Array:
    return np.log(high / close) * np.log(high / open_) + np.log(low / close) * np.log(low / open_)


def rogers_satchell(open_: Array, high: Array, low: Array, close: Array, length: int, periods: float) -> Array:
    """Return the root of the mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O)."""
    return mean_root(_rogers_satchell_terms(open_, high, low, close), length, periods)


def yang_zhang(open_: Array, high: Array, low: Array, close: Array, length: int, periods: float) -> Array:
    """Return the root of the gaps' variance + k * the bodies' variance + (1 - k) * Rogers and Satchell's."""
    before = np.concatenate(([np.nan], close[:-1]))[:len(close)]

    def variance(terms: Array) -> Array:
        return rolling(lambda window: float(np.var(window, ddof=1)), length, terms)

    k = 0.34 / (1.34 + (length + 1) / (length - 1))
    within = rolling(np.mean, length, _rogers_satchell_terms(open_, high, low, close))
    return np.sqrt(periods * (variance(np.log(open_ / before)) + k * variance(np.log(close / open_))
                              + (1 - k) * within))


def session_vwap(high: Array, low: Array, close: Array, volume: Array, place: Array) -> Array:
    """Return pandas' cumulated turnover over volume within each session."""
    begins = np.concatenate(([True], place[1:] <= place[:-1]))[:len(place)]
    frame = pd.DataFrame({"turnover": (high + low + close) / 3 * volume, "units": volume, "session": begins.cumsum()})
    sums = frame.groupby("session").cumsum()
    return np.asarray(sums["turnover"] / sums["units"])


def anchored_vwap(high: Array, low: Array, close: Array, volume: Array, anchor: Array) -> Array:
    """Return TA-Lib's VWAP of the bars from each rise of the anchor on."""
    out = np.full(len(close), np.nan)
    rises = np.flatnonzero((anchor != 0) & (np.concatenate(([0.0], anchor[:-1]))[:len(anchor)] == 0))
    for first, end in zip(rises, [*rises[1:], len(close)], strict=True):
        part = slice(first, end)
        out[part] = talib.VWAP(*(np.ascontiguousarray(x[part]) for x in (high, low, close, volume)))
    return out


def order_flow_imbalance(bid: Array, bid_size: Array, ask: Array, ask_size: Array, length: int) -> Array:
    """Sum of what changes at the best prices add, each change looked at by its case: higher, lower or equal."""
    changes = []
    for i in range(1, len(bid)):
        on_bid = {1: bid_size[i], -1: -bid_size[i - 1], 0: bid_size[i] - bid_size[i - 1]}[np.sign(bid[i] - bid[i - 1])]
        on_ask = {1: -ask_size[i - 1], -1: ask_size[i], 0: ask_size[i] - ask_size[i - 1]}[np.sign(ask[i] - ask[i - 1])]
        changes.append(on_bid - on_ask)
    out = np.full(len(bid), np.nan)
    for i in range(length, len(bid)):
        out[i] = math.fsum(changes[i - length:i])
    return out
