"""Channels around the price, and what says which way it goes."""

from __future__ import annotations

from typing import Any

from framework.indicators.blocks import helper, kept_by, lag_of, next_place, slot, widest_range, wilder, window_range
from framework.indicators.definition import Place, indicator, length, number


@indicator(bar_inputs=("high", "low", "close"),
           parameters={"length": length(1, 20), "atr_length": length(1, 10), "width": number(0.0, 2.0)},
           outputs=("upper", "middle", "lower"), state={"before": float, "range": float, "lag": float},
           lookback=lambda p: (max(p.length - 1, p.atr_length), p.length - 1, max(p.length - 1, p.atr_length)),
           source="Keltner (1960), Raschke; EMA and ATR of TA-Lib")
def keltner(s: Any, window: Any, high: float, low: float, close: float) -> tuple[float, float, float]:
    """Keltner channel: the EMA of the close and `width` average true ranges above and below it."""
    if s.seen > 1:
        s.range = wilder(s.range, widest_range(high, low, s.before), s.seen - 1, s.atr_length)
    s.lag = lag_of(s.lag, s.before, close, s.seen, s.length, kept_by(s.length))
    s.before = close
    middle = close - s.lag
    reach = s.width * s.range
    return middle + reach, middle, middle - reach


@indicator(bar_inputs=("high", "low"), parameters={"length": length(1, 20)}, outputs=("upper", "middle", "lower"),
           state={"at": Place, "peak": float, "trough": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length - 1, source="Donchian (1960), TA-Lib MAX, MIN and DONCHIAN")
def donchian(s: Any, window: Any, high: float, low: float) -> tuple[float, float, float]:
    """Donchian channel: the highest high and the lowest low of `length` bars, this one included, and their middle."""
    upper, lower, s.peak, s.trough = window_range(window, 0, s.length, s.at, s.seen, s.peak, high, s.trough, low)
    s.at = next_place(s.at, s.length)
    return upper, (upper + lower) / 2.0, lower


@indicator(bar_inputs=("high", "low", "close"), parameters={"length": length(1, 10), "multiplier": number(0.0, 3.0)},
           outputs=("line", "direction"),
           state={"before": float, "range": float, "upper": float, "lower": float, "direction": float},
           lookback=lambda p: p.length, source="Seban; ATR of TA-Lib, TA-Lib SUPERTREND")
def supertrend(s: Any, window: Any, high: float, low: float, close: float) -> tuple[float, float]:
    """Supertrend: a stop `multiplier` average true ranges from the middle that only tightens; direction 1 up, -1 down.

    The lower band holds while the price is above it, the upper band while it is below; a close beyond the band of the
    other side turns the direction. It begins with 1 when the first close is above the middle of its bar.
    """
    seen = s.seen - 1
    if seen > 0:
        s.range = wilder(s.range, widest_range(high, low, s.before), seen, s.length)
    if seen >= s.length:
        middle = (high + low) / 2.0
        upper = middle + s.multiplier * s.range
        lower = middle - s.multiplier * s.range
        if seen == s.length:
            s.direction = 1.0 if close > middle else -1.0
            s.upper, s.lower = upper, lower
        else:
            s.upper = upper if upper < s.upper else upper if s.before > s.upper else s.upper
            s.lower = lower if lower > s.lower else lower if s.before < s.lower else s.lower
            if s.direction < 0.0:
                s.direction = 1.0 if close > s.upper else -1.0
            else:
                s.direction = -1.0 if close < s.lower else 1.0
    s.before = close
    return (s.lower if s.direction > 0.0 else s.upper), s.direction


@indicator(bar_inputs=("high", "low"), parameters={"acceleration": number(0.0, 0.02), "maximum": number(0.0, 0.2)},
           state={"high_before": float, "low_before": float, "value": float, "extreme": float, "share": float,
                  "side": float},
           lookback=lambda p: 1, source="Wilder (1978), TA-Lib SAR")
def sar(s: Any, window: Any, high: float, low: float) -> float:
    """Parabolic stop and reverse: a stop that follows the extreme of its trend, faster at each new one.

    Prices are looked at from the side of the trend, 1 or -1, so that the stop is always below them and rises.
    """
    start = s.acceleration if s.acceleration < s.maximum else s.maximum
    if s.seen <= 2:
        if s.seen == 2:
            fall = s.low_before - low
            s.side = -1.0 if fall > 0.0 and fall > high - s.high_before else 1.0
            s.value = s.low_before if s.side > 0.0 else -s.high_before
            s.extreme = high if s.side > 0.0 else -low
            s.share = start
        s.high_before = high
        s.low_before = low
    outermost = high if high > s.high_before else s.high_before
    innermost = low if low < s.low_before else s.low_before
    s.high_before = high
    s.low_before = low
    near, far = (low, high) if s.side > 0.0 else (-high, -low)
    if near <= s.value:
        near, far = -far, -near
        s.side = -s.side
        edge = innermost if s.side > 0.0 else -outermost
        shown = -s.extreme if -s.extreme < edge else edge
        s.share = start
        s.extreme = far
    else:
        edge = innermost if s.side > 0.0 else -outermost
        shown = s.value
        faster = s.share + start if s.share + start < s.maximum else s.maximum
        s.share = faster if far > s.extreme else s.share
        s.extreme = far if far > s.extreme else s.extreme
    value = shown + s.share * (s.extreme - shown)
    s.value = value if value < edge else edge
    return shown if s.side > 0.0 else -shown


@helper
def middle_of(s: Any, window: Any, first: int, n: int, at: int, high: float, low: float) -> float:
    """Return the middle of the highest high and the lowest low of n bars; keeps 2 * n + 2 floats of the window."""
    top, bottom, window[first], window[first + 1] = window_range(window, first + 2, n, at, s.seen, window[first],
                                                                 high, window[first + 1], low)
    return (top + bottom) / 2.0


@indicator(bar_inputs=("high", "low"),
           parameters={"conversion": length(1, 9), "base": length(1, 26), "span": length(1, 52),
                       "displacement": length(1, 26)},
           outputs=("conversion", "base", "span_a", "span_b"),
           state={"at_conversion": Place, "at_base": Place, "at_span": Place, "at": Place},
           window=lambda p: 2 * (p.conversion + p.base + p.span + p.displacement) + 6,
           lookback=lambda p: (p.conversion - 1, p.base - 1, max(p.conversion, p.base) - 1 + p.displacement,
                               p.span - 1 + p.displacement),
           source="Hosoda (1969)")
def ichimoku(s: Any, window: Any, high: float, low: float) -> tuple[float, float, float, float]:
    """Ichimoku: middles of the ranges of 9 and 26 bars, and the cloud that was drawn for this bar 26 bars ago.

    The lagging span is the close drawn 26 bars back; it compares as `bars.close` with `bars.close.shift(26)`.
    """
    fast = middle_of(s, window, 0, s.conversion, s.at_conversion, high, low)
    first = 2 * s.conversion + 2
    slow = middle_of(s, window, first, s.base, s.at_base, high, low)
    first += 2 * s.base + 2
    slowest = middle_of(s, window, first, s.span, s.at_span, high, low)
    first += 2 * s.span + 2 + 2 * s.at
    span_a, span_b = window[first], window[first + 1]
    window[first] = (fast + slow) / 2.0
    window[first + 1] = slowest
    s.at_conversion = next_place(s.at_conversion, s.conversion)
    s.at_base = next_place(s.at_base, s.base)
    s.at_span = next_place(s.at_span, s.span)
    s.at = next_place(s.at, s.displacement)
    return fast, slow, span_a, span_b


@indicator(bar_inputs=("high", "low"), parameters={"length": length(1, 14)}, outputs=("up", "down", "oscillator"),
           state={"at": Place, "peak": float, "peak_at": int, "trough": float, "trough_at": int},
           window=lambda p: 4 * (p.length + 1), lookback=lambda p: p.length,
           source="Chande (1995), TA-Lib AROON and AROONOSC")
def aroon(s: Any, window: Any, high: float, low: float) -> tuple[float, float, float]:
    """Aroon: how young the highest high and the lowest low of `length` + 1 bars are, 100 now to 0; their difference."""
    n = s.length + 1
    if s.at == 0 or high >= s.peak:
        s.peak = high
        s.peak_at = s.at
    if s.at == 0 or low <= s.trough:
        s.trough = low
        s.trough_at = s.at
    window[s.at] = high
    window[n + s.at] = low
    at = s.at
    since_high = at - s.peak_at
    since_low = at - s.trough_at
    if at + 1 < n:
        if window[at + 1] > s.peak:
            since_high = at + n - int(window[2 * n + at + 1])
        if window[n + at + 1] < s.trough:
            since_low = at + n - int(window[3 * n + at + 1])
        s.at = at + 1
    else:
        peak, peak_at, trough, trough_at = high, at, low, at
        for k in range(n - 1, -1, -1):
            if window[slot(k)] > peak:
                peak, peak_at = window[slot(k)], k
            if window[slot(n + k)] < trough:
                trough, trough_at = window[slot(n + k)], k
            window[slot(k)], window[slot(2 * n + k)] = peak, peak_at
            window[slot(n + k)], window[slot(3 * n + k)] = trough, trough_at
        s.at = 0
    scale = 100.0 / s.length
    up = (s.length - since_high) * scale
    down = (s.length - since_low) * scale
    return up, down, up - down
