"""Indicators over a window of bars.

A sum that adds the new value and subtracts the old one drifts, and one huge value spoils it for ever. Here nothing is
subtracted: the series is cut into blocks as long as the window, and a window is the tail of one block and the head of
the next. The head is accumulated as bars come; when a block is full its tails are computed once, backwards. That costs
two operations a bar on average, for sums as for extremes, and a value that has left the window leaves no trace.
Source: van Herk (1992), Gil and Werman (1993), for extremes; the same cut serves every aggregate.
"""

from __future__ import annotations

import math
from typing import Any

from framework.boundary.jit import compiled
from framework.indicators.definition import indicator, length, number

MOMENTS = {"at": int, "origin": float, "total": float, "squares": float, "tail_origin": float,
           "mean": float, "deviation": float}
"""The state of `update_moments`."""


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int, "total": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib SMA")
def sma(s: Any, window: Any, x: float) -> float:
    """Simple moving average: the mean of the last `length` values."""
    s.total += x
    window[s.at] = x
    s.at += 1
    if s.at < s.length:
        return (s.total + window[s.at]) / s.length  # type: ignore[no-any-return]
    value: float = s.total / s.length
    tail = 0.0
    for k in range(s.length - 1, -1, -1):
        tail += window[k]
        window[k] = tail
    s.total = 0.0
    s.at = 0
    return value


@compiled
def update_moments(s: Any, window: Any, x: float) -> None:
    """Move `s.mean` and `s.deviation` (population standard deviation) of the last `s.length` values on by one.

    window: 3 * length floats: of each tail its mean (from `s.tail_origin`) and its sum of squared deviations, and the
    reciprocals of 1 to length, since dividing is what would take the time.
    Sums are taken of differences from a value inside the window, so that nothing cancels and a constant window has
    a deviation of exactly 0. Head and tail merge as in Chan, Golub and LeVeque (1979).
    """
    n = s.length
    weight = 1.0 / n
    if s.at == 0:
        s.origin = x
        s.total = 0.0
        s.squares = 0.0
    offset = x - s.origin
    s.total += offset
    s.squares += offset * offset
    window[s.at] = x
    s.at += 1
    if s.count <= n:
        window[2 * n + s.at - 1] = 1.0 / s.at
    head = s.total * window[2 * n + s.at - 1]
    spread = s.squares - s.total * head
    if s.at < n:
        older = n - s.at
        apart = (s.origin - s.tail_origin) + (head - window[s.at])
        share = older * weight
        spread += window[n + s.at] + apart * apart * (s.at * share)
        head -= apart * share
    s.mean = s.origin + head
    s.deviation = math.sqrt(spread * weight) if spread > 0.0 else 0.0
    if s.at == n:
        s.tail_origin = x
        total = 0.0
        squares = 0.0
        for k in range(n - 1, -1, -1):
            offset = window[k] - x
            total += offset
            squares += offset * offset
            window[k] = total * window[3 * n - k - 1]
            window[n + k] = squares - total * window[k]
        s.at = 0


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


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int, "peak": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib MAX")
def highest(s: Any, window: Any, x: float) -> float:
    """Highest of the last `length` values, this one included."""
    if s.at == 0:
        s.peak = x
    s.peak = x if x > s.peak else s.peak
    window[s.at] = x
    s.at += 1
    if s.at < s.length:
        tail = window[s.at]
        return s.peak if s.peak > tail else tail  # type: ignore[no-any-return]
    tail = x
    for k in range(s.length - 2, -1, -1):
        tail = window[k] if window[k] > tail else tail
        window[k] = tail
    s.at = 0
    return s.peak  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int, "trough": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib MIN")
def lowest(s: Any, window: Any, x: float) -> float:
    """Lowest of the last `length` values, this one included."""
    if s.at == 0:
        s.trough = x
    s.trough = x if x < s.trough else s.trough
    window[s.at] = x
    s.at += 1
    if s.at < s.length:
        tail = window[s.at]
        return s.trough if s.trough < tail else tail  # type: ignore[no-any-return]
    tail = x
    for k in range(s.length - 2, -1, -1):
        tail = window[k] if window[k] < tail else tail
        window[k] = tail
    s.at = 0
    return s.trough  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int}, window=lambda p: p.length,
           lookback=lambda p: p.length, source="TA-Lib ROC")
def roc(s: Any, window: Any, x: float) -> float:
    """Rate of change in percent against the value `length` bars ago; 0 when that was 0."""
    before = window[s.at]
    window[s.at] = x
    s.at += 1
    if s.at == s.length:
        s.at = 0
    return (x / before - 1.0) * 100.0 if before != 0.0 else 0.0
