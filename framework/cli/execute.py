"""Run a configuration from the command line: check, run, write the folder, show the statistics."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framework.cli.interrupt import answer_interrupts
from framework.cli.options import RunOptions, answer
from framework.cli.progress import announce_compiling, progress_bar
from framework.errors import ConfigError

if TYPE_CHECKING:
    from framework.backtest.config import Config
    from framework.backtest.result import Result

RUNS = "runs"
"""The folder, below the present one, that runs are written to unless --out names another."""


def execute(config: Config, options: RunOptions, monte_carlo: bool = False) -> int:
    """Run, write and show; returns the exit code.  monte_carlo: simulate from the run that was written."""
    folder = run_folder(options.out, config.name, datetime.now())
    from framework.backtest import api
    from framework.backtest.write import write_run

    announce_compiling()
    with answer_interrupts(), progress_bar(config.name) as progress:
        result = api.execute(config, None, progress, options.interpreted)
    written = write_run(result, folder, report=options.report, command=["framework", *sys.argv[1:]])
    if options.report:
        from framework.research.run_report import complete_report

        complete_report(written)
    shown = document(result, written, config, options.report) if options.as_json else None
    if shown is None:
        show(result, written, options.report)
    if monte_carlo:
        from framework.cli import monte_carlo as simulation

        simulated = simulation.simulate_run(written)
        if shown is None:
            simulation.show(simulated, written)
        else:
            shown["monte_carlo"] = simulation.document(simulated, written)
    if shown is not None:
        answer(shown)
    return 0


def run_folder(out: Path | None, name: str, now: datetime, otherwise: str = "remove it") -> Path:
    """Return the folder of a run, which does not exist yet; raises ConfigError when `out` does.

    It is checked before the run, so that nobody waits for a result that has no place to go.  otherwise: what else could
    be done about a folder that is there.
    """
    if out is not None:
        if out.exists() or out.is_symlink():
            raise ConfigError(f"the run folder {str(out)!r} exists already; name another one with --out or {otherwise}")
        return out
    label = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[:80] or "run"
    stem = f"{now:%Y%m%d-%H%M%S}-{label}"
    folder, number = Path(RUNS) / stem, 1
    while folder.exists():
        number += 1
        folder = Path(RUNS) / f"{stem}-{number}"
    return folder


def document(result: Result, folder: Path, config: Config, report: bool) -> dict[str, Any]:
    """Return what ``--json`` answers."""
    return {
        "run": str(folder),
        "name": config.name,
        "stats": result.stats.as_json(),
        "intervals": {name: [found.low, found.high] for name, found in result.intervals.items()},
        "notes": list(result.stats.footnotes),
        "trades": len(result.records.trades),
        "seed": result.seed,
        "fingerprint": result.fingerprint,
        "status": result.outcome,
        "report": str(folder / "report.html") if report else None,
    }


def show(result: Result, folder: Path, report: bool) -> None:
    """Print the statistics as a table, what must be known about them, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    from framework.backtest.stats import GRADES, format_value

    table = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
    table.add_column("statistic")
    table.add_column("value", justify="right")
    table.add_column("grade")
    table.add_column("95 % interval", justify="right")
    found = result.intervals
    for name, value in result.stats.items():
        is_graded = name in GRADES and isinstance(value, float)
        grade = GRADES[name].of(float(value)) if is_graded else ""  # type: ignore[arg-type]
        ends = found.get(name)
        sure = f"{format_value(name, ends.low)} to {format_value(name, ends.high)}" if ends else ""
        table.add_row(name, format_value(name, value), grade, sure)
    Console().print(table)
    for note in result.stats.footnotes:
        click.echo(f"* {note}")
    click.echo(f"run     {folder}")
    if report:
        click.echo(f"report  {folder / 'report.html'}")
