"""How much prices move: ranges, and the volatility estimators of the literature.

An estimator gives the standard deviation of log returns per bar times the square root of `periods`: 252 makes daily
bars annual, the default of 1 leaves them as they are. All take means over windows in which nothing is subtracted.
"""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import (
    MOMENTS,
    helper,
    log_ratio,
    next_place,
    update_moments,
    widest_range,
    wilder,
    window_sum,
)
from framework.indicators.definition import Place, indicator, length, number
from framework.indicators.statistics import PAIR, update_products

FOUR_LOG_TWO = 4.0 * math.log(2.0)


@indicator(bar_inputs=("high", "low", "close"), parameters={}, state={"before": float}, lookback=lambda p: 1,
           source="Wilder (1978), TA-Lib TRANGE")
def true_range(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """True range: the largest of high - low and of both against the close before."""
    before = s.before
    s.before = close
    return widest_range(high, low, before)


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(1, 14)},
           state={"before": float, "value": float}, lookback=lambda p: p.length, source="Forman (2006), TA-Lib NATR")
def natr(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Average true range in percent of the close; 0 at a close of 0."""
    if s.seen > 1:
        s.value = wilder(s.value, widest_range(high, low, s.before), s.seen - 1, s.length)
    s.before = close
    return 100.0 * (s.value / close) if close != 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(1, 20), "periods": number(0.0, 1.0)},
           state={"at": Place, "before": float, "head": float}, window=lambda p: p.length, lookback=lambda p: p.length,
           source="Andersen and Bollerslev (1998)")
def realised_volatility(s: Any, window: Any, x: float) -> float:
    """Root of the mean squared log return of `length` bars: nothing is taken off for a mean."""
    change = log_ratio(x, s.before) if s.seen > 1 else 0.0
    s.before = x
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, change * change)
    s.at = next_place(s.at, s.length)
    return math.sqrt(s.periods * (total / s.length))


@indicator(inputs=("x",), parameters={"length": length(2, 20), "periods": number(0.0, 1.0)},
           state={**MOMENTS, "before": float}, window=lambda p: 3 * p.length, lookback=lambda p: p.length,
           source="close-to-close; pandas rolling std of log returns")
def historical_volatility(s: Any, window: Any, x: float) -> float:
    """Sample standard deviation (divided by `length` - 1) of the log returns of `length` bars."""
    if s.seen > 1:
        update_moments(s, window, log_ratio(x, s.before))
    s.before = x
    return s.deviation * math.sqrt(s.periods * (s.length / (s.length - 1.0)))  # type: ignore[no-any-return]


@indicator(bar_inputs=("high", "low"), parameters={"length": length(1, 20), "periods": number(0.0, 1.0)},
           state={"at": Place, "head": float}, window=lambda p: p.length, lookback=lambda p: p.length - 1,
           source="Parkinson (1980)")
def parkinson(s: Any, window: Any, high: float, low: float) -> float:
    """Parkinson volatility: from the log ranges of `length` bars, five times as efficient as from closes."""
    spread = log_ratio(high, low)
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, spread * spread)
    s.at = next_place(s.at, s.length)
    return math.sqrt(s.periods * (total / s.length) / FOUR_LOG_TWO)


@indicator(bar_inputs=("open", "high", "low", "close"), state={"at": Place, "head": float},
           parameters={"length": length(1, 20), "periods": number(0.0, 1.0)},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="Garman and Klass (1980)")
def garman_klass(s: Any, window: Any, open: float, high: float, low: float, close: float) -> float:
    """Garman-Klass volatility: from ranges and bodies, for prices without drift and without gaps."""
    spread = log_ratio(high, low)
    body = log_ratio(close, open)
    variance = 0.5 * (spread * spread) - (0.5 * FOUR_LOG_TWO - 1.0) * (body * body)
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, variance)
    s.at = next_place(s.at, s.length)
    return math.sqrt(s.periods * (total / s.length)) if total > 0.0 else 0.0


@helper
def without_drift(open: float, high: float, low: float, body: float) -> float:
    """Return ln(H/O) ln(H/C) + ln(L/O) ln(L/C), the variance of a bar whatever its drift; body: ln(C/O)."""
    up = log_ratio(high, open)
    down = log_ratio(low, open)
    return up * (up - body) + down * (down - body)


@indicator(bar_inputs=("open", "high", "low", "close"), state={"at": Place, "head": float},
           parameters={"length": length(1, 20), "periods": number(0.0, 1.0)},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="Rogers and Satchell (1991)")
def rogers_satchell(s: Any, window: Any, open: float, high: float, low: float, close: float) -> float:
    """Rogers-Satchell volatility: from ranges and bodies, whatever the drift, for prices without gaps."""
    variance = without_drift(open, high, low, log_ratio(close, open))
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, variance)
    s.at = next_place(s.at, s.length)
    return math.sqrt(s.periods * (total / s.length)) if total > 0.0 else 0.0


@indicator(bar_inputs=("open", "high", "low", "close"), state={**PAIR, "before": float, "head": float},
           parameters={"length": length(2, 20), "periods": number(0.0, 1.0)},
           window=lambda p: 7 * p.length, lookback=lambda p: p.length, source="Yang and Zhang (2000)")
def yang_zhang(s: Any, window: Any, open: float, high: float, low: float, close: float) -> float:
    """Yang-Zhang volatility: from gaps, bodies and ranges, whatever the drift."""
    n = s.length
    before = s.before
    s.before = close
    if s.seen == 1:
        return 0.0
    body = log_ratio(close, open)
    within, s.head = window_sum(window, 6 * n, n, s.at, s.head, without_drift(open, high, low, body))
    update_products(s, window, log_ratio(open, before), body)
    share = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    total = (s.xx + share * s.yy) / (n - 1.0) + (1.0 - share) * (within / n)
    return math.sqrt(s.periods * total) if total > 0.0 else 0.0
