"""Where bars lie in time: from stamps to open and close times, by the schedule of the exchange."""

from __future__ import annotations

import attrs
import numpy as np

from framework.data.calendars import Sessions, local_time, sessions_around
from framework.data.schedule import day_block, schedule_around
from framework.data.series import Fault, Ints
from framework.data.timeframe import DAY, SECOND, WEEK, format_timeframe, parse_timeframe
from framework.data.times import Stamps, to_utc
from framework.errors import ConfigError, DataError
from framework.model.instrument import ALWAYS_OPEN

LABEL_MEND = 'name the right exchange, or leave the rows out with repair = "drop"'


@attrs.frozen(eq=False)
class Placed:
    """Bars in time.  fault: rows that have no place, if any; their times mean nothing."""

    timeframe: str
    open_time: Ints
    close_time: Ints
    fault: Fault | None = None


def place_bars(
    stamps: Stamps,
    timeframe: str | None,
    exchange: str,
    known_stamp: str | None,
    stamp: str | None,
    timezone: str | None,
    where: str,
) -> Placed:
    """Return open and close times of bars.

    stamps: sorted, one a bar.  timeframe: None takes the most common spacing.  known_stamp: what the column's name
    tells; stamp: what the user says.  timezone: of stamps that say none.
    Raises DataError where stamp, zone or timeframe cannot be told, ConfigError where they conflict.
    """
    if known_stamp and stamp and known_stamp != stamp:
        raise ConfigError(f'{where}: stamp = "{stamp}", but the column of times is called {known_stamp}_time')
    frame = timeframe or infer_timeframe(stamps.value, where)
    length = parse_timeframe(frame)
    if exchange != ALWAYS_OPEN and length >= DAY:
        return _place_days(stamps, frame, exchange, known_stamp or stamp, timezone, where)
    said = known_stamp or stamp or ("open" if stamps.is_date and length == DAY else None)
    instants, fault = instants_of(stamps, exchange, timezone, where)
    if exchange == ALWAYS_OPEN:
        return _placed(frame, instants, length, said or _ask_stamp(where), fault)
    sessions = sessions_around(exchange, int(instants.min()), int(instants.max()))
    said = said or _told_by_sessions(instants, sessions) or _ask_stamp(where)
    place = _from_opens if said == "open" else _from_closes
    open_time, close_time = place(instants, length, sessions)
    return Placed(frame, open_time, close_time, fault)


def _placed(timeframe: str, instants: Ints, length: int, stamp: str, fault: Fault | None) -> Placed:
    open_time = instants if stamp == "open" else instants - length
    return Placed(timeframe, open_time, open_time + length, fault)


def infer_timeframe(time: Ints, where: str) -> str:
    """Return the most common spacing of sorted times, the shortest of equally common ones; raises DataError."""
    spacing, count = np.unique(np.diff(time), return_counts=True)
    common = int(spacing[np.argmax(count)]) if len(spacing) else 0
    if common <= 0 or common % SECOND or common > WEEK:
        raise DataError(
            f"{where}: the timeframe of {len(time)} rows cannot be told from their spacing of {common / SECOND} s; "
            'mend: timeframe = "1d" or another'
        )
    return format_timeframe(common)


def _ask_stamp(where: str) -> str:
    raise DataError(
        f"{where}: nothing tells whether times are the open or the close of bars; rule: a bar used before its close "
        'would see the future, so this is not guessed; mend: stamp = "open" or stamp = "close"'
    )


def instants_of(stamps: Stamps, exchange: str, timezone: str | None, where: str) -> tuple[Ints, Fault | None]:
    """Return the stamps in UTC, and the rows whose local time does not exist or exists twice."""
    if stamps.is_aware:
        return stamps.value, None
    if timezone is None and exchange != ALWAYS_OPEN:
        local = zone_name("exchange", exchange, stamps.value)
        raise DataError(
            f'{where}: times say no zone; rule: on {exchange} it is not guessed; mend: timezone = "exchange" for '
            f'local times ({local}), or timezone = "UTC", or another name'
        )
    zone = zone_name(timezone or "UTC", exchange, stamps.value)
    instants, single = to_utc(stamps.value, zone)
    if single.all():
        return instants, None
    instants = np.where(single, instants, stamps.value)
    mend = 'write times in UTC or with their UTC offset, or leave the rows out with repair = "drop"'
    return instants, Fault(~single, f"a local time of {zone} exists, and only once (daylight saving)", mend)


