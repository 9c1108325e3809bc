"""`framework data import|list|check|sample`: bars of any vendor into a catalogue, what is there, and the sample."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from framework.cli.options import Subverbs, answer, json_option, verbose_option, with_flags
from framework.errors import ConfigError, DataError

if TYPE_CHECKING:
    from framework.data.catalogue import Entry
    from framework.data.series import BarSeries

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("csv", "parquet")
FLAGGED = ("timeframe", "stamp", "timezone", "exchange", "repair", "gaps")
"""Options of files that have a flag of the same name."""

catalogue_option = click.option("--catalogue", type=click.Path(path_type=Path), default="catalogue", metavar="DIR",
                                show_default=True, help="The folder of the catalogue.")
symbol_option = click.option("--symbol", "symbols", multiple=True, metavar="SYMBOL",
                             help="Only this symbol; the name of one that a file does not say. Repeatable.")
format_option = click.option("--format", "file_format", type=click.Choice(FORMATS),
                             help="The format of the files, where their ending does not tell.")
READ_OPTIONS = (
    click.option("--timeframe", metavar="TIME", help="Such as 5m or 1d; by default the most common spacing."),
    click.option("--stamp", metavar="WORD", help="open or close: what a time stamp is of its bar."),
    click.option("--timezone", metavar="ZONE", help='The zone of times that say none, or "exchange".'),
    click.option("--exchange", metavar="NAME", help='Such as XNYS; 24/7 by default.'),
    click.option("--repair", multiple=True, metavar="RULE",
                 help="sort, duplicates, drop, widen or zones; see docs/data.md. Repeatable."),
    click.option("--gaps", metavar="WORD", help="refuse (default), allow or fill missing bars."),
    click.option("--column", "columns", multiple=True, metavar="MEANING=NAME",
                 help="The column of time, open, high, low, close, volume or symbol. Repeatable."),
    click.option("--time-format", metavar="FORMAT", help="The strptime format of times written as text."),
    click.option("--instrument", multiple=True, metavar="KEY=VALUE",
                 help="A field of the instruments, such as tick=0.01. Repeatable."),
)


def read_flags(function: F) -> F:
    """Give a command every flag of how files are read."""
    for flag in (*reversed(READ_OPTIONS), format_option, symbol_option):
        function = flag(function)
    return function


@attrs.frozen
class Reading:
    """How files are read: what the flags of `import` and `check` say."""

    symbols: tuple[str, ...]
    file_format: str | None
    timeframe: str | None
    stamp: str | None
    timezone: str | None
    exchange: str | None
    repair: tuple[str, ...]
    gaps: str | None
    columns: tuple[str, ...]
    time_format: str | None
    instrument: tuple[str, ...]

    @property
    def options(self) -> dict[str, Any]:
        """The options of the source; what is not given is left to its default."""
        given = {name: getattr(self, name) for name in ("stamp", "timezone", "exchange", "gaps", "time_format")}
        found = {name: value for name, value in given.items() if value is not None}
        if self.repair:
            found["repair"] = list(self.repair)
        if self.columns:
            found["columns"] = dict(pair("--column", text) for text in self.columns)
        return found

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the instruments, their values as TOML reads them."""
        from framework.backtest.overrides import parse_override

        found: dict[str, Any] = {}
        for text in self.instrument:
            pair("--instrument", text)
            try:
                found |= parse_override(text)
            except ConfigError as error:
                raise ConfigError(str(error).replace("--set", "--instrument", 1)) from None
        return found

    def read(self, path: Path) -> list[BarSeries]:
        """Return the series in a file; mends in errors name the flags."""
        from framework.data.vendor import read_file

        try:
            return read_file(path, self.options, self.timeframe, self.symbols, self.fields, self.file_format)
        except DataError as error:
            raise DataError(flagged(str(error)), faults=map(flagged, error.faults)) from error
        except ConfigError as error:
            raise ConfigError(flagged(str(error))) from error


