"""Indicators with an endless, fading memory.

All of them start at the first value of their input with the plain mean of the first `length` values, as TA-Lib does,
and then move towards each new value by a fixed share. A mean that moves by the share 1/k at its k-th value is the
plain mean of k values, so that one line serves both.
"""

from __future__ import annotations

from typing import Any

from framework.indicators.blocks import helper, kept_by, lag_of, widest_range, wilder
from framework.indicators.definition import indicator, length


@indicator(inputs=("x",), parameters={"length": length()}, state={"before": float, "lag": float},
           lookback=lambda p: p.length - 1, source="TA-Lib EMA")
def ema(s: Any, window: Any, x: float) -> float:
    """Exponential moving average with the share 2 / (length + 1), from the mean of the first `length` values."""
    s.lag = lag_of(s.lag, s.before, x, s.seen, s.length, kept_by(s.length))
    s.before = x
    return x - s.lag  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(2, 14)},
           state={"previous": float, "gain": float, "loss": float}, lookback=lambda p: p.length,
           source="Wilder (1978), TA-Lib RSI")
def rsi(s: Any, window: Any, x: float) -> float:
    """Relative strength index: the share of gains in all movement, 0 to 100; 0 when nothing moved."""
    changes = s.seen - 1
    change = x - s.previous
    s.previous = x
    if changes == 0:
        return 0.0
    s.gain = wilder(s.gain, change if change > 0.0 else 0.0, changes, s.length)
    s.loss = wilder(s.loss, -change if change < 0.0 else 0.0, changes, s.length)
    movement = s.gain + s.loss
    return 100.0 * (s.gain / movement) if movement > 0.0 else 0.0


SIGNAL = {"before": float, "fast_lag": float, "slow_lag": float, "line_before": float, "signal_lag": float}
"""The state of a fast and a slow EMA and of the EMA of what is made of them."""


def fast_below_slow(p: Any) -> str | None:
    """Return what is wrong with two lengths of which the fast one must be the smaller."""
    return None if p.fast < p.slow else f"fast = {p.fast} must be below slow = {p.slow}"


@helper
def update_signal(s: Any, line: float) -> float:
    """Return the EMA over `s.signal` values of a line that is first known at the bar `s.slow`."""
    seen = s.seen - s.slow + 1
    if seen > 0:
        s.signal_lag = lag_of(s.signal_lag, s.line_before, line, seen, s.signal, kept_by(s.signal))
    s.line_before = line
    return line - s.signal_lag  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"fast": length(2, 12), "slow": length(2, 26), "signal": length(1, 9)},
           outputs=("line", "signal", "histogram"), state=SIGNAL, check=fast_below_slow,
           lookback=lambda p: (p.slow - 1, p.slow + p.signal - 2, p.slow + p.signal - 2),
           source="Appel (1979), TA-Lib MACD")
def macd(s: Any, window: Any, x: float) -> tuple[float, float, float]:
    """Moving average convergence divergence: fast EMA less slow EMA, the EMA of that, and their difference.

    Both averages are first known at the same bar, the `slow`-th: the fast one starts with the mean of the `fast`
    values up to it.
    """
    s.slow_lag = lag_of(s.slow_lag, s.before, x, s.seen, s.slow, kept_by(s.slow))
    seen = s.seen - (s.slow - s.fast)
    if seen > 0:
        s.fast_lag = lag_of(s.fast_lag, s.before, x, seen, s.fast, kept_by(s.fast))
    s.before = x
    line = s.slow_lag - s.fast_lag
    signal = update_signal(s, line)
    return line, signal, line - signal


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(1, 14)},
           state={"previous": float, "value": float}, lookback=lambda p: p.length, source="Wilder (1978), TA-Lib ATR")
def atr(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Average true range in price units, smoothed by the share 1 / length."""
    changes = s.seen - 1
    if changes > 0:
        s.value = wilder(s.value, widest_range(high, low, s.previous), changes, s.length)
    s.previous = close
    return s.value  # type: ignore[no-any-return]


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(2, 14)},
           outputs=("adx", "plus_di", "minus_di"),
           state={"high_before": float, "low_before": float, "close_before": float, "up": float, "down": float,
                  "moved": float, "value": float},
           lookback=lambda p: (2 * p.length - 1, p.length, p.length),
           source="Wilder (1978), TA-Lib ADX, PLUS_DI and MINUS_DI")
def adx(s: Any, window: Any, high: float, low: float, close: float) -> tuple[float, float, float]:
    """Average directional index and its two directional indicators, each 0 to 100.

    The sums of movement start with `length` - 1 changes and then give up the share 1 / length at each bar.
    """
    changes = s.seen - 1
    rise = high - s.high_before
    fall = s.low_before - low
    moved = widest_range(high, low, s.close_before)
    s.high_before = high
    s.low_before = low
    s.close_before = close
    if changes == 0:
        return 0.0, 0.0, 0.0
    kept = 1.0 if changes < s.length else 1.0 - 1.0 / s.length
    s.up = s.up * kept + (rise if rise > fall and rise > 0.0 else 0.0)
    s.down = s.down * kept + (fall if fall > rise and fall > 0.0 else 0.0)
    s.moved = s.moved * kept + moved
    if changes < s.length:
        return 0.0, 0.0, 0.0
    plus = 100.0 * (s.up / s.moved) if s.moved > 0.0 else 0.0
    minus = 100.0 * (s.down / s.moved) if s.moved > 0.0 else 0.0
    seen = changes - s.length + 1
    if plus + minus > 0.0:
        strength = 100.0 * (abs(plus - minus) / (plus + minus))
        s.value += (strength - s.value) / (seen if seen < s.length else s.length)
    elif seen <= s.length:
        s.value -= s.value / seen
    return s.value, plus, minus
