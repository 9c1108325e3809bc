"""Statistics of a series, or of two, over a window of bars."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import helper, keep_reciprocals, next_place, slot, window_sum
from framework.indicators.definition import Place, indicator, length, number


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": Place, "head": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib SUM")
def rolling_sum(s: Any, window: Any, x: float) -> float:
    """Sum of the last `length` values."""
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, x)
    s.at = next_place(s.at, s.length)
    return total


@indicator(inputs=("x",), parameters={"length": length(2)}, outputs=("value", "slope", "intercept", "r2", "forecast"),
           state={"at": Place, "origin": float, "total": float, "squares": float, "placed": float},
           window=lambda p: 4 * p.length, lookback=lambda p: p.length - 1,
           source="least squares, TA-Lib LINEARREG, LINEARREG_SLOPE, LINEARREG_INTERCEPT, CORREL squared and TSF")
def linreg(s: Any, window: Any, x: float) -> tuple[float, float, float, float, float]:
    """Least-squares line through the last `length` values: at this bar, its slope, start, R2, and at the next bar.

    The value at the bar `length` - 1 bars ago is the intercept. R2 is 0 when all values are equal.
    """
    n = s.length
    centre = (n - 1) / 2.0
    offset = x - s.origin
    window[s.at] = x
    s.at += 1
    m = s.at
    s.total += offset
    s.squares += offset * offset
    s.placed += m * offset
    if m < n:
        older = n - m
        share = older * (1.0 / n)
        head = s.total * window[3 * n + m - 1]
        apart = window[m] * window[3 * n + older - 1] - head
        spread = s.squares - s.total * head + window[n + m] + apart * apart * (m * share)
        tilt = s.placed + (older - 1 - centre) * s.total + window[2 * n + m] - (1.0 + centre) * window[m]
        middle = s.origin + (head + apart * share)
    else:
        _keep_tails(s, window, x)
        spread = window[n]
        tilt = window[2 * n] - (1.0 + centre) * window[0]
        middle = x + window[0] * (1.0 / n)
    slope = tilt * (12.0 / (n * (n * float(n) - 1.0)))
    explained = slope * tilt
    r2 = (explained / spread if explained < spread else 1.0) if spread > 0.0 else 0.0
    return middle + slope * centre, slope, middle - slope * centre, r2, middle + slope * (centre + 1.0)


@helper
def _keep_tails(s: Any, window: Any, x: float) -> None:
    """Turn a full block into sums over its tails: of differences from x, of their squared deviations, and placed.

    placed: the sum of the differences times 1, 2, 3 ..., from the oldest of the tail on.
    """
    n = s.length
    if window[3 * n] == 0.0:
        keep_reciprocals(window, 3 * n, n)
    total = 0.0
    squares = 0.0
    placed = 0.0
    for k in range(n - 1, -1, -1):
        offset = window[slot(k)] - x
        total += offset
        squares += offset * offset
        placed += total
        window[slot(k)] = total
        window[slot(n + k)] = squares - total * (total * window[slot(4 * n - k - 1)])
        window[slot(2 * n + k)] = placed
    s.origin = x
    s.total, s.squares, s.placed = 0.0, 0.0, 0.0
    s.at = 0


PAIR = {"at": Place, "x_origin": float, "y_origin": float, "x_total": float, "y_total": float, "x_squares": float,
        "y_squares": float, "products": float, "xx": float, "yy": float, "xy": float}
"""The state of `update_products`."""


@helper
def update_products(s: Any, window: Any, x: float, y: float) -> None:
    """Move `s.xx`, `s.yy` and `s.xy` on by one: the sums of squared and mixed deviations of `s.length` pairs.

    window: 6 * length floats: of each tail the means, from the origins, and the three sums; the reciprocals of 1 to
    length. Differences from the pair that ended the last block are summed, so that nothing cancels; head and tail
    merge as in Chan, Golub and LeVeque (1979).
    """
    n = s.length
    dx = x - s.x_origin
    dy = y - s.y_origin
    s.x_total += dx
    s.y_total += dy
    s.x_squares += dx * dx
    s.y_squares += dy * dy
    s.products += dx * dy
    window[s.at] = x
    window[n + s.at] = y
    s.at += 1
    m = s.at
    if m < n:
        x_mean = s.x_total * window[5 * n + m - 1]
        y_mean = s.y_total * window[5 * n + m - 1]
        weight = m * ((n - m) * (1.0 / n))
        dx = x_mean - window[m]
        dy = y_mean - window[n + m]
        s.xx = s.x_squares - s.x_total * x_mean + window[2 * n + m] + dx * dx * weight
        s.yy = s.y_squares - s.y_total * y_mean + window[3 * n + m] + dy * dy * weight
        s.xy = s.products - s.x_total * y_mean + window[4 * n + m] + dx * dy * weight
    else:
        _keep_pairs(s, window, x, y)
        s.xx, s.yy, s.xy = window[2 * n], window[3 * n], window[4 * n]


@helper
def _keep_pairs(s: Any, window: Any, x: float, y: float) -> None:
    """Turn a full block into the means and the three sums of its tails, of differences from (x, y)."""
    n = s.length
    if window[5 * n] == 0.0:
        keep_reciprocals(window, 5 * n, n)
    x_total, y_total, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(n - 1, -1, -1):
        dx = window[slot(k)] - x
        dy = window[slot(n + k)] - y
        x_total += dx
        y_total += dy
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
        x_mean = x_total * window[slot(6 * n - k - 1)]
        y_mean = y_total * window[slot(6 * n - k - 1)]
        window[slot(k)] = x_mean
        window[slot(n + k)] = y_mean
        window[slot(2 * n + k)] = xx - x_total * x_mean
        window[slot(3 * n + k)] = yy - y_total * y_mean
        window[slot(4 * n + k)] = xy - x_total * y_mean
    s.x_origin, s.y_origin = x, y
    s.x_total, s.y_total, s.x_squares, s.y_squares, s.products = 0.0, 0.0, 0.0, 0.0, 0.0
    s.at = 0


@indicator(inputs=("x", "y"), parameters={"length": length(2)}, state=PAIR, window=lambda p: 6 * p.length,
           lookback=lambda p: p.length - 1, source="Pearson (1895), TA-Lib CORREL")
def correlation(s: Any, window: Any, x: float, y: float) -> float:
    """Correlation of two series over the last `length` bars, -1 to 1; 0 when one of them does not move."""
    update_products(s, window, x, y)
    if s.xx <= 0.0 or s.yy <= 0.0:
        return 0.0
    value = s.xy / (math.sqrt(s.xx) * math.sqrt(s.yy))
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value


@indicator(inputs=("x", "market"), parameters={"length": length(2)}, state=PAIR, window=lambda p: 6 * p.length,
           lookback=lambda p: p.length - 1, source="least squares; TA-Lib BETA of one-bar returns")
def beta(s: Any, window: Any, x: float, market: float) -> float:
    """Slope of a series on another over the last `length` bars: of returns, for a beta; 0 when that does not move."""
    update_products(s, window, market, x)
    return s.xy / s.xx if s.xx > 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(1, 100)}, state={"at": Place}, window=lambda p: p.length,
           lookback=lambda p: p.length - 1, source="scipy.stats.percentileofscore, pandas rolling rank",
           cost="O(length)")
def percentile_rank(s: Any, window: Any, x: float) -> float:
    """Rank of the value among the last `length` values in percent, this one included; equal ones share their mean."""
    leaving = window[s.at]
    twice = 2 - (1 if leaving < x else 0) - (1 if leaving <= x else 0)
    for k in range(s.length):
        twice += (1 if window[k] < x else 0) + (1 if window[k] <= x else 0)
    window[s.at] = x
    s.at = next_place(s.at, s.length)
    return twice * (50.0 / s.length)  # type: ignore[no-any-return]


@helper
def update_sorted(s: Any, window: Any, x: float) -> None:
    """Keep the last `s.length` values in order in the window, the smallest first; 2 * length floats, state `at`."""
    n = s.length
    known = s.seen - 1 if s.seen <= n else n
    place = 0
    for k in range(known):
        place += 1 if window[k] < x else 0
    hole = known
    if s.seen > n:
        leaving = window[n + s.at]
        hole = 0
        for k in range(n):
            hole += 1 if window[k] < leaving else 0
        place -= 1 if leaving < x else 0
    for k in range(hole, place):
        window[k] = window[k + 1]
    for k in range(hole, place, -1):
        window[k] = window[k - 1]
    window[place] = x
    window[n + s.at] = x
    s.at = next_place(s.at, n)


@indicator(inputs=("x",), parameters={"length": length(), "share": number(0.0, 0.5)}, state={"at": Place},
           window=lambda p: 2 * p.length, lookback=lambda p: p.length - 1,
           check=lambda p: None if p.share <= 1.0 else f"share = {p.share:g} must be at most 1",
           source="pandas rolling quantile", cost="O(length)")
def quantile(s: Any, window: Any, x: float) -> float:
    """Quantile of the last `length` values, linear between neighbours; the median at the share 0.5."""
    update_sorted(s, window, x)
    place = (s.length - 1) * s.share
    below = int(place)
    value = window[below]
    if below + 1 < s.length and place > below:
        value += (window[below + 1] - value) * (place - below)
    return value  # type: ignore[no-any-return]


def _lags(n: int) -> int:
    """Return how many of the lags 1, 2, 4, 8 ... are at most a quarter of n bars."""
    return (n // 4).bit_length()


@indicator(inputs=("x",), parameters={"length": length(16, 128)}, state={"at": Place},
           window=lambda p: p.length + _lags(p.length) * (p.length + 2), lookback=lambda p: p.length - 1,
           source="Mandelbrot and Van Ness (1968): E(x(t + lag) - x(t))^2 ~ lag^2H", cost="O(log length)")
def hurst(s: Any, window: Any, x: float) -> float:
    """Hurst exponent of a (log) price: 0.5 a random walk, above it trending, below it reverting; 0.5 when one is 0.

    Half the slope of the logarithm of the mean squared difference over a lag against that of the lag, by least squares
    over the lags 1, 2, 4 ... up to a quarter of the `length` values.
    """
    n = s.length
    ring = s.at
    lag, lags, first = 1, 0, n
    total, placed, undefined = 0.0, 0.0, 0
    while 4 * lag <= n:
        size = n - lag
        if s.seen > lag:
            before = window[ring - lag if ring >= lag else ring - lag + n]
            at = int(window[first])
            squares, window[first + 1] = window_sum(window, first + 2, size, at, window[first + 1],
                                                    (x - before) * (x - before))
            window[first] = next_place(at, size)
            if 0.0 < squares < math.inf:
                spread = math.log(squares / size)
                total += spread
                placed += lags * spread
            else:
                undefined = 1
        lags += 1
        first += n + 2
        lag *= 2
    window[ring] = x
    s.at = next_place(ring, n)
    if undefined == 1 or s.seen < n:
        return 0.5
    across = lags * (lags * float(lags) - 1.0) / 12.0
    slope = (placed - total * ((lags - 1) / 2.0)) / across
    return slope / (2.0 * math.log(2.0))
