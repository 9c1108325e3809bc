"""The tape: the bars of all symbols as plain arrays, and every event in the order in which it happens.

A bar is two events, OPEN at its open_time and CLOSE at its close_time.  Events are sorted by time, CLOSE
before OPEN at one instant, and then by the order of the symbols.  Symbols need not share bars, timeframes
or sessions, and nothing is padded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.book import book_faults, check_book_names, join_books
from framework.data.calendars import account_days, clock_columns, sessions_around
from framework.data.details import DETAIL_COLUMNS, Details, details_of
from framework.data.series import FIELDS, BarSeries, Fault, RepairReport, check_series, refuse
from framework.data.timeframe import DAY, parse_timeframe
from framework.errors import DataError, did_you_mean
from framework.model.enums import EventKind
from framework.model.instrument import ALWAYS_OPEN, Instrument

if TYPE_CHECKING:
    import polars as pl

BAR_COLUMNS = ("open_time", "close_time", *FIELDS)
CLOCK_COLUMNS = ("account_day", "local_minute", "weekday", "bars_in_session", "minutes_to_close")
EVENT_COLUMNS = ("event_time", "event_kind", "event_symbol", "event_bar")
FLOW_COLUMNS = ("flow_time", "flow_symbol", "flow_kind", "flow_rate")


@attrs.frozen(eq=False, slots=False)
class Tape:
    """Bars and events of all symbols.  All arrays are vectors, C-contiguous and read-only.

    symbols, instruments, timeframes: one element a symbol.  account_calendar: "24/7" or an exchange.
    series: int64[n_symbols + 1]; the bars of symbol s are rows series[s]:series[s + 1] of every bar array.
    repairs: what was repaired or tolerated when the bars were read, one report a symbol.

    Bar arrays: open_time and close_time in ns UTC; open, high, low, close in currency; volume in units, NaN where
    none is known; account_day, the day of the account calendar that contains the close, in days since 1970-01-01 (a
    close at midnight or at the session's end belongs to the day that ends); and at the close, on the clock of the
    exchange, local_minute (0..1439), weekday (Monday 0), bars_in_session (1 on its first bar), minutes_to_close
    (0 on a bar that ends with its session; on "24/7" a session is a UTC day).

    Event arrays, two elements a bar: event_time in ns UTC, event_kind (EventKind), event_symbol, event_bar (the
    row in the bar arrays).

    Cash flows of the data, in order of time: flow_time in ns UTC, flow_symbol (its place), flow_kind (CashKind.DIVIDEND
    or FUNDING), flow_rate in currency per unit, or as a fraction of a position's value.

    details: finer bars inside the bars, if there are any.  joined: what the step reads instead of columns of the same
    name: `detail` (the rows of the finer bars of each bar; one element without any) and, with details, times and prices
    of the bars with those of the finer bars behind them.  The bars' own columns are views of them: one copy in memory.

    book: the order book at each close, by the names of `framework.data.book`, NaN for a symbol without one; empty when
    none has one.  booked: the names that each symbol has.
    """

    symbols: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    timeframes: tuple[str, ...]
    account_calendar: str
    repairs: tuple[RepairReport, ...]
    series: NDArray[np.int64]
    open_time: NDArray[np.int64]
    close_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    account_day: NDArray[np.int32]
    local_minute: NDArray[np.int16]
    weekday: NDArray[np.int8]
    bars_in_session: NDArray[np.int32]
    minutes_to_close: NDArray[np.int32]
    event_time: NDArray[np.int64]
    event_kind: NDArray[np.uint8]
    event_symbol: NDArray[np.int32]
    event_bar: NDArray[np.int64]
    flow_time: NDArray[np.int64] = attrs.field(factory=lambda: np.empty(0, np.int64))
    flow_symbol: NDArray[np.int32] = attrs.field(factory=lambda: np.empty(0, np.int32))
    flow_kind: NDArray[np.uint8] = attrs.field(factory=lambda: np.empty(0, np.uint8))
    flow_rate: NDArray[np.float64] = attrs.field(factory=lambda: np.empty(0, np.float64))
    details: Details | None = None
    joined: dict[str, NDArray[Any]] = attrs.field(init=False, factory=lambda: {"detail": np.zeros(1, np.int64)})
    book: Mapping[str, NDArray[np.float64]] = attrs.field(factory=dict)
    booked: tuple[tuple[str, ...], ...] = ()

    def __attrs_post_init__(self) -> None:
        """Join the details to the bars, and make the arrays read-only."""
        if self.details is not None:
            columns = {name: (getattr(self, name), getattr(self.details, name)) for name in DETAIL_COLUMNS}
            joined: dict[str, NDArray[Any]] = {name: np.concatenate(parts) for name, parts in columns.items()}
            self._show(self.details.timeframe, {"detail": self.details.first + self.n_bars, **joined})
        for name in ("series", *BAR_COLUMNS, *CLOCK_COLUMNS, *EVENT_COLUMNS, *FLOW_COLUMNS):
            getattr(self, name).flags.writeable = False
        for column in self.book.values():
            column.flags.writeable = False

    def _show(self, timeframe: str, joined: dict[str, NDArray[Any]]) -> None:
        """Let the columns of bars and details be views of the joined ones, which nobody may write."""
        for array in joined.values():
            array.flags.writeable = False
        n_bars = len(joined["detail"]) - 1
        bars = {name: joined[name][:n_bars] for name in DETAIL_COLUMNS}
        finer = {name: joined[name][n_bars:] for name in DETAIL_COLUMNS}
        details = Details(timeframe, joined["detail"] - n_bars, **finer)
        self.__dict__.update(joined=joined, details=details, **bars)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process is made from: joined columns once, without the views of them."""
        state = dict(self.__dict__)
        if self.details is not None:
            state = {name: value for name, value in state.items() if name not in DETAIL_COLUMNS}
            state["details"] = self.details.timeframe
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` returned."""
        self.__dict__.update(state)
        if self.details is not None:
            self._show(state["details"], state["joined"])

    @property
    def n_symbols(self) -> int:
        """Return the number of symbols."""
        return len(self.symbols)

    @cached_property
    def without_volume(self) -> tuple[str, ...]:
        """Return the symbols whose data say no volume."""
        return tuple(symbol for number, symbol in enumerate(self.symbols) if not self.has_volume(number))

    def has_volume(self, symbol_index: int) -> bool:
        """Return whether the volume of a symbol is known; it is NaN on all bars otherwise."""
        return not bool(np.isnan(self.volume[self.rows(symbol_index)][:1]).any())

    @property
    def n_bars(self) -> int:
        """Return the number of bars of all symbols together."""
        return len(self.open_time)

    @property
    def n_events(self) -> int:
        """Return the number of events, two a bar."""
        return len(self.event_time)

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of symbols, instruments, timeframes, calendar, all bars and cash flows: 64 digits."""
        digest = hashlib.sha256()
        described = (self.symbols, self.instruments, self.timeframes, self.account_calendar, self.series.tolist())
        digest.update(repr(described).encode())
        for name in (*BAR_COLUMNS, *FLOW_COLUMNS):
            digest.update(getattr(self, name).data)
        if self.details is not None:
            digest.update(self.details.timeframe.encode())
            for name in ("first", *DETAIL_COLUMNS):
                digest.update(getattr(self.details, name).data)
        for name, column in self.book.items():
            digest.update(name.encode())
            digest.update(column.data)
        return digest.hexdigest()

    def symbol_index(self, symbol: str) -> int:
        """Return the place of a symbol; raises DataError for one that is not here."""
        if symbol not in self.symbols:
            raise DataError(
                f"no symbol {symbol!r} in the data{did_you_mean(symbol, self.symbols)}; there are: "
                f"{', '.join(self.symbols)}"
            )
        return self.symbols.index(symbol)

    def rows(self, symbol_index: int) -> slice:
        """Return the rows of one symbol in the bar arrays."""
        return slice(int(self.series[symbol_index]), int(self.series[symbol_index + 1]))

    def bars(self, symbol: str) -> pl.DataFrame:
        """Return the bars of one symbol as a Polars frame, its book beside them; times as Datetime[ns, UTC].

        Raises DataError.
        """
        import polars as pl

        number = self.symbol_index(symbol)
        rows = self.rows(number)
        columns = {name: getattr(self, name)[rows] for name in BAR_COLUMNS}
        frame = pl.DataFrame({**columns, **self.book_of(number)})
        return frame.with_columns(pl.col("open_time", "close_time").cast(pl.Datetime("ns", "UTC")))

    def book_of(self, symbol_index: int) -> dict[str, NDArray[np.float64]]:
        """Return the order book of one symbol, empty when it has none."""
        rows = self.rows(symbol_index)
        return {name: self.book[name][rows] for name in (self.booked[symbol_index] if self.booked else ())}

    def book_at(self, keep: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        """Return the book at some rows, bool[n_bars]."""
        return {name: column[keep] for name, column in self.book.items()}

    def truncate(self, until_ns: int) -> Tape:
        """Return the tape of what closes, and flows, at or before a time; a symbol may be left without any bars.

        Cost: O(bars) time and memory.
        """
        flows = {name: getattr(self, name)[self.flow_time <= until_ns] for name in FLOW_COLUMNS}
        return attrs.evolve(self.only(self.close_time <= until_ns), **flows)

    def only(self, keep: NDArray[np.bool_]) -> Tape:
        """Return the tape of some bars and all cash flows; a symbol may be left without any bars.

        keep: bool[n_bars], true for the bars that stay.
        Cost: O(bars) time and memory.
        """
        new_row = np.cumsum(keep) - 1
        kept_before = np.concatenate(([0], new_row + 1))
        events = keep[self.event_bar]
        arrays: dict[str, Any] = {name: getattr(self, name)[keep] for name in (*BAR_COLUMNS, *CLOCK_COLUMNS)}
        arrays |= {name: getattr(self, name)[events] for name in EVENT_COLUMNS}
        arrays["event_bar"] = new_row[arrays["event_bar"]]
        details = None if self.details is None else self.details.of_bars(keep)
        return attrs.evolve(self, series=kept_before[self.series], details=details, book=self.book_at(keep),
                            **arrays)


def build_tape(series: Sequence[BarSeries], account_calendar: str | None = None,
               finer: Sequence[BarSeries] = ()) -> Tape:
    """Return the tape of some series, in their order.

    account_calendar: "24/7" or an exchange; by default the exchange of all instruments, "24/7" if they differ.
    finer: series of the same symbols in a shorter timeframe, which make up the bars.
    Raises DataError for no series, a symbol that comes twice, bars that break a rule of `check_series` or lie outside
    the sessions of their exchange, and bars that the finer ones do not make up.
    Cost: O(bars log symbols) time, O(bars) memory.
    """
    if not series:
        raise DataError("no data: no symbols were given; rule: at least one")
    symbols = tuple(s.symbol for s in series)
    double = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if double:
        raise DataError(f"symbols that come more than once: {', '.join(double)}; rule: one series a symbol")
    for one in (*series, *finer):
        check_series(one)
        check_book(one)
        check_sessions(one)
    exchanges = {s.instrument.exchange for s in series}
    calendar = account_calendar or (exchanges.pop() if len(exchanges) == 1 else ALWAYS_OPEN)
    starts = np.concatenate(([0], np.cumsum([len(s) for s in series])))
    bars = {name: np.concatenate([getattr(s, name) for s in series]) for name in BAR_COLUMNS}
    clocks = [clock_columns(s.instrument.exchange, s.close_time) for s in series]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(c, name) for c in clocks]) for name in CLOCK_COLUMNS[1:]}
    return Tape(
        symbols=symbols,
        instruments=tuple(s.instrument for s in series),
        timeframes=tuple(s.timeframe for s in series),
        account_calendar=calendar,
        repairs=tuple(s.report for s in series),
        series=starts,
        account_day=account_days(calendar, bars["close_time"]),
        book=join_books([s.book for s in series], [len(s) for s in series]),
        booked=tuple(tuple(s.book) for s in series),
        **bars,
        **arrays,
        **_events(starts, bars["open_time"], bars["close_time"]),
        details=details_of(series, finer) if finer else None,
    )


def _events(
    series: NDArray[np.int64], open_time: NDArray[np.int64], close_time: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the event columns, sorted by time, CLOSE before OPEN, symbol.

    The events of one symbol alternate and are sorted as they are: its bars do not overlap.  So a stable sort merges
    sorted runs that stand in symbol order, and leaves equal keys in that order.
    """
    n_bars = len(open_time)
    key = np.empty(2 * n_bars, dtype=np.int64)
    np.multiply(open_time, 2, out=key[0::2])
    key[0::2] += 1
    np.multiply(close_time, 2, out=key[1::2])
    if len(series) > 2:
        order = np.argsort(key, kind="stable")
        key = key[order]
        bar = order >> 1
    else:
        bar = np.arange(2 * n_bars) >> 1
    symbol = np.repeat(np.arange(len(series) - 1, dtype=np.int32), np.diff(series))
    kind = np.where(key & 1, np.uint8(EventKind.OPEN), np.uint8(EventKind.CLOSE))
    return {"event_time": key >> 1, "event_kind": kind, "event_symbol": symbol[bar], "event_bar": bar}


def check_book(series: BarSeries) -> None:
    """Raise DataError for an order book whose columns or values break a rule."""
    check_book_names(tuple(series.book), series.symbol)
    for fault in book_faults(series.book):
        if fault.mask.any():
            raise refuse(series.symbol, fault, np.arange(1, len(series) + 1), series.open_time, series.book)


def check_sessions(series: BarSeries, where: str = "") -> None:
    """Raise DataError for bars that do not lie within the sessions of their exchange."""
    fault = session_fault(series.instrument.exchange, series.timeframe, series.open_time, series.close_time)
    if fault is not None and fault.mask.any():
        rows = np.arange(1, len(series) + 1)
        raise refuse(where or series.symbol, fault, rows, series.open_time, series.columns)


def session_fault(
    exchange: str, timeframe: str, open_time: NDArray[np.int64], close_time: NDArray[np.int64]
) -> Fault | None:
    """Return the rows that lie outside sessions: an intraday bar within one, a longer one from an open to a close."""
    if exchange == ALWAYS_OPEN:
        return None
    sessions = sessions_around(exchange, int(open_time.min()), int(close_time.max()))
    index, inside = sessions.containing(close_time)
    first, opened = sessions.containing(open_time + 1)
    if parse_timeframe(timeframe) < DAY:
        mask = ~inside | (open_time < sessions.open[index])
        rule = f"a bar lies within one session of {exchange}"
    else:
        mask = ~inside | ~opened | (close_time != sessions.close[index]) | (open_time != sessions.open[first])
        rule = f"a bar of {timeframe} opens and closes with sessions of {exchange}"
    return Fault(mask, rule, 'name the right exchange and time zone, or leave the rows out with repair = "drop"')
