"""`framework new KIND NAME`: write a plug-in package that passes its checks."""

from __future__ import annotations

from pathlib import Path

import click

from framework.cli.options import answer, json_option, verbose_option

KINDS = {
    "strategy": "a strategy: what to buy and sell",
    "slippage": "a slippage model: what a fill costs beyond its reference price",
    "risk": "a risk rule: which openings are reduced or refused",
    "broker": "a broker, with an in-memory venue to try it against",
}


@click.group("new")
def command() -> None:
    """Write a new plug-in package that passes its checks."""


def verb(kind: str, words: str) -> click.Command:
    """Return the command that writes packages of one kind."""

    @click.argument("name")
    @click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder to write; NAME by default.")
    @json_option
    @verbose_option
    def write(name: str, out: Path | None, as_json: bool, verbose: bool) -> int:
        from framework.cli.scaffold import write_package

        folder = Path(name) if out is None else out
        files = write_package(kind, name, folder)
        if as_json:
            answer({"run": str(folder), "kind": kind, "name": name, "files": files})
            return 0
        click.echo(f"wrote {len(files)} files to {folder}:")
        for file in files:
            click.echo(f"  {file}")
        click.echo(f"next: pip install -e {folder} && framework plugins check {name}")
        return 0

    write.__doc__ = f"""Write a package with {words}.

    It holds pyproject.toml, source, tests that run the conformance kit, and a README.  NAME is lower-case letters,
    digits and underscores, such as my_{kind}.
    """
    return click.command(kind)(write)


for _kind, _words in KINDS.items():
    command.add_command(verb(_kind, _words))
