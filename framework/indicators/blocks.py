"""What steps share: sums, extremes and moments over a window of bars, and averages that fade.

A sum that adds the new value and subtracts the old one drifts, and one huge value spoils it for ever. Here nothing is
subtracted: the series is cut into blocks as long as the window, and a window is the tail of one block and the head of
the next. The head is accumulated as bars come; when a block is full its tails are computed once, backwards. That costs
two operations a bar on average, for sums as for extremes, and a value that has left the window leaves no trace.
Source: van Herk (1992), Gil and Werman (1993), for extremes; the same cut serves every aggregate.

The helpers are handed a place `at` in the block, 0 to n - 1, which the step moves on by `next_place`, and keep n floats
of the window from `first` on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba.extending import register_jitable

from framework.boundary.fused import fma
from framework.indicators.definition import Place

F = TypeVar("F", bound=Callable[..., Any])

ROUNDING = 1e-12
"""What adjusting and averaging make of equal prices, relative to them: a typical price that moves by less stands."""


def helper(function: F) -> F:
    """Let steps call this function; it is compiled into each of them, so that their state stays in registers."""
    return register_jitable(error_model="numpy", forceinline=True)(function)  # type: ignore[no-any-return]


@helper
def slot(k: int) -> Any:
    """Return an index that is known not to count from the end; without that, each access would look."""
    return np.uintp(k)


@helper
def next_place(at: int, n: int) -> int:
    """Return the place after `at` in a block of n."""
    return at + 1 if at + 1 < n else 0


@helper
def window_sum(window: Any, first: int, n: int, at: int, head: float, x: float) -> tuple[float, float]:
    """Return the sum of the last n values and the head to hand back at the next one."""
    head += x
    window[first + at] = x
    if at + 1 < n:
        return head + window[first + at + 1], head
    tail = 0.0
    for k in range(first + n - 1, first - 1, -1):
        tail += window[slot(k)]
        window[slot(k)] = tail
    return head, 0.0


@helper
def window_sums(window: Any, first: int, n: int, at: int, x_head: float, x: float, y_head: float,
                y: float) -> tuple[float, float, float, float]:
    """Return the sums of the last n values of two series and their heads; keeps 2 * n floats."""
    x_head += x
    y_head += y
    window[first + at] = x
    window[first + n + at] = y
    if at + 1 < n:
        return x_head + window[first + at + 1], y_head + window[first + n + at + 1], x_head, y_head
    x_tail = 0.0
    y_tail = 0.0
    for k in range(first + n - 1, first - 1, -1):
        x_tail += window[slot(k)]
        y_tail += window[slot(n + k)]
        window[slot(k)] = x_tail
        window[slot(n + k)] = y_tail
    return x_head, y_head, 0.0, 0.0


@helper
def window_range(window: Any, first: int, n: int, at: int, seen: int, peak: float, high: float, trough: float,
                 low: float) -> tuple[float, float, float, float]:
    """Return the highest high and the lowest low of the last n bars and both heads; keeps 2 * n floats.

    seen: the number of bars, this one included.
    """
    peak = high if high > peak or seen == 1 else peak
    trough = low if low < trough or seen == 1 else trough
    window[first + at] = high
    window[first + n + at] = low
    if at + 1 < n:
        top = window[first + at + 1]
        bottom = window[first + n + at + 1]
        return (peak if peak > top else top), (trough if trough < bottom else bottom), peak, trough
    top = high
    bottom = low
    for k in range(first + n - 2, first - 1, -1):
        top = window[slot(k)] if window[slot(k)] > top else top
        bottom = window[slot(n + k)] if window[slot(n + k)] < bottom else bottom
        window[slot(k)] = top
        window[slot(n + k)] = bottom
    return peak, trough, -math.inf, math.inf


@helper
def lag_of(lag: float, before: float, x: float, seen: int, n: int, kept: float) -> float:
    """Return how far an exponential average is behind x, its `seen`-th value: the average is x less that.

    lag, before: the same and the value at the bar before.  kept: the share of its distance that the average keeps.
    Up to the n-th value it is their mean. A distance takes one operation less to move than a value, and is exactly 0
    while nothing moves.
    """
    if seen <= n:
        mean = before - lag
        return x - (mean + (x - mean) / seen)
    return fma(lag, kept, (x - before) * kept)


@helper
def kept_by(n: int) -> float:
    """Return what an exponential average of length n keeps: 1 less the share 2 / (n + 1)."""
    return (n - 1.0) / (n + 1.0)


@helper
def wilder(value: float, x: float, seen: int, n: int) -> float:
    """Return Wilder's average moved towards x, its `seen`-th value, by the share 1 / n; a mean up to the n-th."""
    if seen < n:
        return value + (x - value) / seen
    share = 1.0 / n
    return fma(value, 1.0 - share, x * share)


@helper
def widest_range(high: float, low: float, previous_close: float) -> float:
    """Return the true range: the largest of high - low and of both against the previous close (Wilder 1978)."""
    widest = high - low
    above = abs(high - previous_close)
    below = abs(low - previous_close)
    if above > widest:
        widest = above
    return below if below > widest else widest


@helper
def log_ratio(x: float, y: float) -> float:
    """Return the natural logarithm of x / y; 0 where there is none, which prices never are."""
    ratio = x / y if y > 0.0 else 0.0
    return math.log(ratio) if 0.0 < ratio < math.inf else 0.0


@helper
def keep_reciprocals(window: Any, first: int, n: int) -> None:
    """Write 1 / 1 to 1 / n into the window from `first` on, since dividing at each bar is what would take the time."""
    for k in range(n):
        window[first + k] = 1.0 / (k + 1)


MOMENTS = {"at": Place, "origin": float, "total": float, "squares": float, "mean": float, "deviation": float}
"""The state of `update_moments`."""


@helper
def update_moments(s: Any, window: Any, x: float) -> None:
    """Move `s.mean` and `s.deviation` (population standard deviation) of the last `s.length` values on by one.

    window: 3 * length floats: of each tail its mean (from the origin) and its sum of squared deviations, and the
    reciprocals of 1 to length.
    Sums are taken of differences from the value that ended the last block, which is inside the window, so that nothing
    cancels and a constant window has a deviation of exactly 0. Head and tail merge as in Chan, Golub and LeVeque
    (1979).
    """
    n = s.length
    weight = 1.0 / n
    offset = x - s.origin
    s.total += offset
    s.squares += offset * offset
    window[s.at] = x
    s.at += 1
    m = s.at
    if m < n:
        head = s.total * window[2 * n + m - 1]
        apart = head - window[m]
        share = (n - m) * weight
        spread = s.squares - s.total * head + window[n + m] + apart * apart * (m * share)
        s.mean = s.origin + (head - apart * share)
    else:
        if window[2 * n] == 0.0:
            keep_reciprocals(window, 2 * n, n)
        s.origin = x
        total = 0.0
        squares = 0.0
        for k in range(n - 1, -1, -1):
            offset = window[slot(k)] - x
            total += offset
            squares += offset * offset
            mean = total * window[slot(3 * n - k - 1)]
            window[slot(k)] = mean
            window[slot(n + k)] = squares - total * mean
        spread = window[n]
        s.mean = x + window[0]
        s.total = 0.0
        s.squares = 0.0
        s.at = 0
    s.deviation = math.sqrt(spread * weight) if spread > 0.0 else 0.0
