"""Which fills made a trade: where each round trip began, and the exits in which it ended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.model.records import FILL

Integers = NDArray[np.int64]
Structured = NDArray[np.void]


def ordered(fills: Structured) -> tuple[Integers, Integers, Integers]:
    """Return the fills slot by slot in order of time: their rows, the sign of the position before and after each."""
    rows = np.argsort(fills["slot"], kind="stable")
    after = np.sign(fills["position"][rows]).astype(np.int64)
    slot = fills["slot"][rows]
    is_first = np.diff(slot, prepend=slot[:1] - 1) != 0
    before = np.where(is_first, 0, np.roll(after, 1))
    return rows, before, after


def numbered(trades: Structured, slots: Integers, ordinal: Integers) -> Integers:
    """Return the row in trades of the ordinal-th trade of each slot, -1 where there are not so many."""
    rows = np.argsort(trades["slot"], kind="stable")
    of = trades["slot"][rows]
    first, end = np.searchsorted(of, slots, "left"), np.searchsorted(of, slots, "right")
    found: Integers = np.where(first + ordinal < end, rows[np.minimum(first + ordinal, len(rows) - 1)], -1)
    return found


def count_within(slot: Integers, hits: NDArray[np.bool_]) -> Integers:
    """Return how many hits lie before each row within its slot; rows of a slot stand together."""
    before: Integers = np.cumsum(hits) - hits
    is_first = np.diff(slot, prepend=slot[:1] - 1) != 0
    counted: Integers = before - before[np.maximum.accumulate(np.where(is_first, np.arange(len(slot)), 0))]
    return counted


def exits(fills: Structured, trades: Structured) -> tuple[Integers, Structured]:
    """Return the executions that reduced a closed trade: the row of that trade, and FILL rows, qty the closing part.

    In order of trade and time. A flip closes with as much as was held; its fee and slippage are shared by quantity.
    """
    if not len(fills) or not len(trades):
        return np.empty(0, np.int64), np.empty(0, FILL)
    rows, before, after = ordered(fills)
    found = fills[rows].copy()
    closes = (before != 0) & (found["side"] == -before)
    ends = closes & (after != before)
    trade = numbered(trades, found["slot"], count_within(found["slot"], ends))
    part = np.where(closes & (after == -before), 1.0 - np.abs(found["position"]) / found["qty"], 1.0)
    for name in ("qty", "fee", "slippage"):
        found[name] *= part
    keep = np.flatnonzero(closes & (trade >= 0))
    keep = keep[np.argsort(trade[keep], kind="stable")]
    return trade[keep], found[keep]


def entry_bars(fills: Structured, trades: Structured) -> Integers:
    """Return the bar, a row of the tape, in which each trade began, int64[n trades]; -1 where its fills are missing."""
    bars = np.full(len(trades), -1, np.int64)
    if not len(fills) or not len(trades):
        return bars
    rows, before, after = ordered(fills)
    begins = (after != 0) & (after != before)
    slot = fills["slot"][rows]
    trade = numbered(trades, slot, count_within(slot, begins))
    is_known = begins & (trade >= 0)
    bars[trade[is_known]] = fills["bar"][rows][is_known]
    return bars
