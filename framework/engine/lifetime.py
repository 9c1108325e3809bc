"""How long an order works: sessions, times and single chances.

docs/fills.md tells the rules in words under *How long an order works*.
"""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import kernel
from framework.engine.layout import FOREVER, WAITS_CHANCE, WAITS_SESSION
from framework.engine.ledger import MARKET, refresh
from framework.engine.orders import CANCELED, LIMIT, end_order
from framework.model.enums import OrderStatus, TimeInForce

DAY, GTD, IOC, FOK = int(TimeInForce.DAY), int(TimeInForce.GTD), int(TimeInForce.IOC), int(TimeInForce.FOK)
EXPIRED = int(OrderStatus.EXPIRED)
MINUTE = 60_000_000_000


@kernel
def has_one_chance(order):
    """Return whether an order is cancelled when its first chance does not fill it."""
    return order.tif >= IOC


@kernel
def session_end(t, bar):
    """Return the scheduled end of a bar's session, which is on a whole minute unless the bar ends with it."""
    minutes = np.int64(t.minutes_to_close[bar])
    if minutes == 0:
        return t.close_time[bar]
    return (t.close_time[bar] + minutes * MINUTE) // MINUTE * MINUTE


@kernel
def current_session_end(s, t, number, time):
    """Return when the session of the symbol's bar in progress, or else of its last one, ends."""
    bar = s.symbols[number].closed
    if bar + 1 < t.series[number + 1] and t.open_time[bar + 1] < time:
        bar += 1
    return session_end(t, bar)


@kernel
def set_lifetime(s, t, slot_number, order, intent, time):
    """Give an accepted order its time in force."""
    symbol = s.symbols[s.slots[slot_number].symbol]
    order.tif = s.orders[order.id - 1].tif = intent.tif
    if intent.tif == GTD:
        set_expiry(s, order, intent.until)
    elif intent.tif == DAY:
        end = current_session_end(s, t, s.slots[slot_number].symbol, time)
        if end > time:
            set_expiry(s, order, end)
        else:
            symbol.waiting |= WAITS_SESSION
    elif intent.tif >= IOC:
        symbol.waiting |= WAITS_CHANCE


@kernel
def set_expiry(s, order, until):
    """Let an order expire at a time, in the list and in the log."""
    account = s.account[0]
    order.until = s.orders[order.id - 1].until = until
    account.expiry = min(account.expiry, until)


@kernel
def begin_session(s, t, slot_number, bar):
    """Let the slot's DAY orders that wait for a session expire with that of the bar that opens."""
    for k in range(s.slots[slot_number].working):
        order = s.working[slot_number, k]
        if order.tif == DAY and order.until == FOREVER:
            set_expiry(s, order, session_end(t, bar))


@kernel
def expire(s, last, time):
    """End the orders that expire at `last` or before, and find out when the next one does."""
    account = s.account[0]
    account.expiry = FOREVER
    for slot_number in range(s.slots.size):
        slot = s.slots[slot_number]
        before = slot.working
        k = before - 1
        while k >= 0:
            order = s.working[slot_number, k]
            if order.until <= last:
                end_order(s, slot_number, k, EXPIRED, time)
            else:
                account.expiry = min(account.expiry, order.until)
            k -= 1
        if slot.working < before:
            refresh(s, slot_number)


@kernel
def end_chances(s, number, time):
    """Cancel the symbol's market and limit orders that had their one chance at the open that is over."""
    symbol = s.symbols[number]
    symbol.waiting &= ~WAITS_CHANCE
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        before = s.slots[slot_number].working
        k = before - 1
        while k >= 0:
            order = s.working[slot_number, k]
            if has_one_chance(order):
                if order.kind == MARKET or order.kind == LIMIT:
                    end_order(s, slot_number, k, CANCELED, time)
                else:
                    symbol.waiting |= WAITS_CHANCE
            k -= 1
        if s.slots[slot_number].working < before:
            refresh(s, slot_number)
