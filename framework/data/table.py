"""Tables of bars as people have them: pandas, Polars, PyArrow, dicts of arrays, rows of ccxt; columns by meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.data.book import BOOK_FIELDS, check_book_names
from framework.data.series import FIELDS
from framework.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

TIME_NAMES = (
    "open_time",
    "opentime",
    "datetime",
    "date_time",
    "timestamp",
    "ts",
    "date",
    "time",
    "unix",
    "close_time",
    "closetime",
)
"""Names of a column of times, the one that is preferred first."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "time": TIME_NAMES,
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"),
    "volume": ("volume", "vol", "v", "tick_volume", "tickvol"),
    "symbol": ("symbol", "ticker"),
    **{name: (name,) for name in BOOK_FIELDS},
}
"""What a column may be called, letter case, spaces, dashes and brackets aside, by what it means."""

VOLUME = re.compile(r"volume|(?<![a-z])vol(?![a-z])")
"""What a normal name looks like volume by; volatility does not."""

CCXT_COLUMNS = ("open_time", *FIELDS)
"""What the rows of ccxt hold, in order: the bar's open in ms since 1970, then prices and volume."""


def as_frame(data: Any, where: str) -> pl.DataFrame:
    """Return any accepted table as a Polars frame.

    data: a pandas frame (times in its index or a column), a Polars frame, a PyArrow table, a mapping from column
    to array, or rows of ccxt: [open time in ms, open, high, low, close, volume].  Raises DataError for others.
    """
    import polars as pl

    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    package = type(data).__module__.partition(".")[0]
    if package == "pandas" and hasattr(data, "columns"):
        return _from_pandas(data, where)
    if package == "pyarrow" and hasattr(data, "schema"):
        return pl.DataFrame(pl.from_arrow(data))
    if isinstance(data, Mapping):
        return _from_columns({str(name): values for name, values in data.items()}, where)
    if isinstance(data, Sequence | np.ndarray) and not isinstance(data, str | bytes):
        return _from_rows(data, where)
    raise DataError(
        f"{where}: cannot read bars from {type(data).__name__}; rule: a pandas or Polars frame, a PyArrow table, a "
        "dict of arrays, or rows of [open time in ms, open, high, low, close, volume]"
    )


def _from_pandas(data: Any, where: str) -> pl.DataFrame:
    import pandas as pd

    index = data.index
    if isinstance(index, pd.MultiIndex) or isinstance(data.columns, pd.MultiIndex):
        raise DataError(f"{where}: a frame with several levels of index; mend: pass a dict from symbol to frame")
    columns = {str(name): data[name] for name in data.columns}
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex) or index.dtype == object:
        columns = {str(index.name or "datetime"): index.to_series(), **columns}
    return _from_columns({name: _pandas_values(column) for name, column in columns.items()}, where)


def _pandas_values(column: Any) -> Any:
    """Return a pandas column as something that Polars takes, with instants in UTC."""
    import pandas as pd
    import polars as pl

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        return pl.Series(instants).cast(pl.Datetime("us", "UTC"))
    if pd.api.types.is_numeric_dtype(column.dtype) and column.isna().any():
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if column.dtype.kind in "iufbM" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]


def _from_columns(columns: Mapping[str, Any], where: str) -> pl.DataFrame:
    import polars as pl

    series = [pl.Series(name, _polars_values(values)) for name, values in columns.items()]
    lengths = {one.name: len(one) for one in series}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{where}: columns of different lengths {lengths}; rule: one value a row in each")
    return pl.DataFrame(series)


def _polars_values(values: Any) -> Any:
    """Return values with the times in a resolution that Polars has, and mixed objects as text."""
    import polars as pl

    if isinstance(values, pl.Series):
        return values
    array = np.asarray(values)
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] not in ("D", "ms", "us", "ns"):
        return array.astype("datetime64[ms]")
    if array.dtype.kind == "O":
        return [None if value is None else str(value) for value in array.tolist()]
    return array.tolist() if array.dtype.kind in "US" else array


