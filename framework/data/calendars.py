"""Sessions of exchanges, and the integer columns of a tape that come from them.

The exchange "24/7" has one session a UTC day and needs no package.  Every other name is one of the
package exchange_calendars, which is imported only when such a name is used, and opened for whole
years around the asked period (left alone it starts twenty years back).

An instant belongs to the session, or to the day, that *ends* with it: a bar that closes at midnight,
or at the session's close, is a bar of the day before.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.timeframe import DAY, MINUTE
from framework.errors import ConfigError, DataError, did_you_mean
from framework.model.instrument import ALWAYS_OPEN

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MONDAY = 3
"""Days from a Monday to 1970-01-01, a Thursday."""


@attrs.frozen(eq=False)
class Sessions:
    """The sessions of one exchange over some years, in order; all arrays have one element a session.

    day: days since 1970-01-01 of the session's date.
    open, close: scheduled times in ns UTC; early closes and daylight saving are in them.
    break_start, break_end: the lunch break in ns UTC; both equal close where there is none.
    """

    exchange: str
    timezone: str
    day: Ints
    open: Ints
    close: Ints
    break_start: Ints
    break_end: Ints

    def containing(self, time: Ints) -> tuple[Ints, Mask]:
        """Return per time the first session that closes at or after it, and whether open < time <= close."""
        index = np.searchsorted(self.close, time, side="left")
        bounded = np.minimum(index, len(self.close) - 1)
        inside = (index < len(self.close)) & (time > self.open[bounded])
        return bounded, inside


def sessions_around(exchange: str, first_ns: int, last_ns: int) -> Sessions:
    """Return all sessions of the years of both times and of a year on either side of them.

    Raises ConfigError for an unknown exchange and DataError where its holidays are not known.
    """
    years = np.array([first_ns, last_ns], dtype="datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    return _open_sessions(exchange, int(years[0]) - 1, int(years[1]) + 1)


@cache
def _open_sessions(exchange: str, first_year: int, last_year: int) -> Sessions:
    """Return the sessions of whole years; both years are included."""
    start, end = np.datetime64(f"{first_year:04d}-01-01", "D"), np.datetime64(f"{last_year:04d}-12-31", "D")
    if exchange == ALWAYS_OPEN:
        day = np.arange(start, end + 1).astype(np.int64)
        close = (day + 1) * DAY
        return Sessions(exchange, "UTC", day, day * DAY, close, close, close)
    calendar = _open_calendar(exchange, start, end)
    open_, close, break_start, break_end = (
        column.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        for column in (calendar.opens, calendar.closes, calendar.break_starts, calendar.break_ends)
    )
    day = calendar.sessions.to_numpy(dtype="datetime64[D]").astype(np.int64)
    no_break = np.isnat(break_start)
    times = (open_, close, np.where(no_break, close, break_start), np.where(no_break, close, break_end))
    return Sessions(exchange, str(calendar.tz), day, *(t.astype(np.int64) for t in times))


def _open_calendar(exchange: str, start: np.datetime64, end: np.datetime64) -> Any:
    """Return the calendar of exchange_calendars, cut to the years whose holidays it knows."""
    import exchange_calendars as xc

    try:
        return xc.get_calendar(exchange, start=str(start), end=str(end))
    except xc.errors.InvalidCalendarName:
        names = [ALWAYS_OPEN, *xc.get_calendar_names()]
        raise ConfigError(
            f"unknown exchange {exchange!r}{did_you_mean(exchange, names)}; rule: {ALWAYS_OPEN!r} or a name of the "
            'package exchange_calendars, such as "XNYS"'
        ) from None
    except ValueError as error:
        known = type(xc.get_calendar(exchange))
        low, high = (
            None if bound is None else np.datetime64(str(bound.date()), "D")
            for bound in (known.bound_min(), known.bound_max())
        )
        cut_start = start if low is None else max(start, low)
        cut_end = end if high is None else min(end, high)
        if cut_start > cut_end or (cut_start, cut_end) == (start, end):
            raise DataError(f"no sessions of {exchange} from {start} to {end}: {error}") from None
        return xc.get_calendar(exchange, start=str(cut_start), end=str(cut_end))


def account_days(calendar: str, close_time: Ints) -> NDArray[np.int32]:
    """Return the day of the account calendar that contains each close, as days since 1970-01-01.

    A close outside all sessions (a coin on a Saturday, on a stock calendar) belongs to the next one.
    """
    if calendar == ALWAYS_OPEN:
        return ((close_time - 1) // DAY).astype(np.int32)
    sessions = sessions_around(calendar, int(close_time.min()), int(close_time.max()))
    index, _ = sessions.containing(close_time)
    return sessions.day[index].astype(np.int32)


@attrs.frozen(eq=False)
class ClockColumns:
    """What the clock of a bar's own exchange shows at its close; one element a bar.

    local_minute: int16, minutes since local midnight, 0..1439.  weekday: int8, Monday 0.
    bars_in_session: int32, 1 on the first bar of a session.
    minutes_to_close: int32, minutes to the session's scheduled close, rounded up; 0 on a bar that ends with it.
    """

    local_minute: NDArray[np.int16]
    weekday: NDArray[np.int8]
    bars_in_session: NDArray[np.int32]
    minutes_to_close: NDArray[np.int32]


def clock_columns(exchange: str, close_time: Ints) -> ClockColumns:
    """Return the clock columns of one symbol's bars, given in order of time."""
    if exchange == ALWAYS_OPEN:
        session = (close_time - 1) // DAY
        to_close = (session + 1) * DAY - close_time
        local = close_time
    else:
        sessions = sessions_around(exchange, int(close_time[0]), int(close_time[-1]))
        session, _ = sessions.containing(close_time)
        to_close = sessions.close[session] - close_time
        local = local_time(close_time, sessions.timezone)
    return ClockColumns(
        local_minute=(local // MINUTE % 1440).astype(np.int16),
        weekday=((local // DAY + MONDAY) % 7).astype(np.int8),
        bars_in_session=_position_in_run(session),
        minutes_to_close=(-(-to_close // MINUTE)).astype(np.int32),
    )


def _position_in_run(key: Ints) -> NDArray[np.int32]:
    """Return 1, 2, 3 ... within each run of equal keys."""
    is_first = np.empty(len(key), dtype=bool)
    is_first[:1] = True
    np.not_equal(key[1:], key[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    start = np.repeat(first, np.diff(first, append=len(key)))
    return (np.arange(1, len(key) + 1) - start).astype(np.int32)


def local_time(time: Ints, timezone: str) -> Ints:
    """Return what clocks in a time zone show at each instant, as ns since 1970-01-01 00:00 on those clocks."""
    import polars as pl

    instants = pl.Series(time).cast(pl.Datetime("ns", "UTC"))
    return instants.dt.convert_time_zone(timezone).dt.replace_time_zone(None).to_physical().to_numpy()
