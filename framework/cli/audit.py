"""`framework audit CONFIG`: look for what could make a backtest lie."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from framework.cli.options import RunOptions, answer, run_options


@click.command("audit")
@click.argument("config", type=click.Path(path_type=Path))
@run_options
def command(config: Path, **flags: Any) -> int:
    """Look for look-ahead, repainting, dependence on history, costs and cliffs in the backtest of the file CONFIG.

    The exit code is 1 when something is found.
    """
    from framework.backtest.config import load_config
    from framework.backtest.plain import plain
    from framework.backtest.write import write_json
    from framework.cli.execute import run_folder
    from framework.cli.progress import announce_compiling

    options = RunOptions(**flags)
    made = load_config(config, options.all_overrides)
    folder = run_folder(options.out, f"{made.name}-audit", datetime.now())
    announce_compiling()
    from framework.research.audit import audited
    from framework.research.folders import make_folder

    found = audited(made, interpreted=options.interpreted)
    document = {"run": str(folder), **found.document()}
    make_folder(folder)
    write_json(folder / "audit.json", {**document, "config": made.to_dict()})
    if options.report:
        from framework.research.audit_report import audit_html

        (folder / "report.html").write_text(audit_html(found, made), encoding="utf-8")
    if options.as_json:
        answer(plain(document))
    else:
        click.echo(str(found))
        count = len(found.findings)
        click.echo(f"* {'nothing was found' if not count else f'{count} found'}")
        click.echo(f"run     {folder}")
        if options.report:
            click.echo(f"report  {folder / 'report.html'}")
    return 0 if found.passed else 1
