"""Compare two runs row by row and tell where they part."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from framework.model.enums import OrderKind

TOLERANCE = 1e-9

FILL = ("time", "order_id", "bar", "slot", "symbol", "side", "role", "tag", "qty", "price", "reference", "fee",
        "slippage", "position", "is_maker", "is_cross", "is_gapped")  # fmt: skip
ORDER = ("id", "parent", "slot", "symbol", "side", "kind", "role", "status", "reduce_only", "tag", "group",
         "tif", "until", "oco", "placed_time", "ended_time", "qty", "filled")  # fmt: skip
TRADE = ("slot", "symbol", "side", "exit_role", "bars", "fills", "entry_time", "exit_time", "qty", "entry_price",
         "exit_price", "pnl", "fees", "slippage", "cash_flows", "mae", "mfe")  # fmt: skip
REFUSAL = ("time", "slot", "symbol", "side", "verb", "reason", "asked", "allowed", "value", "limit")
MARK = ("time", "equity", "cash", "exposure")
CASH_FLOW = ("time", "slot", "symbol", "kind", "qty", "base", "rate", "amount")
DAY = ("day", "time", "equity", "exposure")


def order_fields(order: Any) -> tuple[str, ...]:
    """A market order has no price to compare, a stop that waits for its trail neither, an unfilled one no average."""
    has_price = order.kind != OrderKind.MARKET and not math.isnan(order.price)
    names = (("price", has_price), ("limit", not math.isnan(order.limit)), ("average_price", order.filled > 0))
    return (*ORDER, *(name for name, is_there in names if is_there))


def is_close(expected: float, actual: float, scale: float) -> bool:
    """Return whether two numbers agree to a billionth of the larger of them and of the scale of money."""
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return expected == actual or abs(expected - actual) <= TOLERANCE * max(abs(expected), abs(actual), scale)


def first_difference(expected: Any, actual: Any, capital: float) -> str | None:
    """Return where two runs part first, in words; None when they agree.

    Fills come first: they are what a wrong order shows up in.
    """
    tables: tuple[tuple[str, Callable[[Any], tuple[str, ...]]], ...] = (
        ("fills", lambda row: FILL),
        ("orders", order_fields),
        ("cash_flows", lambda row: CASH_FLOW),
        ("refusals", lambda row: REFUSAL),
        ("marks", lambda row: MARK),
        ("trades", lambda row: TRADE),
        ("days", lambda row: DAY),
    )
    for table, fields in tables:
        left, right = getattr(expected, table), getattr(actual, table)
        for number, (a, b) in enumerate(zip(left, right, strict=False)):
            for name in fields(a):
                mine, theirs = getattr(a, name), getattr(b, name)
                if not is_close(float(mine), float(theirs), capital * 1e-3):
                    return f"{table}[{number}].{name}: reference {mine!r}, engine {theirs!r}\n  {a}\n  {b}"
        if len(left) != len(right):
            rows = (left if len(left) > len(right) else right)[min(len(left), len(right))]
            return f"{table}: reference {len(left)} rows, engine {len(right)}; the first one that is missing:\n  {rows}"
    for name in ("counters", "positions"):
        if getattr(expected, name) != getattr(actual, name) and name == "counters":
            return f"{name}: reference {getattr(expected, name)}, engine {getattr(actual, name)}"
    for rule, counts in expected.told.items():
        for name, count in counts.items():
            if count != actual.told[rule][name]:
                return f"rule {rule} {name}: reference {count}, engine {actual.told[rule][name]}"
    for rule in {*expected.alerts, *actual.alerts}:
        mine, (count, nearest) = expected.alerts.get(rule, []), actual.alerts.get(rule, (0, 0.0))
        most, watches = max((near for _, near in mine), default=0.0), rule in expected.watching
        if len(mine) > count or (len(mine) < count and not watches) or not (is_close(most, nearest, 1.0) or (
                watches and most <= nearest)):
            return f"alerts of rule {rule}: reference {len(mine)}, {most}, engine {count}, {nearest}"
    far = [slot for slot, (a, b) in enumerate(zip(expected.positions, actual.positions, strict=True))
           if not is_close(a, b, 1.0)]  # fmt: skip
    return f"positions of slots {far}: reference {expected.positions}, engine {actual.positions}" if far else None
