"""Writes a run into a folder: complete or not at all, and the same bytes for the same run.

The folder is built beside its final place under a temporary name and renamed when every file is in it.  Only run.json
holds a wall-clock time; stats.json and the tables depend on the run alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from framework.backtest.analysis import analysis
from framework.backtest.plain import plain
from framework.data.tape import BAR_COLUMNS, Tape
from framework.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.result import Result

TABLES = ("trades", "open_trades", "equity", "orders", "fills", "refusals", "exits", "cash_flows")
"""Each is the frame of the same name of a Result and becomes a parquet file."""


def write_run(
    result: Result,
    folder: str | os.PathLike[str],
    report: bool = True,
    command: Sequence[str] = (),
    created: datetime | None = None,
) -> Path:
    """Write run.json, stats.json, analysis.json, the tables and report.html into a new folder and return its path.

    folder: must not exist; its parents are made. report: whether to write report.html. command: the command line, for
    run.json. created: the time to record, now by default. Raises ConfigError if the folder exists or cannot be
    written; nothing is left behind then, or when interrupted.
    """
    target = Path(folder)
    if target.exists() or target.is_symlink():
        raise ConfigError(f"the run folder {str(target)!r} exists already; name another one with --out or remove it")
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        scratch.chmod(0o777 & ~current_umask())
        fill_folder(result, scratch, report, run_document(result, command, created or datetime.now(UTC)))
        os.rename(scratch, target)
        scratch = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot write the run folder {str(target)!r}: {reason}; free the space or name a writable place with --out"
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def current_umask() -> int:
    """Return the process's file mode mask, which a temporary folder does not follow by itself."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def fill_folder(result: Result, folder: Path, report: bool, run: Mapping[str, object]) -> None:
    """Write every file of a run into an existing folder."""
    write_json(folder / "run.json", run)
    write_json(folder / "stats.json", result.stats.as_json())
    write_json(folder / "analysis.json", analysis(result))
    for name in TABLES:
        write_table(folder / f"{name}.parquet", getattr(result, name))
    if report:
        from framework.backtest.report import report_html

        (folder / "report.html").write_text(report_html(result), encoding="utf-8")


def run_document(result: Result, command: Sequence[str], created: datetime) -> dict[str, object]:
    """Return what run.json holds: everything needed to run it again, and to know that it was the same."""
    window = result.stats
    return {
        "command": list(command),
        "created": created,
        "seed": result.seed,
        "fingerprint": result.fingerprint,
        "versions": result.versions,
        "engine": result.engine,
        "plugins": result.plugins,
        **({"fits": result.fits} if result.fits else {}),
        "status": result.outcome,
        "start": window["Start"],
        "end": window["End"],
        "capital": result.capital,
        "currency": result.currency,
        "annualization": result.annualization,
        "risk_free_rate": result.risk_free_rate,
        "symbols": result.symbols,
        "slots": [{"strategy": strategy, "symbol": symbol} for strategy, symbol in result.slots],
        "rules": result.rule_names,
        "final_cash": result.cash,
        "final_positions": dict(zip(result.symbols, result.positions.tolist(), strict=False)),
        "counters": {"bars": result.counters.bars, "events": result.counters.events},
        "notes": result.stats.footnotes,
        "data": {**result.data, **({"series": series_of(result.prices)} if isinstance(result.prices, Tape) else {})},
        "folder": result.folder,
        "config": result.config,
    }


def series_of(tape: Tape) -> list[dict[str, object]]:
    """Return range and fingerprint of the bars of each symbol, so that two runs can tell whose data differ."""
    from framework.data.series import bars_fingerprint, format_time

    found: list[dict[str, object]] = []
    for number, symbol in enumerate(tape.symbols):
        rows = tape.rows(number)
        bars = {**{name: getattr(tape, name)[rows] for name in BAR_COLUMNS}, **tape.book_of(number)}
        finer = {} if tape.details is None else {"details": bars_fingerprint(tape.details.of_rows(rows))}
        ends = [format_time(int(times[edge])) if len(times) else None
                for times, edge in ((bars["open_time"], 0), (bars["close_time"], -1))]
        found.append({"symbol": symbol, "timeframe": tape.timeframes[number], "bars": len(bars["close"]),
                      "first": ends[0], "last": ends[1], "fingerprint": bars_fingerprint(bars), **finer})
    return found


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a document as JSON, indented, in the order given; NaN and infinity become null."""
    path.write_text(json_text(document), encoding="utf-8")


def json_text(document: Mapping[str, object]) -> str:
    """Return a document as the text that `write_json` writes."""
    return json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, in place of one that is there; ConfigError when that is not possible."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, path)
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}; free the space or make the folder "
                          "writable") from error
    finally:
        scratch.unlink(missing_ok=True)


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame as parquet with fixed settings, so that equal frames are equal bytes."""
    frame.write_parquet(path, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 20)
