"""A catalogue: a folder of checked bars in Parquet, one file a symbol and timeframe, each with what is known of it.

    catalogue/1d/AAPL.parquet   open_time, close_time (ns UTC), open, high, low, close, volume; the book if there is one
    catalogue/1d/AAPL.json      the instrument, the range, missing bars, repairs, where it came from, the fingerprint

Bars go in only through the checks of the sources and come out only if they are still what went in.  Both files of a
series are written whole or not at all, the bars first: a series is there when its JSON file is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import numpy as np

from framework.data.book import BOOK_FIELDS
from framework.data.gaps import missing_before
from framework.data.series import FIELDS, BarSeries, RepairReport, bars_fingerprint, format_time
from framework.data.source import DataSource, Request, option, read_options
from framework.data.tape import build_tape
from framework.data.timeframe import parse_timeframe
from framework.errors import ConfigError, DataError, did_you_mean

CATALOGUE = "catalogue"
"""The folder, below the present one, of a catalogue that is not named."""

TIME_COLUMNS = ("open_time", "close_time")


def _ends(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(value) if value else None


@attrs.frozen(kw_only=True)
class Entry:
    """What a catalogue says of one series.

    instrument: the fields of Instrument.  first, last: its first open and last close, UTC.  missing: scheduled bars
    that are not there, in `gaps` places, the largest from `largest_gap[0]` to `largest_gap[1]`.  repairs: what was
    changed on the way in, by name.  origin: the file it came from.  fingerprint: SHA-256 of its bars.
    """

    symbol: str
    timeframe: str
    instrument: Mapping[str, Any]
    bars: int
    first: str
    last: str
    missing: int
    gaps: int
    largest_gap: tuple[str, ...] | None = attrs.field(converter=_ends)
    repairs: Mapping[str, int]
    origin: str
    fingerprint: str

    @property
    def name(self) -> str:
        """Its symbol and timeframe, for messages."""
        return f"{self.symbol} {self.timeframe}"


def entry_of(series: BarSeries, origin: str) -> Entry:
    """Return what is to be said of a series: it is checked as `build_tape` does, and DataError raised when it fails."""
    build_tape([series])
    exchange = series.instrument.exchange
    holes = missing_before(exchange, series.timeframe, series.open_time, series.close_time)
    at = int(np.argmax(holes))
    ends = (format_time(int(series.close_time[at - 1])), format_time(int(series.open_time[at])))
    instrument = attrs.asdict(series.instrument)
    counts = attrs.asdict(series.report, filter=lambda field, value: field.name not in ("symbol", "missing") and value)
    return Entry(
        symbol=series.symbol, timeframe=series.timeframe, bars=len(series),
        instrument={name: value for name, value in instrument.items() if name != "symbol"},
        first=format_time(int(series.open_time[0])), last=format_time(int(series.close_time[-1])),
        missing=int(holes.sum()), gaps=int(np.count_nonzero(holes)), largest_gap=ends if holes[at] else None,
        repairs=counts, origin=origin, fingerprint=fingerprint_of(series))


def fingerprint_of(series: BarSeries) -> str:
    """Return the fingerprint of a series' bars, as run.json has it."""
    times = {"open_time": series.open_time, "close_time": series.close_time}
    return bars_fingerprint({**times, **series.columns, **series.book})


