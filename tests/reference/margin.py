"""The maintenance margin: the section of docs/fills.md with that name."""

from __future__ import annotations

from framework.model.enums import OrderKind, OrderStatus, Role
from tests.reference.account import Account, Slot
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
        send_out(account, slot, Role.LIQUIDATION)


def send_out(account: Account, slot: Slot, role: Role) -> None:
    """Send a whole position to the next open, unless a margin call or a rule has done so."""
    if slot.position and account.protection(slot, Role.LIQUIDATION, Role.HALT) is None:
        account.add(
            Order(slot.index, slot.symbol, -slot.side, OrderKind.MARKET, role, 0.0, NAN, True, account.time,
                  account.time)
        )
