"""The flags that verbs share, and how they answer."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from framework.errors import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON document on stdout, nothing else.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Say more; show tracebacks.")
out_option = click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder to write.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Change one key of the configuration, such as run.capital=50_000. Repeatable.",
)
seed_option = click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="The seed of the run.")
interpreted_option = click.option(
    "--interpreted", is_flag=True, help="Call the strategy's Python functions; a debugger stops in them."
)
report_option = click.option("--report/--no-report", default=True, help="Whether to write report.html.")

data_folder_option = click.option(
    "--data-folder", type=click.Path(path_type=Path), metavar="DIR",
    help="What relative paths of the run's data start from, if not from where they did.",
)
any_version_option = click.option(
    "--any-version", is_flag=True, help="Go on when the code has other versions than when the run was made.",
)


@attrs.frozen
class RunOptions:
    """The flags of a verb that runs a configuration."""

    as_json: bool
    verbose: bool
    out: Path | None
    overrides: tuple[str, ...]
    seed: int | None
    interpreted: bool
    report: bool

    @property
    def all_overrides(self) -> tuple[str, ...]:
        """The overrides, --seed last."""
        return self.overrides if self.seed is None else (*self.overrides, f"run.seed={self.seed}")


def run_options(function: F) -> F:
    """Give a command every shared flag of a verb that runs a configuration."""
    for option in (report_option, interpreted_option, verbose_option, seed_option, set_option, out_option, json_option):
        function = option(function)
    return function


class Subverbs(click.Group):
    """A verb with verbs of its own, which says which one was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which ones there are."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"no such command {args[0]!r}{did_you_mean(args[0], known)} There are: "
                                   f"{', '.join(known)}.", ctx)
        return super().resolve_command(ctx, args)


def again_options(function: F) -> F:
    """Give a command the flags of a verb that runs a recorded run again."""
    return any_version_option(data_folder_option(function))


def with_flags(message: str, keys: Iterable[str]) -> str:
    """Return a message whose mends, written for a configuration, name the flag of the command line as well.

    keys: those that have a flag of the same name.  The mend of a line is what stands behind "mend:", else behind the
    last semicolon.

    >>> with_flags('no zone; mend: timezone = "UTC", or detail_timeframe = "5m"', ["timezone", "timeframe"])
    'no zone; mend: timezone = "UTC" (--timezone UTC), or detail_timeframe = "5m"'
    """
    setting = re.compile(rf'(?<![\w.])({"|".join(keys)}) = "([^"\n]*)"')

    def flagged(found: re.Match[str]) -> str:
        return f"{found[0]} (--{found[1].replace('_', '-')} {shlex.quote(found[2])})"

    lines = []
    for line in message.split("\n"):
        start = line.find("mend: ") if "mend: " in line else max(line.rfind("; "), 0)
        lines.append(line[:start] + setting.sub(flagged, line[start:]))
    return "\n".join(lines)


def answer(document: Any) -> None:
    """Write one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def is_terminal() -> bool:
    """Return whether somebody watches stderr."""
    return sys.stderr.isatty()
