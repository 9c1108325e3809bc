"""What happened in a case: counted, so that a kind of order or a part of a rule that never comes is found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from framework.model.enums import CashKind, OrderKind, OrderStatus, Reason, Role, TimeInForce, Verb
from tests.reference.cases import Case
from tests.reference.draws import RuleShape
from tests.reference.market import Order, ReferenceResult
from tests.reference.rules_sizing import LEAST_TRIPS

PARTS = {
    "order_validation": ("min_order_size", "max_order_size", "max_order_value", "min_price", "max_price",
                         "max_slippage_percent"),
    "position_limits": ("max_shares", "max_notional_per_position", "max_total_exposure", "max_open_positions"),
    "loss_limits": ("max_loss_per_trade", "max_daily_loss", "max_weekly_loss", "max_monthly_loss",
                    "drawdown_threshold_percent"),
    "circuit_breaker": ("daily_loss_threshold", "max_consecutive_losses", "max_trades_per_day"),
    "drawdown": ("drawdown_warning", "drawdown_critical", "max_drawdown"),
    "volatility": ("max_atr_percent", "base_volatility_percent"),
}  # fmt: skip
"""Keys that are limits of their own; a refusal names the one that it is for by its value."""


def counted(case: Case, result: ReferenceResult) -> Counter[Hashable]:
    """Return how often each thing happened in a case; what rules do counts once a case."""
    return Counter([*of_orders(result), *of_cash(result), *set(of_rules(case, result))])


def of_orders(result: ReferenceResult) -> Iterator[Hashable]:
    """Tell of orders, fills and refusals."""
    for order in result.orders:
        yield "status", OrderStatus(order.status)
        yield TimeInForce(order.tif), OrderStatus(order.status)
        if order.filled:
            yield "kind", OrderKind(order.kind)
        if order.filled and not math.isnan(order.limit):
            yield "a stop-limit filled"
        if order.filled and order.role == Role.TRAIL and order.trail_after is not None:
            yield "a trail that the profit made active filled"
        if order.filled and order.kind == OrderKind.LIMIT and order.role == Role.EXIT and order.call < 0:
            yield "a first target filled"
        if order.filled and is_ladder(order, result.orders):
            yield "two steps of a ladder filled"
    for fill in result.fills:
        yield "role", Role(fill.role)
        yield from (name for name in ("is_cross", "is_maker", "is_gapped") if getattr(fill, name))
        order = result.orders[fill.order_id]
        if order.reduce_only and not order.protective and order.kind == OrderKind.LIMIT and fill.position:
            yield "a part of the profit taken"
    for refusal in result.refusals:
        yield "reason", Reason(min(refusal.reason, Reason.RULE))
        yield "refused verb", Verb(refusal.verb)
    yield from (name for name, count in result.counters.items() if count)


def of_cash(result: ReferenceResult) -> Iterator[Hashable]:
    """Tell of cash flows, and of taxes what became of them."""
    taxes = [flow for flow in result.cash_flows if flow.kind == CashKind.TAX]
    yield from (CashKind(flow.kind) for flow in result.cash_flows)
    yield from ("a tax paid" for flow in taxes if flow.amount < 0)
    yield from ("a tax refunded" for flow in taxes if flow.amount > 0)
    yield from ("a tax year within the run" for flow in taxes[:1] if flow.time < result.marks[-1].time)
    yield from ("a loss carried into a tax year" for _ in result.carried)


def is_ladder(order: Order, orders: Sequence[Order]) -> bool:
    """Return whether another limit of the same slot and side worked beside this one at another price, and filled."""
    return order.kind == OrderKind.LIMIT and any(
        other.kind == OrderKind.LIMIT and other.filled > 0 and other.slot == order.slot and other.side == order.side
        and other.price != order.price and other.placed_time <= order.placed_time < other.ended_time
        for other in orders
    )  # fmt: skip


def of_rules(case: Case, result: ReferenceResult) -> Iterator[Hashable]:
    """Tell of rules: which were drawn, which bit, and by which of their limits."""
    yield "sizing", case.sizing.name
    sized = [order for order in result.orders if order.is_sized and order.filled]
    if sized:
        yield "sized by", case.sizing.name
    if len(result.trades) >= LEAST_TRIPS:
        enough = result.trades[LEAST_TRIPS - 1].exit_time
        yield from (("sized by the odds of", case.sizing.name) for order in sized if order.placed_time > enough)
    for number, rule in enumerate(case.rules):
        yield "drawn", rule.name
        yield from (("bites", rule.name) for _ in of_rule(result, number))
        yield from (("closes all", rule.name) for flattening in result.flattened if flattening == number)
        yield from (("protects", rule.name) for _ in range(min(1, result.protected[number])))
        yield from (("near a limit", rule.name) for _ in result.alerts.get(number, []))
        yield from ((rule.name, what) for what, count in result.told.get(number, {}).items() if count)
        yield from ((rule.name, what, "again") for what, count in result.told.get(number, {}).items() if count > 1)
        yield from ((rule.name, part) for part in parts_of(rule, of_rule(result, number)))


def of_rule(result: ReferenceResult, number: int) -> list[Any]:
    """Return the refusals and reductions of one rule."""
    return [refusal for refusal in result.refusals if refusal.reason == Reason.RULE + number]


def parts_of(rule: RuleShape, refusals: Sequence[Any]) -> Iterator[str]:
    """Tell by which of its limits a rule bit; "another" where it is none of its keys."""
    for refusal in refusals:
        found = [part for part in PARTS.get(rule.name, ()) if refusal.limit == rule.keys[part]]
        yield from found or ["another"]
