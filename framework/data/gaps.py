"""Bars that the schedule of an exchange has and the data have not."""

from __future__ import annotations

import attrs
import numpy as np

from framework.data.schedule import Schedule, schedule_around
from framework.data.series import BarSeries, Ints
from framework.data.timeframe import parse_timeframe
from framework.errors import DataError
from framework.model.instrument import ALWAYS_OPEN

FILLED_MAX = 10
"""Bars put into gaps for each bar that is there; more would mean that the timeframe is wrong."""


def missing_before(exchange: str, timeframe: str, open_time: Ints, close_time: Ints) -> Ints:
    """Return how many scheduled bars are missing between each bar and the one before it.

    Bars that lie on the schedule of their timeframe are compared with it, lunch breaks aside.  Others (stamped 10:00 on
    an exchange that opens at 9:30) are compared with the bar before, within a session.  Cost: O(bars log sessions).
    """
    missing = np.zeros(len(open_time), dtype=np.int64)
    schedule = schedule_around(exchange, timeframe, int(open_time[0]), int(close_time[-1]))
    if _is_on(schedule, open_time, close_time):
        after, before = _range_between(schedule, open_time, close_time)
        missing[1:] = np.maximum(before - after, 0)
        missing[1:] -= _in_breaks(schedule, after, before)
        return missing
    whole = np.maximum(open_time[1:] - close_time[:-1], 0) // parse_timeframe(timeframe)
    if exchange != ALWAYS_OPEN:
        sessions = schedule.sessions
        index, _ = sessions.containing(close_time)
        before_break = close_time[:-1] <= sessions.break_start[index[1:]]
        spans_break = before_break & (open_time[1:] >= sessions.break_end[index[1:]])
        whole[(index[1:] != index[:-1]) | spans_break] = 0
    missing[1:] = whole
    return missing


def _is_on(schedule: Schedule, open_time: Ints, close_time: Ints) -> bool:
    number = schedule.bin_of(close_time)
    return bool(np.all(number >= 0) and np.all(schedule.open_of(number) == open_time))


def _range_between(schedule: Schedule, open_time: Ints, close_time: Ints) -> tuple[Ints, Ints]:
    """Return per gap the number of its first bin, and of the first one after it."""
    return schedule.starts_before(close_time[:-1]), schedule.ends_until(open_time[1:])


def _in_breaks(schedule: Schedule, first: Ints, after: Ints) -> Ints:
    """Return how many bins of each range lie wholly within a lunch break."""
    sessions = schedule.sessions
    if not schedule.is_intraday or not np.any(sessions.break_start < sessions.break_end):
        return np.zeros_like(first)
    has_break = sessions.break_start < sessions.break_end
    begin = schedule.starts_before(sessions.break_start[has_break])
    end = np.maximum(schedule.ends_until(sessions.break_end[has_break]), begin)
    edges = np.stack((begin, end), axis=1).ravel()
    so_far = np.concatenate(([0], np.cumsum(np.where(np.arange(len(edges) - 1) % 2 == 0, np.diff(edges), 0))))

    def count_below(number: Ints) -> Ints:
        place = np.searchsorted(edges, number, side="right") - 1
        bounded = np.maximum(place, 0)
        partly = np.where(bounded % 2 == 0, number - edges[bounded], 0)
        return np.where(place < 0, 0, so_far[bounded] + partly)

    return np.where(after > first, count_below(after) - count_below(first), 0)


def with_filled_gaps(series: BarSeries, where: str) -> BarSeries:
    """Return a series with a flat bar at the close before, without volume, for every scheduled bar that is missing.

    Raises DataError when there would be more than ten new bars for each one that is there.
    """
    exchange = series.instrument.exchange
    missing = missing_before(exchange, series.timeframe, series.open_time, series.close_time)
    count = int(missing.sum())
    if not count:
        return series
    if count > FILLED_MAX * len(series):
        raise DataError(
            f'{where}: gaps = "fill" would put {count} bars of {series.timeframe} among {len(series)}; rule: at most '
            f"{FILLED_MAX} times as many as there are; mend: check the timeframe"
        )
    opens, closes, before = _missing_times(series, exchange, missing)
    flat = series.close[before]
    unknown = np.full(len(flat), np.nan)
    order = np.argsort(np.concatenate((series.open_time, opens)), kind="stable")
    return attrs.evolve(
        series,
        open_time=np.concatenate((series.open_time, opens))[order],
        close_time=np.concatenate((series.close_time, closes))[order],
        open=np.concatenate((series.open, flat))[order],
        high=np.concatenate((series.high, flat))[order],
        low=np.concatenate((series.low, flat))[order],
        close=np.concatenate((series.close, flat))[order],
        volume=np.concatenate((series.volume, np.zeros(len(flat)) if series.has_volume else unknown))[order],
        report=attrs.evolve(series.report, filled=len(flat)),
        book={name: np.concatenate((column, unknown))[order] for name, column in series.book.items()},
    )


def _missing_times(series: BarSeries, exchange: str, missing: Ints) -> tuple[Ints, Ints, Ints]:
    """Return open and close time of each missing bar, and the place of the bar before it."""
    schedule = schedule_around(exchange, series.timeframe, int(series.open_time[0]), int(series.close_time[-1]))
    length = parse_timeframe(series.timeframe)
    if not _is_on(schedule, series.open_time, series.close_time):
        before = np.repeat(np.arange(len(series)) - 1, missing)
        opens = series.close_time[before] + _count_up(missing) * length
        return opens, opens + length, before
    first, after = _range_between(schedule, series.open_time, series.close_time)
    size = np.maximum(after - first, 0)
    number = np.repeat(first, size) + _count_up(size)
    before = np.repeat(np.arange(len(series) - 1), size)
    trading = ~schedule.in_break(number)
    return schedule.open_of(number[trading]), schedule.end_of(number[trading]), before[trading]


def _count_up(size: Ints) -> Ints:
    """Return 0, 1 ... size - 1 for each size, one after the other."""
    return np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
