"""`framework explain RUN --symbol S --at TIME`: why there was or was no trade at a bar."""

from __future__ import annotations

from pathlib import Path

import click

from framework.cli.interrupt import answer_interrupts
from framework.cli.options import again_options, answer, json_option, verbose_option
from framework.cli.progress import announce_compiling, progress_bar


@click.command("explain")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--symbol", required=True, metavar="SYMBOL", help="One of the run's symbols.")
@click.option("--at", required=True, metavar="TIME",
              help="A date, for the last bar that closed on it, or a time (UTC unless it says a zone).")
@again_options
@verbose_option
@json_option
def command(run: Path, symbol: str, at: str, data_folder: Path | None, any_version: bool, verbose: bool,
            as_json: bool) -> int:
    """Say why there was or was no trade at one bar of a run.

    RUN is a folder that `framework backtest` has written. Its configuration is run again up to that bar, after data
    and versions were compared with those of the run. Exit code 1 when the repetition differs from the recording.
    """
    from framework.backtest.explain import explain

    announce_compiling()
    with answer_interrupts(), progress_bar("explain") as progress:
        found = explain(run, symbol, at, data_folder=data_folder, any_version=any_version, progress=progress)
    if as_json:
        answer(found)
    else:
        click.echo(str(found))
    return 0 if found["is_faithful"] else 1
