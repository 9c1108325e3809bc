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

MOST_MARKERS = 2_000
"""Markers of one kind in a chart; beyond, close ones are drawn once."""

WIDE = 6.0
"""How many times its lowest value a series must reach to be drawn on a log scale."""

LEAST_BAR = 5.0
"""The height of the lowest bar of a histogram, in the coordinates of a chart."""


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
    """The range of a chart: from left to right times in ns or numbers, values bottom to top.

    is_log: equal ratios are equally high; bottom is above 0 then.
    """

    start: int | float
    end: int | float
    bottom: float
    top: float
    is_log: bool = False

    @classmethod
    def around(cls, start: int | float, end: int | float, *values: Floats, margin: float = 0.05) -> Frame:
        """Return the frame that shows all finite values with a margin above and below."""
        known = [part[np.isfinite(part)] for part in values]
        lows = [float(part.min()) for part in known if len(part)]
        highs = [float(part.max()) for part in known if len(part)]
        low, high = (min(lows), max(highs)) if lows else (0.0, 1.0)
        room = (high - low) * margin or max(abs(high), 1.0) * margin
        return cls(start, end if end > start else start + 1, low - room, high + room)

    @classmethod
    def around_prices(cls, start: int, end: int, *values: Floats) -> Frame:
        """Return the frame that shows all finite values, on a log scale when the highest is WIDE times the lowest."""
        known = np.concatenate([part[np.isfinite(part)] for part in values])
        if not len(known) or known.min() <= 0.0 or known.max() < WIDE * known.min():
            return cls.around(start, end, *values)
        room = float(known.max() / known.min()) ** 0.05
        return cls(start, max(end, start + 1), float(known.min()) / room, float(known.max()) * room, True)

    def x(self, time: Integers | Floats) -> Floats:
        """Return the horizontal coordinates of times, or of numbers."""
        return np.asarray((time - self.start) / (self.end - self.start) * COLUMNS, np.float64)

    def y(self, value: Floats) -> Floats:
        """Return the vertical coordinates of values, downwards."""
        if self.is_log:
            height = math.log(self.top / self.bottom)
            return np.log(self.top / np.maximum(value, self.bottom)) / height * ROWS
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


def marker_path(frame: Frame, time: Integers | Floats, value: Floats, style: str) -> str:
    """Return round markers, those on the same pixel drawn once; empty without points.

    Among very many, those within a few pixels are drawn once, so that a page stays small.
    """
    xs, ys = frame.x(time), frame.y(value)
    shown = np.isfinite(ys) & (xs >= 0) & (xs <= COLUMNS)
    if not shown.any():
        return ""
    size = 1.0
    while True:
        cells = np.unique(np.round(np.stack([xs[shown] * 2.0, ys[shown]], axis=1) / size), axis=0) * size
        if len(cells) <= MOST_MARKERS:
            break
        size *= 2.0
    path = "".join(f"M{x / 2:g} {y:g}h.01" for x, y in cells.tolist())
    return f'<path class="dot {style}" d="{path}"/>'


def link_path(frame: Frame, start: Integers, first: Floats, end: Integers, last: Floats, style: str) -> str:
    """Return one straight segment per pair of points; empty without any."""
    ends = zip(
        frame.x(start).tolist(), frame.y(first).tolist(), frame.x(end).tolist(), frame.y(last).tolist(), strict=True
    )
    path = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for a, b, c, d in ends)
    return f'<path class="{style}" d="{path}"/>' if path else ""


def histogram(values: Floats, most: int = 60) -> tuple[Floats, Integers]:
    """Return (edges float64[n + 1], counts int64[n]) in steps of 1, 2 or 5 times a power of ten, 0 among the edges.

    values: float64, finite. From the smallest to the largest value there are at most about `most` bars.
    """
    low, high = float(values.min()), float(values.max())
    step = round_step((high - low) / most) if high > low else max(abs(high), 1e-6) / 10.0
    first = math.floor(low / step)
    edges = np.asarray(step * np.arange(first, math.floor(high / step) + 2), np.float64)
    counts, _ = np.histogram(values, np.append(edges[:-1], np.inf))
    return edges, counts.astype(np.int64)


