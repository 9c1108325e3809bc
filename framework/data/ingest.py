"""From a table of bars to a valid series: times, order, schedule, gaps and values, each refused or repaired by name.

Nothing is repaired unless the option `repair` names the rule:

    sort        rows are put in order of time
    duplicates  of rows with one time the last stays
    drop        rows that cannot be a bar are left out: a time or number that cannot be read, NaN, infinity, a price of
                zero or below, high below low, open or close outside low..high, negative volume, a bar outside the
                sessions of its exchange, a bar that opens before the one before it has closed
    widen       high and low are moved to include open and close
    zones       UTC offsets that differ from row to row are taken at their word
    book        an order book that cannot be is left out, its bar stays: crossed or equal best prices, levels out of
                order or with holes, prices or sizes that are negative, infinite or without the other

and the option `gaps` says what a missing scheduled bar is: "refuse" (an error), "allow" (nothing, but counted), "fill"
(a flat bar at the close before, without volume).  A hole that "drop" leaves in place of an impossible bar is no error.

Every rule that is broken is told, not the first one only: rows out of order are put in order, double ones and those
whose time is refused are left out, and the rules after it are looked at.  So a row whose time is refused is told for
that alone, and a hole that it leaves is not told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from framework.data.book import BOOK_FIELDS, book_faults, normal_book
from framework.data.gaps import missing_before, with_filled_gaps
from framework.data.placement import Placed, infer_timeframe, instants_of, place_bars, zone_name
from framework.data.series import (
    DROP,
    DUPLICATES,
    FIELDS,
    SORT,
    BarSeries,
    Fault,
    Floats,
    Ints,
    Mask,
    RepairReport,
    all_refused,
    format_time,
    order_faults,
    refusal,
    refuse,
    value_faults,
)
from framework.data.source import option
from framework.data.table import find_columns, normal_name
from framework.data.tape import session_fault
from framework.data.timeframe import DAY, parse_timeframe
from framework.data.times import Stamps, local_offset, read_stamps
from framework.errors import ConfigError, DataError, did_you_mean
from framework.model.instrument import ALWAYS_OPEN, Instrument

if TYPE_CHECKING:
    import polars as pl

FINER_SHARE = 0.25
"""The share of rows without a place of their own from which on a table is taken to be of a shorter timeframe."""

REPAIRS = ("sort", "duplicates", "drop", "widen", "zones", "book")


def _repairs(value: object) -> frozenset[str]:
    """Return the named repairs; "none" names no repair."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple | set | frozenset):
        raise ConfigError(f"option repair = {value!r}; rule: one of or a list of {', '.join(REPAIRS)}, or none")
    for name in names:
        if name not in (*REPAIRS, "none"):
            near = did_you_mean(str(name), REPAIRS)
            raise ConfigError(f"option repair = {value!r}: unknown repair {name!r}{near}; known: {', '.join(REPAIRS)}")
    if "none" in names and len(names) > 1:
        raise ConfigError(f'option repair = {value!r}; rule: "none" stands alone')
    return frozenset(names) - {"none"}


