"""The compiled loops of Monte Carlo: each walks paths of log wealth and keeps four numbers of each.

A path starts at log wealth 0.  Of a path stay: its first step, its end, its lowest level (0 when it never falls below
the start) and its deepest drawdown, all in logs.  A drawdown in logs is ``peak - level``, so that 1 - exp(-depth) is
the fraction lost; sums replace products and no step divides.  A step of minus infinity is the loss of everything: the
level stays there.

state: uint64[4] of `stream_state`, advanced.  start, end, low, deep: float64[paths], of which first:last is written.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from framework.boundary.jit import JIT, content_key, engine_key, inlined, keep_on_disk
from framework.boundary.unit import EntryCompiler
from framework.research.draws import normal, uniform

FILES = ("draws.py", "paths.py")
KEY = content_key((engine_key().encode(), *(Path(__file__).with_name(name).read_bytes() for name in FILES)))
"""What names the compiled code of these files on disk: they, and all that the boundary is made of."""


def entry(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a loop that Python calls, without the lock of the interpreter, and keep it on disk."""
    dispatcher: Any = njit(nogil=True, _nrt=False, error_model="numpy", pipeline_class=EntryCompiler)(function)
    if JIT:
        keep_on_disk(dispatcher, KEY)
    return dispatcher  # type: ignore[no-any-return]


@inlined
def step(level, peak, lowest, deepest, growth):
    """Return level, peak, lowest level and deepest drawdown after one more step of log wealth."""
    level += growth
    peak = max(peak, level)
    return level, peak, min(lowest, level), max(deepest, peak - level)


@entry
def walk_normal(state, drift, volatility, steps, first, last, start, end, low, deep):
    """Walk geometric Brownian paths: a step is drift + volatility * a standard normal number."""
    a, b, c, count = state[0], state[1], state[2], state[3]
    for path in range(first, last):
        level = peak = lowest = deepest = 0.0
        for i in range(steps):
            draw, a, b, c, count = normal(a, b, c, count)
            growth = drift + volatility * draw
            if i == 0:
                start[path] = growth
            level, peak, lowest, deepest = step(level, peak, lowest, deepest, growth)
        end[path], low[path], deep[path] = level, lowest, deepest
    state[0], state[1], state[2], state[3] = a, b, c, count


@inlined
def next_row(row, draw, restart, scale, rows):
    """Return the row of the next day: anywhere with probability `restart`, else the row that follows.

    draw: uniform in [0, 1).  scale: rows / restart; given draw < restart, draw * scale is uniform over the rows.  The
    history is a circle: its first row follows its last (Politis & Romano 1994).
    """
    if draw < restart:
        return min(np.int64(draw * scale), rows - 1)
    row += 1
    return row if row < rows else 0


@entry
def visited_rows(state, restart, rows, visited):
    """Write the rows of a history of `rows` days that the next path of `walk_resampled` visits into int64[steps]."""
    a, b, c, count = state[0], state[1], state[2], state[3]
    scale = rows / restart
    row = np.int64(0)
    for i in range(visited.size):
        draw, a, b, c, count = uniform(a, b, c, count)
        row = next_row(row, draw, restart, scale, rows) if i else np.int64(draw * rows)
        visited[i] = row
    state[0], state[1], state[2], state[3] = a, b, c, count


@entry
def walk_resampled(state, growth, restart, steps, first, last, start, end, low, deep):
    """Walk paths of days drawn from a history: growth float64[rows], the log growth of each of its days.

    restart: the probability that a block ends before the next day, 1 / its mean length; 1 draws each day on its own.
    """
    a, b, c, count = state[0], state[1], state[2], state[3]
    rows, scale = growth.size, growth.size / restart
    for path in range(first, last):
        draw, a, b, c, count = uniform(a, b, c, count)
        row = np.int64(draw * rows)
        start[path] = growth[row]
        level, peak, lowest, deepest = step(0.0, 0.0, 0.0, 0.0, growth[row])
        for _ in range(1, steps):
            draw, a, b, c, count = uniform(a, b, c, count)
            row = next_row(row, draw, restart, scale, rows)
            level, peak, lowest, deepest = step(level, peak, lowest, deepest, growth[row])
        end[path], low[path], deep[path] = level, lowest, deepest
    state[0], state[1], state[2], state[3] = a, b, c, count


@entry
def walk_shuffled(state, order, first, last, start, end, low, deep):
    """Walk paths of all steps of a history in random order (Fisher & Yates).

    order: float64[steps], the log growth of each step in any order; it is left in that of the last path.
    """
    a, b, c, count = state[0], state[1], state[2], state[3]
    for path in range(first, last):
        level = peak = lowest = deepest = 0.0
        for i in range(order.size):
            draw, a, b, c, count = uniform(a, b, c, count)
            other = i + np.int64(draw * (order.size - i))
            growth = order[other]
            order[other] = order[i]
            order[i] = growth
            level, peak, lowest, deepest = step(level, peak, lowest, deepest, growth)
        start[path] = order[0]
        end[path], low[path], deep[path] = level, lowest, deepest
    state[0], state[1], state[2], state[3] = a, b, c, count
