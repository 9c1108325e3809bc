"""`framework optimize CONFIG`: search over the parameters of a configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framework.cli.options import RunOptions, answer, is_terminal, run_options
from framework.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from framework.research.forecast import Forecast
    from framework.research.search import Search
    from framework.research.study import Progress, Watcher

SHOWN = 10
"""Trials in the table on the terminal."""


@click.command("optimize")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--sampler", metavar="NAME", help="grid, random, tpe, cma-es or nsga2.")
@click.option("--trials", type=int, metavar="N", help="How many trials.")
@click.option("--executor", metavar="NAME", help="auto, local (threads) or ray.")
@click.option("--workers", type=int, metavar="N", help="How many trials run side by side.")
@click.option("--address", metavar="ADDRESS", help="A Ray cluster that is there already, such as auto or HOST:6379.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
              help="Continue the search that was begun in this folder.")
@click.option("--forecast", "only_forecast", is_flag=True, help="Say what it would cost, and stop.")
@run_options
def command(config: Path, sampler: str | None, trials: int | None, executor: str | None, workers: int | None,
            address: str | None, resume: Path | None, only_forecast: bool, **flags: Any) -> int:
    """Search over parameters as the section [optimize] of the file CONFIG says, and write it to a folder.

    Every trial is saved when it is finished: Ctrl-C loses nothing, and --resume DIR continues.
    """
    from framework.backtest.config import load_config
    from framework.cli.execute import run_folder
    from framework.cli.progress import announce_compiling

    options = RunOptions(**flags)
    given = {"sampler": sampler, "trials": trials, "executor": executor, "workers": workers, "address": address}
    changes = [f"optimize.{key}={_toml(value)}" for key, value in given.items() if value is not None]
    made = load_config(config, (*options.all_overrides, *changes))
    if resume is not None and options.out is not None:
        raise ConfigError("--resume DIR continues in that folder; leave --out away")
    announce_compiling()
    if only_forecast:
        return _tell_forecast(made, options)
    from framework.research.optimize import search

    folder = resume or run_folder(options.out, f"{made.name}-optimize", datetime.now())
    try:
        with _shown_progress(made.name) as (told, watch):
            found = search(made, folder, resume=resume is not None, watch=watch, told=told, report=options.report,
                           interpreted=options.interpreted, command=["framework", *sys.argv[1:]])
    except (Interrupted, KeyboardInterrupt) as stop:
        told = str(stop) or "interrupted; every finished trial is saved"
        raise Interrupted(f"{told}; continue with: framework optimize {config} --resume {folder}") from None
    if options.as_json:
        from framework.backtest.plain import plain
        from framework.research.search import document

        answer(plain(document(found)))
    else:
        show(found, options.report)
    return 0


def _toml(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def _tell_forecast(made: Any, options: RunOptions) -> int:
    """Say what a search would cost."""
    import attrs

    from framework.research.executors import cores
    from framework.research.forecast import forecast
    from framework.research.study import prepare

    study = prepare(made, interpreted=options.interpreted)
    ahead = forecast(study, study.settings.workers or cores())
    if options.as_json:
        answer({"forecast": {**attrs.asdict(ahead), "seconds": ahead.seconds, "memory_bytes": ahead.memory_bytes}})
    else:
        click.echo(str(ahead))
    return 0


@contextmanager
def _shown_progress(label: str) -> Iterator[tuple[Any, Watcher | None]]:
    """Yield what is told the forecast, and what is told after every trial (None when nobody watches)."""

    def told(ahead: Forecast) -> None:
        click.echo(str(ahead), err=True)

    if not is_terminal():
        yield told, None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[best]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(label, total=None, best="")

        def watch(now: Progress) -> None:
            best = "" if now.best is None else f"best {now.best:.4g}"
            failed = f", {now.failed} failed" if now.failed else ""
            bar.update(task, completed=now.done, total=now.total, best=best + failed)

        yield told, watch


def show(found: Search, report: bool) -> None:
    """Print the best trials, what the best stands on, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    from framework.research.search_charts import shown

    study = found.study
    names, paths = study.objective.names, [one.path for one in study.space.dimensions]
    table = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
    for name in ("trial", *paths, *names, *(() if "# Trades" in names else ("# Trades",))):
        table.add_column(name, justify="right")
    for one in found.front[:SHOWN] if len(names) > 1 else found.leaders(SHOWN):
        cells = [str(one.number), *(shown(one.params[path]) for path in paths), *(f"{value:.4f}" for value in
                                                                               one.values or ())]
        table.add_row(*cells, *(() if "# Trades" in names else (str(one.statistics["# Trades"]),)))
    Console().print(table)
    work = found.work
    click.echo(f"* {len(found.outcomes):,} trials, {len(found.complete):,} with a value, in {work.seconds:.1f} s on "
               f"{work.workers} {work.executor} worker{'' if work.workers == 1 else 's'}"
               + (f"; {work.resumed:,} were there already" if work.resumed else ""))
    click.echo(f"* {found.neighbourhood}")
    for sentence in found.evidence.sentences if found.evidence is not None else ():
        click.echo(f"* {sentence}")
    click.echo(f"* all trials begin at {study.config.run.start}, after the longest warm-up")
    assert found.folder is not None
    click.echo(f"run     {found.folder}")
    click.echo(f"best    {found.folder / 'best.toml'}")
    if report:
        click.echo(f"report  {found.folder / 'report.html'}")
