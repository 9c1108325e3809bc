"""Conditions: comparisons of expressions, true or false at each bar.

    (sma(bars.close, 20) > sma(bars.close, 50)).begins()

A strategy's `wake` is made of them.  As in a decision, a comparison with a missing value (NaN) is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from framework.errors import ConfigError

if TYPE_CHECKING:
    from framework.indicators.expression import Expression


class Condition:
    """True or false at each bar; conditions combine by `&`, `|` and `~`, not by `and`, `or` and `not`."""

    __slots__ = ()

    def begins(self) -> Condition:
        """Return where the condition holds and did not hold at the bar before; never at the first bar."""
        return Begins(self)

    def __and__(self, other: Any) -> Condition:
        return Joined("&", self, as_condition(other, f"{self!r} & {other!r}"))

    def __or__(self, other: Any) -> Condition:
        return Joined("|", self, as_condition(other, f"{self!r} | {other!r}"))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise ConfigError(f"{self!r} is true at some bars and false at others; join conditions by & | ~, and write "
                          "a < b < c as (a < b) & (b < c)")


@attrs.frozen(repr=False, cache_hash=True)
class Comparison(Condition):
    """Two series compared bar by bar with one of > >= < <=."""

    operator: str
    left: Expression
    right: Expression

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


@attrs.frozen(repr=False, cache_hash=True)
class Joined(Condition):
    """Two conditions of which both (&) or at least one (|) hold."""

    operator: str
    left: Condition
    right: Condition

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


@attrs.frozen(repr=False, cache_hash=True)
class Not(Condition):
    """Where a condition does not hold."""

    x: Condition

    def __repr__(self) -> str:
        return f"~{self.x!r}"


@attrs.frozen(repr=False, cache_hash=True)
class Begins(Condition):
    """Where a condition begins to hold."""

    x: Condition

    def __repr__(self) -> str:
        return f"{self.x!r}.begins()"


def as_condition(value: Any, where: str) -> Condition:
    """Return a condition as it is; ConfigError says what else was given and what to write."""
    if not isinstance(value, Condition):
        raise ConfigError(f"{where}: {value!r} ({type(value).__name__}) is not a condition; compare expressions, as in "
                          "bars.close > 100, each comparison in brackets")
    return value
