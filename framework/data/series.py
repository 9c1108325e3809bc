"""The bars of one symbol, and what makes them valid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.data.timeframe import DAY, parse_timeframe
from framework.errors import DataError
from framework.model.instrument import Instrument

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ohlcv = tuple[Floats, Floats, Floats, Floats, Floats]

FIELDS = ("open", "high", "low", "close", "volume")
LEVELS_MAX = 10
"""How deep a book may be."""


def book_names(levels: int) -> tuple[str, ...]:
    """Return the names of the columns of a book, level by level.

    >>> book_names(1)
    ('bid_1', 'bid_size_1', 'ask_1', 'ask_size_1')
    """
    return tuple(f"{side}_{level}" for level in range(1, levels + 1)
                 for side in ("bid", "bid_size", "ask", "ask_size"))


ROWS_SHOWN = 5

EARLIEST = -70 * 365 * DAY
"""The first open time that a bar may have, in ns UTC: early in 1900."""

LATEST = 130 * 365 * DAY
"""The last close time that a bar may have: late in 2099."""


def _floats(values: ArrayLike) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _book(values: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    return {name: _floats(column) for name, column in values.items()}


def _times(values: ArrayLike) -> Ints:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]")
    elif array.dtype.kind not in "iu":
        raise DataError(f"bar times of type {array.dtype}; rule: int64 nanoseconds UTC, or datetime64")
    return np.ascontiguousarray(array, dtype=np.int64)


@attrs.frozen
class RepairReport:
    """How many rows of one symbol were changed at the user's request, or tolerated.

    sorted: rows that were not in order of time.  duplicates: earlier rows of a time that came again, left out.
    dropped: rows left out for a broken rule.  widened: bars whose high or low was moved to include open and close.
    zones: rows whose UTC offset was taken at its word although offsets differ.
    filled: missing bars put in, flat at the close before and without volume.
    missing: scheduled bars that are not there and were not put in.
    books: rows whose order book was left out for a broken rule.
    """

    symbol: str
    sorted: int = 0
    duplicates: int = 0
    dropped: int = 0
    widened: int = 0
    zones: int = 0
    filled: int = 0
    missing: int = 0
    books: int = 0

    def __str__(self) -> str:
        """Return one line: the symbol and every count that is not zero."""
        counts = attrs.asdict(self, filter=lambda field, value: field.name != "symbol" and value)
        return f"{self.symbol}: " + (", ".join(f"{name} {count}" for name, count in counts.items()) or "as it came")


@attrs.frozen(eq=False)
class BarSeries:
    """The bars of one symbol in one timeframe, in order of time.

    timeframe: such as "5m" or "1d".  All arrays have one element a bar: open_time and close_time in ns UTC
    (datetime64 is accepted), prices in the instrument's currency, volume in its units, all NaN where none is known.
    book: the order book at each close, by the names of `framework.data.book`; empty without one.
    report: what was repaired on the way here.  `build_tape` checks the values.
    """

    instrument: Instrument
    timeframe: str
    open_time: Ints = attrs.field(converter=_times)
    close_time: Ints = attrs.field(converter=_times)
    open: Floats = attrs.field(converter=_floats)
    high: Floats = attrs.field(converter=_floats)
    low: Floats = attrs.field(converter=_floats)
    close: Floats = attrs.field(converter=_floats)
    volume: Floats = attrs.field(converter=_floats)
    report: RepairReport = attrs.field(
        default=attrs.Factory(lambda self: RepairReport(self.instrument.symbol), takes_self=True)
    )
    book: Mapping[str, Floats] = attrs.field(factory=dict, converter=_book)

    def __attrs_post_init__(self) -> None:
        """Refuse an unknown timeframe and columns that are not equally long vectors."""
        parse_timeframe(self.timeframe)
        shapes = {name: getattr(self, name).shape for name in ("open_time", "close_time", *FIELDS)}
        shapes |= {name: column.shape for name, column in self.book.items()}
        if len(set(shapes.values())) > 1 or len(self.open_time.shape) != 1:
            raise DataError(f"{self.symbol}: columns of shapes {shapes}; rule: vectors of one length")

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.open_time)

    @property
    def symbol(self) -> str:
        """Return the symbol of the instrument."""
        return self.instrument.symbol

    @property
    def has_volume(self) -> bool:
        """Return whether the volume is known."""
        return not bool(np.isnan(self.volume).all())

    @property
    def columns(self) -> dict[str, Floats]:
        """Return open, high, low, close and volume by name."""
        return {name: getattr(self, name) for name in FIELDS}


@attrs.frozen(eq=False)
class Fault:
    """A rule that some rows break.

    mask: True at each row that breaks it.  rule: what must hold.  mend: what the reader can do about it.
    """

    mask: Mask
    rule: str
    mend: str


DROP = 'correct the rows, or leave them out with repair = "drop"'
WIDEN = 'correct the rows, or let high and low include open and close with repair = "widen"'
SORT = 'sort the rows by time, or have it done with repair = "sort"'
DUPLICATES = 'remove the double rows, or keep the last of each with repair = "duplicates"'
BOOK = 'correct the rows, or leave their order book out with repair = "book"'


def value_faults(columns: Mapping[str, Floats]) -> Iterator[Fault]:
    """Yield, one after the other, the rules on prices and volume with the rows that break them.

    A volume that is NaN on every row is that of bars without one.
    """
    open_, high, low, close, volume = (columns[name] for name in FIELDS)
    finite = np.isfinite(volume) | np.isnan(volume).all()
    for price in (open_, high, low, close):
        finite &= np.isfinite(price)
    yield Fault(~finite, "prices and volume are finite numbers", DROP)
    yield Fault(np.minimum(np.minimum(open_, close), np.minimum(high, low)) <= 0, "prices are above zero", DROP)
    yield Fault(volume < 0, "volume is not negative", DROP)
    yield Fault(high < low, "high is not below low", DROP)
    outside = (np.maximum(open_, close) > high) | (np.minimum(open_, close) < low)
    yield Fault(outside & (high >= low), "open and close lie between low and high", WIDEN)


def order_faults(open_time: Ints, close_time: Ints) -> Iterator[Fault]:
    """Yield the rules on the times of bars with the rows that break them; of two rows, the later one is named."""
    years = f"times lie between {format_time(EARLIEST)} and {format_time(LATEST)}"
    yield Fault((open_time < EARLIEST) | (close_time > LATEST), years, "correct the times, or say their unit")
    yield Fault(close_time <= open_time, "a bar closes after it opens", "correct the times or the timeframe")
    yield Fault(_later(open_time[1:] < open_time[:-1]), "rows are in order of time", SORT)
    yield Fault(_later(open_time[1:] == open_time[:-1]), "one row a time", DUPLICATES)
    yield Fault(
        _later(open_time[1:] < close_time[:-1]),
        "a bar opens when the one before has closed, or later",
        'correct the times or the timeframe, or leave the later bar out with repair = "drop"',
    )


def _later(mask: Mask) -> Mask:
    return np.concatenate((np.zeros(1, dtype=bool), mask))


def refuse(where: str, fault: Fault, rows: Ints, times: Ints, columns: Mapping[str, Floats]) -> DataError:
    """Return the error that tells which rows break a rule, their values, the rule and the mend.

    where: the source and the symbol.  rows: the number of each row at its source.  times: ns UTC.
    """

    def show(i: int) -> str:
        values = ", ".join(f"{name} {float(column[i])!r}" for name, column in columns.items())
        return f"{format_time(int(times[i]))}, {values}"

    return refusal(where, fault, rows, show)


def refusal(where: str, fault: Fault, rows: Ints, show: Callable[[int], str]) -> DataError:
    """Return the error for rows that break a rule; show tells what is in the row at a place."""
    broken = np.flatnonzero(fault.mask)
    lines = [f"{where}: {len(broken)} of {len(rows)} rows refused; rule: {fault.rule}"]
    lines += [f"  row {rows[i]}: {show(int(i))}" for i in broken[:ROWS_SHOWN]]
    if len(broken) > ROWS_SHOWN:
        lines.append(f"  and {len(broken) - ROWS_SHOWN} more")
    return DataError("\n".join([*lines, f"mend: {fault.mend} (the first row of data is row 1)"]))


def all_refused(where: str, errors: Sequence[DataError]) -> DataError:
    """Return one error for all rules that were broken; a single one is told as it is."""
    if len(errors) == 1:
        return errors[0]
    faults = [fault for error in errors for fault in error.faults]
    return DataError("\n".join([f"{where}: {len(faults)} rules are broken", *faults]), faults=faults)


def check_series(series: BarSeries, where: str = "") -> None:
    """Raise DataError for the first rule that the bars of a series break."""
    name = where or series.symbol
    if not len(series):
        raise DataError(f"{name}: no bars; rule: at least one")
    for faults in (order_faults(series.open_time, series.close_time), value_faults(series.columns)):
        for fault in faults:
            if fault.mask.any():
                rows = np.arange(1, len(series) + 1)
                raise refuse(name, fault, rows, series.open_time, series.columns)


def bars_fingerprint(bars: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the SHA-256 of the times, prices and volume of one symbol's bars, as 64 hex digits.

    bars: open_time, close_time (int64, ns UTC), open, high, low, close, volume (float64) by name, and those of a book;
    finer bars have no volume of their own.
    """
    digest = hashlib.sha256()
    book = [name for name in book_names(LEVELS_MAX) if name in bars]
    digest.update(",".join(book).encode())
    for name in ("open_time", "close_time", *FIELDS, *book):
        if name in bars:
            digest.update(np.ascontiguousarray(bars[name]).data)
    return digest.hexdigest()


def format_time(time_ns: int) -> str:
    """Return a time as ISO 8601 text in UTC, without a fraction that is zero.

    >>> format_time(0)
    '1970-01-01 00:00:00Z'
    """
    text = str(np.datetime64(time_ns, "ns")).replace("T", " ")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0')}Z" if fraction.strip("0") else f"{whole}Z"
