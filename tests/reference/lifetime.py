"""How long an order works: the section of docs/fills.md with that name."""

from __future__ import annotations

from framework.model.enums import OrderKind, OrderStatus, TimeInForce
from tests.reference.account import Account, Symbol
from tests.reference.market import Bar, Intent, Order

MINUTE = 60_000_000_000
NEVER = 2**63 - 1
ONE_CHANCE = (TimeInForce.IOC, TimeInForce.FOK)


def end_of_session(bar: Bar) -> int:
    """Return when the session in which a bar closes is over."""
    if bar.minutes_to_close == 0:
        return bar.close_time
    late = bar.close_time + bar.minutes_to_close * MINUTE
    return late - late % MINUTE


def is_until_wrong(account: Account, intent: Intent) -> bool:
    """Return whether `until` is over, or stands where it means nothing."""
    return intent.until <= account.time if intent.tif == TimeInForce.GTD else intent.until != 0


def begin_life(account: Account, order: Order, intent: Intent) -> None:
    """Write down what an order was told of its life; a DAY order after hours is for the next session."""
    order.tif = intent.tif
    if order.tif == TimeInForce.GTD:
        order.expires = intent.until
    if order.tif == TimeInForce.DAY:
        end = end_of_session(account.symbols[order.symbol].forming)
        order.expires = end if end > account.time else None


def meet_session(account: Account, symbol: Symbol) -> None:
    """Let DAY orders that wait for a session take that of the bar that opens."""
    for order in account.working:
        if order.symbol == symbol.index and order.tif == TimeInForce.DAY and order.expires is None:
            order.expires = end_of_session(symbol.forming)


def expire(account: Account, last: int) -> None:
    """End the orders that expire at a time or earlier."""
    for order in list(account.working):
        if order.expires is not None and order.expires <= last:
            account.end(order, OrderStatus.EXPIRED)


def drop_late(account: Account, opening: set[int]) -> None:
    """After an open: cancel the market and limit orders of its symbols that had no more than this chance."""
    for order in list(account.working):
        bar = account.symbols[order.symbol].forming
        if order.symbol not in opening or order.tif not in ONE_CHANCE or order.active_from > bar.open_time:
            continue
        if order.kind in (OrderKind.MARKET, OrderKind.LIMIT):
            account.end(order, OrderStatus.CANCELED)
