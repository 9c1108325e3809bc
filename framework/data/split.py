"""One table, one series a symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framework.data.ingest import ReadOptions, read_series
from framework.data.series import BarSeries, all_refused
from framework.data.source import Request
from framework.data.table import find_symbol_column
from framework.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl


def split_table(
    table: pl.DataFrame, request: Request, options: ReadOptions, where: str, only_symbol: str
) -> list[BarSeries]:
    """Return the series in a table: one a value of its column of symbols, or one in all.

    only_symbol: the symbol of a table that says none, unless the request names one.
    Raises DataError for symbols that are not in it, and for every rule that the rows of any symbol break.
    """
    import polars as pl

    column = find_symbol_column(table.columns, options.columns)
    if column is None:
        if len(request.symbols) > 1:
            raise DataError(
                f"{where}: symbols {', '.join(request.symbols)} asked of a table without a column of symbols; mend: "
                f'one file a symbol and path = "...{{symbol}}...", or a column "symbol"'
            )
        symbol = request.symbols[0] if request.symbols else only_symbol
        instrument = request.instrument(symbol, exchange=options.exchange)
        return [read_series(table, instrument, request.read_timeframe, options, where)]
    names = table[column].cast(pl.String)
    present = names.drop_nulls().unique(maintain_order=True).to_list()
    if names.has_nulls() or not present:
        raise DataError(f"{where}: {names.null_count()} rows of {len(names)} without a symbol; rule: each row has one")
    series, refused = [], []
    for symbol in request.symbols or present:
        if symbol not in present:
            near = did_you_mean(symbol, present)
            raise DataError(f"{where}: no symbol {symbol!r}{near}; there are: {', '.join(present)}")
        place = np.flatnonzero((names == symbol).to_numpy())
        instrument = request.instrument(symbol, exchange=options.exchange)
        try:
            series.append(read_series(table[place], instrument, request.read_timeframe, options, where, place + 1))
        except DataError as error:
            refused.append(error)
    if refused:
        raise all_refused(where, refused)
    return series
