"""The command line: one module per verb, each imported when its verb is used."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a check failed, 2 bad input, 130 interrupted.

    arguments: what follows the command's name; those of the process by default.
    """
    from framework.cli.app import run

    return run(arguments)
