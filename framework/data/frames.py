"""Tables in memory as tapes: what a notebook passes to the framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from framework.data.details import check_detail
from framework.data.ingest import ReadOptions
from framework.data.resample import detailed_tape
from framework.data.series import BarSeries
from framework.data.source import Request, read_options
from framework.data.split import split_table
from framework.data.table import as_frame
from framework.data.tape import Tape, build_tape
from framework.errors import ConfigError, DataError


def from_frame(
    data: Any,
    symbol: str = "ASSET",
    timeframe: str | None = None,
    *,
    instrument: Mapping[str, Any] | None = None,
    **options: Any,
) -> BarSeries:
    """Return the bars of one symbol in a table.

    data: a pandas or Polars frame, a PyArrow table, a dict of arrays, or rows of ccxt.  timeframe: None takes the most
    common spacing.  instrument: fields of Instrument.  options: those of ReadOptions, such as stamp, timezone, repair.
    Raises DataError and ConfigError as a file of the same bars would.
    """
    read = read_options(ReadOptions, options, "frame")
    request = Request((symbol,), timeframe, {}, {symbol: instrument or {}})
    table = as_frame(data, f"frame of {symbol}")
    return split_table(table, request, read, f"frame of {symbol}", symbol)[0]


def tape_from_frames(
    data: Any,
    symbols: Sequence[str] = (),
    timeframe: str | None = None,
    *,
    detail_timeframe: str | None = None,
    instruments: Mapping[str, Mapping[str, Any]] | None = None,
    account_calendar: str | None = None,
    **options: Any,
) -> Tape:
    """Return the tape of whatever a notebook has.

    data: a Tape (returned as it is), a BarSeries or a list of them, one table as for `from_frame` (with a column of
    symbols, or of one symbol), or a dict from symbol to table.  symbols: which of them, in this order; all by default.
    detail_timeframe: the data are of this timeframe or finer, and the tape has them inside bars of `timeframe`.
    Other arguments as for `from_frame` and `build_tape`.
    """
    if isinstance(data, Tape):
        if detail_timeframe is not None and (data.details is None or data.details.timeframe != detail_timeframe):
            raise ConfigError(
                f'detail_timeframe = "{detail_timeframe}" asked of a tape that is made already; rule: finer bars go '
                "into a tape when it is made; mend: hand over the table, or make the tape with detail_timeframe"
            )
        return data
    if detail_timeframe is None:
        series = series_from_frames(data, Request(tuple(symbols), timeframe, {}, instruments or {}), options)
        return build_tape(series, account_calendar)
    check_detail(timeframe, detail_timeframe)
    request = Request(tuple(symbols), detail_timeframe, {}, instruments or {}, or_finer=True)
    return detailed_tape(series_from_frames(data, request, options), timeframe, detail_timeframe, account_calendar)


def series_from_frames(data: Any, request: Request, options: Mapping[str, object]) -> Sequence[BarSeries]:
    """Return one series a symbol of what `tape_from_frames` takes."""
    if isinstance(data, BarSeries):
        return [data]
    if isinstance(data, Sequence) and data and all(isinstance(one, BarSeries) for one in data):
        return data
    read = read_options(ReadOptions, options, "frames")
    if isinstance(data, Mapping) and data and all(_is_table(value) for value in data.values()):
        missing = [symbol for symbol in request.symbols if symbol not in data]
        if missing:
            raise DataError(f"no table for {', '.join(missing)}; there are: {', '.join(map(str, data))}")
        series = []
        for symbol in request.symbols or [str(name) for name in data]:
            one, where = attrs.evolve(request, symbols=(symbol,)), f"frame of {symbol}"
            series += split_table(as_frame(data[symbol], where), one, read, where, symbol)
        return series
    return split_table(as_frame(data, "frame"), request, read, "frame", "ASSET")


def _is_table(value: Any) -> bool:
    """Return whether a value of a dict is a table of its own rather than a column."""
    if isinstance(value, Mapping) or hasattr(type(value), "columns"):
        return True
    if isinstance(value, np.ndarray):
        return value.ndim == 2
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)
