"""A run as its folder keeps it, and the same run put together again: checked first, compared afterwards.

Whatever is said of a recorded run by running it again rests on three checks: the data has the fingerprint of the
recording, the code has its versions, and what the repetition wrote until then equals what was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from framework.backtest.write import TABLES
from framework.data.source import time_ns
from framework.errors import ConfigError, DataError, FrameworkError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.config import Config
    from framework.backtest.result import Result
    from framework.backtest.run import Parts
    from framework.data.tape import Tape

RUNS = "runs"
"""The folder, below the present one, in which a run is found by its name alone."""

DOCUMENT, SEARCH = "run.json", "optimize.json"
LEGS = "legs"
"""What run.json has when the run was stitched of several: each with its folder, its time and its parameters."""

NEEDED = ("config", "versions", "fingerprint", "symbols", "slots", "rules", "seed")


@attrs.frozen(eq=False, slots=False)
class Recorded:
    """A run's folder. document: what its run.json holds. result: of a run that is still in memory, with no folder."""

    folder: Path
    document: Mapping[str, Any]
    result: Result | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of its data, in their order."""
        return tuple(self.document["symbols"])

    @cached_property
    def stats(self) -> dict[str, Any]:
        """The statistics by name as plain values."""
        return dict(read_document(self.folder / "stats.json"))

    def table(self, name: str) -> pl.DataFrame:
        """Return one of its tables; DataError when it cannot be read."""
        import polars as pl

        if self.result is not None:
            table: pl.DataFrame = getattr(self.result, name)
            return table
        path = self.folder / f"{name}.parquet"
        try:
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"cannot read {path}: {reason}; run the backtest again") from None

    def config(self, data_folder: Path | None = None) -> Config:
        """Return its configuration. data_folder: what relative paths of the data start from, if not as recorded."""
        from framework.backtest.config import config_from_dict

        folder = data_folder or Path(self.document.get("folder") or ".")
        try:
            return config_from_dict(self.document["config"], folder)
        except ConfigError as error:
            raise ConfigError(f"{self.folder / DOCUMENT}: {error}") from error


def open_run(name: str | Path) -> Recorded:
    """Return the run in a folder; a bare name is looked for in ./runs too.

    Raises ConfigError, with the nearest name, when there is none, and DataError when its run.json cannot be read.
    """
    path = Path(name)
    for folder in (path, Path(RUNS) / path):
        if (folder / DOCUMENT).is_file():
            document = read_document(folder / DOCUMENT)
            lacking = [key for key in NEEDED if key not in document]
            if lacking:
                raise DataError(f"{folder / DOCUMENT} is not that of a run: it lacks {', '.join(lacking)}; run the "
                                "backtest again")
            return Recorded(folder, document)
        if (folder / SEARCH).is_file():
            raise ConfigError(f"{str(folder)!r} is the folder of a search, which is many runs; backtest the best of "
                              f"them, framework backtest {folder / 'best.toml'} --out best, and name the folder best")
    if path.is_dir():
        raise ConfigError(f"{str(path)!r} is no run folder: it has no {DOCUMENT}{near_run(path / 'x', '')}")
    raise ConfigError(f"no run folder at {str(path)!r}{near_run(path, path.name)}")


def of_result(result: Result) -> Recorded:
    """Return a finished run that is still in memory as if it had been read from its folder."""
    from datetime import UTC, datetime

    from framework.backtest.plain import plain
    from framework.backtest.write import run_document

    document: Any = plain(run_document(result, (), datetime.now(UTC)))
    return Recorded(Path("this run"), document, result)


def near_run(path: Path, name: str) -> str:
    """Return the hint for a run that is not there: the nearest name beside it or in ./runs, or what there is."""
    found: dict[str, str] = {}
    for parent in (Path(RUNS), path.parent):
        if parent.is_dir():
            found |= {run.parent.name: str(run.parent) for run in sorted(parent.glob(f"*/{DOCUMENT}"))}
    hint = did_you_mean(name, found) if name else ""
    if hint:
        return hint
    if not found:
        return "; a run folder is what `framework backtest CONFIG` writes"
    latest = list(found.values())[-5:]
    return f"; there are: {', '.join(latest)}" + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def read_document(path: Path) -> Mapping[str, Any]:
    """Return a JSON document; DataError when it cannot be read or is no table."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; run the backtest again") from None
    if not isinstance(document, Mapping):
        raise DataError(f"{path} does not hold a table but {type(document).__name__}; run the backtest again")
    return document


# --- the same run again -----------------------------------------------------------------------------------------------


