"""Statistics of a series, or of two, over a window of bars."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import helper, next_place, window_sum
from framework.indicators.definition import indicator, length, number


@indicator(inputs=("x",), parameters={"length": length()}, state={"at": int, "head": float},
           window=lambda p: p.length, lookback=lambda p: p.length - 1, source="TA-Lib SUM")
def rolling_sum(s: Any, window: Any, x: float) -> float:
    """Sum of the last `length` values."""
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, x)
    s.at = next_place(s.at, s.length)
    return total


@indicator(inputs=("x",), parameters={"length": length(2)}, outputs=("value", "slope", "intercept", "r2", "forecast"),
           state={"at": int, "origin": float, "total": float, "squares": float, "placed": float, "tail_origin": float},
           window=lambda p: 3 * p.length, lookback=lambda p: p.length - 1,
           source="least squares, TA-Lib LINEARREG, LINEARREG_SLOPE, LINEARREG_INTERCEPT, CORREL squared and TSF")
def linreg(s: Any, window: Any, x: float) -> tuple[float, float, float, float, float]:
    """Least-squares line through the last `length` values: at this bar, its slope, start, R2, and at the next bar.

    The value at the bar `length` - 1 bars ago is the intercept. R2 is 0 when all values are equal.
    """
    n = s.length
    if s.at == 0:
        s.origin = x
        s.total = 0.0
        s.squares = 0.0
        s.placed = 0.0
    offset = x - s.origin
    s.at += 1
    s.total += offset
    s.squares += offset * offset
    s.placed += s.at * offset
    m = s.at
    window[m - 1] = x
    older = n - m
    centre = (n - 1) / 2.0
    mean = s.total / m
    spread = s.squares - s.total * mean
    tilt = s.placed + (older - 1 - centre) * s.total
    if older > 0:
        apart = s.tail_origin - s.origin
        between = apart + (window[m] / older - mean)
        spread += window[n + m] + between * between * (m * (older / n))
        tilt += window[2 * n + m] - (1.0 + centre) * window[m] + apart * (older * ((older - 1) / 2.0 - centre))
        mean += between * (older / n)
    else:
        _keep_tails(s, window, x)
    across = n * (n * float(n) - 1.0) / 12.0
    slope = tilt / across
    middle = s.origin + mean
    explained = slope * tilt
    r2 = (explained / spread if explained < spread else 1.0) if spread > 0.0 else 0.0
    return middle + slope * centre, slope, middle - slope * centre, r2, middle + slope * (centre + 1.0)


@helper
def _keep_tails(s: Any, window: Any, x: float) -> None:
    """Turn a full block into sums over its tails: of differences from x, of their squared deviations, and placed.

    placed: the sum of the differences times 1, 2, 3 ..., from the oldest of the tail on.
    """
    n = s.length
    s.tail_origin = x
    total = 0.0
    squares = 0.0
    placed = 0.0
    for k in range(n - 1, -1, -1):
        offset = window[k] - x
        total += offset
        squares += offset * offset
        placed += total
        window[k] = total
        window[n + k] = squares - total * (total / (n - k))
        window[2 * n + k] = placed
    s.at = 0


PAIR = {"at": int, "x_origin": float, "y_origin": float, "x_total": float, "y_total": float, "x_squares": float,
        "y_squares": float, "products": float, "x_tail_origin": float, "y_tail_origin": float,
        "xx": float, "yy": float, "xy": float}
"""The state of `update_products`."""


@helper
def update_products(s: Any, window: Any, x: float, y: float) -> None:
    """Move `s.xx`, `s.yy` and `s.xy` on by one: the sums of squared and mixed deviations of `s.length` pairs.

    window: 5 * length floats: of each tail the means, from the tail's origins, and the three sums.
    Differences from a pair inside the window are summed, so that nothing cancels; head and tail merge as in Chan,
    Golub and LeVeque (1979).
    """
    n = s.length
    if s.at == 0:
        s.x_origin, s.y_origin = x, y
        s.x_total, s.y_total = 0.0, 0.0
        s.x_squares, s.y_squares, s.products = 0.0, 0.0, 0.0
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
    x_mean = s.x_total / m
    y_mean = s.y_total / m
    s.xx = s.x_squares - s.x_total * x_mean
    s.yy = s.y_squares - s.y_total * y_mean
    s.xy = s.products - s.x_total * y_mean
    if m < n:
        weight = m * ((n - m) / n)
        dx = (s.x_origin - s.x_tail_origin) + (x_mean - window[m])
        dy = (s.y_origin - s.y_tail_origin) + (y_mean - window[n + m])
        s.xx += window[2 * n + m] + dx * dx * weight
        s.yy += window[3 * n + m] + dy * dy * weight
        s.xy += window[4 * n + m] + dx * dy * weight
        return
    s.x_tail_origin, s.y_tail_origin = x, y
    x_total, y_total, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(n - 1, -1, -1):
        dx = window[k] - x
        dy = window[n + k] - y
        x_total += dx
        y_total += dy
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
        window[k] = x_total / (n - k)
        window[n + k] = y_total / (n - k)
        window[2 * n + k] = xx - x_total * window[k]
        window[3 * n + k] = yy - y_total * window[n + k]
        window[4 * n + k] = xy - x_total * window[n + k]
    s.at = 0


@indicator(inputs=("x", "y"), parameters={"length": length(2)}, state=PAIR, window=lambda p: 5 * p.length,
           lookback=lambda p: p.length - 1, source="Pearson (1895), TA-Lib CORREL")
def correlation(s: Any, window: Any, x: float, y: float) -> float:
    """Correlation of two series over the last `length` bars, -1 to 1; 0 when one of them does not move."""
    update_products(s, window, x, y)
    if s.xx <= 0.0 or s.yy <= 0.0:
        return 0.0
    value = s.xy / (math.sqrt(s.xx) * math.sqrt(s.yy))
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value


@indicator(inputs=("x", "market"), parameters={"length": length(2)}, state=PAIR, window=lambda p: 5 * p.length,
           lookback=lambda p: p.length - 1, source="least squares; TA-Lib BETA of one-bar returns")
def beta(s: Any, window: Any, x: float, market: float) -> float:
    """Slope of a series on another over the last `length` bars: of returns, for a beta; 0 when that does not move."""
    update_products(s, window, market, x)
    return s.xy / s.xx if s.xx > 0.0 else 0.0


@indicator(inputs=("x",), parameters={"length": length(1, 100)}, state={"at": int}, window=lambda p: p.length,
           lookback=lambda p: p.length - 1, source="scipy.stats.percentileofscore, pandas rolling rank",
           cost="O(length)")
def percentile_rank(s: Any, window: Any, x: float) -> float:
    """Rank of the value among the last `length` values in percent, this one included; equal ones share their mean."""
    window[s.at] = x
    s.at = next_place(s.at, s.length)
    below = 0
    equal = 0
    for k in range(s.length):
        below += 1 if window[k] < x else 0
        equal += 1 if window[k] == x else 0
    return (below + (equal + 1) / 2.0) * (100.0 / s.length)  # type: ignore[no-any-return]


@helper
def update_sorted(s: Any, window: Any, x: float) -> None:
    """Keep the last `s.length` values in order in the window, the smallest first; 2 * length floats, state `at`."""
    n = s.length
    k = s.count - 1
    if s.count > n:
        leaving = window[n + s.at]
        low, high = 0, n - 1
        while low < high:
            middle = (low + high) // 2
            if window[middle] < leaving:
                low = middle + 1
            else:
                high = middle
        k = low
    window[n + s.at] = x
    s.at = next_place(s.at, n)
    known = s.count if s.count < n else n
    while k + 1 < known and window[k + 1] < x:
        window[k] = window[k + 1]
        k += 1
    while k > 0 and window[k - 1] > x:
        window[k] = window[k - 1]
        k -= 1
    window[k] = x


@indicator(inputs=("x",), parameters={"length": length(), "share": number(0.0, 0.5)}, state={"at": int},
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


@indicator(inputs=("x",), parameters={"length": length(16, 128)}, state={"at": int},
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
        if s.count > lag:
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
    if undefined == 1 or s.count < n:
        return 0.5
    across = lags * (lags * float(lags) - 1.0) / 12.0
    slope = (placed - total * ((lags - 1) / 2.0)) / across
    return slope / (2.0 * math.log(2.0))
