"""The pictures of a search as inline SVG: heat maps, parallel coordinates, single parameters, the way to the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.parameters import Value

Floats = NDArray[np.float64]

COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
"""Five points of the map viridis (Smith & van der Walt 2015): it grows evenly in lightness, in print as well."""

LEVELS = 40
"""Rows or columns of a heat map; more values are put together evenly."""

LINES = 400
"""Trials drawn as lines or points; beyond, the best and evenly chosen others."""

WIDTH, WIDE, HEIGHT, MARGIN, TOP = 640.0, 1040.0, 370.0, 76.0, 26.0
"""Of a picture; WIDE is the width of one that stands alone."""


@attrs.frozen(eq=False)
class Axis:
    """One parameter over all trials: its name, each trial's place from 0 to 1, and labels at some places.

    level: each trial's row or column in a heat map, of `levels`; marks: their labels.
    """

    name: str
    place: Floats
    labels: tuple[tuple[float, str], ...]
    level: NDArray[np.int64]
    marks: tuple[str, ...]


def shown(value: Value | float) -> str:
    """Return a value for a label."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def make_axis(name: str, values: Sequence[Value], log: bool = False) -> Axis:
    """Return the axis of a parameter: numbers by size (or logarithm), anything else by the order of its appearance."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        numbers = np.array([float(one) for one in values])
        scaled = np.log(numbers) if log else numbers
        low, high = float(scaled.min()), float(scaled.max())
        place = (scaled - low) / (high - low) if high > low else np.full(len(scaled), 0.5)
        order = np.unique(numbers)
        ends = (float(order[0]), float(order[len(order) // 2]), float(order[-1]))
        spots = [(math.log(one) if log else one) for one in ends]
        labels = tuple(((spot - low) / (high - low) if high > low else 0.5, f"{end:.4g}")
                       for spot, end in zip(spots, ends, strict=True))
        rank = np.searchsorted(order, numbers)
        count = min(LEVELS, len(order))
        level = rank * count // len(order)
        marks = tuple(f"{order[-(-i * len(order) // count)]:.4g}" for i in range(count))
        return Axis(name, place, labels, level.astype(np.int64), marks)
    kinds = list(dict.fromkeys(str(one) for one in values))
    level = np.array([kinds.index(str(one)) for one in values], np.int64)
    most = max(1, len(kinds) - 1)
    return Axis(name, level / most, tuple((i / most, kind) for i, kind in enumerate(kinds)), level, tuple(kinds))


def colour(share: float) -> str:
    """Return the colour of 0 (worst) to 1 (best)."""
    at = min(1.0, max(0.0, share)) * (len(COLOURS) - 1)
    first = min(int(at), len(COLOURS) - 2)
    red, green, blue = COLOURS[first] + (COLOURS[first + 1] - COLOURS[first]) * (at - first)
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


def shares(losses: Floats) -> Floats:
    """Return how good each trial is, 1 the best: by value, between the 5th percentile from the bad end and the best."""
    best, worst = float(losses.min()), float(np.quantile(losses, 0.95))
    return np.ones(len(losses)) if worst <= best else np.clip((worst - losses) / (worst - best), 0.0, 1.0)


def chosen(losses: Floats, most: int = LINES) -> NDArray[np.int64]:
    """Return the trials to draw, the best last: all, or the best tenth of `most` and evenly chosen others."""
    order = np.argsort(-losses, kind="stable")
    if len(order) <= most:
        return order
    best = order[-most // 10 :]
    rest = order[: -most // 10]
    return np.concatenate((rest[np.linspace(0, len(rest) - 1, most - len(best)).astype(np.int64)], best))


def svg(body: str, label: str, width: float = WIDTH, height: float = HEIGHT) -> str:
    """Return an SVG picture with a description for those who cannot see it."""
    kind = ' class="wide"' if width > WIDTH else ""
    return (f'<div class="scroll"><svg{kind} viewBox="0 0 {width:g} {height:g}" role="img" '
            f'aria-label="{escape(label)}">{body}</svg></div>')


def pictures(drawn: Sequence[Callable[[float], str]]) -> str:
    """Return pictures side by side, one alone over the whole width. drawn: each made for a width."""
    width = WIDE if len(drawn) == 1 else WIDTH
    return f'<div class="pictures">{"".join(draw(width) for draw in drawn)}</div>' if drawn else ""


def text(x: float, y: float, words: str, anchor: str = "middle", style: str = "") -> str:
    """Return a label."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def heat_map(across: Axis, up: Axis, values: Floats, losses: Floats, best: int, objective: str,
             width: float = WIDTH) -> str:
    """Return the best value of all trials in each cell of two parameters, the best cell outlined."""
    columns, rows = len(across.marks), len(up.marks)
    cell = np.full((rows, columns), -1, np.int64)
    for i in np.argsort(-losses, kind="stable"):
        cell[up.level[i], across.level[i]] = i
    share = shares(losses)
    wide, tall = (width - MARGIN - 10) / columns, (HEIGHT - MARGIN - TOP) / rows
    parts = []
    for row in range(rows):
        for column in range(columns):
            i = int(cell[row, column])
            if i >= 0:
                told = f"{across.name} {across.marks[column]}, {up.name} {up.marks[row]}: {values[i]:.4g}"
                parts.append(f'<rect x="{MARGIN + column * wide:.1f}" y="{TOP + (rows - 1 - row) * tall:.1f}" '
                             f'width="{wide + 0.3:.1f}" height="{tall + 0.3:.1f}" fill="{colour(float(share[i]))}">'
                             f"<title>{escape(told)}</title></rect>")
    x, y = MARGIN + across.level[best] * wide, TOP + (rows - 1 - up.level[best]) * tall
    parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" class="best"/>')
    for column in sorted({0, columns // 2, columns - 1}):
        parts.append(text(MARGIN + (column + 0.5) * wide, HEIGHT - MARGIN + 18, across.marks[column]))
    for row in sorted({0, rows // 2, rows - 1}):
        parts.append(text(MARGIN - 6, TOP + 4 + (rows - 0.5 - row) * tall, up.marks[row], "end"))
    parts.append(text(MARGIN + (width - MARGIN) / 2, HEIGHT - 14, across.name, style="name"))
    parts.append(text(4, 14, up.name, "start", "name"))
    return svg("".join(parts), f"{objective} over {across.name} and {up.name}", width)


def parallel(axes: Sequence[Axis], objective: Axis, losses: Floats) -> str:
    """Return every trial as a line through its parameters to its value; better ones are brighter and on top."""
    every = [*axes, objective]
    gap = (WIDE - 2 * MARGIN) / max(1, len(every) - 1)
    share = shares(losses)
    parts = []
    for i in chosen(losses):
        path = "L".join(f"{MARGIN + gap * k:.1f} {HEIGHT - MARGIN - axis.place[i] * (HEIGHT - MARGIN - 30):.1f}"
                        for k, axis in enumerate(every))
        width = 2.2 if share[i] > 0.95 else 0.9
        parts.append(f'<path d="M{path}" stroke="{colour(float(share[i]))}" stroke-width="{width}" '
                     f'opacity="{0.25 + 0.75 * float(share[i]):.2f}"/>')
    for k, axis in enumerate(every):
        x = MARGIN + gap * k
        parts.append(f'<path class="axis" d="M{x:.1f} 30V{HEIGHT - MARGIN:.1f}"/>')
        parts.append(text(x, HEIGHT - MARGIN + 34, axis.name, style="name"))
        for place, label in dict(axis.labels[:: max(1, len(axis.labels) - 1)]).items():
            parts.append(text(x, HEIGHT - MARGIN + 16 if place < 0.5 else 22, label))
    return svg("".join(parts), "every trial as a line through its parameters to its value", WIDE)


def scatter(across: Axis, up: Axis, losses: Floats, best: Sequence[int], width: float = WIDE) -> str:
    """Return trials as points over one parameter, or one objective over another; `best` ringed."""
    share = shares(losses)
    high = HEIGHT * 0.7

    def spot(i: int) -> tuple[float, float]:
        return (MARGIN + across.place[i] * (width - MARGIN - 20),
                high - MARGIN - up.place[i] * (high - MARGIN - TOP))

    parts = [f'<path class="axis" d="M{MARGIN} {TOP}V{high - MARGIN + 6:.1f}H{width - 10:g}"/>',
             text(4, 14, up.name, "start", "name")]
    for i in chosen(losses, 1_500):
        x, y = spot(int(i))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour(float(share[i]))}"/>')
    for i in best:
        x, y = spot(i)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" class="best"/>')
    for place, label in across.labels[:: max(1, len(across.labels) - 1)]:
        parts.append(text(MARGIN + place * (width - MARGIN - 20), high - MARGIN + 22, label))
    for place, label in dict(up.labels[:: max(1, len(up.labels) - 1)]).items():
        parts.append(text(MARGIN - 6, high - MARGIN + 4 - place * (high - MARGIN - TOP), label, "end"))
    parts.append(text(MARGIN + (width - MARGIN) / 2, high - 14, across.name, style="name"))
    return svg("".join(parts), f"{up.name} over {across.name}", width, high)


def way(numbers: Sequence[int], values: Floats, losses: Floats) -> str:
    """Return the best value so far over the number of trials."""
    best = np.minimum.accumulate(losses)
    first = np.flatnonzero(np.diff(best, prepend=np.inf) < 0)
    high = HEIGHT * 0.5
    low_value, high_value = float(values[first].min()), float(values[first].max())
    span = high_value - low_value or 1.0
    most = max(1, numbers[-1])

    def x(i: int) -> float:
        return MARGIN + numbers[i] / most * (WIDE - MARGIN - 20)

    def y(i: int) -> float:
        return high - MARGIN - (float(values[i]) - low_value) / span * (high - MARGIN - 20)

    path = "".join(f"{'M' if k == 0 else 'H'}{x(int(i)):.1f} {'' if k else f'{y(int(i)):.1f}'}"
                   f"{f'V{y(int(i)):.1f}' if k else ''}" for k, i in enumerate(first))
    parts = [f'<path class="axis" d="M{MARGIN} 12V{high - MARGIN + 6:.1f}H{WIDE - 10}"/>',
             f'<path class="way" d="{path}H{WIDE - 20:.1f}"/>',
             text(MARGIN - 6, high - MARGIN + 4, shown(low_value), "end"),
             text(MARGIN - 6, 24, shown(high_value), "end"),
             text(MARGIN, high - MARGIN + 22, "0"), text(WIDE - 20, high - MARGIN + 22, f"{most:,}"),
             text(MARGIN + (WIDE - MARGIN) / 2, high - 14, "trial", style="name")]
    return svg("".join(parts), "the best value so far, trial by trial", WIDE, high)
