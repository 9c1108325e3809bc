"""The statistics of a run as an ordered mapping that prints as a table, and the grades beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import attrs

from framework.errors import did_you_mean

Value = float | int | datetime | timedelta
"""One statistic: NaN where it is not defined, never infinity."""

NOT_AVAILABLE = "n/a"

MONEY = frozenset({"Equity Final", "Equity Peak", "Expectancy", "Fees", "Slippage cost", "Cash flows", "Tax",
                   "Open P&L"})
"""Statistics in the account currency."""

FRACTIONS = frozenset({"Alpha", "MAE", "MFE", "Kelly Criterion"})
"""Statistics that are fractions: 0.05 is five per cent."""


@attrs.frozen
class Grade:
    """The two thresholds of one statistic; target > excellent means that less is better."""

    target: float
    excellent: float

    def of(self, value: float) -> str:
        """Return "excellent", "target", "below" or "n/a"; a drawdown counts by its size."""
        if math.isnan(value):
            return NOT_AVAILABLE
        sign = 1.0 if self.excellent > self.target else -1.0
        measured = value if sign > 0 else abs(value)
        if sign * measured >= sign * self.excellent:
            return "excellent"
        return "target" if sign * measured >= sign * self.target else "below"


GRADES: Mapping[str, Grade] = {
    "Sharpe Ratio": Grade(1.0, 2.0),
    "Sortino Ratio": Grade(1.5, 3.0),
    "Max. Drawdown [%]": Grade(20.0, 10.0),
    "Win Rate [%]": Grade(50.0, 60.0),
    "Profit Factor": Grade(1.5, 2.5),
    "Recovery Factor": Grade(2.0, 5.0),
}
"""What the statistics are graded against."""


def moment(time_ns: int) -> datetime:
    """Return a time in nanoseconds UTC as a datetime, cut to microseconds."""
    seconds, rest = divmod(int(time_ns), 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def span(duration_ns: int) -> timedelta:
    """Return a duration in nanoseconds as a timedelta, cut to microseconds."""
    return timedelta(microseconds=int(duration_ns) // 1000)


def format_duration(value: timedelta) -> str:
    """Return a duration as `412 days` or `3 days 04:30:00`.

    >>> format_duration(timedelta(days=3, hours=4, minutes=30))
    '3 days 04:30:00'
    """
    seconds = value.seconds
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    days = f"{value.days:,} day{'' if value.days == 1 else 's'}"
    if not seconds:
        return days
    return f"{days} {clock}" if value.days else clock


def duration_text(value: timedelta) -> str:
    """Return a duration for machines, as pandas reads and writes it: `1412 days 04:30:00`."""
    seconds = value.seconds
    return f"{value.days} days {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def format_time(value: datetime) -> str:
    """Return a time as `2024-03-01` at midnight and `2024-03-01 14:30` otherwise (UTC)."""
    if value.hour or value.minute or value.second:
        return value.strftime("%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")
    return value.strftime("%Y-%m-%d")


def format_value(name: str, value: Value) -> str:
    """Return a statistic as a reader wants it: two decimals, thousands apart, n/a where undefined.

    Beyond 1e15, where decimals say nothing, it is in scientific notation.
    """
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return NOT_AVAILABLE
    if abs(value) >= 1e15:
        return f"{value:.3e}"
    text = f"{value:,.4f}" if name in FRACTIONS else f"{value:,.2f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


@attrs.frozen(eq=False, repr=False)
class Stats(Mapping[str, Value]):
    """The statistics of one run, by name, in the order in which they are printed.

    `stats["Sharpe Ratio"]` reads one; an unknown name is a KeyError that proposes the nearest one.
    """

    values_by_name: Mapping[str, Value]
    footnotes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Value:
        try:
            return self.values_by_name[name]
        except KeyError:
            raise KeyError(f"unknown statistic {name!r}{did_you_mean(str(name), list(self.values_by_name))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __repr__(self) -> str:
        cells = {name: format_value(name, value) for name, value in self.values_by_name.items()}
        left = max((len(name) for name in cells), default=0)
        right = max((len(text) for text in cells.values()), default=0)
        lines = [f"{name:<{left}}  {text:>{right}}" for name, text in cells.items()]
        return "\n".join(lines + [f"* {note}" for note in self.footnotes])

    def __str__(self) -> str:
        return repr(self)

    def as_json(self) -> dict[str, float | int | str | None]:
        """Return the statistics for a JSON document: times in ISO 8601, durations as text, NaN as None."""
        return {name: json_value(value) for name, value in self.values_by_name.items()}


def json_value(value: Value) -> float | int | str | None:
    """Return one statistic as JSON can carry it; NaN and infinity become None."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