def _from_rows(data: Any, where: str) -> pl.DataFrame:
    import polars as pl

    lengths = {len(row) if isinstance(row, Sequence | np.ndarray) else 0 for row in data}
    if not lengths:
        raise DataError(f"{where}: no rows; rule: at least one")
    if len(lengths) > 1 or min(lengths) < len(CCXT_COLUMNS):
        raise DataError(
            f"{where}: rows of {sorted(lengths)} values; rule: [open time in ms, open, high, low, close, volume] each"
        )
    columns = [[row[place] for row in data] for place in range(len(CCXT_COLUMNS))]
    return pl.DataFrame(
        [pl.Series(name, _polars_values(values)) for name, values in zip(CCXT_COLUMNS, columns, strict=True)]
    )


def normal_name(name: str) -> str:
    """Return a column's name without letter case, spaces, dashes, dots and brackets.

    >>> normal_name(" <Open Time>")
    'open_time'
    """
    return re.sub(r"[\s_.\-]+", "_", name.strip(" \t\ufeff<>\"'").lower())


def find_columns(names: Sequence[str], chosen: Mapping[str, object], where: str) -> dict[str, str]:
    """Return meaning -> column for time, open, high, low, close, and volume, symbol and a book when there are any.

    chosen: meanings whose column the user names.  A date and a time column together give "time" and "clock".  A table
    may be without volume, unless a column looks like one.
    Raises DataError for a meaning without a column, or with several, and ConfigError for a wrong choice.
    """
    found = _chosen_columns(names, chosen, where)
    by_normal: dict[str, list[str]] = {}
    for name in names:
        by_normal.setdefault(normal_name(name), []).append(name)
    for meaning, aliases in ALIASES.items():
        if meaning in found:
            continue
        present = [name for alias in aliases for name in by_normal.get(alias, [])]
        if meaning == "time" and [normal_name(name) for name in present] == ["date", "time"]:
            found["time"], found["clock"] = present
        elif meaning == "time" and present:
            found["time"] = present[0]
        elif len(present) > 1:
            raise DataError(
                f"{where}: columns {', '.join(map(repr, present))} all mean {meaning}; mend: columns = "
                f'{{ {meaning} = "{present[0]}" }}'
            )
        elif present:
            found[meaning] = present[0]
    missing = [meaning for meaning in ("time", *FIELDS) if meaning not in found]
    alike = next((several[0] for name, several in by_normal.items() if VOLUME.search(name)), None)
    if "volume" in missing and alike is None:
        missing.remove("volume")
    if missing:
        doubt = f"; {alike!r} looks like volume: rename or drop it if it is not the volume"
        raise DataError(
            f"{where}: no column for {', '.join(missing)}; there are: {', '.join(map(repr, names))}; mend: rename, or "
            f'say columns = {{ {missing[0]} = "..." }}{doubt if "volume" in missing else ""}'
        )
    check_book_names([name for name in BOOK_FIELDS if name in found], where)
    return found


def find_symbol_column(names: Sequence[str], chosen: Mapping[str, object]) -> str | None:
    """Return the column of symbols, None when there is none."""
    if "symbol" in chosen:
        return str(chosen["symbol"])
    return next((name for name in names if normal_name(name) in ALIASES["symbol"]), None)


def _chosen_columns(names: Sequence[str], chosen: Mapping[str, object], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for meaning, name in chosen.items():
        if meaning not in ALIASES:
            known = [name for name in ALIASES if name not in BOOK_FIELDS]
            raise ConfigError(
                f"{where}: columns names {meaning!r}{did_you_mean(meaning, ALIASES)}; known: {', '.join(known)}, and "
                "of a book bid_1, bid_size_1, ask_1, ask_size_1, bid_2, ..."
            )
        if name not in names:
            raise ConfigError(
                f"{where}: columns = {{ {meaning} = {name!r} }}, but there is no such column"
                f"{did_you_mean(str(name), names)}; there are: {', '.join(map(repr, names))}"
            )
        found[meaning] = str(name)
    return found
