"""Marks: what every close does to positions and account, traded or not."""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import inlined
from framework.engine.cash import charge_nights, pay
from framework.engine.events import bar_of, symbol_of
from framework.engine.ledger import mark_account, mark_slot, revalue, roll_day
from framework.engine.orders import trail_stop
from framework.engine.tax import settle_taxes


@inlined
def mark_symbol(s, t, number, bar):
    """Mark a symbol at its close, and the slots that hold it; return whether a slot of it is awake."""
    symbol = s.symbols[number]
    symbol.closed = bar
    symbol.mark = t.close[bar]
    if symbol.held > 0:
        revalue(s, number)
        for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
            slot_number = s.symbol_slots[i]
            slot = s.slots[slot_number]
            if slot.qty != 0.0:
                before = slot.high_water
                mark_slot(s, t, slot_number, bar)
                if slot.working > 0 and (slot.high_water != before or slot.trail_due):
                    slot.trail_due = 0
                    trail_stop(s, slot_number)
    return symbol.asleep_until <= bar


@inlined
def mark_group(s, t, first, last, time):
    """Mark every symbol that closes and its slots, pay what is due then, and mark the account.

    Returns how many symbols have a slot that is to be asked; their events are in s.active.
    """
    roll_day(s, np.int64(t.account_day[bar_of(t, first)]))
    awake = 0
    for event in range(first, last):
        if mark_symbol(s, t, symbol_of(t, event), bar_of(t, event)):
            s.active[awake] = event
            awake += 1
    if s.account[0].flow_due <= time:
        pay(s, t, time)
        if s.account[0].tax_due <= time:
            settle_taxes(s, t, time)
    if s.settings[0].accrues != 0:
        charge_nights(s, t, bar_of(t, first), time)
    mark_account(s, time)
    return awake
