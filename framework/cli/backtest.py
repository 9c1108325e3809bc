"""`framework backtest CONFIG`: run the backtest that a TOML file describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from framework.cli.options import RunOptions, run_options


@click.command("backtest")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--monte-carlo", is_flag=True, help="Then simulate what its days or trades could have made.")
@run_options
def command(config: Path, monte_carlo: bool, **flags: Any) -> int:
    """Run the backtest that the file CONFIG describes and write it to a folder."""
    from framework.backtest.config import load_config
    from framework.cli.execute import execute

    options = RunOptions(**flags)
    return execute(load_config(config, options.all_overrides), options, monte_carlo)
