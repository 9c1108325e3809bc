"""Lengths of time as a configuration writes them: "24mo", "90d", "2w"; months and years by the calendar (UTC)."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

import attrs

from framework.errors import ConfigError

_PATTERN = re.compile(r"([1-9][0-9]{0,5})(y|mo|w|d|h|m|s)\Z")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@attrs.frozen
class Duration:
    """A length of time: whole calendar months, and seconds beside them."""

    months: int = 0
    seconds: int = 0

    @property
    def about_seconds(self) -> float:
        """The length with a month taken as a twelfth of 365.25 days: for comparisons only."""
        return self.months * 365.25 * 86_400 / 12 + self.seconds

    @property
    def is_of_days(self) -> bool:
        """Whether it is made of whole days."""
        return self.seconds % 86_400 == 0

    def times(self, count: int) -> Duration:
        """Return the length so many times."""
        return Duration(self.months * count, self.seconds * count)

    def after(self, moment: datetime) -> datetime:
        """Return the moment so much later; the last day of a month stands for days that the month does not have.

        >>> Duration(months=1).after(datetime(2021, 1, 31)).isoformat()
        '2021-02-28T00:00:00'
        """
        place = moment.month - 1 + self.months
        year, month = moment.year + place // 12, place % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day) + timedelta(seconds=self.seconds)


def parse_duration(where: str, text: str) -> Duration:
    """Return a length of time; ConfigError, naming `where`, unless it is a whole number and y, mo, w, d, h, m or s.

    >>> parse_duration("train", "24mo")
    Duration(months=24, seconds=0)
    """
    match = _PATTERN.match(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"{where} = {text!r}; it must be a whole number above 0 and a unit, y (years), mo (months), "
                          'w, d, h, m (minutes) or s, such as "24mo" or "90d"')
    count, unit = int(match[1]), match[2]
    if unit in _SECONDS:
        return Duration(0, count * _SECONDS[unit])
    return Duration(count * (12 if unit == "y" else 1), 0)


def utc(time_ns: int) -> datetime:
    """Return ns since 1970 as a datetime in UTC, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)


def nanoseconds(moment: datetime) -> int:
    """Return a datetime as ns since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def optional_ns(moment: datetime | None) -> int | None:
    """Return a datetime as ns since 1970, None for none."""
    return None if moment is None else nanoseconds(moment)
