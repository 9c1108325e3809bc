"""The maintenance margin: the section of docs/fills.md with that name."""

from __future__ import annotations

from framework.model.enums import OrderKind, OrderStatus, Role
from tests.reference.account import Account
from tests.reference.market import NAN, Order


def is_called(account: Account) -> bool:
    """Return whether equity carries less than the positions need."""
    return account.equity() < account.settings.maintenance * account.exposure()


def call(account: Account) -> None:
    """Take all that strategies have working off the book, and send every position to the next open."""
    for slot in account.slots:
        for order in account.placed_by(slot):
            account.end(order, OrderStatus.MARGIN_CALL)
    for slot in account.slots:
        if slot.position and account.protection(slot, Role.LIQUIDATION) is None:
            account.add(
                Order(slot.index, slot.symbol, -slot.side, OrderKind.MARKET, Role.LIQUIDATION, 0.0, NAN, True,
                      account.time, account.time)
            )  # fmt: skip
