"""Moving averages beyond the plain and the exponential one."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import exponential, helper, next_place, wilder, window_sum, window_sums
from framework.indicators.definition import indicator, length, number


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int, "total": float, "weighted": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib WMA")
def wma(s: Any, window: Any, x: float) -> float:
    """Weighted moving average: weights 1 to `length`, the newest value the heaviest."""
    n = s.length
    if s.at == 0:
        s.total = 0.0
        s.weighted = 0.0
    s.at += 1
    s.total += x
    s.weighted += s.at * x
    window[s.at - 1] = x
    scale = 2.0 / (n * (n + 1.0))
    if s.at < n:
        return (s.weighted + (n - s.at) * s.total + window[s.at]) * scale  # type: ignore[no-any-return]
    tail = 0.0
    weighted = 0.0
    for k in range(n - 1, -1, -1):
        tail += window[k]
        weighted += tail
        window[k] = weighted
    s.at = 0
    return s.weighted * scale  # type: ignore[no-any-return]


@helper
def weighted_mean(window: Any, first: int, n: int, x: float) -> float:
    """Return the weighted mean of the last n values; keeps n + 3 floats of the window from `first` on."""
    at = int(window[first])
    total = window[first + 1] + x if at > 0 else x
    weighted = window[first + 2] + (at + 1) * x if at > 0 else x
    base = first + 3
    window[base + at] = x
    at += 1
    value = weighted
    if at < n:
        value += (n - at) * total + window[base + at]
    else:
        tail = 0.0
        tails = 0.0
        for k in range(base + n - 1, base - 1, -1):
            tail += window[k]
            tails += tail
            window[k] = tails
        at = 0
    window[first] = at
    window[first + 1] = total
    window[first + 2] = weighted
    return value * (2.0 / (n * (n + 1.0)))


@indicator(inputs=("x",), parameters={"length": length(2)}, window=lambda p: 2 * p.length + math.isqrt(p.length) + 9,
           lookback=lambda p: p.length + math.isqrt(p.length) - 2, source="Hull (2005), TA-Lib HMA")
def hma(s: Any, window: Any, x: float) -> float:
    """Hull moving average: WMA over sqrt(`length`) bars of twice the WMA of half the length less the whole WMA."""
    n = s.length
    half = n // 2
    root = int(math.sqrt(n))
    whole = weighted_mean(window, 0, n, x)
    lead = 2.0 * weighted_mean(window, n + 3, half, x) - whole
    if s.count < n:
        return 0.0
    return weighted_mean(window, n + half + 6, root, lead)


@indicator(inputs=("x",), parameters={"length": length()}, state={"one": float, "two": float},
           lookback=lambda p: 2 * (p.length - 1), source="Mulloy (1994), TA-Lib DEMA")
def dema(s: Any, window: Any, x: float) -> float:
    """Double exponential moving average: twice the EMA less the EMA of the EMA."""
    n = s.length
    s.one = exponential(s.one, x, s.count, n)
    if s.count >= n:
        s.two = exponential(s.two, s.one, s.count - n + 1, n)
    return 2.0 * s.one - s.two  # type: ignore[no-any-return]


@helper
def update_three(s: Any, x: float) -> None:
    """Move `s.one`, `s.two` and `s.three`, an EMA, the EMA of it and the EMA of that, each from its first value on."""
    n = s.length
    s.one = exponential(s.one, x, s.count, n)
    if s.count >= n:
        s.two = exponential(s.two, s.one, s.count - n + 1, n)
        if s.count >= 2 * n - 1:
            s.three = exponential(s.three, s.two, s.count - 2 * n + 2, n)


@indicator(inputs=("x",), parameters={"length": length()}, state={"one": float, "two": float, "three": float},
           lookback=lambda p: 3 * (p.length - 1), source="Mulloy (1994), TA-Lib TEMA")
def tema(s: Any, window: Any, x: float) -> float:
    """Triple exponential moving average: 3 EMA - 3 EMA of EMA + EMA of EMA of EMA."""
    update_three(s, x)
    return 3.0 * s.one - 3.0 * s.two + s.three  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()},
           state={"one": float, "two": float, "three": float, "before": float}, lookback=lambda p: 3 * p.length - 2,
           source="Hutson (1983), TA-Lib TRIX")
def trix(s: Any, window: Any, x: float) -> float:
    """Change of a triply smoothed EMA from one bar to the next in percent; 0 when that average was 0."""
    s.before = s.three
    update_three(s, x)
    return (s.three / s.before - 1.0) * 100.0 if s.before != 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(2, 5), "volume_factor": number(0.0, 0.7)},
           state={"one": float, "two": float, "three": float, "four": float, "five": float, "six": float},
           lookback=lambda p: 6 * (p.length - 1), source="Tillson (1998), TA-Lib T3")
def t3(s: Any, window: Any, x: float) -> float:
    """Tillson's T3: six EMAs in a row, combined so that the lag is small and overshoot is `volume_factor`."""
    n = s.length
    seen = s.count
    s.one = exponential(s.one, x, seen, n)
    if seen >= n:
        s.two = exponential(s.two, s.one, seen - n + 1, n)
    if seen >= 2 * n - 1:
        s.three = exponential(s.three, s.two, seen - 2 * n + 2, n)
    if seen >= 3 * n - 2:
        s.four = exponential(s.four, s.three, seen - 3 * n + 3, n)
    if seen >= 4 * n - 3:
        s.five = exponential(s.five, s.four, seen - 4 * n + 4, n)
    if seen >= 5 * n - 4:
        s.six = exponential(s.six, s.five, seen - 5 * n + 5, n)
    v = s.volume_factor
    squared = v * v
    cubed = squared * v
    return (-cubed * s.six + 3.0 * (squared + cubed) * s.five  # type: ignore[no-any-return]
            - (6.0 * squared + 3.0 * (v + cubed)) * s.four + (1.0 + 3.0 * v + cubed + 3.0 * squared) * s.three)


