"""`framework new strategy NAME`: write a plug-in package that passes its checks."""

from __future__ import annotations

from pathlib import Path

import click

from framework.cli.options import answer, json_option, verbose_option


@click.group("new")
def command() -> None:
    """Write a new plug-in package that passes its checks."""


@command.command("strategy")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder to write; NAME by default.")
@json_option
@verbose_option
def strategy(name: str, out: Path | None, as_json: bool, verbose: bool) -> int:
    """Write a package with the strategy NAME: pyproject.toml, source, a test that runs the conformance kit, README.

    NAME is lower-case letters, digits and underscores, such as my_breakout.
    """
    from framework.cli.scaffold import write_strategy

    folder = Path(name) if out is None else out
    files = write_strategy(name, folder)
    if as_json:
        answer({"run": str(folder), "kind": "strategy", "name": name, "files": files})
        return 0
    click.echo(f"wrote {len(files)} files to {folder}:")
    for file in files:
        click.echo(f"  {file}")
    click.echo(f"next: pip install -e {folder} && framework plugins check {name}")
    return 0
