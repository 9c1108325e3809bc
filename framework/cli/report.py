"""`framework report RUN`: show the report of a run, or make it again."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from framework.cli.interrupt import answer_interrupts
from framework.cli.options import again_options, answer, json_option, verbose_option
from framework.cli.progress import announce_compiling, progress_bar
from framework.errors import ConfigError

if TYPE_CHECKING:
    from framework.backtest.api import Progress
    from framework.backtest.recorded import Recorded
    from framework.backtest.result import Result
    from framework.research.study import Progress as Trials

FILE = "report.html"


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rebuild", is_flag=True, help="Make the report again although there is one.")
@click.option("--open", "is_shown", is_flag=True, help="Open the report in a browser.")
@again_options
@verbose_option
@json_option
def command(run: Path, rebuild: bool, is_shown: bool, data_folder: Path | None, any_version: bool, verbose: bool,
            as_json: bool) -> int:
    """Say where the report of RUN is; make it when there is none.

    RUN is a folder that `framework backtest` or `walk-forward` has written. To make its report the run's configuration
    is run again, after data and versions were compared with those of the run; of a walk-forward the trials are read,
    and the tests of its legs run again.
    Exit code 1, and no report, when the repetition differs from the recording.
    """
    from framework.backtest.recorded import open_run

    recorded = open_run(run)
    path = recorded.folder / FILE
    is_made = rebuild or not path.is_file()
    different = rebuilt(recorded, path, data_folder, any_version) if is_made else []
    if as_json:
        answer({"run": str(recorded.folder), "report": None if different else str(path),
                "is_rebuilt": is_made and not different, "differences": different})
    elif different:
        click.echo(f"no report: the repetition differs from the recording in {', '.join(different)}; a plug-in may "
                   "depend on something beside its inputs", err=True)
    else:
        click.echo(f"report  {path}{' (made again)' if is_made else ''}")
    if is_shown and not different:
        webbrowser.open(path.resolve().as_uri())
    return 1 if different else 0


def rebuilt(recorded: Recorded, path: Path, data_folder: Path | None, any_version: bool) -> list[str]:
    """Run a recording again and write its report; return the tables in which it differs, and write nothing then."""
    from framework.backtest.recorded import LEGS, same_folder
    from framework.backtest.write import write_whole
    from framework.research.run_report import complete_report

    announce_compiling()
    repeat = run_forward_again if recorded.document.get(LEGS) else run_again
    with answer_interrupts(), progress_bar("report") as progress:
        result, page = repeat(recorded, data_folder, any_version, progress)
    different = same_folder(recorded, result)
    if not different:
        write_whole(path, page())
        complete_report(recorded.folder)
    return different


def run_again(recorded: Recorded, data_folder: Path | None, any_version: bool,
              progress: Progress | None) -> tuple[Result, Callable[[], str]]:
    """Run the configuration of a run again; return its result, and what makes its report."""
    from framework.backtest.recorded import again
    from framework.backtest.report import report_html
    from framework.backtest.run import run_to_end

    config, parts, _ = again(recorded, data_folder, any_version)
    result = run_to_end(config, parts, progress)
    return result, lambda: report_html(result)


def run_forward_again(recorded: Recorded, data_folder: Path | None, any_version: bool,
                      progress: Progress | None) -> tuple[Result, Callable[[], str]]:
    """Run the tests of a walk-forward again; return the stitched result, and what makes the report."""
    from framework.research.walk_forward import forward_again
    from framework.research.walk_forward_report import forward_html

    if any_version:
        raise ConfigError(f"{recorded.folder} is the folder of a walk-forward, whose trials go with the versions that "
                          "they were made by: leave --any-version away")

    def watch(leg: int, legs: int, now: Trials) -> None:
        if progress is not None:
            progress((leg - 1) * now.total + now.done, legs * now.total)

    found = forward_again(recorded, data_folder, watch)
    return found.out, lambda: forward_html(found)
