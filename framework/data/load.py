"""From a source's name to a tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.data.catalogue import CatalogueSource
from framework.data.details import check_detail
from framework.data.resample import detailed_tape
from framework.data.source import DataSource, Request
from framework.data.sources.files import Csv, Parquet
from framework.data.sources.sample import Sample
from framework.data.sources.synthetic import Synthetic
from framework.data.tape import Tape, build_tape
from framework.errors import ConfigError, did_you_mean

BUILT_IN: Mapping[str, type[DataSource]] = {
    source.name: source for source in (Sample, Csv, Parquet, CatalogueSource, Synthetic)
}
"""The sources that come with the framework, by name."""


def load_tape(
    source: str,
    options: Mapping[str, object] | None = None,
    symbols: Sequence[str] = (),
    timeframe: str | None = None,
    *,
    detail_timeframe: str | None = None,
    instruments: Mapping[str, Mapping[str, Any]] | None = None,
    account_calendar: str | None = None,
    folder: Path | str = ".",
    sources: Mapping[str, type[DataSource]] | None = None,
) -> Tape:
    """Return the tape that a source delivers.

    options: the keys of [data] that belong to the source.  symbols: empty means all that the source has.
    detail_timeframe: the source delivers bars of this timeframe or finer, and the tape has them inside its bars.
    instruments: per symbol the fields of Instrument that the run sets.  folder: what relative paths start from.
    sources: further sources by name, from plug-ins.
    Raises ConfigError for an unknown source, option, timeframe or instrument, and DataError for refused data.
    """
    known = {**BUILT_IN, **(sources or {})}
    if source not in known:
        raise ConfigError(f"unknown data source {source!r}{did_you_mean(source, known)}; there are: {', '.join(known)}")
    overrides = instruments or {}
    if detail_timeframe is not None:
        check_detail(timeframe, detail_timeframe)
    read, has_details = detail_timeframe or timeframe, detail_timeframe is not None
    request = Request(tuple(symbols), read, dict(options or {}), overrides, Path(folder), has_details)
    series = known[source]().load(request)
    loaded = [one.symbol for one in series]
    for symbol in overrides:
        if symbol not in loaded:
            raise ConfigError(
                f"[instruments.{symbol}]: no such symbol in the data{did_you_mean(symbol, loaded)}; there are: "
                f"{', '.join(loaded)}"
            )
    if detail_timeframe is not None:
        return detailed_tape(series, timeframe, detail_timeframe, account_calendar)
    return build_tape(series, account_calendar)
