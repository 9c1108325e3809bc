"""The scheduled bins of a timeframe: when each bar of it opens and ends, whether or not anything trades.

Below one day, bins start at each session's open and the last one ends at its close: on XNYS the 4h
bins are 9:30-13:30 and 13:30-16:00, and before a 13:00 close there is one, 9:30-13:00.  From one day
on, a bin is a block of days counted from a Monday (a week begins on Monday); it opens with the first
session of the block and ends with the last.  On "24/7" a session is a UTC day.
"""

from __future__ import annotations

import attrs
import numpy as np

from framework.data.calendars import MONDAY, Ints, Mask, Sessions, sessions_around
from framework.data.timeframe import DAY, parse_timeframe


@attrs.frozen(eq=False)
class Schedule:
    """The bins of one timeframe over the sessions of one exchange, numbered in order from 0.

    sessions: what the bins are anchored to.
    length: of a bin in ns; the last one of a session may be shorter.
    first: per group the number of its first bin, and at the end the number of all bins.  Below one day a group
        is a session and holds many bins; from one day on it is a block of days and holds one.
    open, close: of each group, in ns UTC.
    """

    sessions: Sessions
    length: int
    first: Ints
    open: Ints
    close: Ints

    @property
    def is_intraday(self) -> bool:
        """Return whether bins are shorter than a day, and so restart with each session."""
        return self.length < DAY

    def bin_of(self, close_time: Ints) -> Ints:
        """Return the bin with open < close_time <= end for each bar, -1 where the exchange is closed."""
        group = np.searchsorted(self.close, close_time, side="left")
        bounded = np.minimum(group, len(self.close) - 1)
        inside = (group < len(self.close)) & (close_time > self.open[bounded])
        return np.where(inside, self.first[bounded] + self._offset(close_time - 1 - self.open[bounded]), -1)

    def starts_before(self, time: Ints) -> Ints:
        """Return how many bins open before each time."""
        group = np.searchsorted(self.open, time, side="left") - 1
        bounded = np.maximum(group, 0)
        begun = self._offset(time - 1 - self.open[bounded]) + 1
        within = np.minimum(begun, self.first[bounded + 1] - self.first[bounded])
        return np.where(group >= 0, self.first[bounded] + within, 0)

    def ends_until(self, time: Ints) -> Ints:
        """Return how many bins end at or before each time."""
        group = np.searchsorted(self.close, time, side="right")
        bounded = np.minimum(group, len(self.close) - 1)
        begun = np.maximum(time - self.open[bounded], 0)
        whole = self._offset(begun) if self.is_intraday else np.zeros_like(begun)
        return np.where(group < len(self.close), self.first[bounded] + whole, self.first[-1])

    def open_of(self, index: Ints) -> Ints:
        """Return when each bin opens."""
        group = self._group_of(index)
        return self.open[group] + (index - self.first[group]) * self.length

    def end_of(self, index: Ints) -> Ints:
        """Return when each bin ends by schedule."""
        group = self._group_of(index)
        if not self.is_intraday:
            return self.close[group]
        return np.minimum(self.open[group] + (index - self.first[group] + 1) * self.length, self.close[group])

    def in_break(self, index: Ints) -> Mask:
        """Return whether each bin lies wholly within the lunch break of its session."""
        if not self.is_intraday:
            return np.zeros(len(index), dtype=bool)
        group = self._group_of(index)
        after_start = self.open_of(index) >= self.sessions.break_start[group]
        return after_start & (self.end_of(index) <= self.sessions.break_end[group])

    def _group_of(self, index: Ints) -> Ints:
        return np.searchsorted(self.first, index, side="right") - 1

    def _offset(self, elapsed: Ints) -> Ints:
        return elapsed // self.length if self.is_intraday else np.zeros_like(elapsed)


def schedule_around(exchange: str, timeframe: str, first_ns: int, last_ns: int) -> Schedule:
    """Return the bins of a timeframe for the years of both times and a year on either side."""
    length = parse_timeframe(timeframe)
    sessions = sessions_around(exchange, first_ns, last_ns)
    if length < DAY:
        count = -(-(sessions.close - sessions.open) // length)
        return Schedule(sessions, length, np.concatenate(([0], np.cumsum(count))), sessions.open, sessions.close)
    block = day_block(sessions.day, length)
    starts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    ends = np.append(starts[1:], len(block)) - 1
    return Schedule(sessions, length, np.arange(len(starts) + 1), sessions.open[starts], sessions.close[ends])


def day_block(day: Ints, length: int) -> Ints:
    """Return the number of the block of length // DAY days, counted from a Monday, that holds each day."""
    return (day + MONDAY) // (length // DAY)
