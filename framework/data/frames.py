"""Tables in memory as tapes: what a notebook passes to the framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.data.ingest import ReadOptions
from framework.data.series import BarSeries
from framework.data.source import Request, read_options
from framework.data.split import split_table
from framework.data.table import as_frame
from framework.data.tape import Tape, build_tape
from framework.errors import DataError


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
    instruments: Mapping[str, Mapping[str, Any]] | None = None,
    account_calendar: str | None = None,
    **options: Any,
) -> Tape:
    """Return the tape of whatever a notebook has.

    data: a Tape (returned as it is), a BarSeries or a list of them, one table as for `from_frame` (with a column of
    symbols, or of one symbol), or a dict from symbol to table.  symbols: which of them, in this order; all by default.
    Other arguments as for `from_frame` and `build_tape`.
    """
    if isinstance(data, Tape):
        return data
    if isinstance(data, BarSeries):
        return build_tape([data], account_calendar)
    if isinstance(data, Sequence) and data and all(isinstance(one, BarSeries) for one in data):
        return build_tape(data, account_calendar)
    read = read_options(ReadOptions, options, "frames")
    overrides = instruments or {}
    if isinstance(data, Mapping) and data and all(_is_table(value) for value in data.values()):
        missing = [symbol for symbol in symbols if symbol not in data]
        if missing:
            raise DataError(f"no table for {', '.join(missing)}; there are: {', '.join(map(str, data))}")
        series = []
        for symbol in symbols or [str(name) for name in data]:
            request, where = Request((symbol,), timeframe, {}, overrides), f"frame of {symbol}"
            series += split_table(as_frame(data[symbol], where), request, read, where, symbol)
        return build_tape(series, account_calendar)
    request = Request(tuple(symbols), timeframe, {}, overrides)
    return build_tape(split_table(as_frame(data, "frame"), request, read, "frame", "ASSET"), account_calendar)


def _is_table(value: Any) -> bool:
    """Return whether a value of a dict is a table of its own rather than a column."""
    if isinstance(value, Mapping) or hasattr(type(value), "columns"):
        return True
    if isinstance(value, np.ndarray):
        return value.ndim == 2
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)
