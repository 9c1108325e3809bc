"""Columns of times as instants: text, dates, datetimes with and without zone, and counts since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from framework.data.calendars import local_time
from framework.data.series import EARLIEST, LATEST, Ints, Mask
from framework.data.timeframe import MINUTE
from framework.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

EPOCH_UNITS = (
    (10**8, 10**11, 10**9, "s"),
    (10**11, 10**14, 10**6, "ms"),
    (10**14, 10**17, 10**3, "us"),
    (10**17, 2**63 - 1, 1, "ns"),
)
"""Counts since 1970 by size: from, below, ns a unit, name.  The ranges do not overlap from March 1973 on."""

DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d")
USUAL_FORMAT = "%Y-%m-%d %H:%M:%S"
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y%m%d %H:%M:%S", "%Y%m%d %H%M%S", "%Y%m%d %H:%M")
OFFSET = r"\d{2}:\d{2}\S*?\s?(Z|z|UTC|GMT|[+-]\d{2}:?\d{2})$"


@attrs.frozen(eq=False)
class Stamps:
    """Times read from a column; one element a row.

    value: ns since 1970, UTC where is_aware, else on the clock of an unsaid zone.  readable: False where the row
    holds no time between 1900 and 2100; its value means nothing.
    is_aware: the column says its zone.  is_date: it holds days without a time of day.
    offset_ns: the UTC offset that each row says, None when the column does not say one a row.
    has_offset: which rows say one, None likewise.
    """

    value: Ints
    readable: Mask
    is_aware: bool
    is_date: bool = False
    offset_ns: Ints | None = None
    has_offset: Mask | None = None


def read_stamps(column: pl.Series, time_format: str | None, where: str) -> Stamps:
    """Return the times of a column; raises DataError for a column of another type."""
    import polars as pl

    if column.dtype == pl.Date:
        return _stamps(column.cast(pl.Datetime("us")), is_aware=False, is_date=True)
    if isinstance(column.dtype, pl.Datetime):
        is_aware = column.dtype.time_zone is not None
        return _stamps(column.dt.convert_time_zone("UTC") if is_aware else column, is_aware=is_aware)
    if column.dtype.is_integer() or column.dtype.is_float():
        return _from_numbers(column, where)
    if column.dtype == pl.String:
        return _from_text(column.str.strip_chars(), time_format, where)
    raise DataError(
        f"{where}: times of type {column.dtype} in column {column.name!r}; rule: text, dates, datetimes, or whole "
        "numbers of s, ms, us or ns since 1970"
    )


def _stamps(moments: pl.Series, *, is_aware: bool, is_date: bool = False) -> Stamps:
    """Return datetimes of any unit as stamps, those out of range as unreadable."""
    micros = moments.dt.timestamp("us")
    readable = (micros.is_between(EARLIEST // 1000, LATEST // 1000) & micros.is_not_null()).fill_null(False).to_numpy()
    value = moments.dt.timestamp("ns").fill_null(0).to_numpy()
    return Stamps(np.where(readable, value, 0), readable, is_aware, is_date)


def _from_numbers(column: pl.Series, where: str) -> Stamps:
    """Return counts since 1970 in the one unit that their size shows, or days written as 20200131."""
    import polars as pl

    number = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    whole = np.isfinite(number) & (number == np.floor(number))
    if whole.any() and np.all((number[whole] >= 19_000_101) & (number[whole] <= 21_001_231)):
        days = column.cast(pl.Int64, strict=False).cast(pl.String)
        return _from_text(days, "%Y%m%d", where)
    sizes = np.abs(number[whole])
    units = [unit for unit in EPOCH_UNITS if np.any((sizes >= unit[0]) & (sizes < unit[1]))]
    if len(units) != 1 or np.any(sizes < EPOCH_UNITS[0][0]):
        shown = ", ".join(f"{value:.0f}" for value in number[whole][:3])
        raise DataError(
            f"{where}: numbers {shown} ... in column {column.name!r} are not times of one unit; rule: whole numbers of "
            "s, ms, us or ns since 1970, all in one unit, from March 1973 on; mend: write text, such as 2020-01-31"
        )
    exact = column.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    limit = LATEST // units[0][2]
    readable = whole & (np.abs(exact) <= limit)
    return Stamps(np.where(readable, exact, 0) * units[0][2], readable, is_aware=True)


def _from_text(text: pl.Series, time_format: str | None, where: str) -> Stamps:
    import polars as pl

    if time_format is not None:
        try:
            read = text.str.to_datetime(time_format, strict=False, time_unit="us")
        except pl.exceptions.PolarsError as error:
            raise ConfigError(f"{where}: time_format = {time_format!r}: {error}; rule: a format of strptime") from None
        is_aware = isinstance(read.dtype, pl.Datetime) and read.dtype.time_zone is not None
        is_date = not any(code in time_format for code in ("%H", "%I", "%T", "%R", "%s"))
        return _stamps(read, is_aware=is_aware, is_date=is_date)
    read = text.str.to_datetime(USUAL_FORMAT, strict=False, time_unit="us")
    if read.null_count() == text.null_count():
        return _stamps(read, is_aware=False)
    filled = text.drop_nulls()
    if len(filled) and filled.str.contains(r"^\d{9,19}(\.0*)?$").all():
        digits = text.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
        return _from_numbers(digits, where)
    offset = text.str.extract(OFFSET)
    plain = text if offset.null_count() == len(text) else text.str.replace(r"\s?(Z|z|UTC|GMT|[+-]\d{2}:?\d{2})$", "")
    if offset.null_count() != len(text):
        plain = pl.select(pl.when(offset.is_null()).then(text).otherwise(plain)).to_series()
    plain = plain.str.replace("[Tt]", " ").str.replace(r"^(\d{4})[/.](\d{2})[/.](\d{2})", "${1}-${2}-${3}")
    read, is_date = _try_formats(plain)
    stamps = _stamps(read, is_aware=False, is_date=is_date)
    if offset.null_count() == len(text):
        return stamps
    shift = _offset_minutes(offset) * MINUTE
    has_offset = offset.is_not_null().to_numpy()
    return Stamps(stamps.value - shift, stamps.readable, True, False, shift, has_offset)


def _try_formats(text: pl.Series) -> tuple[pl.Series, bool]:
    """Return the times of a text column, read by the first format that each row obeys, and whether all are dates."""
    import polars as pl

    dates = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    for form in DATE_FORMATS:
        if dates.null_count() > text.null_count():
            dates = dates.fill_null(text.str.to_datetime(form, strict=False, time_unit="us"))
    read = dates
    for form in TIME_FORMATS:
        if read.null_count() > text.null_count():
            read = read.fill_null(text.str.to_datetime(form, strict=False, time_unit="us"))
    return read, len(read) > 0 and dates.null_count() == read.null_count() and dates.null_count() < len(dates)


def _offset_minutes(offset: pl.Series) -> Ints:
    """Return the UTC offsets "+05:30", "-0500", "Z" in minutes, 0 where there is none."""
    import polars as pl

    parts = offset.str.replace(":", "", literal=True)
    hours = parts.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    minutes = parts.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    is_west = parts.str.starts_with("-").fill_null(False).to_numpy()
    size: Ints = hours * 60 + minutes
    return np.where(is_west, -size, size)


def to_utc(local: Ints, timezone: str) -> tuple[Ints, Mask]:
    """Return the instants at which clocks of a zone show each time, and which of them exist exactly once.

    Raises ConfigError for an unknown zone.
    """
    import polars as pl

    check_zone(timezone)
    clocks = pl.Series(local).cast(pl.Datetime("ns"))
    instants = clocks.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    single = instants.is_not_null().to_numpy()
    return instants.dt.timestamp("ns").fill_null(0).to_numpy(), single


def check_zone(timezone: str) -> None:
    """Raise ConfigError unless the time zone is known."""
    import polars as pl

    try:
        pl.Series([0]).cast(pl.Datetime("ns")).dt.replace_time_zone(timezone)
    except pl.exceptions.PolarsError:
        raise ConfigError(
            f'unknown timezone {timezone!r}; rule: a name such as "UTC" or "America/New_York", or "exchange"'
        ) from None


def local_offset(instants: Ints, timezone: str) -> Ints:
    """Return the UTC offset of a zone at each instant, in ns; raises ConfigError for an unknown zone."""
    check_zone(timezone)
    return local_time(instants, timezone) - instants
