"""Charts as inline SVG: any number of points becomes a few thousand, min and max of every pixel column kept.

A chart is a box of fixed height whose SVG stretches to the width of the page; lines keep their width and labels are
HTML, so that the same chart is readable on a phone, on a wide screen and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.stats import moment

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COLUMNS = 1000
"""Pixel columns of a chart, and the width of its coordinates."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

ROWS = 400
"""The height of its coordinates; markers closer than one column and one row are drawn once."""


@attrs.frozen(eq=False)
class Envelope:
    """A series cut to at most two points per pixel column: time int64[n] and value float64[n]."""

    time: Integers
    value: Floats


def envelope(time: Integers, low: Floats, high: Floats, start: int, end: int, columns: int = COLUMNS) -> Envelope:
    """Return the minimum of low and the maximum of high in each of `columns` equal spans of [start, end].

    time: int64[n], ascending. Values that are not finite are left out. No extreme is lost; O(n).
    """
    inside = slice(int(np.searchsorted(time, start)), int(np.searchsorted(time, end, "right")))
    time, low, high = time[inside], low[inside], high[inside]
    known = np.isfinite(low) & np.isfinite(high)
    if not known.all():
        time, low, high = time[known], low[known], high[known]
    if len(time) <= 2 * columns and np.array_equal(low, high):
        return Envelope(time, low)
    if not len(time):
        return Envelope(time, low)
    edges = np.linspace(start, end, columns + 1)[:-1].astype(np.int64)
    first = np.unique(np.searchsorted(time, edges))
    first = first[first < len(time)]
    if first[0] != 0:
        first = np.concatenate(([0], first))
    value = np.empty((len(first), 2))
    value[:, 0], value[:, 1] = np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
    value[1::2] = value[1::2, ::-1].copy()
    return Envelope(np.repeat(time[first], 2), value.ravel())


@attrs.frozen
class Frame:
    """The range of a chart: times in ns, values bottom to top."""

    start: int
    end: int
    bottom: float
    top: float

    @classmethod
    def around(cls, start: int, end: int, *values: Floats, margin: float = 0.05) -> Frame:
        """Return the frame that shows all finite values with a margin above and below."""
        known = [part[np.isfinite(part)] for part in values]
        lows = [float(part.min()) for part in known if len(part)]
        highs = [float(part.max()) for part in known if len(part)]
        low, high = (min(lows), max(highs)) if lows else (0.0, 1.0)
        room = (high - low) * margin or max(abs(high), 1.0) * margin
        return cls(start, max(end, start + 1), low - room, high + room)

    def x(self, time: Integers) -> Floats:
        """Return the horizontal coordinates of times."""
        return (time - self.start) / (self.end - self.start) * COLUMNS

    def y(self, value: Floats) -> Floats:
        """Return the vertical coordinates of values, downwards."""
        return (self.top - value) / (self.top - self.bottom) * ROWS


def points(frame: Frame, line: Envelope) -> str:
    """Return the coordinates of a line as SVG path data without the leading M."""
    xs, ys = frame.x(line.time), frame.y(line.value)
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))


def line_path(frame: Frame, line: Envelope, style: str) -> str:
    """Return an SVG line; empty without points."""
    return f'<path class="{style}" d="M{points(frame, line)}"/>' if len(line.time) else ""


def area_path(frame: Frame, line: Envelope, base: float, style: str) -> str:
    """Return the SVG area between a line and a base value; empty without points."""
    if not len(line.time):
        return ""
    level = float(frame.y(np.array([base]))[0])
    left, right = (float(frame.x(line.time[i : i + 1])[0]) for i in (0, len(line.time) - 1))
    return f'<path class="{style}" d="M{left:.1f} {level:.1f}L{points(frame, line)}L{right:.1f} {level:.1f}Z"/>'


def marker_path(frame: Frame, time: Integers, value: Floats, style: str) -> str:
    """Return round markers, those on the same pixel drawn once; empty without points."""
    xs, ys = frame.x(time), frame.y(value)
    shown = np.isfinite(ys) & (xs >= 0) & (xs <= COLUMNS)
    if not shown.any():
        return ""
    cells = np.unique(np.stack([np.round(xs[shown] * 2), np.round(ys[shown])], axis=1), axis=0)
    path = "".join(f"M{x / 2:g} {y:g}h.01" for x, y in cells.tolist())
    return f'<path class="dot {style}" d="{path}"/>'


def link_path(frame: Frame, start: Integers, first: Floats, end: Integers, last: Floats, style: str) -> str:
    """Return one straight segment per pair of points; empty without any."""
    ends = zip(
        frame.x(start).tolist(), frame.y(first).tolist(), frame.x(end).tolist(), frame.y(last).tolist(), strict=True
    )
    path = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for a, b, c, d in ends)
    return f'<path class="{style}" d="{path}"/>' if path else ""


