"""What an account has behind it: every question is answered anew from the list of all its marks and trades."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Moment:
    """The account at one mark.

    day: of the account's calendar, counted from 1970-01-01.  ended, begun: how many round trips there were until then.
    """

    time: int
    day: int
    equity: float
    exposure: float
    ended: int
    begun: int


def day_of(day: int) -> int:
    """Return the day itself."""
    return day


def week_of(day: int) -> tuple[int, int]:
    """Return year and number of the week from Monday on that a day is in."""
    return datetime.date.fromordinal(EPOCH + day).isocalendar()[:2]


def month_of(day: int) -> tuple[int, int]:
    """Return year and month of a day."""
    date = datetime.date.fromordinal(EPOCH + day)
    return date.year, date.month


def start_of(moments: Sequence[Moment], period: Callable[[int], Any], capital: float) -> float:
    """Return the equity at the last mark before the day, week or month of the newest one; the capital without any."""
    now = period(moments[-1].day)
    return next((m.equity for m in reversed(moments) if period(m.day) != now), capital)


def loss_of(moments: Sequence[Moment], period: Callable[[int], Any], capital: float) -> float:
    """Return what the day, week or month of the newest mark has lost until then; below 0 for a gain."""
    return start_of(moments, period, capital) - moments[-1].equity


def prefixes(moments: Sequence[Moment]) -> list[Sequence[Moment]]:
    """Return what was known at each mark: the marks until then."""
    return [moments[: count + 1] for count in range(len(moments))]


def losing_streak(trades: Sequence[Any]) -> int:
    """Return how many round trips have lost since the last one that won; one that broke even changes nothing."""
    since = max((place for place, trade in enumerate(trades) if trade.pnl > 0), default=-1)
    return sum(trade.pnl < 0 for trade in trades[since + 1 :])


def begun_today(moments: Sequence[Moment]) -> int:
    """Return how many round trips began after the last mark of the day before."""
    before = next((m.begun for m in reversed(moments) if m.day != moments[-1].day), 0)
    return moments[-1].begun - before