def zone_name(timezone: str, exchange: str, time: Ints) -> str:
    """Return the name of a time zone, that of the exchange for "exchange"."""
    return sessions_around(exchange, int(time.min()), int(time.max())).timezone if timezone == "exchange" else timezone


def _told_by_sessions(instants: Ints, sessions: Sessions) -> str | None:
    """Return what stamps are if sessions tell: bars are never stamped by an open at a close, nor the other way."""
    at_open, at_close = np.isin(instants, sessions.open).any(), np.isin(instants, sessions.close).any()
    if at_open == at_close:
        return None
    return "open" if at_open else "close"


def _from_opens(opens: Ints, length: int, sessions: Sessions) -> tuple[Ints, Ints]:
    """Return open and close times: a bar lasts its timeframe, to the break, or to the session's close."""
    index, inside = sessions.containing(opens + 1)
    ends = opens + length
    pause = sessions.break_start[index]
    ends = np.where(inside & (opens < pause), np.minimum(ends, pause), ends)
    return opens, np.where(inside, np.minimum(ends, sessions.close[index]), ends)


def _from_closes(closes: Ints, length: int, sessions: Sessions) -> tuple[Ints, Ints]:
    """Return open and close times of bars stamped by their close.

    A bar lasts its timeframe, or from the session's open, or from the end of the break.  The last bar of a session may
    be short: when the others lie on the grid that starts at the session's open, so does it.
    """
    index, inside = sessions.containing(closes)
    since_open = closes - sessions.open[index]
    is_last = closes == sessions.close[index]
    others = inside & ~is_last
    on_grid = bool(np.mean(since_open[others] % length == 0) > 0.5) if others.any() else True
    remainder = since_open % length
    opens = closes - np.where(is_last & (remainder > 0) & on_grid, remainder, length)
    opens = np.where(inside, np.maximum(opens, sessions.open[index]), opens)
    resume = sessions.break_end[index]
    return np.where(inside & (closes > resume), np.maximum(opens, resume), opens), closes


def _place_days(
    stamps: Stamps, timeframe: str, exchange: str, stamp: str | None, timezone: str | None, where: str
) -> Placed:
    """Return bars of a day or more on an exchange: a date names its session, or the block of days that holds it."""
    schedule = schedule_around(exchange, timeframe, int(stamps.value[0]), int(stamps.value[-1]))
    sessions = schedule.sessions
    day, fault = _label_days(stamps, sessions), None
    if day is None:
        instants, fault = instants_of(stamps, exchange, timezone, where)
        stamp = stamp or _told_by_sessions(instants, sessions) or _ask_stamp(where)
        edges = sessions.open if stamp == "open" else sessions.close
        index = np.minimum(np.searchsorted(edges, instants), len(edges) - 1)
        known = edges[index] == instants
        day = np.where(known, sessions.day[index], -1_000_000)
        rule = f"the time of a bar of {timeframe} is midnight, or the {stamp} of a session of {exchange}"
        fault = fault or (None if known.all() else Fault(~known, rule, LABEL_MEND))
    blocks = day_block(sessions.day, schedule.length)
    firsts = blocks[np.flatnonzero(np.diff(blocks, prepend=blocks[0] - 1))]
    wanted = day_block(day, schedule.length)
    number = np.minimum(np.searchsorted(firsts, wanted), len(firsts) - 1)
    open_time, close_time = schedule.open_of(number), schedule.end_of(number)
    strange = firsts[number] != wanted
    if fault is None and strange.any():
        fault = Fault(strange, f"a date of a bar of {timeframe} names a session of {exchange}", LABEL_MEND)
    unplaced = strange if fault is None else fault.mask | strange
    return Placed(
        timeframe,
        np.where(unplaced, stamps.value, open_time),
        np.where(unplaced, stamps.value + 1, close_time),
        None if fault is None else attrs.evolve(fault, mask=unplaced),
    )


def _label_days(stamps: Stamps, sessions: Sessions) -> Ints | None:
    """Return the dates that all stamps name, or None when they are times of day."""
    if np.all(stamps.value % DAY == 0):
        return stamps.value // DAY
    if stamps.is_aware:
        local = local_time(stamps.value, sessions.timezone)
        if np.all(local % DAY == 0):
            return local // DAY
    return None
