"""Endings: what becomes of orders and positions of a symbol at its last close.

docs/fills.md tells the rules in words under *The end of a symbol*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.events import bar_of, symbol_of
from framework.engine.layout import AT_CLOSE, FOREVER
from framework.engine.ledger import MARKET, refresh, see_rows
from framework.engine.matching import RUNNING, fill_price, settle
from framework.engine.orders import end_order, new_order
from framework.engine.prices import charge
from framework.model.enums import OrderStatus
from framework.model.records import UNSET

ENDED = int(OrderStatus.ENDED)


@kernel
def end_symbols(s, t, first, last, time):
    """End the symbols of the closing group [first, last) that have their last close in it."""
    account = s.account[0]
    for event in range(first, last):
        number = symbol_of(t, event)
        symbol = s.symbols[number]
        if symbol.final == first:
            symbol.bar, symbol.ended = bar_of(t, event), 1
            for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
                slot = s.slots[s.symbol_slots[i]]
                if t.detail.size > 1 and slot.qty != 0.0 and slot.walked != symbol.bar:
                    see_rows(s, t, s.symbol_slots[i], symbol.bar, t.detail[symbol.bar], t.detail[symbol.bar + 1] - 1)
                end_slot(s, t, s.symbol_slots[i], time)
    account.final = FOREVER
    for other in range(s.symbols.size):
        if s.symbols[other].ended == 0:
            account.final = min(account.final, s.symbols[other].final)


@kernel
def end_slot(s, t, slot_number, time):
    """End the slot's working orders, and close its position at the close of its symbol's bar, with costs."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    k = slot.working - 1
    while k >= 0:
        end_order(s, slot_number, k, ENDED, time)
        k -= 1
    refresh(s, slot_number)
    if slot.qty == 0.0 or s.account[0].status != RUNNING:
        return
    qty = abs(slot.qty)
    bar, reference = symbol.bar, t.close[symbol.bar]
    side = -1 if slot.qty > 0.0 else 1
    order = new_order(s, slot_number, side, MARKET, symbol.end_role, 1, qty, UNSET, time, time)
    price = fill_price(s, t, slot_number, order, reference, qty)
    fee = charge(s, order, qty, price, symbol.multiplier)
    k = slot.working - 1
    settle(s, t, slot_number, k, qty, price, reference, fee, bar, time, AT_CLOSE, False, False, False)
