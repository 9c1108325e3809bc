"""When openings may begin to work: market hours and blackouts, on the clock of the instrument's exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.data.calendars import Sessions, local_time, sessions_around
from framework.data.timeframe import MINUTE
from framework.model.instrument import ALWAYS_OPEN
from framework.parameters import minutes_of
from framework.risk import Param, RiskRule, refuse

REGULAR, PREMARKET, AFTERHOURS, CLOSED = 0, 1, 2, 3
"""What an exchange is at a moment."""

PREMARKET_START, AFTERHOURS_END = 4 * 60, 20 * 60
"""Extended hours of US exchanges on a day with a session, local minutes."""


def working_moments(sessions: Sessions, close_time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when an order placed at each close begins to work, ns UTC, and what the exchange is then.

    Within a session that is at once, in a lunch break and at the session's close when trading begins again.  At any
    other time it is at once too, in extended hours or while the exchange is closed.
    """
    index = np.minimum(np.searchsorted(sessions.close, close_time, side="right"), len(sessions.close) - 1)
    before = np.maximum(index - 1, 0)
    is_at_close = sessions.close[before] == close_time
    is_inside = (sessions.open[index] <= close_time) & (close_time < sessions.close[index])
    in_break = is_inside & (sessions.break_start[index] <= close_time) & (close_time < sessions.break_end[index])
    moment = np.where(is_at_close & ~is_inside, sessions.open[index], close_time)
    moment = np.where(in_break, sessions.break_end[index], moment)
    local = local_time(close_time, sessions.timezone)
    day, minute = local // (1440 * MINUTE), local // MINUTE % 1440
    is_early = (sessions.day[index] == day) & (close_time < sessions.open[index]) & (minute >= PREMARKET_START)
    is_late = (sessions.day[before] == day) & (close_time > sessions.close[before]) & (minute < AFTERHOURS_END)
    outside = np.select([is_early, is_late], [PREMARKET, AFTERHOURS], CLOSED)
    return moment, np.where(is_inside | is_at_close, REGULAR, outside)


class TimeRestrictions(RiskRule):
    """Refuse an opening that would begin to work outside of market hours or within a blackout.

    The moment is that of the decision when the exchange is open, else when it opens next: an order placed at a
    session's close works from the next open on. Times are local to the exchange of the instrument (UTC on "24/7"); a
    blackout begins with its first minute and ends before its last.  Extended hours are those of US exchanges, 04:00 to
    the open and from the close to 20:00.
    """

    name = "time_restrictions"
    enforce_market_hours = Param(True, doc="whether openings wait for regular hours or those allowed below")
    allow_premarket = Param(False, doc="whether openings may work before the open")
    allow_afterhours = Param(False, doc="whether openings may work after the close")
    blackout_periods = Param(("09:30-09:45", "15:45-16:00"), doc="local times of day without openings")

    def clocks(self, exchange: str, close_time: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return what the exchange is when an order begins to work, the local minute, and when its blackout ends.

        The end is -1 outside of blackouts; of several, the first of the list counts.
        """
        moment, phase = close_time, np.zeros(close_time.size)
        local = close_time
        if exchange != ALWAYS_OPEN and close_time.size:
            sessions = sessions_around(exchange, int(close_time[0]), int(close_time[-1]))
            moment, phase = working_moments(sessions, close_time)
            local = local_time(moment, sessions.timezone)
        minute = local // MINUTE % 1440
        until = np.full(close_time.size, -1.0)
        periods: Any = self.values()["blackout_periods"]
        for first, end in reversed([minutes_of(period) for period in periods]):
            within = (minute >= first) & (minute < end)
            if end < first:
                within = (minute >= first) | (minute < end)
            until[within] = end
        return {"phase": phase, "minute": minute, "blackout_end": until}

    @staticmethod
    def check(order: Any) -> None:
        """Refuse what would begin at a wrong time; recorded are phase and 0, or the minute and the blackout's end."""
        p, ind = order.p, order.ind
        is_allowed = ind.phase == 0.0 or (ind.phase == 1.0 and p.allow_premarket) or (
            ind.phase == 2.0 and p.allow_afterhours)
        if p.enforce_market_hours and not is_allowed:
            refuse(order, ind.phase, 0.0)
        elif ind.blackout_end >= 0.0:
            refuse(order, ind.minute, ind.blackout_end)
