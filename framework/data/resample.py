"""Longer bars from shorter ones, by the scheduled end of each bin.

A bin is complete once a bar closes at or after its scheduled end, even when its own last bars are missing: from
then on no bar can fall into it, so its values never change, and never depend on what comes after that end.  An
unfinished bin does not appear.  Neither does the first one when the data begin inside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from framework.data.details import check_detail
from framework.data.schedule import Schedule, schedule_around
from framework.data.series import BarSeries, Floats, Ints, format_time
from framework.data.tape import Tape, build_tape
from framework.data.timeframe import DAY, parse_timeframe
from framework.errors import DataError


@attrs.frozen(eq=False)
class Bins:
    """The complete bins of one symbol in a longer timeframe, in order; bins in which nothing traded are left out.

    One element a bin: open_time and end_time, scheduled, in ns UTC; first_bar and last_bar, the base bars it is made
    of, counted from the symbol's first; open, high, low, close, volume.
    One element a base bar: visible_from_bar, the latest bin whose scheduled end is at or before the bar's
    close_time, -1 before there is one.
    """

    open_time: Ints
    end_time: Ints
    first_bar: Ints
    last_bar: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    visible_from_bar: Ints

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self.end_time)


def bins(tape: Tape, symbol_index: int, timeframe: str) -> Bins:
    """Return the bins of one symbol of a tape.

    Raises ConfigError for a malformed timeframe, and DataError for one that is shorter than the symbol's bars or
    that its bars do not fit into.  Cost: O(bars).
    """
    rows = tape.rows(symbol_index)
    return series_bins(
        BarSeries(
            tape.instruments[symbol_index],
            tape.timeframes[symbol_index],
            tape.open_time[rows],
            tape.close_time[rows],
            tape.open[rows],
            tape.high[rows],
            tape.low[rows],
            tape.close[rows],
            tape.volume[rows],
        ),
        timeframe,
    )


def series_bins(series: BarSeries, timeframe: str) -> Bins:
    """Return the bins of one series; errors and cost as for `bins`."""
    check_fits(series.symbol, series.timeframe, timeframe)
    n_bars = len(series)
    if parse_timeframe(timeframe) == parse_timeframe(series.timeframe) or not n_bars:
        each = np.arange(n_bars)
        prices = (series.open, series.high, series.low, series.close)
        return Bins(series.open_time, series.close_time, each, each, *prices, series.volume, each)
    first_ns, last_ns = int(series.open_time[0]), int(series.close_time[-1])
    schedule = schedule_around(series.instrument.exchange, timeframe, first_ns, last_ns)
    number = schedule.bin_of(series.close_time)
    _refuse_straddling(series, timeframe, schedule, number)
    starts = np.flatnonzero(np.diff(number, prepend=-2))
    open_time, end_time = schedule.open_of(number[starts]), schedule.end_of(number[starts])
    keep = slice(int(open_time[0] != first_ns), len(starts) - int(end_time[-1] > last_ns))
    last = np.append(starts[1:], n_bars) - 1
    member = np.repeat(np.arange(len(starts)), last - starts + 1)
    volume: Floats = np.bincount(member, weights=series.volume).astype(np.float64)
    ends = end_time[keep]
    return Bins(
        open_time=open_time[keep],
        end_time=ends,
        first_bar=starts[keep],
        last_bar=last[keep],
        open=series.open[starts][keep],
        high=np.maximum.reduceat(series.high, starts)[keep],
        low=np.minimum.reduceat(series.low, starts)[keep],
        close=series.close[last][keep],
        volume=volume[keep],
        visible_from_bar=np.searchsorted(ends, series.close_time, side="right") - 1,
    )


def resample(series: BarSeries, timeframe: str) -> BarSeries:
    """Return the complete bins of a series as a series of their own; raises DataError when there is none."""
    longer = series_bins(series, timeframe)
    if not len(longer):
        held = f"{len(series)} bars of {series.timeframe}"
        raise DataError(f"{series.symbol}: {held} hold no complete bar of {timeframe}; mend: more bars")
    return BarSeries(
        series.instrument,
        timeframe,
        longer.open_time,
        longer.end_time,
        longer.open,
        longer.high,
        longer.low,
        longer.close,
        longer.volume,
        series.report,
        {name: column[longer.last_bar] for name, column in series.book.items()},
    )


def detailed_tape(
    series: Sequence[BarSeries], timeframe: str | None, detail: str, account_calendar: str | None = None
) -> Tape:
    """Return the tape of bars of a timeframe with finer bars inside, both made of the series.

    Raises ConfigError for a detail timeframe that is not finer than the timeframe or does not divide it, and DataError
    for series of longer bars, or of too few.
    """
    check_detail(timeframe, detail)
    for one in series:
        if parse_timeframe(one.timeframe) > parse_timeframe(detail):
            raise DataError(
                f'{one.symbol}: detail_timeframe = "{detail}" asked of bars of {one.timeframe}; rule: the data hold '
                f"bars of the detail timeframe or finer; mend: load bars of {detail}, or leave detail_timeframe out"
            )
    bars = [resample(one, str(timeframe)) for one in series]
    return build_tape(bars, account_calendar, [resample(one, detail) for one in series])


def check_fits(symbol: str, base: str, timeframe: str) -> None:
    """Raise DataError unless bars of the base timeframe can make up bins of the other one."""
    short, long = parse_timeframe(base), parse_timeframe(timeframe)
    if long < short:
        raise DataError(
            f"{symbol}: timeframe {timeframe} asked of bars of {base}; rule: it is not shorter than the bars; mend: "
            f"load bars of {timeframe}, or ask for {base} or longer"
        )
    if long % short and (long < DAY or short >= DAY):
        raise DataError(
            f"{symbol}: timeframe {timeframe} asked of bars of {base}; rule: it is a multiple of the bars' timeframe"
        )


def _refuse_straddling(series: BarSeries, timeframe: str, schedule: Schedule, number: Ints) -> None:
    """Raise DataError when a bar begins before the bin in which it closes."""
    outside = (number < 0) | (series.open_time < schedule.open_of(number))
    if outside.any():
        row = int(np.argmax(outside))
        opens, closes = format_time(int(series.open_time[row])), format_time(int(series.close_time[row]))
        raise DataError(
            f"{series.symbol}: timeframe {timeframe} asked of bars of {series.timeframe}, but the bar {opens} to "
            f"{closes} lies across the edge of a bin; rule: bins start at the session's open on "
            f"{series.instrument.exchange}, weeks on Monday; mend: load bars on that grid, or ask for a longer one"
        )
