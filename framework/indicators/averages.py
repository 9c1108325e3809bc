"""Moving averages beyond the plain and the exponential one."""

from __future__ import annotations

import math
from typing import Any

from framework.boundary.fused import fma
from framework.indicators.blocks import helper, kept_by, lag_of, next_place, slot, window_sum, window_sums
from framework.indicators.definition import Place, indicator, length, number


@helper
def weighted_mean(window: Any, first: int, n: int, at: int, total: float, weighted: float,
                  x: float) -> tuple[float, float, float]:
    """Return the weighted mean of the last n values, and both sums of the head to hand back at the next one."""
    weighted += n * x - total
    total += x
    window[first + at] = x
    scale = 2.0 / (n * (n + 1.0))
    if at + 1 < n:
        return (weighted + window[first + at + 1]) * scale, total, weighted
    tail = 0.0
    tails = 0.0
    for k in range(first + n - 1, first - 1, -1):
        tail += window[slot(k)]
        tails += tail
        window[slot(k)] = tails
    return weighted * scale, 0.0, 0.0


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place, "total": float, "weighted": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib WMA")
def wma(s: Any, window: Any, x: float) -> float:
    """Weighted moving average: weights 1 to `length`, the newest value the heaviest."""
    value, s.total, s.weighted = weighted_mean(window, 0, s.length, s.at, s.total, s.weighted, x)
    s.at = next_place(s.at, s.length)
    return value


@indicator(inputs=("x",), parameters={"length": length(2)}, window=lambda p: 2 * p.length + math.isqrt(p.length),
           state={"at": Place, "total": float, "weighted": float, "half_at": Place, "half_total": float,
                  "half_weighted": float, "root_at": Place, "root_total": float, "root_weighted": float},
           lookback=lambda p: p.length + math.isqrt(p.length) - 2, source="Hull (2005), TA-Lib HMA")
def hma(s: Any, window: Any, x: float) -> float:
    """Hull moving average: WMA over sqrt(`length`) bars of twice the WMA of half the length less the whole WMA."""
    n = s.length
    half = n // 2
    root = int(math.sqrt(n))
    whole, s.total, s.weighted = weighted_mean(window, 0, n, s.at, s.total, s.weighted, x)
    s.at = next_place(s.at, n)
    lead, s.half_total, s.half_weighted = weighted_mean(
        window, n, half, s.half_at, s.half_total, s.half_weighted, x)
    s.half_at = next_place(s.half_at, half)
    if s.seen < n:
        return 0.0
    value, s.root_total, s.root_weighted = weighted_mean(
        window, n + half, root, s.root_at, s.root_total, s.root_weighted, 2.0 * lead - whole)
    s.root_at = next_place(s.root_at, root)
    return value


ONE = {"before": float, "one": float}
TWO = {**ONE, "one_before": float, "two": float}
THREE = {**TWO, "two_before": float, "three": float}
"""The states of `update_one`, `update_two` and `update_three`: the lags of EMAs in a row."""


@helper
def update_one(s: Any, x: float) -> float:
    """Return an EMA, and move its lag `s.one`."""
    s.one = lag_of(s.one, s.before, x, s.seen, s.length, kept_by(s.length))
    s.before = x
    return x - s.one  # type: ignore[no-any-return]


@helper
def update_two(s: Any, x: float) -> float:
    """Return an EMA, and move the lag `s.two` of the EMA that is made of it from its first value on."""
    n = s.length
    one = update_one(s, x)
    if s.seen >= n:
        s.two = lag_of(s.two, s.one_before, one, s.seen - n + 1, n, kept_by(n))
    s.one_before = one
    return one


@helper
def update_three(s: Any, x: float) -> float:
    """Return an EMA, and move the lags `s.two` and `s.three` of the EMA made of it and of the one made of that."""
    n = s.length
    one = update_two(s, x)
    two = one - s.two
    if s.seen >= 2 * n - 1:
        s.three = lag_of(s.three, s.two_before, two, s.seen - 2 * n + 2, n, kept_by(n))
    s.two_before = two
    return one


@indicator(inputs=("x",), parameters={"length": length()}, state=TWO, lookback=lambda p: 2 * (p.length - 1),
           source="Mulloy (1994), TA-Lib DEMA")
def dema(s: Any, window: Any, x: float) -> float:
    """Double exponential moving average: twice the EMA less the EMA of the EMA."""
    one = update_two(s, x)
    return one + s.two  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length()}, state=THREE, lookback=lambda p: 3 * (p.length - 1),
           source="Mulloy (1994), TA-Lib TEMA")
def tema(s: Any, window: Any, x: float) -> float:
    """Triple exponential moving average: 3 EMA - 3 EMA of EMA + EMA of EMA of EMA."""
    one = update_three(s, x)
    return one + (2.0 * s.two - s.three)  # type: ignore[no-any-return]