# --- axes -------------------------------------------------------------------------------------------------------------


def value_ticks(bottom: float, top: float, count: int = 4) -> list[float]:
    """Return about `count` round values inside [bottom, top], in steps of 1, 2 or 5 times a power of ten.

    >>> value_ticks(96.0, 147.0)
    [100.0, 120.0, 140.0]
    """
    raw = (top - bottom) / count
    if not raw > 0 or not math.isfinite(raw):
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((scale * power for scale in (1, 2, 5) if scale * power >= raw), 10 * power)
    first, last = math.ceil(bottom / step), math.floor(top / step)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number_label(value: float, step: float) -> str:
    """Return an axis label: thousands as k, millions as M, as many decimals as the step needs."""
    if abs(value) >= 1e12:
        return minus(f"{value:.1e}")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size or (unit == "k" and step >= 1e3 and value != 0):
            scale = 1e3 if unit == "k" else size
            return minus(f"{value / scale:.{decimals(step / scale)}f}{unit}")
    return minus(f"{value:,.{decimals(step)}f}")


def decimals(step: float) -> int:
    """Return the decimals that tell two neighbours a step apart."""
    return 0 if step >= 1 or step <= 0 else min(8, math.ceil(-math.log10(step) - 1e-9))


def minus(text: str) -> str:
    """Return text with a typographic minus."""
    return text.replace("-", "−")


def time_ticks(start: int, end: int, count: int = 7) -> list[tuple[int, str]]:
    """Return at most `count` (time ns, label) on round years, months, days or hours inside [start, end] (UTC)."""
    first, last = moment(start), moment(end)
    months = (last.year - first.year) * 12 + last.month - first.month
    for step in (1, 2, 3, 6, 12, 24, 60, 120, 240):
        if 2 <= months // step <= count:
            return month_ticks(first, last, step)
    for hours in (1, 3, 6, 12, 24, 48, 96, 168, 336):
        step_time = timedelta(hours=hours)
        if (last - first) / step_time <= count:
            return clock_ticks(first, last, step_time)
    return month_ticks(first, last, max(1, math.ceil(months / count)))


def month_ticks(first: datetime, last: datetime, step: int) -> list[tuple[int, str]]:
    """Return the beginnings of every step-th month of the calendar in [first, last]."""
    ticks = []
    index = first.year * 12 + first.month - 1
    for month in range(-(-index // step) * step, last.year * 12 + last.month, step):
        when = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if first <= when <= last:
            ticks.append(
                (nanoseconds(when), str(when.year) if step % 12 == 0 else f"{MONTHS[when.month - 1]} {when.year}")
            )
    return ticks


def clock_ticks(first: datetime, last: datetime, step: timedelta) -> list[tuple[int, str]]:
    """Return multiples of a step of hours or days, counted from the epoch, in [first, last]."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    when = epoch + -(-(first - epoch) // step) * step
    ticks = []
    while when <= last:
        whole_days = step >= timedelta(days=1)
        day = f"{when.day} {MONTHS[when.month - 1]}"
        ticks.append((nanoseconds(when), day if whole_days else f"{day} {when:%H:%M}"))
        when += step
    return ticks


def nanoseconds(when: datetime) -> int:
    """Return a UTC datetime of whole seconds as nanoseconds."""
    return int(when.timestamp()) * 1_000_000_000


# --- the box ----------------------------------------------------------------------------------------------------------


def chart(frame: Frame, paths: Sequence[str], title: str, height: str, percent: bool = False) -> str:
    """Return a chart: grid, axis labels and the paths. title: what a screen reader says. percent: label values as %."""
    values = value_ticks(frame.bottom, frame.top)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    scale = 100.0 if percent else 1.0
    times = time_ticks(frame.start, frame.end)
    levels = frame.y(np.array(values)).tolist()
    columns = frame.x(np.array([time for time, _ in times], np.int64)).tolist()
    grid = "".join(f"M0 {y:.1f}H{COLUMNS}" for y in levels) + "".join(f"M{x:.1f} 0V{ROWS}" for x in columns)
    side = "".join(
        f'<span style="top:{y / ROWS:.2%}">{number_label(value * scale, step * scale)}{"%" if percent else ""}</span>'
        for value, y in zip(values, levels, strict=True)
    )
    foot = "".join(
        f'<span style="left:{x / COLUMNS:.2%}">{escape(label)}</span>'
        for (_, label), x in zip(times, columns, strict=True)
    )
    return (
        f'<div class="chart {height}"><div class="side" aria-hidden="true">{side}</div>'
        f'<svg viewBox="0 0 {COLUMNS} {ROWS}" preserveAspectRatio="none" role="img" aria-label="{escape(title)}">'
        f'<path class="grid" d="{grid}"/>{"".join(paths)}</svg>'
        f'<div class="foot" aria-hidden="true">{foot}</div></div>'
    )