def bars_path(frame: Frame, edges: Floats, counts: Integers, style: str) -> str:
    """Return the bars of a histogram, each that holds anything at least LEAST_BAR high; empty without any."""
    left, base = frame.x(edges), float(frame.y(np.zeros(1))[0])
    gap = 0.1 * (left[1] - left[0])
    tops = np.minimum(frame.y(counts.astype(np.float64)), base - LEAST_BAR)
    path = "".join(f"M{left[i] + gap:.1f} {base:.1f}V{tops[i]:.1f}H{left[i + 1] - gap:.1f}V{base:.1f}Z"
                   for i in np.flatnonzero(counts).tolist())
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
    step = round_step(raw)
    if math.floor(top / step) - math.ceil(bottom / step) < 2:
        step = round_step(raw / 2.0)
    first, last = math.ceil(bottom / step), math.floor(top / step)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(bottom: float, top: float, count: int = 6) -> list[float]:
    """Return at most about `count` values with one digit, the same in every power of ten, inside [bottom, top].

    >>> log_ticks(0.8, 120.0)
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    >>> log_ticks(0.008, 12000.0)
    [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]
    """
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    found: list[float] = []
    for scales in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [round(scale * 10.0**power, 12) for power in powers for scale in scales]
        found = [value for value in found if bottom <= value <= top]
        if len(found) <= count + 1:
            break
    return found


def round_step(least: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not below `least` > 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((scale * power for scale in (1, 2, 5) if scale * power >= least), 10 * power)


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


def chart(frame: Frame, paths: Sequence[str], title: str, height: str, percent: bool = False,
          across: str = "time") -> str:
    """Return a chart: grid, axis labels and the paths. title: what a screen reader says.

    percent: label values as %. across: what runs from left to right, "time" or "percent" (fractions labelled as %).
    """
    values = log_ticks(frame.bottom, frame.top) if frame.is_log else value_ticks(frame.bottom, frame.top)
    below = time_labels(frame) if across == "time" else percent_labels(frame.start, frame.end, 6)
    levels = frame.y(np.array(values)).tolist()
    feet = below_at(frame, below)
    grid = "".join(f"M0 {y:.1f}H{COLUMNS}" for y in levels) + "".join(f"M{x:.1f} 0V{ROWS}" for x, _ in feet)
    if percent:
        names = percent_labels(frame.bottom, frame.top)
    else:
        names = log_labels(values) if frame.is_log else number_labels(values)
    side = "".join(f'<span style="top:{y / ROWS:.2%}">{label}</span>'
                   for (_, label), y in zip(names, levels, strict=True))
    foot = "".join(f'<span style="left:{x / COLUMNS:.2%}">{escape(label)}</span>' for x, label in feet)
    return (
        f'<div class="chart {height}"><div class="side" aria-hidden="true">{side}</div>'
        f'<svg viewBox="0 0 {COLUMNS} {ROWS}" preserveAspectRatio="none" role="img" aria-label="{escape(title)}">'
        f'<path class="grid" d="{grid}"/>{"".join(paths)}</svg>'
        f'<div class="foot" aria-hidden="true">{foot}</div></div>'
    )


def time_labels(frame: Frame) -> list[tuple[float, str]]:
    """Return (time in ns, label) below a chart over time."""
    return [(float(time), label) for time, label in time_ticks(int(frame.start), int(frame.end))]


def number_labels(values: Sequence[float]) -> list[tuple[float, str]]:
    """Return values with labels that tell them apart."""
    if len(values) < 2:
        return [(value, f"{value:g}".replace("-", "−")) for value in values]
    return [(value, number_label(value, values[1] - values[0])) for value in values]


def log_labels(values: Sequence[float]) -> list[tuple[float, str]]:
    """Return values of a log scale, each with the decimals that it needs itself."""
    return [(value, number_label(value, value)) for value in values]


def percent_labels(low: float, high: float, count: int = 4) -> list[tuple[float, str]]:
    """Return round fractions inside [low, high], labelled as per cent."""
    values = value_ticks(low, high, count)
    return [(value, f"{label}%") for value, (_, label) in
            zip(values, number_labels([100.0 * value for value in values]), strict=True)]


def below_at(frame: Frame, labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return labels with the horizontal coordinates of their values."""
    columns = frame.x(np.array([value for value, _ in labels], np.float64)).tolist()
    return [(x, label) for x, (_, label) in zip(columns, labels, strict=True)]