def flagged(message: str) -> str:
    """Return a message of the readers of files with the flags for the settings in its mends."""
    named = with_flags(message, FLAGGED)
    named = re.sub(r'columns = \{ (\w+) = "([^"]*)" \}',
                   lambda found: f"{found[0]} (--column {found[1]}={shlex.quote(found[2])})", named)
    return named.replace("with time_format,", "with time_format (--time-format),")


def pair(flag: str, text: str) -> tuple[str, str]:
    """Return key and value of KEY=VALUE; ConfigError for anything else."""
    key, sign, value = text.partition("=")
    if not key.strip() or not sign or not value.strip():
        raise ConfigError(f"{flag} {text!r}; write KEY=VALUE")
    return key.strip(), value.strip()


@click.group("data", cls=Subverbs)
def command() -> None:
    """Import, list and check market data; write the sample."""


@command.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@read_flags
@catalogue_option
@click.option("--replace", is_flag=True, help="Replace series that the catalogue has already.")
@verbose_option
@json_option
def import_command(paths: tuple[str, ...], catalogue: Path, replace: bool, verbose: bool, as_json: bool,
                   **flags: Any) -> int:
    """Check files of bars and put them into a catalogue.

    PATH is a file, a folder with one file a symbol, or a pattern with {symbol}. Nothing is written unless all of it
    is accepted.
    """
    from framework.data.catalogue import Catalogue
    from framework.data.vendor import files_of

    reading = Reading(**flags)
    files = files_of(paths, reading.symbols, reading.file_format)
    several = [(series, path.name) for path in files for series in reading.read(path)]
    entries = Catalogue(catalogue).add(several, replace)
    if as_json:
        answer({"catalogue": str(catalogue), "series": [shown(entry) for entry in entries]})
    else:
        show(entries)
        click.echo(f"catalogue  {catalogue}; [data] source = \"catalogue\", path = \"{catalogue}\" reads it")
    return 0


@command.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@read_flags
@verbose_option
@json_option
def check_command(paths: tuple[str, ...], verbose: bool, as_json: bool, **flags: Any) -> int:
    """Check files of bars as `import` does, without importing them.

    Every file is looked at, and every rule that its rows break is told with their numbers. Exit code 1 when a file is
    refused.
    """
    from framework.data.vendor import files_of

    reading = Reading(**flags)
    found = [checked(path, reading) for path in files_of(paths, reading.symbols, reading.file_format)]
    passed = all(one["passed"] for one in found)
    if as_json:
        answer({"passed": passed, "files": found})
        return int(not passed)
    for one in found:
        if one["passed"]:
            told = (f"{entry['symbol']} {entry['timeframe']}, {entry['bars']:,} bars{counted(entry)}"
                    for entry in one["series"])
            click.echo(f"ok       {one['file']}: {'; '.join(told)}")
        else:
            click.echo(f"refused  {one['error']}")
    return int(not passed)


def checked(path: Path, reading: Reading) -> dict[str, Any]:
    """Return what a file holds, or why it is refused."""
    from framework.data.catalogue import entry_of

    try:
        read = reading.read(path)
        entries = [shown(entry_of(series, path.name)) | {"has_volume": series.has_volume} for series in read]
    except DataError as error:
        return {"file": str(path), "passed": False, "error": str(error), "faults": list(error.faults), "series": []}
    return {"file": str(path), "passed": True, "error": "", "faults": [], "series": entries}


@command.command("list")
@catalogue_option
@click.option("--verify", is_flag=True, help="Read every series and compare its fingerprint.")
@verbose_option
@json_option
def list_command(catalogue: Path, verify: bool, verbose: bool, as_json: bool) -> int:
    """List what a catalogue holds: ranges, gaps, fingerprints.

    Exit code 1 when --verify finds a series that is not what was imported.
    """
    from framework.data.catalogue import Catalogue

    if not catalogue.is_dir():
        raise ConfigError(f"no catalogue at {str(catalogue)!r}; name one with --catalogue, or make it with "
                          "framework data import")
    kept = Catalogue(catalogue)
    entries = kept.entries()
    damaged = [text for text in (damage(kept, entry) for entry in entries) if text] if verify else []
    if as_json:
        answer({"catalogue": str(catalogue), "series": [shown(entry) for entry in entries], "damaged": damaged})
    else:
        show(entries)
        for text in damaged:
            click.echo(f"damaged  {text}")
        if not entries:
            click.echo(f"no series in {catalogue}")
    return int(bool(damaged))