@helper
def average_of(value: float, x: float, seen: int, n: int) -> float:
    """Return an exponential average moved towards x, its `seen`-th value; the mean of them up to the n-th."""
    return fma(x - value, 2.0 / (n + 1.0) if seen > n else 1.0 / seen, value)


ROW = {"one": float, "two": float, "three": float}
"""The state of `move_three`."""


@helper
def move_three(s: Any, x: float) -> None:
    """Move an EMA `s.one` on, the EMA `s.two` of it and the EMA `s.three` of that, each from its first value on."""
    n = s.length
    s.one = average_of(s.one, x, s.seen, n)
    if s.seen >= n:
        s.two = average_of(s.two, s.one, s.seen - n + 1, n)
    if s.seen >= 2 * n - 1:
        s.three = average_of(s.three, s.two, s.seen - 2 * n + 2, n)


@indicator(inputs=("x",), parameters={"length": length()}, state=ROW,
           lookback=lambda p: 3 * p.length - 2, source="Hutson (1983), TA-Lib TRIX")
def trix(s: Any, window: Any, x: float) -> float:
    """Change of a triply smoothed EMA from one bar to the next in percent; 0 when that average was 0."""
    before = s.three
    move_three(s, x)
    return (s.three / before - 1.0) * 100.0 if before != 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(2, 5), "volume_factor": number(0.0, 0.7)},
           state={**ROW, "four": float, "five": float, "six": float},
           lookback=lambda p: 6 * (p.length - 1), source="Tillson (1998), TA-Lib T3")
def t3(s: Any, window: Any, x: float) -> float:
    """Tillson's T3: six EMAs in a row, combined so that the lag is small and overshoot is `volume_factor`."""
    n = s.length
    move_three(s, x)
    if s.seen >= 3 * n - 2:
        s.four = average_of(s.four, s.three, s.seen - 3 * n + 3, n)
    if s.seen >= 4 * n - 3:
        s.five = average_of(s.five, s.four, s.seen - 4 * n + 4, n)
    if s.seen >= 5 * n - 4:
        s.six = average_of(s.six, s.five, s.seen - 5 * n + 5, n)
    v = s.volume_factor
    squared = v * v
    cubed = squared * v
    value = fma(-(6.0 * squared + 3.0 * (v + cubed)), s.four, (1.0 + 3.0 * v + cubed + 3.0 * squared) * s.three)
    return fma(-cubed, s.six, fma(3.0 * (squared + cubed), s.five, value))


@indicator(inputs=("x",), parameters={"length": length(2, 10), "fast": length(1, 2), "slow": length(1, 30)},
           state={"at": Place, "moved": float, "lag": float, "before": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length, source="Kaufman (1995), TA-Lib KAMA")
def kama(s: Any, window: Any, x: float) -> float:
    """Kaufman's adaptive moving average: an EMA between `slow` and `fast`, faster the straighter `length` bars went."""
    n = s.length
    if s.seen == 1:
        s.before = x
    moved, s.moved = window_sum(window, n, n, s.at, s.moved, abs(x - s.before))
    change = x - window[s.at]
    window[s.at] = x
    s.at = next_place(s.at, n)
    if s.seen > n:
        straight = abs(change) / moved if moved > 0.0 else 1.0
        slowest = 2.0 / (s.slow + 1.0)
        share = straight * (2.0 / (s.fast + 1.0) - slowest) + slowest
        kept = 1.0 - share * share
        s.lag = fma(s.lag, kept, (x - s.before) * kept)
    s.before = x
    return x - s.lag  # type: ignore[no-any-return]


@indicator(inputs=("x",), parameters={"length": length(1, 14)}, state={"before": float, "lag": float},
           lookback=lambda p: p.length - 1, source="Wilder (1978), TA-Lib RMA")
def rma(s: Any, window: Any, x: float) -> float:
    """Wilder's moving average: the share 1 / `length`, from the mean of the first `length` values."""
    s.lag = lag_of(s.lag, s.before, x, s.seen, s.length, 1.0 - 1.0 / s.length)
    s.before = x
    return x - s.lag  # type: ignore[no-any-return]


@indicator(inputs=("x", "volume"), parameters={"length": length()},
           state={"at": Place, "turnover": float, "units": float},
           window=lambda p: 2 * p.length, lookback=lambda p: p.length - 1, source="TA-Lib VWMA")
def vwma(s: Any, window: Any, x: float, volume: float) -> float:
    """Volume-weighted moving average of the last `length` values; the value itself when there was no volume."""
    turnover, units, s.turnover, s.units = window_sums(window, 0, s.length, s.at, s.turnover, x * volume, s.units,
                                                       volume)
    s.at = next_place(s.at, s.length)
    return turnover / units if units != 0.0 else x
