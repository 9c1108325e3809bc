"""What the verbs that search share: their flags, and how they say that an interrupted search can be continued."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from framework.cli.options import RunOptions
from framework.errors import ConfigError, Interrupted

F = TypeVar("F", bound=Callable[..., Any])


CONTINUE = "continue what it holds with --resume"
"""What else can be done about the folder of a search that is there already."""


@attrs.frozen
class SearchOptions:
    """The flags that say how to search; None leaves the configuration's own."""

    sampler: str | None
    trials: int | None
    executor: str | None
    workers: int | None
    address: str | None
    resume: Path | None

    def overrides(self, options: RunOptions) -> tuple[str, ...]:
        """Return all changes of the configuration; ConfigError for --out beside --resume."""
        if self.resume is not None and options.out is not None:
            raise ConfigError("--resume DIR continues in that folder; leave --out away")
        given = attrs.asdict(self, filter=lambda field, value: field.name != "resume" and value is not None)
        return (*options.all_overrides, *(f"optimize.{key}={as_toml(value)}" for key, value in given.items()))


def as_toml(value: str | int) -> str:
    """Return the value of a flag as a configuration writes it."""
    return str(value) if isinstance(value, int) else f'"{value}"'


def search_options(function: F) -> F:
    """Give a command the flags of a verb that searches."""
    for option in (
        click.option("--resume", type=click.Path(path_type=Path), metavar="DIR",
                     help="Continue what was begun in this folder."),
        click.option("--address", metavar="ADDRESS",
                     help="A Ray cluster that is there already, such as auto or HOST:6379."),
        click.option("--workers", type=int, metavar="N", help="How many trials run side by side."),
        click.option("--executor", metavar="NAME", help="auto, local (threads) or ray."),
        click.option("--trials", type=int, metavar="N", help="How many trials."),
        click.option("--sampler", metavar="NAME", help="grid, random, tpe, cma-es or nsga2."),
    ):
        function = option(function)
    return function


def split_flags(flags: dict[str, Any]) -> tuple[RunOptions, SearchOptions]:
    """Return the shared flags of a run and those of a search."""
    names = [field.name for field in attrs.fields(SearchOptions)]
    mine = {name: flags.pop(name) for name in names}
    return RunOptions(**flags), SearchOptions(**mine)


@contextmanager
def says_how_to_go_on(verb: str, config: Path, folder: Path, overrides: Iterable[str], options: RunOptions
                      ) -> Iterator[None]:
    """Add to the message of an interruption how the search is continued: as it was begun, or it would be another."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        told = str(stop) or "interrupted; every finished trial is saved"
        again = ["framework", verb, str(config), "--resume", str(folder)]
        for one in overrides:
            again += ["--set", one]
        again += ["--interpreted"] * options.interpreted + ["--no-report"] * (not options.report)
        raise Interrupted(f"{told}; continue with: {shlex.join(again)}") from None