def damage(kept: Any, entry: Entry) -> str:
    """Return why a series cannot be used; "" when it can."""
    try:
        kept.read(entry)
    except DataError as error:
        return str(error)
    return ""


@command.command("sample")
@click.option("--out", type=click.Path(path_type=Path), default="sample", metavar="DIR", show_default=True,
              help="The folder to write.")
@click.option("--symbol", "symbols", multiple=True, metavar="SYMBOL", help="Only this symbol. Repeatable.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="csv", show_default=True)
@verbose_option
@json_option
def sample_command(out: Path, symbols: tuple[str, ...], file_format: str, verbose: bool, as_json: bool) -> int:
    """Write the real daily bars of five US stocks as files, one a symbol.

    Needs the extra [demo]. They are adjusted for splits and dividends; read them with exchange = "XNYS".
    """
    from framework.data.load import load_tape

    tape = load_tape("sample", {}, symbols)
    files = [out / f"{symbol}.{file_format}" for symbol in tape.symbols]
    there = [path.name for path in files if path.exists()]
    if there:
        raise ConfigError(f"{str(out)!r} has {', '.join(there)} already; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    for symbol, path in zip(tape.symbols, files, strict=True):
        write_sample(tape.bars(symbol), path)
    if as_json:
        answer({"folder": str(out), "files": [str(path) for path in files], "exchange": "XNYS"})
    else:
        for path in files:
            click.echo(str(path))
        click.echo(f'framework data import {out} --exchange XNYS puts them into a catalogue')
    return 0


def write_sample(bars: Any, path: Path) -> None:
    """Write the bars of a symbol by the date of their session, whole or not at all."""
    import polars as pl

    from framework.data.catalogue import replace_file

    date = pl.col("close_time").dt.convert_time_zone("America/New_York").dt.date().alias("date")
    table = bars.select(date, "open", "high", "low", "close", "volume")
    try:
        replace_file(path, table.write_csv if path.suffix == ".csv" else table.write_parquet)
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}; name another folder with --out") \
            from error


def shown(entry: Entry) -> dict[str, Any]:
    """Return what is known of a series as plain values."""
    found = attrs.asdict(entry)
    found["largest_gap"] = list(entry.largest_gap) if entry.largest_gap else None
    return found


def counted(entry: Mapping[str, Any]) -> str:
    """Return repairs and gaps for a line of text; empty when there are none."""
    told = [f"{name} {count}" for name, count in entry["repairs"].items()]
    if entry["missing"]:
        told.append(f"missing {entry['missing']} in {entry['gaps']} place{'s' if entry['gaps'] > 1 else ''}")
    if not entry["has_volume"]:
        told.append("no volume")
    return f" ({', '.join(told)})" if told else ""


def show(entries: list[Entry]) -> None:
    """Print series as aligned columns."""
    rows = [("symbol", "timeframe", "exchange", "bars", "first", "last", "missing", "repaired", "fingerprint", "from")]
    for entry in entries:
        gap = f" (most after {entry.largest_gap[0]})" if entry.largest_gap else ""
        repaired = ", ".join(f"{name} {count}" for name, count in entry.repairs.items()) or "-"
        rows.append((entry.symbol, entry.timeframe, str(entry.instrument["exchange"]), f"{entry.bars:,}", entry.first,
                     entry.last, f"{entry.missing}{gap}", repaired, entry.fingerprint[:12], entry.origin))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if entries else []:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
