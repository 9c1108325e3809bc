"""Indicators over a window of bars: one series, its mean, spread and extremes."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import MOMENTS, next_place, slot, update_moments, window_sum
from framework.indicators.definition import Place, indicator, length, number


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place, "head": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib SMA")
def sma(s: Any, window: Any, x: float) -> float:
    """Simple moving average: the mean of the last `length` values."""
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, x)
    s.at = next_place(s.at, s.length)
    return total / s.length  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(2)}, state=MOMENTS, window=lambda p: 3 * p.length,
           lookback=lambda p: p.length - 1, source="TA-Lib STDDEV")
def std(s: Any, window: Any, x: float) -> float:
    """Standard deviation of the last `length` values, of the population (divided by `length`)."""
    update_moments(s, window, x)
    return s.deviation  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(2)}, state=MOMENTS, window=lambda p: 3 * p.length,
           lookback=lambda p: p.length - 1, source="(x - SMA) / STDDEV of TA-Lib")
def zscore(s: Any, window: Any, x: float) -> float:
    """Distance of the value from its mean over `length` values in standard deviations; 0 when they are all equal."""
    update_moments(s, window, x)
    return (x - s.mean) / s.deviation if s.deviation > 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(2, 20), "width": number(0.0, 2.0)}, state=MOMENTS,
           outputs=("upper", "middle", "lower"), window=lambda p: 3 * p.length, lookback=lambda p: p.length - 1,
           source="Bollinger (2001), TA-Lib BBANDS")
def bollinger(s: Any, window: Any, x: float) -> tuple[float, float, float]:
    """Bollinger bands: the mean of `length` values and `width` standard deviations above and below it."""
    update_moments(s, window, x)
    return s.mean + s.width * s.deviation, s.mean, s.mean - s.width * s.deviation


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place, "peak": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib MAX")
def highest(s: Any, window: Any, x: float) -> float:
    """Highest of the last `length` values, this one included."""
    s.peak = x if x > s.peak or s.seen == 1 else s.peak
    window[s.at] = x
    s.at += 1
    if s.at < s.length:
        tail = window[s.at]
        return s.peak if s.peak > tail else tail  # type: ignore[no-any-return]
    tail = x
    for k in range(s.length - 2, -1, -1):
        tail = window[slot(k)] if window[slot(k)] > tail else tail
        window[slot(k)] = tail
    peak = s.peak
    s.peak = -math.inf
    s.at = 0
    return peak  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place, "trough": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib MIN")
def lowest(s: Any, window: Any, x: float) -> float:
    """Lowest of the last `length` values, this one included."""
    s.trough = x if x < s.trough or s.seen == 1 else s.trough
    window[s.at] = x
    s.at += 1
    if s.at < s.length:
        tail = window[s.at]
        return s.trough if s.trough < tail else tail  # type: ignore[no-any-return]
    tail = x
    for k in range(s.length - 2, -1, -1):
        tail = window[slot(k)] if window[slot(k)] < tail else tail
        window[slot(k)] = tail
    trough = s.trough
    s.trough = math.inf
    s.at = 0
    return trough  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place}, window=lambda p: p.length,
           lookback=lambda p: p.length, source="TA-Lib ROC")
def roc(s: Any, window: Any, x: float) -> float:
    """Rate of change in percent against the value `length` bars ago; 0 when that was 0."""
    before = window[s.at]
    window[s.at] = x
    s.at += 1
    if s.at == s.length:
        s.at = 0
    return (x / before - 1.0) * 100.0 if before != 0.0 else 0.0
