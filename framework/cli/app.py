"""The verbs, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from framework.errors import FrameworkError, Interrupted, StrategyError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

VERBS = {
    "demo": "Backtest a plug-in strategy on real daily bars of US stocks.",
    "backtest": "Run the backtest that a TOML file describes.",
    "monte-carlo": "Simulate what the days or trades of a run could have made.",
    "optimize": "Search for parameters of the strategy, rules and costs in a TOML file.",
    "walk-forward": "Search on windows of the past and run the best on what follows.",
    "audit": "Look for what could make a backtest lie: look-ahead, costs, cliffs.",
    "explain": "Say why there was or was no trade at a bar of a run.",
    "report": "Show the report of a run, or make it again.",
    "diff": "Name the cause of the first difference of two runs.",
    "data": "Import, list and check market data; write the sample.",
    "plugins": "List what is installed, or check one plug-in.",
    "new": "Write a new plug-in package that passes its checks.",
    "completion": "Print the script that completes commands in a shell.",
    "doctor": "Say what is installed, where and in which state.",
}
"""Every verb of the framework and its one line of help; `framework.cli.VERB`, - as _, holds its command."""

REPORT_TO = "Please report this with the output of `framework doctor` and of the same command with -v."


class Verbs(click.Group):
    """The group of all verbs: ours by name, those of packages from the plug-ins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our verbs in their order, then those of packages."""
        return [*VERBS, *sorted({item.name for item in _found()})]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; None when there is none of that name."""
        if cmd_name in VERBS:
            command: click.Command = importlib.import_module(f"framework.cli.{cmd_name.replace('-', '_')}").command
            return command
        from framework import plugins
        from framework.errors import PluginNotFound

        try:
            found: click.Command = plugins.find("command", cmd_name)
        except PluginNotFound:
            return None
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was meant."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            known = self.list_commands(ctx)
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no such command {name!r}{hint} Commands: {', '.join(known)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their line of help, without importing ours."""
        rows = [*VERBS.items(), *sorted((item.name, item.value.get_short_help_str()) for item in _found())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _found() -> list[Any]:
    from framework import plugins

    return plugins.registry().found("command")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trading-framework", prog_name="framework")
def app() -> None:
    """Backtest strategies that are plug-ins, on one compiled step.

    `framework demo` shows it. Every verb takes --help.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; no exception of any kind leaves here."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    wants_json, verbose = "--json" in options, "-v" in options or "--verbose" in options
    try:
        code = app.main(args=arguments, prog_name="framework", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if context is not None and context.command is not app:
            click.echo(context.get_usage(), err=True)
        return _fail(error.format_message(), BAD_INPUT, wants_json)
    except (KeyboardInterrupt, click.Abort, Interrupted) as error:
        return _fail(str(error) or "interrupted; nothing half-written is left behind", INTERRUPTED, wants_json)
    except FrameworkError as error:
        details = str(getattr(error, "details", ""))
        if details and (verbose or isinstance(error, StrategyError)):
            click.echo(details.rstrip(), err=True)
        elif verbose:
            traceback.print_exc()
        return _fail(str(error), BAD_INPUT, wants_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if verbose:
            traceback.print_exc()
        return _fail(f"unexpected {type(error).__name__}: {error}. {REPORT_TO}", FAILED, wants_json)


def _fail(message: str, code: int, wants_json: bool) -> int:
    """Say what went wrong on stderr, and on stdout too when a JSON document is awaited there."""
    click.echo(f"framework: {message}", err=True)
    if wants_json:
        click.echo(json.dumps({"error": message, "exit_code": code}))
    return code
