"""When openings may begin to work: sessions written down by hand for the weeks in which cases play."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.rules_base import Rule, Verdict, refuse, tightest

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS_OPEN = "24/7"


@dataclass(frozen=True)
class Hours:
    """Hours of an exchange by its own clock: open and close, the lunch break, its time zone."""

    zone: str
    opens: datetime.time
    closes: datetime.time
    lunch: tuple[datetime.time, datetime.time] | None = None


HOURS = {
    "XNYS": Hours("America/New_York", datetime.time(9, 30), datetime.time(16, 0)),
    "XTKS": Hours("Asia/Tokyo", datetime.time(9, 0), datetime.time(15, 0),
                  (datetime.time(11, 30), datetime.time(12, 30))),
}  # fmt: skip

FIRST_DAY, N_DAYS = datetime.date(2024, 1, 16), 24
"""Days on which every weekday is a session in New York and in Tokyo: a Tuesday to a Thursday."""


def sessions_of(exchange: str) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Return opens and closes of the sessions of an exchange, in its own time."""
    hours = HOURS[exchange]
    days = [FIRST_DAY + datetime.timedelta(days=n) for n in range(N_DAYS)]
    zone = ZoneInfo(hours.zone)
    return [(datetime.datetime.combine(day, hours.opens, zone), datetime.datetime.combine(day, hours.closes, zone))
            for day in days if day.weekday() < 5]  # fmt: skip


def begins_to_work(exchange: str, close_time: int) -> datetime.datetime:
    """Return when an order decided at a close begins to work, by the clock of the exchange; bars lie in sessions."""
    now = EPOCH + datetime.timedelta(microseconds=close_time // 1_000)
    if exchange == ALWAYS_OPEN:
        return now
    hours, sessions = HOURS[exchange], sessions_of(exchange)
    now = now.astimezone(ZoneInfo(hours.zone))
    if now in [close for _, close in sessions]:
        return next(begin for begin, _ in sessions if begin > now)
    if hours.lunch is not None and hours.lunch[0] <= now.time() < hours.lunch[1]:
        return datetime.datetime.combine(now.date(), hours.lunch[1], now.tzinfo)
    return now


class TimeRestrictions(Rule):
    """Refused within a blackout."""

    def __call__(self, order: Any) -> Verdict:
        at = begins_to_work(order.exchange, order.symbol.last_bar.close_time)
        minute = at.hour * 60 + at.minute
        for period in self.blackout_periods:
            first, end = (int(part[:2]) * 60 + int(part[3:]) for part in period.split("-"))
            if first <= minute < end or (end <= first and not end <= minute < first):
                return refuse(minute, end)
        return tightest(order.qty)
