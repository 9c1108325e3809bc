"""Indicators that swing around a middle or between two ends."""

from __future__ import annotations

from typing import Any

from framework.indicators.blocks import (
    ROUNDING,
    kept_by,
    lag_of,
    next_place,
    wilder,
    window_range,
    window_sum,
    window_sums,
)
from framework.indicators.definition import Place, indicator, length
from framework.indicators.smoothing import SIGNAL, fast_below_slow, update_signal


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place}, window=lambda p: p.length,
           lookback=lambda p: p.length, source="TA-Lib MOM")
def momentum(s: Any, window: Any, x: float) -> float:
    """Difference from the value `length` bars ago."""
    before = window[s.at]
    window[s.at] = x
    s.at = next_place(s.at, s.length)
    return x - before  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(2, 14)}, state={"before": float, "gain": float, "loss": float},
           lookback=lambda p: p.length, source="Chande (1994), TA-Lib CMO")
def cmo(s: Any, window: Any, x: float) -> float:
    """Chande momentum oscillator: gains less losses over their sum, -100 to 100; 0 when nothing moved."""
    change = x - s.before
    s.before = x
    if s.seen == 1:
        return 0.0
    s.gain = wilder(s.gain, change if change > 0.0 else 0.0, s.seen - 1, s.length)
    s.loss = wilder(s.loss, -change if change < 0.0 else 0.0, s.seen - 1, s.length)
    movement = s.gain + s.loss
    return 100.0 * ((s.gain - s.loss) / movement) if movement > 0.0 else 0.0


@indicator(inputs=("x",), parameters={"fast": length(2, 12), "slow": length(2, 26), "signal": length(1, 9)},
           outputs=("line", "signal", "histogram"), state=SIGNAL, check=fast_below_slow,
           lookback=lambda p: (p.slow - 1, p.slow + p.signal - 2, p.slow + p.signal - 2),
           source="Appel, TA-Lib PPO of EMAs")
def ppo(s: Any, window: Any, x: float) -> tuple[float, float, float]:
    """Percentage price oscillator: fast EMA less slow EMA in percent of it, the EMA of that, and their difference."""
    s.fast_lag = lag_of(s.fast_lag, s.before, x, s.seen, s.fast, kept_by(s.fast))
    s.slow_lag = lag_of(s.slow_lag, s.before, x, s.seen, s.slow, kept_by(s.slow))
    s.before = x
    slow = x - s.slow_lag
    line = 100.0 * ((s.slow_lag - s.fast_lag) / slow) if slow != 0.0 else 0.0
    signal = update_signal(s, line)
    return line, signal, line - signal


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(2, 20)},
           state={"at": Place}, window=lambda p: p.length, lookback=lambda p: p.length - 1,
           source="Lambert (1980), TA-Lib CCI", cost="O(length)")
