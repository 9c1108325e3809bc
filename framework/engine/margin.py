"""The maintenance margin: what happens to an account whose equity no longer carries its positions.

docs/fills.md tells the rules in words under *Maintenance margin*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.ledger import MARKET, is_protective, refresh
from framework.engine.orders import end_order, new_order
from framework.model.enums import OrderStatus, Role
from framework.model.records import UNSET

LIQUIDATION = int(Role.LIQUIDATION)
MARGIN_CALL = int(OrderStatus.MARGIN_CALL)


@kernel
def call_margin(s, time):
    """Look at the account after a mark: below its maintenance margin, all positions leave at the next open."""
    account = s.account[0]
    account.called = 1 if account.equity < s.settings[0].maintenance * account.exposure else 0
    if account.called == 0:
        return
    for slot_number in range(s.slots.size):
        slot = s.slots[slot_number]
        is_leaving = 0
        k = slot.working - 1
        while k >= 0:
            order = s.working[slot_number, k]
            if order.role == LIQUIDATION:
                is_leaving = 1
            elif not is_protective(order):
                end_order(s, slot_number, k, MARGIN_CALL, time)
            k -= 1
        if slot.qty != 0.0 and is_leaving == 0:
            side = -1 if slot.qty > 0.0 else 1
            new_order(s, slot_number, side, MARKET, LIQUIDATION, 1, 0.0, UNSET, time, time)
        refresh(s, slot_number)
