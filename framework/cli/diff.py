"""`framework diff RUN RUN`: the cause of the first difference of two runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from framework.cli.interrupt import answer_interrupts
from framework.cli.options import answer, any_version_option, json_option, verbose_option

STATISTICS = ("Return [%]", "Sharpe Ratio", "Max. Drawdown [%]", "# Trades", "Fees")
"""What is shown of the statistics; --json carries all that differ."""


@click.command("diff")
@click.argument("one", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("other", metavar="RUN", type=click.Path(path_type=Path))
@any_version_option
@verbose_option
@json_option
def command(one: Path, other: Path, any_version: bool, verbose: bool, as_json: bool) -> int:
    """Name what two runs differ in, and explain the first order, refusal, fill or mark that differs on both sides.

    Exit code 1 when the runs did not do the same.
    """
    from framework.backtest.compare import compare

    with answer_interrupts():
        found = compare(one, other, any_version)
    if as_json:
        answer(found)
    else:
        click.echo("\n".join(lines(found)))
    return 0 if found["is_same"] else 1


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """Yield the answer line by line."""
    yield f"first    {found['runs'][0]}"
    yield f"second   {found['runs'][1]}"
    for cause in found["causes"]:
        yield f"differs  {cause['told']}{'' if cause['has_part'] else ' (no trade depends on it)'}"
    first = found["first_difference"]
    if first is not None:
        owner = " ".join(str(first[name]) for name in ("strategy", "symbol") if first[name])
        yield f"since    {first['time']}, {first['table']}{f' of {owner}' if owner else ''}"
        for word, row in zip(("first", "second"), first["rows"], strict=True):
            yield f"  {word:<6} {row_told(row, first['columns'])}"
    for word, side in zip(("first", "second"), found["explained"], strict=False):
        yield f"{word:<8} {side.get('verdict') or 'cannot be explained: ' + side['error']}"
    for name in STATISTICS:
        if name in found["statistics"]:
            values = ["n/a" if value is None else f"{value:,.6g}" for value in found["statistics"][name]]
            yield f"{name}: {values[0]} and {values[1]}"
    yield f"why      {found['verdict']}"


def row_told(row: Mapping[str, Any] | None, columns: list[str]) -> str:
    """Return what differs of a row, or all that it says when the other run has none."""
    if row is None:
        return "nothing"
    chosen = columns or [name for name, value in row.items() if value is not None]
    return ", ".join(f"{name} {row[name]}" for name in chosen)