def cci(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Commodity channel index: distance of the typical price from its mean over 0.015 mean absolute deviations."""
    n = s.length
    typical = (high + low + close) / 3.0
    window[s.at] = typical
    s.at = next_place(s.at, n)
    if s.seen < n:
        return 0.0
    even = n - n % 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for k in range(0, even, 4):
        a += window[k] - typical
        b += window[k + 1] - typical
        c += window[k + 2] - typical
        d += window[k + 3] - typical
    for k in range(even, n):
        a += window[k] - typical
    above = ((a + b) + (c + d)) / n
    mean = typical + above
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for k in range(0, even, 4):
        a += abs(window[k] - mean)
        b += abs(window[k + 1] - mean)
        c += abs(window[k + 2] - mean)
        d += abs(window[k + 3] - mean)
    for k in range(even, n):
        a += abs(window[k] - mean)
    deviation = ((a + b) + (c + d)) / n
    return -above / (0.015 * deviation) if deviation > ROUNDING * abs(mean) else 0.0


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(2, 14)},
           state={"at": Place, "peak": float, "trough": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length - 1, source="Williams (1973), TA-Lib WILLR")
def williams_r(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Williams %R: how far the close is below the range of `length` bars, 0 at its top to -100; 0 without a range."""
    top, bottom, s.peak, s.trough = window_range(window, 0, s.length, s.at, s.seen, s.peak, high, s.trough, low)
    s.at = next_place(s.at, s.length)
    return -100.0 * ((top - close) / (top - bottom)) if top > bottom else 0.0


@indicator(bar_inputs=("high", "low", "close"),
           parameters={"length": length(1, 14), "smooth": length(1, 3), "signal": length(1, 3)},
           outputs=("k", "d"), window=lambda p: 2 * p.length + p.smooth + p.signal,
           state={"at": Place, "peak": float, "trough": float, "at_k": Place, "total_k": float, "at_d": Place,
                  "total_d": float},
           lookback=lambda p: (p.length + p.smooth - 2, p.length + p.smooth + p.signal - 3),
           source="Lane (1984), TA-Lib STOCH; STOCHF with smooth = 1")
def stochastic(s: Any, window: Any, high: float, low: float, close: float) -> tuple[float, float]:
    """Stochastic: where the close is in the range of `length` bars, 0 to 100, smoothed to %K, and its mean %D."""
    n = s.length
    top, bottom, s.peak, s.trough = window_range(window, 0, n, s.at, s.seen, s.peak, high, s.trough, low)
    s.at = next_place(s.at, n)
    if s.seen < n:
        return 0.0, 0.0
    place = 100.0 * ((close - bottom) / (top - bottom)) if top > bottom else 0.0
    total, s.total_k = window_sum(window, 2 * n, s.smooth, s.at_k, s.total_k, place)
    s.at_k = next_place(s.at_k, s.smooth)
    k = total / s.smooth
    if s.seen < n + s.smooth - 1:
        return k, 0.0
    total, s.total_d = window_sum(window, 2 * n + s.smooth, s.signal, s.at_d, s.total_d, k)
    s.at_d = next_place(s.at_d, s.signal)
    return k, total / s.signal


@indicator(bar_inputs=("high", "low", "close"),
           parameters={"short": length(1, 7), "medium": length(1, 14), "long": length(1, 28)},
           state={"before": float, "at_short": Place, "at_medium": Place, "at_long": Place, "bought_short": float,
                  "bought_medium": float, "bought_long": float, "moved_short": float, "moved_medium": float,
                  "moved_long": float},
           window=lambda p: 2 * (p.short + p.medium + p.long), lookback=lambda p: max(p.short, p.medium, p.long),
           source="Williams (1985), TA-Lib ULTOSC")
def ultimate(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Ultimate oscillator: buying pressure over true range in three windows, weighted 4, 2 and 1, 0 to 100."""
    before = s.before
    s.before = close
    if s.seen == 1:
        return 0.0
    floor = low if low < before else before
    bought = close - floor
    moved = (high if high > before else before) - floor
    short, medium, long = s.short, s.medium, s.long
    up, all_, s.bought_short, s.moved_short = window_sums(
        window, 0, short, s.at_short, s.bought_short, bought, s.moved_short, moved)
    value = 4.0 * (up / all_) if all_ > 0.0 else 0.0
    up, all_, s.bought_medium, s.moved_medium = window_sums(
        window, 2 * short, medium, s.at_medium, s.bought_medium, bought, s.moved_medium, moved)
    value += 2.0 * (up / all_) if all_ > 0.0 else 0.0
    up, all_, s.bought_long, s.moved_long = window_sums(
        window, 2 * (short + medium), long, s.at_long, s.bought_long, bought, s.moved_long, moved)
    value += up / all_ if all_ > 0.0 else 0.0
    s.at_short = next_place(s.at_short, short)
    s.at_medium = next_place(s.at_medium, medium)
    s.at_long = next_place(s.at_long, long)
    return value * (100.0 / 7.0)


@indicator(bar_inputs=("open", "high", "low", "close"), parameters={}, lookback=lambda p: 0,
           source="Livshin (2001), TA-Lib BOP")
def balance_of_power(s: Any, window: Any, open: float, high: float, low: float, close: float) -> float:
    """Balance of power: the body of the bar over its range, -1 to 1; 0 for a bar without a range."""
    return (close - open) / (high - low) if high > low else 0.0