def _one_of(*allowed: str | None) -> Any:
    def check(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            names = [name for name in allowed if name is not None]
            near = did_you_mean(str(value), names)
            raise ConfigError(f"option {attribute.name} = {value!r}{near}; rule: one of {', '.join(names)}")

    return check


@attrs.frozen(kw_only=True)
class ReadOptions:
    """How a table of bars is read.

    stamp: whether its times are the open or the close of bars; needed where nothing else tells.
    timezone: of times that do not say one: a name, or "exchange".  exchange: where the symbols trade.
    repair, gaps: see the module.  columns: from meaning (time, open ... volume, symbol) to the name of its column.
    time_format: the strptime format of times written as text.
    """

    stamp: str | None = attrs.field(default=None, validator=_one_of("open", "close", None))
    timezone: str | None = option((str, type(None)), 'the name of a zone, or "exchange"', default=None)
    exchange: str = option(str, 'the name of an exchange, or "24/7"', default=ALWAYS_OPEN)
    repair: frozenset[str] = attrs.field(default="none", converter=_repairs)
    gaps: str = attrs.field(default="refuse", validator=_one_of("refuse", "allow", "fill"))
    columns: Mapping[str, object] = option(Mapping, "a table from meaning to column", factory=dict)
    time_format: str | None = option((str, type(None)), "a format of strptime", default=None)


@attrs.define(eq=False)
class Draft:
    """Rows on their way to a series.

    row: the number of each at its source.  counts: what was repaired so far.  book: the columns of an order book.
    refused: an error for each rule that was broken so far.  left_out: the numbers of rows whose time was refused.
    unread: the numbers of rows that were refused for a text that is no number, which is NaN from then on.
    """

    where: str
    repair: frozenset[str]
    row: Ints
    columns: dict[str, Floats]
    raw: dict[str, pl.Series]
    counts: dict[str, int]
    time: Ints = attrs.field(factory=lambda: np.zeros(0, dtype=np.int64))
    close_time: Ints = attrs.field(factory=lambda: np.zeros(0, dtype=np.int64))
    book: dict[str, Floats] = attrs.field(factory=dict)
    refused: list[DataError] = attrs.field(factory=list)
    left_out: list[Ints] = attrs.field(factory=list)
    unread: list[Ints] = attrs.field(factory=list)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keep the error that ends a step; that no row is left is no fault of its own when rows were refused."""
        try:
            yield
        except DataError as error:
            if len(self.row) or not self.refused:
                self.refused.append(error)

    def take(self, places: Ints) -> None:
        """Keep the rows at some places, in that order."""
        self.row = self.row[places]
        self.time = self.time[places]
        if len(self.close_time):
            self.close_time = self.close_time[places]
        self.columns = {name: column[places] for name, column in self.columns.items()}
        self.book = {name: column[places] for name, column in self.book.items()}
        self.raw = {name: column[places] for name, column in self.raw.items()}

    def drop(self, mask: Mask) -> None:
        """Leave rows out and count them."""
        self.counts["dropped"] = self.counts.get("dropped", 0) + int(mask.sum())
        self.take(np.flatnonzero(~mask))

    def drop_or_refuse(self, fault: Fault) -> None:
        """Leave out the rows of a fault, and refuse them unless the user asked for it; times are known."""
        if not fault.mask.any():
            return
        if "drop" not in self.repair:
            self.refused.append(refuse(self.where, fault, self.row, self.time, self.columns))
            self.left_out.append(self.row[fault.mask])
        self.drop(fault.mask)

    def drop_or_refuse_raw(self, fault: Fault, name: str) -> None:
        """Do so for rows whose raw value of one column could not be read."""
        if not fault.mask.any():
            return
        if "drop" not in self.repair:
            self.refused.append(refusal(self.where, fault, self.row, _show_raw(self.raw[name])))
            self.left_out.append(self.row[fault.mask])
        self.drop(fault.mask)


def _show_raw(column: pl.Series) -> Callable[[int], str]:
    """Return what tells the value of a column at a place as it came."""
    return lambda i: f"{column.name} {column[i]!r}"


def read_series(
    frame: pl.DataFrame,
    instrument: Instrument,
    timeframe: str | None,
    options: ReadOptions,
    where: str,
    row: Ints | None = None,
) -> BarSeries:
    """Return the bars in a table.

    frame: a column of times and one each of open, high, low, close and, if known, volume.  timeframe: None takes the
    most common spacing.  where: the source, for messages.  row: the number of each row at its source, from 1 if None.
    Raises DataError for every rule that rows break and no repair covers; ConfigError for options that conflict.
    """
    names = find_columns(frame.columns, options.columns, where)
    where = f"{where}, {instrument.symbol}" if instrument.symbol not in where else where
    if not len(frame):
        raise DataError(f"{where}: no rows; rule: at least one")
    number = np.arange(1, len(frame) + 1) if row is None else row
    read = [name for name in (*FIELDS, *BOOK_FIELDS) if name in names]
    raw = {"time": _time_column(frame, names), **{field: frame[names[field]] for field in read}}
    draft = Draft(where, options.repair, number, {}, raw, {})
    stamps, placed, missing = None, None, np.zeros(0, dtype=np.int64)
    with draft.gathering():
        stamps = _readable_stamps(draft, options, instrument.exchange)
    with draft.gathering():
        _read_numbers(draft)
    if stamps is not None:
        known_stamp = {"opentime": "open", "closetime": "close"}.get(normal_name(names["time"]).replace("_", ""))
        with draft.gathering():
            _sort(draft)
            placed = _place(draft, stamps, timeframe, instrument.exchange, known_stamp, options)
            missing = _missing(draft, placed, instrument.exchange, options.gaps)
    if all(name in draft.columns or name in draft.book for name in read) and len(draft.time) == len(draft.row):
        with draft.gathering():
            _check_values(draft)
            _check_rows_left(draft)
            _check_book(draft)
    if draft.refused or placed is None:
        raise all_refused(where, draft.refused)
    report = RepairReport(instrument.symbol, **draft.counts)
    prices = (draft.columns["open"], draft.columns["high"], draft.columns["low"], draft.columns["close"])
    times = (draft.time, draft.close_time)
    series = BarSeries(instrument, placed.timeframe, *times, *prices, draft.columns["volume"], report, draft.book)
    if options.gaps == "fill":
        return with_filled_gaps(series, where)
    if len(draft.time) < len(missing):
        missing = missing_before(instrument.exchange, placed.timeframe, draft.time, draft.close_time)
    return attrs.evolve(series, report=attrs.evolve(report, missing=int(missing.sum())))


def _place(draft: Draft, stamps: Stamps, timeframe: str | None, exchange: str, known_stamp: str | None,
           options: ReadOptions) -> Placed:
    """Give the rows their open and close times, and leave out or refuse those that have no place."""
    _check_rows_left(draft)
    placed = place_bars(attrs.evolve(stamps, value=draft.time), timeframe, exchange, known_stamp, options.stamp,
                        options.timezone, draft.where)
    if timeframe is not None:
        _refuse_finer(draft, placed)
    draft.time, draft.close_time = placed.open_time, placed.close_time
    if placed.fault is not None:
        draft.drop_or_refuse(placed.fault)
    _check_rows_left(draft)
    _check_schedule(draft, exchange, placed.timeframe)
    return placed


def _missing(draft: Draft, placed: Placed, exchange: str, gaps: str) -> Ints:
    """Return how many scheduled bars are missing before each row, and refuse them unless gaps may be."""
    missing = missing_before(exchange, placed.timeframe, draft.time, draft.close_time)
    if gaps == "refuse":
        _refuse_gaps(draft, missing, placed.timeframe, exchange)
    return missing


def _time_column(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.Series:
    """Return the column of times; a column of dates and one of times of day are joined as text."""
    import polars as pl

    column = frame[names["time"]]
    if "clock" not in names:
        return column
    joined = pl.concat_str([column.cast(pl.String), frame[names["clock"]].cast(pl.String)], separator=" ")
    return frame.select(joined.alias(column.name)).to_series()


def _readable_stamps(draft: Draft, options: ReadOptions, exchange: str) -> Stamps:
    """Return the stamps of the rows whose time can be read, in UTC unless all are midnights that may be dates.

    The other rows are dropped or refused.
    """
    stamps = read_stamps(draft.raw["time"], options.time_format, draft.where)
    draft.time = stamps.value
    rule = "the time can be read and lies between 1900 and 2100"
    mend = "write ISO 8601, 2020-01-31 14:30, or name the format with time_format, or leave the rows out with repair = "
    draft.drop_or_refuse_raw(Fault(~stamps.readable, rule, mend + '"drop"'), "time")
    _check_rows_left(draft)
    if stamps.offset_ns is not None and stamps.has_offset is not None:
        _check_zones(draft, stamps.has_offset[stamps.readable], stamps.offset_ns[stamps.readable], options, exchange)
    stamps = attrs.evolve(stamps, value=draft.time)
    if stamps.is_aware or np.all(stamps.value % DAY == 0):
        return stamps
    draft.time, fault = instants_of(stamps, exchange, options.timezone, draft.where)
    if fault is not None:
        draft.drop_or_refuse_raw(fault, "time")
    return attrs.evolve(stamps, is_aware=True)


def _check_zones(draft: Draft, has_offset: Mask, offset: Ints, options: ReadOptions, exchange: str) -> None:
    """Refuse rows of mixed time zones; those that a named zone explains, as daylight saving does, are no mixture."""
    show = _show_raw(draft.raw["time"])
    if not has_offset.all():
        fault = Fault(~has_offset, "all rows say their zone, or none does", "write all times in one time zone")
        raise refusal(draft.where, fault, draft.row, show)
    if np.all(offset == offset[0]) or "zones" in options.repair:
        draft.counts["zones"] = int(np.sum(offset != offset[0]))
        return
    if options.timezone is not None:
        zone = zone_name(options.timezone, exchange, draft.time)
        fault = Fault(
            offset != local_offset(draft.time, zone),
            f"the UTC offset of each row is that of {zone}",
            'correct the rows, or take them at their word with repair = "zones"',
        )
    else:
        fault = Fault(
            offset != offset[0],
            "all rows have one UTC offset",
            'name the zone they share, such as timezone = "America/New_York", or take them at their word '
            'with repair = "zones"',
        )
    if fault.mask.any():
        draft.refused.append(refusal(draft.where, fault, draft.row, show))


def _read_numbers(draft: Draft) -> None:
    """Fill the columns with the numbers of the raw ones; text that is none is refused, or NaN until it is dropped."""
    import polars as pl

    for field in [name for name in draft.raw if name != "time"]:
        raw = draft.raw[field]
        text = raw.str.strip_chars() if raw.dtype == pl.String else raw
        try:
            number = text.cast(pl.Float64, strict=False)
        except pl.exceptions.PolarsError:
            raise DataError(f"{draft.where}: column {raw.name!r} is of type {raw.dtype}; rule: numbers") from None
        if raw.dtype == pl.String and "drop" not in draft.repair:
            unread = (number.is_null() & (text != "")).fill_null(False).to_numpy()
            if unread.any():
                fault = Fault(unread, f"{field} is a number", DROP)
                draft.refused.append(refusal(draft.where, fault, draft.row, _show_raw(raw)))
                draft.unread.append(draft.row[unread])
        into = draft.columns if field in FIELDS else draft.book
        into[field] = number.fill_null(np.nan).to_numpy()
    draft.columns.setdefault("volume", np.full(len(draft.row), np.nan))


def _sort(draft: Draft) -> None:
    """Put the rows in order of time, one a time, or refuse them."""
    if np.any(draft.time[1:] < draft.time[:-1]):
        late = np.concatenate(([False], draft.time[1:] < np.maximum.accumulate(draft.time)[:-1]))
        if "sort" not in draft.repair:
            fault = Fault(late, "rows are in order of time", SORT)
            draft.refused.append(refuse(draft.where, fault, draft.row, draft.time, draft.columns))
        draft.counts["sorted"] = int(late.sum())
        draft.take(np.argsort(draft.time, kind="stable"))
    _keep_one_row_a_time(draft)


def _keep_one_row_a_time(draft: Draft) -> None:
    """Keep the last of sorted rows that have one time, or refuse them."""
    again = draft.time[1:] == draft.time[:-1]
    if not again.any():
        return
    if "duplicates" not in draft.repair:
        involved = np.concatenate((again, [False])) | np.concatenate(([False], again))
        fault = Fault(involved, "one row a time", DUPLICATES)
        draft.refused.append(refuse(draft.where, fault, draft.row, draft.time, draft.columns))
    draft.counts["duplicates"] = draft.counts.get("duplicates", 0) + int(again.sum())
    draft.take(np.flatnonzero(np.concatenate((~again, [True]))))


def _refuse_finer(draft: Draft, placed: Placed) -> None:
    """Raise DataError when the rows are bars of a shorter timeframe than the one that is named.

    They are when most rows follow sooner than that, and many lie within the bar before or have no place. A spacing that
    does not divide the timeframe is left to the rules on order.
    """
    sooner = np.diff(draft.time) < parse_timeframe(placed.timeframe)
    misplaced = placed.open_time[1:] < placed.close_time[:-1]
    if placed.fault is not None:
        misplaced |= placed.fault.mask[1:]
    if not len(sooner) or np.mean(sooner) <= 0.5 or np.mean(misplaced) <= FINER_SHARE:
        return
    own, asked = infer_timeframe(draft.time, draft.where), placed.timeframe
    if parse_timeframe(asked) % parse_timeframe(own):
        return
    raise DataError(
        f'{draft.where}: timeframe = "{asked}", but the rows are {own} apart; rule: the timeframe of a table is that '
        f'of its rows, which are not put together unasked; mend: timeframe = "{own}" for bars as they are, of which an '
        f'indicator sees longer ones by bars.timeframe("{asked}"); or detail_timeframe = "{own}" beside the timeframe '
        f'in [data], which makes bars of {asked} of them; or in Python resample(series, "{asked}") of framework.data'
    )


def _check_schedule(draft: Draft, exchange: str, timeframe: str) -> None:
    """Drop or refuse bars outside sessions, and bars that open before the one before has closed."""
    outside = session_fault(exchange, timeframe, draft.time, draft.close_time)
    if outside is not None:
        draft.drop_or_refuse(outside)
        _check_rows_left(draft)
    _keep_one_row_a_time(draft)
    broken = [fault for fault in order_faults(draft.time, draft.close_time) if fault.mask.any()]
    if not broken:
        return
    overlapping = _overlapping(draft.time, draft.close_time)
    if "drop" not in draft.repair:
        draft.refused += [refuse(draft.where, fault, draft.row, draft.time, draft.columns) for fault in broken]
        draft.left_out.append(draft.row[overlapping])
    draft.drop(overlapping)


def _overlapping(open_time: Ints, close_time: Ints) -> Mask:
    """Return the bars that open before the last bar that stays has closed; cost O(bars), used on a repair only."""
    mask = np.zeros(len(open_time), dtype=bool)
    end = int(open_time[0])
    for i, (opens, closes) in enumerate(zip(open_time.tolist(), close_time.tolist(), strict=True)):
        if opens < end or closes <= opens:
            mask[i] = True
        else:
            end = closes
    return mask


def _refuse_gaps(draft: Draft, missing: Ints, timeframe: str, exchange: str) -> None:
    """Refuse scheduled bars that are missing, but for those whose rows were refused."""
    if draft.left_out:
        before = np.searchsorted(np.sort(np.concatenate(draft.left_out)), draft.row)
        missing = np.maximum(missing - np.maximum(np.diff(before, prepend=before[:1]), 0), 0)
    if not missing.any():
        return
    rule = f"every scheduled bar of {timeframe} on {exchange} is there, but {int(missing.sum())} before these are not"
    mend = (
        'mend the data, or name the exchange whose sessions they follow, exchange = "XNYS", or accept the holes '
        'with gaps = "allow", or put in flat bars with gaps = "fill"'
    )

    def show(i: int) -> str:
        last, after = format_time(int(draft.close_time[i - 1])), format_time(int(draft.time[i]))
        return f"{int(missing[i])} missing from {last} to {after}"

    draft.refused.append(refusal(draft.where, Fault(missing > 0, rule, mend), draft.row, show))


def _check_values(draft: Draft) -> None:
    """Widen, drop or refuse bars whose prices or volume cannot be."""
    if "widen" in draft.repair:
        open_, high, low, close = (draft.columns[name] for name in ("open", "high", "low", "close"))
        wide_high, wide_low = np.maximum(high, np.maximum(open_, close)), np.minimum(low, np.minimum(open_, close))
        changed = ((wide_high > high) | (wide_low < low)) & (high >= low)
        draft.counts["widened"] = int(changed.sum())
        draft.columns |= {"high": np.where(changed, wide_high, high), "low": np.where(changed, wide_low, low)}
    if "drop" in draft.repair:
        draft.drop(np.logical_or.reduce([fault.mask for fault in value_faults(draft.columns)]))
        return
    told = np.isin(draft.row, np.concatenate(draft.unread)) if draft.unread else np.zeros(len(draft.row), np.bool_)
    for number, fault in enumerate(value_faults(draft.columns)):
        mask = fault.mask if number else fault.mask & ~told
        if mask.any():
            shown = attrs.evolve(fault, mask=mask)
            draft.refused.append(refuse(draft.where, shown, draft.row, draft.time, draft.columns))


def _check_book(draft: Draft) -> None:
    """Refuse order books that cannot be, or leave them out and count them."""
    draft.book = normal_book(draft.book)
    left_out = np.zeros(len(draft.row), np.bool_)
    for fault in book_faults(draft.book):
        if fault.mask.any() and "book" not in draft.repair:
            draft.refused.append(refuse(draft.where, fault, draft.row, draft.time, draft.book))
        left_out |= fault.mask
    if left_out.any():
        draft.counts["books"] = int(left_out.sum())
        draft.book = {name: np.where(left_out, np.nan, column) for name, column in draft.book.items()}


def _check_rows_left(draft: Draft) -> None:
    if not len(draft.row):
        raise DataError(f"{draft.where}: no rows left after {draft.counts}; rule: at least one")
