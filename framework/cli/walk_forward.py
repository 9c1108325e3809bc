"""`framework walk-forward CONFIG`: choose parameters on the past, try them on what came next, again and again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framework.cli.options import RunOptions, answer, is_terminal, run_options
from framework.cli.search_options import CONTINUE, says_how_to_go_on, search_options, split_flags

if TYPE_CHECKING:
    from framework.backtest.config import Config
    from framework.research.study import Progress
    from framework.research.walk_forward import Forward, Watcher


@click.command("walk-forward")
@click.argument("config", type=click.Path(path_type=Path))
@search_options
@run_options
def command(config: Path, **flags: Any) -> int:
    """Search on windows of the past and run the best on what follows, as [walk_forward] of the file CONFIG says.

    What is searched, and how, is said in [optimize]. Every trial is saved when it is finished: Ctrl-C loses nothing,
    and --resume DIR continues.
    """
    from framework.backtest.config import load_config
    from framework.cli.execute import run_folder
    from framework.cli.progress import announce_compiling

    options, how = split_flags(flags)
    overrides = how.overrides(options)
    made = load_config(config, overrides)
    folder = how.resume or run_folder(options.out, f"{made.name}-walk-forward", datetime.now(), CONTINUE)
    announce_compiling()
    from framework.backtest.sections import ROLLING

    with says_how_to_go_on("walk-forward", config, folder, overrides, options):
        if made.walk_forward is not None and made.walk_forward.method != ROLLING:
            return _cross_validate(made, folder, how.resume is not None, options)
        return _walk_forward(made, folder, how.resume is not None, options)


def _walk_forward(made: Config, folder: Path, resume: bool, options: RunOptions) -> int:
    """Choose leg by leg, and show what each leg chose and how that did."""
    from framework.research.walk_forward import forward

    with _shown_progress(made.name) as watch:
        found = forward(made, folder, resume=resume, watch=watch, interpreted=options.interpreted,
                        report=options.report, command=["framework", *sys.argv[1:]])
    if options.as_json:
        from framework.backtest.plain import plain
        from framework.research.walk_forward_report import document

        answer(plain(document(found)))
    else:
        show(found, options.report)
    return 0


def _cross_validate(made: Config, folder: Path, resume: bool, options: RunOptions) -> int:
    """Choose by purged folds, and show what each split chose and how the paths did."""
    from framework.backtest.plain import plain
    from framework.research.folds import cross_validate, shown_values

    with _shown_progress(made.name) as watch:
        told = None if watch is None else lambda now: watch(1, 1, now)
        found = cross_validate(made, folder, resume=resume, watch=told, interpreted=options.interpreted,
                               report=options.report, command=["framework", *sys.argv[1:]])
    if options.as_json:
        answer(plain(found.document()))
        return 0
    name = found.search.study.objective.names[0]
    for fold in found.folds:
        tested = ", ".join(str(group + 1) for group in fold.split.groups)
        click.echo(f"tested {tested}: {shown_values(fold.params)}; {name} {fold.value:.4g} in, {fold.out:.4g} out")
    sharpe = found.document()["sharpe"]
    for number, path in enumerate(found.of_paths):
        click.echo(f"path {number + 1}: Sharpe Ratio {path['Sharpe Ratio']:.2f}, Return {path['Return [%]']:.2f} %, "
                   f"Max. Drawdown {path['Max. Drawdown [%]']:.2f} %")
    click.echo(f"* {sharpe['paths']} paths over {len(found.time):,} days; gaps of {found.purge.days} days before and "
               f"{found.embargo.days} days after each test")
    for sentence in found.search.evidence.sentences if found.search.evidence is not None else ():
        click.echo(f"* {sentence}")
    click.echo(f"run     {folder}")
    if options.report:
        click.echo(f"report  {folder / 'report.html'}")
    return 0


@contextmanager
def _shown_progress(label: str) -> Iterator[Watcher | None]:
    """Yield what is told of every trial; None when nobody watches."""
    if not is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(label, total=None)

        def watch(leg: int, legs: int, now: Progress) -> None:
            bar.update(task, completed=(leg - 1) * now.total + now.done, total=legs * now.total,
                       description=f"{label} leg {leg} of {legs}")

        yield watch


def show(found: Forward, report: bool) -> None:
    """Print the legs, the table of acceptance, how steady the parameters are, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    from framework.research.search_charts import shown
    from framework.research.stability import day
    from framework.research.walk_forward_report import figure, sentences

    paths = [one.path for one in found.study.space.dimensions]
    legs = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
    for name in ("leg", "test from", *paths, "in Sharpe", "out Sharpe", "out Return [%]", "# Trades"):
        legs.add_column(name, justify="right")
    for leg in found.legs:
        window = leg.window
        chosen = ["flat" if leg.params is None else shown(leg.params[path]) for path in paths]
        sides = [(leg.inside, "Sharpe Ratio"), (leg.outside, "Sharpe Ratio"), (leg.outside, "Return [%]"),
                 (leg.outside, "# Trades")]
        legs.add_row(str(window.number), day(window.test_start), *chosen,
                     *("n/a" if stats is None else figure(stats[name]) for stats, name in sides))
    table = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
    for name in ("out of sample", "value", "accept when", ""):
        table.add_column(name, justify="right" if name == "value" else "left")
    for one in found.acceptance:
        table.add_row(one.name, "n/a" if one.value is None else shown(round(one.value, 2)), one.rule,
                      "pass" if one.passed else "fail")
    console = Console()
    console.print(legs)
    console.print(table)
    click.echo(f"verdict {found.verdict}")
    for steady in found.stability:
        spread = "" if steady.spread is None else f", spread {steady.spread:.2f} of the space's"
        click.echo(f"* {steady.path}: mostly {shown(steady.common)} ({100 * steady.share:.0f} % of legs), "
                   f"{steady.changes} changes{spread}")
    for note in (*found.out.stats.footnotes, *sentences(found)):
        click.echo(f"* {note}")
    click.echo(f"* {found.left.days} days at the end fill no test")
    click.echo(f"run     {found.folder}")
    if report:
        click.echo(f"report  {found.folder / 'report.html' if found.folder else ''}")
