"""Files of any vendor as series: which files are meant, which source reads them, and what each one holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from framework.data.series import BarSeries
from framework.data.source import Request, make_instrument
from framework.data.sources.files import PLACE, Csv, Files, Parquet
from framework.data.tape import build_tape
from framework.errors import ConfigError, did_you_mean

FORMATS: Mapping[str, type[Files]] = {"csv": Csv, "parquet": Parquet}
"""The sources that read files, by the name of their format."""


def files_of(paths: Sequence[str | Path], symbols: Sequence[str] = (), file_format: str | None = None) -> list[Path]:
    """Return the files that are meant: a folder stands for those in it, a pattern with {symbol} for each symbol's.

    symbols: of a folder only their files.  Raises ConfigError for a path that does not exist or holds no such files.
    """
    endings = [end for name, kind in FORMATS.items() if file_format in (None, name) for end in kind.endings]
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if PLACE in str(given):
            if not symbols:
                raise ConfigError(f"{str(given)!r} needs symbols: name them with --symbol")
            found += [Path(str(given).replace(PLACE, symbol)) for symbol in symbols]
        elif path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if file.name.endswith(tuple(endings))]
            chosen = [file for file in inside if not symbols or symbol_of(file) in symbols]
            if not chosen:
                asked = f" of {', '.join(symbols)}" if symbols else ""
                raise ConfigError(f"no files {', '.join('*' + end for end in endings)}{asked} in folder {str(path)!r}")
            found += chosen
        else:
            found.append(path)
    for path in found:
        if not path.is_file():
            beside = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
            raise ConfigError(f"no file {str(path)!r}{did_you_mean(path.name, beside)}")
    return list(dict.fromkeys(found))


def symbol_of(path: Path) -> str:
    """Return the symbol that the name of a file says: the name without its ending."""
    for kind in FORMATS.values():
        for ending in kind.endings:
            if path.name.endswith(ending):
                return path.name.removesuffix(ending)
    return path.stem


def format_of(path: Path, file_format: str | None = None) -> str:
    """Return the format of a file, by its ending unless it is named; ConfigError when the ending tells none."""
    if file_format is not None:
        return file_format
    for name, kind in FORMATS.items():
        if path.name.endswith(kind.endings):
            return name
    known = ", ".join(end for kind in FORMATS.values() for end in kind.endings)
    raise ConfigError(f"{path.name}: its ending tells no format (known: {known}); name one with --format")


def read_file(path: Path, options: Mapping[str, Any], timeframe: str | None = None, symbols: Sequence[str] = (),
              instrument: Mapping[str, Any] | None = None, file_format: str | None = None) -> list[BarSeries]:
    """Return the series in one file, checked as a run would check them.

    options: those of `framework.data.ingest.ReadOptions`.  symbols: which of a file of several; a file of one symbol
    that does not say it takes the one that is named, else its own name.  instrument: fields that all of them get.
    Raises DataError for refused bars, with row numbers, and ConfigError for wrong options.
    """
    name = symbol_of(path)
    wanted = tuple(symbols) if len(symbols) == 1 or name not in symbols else (name,)
    kind = FORMATS[format_of(path, file_format)]
    several = []
    for series in kind().load(Request(wanted, timeframe, {**options, "path": path.name}, {}, path.parent)):
        fields = {**attrs.asdict(series.instrument), **(instrument or {})}
        del fields["symbol"]
        several.append(attrs.evolve(series, instrument=make_instrument(series.symbol, fields)))
        build_tape(several[-1:])
    return several
