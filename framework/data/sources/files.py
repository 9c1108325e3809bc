"""Bars in CSV and Parquet files: one file, one file a symbol, or one file with a column of symbols."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs

from framework.data.ingest import ReadOptions, read_series
from framework.data.series import FIELDS, BarSeries
from framework.data.source import DataSource, Request, read_options
from framework.data.split import split_table
from framework.data.table import CCXT_COLUMNS
from framework.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

PLACE = "{symbol}"


def _path(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value):
        raise ConfigError(f"option path = {value!r}; rule: the path of a file or a folder, or a pattern with {PLACE}")
    return str(value)


@attrs.frozen(kw_only=True)
class FileOptions(ReadOptions):
    """How files of bars are found and read.

    path: a file; a folder with one file a symbol, SYMBOL.csv; or a pattern such as "bars/{symbol}_1d.csv".
    """

    path: str = attrs.field(converter=_path, metadata={"rule": f"a file, a folder, or a pattern with {PLACE}"})


class Files(DataSource):
    """What both kinds of files share; a subclass says its endings and reads one."""

    endings: ClassVar[tuple[str, ...]] = ()

    def load(self, request: Request) -> list[BarSeries]:
        """Return the bars of each symbol."""
        where = f"source {self.name}"
        options = read_options(FileOptions, request.options, where)
        found = self._find(options.path, request)
        if isinstance(found, Path):
            return self._from_one(found, request, options)
        return [
            read_series(
                self.table(path),
                request.instrument(symbol, exchange=options.exchange),
                request.read_timeframe,
                options,
                path.name,
            )
            for symbol, path in found.items()
        ]

    def read(self, path: Path) -> pl.DataFrame:
        """Return the table in a file."""
        raise NotImplementedError

    def table(self, path: Path) -> pl.DataFrame:
        """Return the table in a file; raises DataError for one that is missing, empty or corrupt."""
        import polars as pl

        if not path.is_file():
            raise DataError(f"source {self.name}: no file {path}; mend: correct path in [data]")
        try:
            return self.read(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, UnicodeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            message = f"{path.name}: cannot be read as {self.name}: {first}; mend: write the file again"
            raise DataError(message) from None

    def _find(self, path: str, request: Request) -> Path | dict[str, Path]:
        """Return the one file, or the file of each symbol."""
        full = request.folder / path
        if PLACE in path:
            if not request.symbols:
                raise DataError(f"source {self.name}: path {path!r} needs symbols; mend: symbols = [...] in [data]")
            return {symbol: request.folder / path.replace(PLACE, symbol) for symbol in request.symbols}
        if not full.is_dir():
            return full
        present = {
            file.name.removesuffix(ending): file
            for ending in self.endings
            for file in sorted(full.iterdir())
            if file.name.endswith(ending)
        }
        if not present:
            raise DataError(f"source {self.name}: no files {', '.join('*' + e for e in self.endings)} in folder {path}")
        return {symbol: _pick(present, symbol, f"folder {path}") for symbol in request.symbols or sorted(present)}

    def _from_one(self, path: Path, request: Request, options: FileOptions) -> list[BarSeries]:
        """Return the series in one file, of one symbol or with a column of symbols."""
        table = self.table(path)
        name = path.name
        for ending in self.endings:
            name = name.removesuffix(ending)
        return split_table(table, request, options, path.name, name)


def _pick(present: Mapping[str, Path], symbol: str, where: str) -> Path:
    if symbol not in present:
        raise DataError(
            f"no file for symbol {symbol!r} in {where}{did_you_mean(symbol, present)}; there are: {', '.join(present)}"
        )
    return present[symbol]


class Csv(Files):
    """CSV files: with a header in any letter case, or rows of ccxt without one; gzip is read as it is."""

    name = "csv"
    endings = (".csv", ".csv.gz", ".txt")

    def read(self, path: Path) -> pl.DataFrame:
        """Return the table in a CSV file, all columns as text; the separator is the commonest of , ; tab |."""
        import polars as pl

        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as file:
            head = file.readline().decode("utf-8", errors="replace")
        separator = max(",;\t|", key=head.count)
        fields = [field.strip().strip('"') for field in head.split(separator)]
        has_header = not _is_number(fields[0])
        table = pl.read_csv(path, separator=separator, infer_schema=False, has_header=has_header)
        if has_header:
            return table
        if table.width < len(CCXT_COLUMNS):
            raise DataError(
                f"{path.name}: {table.width} columns without a header; rule: a header, or rows of open time in ms, "
                f"{', '.join(FIELDS)}; mend: add a first line with the names"
            )
        return table.select(table.columns[: len(CCXT_COLUMNS)]).rename(
            dict(zip(table.columns, CCXT_COLUMNS, strict=False))
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Parquet(Files):
    """Parquet files."""

    name = "parquet"
    endings = (".parquet", ".pq")

    def read(self, path: Path) -> pl.DataFrame:
        """Return the table in a Parquet file."""
        import polars as pl

        return pl.read_parquet(path)
