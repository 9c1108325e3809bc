"""Compare two runs row by row and tell where they part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from framework.model.enums import OrderKind, Reason

TOLERANCE = 1e-9

FILL = ("time", "order_id", "slot", "symbol", "side", "role", "tag", "qty", "price", "reference", "fee", "slippage",
        "position", "is_maker", "is_cross", "is_gapped")  # fmt: skip
ORDER = ("id", "slot", "symbol", "side", "kind", "role", "status", "reduce_only", "tag", "placed_time", "ended_time",
         "qty", "filled")  # fmt: skip
TRADE = ("slot", "symbol", "side", "exit_role", "bars", "fills", "entry_time", "exit_time", "qty", "entry_price",
         "exit_price", "pnl", "fees", "slippage", "mae", "mfe")  # fmt: skip
REFUSAL = ("time", "slot", "symbol", "verb", "reason", "allowed", "value", "limit")
MARK = ("time", "equity", "cash", "exposure")


def order_fields(order: Any) -> tuple[str, ...]:
    """A market order has no price to compare, an unfilled one no average."""
    extra = () if order.kind == OrderKind.MARKET else ("price",)
    return (*ORDER, *extra, *(("average_price",) if order.filled > 0 else ()))


def refusal_fields(refusal: Any) -> tuple[str, ...]:
    """What was asked is defined where a quantity was reduced."""
    return (*REFUSAL, "asked") if refusal.reason in (Reason.NO_BUYING_POWER, *range(Reason.RULE, 200)) else REFUSAL


def is_close(expected: float, actual: float, scale: float) -> bool:
    """Return whether two numbers agree to a billionth of the larger of them and of the scale of money."""
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return expected == actual or abs(expected - actual) <= TOLERANCE * max(abs(expected), abs(actual), scale)


def first_difference(expected: Any, actual: Any, capital: float) -> str | None:
    """Return where two runs part first, in words; None when they agree.

    Fills come first: they are what a wrong order shows up in.
    """
    tables: tuple[tuple[str, Callable[[Any], tuple[str, ...]], Callable[[Sequence[Any]], list[Any]]], ...] = (
        ("fills", lambda row: FILL, list),
        ("orders", order_fields, list),
        ("refusals", refusal_fields, by_instant),
        ("marks", lambda row: MARK, list),
        ("trades", lambda row: TRADE, list),
    )
    for table, fields, arrange in tables:
        left, right = arrange(getattr(expected, table)), arrange(getattr(actual, table))
        for number, (a, b) in enumerate(zip(left, right, strict=False)):
            for name in fields(a):
                mine, theirs = getattr(a, name), getattr(b, name)
                if not is_close(float(mine), float(theirs), capital * 1e-3):
                    return f"{table}[{number}].{name}: reference {mine!r}, engine {theirs!r}\n  {a}\n  {b}"
        if len(left) != len(right):
            rows = (left if len(left) > len(right) else right)[min(len(left), len(right))]
            return f"{table}: reference {len(left)} rows, engine {len(right)}; the first one that is missing:\n  {rows}"
    return None


def by_instant(refusals: Sequence[Any]) -> list[Any]:
    """Return refusals in order of time; those of one instant by slot, verb and reason."""
    return sorted(refusals, key=lambda r: (r.time, r.slot, r.verb, r.reason, round(float(r.allowed), 6)))
