"""`framework optimize CONFIG`: search over the parameters of a configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framework.cli.options import RunOptions, answer, is_terminal, run_options
from framework.cli.search_options import CONTINUE, says_how_to_go_on, search_options, split_flags

if TYPE_CHECKING:
    from framework.research.forecast import Forecast
    from framework.research.search import Search
    from framework.research.study import Progress, Watcher

SHOWN = 10
"""Trials in the table on the terminal."""


@click.command("optimize")
@click.argument("config", type=click.Path(path_type=Path))
@search_options
@click.option("--forecast", "only_forecast", is_flag=True, help="Say what it would cost, and stop.")
@run_options
def command(config: Path, only_forecast: bool, **flags: Any) -> int:
    """Search over parameters as the section [optimize] of the file CONFIG says, and write it to a folder.

    Every trial is saved when it is finished: Ctrl-C loses nothing, and --resume DIR continues.
    """
    from framework.backtest.config import load_config
    from framework.cli.execute import run_folder
    from framework.cli.progress import announce_compiling

    options, how = split_flags(flags)
    overrides = how.overrides(options)
    made = load_config(config, overrides)
    announce_compiling()
    if only_forecast:
        return _tell_forecast(made, options, how.resume)
    from framework.research.optimize import search

    folder = how.resume or run_folder(options.out, f"{made.name}-optimize", datetime.now(), CONTINUE)
    with says_how_to_go_on("optimize", config, folder, overrides, options), _shown_progress(made.name) as (told, watch):
        found = search(made, folder, resume=how.resume is not None, watch=watch, told=told, report=options.report,
                       interpreted=options.interpreted, command=["framework", *sys.argv[1:]])
    if options.as_json:
        from framework.backtest.plain import plain
        from framework.research.search import document

        answer(plain(document(found)))
    else:
        show(found, options.report)
    return 0


def _tell_forecast(made: Any, options: RunOptions, resume: Path | None) -> int:
    """Say what a search would cost, or what is left of the one in a folder."""
    import attrs

    from framework.research.executors import cores
    from framework.research.forecast import forecast
    from framework.research.journal import NAME, Journal
    from framework.research.study import check_same, prepare

    study, known = prepare(made, interpreted=options.interpreted), set[int]()
    if resume is not None:
        with closing(Journal.open(resume / NAME)) as journal:
            check_same(journal.document, study.document())
            known = {*journal.outcomes()}
    ahead = forecast(study, study.settings.workers or cores(), known)
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
    for note in found.notes:
        click.echo(f"* {note}")
    click.echo(f"* all trials begin at {study.config.run.start}, after the longest warm-up")
    assert found.folder is not None
    click.echo(f"run     {found.folder}")
    click.echo(f"best    {found.folder / 'best.toml'}")
    if report:
        click.echo(f"report  {found.folder / 'report.html'}")
