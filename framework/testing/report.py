"""What the conformance kit found, check by check."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Callable, Iterable

import attrs

from framework.errors import FrameworkError, StrategyError

Probe = Callable[[], str]
"""One check: it returns what it looked at, or raises Failed, or whatever the plug-in raises."""


class Failed(Exception):
    """A check failed; the text says what, where and when."""


@attrs.frozen
class Check:
    """One check: what it found when it failed, what it looked at when it passed."""

    name: str
    passed: bool
    message: str = ""

    def __str__(self) -> str:
        """Return one line, or several when the message has several."""
        text = f": {self.message}" if self.message else ""
        return f"{'ok  ' if self.passed else 'FAIL'} {self.name}" + text.replace("\n", "\n       ")


@attrs.frozen
class Report:
    """All checks of one plug-in, in the order in which they ran.

    subject: such as "strategy ema_cross".  not_run: checks that made no sense after one that failed.
    """

    subject: str
    checks: tuple[Check, ...]
    not_run: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def __str__(self) -> str:
        """Return one line for the result and one or more a check."""
        failed = len(self.failures)
        result = f"passed {len(self.checks)} checks" if not failed else f"failed {failed} of {len(self.checks)} checks"
        lines = [f"{self.subject} {result}", *(textwrap.indent(str(check), "  ") for check in self.checks)]
        if self.not_run:
            lines.append(f"  not run after that: {', '.join(self.not_run)}")
        return "\n".join(lines)


def run_checks(subject: str, checks: Iterable[tuple[str, Probe]], essential: Iterable[str] = ()) -> Report:
    """Run checks one after the other; after a failed essential one the rest makes no sense and is not run."""
    done: list[Check] = []
    waiting = list(checks)
    vital = set(essential)
    while waiting:
        name, probe = waiting.pop(0)
        check = run_check(name, probe)
        done.append(check)
        if not check.passed and name in vital:
            break
    return Report(subject, tuple(done), tuple(name for name, _ in waiting))


def run_check(name: str, probe: Probe) -> Check:
    """Run one check; whatever it raises is its failure."""
    try:
        return Check(name, True, probe())
    except Failed as failure:
        return Check(name, False, str(failure))
    except StrategyError as error:
        return Check(name, False, f"{error}\n{error.details}".rstrip())
    except FrameworkError as error:
        return Check(name, False, str(error))
    except Exception as error:
        last = "".join(traceback.format_exception(error)[-2:]).rstrip()
        return Check(name, False, f"{type(error).__name__}: {error}\n{last}")
