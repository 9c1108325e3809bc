"""Seeded markets that never were, and the same markets with another future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from framework.data import BarSeries, Tape, build_tape
from framework.data.book import random_book
from framework.data.timeframe import parse_timeframe
from framework.errors import ConfigError, did_you_mean
from framework.model.enums import EventKind
from framework.model.instrument import Instrument

KINDS = ("trending", "ranging", "gappy", "constant")
BEGIN = 1_577_836_800_000_000_000
"""The first bar's open: 2020-01-01 UTC."""


def synthetic_market(bars: int = 500, symbols: Sequence[str] = ("AAA",), timeframe: str = "1d", kind: str = "trending",
                     seed: int = 1, levels: int = 0) -> Tape:
    """Return a tape of random bars, the same for the same arguments; markets without sessions ("24/7").

    bars: of the first symbol; every further one begins seven bars later and lacks some bars of its own.
    kind: "trending" (runs of rising and falling prices, calm and wild by turns), "ranging" (pulled back to 100),
    "gappy" (opens away from the close before, missing bars, bursts of volatility), "constant" (one price for ever).
    levels: of an order book at each close that leans to one side for a while, 0 for none.
    Raises ConfigError for an unknown kind or a number of bars below 1.
    """
    if kind not in KINDS:
        raise ConfigError(f"synthetic_market: kind = {kind!r}{did_you_mean(kind, KINDS)}; kinds: {', '.join(KINDS)}")
    if bars < 1:
        raise ConfigError(f"synthetic_market: bars = {bars}; rule: at least 1")
    return build_tape([_series(symbol, number, bars, timeframe, kind, seed, levels)
                       for number, symbol in enumerate(symbols)])


def _series(symbol: str, number: int, bars: int, timeframe: str, kind: str, seed: int, levels: int) -> BarSeries:
    rng = np.random.default_rng([seed, number, KINDS.index(kind)])
    step = parse_timeframe(timeframe)
    place = np.arange(bars, dtype=np.int64)
    opened, high, low, close = _prices(kind, bars, rng)
    volume = 1_000.0 * np.exp(0.5 * rng.standard_normal(bars)) if kind != "constant" else np.full(bars, 1_000.0)
    keep = np.ones(bars, bool)
    if kind == "gappy":
        keep = rng.random(bars) > 0.05
    if number:
        keep &= (place >= min(7 * number, bars - 1)) & (rng.random(bars) > 0.02)
    keep[-1] = True
    start = BEGIN + place[keep] * step
    book = {}
    if levels:
        own = np.random.default_rng([seed, number, KINDS.index(kind), 1])
        told = np.repeat(1.5 * own.standard_normal(bars // 4 + 1), 4)[:bars] if kind != "constant" else np.zeros(bars)
        book = random_book(close, told, own, levels, 4.0, 100.0)
    return BarSeries(Instrument(symbol), timeframe, start, start + step, opened[keep], high[keep], low[keep],
                     close[keep], volume[keep], book={name: column[keep] for name, column in book.items()})


def _prices(kind: str, bars: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return open, high, low and close of consecutive bars."""
    noise = rng.standard_normal((bars, 4))
    run = np.arange(bars) // 40
    gap = np.zeros(bars)
    if kind == "constant":
        level = np.zeros(bars)
        noise[:] = 0.0
    elif kind == "ranging":
        level = np.zeros(bars)
        for i in range(1, bars):
            level[i] = 0.9 * level[i - 1] + 0.015 * noise[i, 0]
    else:
        size = np.where(run % 3 == 2, 0.03, 0.008)
        if kind == "gappy":
            size = size * np.where(rng.random(bars) < 0.05, 4.0, 1.0)
        drift = np.where(run % 2 == 0, 0.6, -0.55) * size
        level = np.cumsum(drift + size * noise[:, 0])
        gap = size * noise[:, 1] if kind == "gappy" else gap
    before = np.concatenate(([0.0], level[:-1])) + gap
    reach = 0.004 * np.abs(noise[:, 2:])
    close, opened = 100.0 * np.exp(level), 100.0 * np.exp(before)
    high, low = np.maximum(opened, close) * (1.0 + reach[:, 0]), np.minimum(opened, close) * (1.0 - reach[:, 1])
    return opened, high, low, close


def change_future(tape: Tape, cut: int, seed: int = 1) -> Tape:
    """Return a tape whose bars are another market's from `cut` [ns] on; a bar in progress keeps only its open.

    Times stay, so every decision up to `cut` must stay as well.
    """
    rng = np.random.default_rng([seed, 7])
    later = tape.open_time >= cut
    running = ~later & (tape.close_time > cut)
    columns: dict[str, Any] = {name: getattr(tape, name).copy() for name in ("open", "high", "low", "close", "volume")}
    factor = np.ones(tape.n_bars)
    for symbol in range(tape.n_symbols):
        rows = np.arange(tape.n_bars)[tape.rows(symbol)]
        rows = rows[later[rows]]
        factor[rows] = 1.3 * np.exp(np.cumsum(0.05 * rng.standard_normal(rows.size)))
    for name in ("open", "high", "low", "close"):
        columns[name] *= factor
    columns["close"][running] *= 1.1
    columns["high"][running] = np.maximum(columns["high"], columns["close"])[running] * 1.2
    columns["low"][running] *= 0.8
    columns["volume"][later | running] *= 3.0
    return attrs.evolve(tape, book=_other_book(tape, factor, later | running), **columns)


def _other_book(tape: Tape, factor: np.ndarray, changed: np.ndarray) -> dict[str, np.ndarray]:
    """Return the book with other prices and the sizes of the two sides exchanged at some rows."""
    book = {}
    for name, column in tape.book.items():
        side, _, rest = name.partition("_")
        other = tape.book[f"{'ask' if side == 'bid' else 'bid'}_{rest}"] if "size" in rest else column * factor * 1.1
        book[name] = np.where(changed, other, column)
    return book


def quiet_cuts(tape: Tape, count: int, first: int = 0) -> list[int]:
    """Return up to `count` closes [ns] at which no bar is in progress, spread over the tape after its first rows.

    first: how many closes to pass over.  Neighbouring cuts fall on different places of longer bars.
    """
    times = np.unique(tape.close_time)
    opened, closed = np.sort(tape.open_time), np.sort(tape.close_time)
    running = np.searchsorted(opened, times, side="left") - np.searchsorted(closed, times, side="right")
    quiet = times[running == 0]
    quiet = quiet[min(first, max(0, quiet.size - count - 1)): -1]
    if quiet.size == 0:
        return []
    places = np.linspace(0, quiet.size - 1, count).astype(int) + np.arange(count) % 5
    return [int(t) for t in np.unique(quiet[np.minimum(places, quiet.size - 1)])]


def events_until(tape: Tape, cut: int) -> int:
    """Return the number of events up to the decisions at `cut` [ns]: later opens at that instant are left out."""
    before = int(np.searchsorted(tape.event_time, cut, side="left"))
    until = int(np.searchsorted(tape.event_time, cut, side="right"))
    return before + int(np.sum(tape.event_kind[before:until] == EventKind.CLOSE))