def version_differences(run: Recorded, config: Config) -> list[str]:
    """Return how the code of now differs from that of the recording, one line each: packages, step, plug-ins."""
    from framework.backtest.run import used_plugins, versions
    from framework.boundary.jit import engine_key

    then, now = dict(run.document["versions"]), versions()
    lines = [f"{name} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}"
             for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    if run.document.get("engine") and run.document["engine"] != engine_key() and not lines:
        lines.append("the source of the framework's step is another, under the same versions")
    before = {(item["kind"], item["name"]): item for item in run.document.get("plugins", [])}
    for item in used_plugins(config):
        old = before.get((item["kind"], item["name"]))
        found = plugin_difference(old, item) if old is not None else None
        if found is not None:
            key, was, now_is = found
            told = f"{key} was {was}, is {now_is}" if key != "source" else "another source under the same version"
            lines.append(f"{item['kind']} {item['name']}: {told}")
    return lines


def plugin_difference(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return in what two records of one plug-in differ, and both values; None when they do not.

    The first of distribution, version and source: a source is compared under one version only.
    """
    for key in ("distribution", "version", "source"):
        if one[key] != other[key]:
            return key, one[key] or "none", other[key] or "none"
    return None


def load_recorded(run: Recorded, config: Config, tape: Tape | None = None) -> Tape:
    """Return the data of a run; DataError when it is not what it was.

    tape: the data of a run that was made of a table in memory.
    """
    from framework.backtest.api import FRAME
    from framework.backtest.run import load

    if tape is None:
        if config.data.source == FRAME:
            raise ConfigError(f"{run.folder}: the run was made of a table in memory, which is not kept; hand it over "
                              "from Python, as in framework.explain(result, symbol, at)")
        tape = load(config)
    if tape.fingerprint != run.document["fingerprint"]:
        raise DataError(f"{run.folder}: the data is not what it was: its fingerprint is {tape.fingerprint[:12]}, that "
                        f"of the run {str(run.document['fingerprint'])[:12]}{changed_series(run, tape)}; bring the "
                        "data back, or run the backtest again")
    return tape


def changed_series(run: Recorded, tape: Tape) -> str:
    """Return which symbols' bars are not those of the recording, as the end of a message; "" when it is not known."""
    from framework.backtest.write import series_of

    then = {one["symbol"]: one for one in run.document.get("data", {}).get("series", [])}
    if not then:
        return ""
    now = {str(one["symbol"]): one for one in series_of(tape)}
    changed = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    return f"; other bars of {', '.join(changed[:5])}" + (" ..." if len(changed) > 5 else "") if changed else ""


def again(run: Recorded, data_folder: Path | None = None, any_version: bool = False,
          tape: Tape | None = None) -> tuple[Config, Parts, list[str]]:
    """Put a recorded run together again: its configuration, the simulation at its first event, and notes.

    any_version: go on with other versions than those of the recording and say so in a note, instead of refusing.
    Raises ConfigError for other versions, DataError for other data, and what the configuration itself raises.
    """
    from framework.backtest.run import put_together

    refuse_stitched(run)
    config = run.config(data_folder)
    differences = same_code(run, config, any_version)
    parts = put_together(config, load_recorded(run, config, tape))
    notes = [f"other code than that of the run: {line}" for line in differences]
    return config, parts, notes


def same_code(run: Recorded, config: Config, any_version: bool = False) -> list[str]:
    """Use the plug-ins of a run's configuration; return how the code differs from that of the recording.

    Raises ConfigError where it does, unless any version will do.
    """
    from framework import plugins

    plugins.use(config.plugins.allow)
    differences = version_differences(run, config)
    if differences and not any_version:
        raise ConfigError(f"{run.folder}: the code is not that of the run: {'; '.join(differences)}. Install those "
                          "versions, run the backtest again, or go on all the same with --any-version")
    return differences


def is_stitched(run: Recorded) -> bool:
    """Return whether a run was stitched of several."""
    return bool(run.document.get(LEGS))


def legs_end(run: Recorded) -> int:
    """Return when the last leg of a stitched run ends, ns UTC, exclusive."""
    return time_ns(run.document[LEGS][-1]["stitch_end"], DOCUMENT)


def refuse_stitched(run: Recorded, at: str | None = None, close: int | None = None) -> None:
    """Raise ConfigError for a run that was stitched of several, naming the one that can be run again.

    at: a date or time, and close: of the bar that it means, ns UTC, for the part in which that bar closes; without
    them the first part that was traded is named.
    """
    if not is_stitched(run):
        return
    legs = run.document[LEGS]
    told = f"{run.folder} is the folder of a walk-forward: its run is stitched of {len(legs)} tests"
    if close is None:
        leg = next((one for one in legs if one["params"] is not None), legs[0])
        which = f"leg {leg['leg']}"
    else:
        if not time_ns(legs[0]["test_start"], DOCUMENT) <= close < legs_end(run):
            raise ConfigError(f"{run.folder}: no test lies at {at}; those of its legs reach from "
                              f"{legs[0]['test_start']} to {legs[-1]['stitch_end']}")
        leg = next(one for one in legs if close < time_ns(one["stitch_end"], DOCUMENT))
        which = f"leg {leg['leg']}, in which {at} lies"
    if leg["params"] is None:
        raise ConfigError(f"{told}, and {which}{',' if at else ''} stayed flat: no trial of its search had a value, so "
                          "that no strategy was asked")
    name = f"leg-{leg['leg']}"
    raise ConfigError(f"{told}, each with parameters of its own, and cannot be run again as one; run that of {which}, "
                      f"framework backtest {run.folder / leg['folder'] / 'test.toml'} --out {name}, and name the "
                      f"folder {name}")


def same_folder(run: Recorded, result: Any) -> list[str]:
    """Return the tables in which a result differs from a recorded run."""
    return [name for name in TABLES if (run.folder / f"{name}.parquet").is_file()
            and not run.table(name).equals(getattr(result, name))]


def why_not(error: FrameworkError) -> str:
    """Return the first line of an error."""
    return str(error).splitlines()[0]
