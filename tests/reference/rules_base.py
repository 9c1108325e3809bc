"""What the rules of the reference share: how they answer, and what they look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from framework.model.records import UNSET
from tests.reference.account import Account
from tests.reference.market import Intent

Verdict = tuple[float, bool, float, float]
"""What is allowed, whether it is refused, what was measured, and the limit."""

Cap = tuple[float, float, float]
"""A quantity that a limit allows, what was measured, and the limit."""


@dataclass
class Entry:
    """One order or target that may open, before it is sized: what a rule that protects looks at.

    price: the reference price.  has_stop, has_target: whether it adds to a position that is protected so already.
    partial: distance of the first target as a fraction of the entry price, and the share of the position it closes.
    """

    intent: Intent
    price: float
    side: int
    has_stop: bool
    has_target: bool
    partial: tuple[float, float] | None = None


class Rule:
    """A rule with its keys as attributes; one that does nothing."""

    looks_at_marks = False
    """Whether what it measures is told at some marks as well, not at openings only."""

    def __init__(self, **keys: Any) -> None:
        self.__dict__.update(keys)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} was made without its key {name!r}")

    def __call__(self, order: Any) -> Verdict:
        """Return what the rule lets through of an opening."""
        return order.qty, False, 0.0, 0.0

    def protects(self, entry: Entry) -> None:
        """Give an entry its stop or target."""

    def flattens(self, account: Account) -> bool:
        """Return whether all is to be closed at the newest mark."""
        return False

    def shares(self, order: Any) -> list[tuple[float, float]]:
        """Return what the rule measures of an opening, whether it bites or not, each with its limit, for `alerts`."""
        return []

    def told(self, account: Account) -> dict[str, int]:
        """Return what a result tells of halts and trips, counted at its end."""
        return {}


def refuse(value: float, limit: float) -> Verdict:
    """Let nothing through."""
    return 0.0, True, value, limit


def tightest(qty: float, *caps: Cap) -> Verdict:
    """Return the least of several quantities, with what was measured and its limit; all of it when none is less.

    Of several that leave nothing the last is named.
    """
    allowed, value, limit = min([(qty, 0.0, 0.0), *caps], key=lambda cap: cap[0])
    empty = [cap for cap in caps if cap[0] <= 0]
    return (0.0, False, *empty[-1][1:]) if empty else (allowed, False, value, limit)


def unit_value(order: Any) -> float:
    """Return what one unit is worth at the expected fill."""
    return float(order.entry * order.instrument.multiplier)


def unit_risk(order: Any) -> float:
    """Return what one unit loses at its stop; its whole value without one."""
    if order.stop == UNSET:
        return unit_value(order)
    return float(max(0.0, order.side * (order.entry - order.stop)) * order.instrument.multiplier)
