"""Bars of a market that never was: geometric Brownian motion, the same for the same seed."""

from __future__ import annotations

import math
import zlib

import attrs
import numpy as np

from framework.data.book import random_book
from framework.data.schedule import schedule_around
from framework.data.series import LATEST, LEVELS_MAX, BarSeries, Floats, Ints, Ohlcv
from framework.data.source import DataSource, Request, option, read_options, time_ns
from framework.data.timeframe import DAY, parse_timeframe
from framework.errors import DataError
from framework.model.instrument import ALWAYS_OPEN

YEAR_NS = 365.25 * DAY
LOG_PRICE_MAX = 200.0
"""Prices stay within e**±200 of the first one, so that any seed and length gives numbers."""


@attrs.frozen
class SyntheticOptions:
    """What a synthetic market looks like.

    bars: per symbol.  seed: of the random numbers.  start: of the first bar, at the earliest.  exchange: its
    schedule of bars.  price: the first open.  volatility, drift: of log returns, fractions a year.
    volume: median of a bar's volume, in units.  levels: of the order book at each close, 0 for no book; spread_bps:
    between its best prices; book_signal: how much of the next bar's move its imbalance tells, 0 (nothing) to 1.
    """

    bars: int = option(int, "a whole number of bars, 1 or more", low=1, default=1_000)
    seed: int = option(int, "a whole number, 0 or more", low=0, default=1)
    start: object = attrs.field(default="2020-01-01", metadata={"rule": "a date or a time"})
    exchange: str = option(str, 'the name of an exchange, or "24/7"', default=ALWAYS_OPEN)
    price: float = option((int, float), "a finite number of at least 1e-6", low=1e-6, default=100.0)
    volatility: float = option((int, float), "a finite number, 0 or more", low=0.0, default=0.5)
    drift: float = option((int, float), "a finite number", low=-1e9, default=0.0)
    volume: float = option((int, float), "a finite number, 0 or more", low=0.0, default=1_000.0)
    levels: int = option(int, f"a whole number, 0 to {LEVELS_MAX}", low=0, high=LEVELS_MAX, default=0)
    spread_bps: float = option((int, float), "a number above 0, at most 100", low=1e-3, high=100.0, default=2.0)
    book_signal: float = option((int, float), "a number from 0 to 1", low=0.0, high=1.0, default=0.0)


class Synthetic(DataSource):
    """Seeded random bars: `symbols`, `timeframe` (1d), and the options of SyntheticOptions."""

    name = "synthetic"

    def load(self, request: Request) -> list[BarSeries]:
        """Return the bars of each symbol; a symbol's bars depend on its name and the options alone."""
        options = read_options(SyntheticOptions, request.options, "source synthetic")
        timeframe = request.timeframe or "1d"
        open_time, close_time = _scheduled_times(options, timeframe)
        return [
            BarSeries(
                request.instrument(symbol, exchange=options.exchange),
                timeframe,
                open_time,
                close_time,
                *random_bars(options, symbol, close_time - open_time),
                book=book_of(options, symbol, close_time - open_time),
            )
            for symbol in request.symbols or ("SYNTH",)
        ]


def _scheduled_times(options: SyntheticOptions, timeframe: str) -> tuple[Ints, Ints]:
    """Return open and close time of the asked number of scheduled bars, lunch breaks left out."""
    start = time_ns(options.start, "option start")
    span = options.bars * parse_timeframe(timeframe)
    while start + span < LATEST:
        schedule = schedule_around(options.exchange, timeframe, start, start + span)
        first = int(schedule.starts_before(np.array([start]))[0])
        number = np.arange(first, min(int(schedule.first[-1]), first + 2 * options.bars))
        number = number[~schedule.in_break(number)][: options.bars]
        if len(number) == options.bars:
            return schedule.open_of(number), schedule.end_of(number)
        if schedule.close[-1] < start + span:
            break
        span *= 2
    raise DataError(
        f"source synthetic: {options.bars} bars of {timeframe} from {options.start} do not fit before the end of the "
        "calendar; mend: fewer bars, or an earlier start"
    )


def book_of(options: SyntheticOptions, symbol: str, duration_ns: Ints) -> dict[str, Floats]:
    """Return the order book at each close, see `random_book`; empty without levels.

    The imbalance leans to where the next bar will move by `book_signal`, and by chance for the rest.  Bars are the same
    with a book and without one.
    """
    if not options.levels:
        return {}
    count, seed = len(duration_ns), [options.seed, zlib.crc32(symbol.encode())]
    close = random_bars(options, symbol, duration_ns)[3]
    ahead = np.random.default_rng([*seed, 0]).standard_normal((count + 1, 2))[1:, 0]
    noise = np.random.default_rng([*seed, 2]).standard_normal(count)
    signal = options.book_signal
    told = signal * ahead + math.sqrt(1.0 - signal * signal) * noise
    size = max(options.volume, 1.0) / 20.0
    return random_book(close, 0.5 * told, np.random.default_rng([*seed, 3]), options.levels, options.spread_bps, size)


def random_bars(options: SyntheticOptions, symbol: str, duration_ns: Ints) -> Ohlcv:
    """Return open, high, low, close, volume of consecutive bars that last duration_ns each.

    Log prices are a Brownian motion with drift; each open is the close before.  High and low are drawn from the
    maximum and minimum of the Brownian bridge between open and close.  Fewer bars of one seed are a prefix of more.
    Source: Glasserman (2003), Monte Carlo Methods in Financial Engineering, section 6.4, for the bridge's maximum.
    """
    seed = [options.seed, zlib.crc32(symbol.encode())]
    normal = np.random.default_rng([*seed, 0]).standard_normal((len(duration_ns), 2))
    uniform = 1.0 - np.random.default_rng([*seed, 1]).random((len(duration_ns), 2))
    years = duration_ns / YEAR_NS
    variance = options.volatility**2 * years
    step = options.drift * years - variance / 2 + np.sqrt(variance) * normal[:, 0]
    level = np.clip(np.cumsum(step), -LOG_PRICE_MAX, LOG_PRICE_MAX)
    before = np.concatenate(([0.0], level[:-1]))
    move = level - before
    reach = np.sqrt(move[:, None] ** 2 - 2 * variance[:, None] * np.log(uniform))
    open_, close = options.price * np.exp(before), options.price * np.exp(level)
    high = options.price * np.exp(before + (move + reach[:, 0]) / 2)
    low = options.price * np.exp(before + (move - reach[:, 1]) / 2)
    volume = options.volume * np.exp(0.5 * normal[:, 1])
    return open_, np.maximum(high, np.maximum(open_, close)), np.minimum(low, np.minimum(open_, close)), close, volume
