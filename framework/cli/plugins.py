"""`framework plugins [list | check NAME]`: what is installed, and whether it keeps its contract."""

from __future__ import annotations

from typing import Any

import attrs
import click

from framework.cli.options import answer, json_option, verbose_option


@click.group("plugins", invoke_without_command=True)
@json_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, verbose: bool) -> int:
    """List what is installed, or check one plug-in."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (as_json, verbose)
        return 0
    return listing(as_json)


@command.command("list")
@json_option
@verbose_option
@click.pass_obj
def list_command(inherited: tuple[bool, bool] | None, as_json: bool, verbose: bool) -> int:
    """List every strategy, model, rule, broker, source and verb, and every plug-in that is broken.

    Exit code 1 when a plug-in is broken or two claim one name.
    """
    return listing(as_json or bool(inherited and inherited[0]))


@command.command("check")
@click.argument("name")
@json_option
@verbose_option
@click.pass_obj
def check_command(inherited: tuple[bool, bool] | None, name: str, as_json: bool, verbose: bool) -> int:
    """Run the conformance kit on the plug-in NAME.

    Exit code 1 when a check fails.
    """
    return check(name, as_json or bool(inherited and inherited[0]))


def listing(as_json: bool) -> int:
    """Print every plug-in; returns 1 when something is broken or doubled."""
    from framework import plugins

    rows = plugins.registry().listed()
    if as_json:
        answer([_plain(row) for row in rows])
    else:
        _show(rows)
    return int(any(row.state in ("broken", "duplicate") for row in rows))


def check(name: str, as_json: bool) -> int:
    """Run the conformance kit on everything called `name`; returns 1 when a check fails."""
    from framework import plugins

    found = plugins.registry().named(name)
    from framework.testing import check_plugin

    reports = [check_plugin(item.value) for item in found]
    if as_json:
        checks = [{"name": one.name, "passed": one.passed, "message": one.message}
                  for report in reports for one in report.checks]
        answer({"name": name, "passed": all(report.passed for report in reports), "checks": checks})
    else:
        for report in reports:
            click.echo(str(report))
    return int(not all(report.passed for report in reports))


def _plain(row: Any) -> dict[str, str]:
    """Return one row as plain values; error and traceback only where there are any."""
    values = attrs.asdict(row)
    values["traceback"] = values.pop("details")
    return {key: value for key, value in values.items() if value or key not in ("error", "traceback")}


def _show(rows: list[Any]) -> None:
    """Print the rows as aligned columns, then what is wrong with which of them."""
    header = ("kind", "name", "distribution", "version", "state")
    cells = [header, *((row.kind, row.name, row.distribution, row.version or "-", row.state) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for row in {row.error: row for row in rows if row.state in ("broken", "duplicate")}.values():
        click.echo(f"\n{row.kind} {row.name} of {row.distribution} is {row.state}: {row.error}")
        if row.details:
            click.echo(row.details.rstrip())
