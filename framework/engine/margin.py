"""The maintenance margin: what happens to an account whose equity no longer carries its positions.

docs/fills.md tells the rules in words under *Maintenance margin*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.ledger import MARKET, is_protective, refresh
from framework.engine.orders import end_order, new_order
from framework.model.enums import OrderStatus, Role
from framework.model.records import UNSET

LIQUIDATION, HALT = int(Role.LIQUIDATION), int(Role.HALT)
MARGIN_CALL = int(OrderStatus.MARGIN_CALL)


@kernel
def call_margin(s, time):
    """Look at the account after a mark: below its maintenance margin, all positions leave at the next open."""
    account = s.account[0]
    account.called = 1 if account.equity < s.settings[0].maintenance * account.exposure else 0
    if account.called == 0:
        return
    for slot_number in range(s.slots.size):
        k = s.slots[slot_number].working - 1
        while k >= 0:
            if not is_protective(s.working[slot_number, k]):
                end_order(s, slot_number, k, MARGIN_CALL, time)
            k -= 1
        send_out(s, slot_number, LIQUIDATION, time)


@kernel
def send_out(s, slot_number, role, time):
    """Send the slot's whole position to the next open, out of its strategy's reach, unless it is sent out already."""
    slot = s.slots[slot_number]
    if slot.qty != 0.0 and not is_sent_out(s, slot_number):
        side = -1 if slot.qty > 0.0 else 1
        new_order(s, slot_number, side, MARKET, role, 1, 0.0, UNSET, time, time)
    refresh(s, slot_number)


@kernel
def is_sent_out(s, slot_number):
    """Return whether a margin call or a rule closes the slot's position."""
    for k in range(s.slots[slot_number].working):
        role = s.working[slot_number, k].role
        if role in (LIQUIDATION, HALT):
            return True
    return False
