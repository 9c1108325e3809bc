"""`framework monte-carlo RUN`: simulate what the days or trades of a finished run could have made of an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framework.cli.interrupt import answer_interrupts
from framework.cli.options import answer, json_option, out_option, seed_option, set_option, verbose_option
from framework.cli.progress import progress_bar
from framework.errors import ConfigError

if TYPE_CHECKING:
    from framework.research.estimates import Estimate
    from framework.research.monte_carlo import MonteCarloResult


@click.command("monte-carlo")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--method", metavar="NAME", help="block_bootstrap, bootstrap, gbm or trade_reshuffle.")
@click.option("--paths", type=int, metavar="N", help="How many paths, at least 10,000.")
@click.option("--horizon", type=int, metavar="DAYS", help="Days of a path.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads; no result depends on them.")
@verbose_option
@seed_option
@set_option
@out_option
@json_option
def command(run: Path, method: str | None, paths: int | None, horizon: int | None, threads: int | None, verbose: bool,
            seed: int | None, overrides: tuple[str, ...], out: Path | None, as_json: bool) -> int:
    """Simulate what the days or trades of a run could have made.

    RUN is a folder that `framework backtest` has written, or `framework walk-forward`, whose days out of sample are
    simulated then; monte_carlo.json is written into it and a section into its
    report, or the file alone into --out. What is simulated stands in the section [monte_carlo] of the run's
    configuration; --set monte_carlo.KEY=VALUE and the flags change it.
    """
    from framework.backtest.recorded import open_run

    run = open_run(run).folder
    flags = {"method": method, "paths": paths, "horizon": horizon}
    simulated = simulate_run(run, overrides, {key: value for key, value in flags.items() if value is not None}, seed,
                             threads, out)
    if as_json:
        answer(document(simulated, run, out))
    else:
        show(simulated, run, out)
    return 0


def simulate_run(run: Path, overrides: tuple[str, ...] = (), flags: dict[str, Any] | None = None,
                 seed: int | None = None, threads: int | None = None, out: Path | None = None) -> MonteCarloResult:
    """Simulate from a run's folder and write the result beside it; flags come after overrides."""
    from framework.backtest.config import section_of
    from framework.backtest.monte_carlo_section import MonteCarlo
    from framework.backtest.overrides import apply_overrides
    from framework.errors import did_you_mean
    from framework.research.history import history_of_run
    from framework.research.monte_carlo import simulate

    history = history_of_run(run)
    changed = apply_overrides({MonteCarlo.SECTION: dict(history.settings)}, overrides)
    for name in changed:
        if name != MonteCarlo.SECTION:
            raise ConfigError(f"--set {name}: a finished run is simulated; only keys of [monte_carlo] can be changed"
                              f"{did_you_mean(name, [MonteCarlo.SECTION])}")
    settings = section_of(MonteCarlo, changed[MonteCarlo.SECTION] | (flags or {}))
    with answer_interrupts(), progress_bar("monte-carlo") as progress:
        result = simulate(history, settings, seed, threads, progress)
    write_document(document(result, run, out), run if out is None else out)
    if out is None:
        from framework.research.run_report import complete_report

        complete_report(run)
    return result


def document(result: MonteCarloResult, run: Path, out: Path | None = None) -> dict[str, Any]:
    """Return what ``--json`` answers and the file holds; figures that are not finite are null."""
    from framework.backtest.monte_carlo_section import FILE
    from framework.backtest.plain import plain

    file = (run if out is None else out) / FILE
    return {"run": str(run), "file": str(file), **plain(result.to_dict())}  # type: ignore[dict-item]


def write_document(content: dict[str, Any], folder: Path) -> None:
    """Write monte_carlo.json into a folder, which is made when it does not exist."""
    from framework.backtest.monte_carlo_section import FILE
    from framework.backtest.write import json_text, write_whole
    from framework.research.folders import make_folder

    make_folder(folder)
    write_whole(folder / FILE, json_text(content))


def show(result: MonteCarloResult, run: Path, out: Path | None = None) -> None:
    """Print every estimate with its interval and its way there, what must be known, and where it is written."""
    from rich.console import Console
    from rich.table import Table

    settings = result.settings
    click.echo(f"{settings.method}: {settings.paths:,} paths of {result.steps:,} "
               f"{'trades' if settings.method == 'trade_reshuffle' else 'days'}, seed {result.seed}, ruin at "
               f"{settings.ruin:.0%} of the equity at the start")
    first = next(iter(result.estimates.values()))
    table = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
    table.add_column("estimate")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for count, _ in first.trace[1:-1]:
        table.add_column(f"at {count:,}", justify="right")
    table.add_column("")
    for name, one in result.estimates.items():
        table.add_row(name, *cells(one))
    Console().print(table)
    for note in result.notes:
        click.echo(f"* {note}")
    click.echo(f"result  {document(result, run, out)['file']}")


def cells(one: Estimate) -> list[str]:
    """Return an estimate as the cells of its row."""
    return [f"{one.value:,.2f}", f"{one.low:,.2f} .. {one.high:,.2f}",
            *(f"{value:,.2f}" for _, value in one.trace[1:-1]), "" if one.has_settled else "not settled"]
