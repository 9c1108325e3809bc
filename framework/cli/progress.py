"""A progress bar on stderr when somebody watches it; silence otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from framework.cli.options import is_terminal


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield ``progress(done, total)``, or None when stderr is not a terminal; the bar is gone at the end."""
    if not is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    percent = TextColumn("{task.percentage:>3.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def announce_compiling() -> None:
    """Say on stderr that the engine is compiled now, when no run has done so yet."""
    from framework.backtest.compiling import ENGINE, SENTENCE, TOLD
    from framework.cli.state import engine_is_compiled

    if not engine_is_compiled():
        click.echo(SENTENCE, err=True)
        TOLD.add(ENGINE)