@indicator(inputs=("x",), parameters={"length": length(2, 10), "fast": length(1, 2), "slow": length(1, 30)},
           state={"at": int, "moved": float, "value": float, "before": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length, source="Kaufman (1995), TA-Lib KAMA")
def kama(s: Any, window: Any, x: float) -> float:
    """Kaufman's adaptive moving average: an EMA between `slow` and `fast`, faster the straighter `length` bars went."""
    n = s.length
    if s.count == 1:
        s.before = x
    moved, s.moved = window_sum(window, n, n, s.at, s.moved, abs(x - s.before))
    change = x - window[s.at]
    window[s.at] = x
    s.at = next_place(s.at, n)
    if s.count <= n:
        s.value = x
    else:
        straight = abs(change) / moved if moved > 0.0 else 1.0
        slowest = 2.0 / (s.slow + 1.0)
        share = straight * (2.0 / (s.fast + 1.0) - slowest) + slowest
        s.value += (x - s.value) * (share * share)
    s.before = x
    return s.value  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(1, 14)}, state={"value": float}, lookback=lambda p: p.length - 1,
           source="Wilder (1978), TA-Lib RMA")
def rma(s: Any, window: Any, x: float) -> float:
    """Wilder's moving average: the share 1 / `length`, from the mean of the first `length` values."""
    s.value = wilder(s.value, x, s.count, s.length)
    return s.value  # type: ignore[no-any-return]


@indicator(inputs=("x", "volume"), parameters={"length": length()},
           state={"at": int, "turnover": float, "units": float},
           window=lambda p: 2 * p.length, lookback=lambda p: p.length - 1, source="TA-Lib VWMA")
def vwma(s: Any, window: Any, x: float, volume: float) -> float:
    """Volume-weighted moving average of the last `length` values; the value itself when there was no volume."""
    turnover, units, s.turnover, s.units = window_sums(window, 0, s.length, s.at, s.turnover, x * volume, s.units,
                                                       volume)
    s.at = next_place(s.at, s.length)
    return turnover / units if units != 0.0 else x
