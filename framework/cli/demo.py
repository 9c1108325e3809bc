"""`framework demo`: the configuration that comes with the framework."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import click

from framework.cli.options import RunOptions, run_options


@click.command("demo")
@click.option("--show", is_flag=True, help="Print the configuration instead of running it, to start your own from.")
@run_options
def command(show: bool, **flags: Any) -> int:
    """Backtest a plug-in strategy on real daily bars of four US stocks.

    Needs the extra [demo]: pip install "trading-framework[demo]".
    """
    file = resources.files("framework.cli") / "demo.toml"
    if show:
        click.echo(file.read_text(encoding="utf-8"), nl=False)
        return 0
    from framework.backtest.config import load_config
    from framework.cli.execute import execute

    options = RunOptions(**flags)
    with resources.as_file(file) as path:
        config = load_config(Path(path), options.all_overrides)
    return execute(config, options)
