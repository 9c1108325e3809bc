"""Dividends and funding of a tape's symbols, from files; and the nights that borrow and interest are counted in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.placement import instants_of
from framework.data.series import Fault, Floats, Ints, Mask, refusal
from framework.data.table import TIME_NAMES, normal_name
from framework.data.tape import Tape
from framework.data.times import read_stamps
from framework.errors import ConfigError, DataError
from framework.model.enums import CashKind
from framework.model.instrument import ALWAYS_OPEN

if TYPE_CHECKING:
    import polars as pl

SYMBOL_NAMES = ("symbol", "ticker")
RATE_NAMES = {CashKind.DIVIDEND: ("amount", "dividend", "dividends", "rate"),
              CashKind.FUNDING: ("rate", "funding_rate", "fundingrate")}
"""What the column of numbers may be called: currency per unit, or the fraction that long positions pay."""

RULES = {CashKind.DIVIDEND: "a dividend is a finite amount per unit >= 0",
         CashKind.FUNDING: "a funding rate is a finite fraction of the position's value between -1 and 1"}


@attrs.frozen(eq=False)
class CashFlows:
    """Rows of one file.  time: int64, ns UTC; symbol: int64, places in the tape; rate: float64."""

    kind: CashKind
    time: Ints
    symbol: Ints
    rate: Floats


def with_cash_flows(tape: Tape, flows: Sequence[CashFlows]) -> Tape:
    """Return the tape with these cash flows, in order of time, symbol and kind."""
    time = np.concatenate([flow.time for flow in flows])
    symbol = np.concatenate([flow.symbol for flow in flows])
    rate = np.concatenate([flow.rate for flow in flows])
    kind = np.repeat([int(flow.kind) for flow in flows], [flow.time.size for flow in flows])
    order = np.lexsort((kind, symbol, time))
    return attrs.evolve(tape, flow_time=time[order], flow_symbol=symbol[order].astype(np.int32),
                        flow_kind=kind[order].astype(np.uint8), flow_rate=rate[order])


def read_cash_flows(path: Path, kind: CashKind, tape: Tape) -> CashFlows:
    """Return the dividends or funding in a CSV or Parquet file that are of the tape's symbols.

    Its columns: a time, the symbol unless the tape has only one, and the amount or rate.  A date, or a time without a
    zone, is on the clock of the symbol's exchange.  Rows of other symbols are left out; a file without any row of the
    tape's is refused.  Raises DataError for rows that cannot be read, with their numbers.
    """
    from framework.data.vendor import FORMATS, format_of

    frame = FORMATS[format_of(path)]().table(path)
    where = path.name
    columns = {normal_name(name): name for name in frame.columns}
    time = frame[_column(columns, TIME_NAMES, "time", where)]
    rate = frame[_column(columns, RATE_NAMES[kind], "rate" if kind == CashKind.FUNDING else "amount", where)]
    symbol, known = _symbols(frame, columns, tape, where)
    numbers, rows = _numbers(rate), np.arange(1, len(frame) + 1)
    wrong = known & ~(np.isfinite(numbers) & (numbers >= 0.0 if kind == CashKind.DIVIDEND else np.abs(numbers) < 1.0))
    if wrong.any():
        raise refusal(where, Fault(wrong, RULES[kind], "correct the rows"), rows, shown(rate))
    if not known.any():
        raise DataError(f"{where}: no row is of a symbol of this run ({', '.join(tape.symbols)}); rule: at least one; "
                        "mend: name the right file, or spell its symbols as the data do")
    moment = _instants(time, symbol, known, tape, where)
    return CashFlows(kind, moment[known], symbol[known], numbers[known])


def refuse_adjusted(tape: Tape, flows: CashFlows) -> None:
    """Refuse dividends of a symbol whose prices already hold them: they would count twice."""
    for number in np.unique(flows.symbol):
        if tape.instruments[number].is_adjusted:
            symbol = tape.symbols[number]
            raise ConfigError(f"[data] dividends: prices of {symbol} are adjusted (is_adjusted = true), its dividends "
                              f"would count twice; mend: leave the dividends of {symbol} out, or use unadjusted prices")


def nights_after(tape: Tape) -> NDArray[np.int32]:
    """Return how many nights follow each bar's close, int32[bars].

    The last instant of a day of the account's calendar at which bars close has as many as days pass until the next
    such day; every other close has none, and so has the last of the data.
    """
    times, first = np.unique(tape.close_time, return_index=True)
    passing = np.zeros(times.size, np.int32)
    passing[:-1] = np.maximum(0, np.diff(np.maximum.accumulate(tape.account_day[first])))
    return np.asarray(passing[np.searchsorted(times, tape.close_time)])


def shown(column: pl.Series) -> Callable[[int], str]:
    """Return what tells the value of a row in a message."""
    return lambda i: f"{column.name} {column[i]!r}"


def _column(columns: dict[str, str], names: Sequence[str], meaning: str, where: str) -> str:
    """Return the column of a meaning; raises DataError when there is none."""
    for name in names:
        if name in columns:
            return columns[name]
    raise DataError(f"{where}: no column for {meaning}; there are: {', '.join(map(repr, columns.values()))}; mend: "
                    f"name one of them {names[0]!r}")


def _symbols(frame: pl.DataFrame, columns: dict[str, str], tape: Tape, where: str) -> tuple[Ints, Mask]:
    """Return the place of each row's symbol in the tape, and which rows are of a symbol of the tape."""
    if not set(SYMBOL_NAMES) & set(columns) and tape.n_symbols == 1:
        return np.zeros(len(frame), np.int64), np.ones(len(frame), bool)
    names = frame[_column(columns, SYMBOL_NAMES, "symbol", where)].to_list()
    places = {symbol: number for number, symbol in enumerate(tape.symbols)}
    found = np.array([places.get(str(name).strip(), -1) for name in names], np.int64)
    return found, found >= 0


def _numbers(column: pl.Series) -> Floats:
    """Return a column as numbers, NaN where it holds none."""
    import polars as pl

    text = column.str.strip_chars() if column.dtype == pl.String else column
    return text.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()


def _instants(column: pl.Series, symbol: Ints, known: Mask, tape: Tape, where: str) -> Ints:
    """Return the times of the known rows in UTC, each on the clock of its symbol's exchange unless it says a zone."""
    stamps = read_stamps(column, None, where)
    rows = np.arange(1, len(column) + 1)
    unreadable = known & ~stamps.readable
    if unreadable.any():
        fault = Fault(unreadable, "the time can be read and lies between 1900 and 2100", "write ISO 8601, 2020-01-31")
        raise refusal(where, fault, rows, shown(column))
    moment = stamps.value.copy()
    for exchange in {tape.instruments[number].exchange for number in np.unique(symbol[known])}:
        mine = known & np.isin(symbol, [n for n, one in enumerate(tape.instruments) if one.exchange == exchange])
        part = attrs.evolve(stamps, value=stamps.value[mine], readable=stamps.readable[mine], offset_ns=None,
                            has_offset=None)
        moment[mine], doubtful = instants_of(part, exchange, None if exchange == ALWAYS_OPEN else "exchange", where)
        if doubtful is not None:
            wrong = mine.copy()
            wrong[mine] = doubtful.mask
            raise refusal(where, attrs.evolve(doubtful, mask=wrong), rows, shown(column))
    return moment