@attrs.frozen
class Catalogue:
    """The series below a folder, which need not exist yet."""

    folder: Path

    def path(self, symbol: str, timeframe: str, ending: str) -> Path:
        """Return the file of a series; what a file name cannot hold of a symbol is escaped."""
        return self.folder / timeframe / f"{quote(symbol, safe=' ^=')}{ending}"

    def entries(self) -> list[Entry]:
        """Return every series, by symbol and timeframe; DataError for a file that is not of a catalogue."""
        found = [self._entry(path) for path in sorted(self.folder.glob("*/*.json"))]
        return sorted(found, key=lambda entry: (entry.symbol, parse_timeframe(entry.timeframe)))

    def _entry(self, path: Path) -> Entry:
        try:
            return Entry(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, TypeError) as error:
            message = f"{path} is not of a catalogue: {error}; import the series again, or remove the file"
            raise DataError(message) from None

    def add(self, several: Sequence[tuple[BarSeries, str]], replace: bool = False) -> list[Entry]:
        """Write series with their origins and return their entries; all are checked before the first is written.

        Raises ConfigError for one that comes twice, or is there already unless `replace`, and for a folder that cannot
        be written; DataError for bars that break a rule.
        """
        entries = [entry_of(series, origin) for series, origin in several]
        names = [entry.name for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"{', '.join(twice)} comes from more than one file; import one of them, or join them")
        there = [entry.name for entry in entries if self.path(entry.symbol, entry.timeframe, ".json").exists()]
        if there and not replace:
            raise ConfigError(f"the catalogue {str(self.folder)!r} has {', '.join(there)} already; replace it with "
                              "--replace, or name another folder with --catalogue")
        for (series, _), entry in zip(several, entries, strict=True):
            self._write(series, entry)
        return entries

    def _write(self, series: BarSeries, entry: Entry) -> None:
        import polars as pl

        times = {"open_time": series.open_time, "close_time": series.close_time}
        columns = {**times, **series.columns, **series.book}
        table = pl.DataFrame(columns).with_columns(pl.col(TIME_COLUMNS).cast(pl.Datetime("ns", "UTC")))
        bars, described = (self.path(entry.symbol, entry.timeframe, ending) for ending in (".parquet", ".json"))
        try:
            bars.parent.mkdir(parents=True, exist_ok=True)
            described.unlink(missing_ok=True)
            replace_file(bars, lambda path: table.write_parquet(path, compression="zstd", compression_level=3))
            text = json.dumps(attrs.asdict(entry), indent=2, ensure_ascii=False) + "\n"
            replace_file(described, lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot write the catalogue {str(self.folder)!r}: {error.strerror or error}; free the "
                              "space or name a writable folder with --catalogue") from error

    def read(self, entry: Entry, request: Request | None = None) -> BarSeries:
        """Return the bars of a series; DataError when they are not what was imported.

        request: what the run sets of its instrument.
        """
        import polars as pl

        path = self.path(entry.symbol, entry.timeframe, ".parquet")
        mend = "import the series again with --replace"
        try:
            table = pl.read_parquet(path)
            times = {name: table[name].dt.timestamp("ns").to_numpy() for name in TIME_COLUMNS}
            columns = {name: table[name].to_numpy() for name in FIELDS}
            book = {name: table[name].to_numpy() for name in BOOK_FIELDS if name in table.columns}
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DataError(f"{path}: cannot be read: {first}; mend: {mend}") from None
        if bars_fingerprint({**times, **columns, **book}) != entry.fingerprint:
            raise DataError(f"{path}: its bars are not those that were imported: the fingerprint is not "
                            f"{entry.fingerprint[:12]}; mend: {mend}")
        instrument = (request or Request()).instrument(entry.symbol, **entry.instrument)
        report = RepairReport(entry.symbol, missing=entry.missing, **entry.repairs)
        return BarSeries(instrument, entry.timeframe, **times, **columns, report=report, book=book)


def replace_file(path: Path, write: Any) -> None:
    """Write a file beside its place and move it there, so that it is there whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(scratch)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _path(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value):
        raise ConfigError(f"option path = {value!r}; rule: the folder of a catalogue")
    return str(value)


@attrs.frozen(kw_only=True)
class CatalogueOptions:
    """path: the folder of the catalogue.  exchange: only series of this exchange."""

    path: str = attrs.field(default=CATALOGUE, converter=_path)
    exchange: str | None = option((str, type(None)), "the name of an exchange", default=None)


class CatalogueSource(DataSource):
    """Bars that `framework data import` has put into a catalogue: `path`, `symbols`, `timeframe`."""

    name = "catalogue"

    def load(self, request: Request) -> list[BarSeries]:
        """Return the bars of each symbol, as they were imported."""
        options = read_options(CatalogueOptions, request.options, "source catalogue")
        kept = Catalogue(request.folder / options.path)
        entries = [entry for entry in kept.entries()
                   if options.exchange in (None, entry.instrument.get("exchange"))]
        if not entries:
            raise DataError(f"source catalogue: no series in {options.path}; mend: framework data import FILE "
                            f"--catalogue {options.path}")
        symbols = request.symbols or tuple(dict.fromkeys(entry.symbol for entry in entries))
        return [kept.read(pick(entries, symbol, request.timeframe, request.or_finer), request) for symbol in symbols]


def pick(entries: Iterable[Entry], symbol: str, timeframe: str | None, or_finer: bool = False) -> Entry:
    """Return the entry of a symbol; DataError when it is not there, or in several timeframes of which none is named.

    or_finer: where there is none of the timeframe, the longest that divides it serves.
    """
    entries = list(entries)
    of_symbol = [entry for entry in entries if entry.symbol == symbol]
    if not of_symbol:
        known = list(dict.fromkeys(entry.symbol for entry in entries))
        raise DataError(f"source catalogue: no symbol {symbol!r}{did_you_mean(symbol, known)}; there are: "
                        f"{', '.join(known)}")
    there = ", ".join(entry.timeframe for entry in of_symbol)
    if timeframe is None:
        if len(of_symbol) > 1:
            raise DataError(f"source catalogue: {symbol} is there in {there}; mend: name one with timeframe in [data]")
        return of_symbol[0]
    wanted = parse_timeframe(timeframe)
    for entry in of_symbol:
        if parse_timeframe(entry.timeframe) == wanted:
            return entry
    finer = [entry for entry in of_symbol if wanted % parse_timeframe(entry.timeframe) == 0]
    longest = max(finer, key=lambda entry: parse_timeframe(entry.timeframe), default=None)
    if or_finer and longest is not None:
        return longest
    mend = "" if longest is None or or_finer else (
        f'; mend: detail_timeframe = "{longest.timeframe}" beside the timeframe in [data], which makes bars of '
        f'{timeframe} of them, or timeframe = "{longest.timeframe}"')
    raise DataError(f"source catalogue: {symbol} is not there in {timeframe}; there is: {there}{mend}")
