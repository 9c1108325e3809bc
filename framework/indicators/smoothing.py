"""Indicators with an endless, fading memory.

All of them start at the first value of their input with the plain mean of the first `length` values, as TA-Lib does,
and then move towards each new value by a fixed share. A mean that moves by the share 1/k at its k-th value is the
plain mean of k values, so that one line serves both.
"""

from __future__ import annotations

from typing import Any

from framework.indicators.blocks import helper, widest_range
from framework.indicators.definition import indicator, length


@indicator(inputs=("x",), parameters={"length": length()}, state={"value": float}, lookback=lambda p: p.length - 1,
           source="TA-Lib EMA")
def ema(s: Any, window: Any, x: float) -> float:
    """Exponential moving average with the share 2 / (length + 1), from the mean of the first `length` values."""
    if s.count <= s.length:
        s.value += (x - s.value) / s.count
    else:
        s.value += (x - s.value) * (2.0 / (s.length + 1))
    return s.value  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(2, 14)},
           state={"previous": float, "gain": float, "loss": float}, lookback=lambda p: p.length,
           source="Wilder (1978), TA-Lib RSI")
def rsi(s: Any, window: Any, x: float) -> float:
    """Relative strength index: the share of gains in all movement, 0 to 100; 0 when nothing moved."""
    changes = s.count - 1
    change = x - s.previous
    s.previous = x
    if changes == 0:
        return 0.0
    share = 1.0 / (changes if changes < s.length else s.length)
    s.gain += ((change if change > 0.0 else 0.0) - s.gain) * share
    s.loss += ((-change if change < 0.0 else 0.0) - s.loss) * share
    movement = s.gain + s.loss
    return 100.0 * (s.gain / movement) if movement > 0.0 else 0.0


MACD_STATE = {"fast_value": float, "slow_value": float, "signal_value": float}
"""The state of `update_pair`, and of the signal made of it."""


def fast_below_slow(p: Any) -> str | None:
    """Return what is wrong with two lengths of which the fast one must be the smaller."""
    return None if p.fast < p.slow else f"fast = {p.fast} must be below slow = {p.slow}"


@helper
def update_pair(s: Any, x: float) -> None:
    """Move `s.fast_value` and `s.slow_value`, two EMAs that are first known at the same bar, the `slow`-th.

    The fast one starts with the mean of the `fast` values up to it.
    """
    if s.count <= s.slow:
        s.slow_value += (x - s.slow_value) / s.count
        seen = s.count - (s.slow - s.fast)
        if seen > 0:
            s.fast_value += (x - s.fast_value) / seen
    else:
        s.slow_value += (x - s.slow_value) * (2.0 / (s.slow + 1))
        s.fast_value += (x - s.fast_value) * (2.0 / (s.fast + 1))


@indicator(inputs=("x",), parameters={"fast": length(2, 12), "slow": length(2, 26), "signal": length(1, 9)},
           outputs=("line", "signal", "histogram"), state=MACD_STATE, check=fast_below_slow,
           lookback=lambda p: (p.slow - 1, p.slow + p.signal - 2, p.slow + p.signal - 2),
           source="Appel (1979), TA-Lib MACD")
def macd(s: Any, window: Any, x: float) -> tuple[float, float, float]:
    """Moving average convergence divergence: fast EMA less slow EMA, the EMA of that, and their difference."""
    update_pair(s, x)
    line = s.fast_value - s.slow_value
    seen = s.count - s.slow + 1
    if seen > s.signal:
        s.signal_value += (line - s.signal_value) * (2.0 / (s.signal + 1))
    elif seen > 0:
        s.signal_value += (line - s.signal_value) / seen
    return line, s.signal_value, line - s.signal_value


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(1, 14)},
           state={"previous": float, "value": float}, lookback=lambda p: p.length, source="Wilder (1978), TA-Lib ATR")
def atr(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Average true range in price units, smoothed by the share 1 / length."""
    changes = s.count - 1
    if changes > 0:
        share = 1.0 / (changes if changes < s.length else s.length)
        s.value += (widest_range(high, low, s.previous) - s.value) * share
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
    changes = s.count - 1
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
