"""Opens: what the open of a bar does to working orders, and the crosses of slots among themselves.

docs/fills.md tells the rules in words; the functions here follow its section *Open*.
"""

from __future__ import annotations

import math

from framework.boundary.jit import kernel
from framework.engine.cash import pay
from framework.engine.due import append_due, fill_due
from framework.engine.events import bar_of, symbol_of
from framework.engine.layout import AT_OPEN, WAITS_CHANCE, WAITS_MOVE, WAITS_SESSION
from framework.engine.ledger import MARKET, ROLE_STOP, refresh, rests
from framework.engine.lifetime import FOK, begin_session, end_chances, expire
from framework.engine.matching import RUNNING, exit_if_gapped, settle, wanted_quantity
from framework.engine.orders import become_limit, set_price
from framework.engine.prices import STOP, STOP_LIMIT, is_dust, is_set, volume_at, without_dust
from framework.model.records import UNSET


@kernel
def is_due(t, order, bar, through, time):
    """Return whether the open of the bar, at `time`, fills an order."""
    if order.active_from > time:
        return False
    if order.kind == MARKET:
        return True
    if order.kind == STOP_LIMIT or not is_set(order.price):
        return False
    if order.kind == STOP:
        return order.side * (t.open[bar] - order.price) >= 0.0
    return order.side * (order.price - t.open[bar]) >= through


@kernel
def is_passed(t, order, bar, time):
    """Return whether the open of the bar, at `time`, is at or beyond the stop price of a stop-limit."""
    return order.active_from <= time and order.side * (t.open[bar] - order.price) >= 0.0


@kernel
def begin_bar(s, t, number, bar):
    """Set the participation budget of a new bar and let what waits for it take effect."""
    symbol = s.symbols[number]
    settings = s.settings[0]
    symbol.budget = math.inf
    if settings.participation > 0.0:
        symbol.budget = settings.participation * volume_at(s, t, number, bar)
    if symbol.waiting & (WAITS_MOVE | WAITS_SESSION) == 0:
        return
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        if symbol.waiting & WAITS_SESSION:
            begin_session(s, t, slot_number, bar)
        if symbol.waiting & WAITS_MOVE:
            move_stops(s, slot_number)
    symbol.waiting &= ~(WAITS_MOVE | WAITS_SESSION)


@kernel
def move_stops(s, slot_number):
    """Let the waiting stop moves of a slot take effect."""
    for k in range(s.slots[slot_number].working):
        order = s.working[slot_number, k]
        if is_set(order.next_price):
            set_price(s, order, order.next_price, ROLE_STOP)
            order.next_price = UNSET
    refresh(s, slot_number)


@kernel
def is_due_market(order, time):
    """Return whether an order is a market order that an open at `time` fills, and that may be filled in parts."""
    return order.kind == MARKET and order.active_from <= time and order.tif != FOK


@kernel
def crossing_quantity(s, slot_number, time, stamp):
    """Return what a slot's due market orders buy (> 0) or sell (< 0), marking them; 0 when they do both."""
    slot = s.slots[slot_number]
    reduced = opened = 0.0
    side = 0
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if not is_due_market(order, time):
            continue
        if side == -order.side:
            return 0.0
        side = order.side
        if order.reduce_only:
            reduced = min(abs(slot.qty), reduced + wanted_quantity(s, slot_number, order))
        else:
            opened += order.remaining
    for k in range(slot.working):
        if is_due_market(s.working[slot_number, k], time):
            s.working[slot_number, k].tried = stamp
    return side * (reduced + opened)


@kernel
def cross_internally(s, t, number, bar, time):
    """Fill the market orders of slots against those of other slots, at the open and free of cost: buys, then sells."""
    account = s.account[0]
    account.stamp += 1
    bought = sold = 0.0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        qty = crossing_quantity(s, s.symbol_slots[i], time, account.stamp)
        bought += max(0.0, qty)
        sold += max(0.0, -qty)
    crossed = min(bought, sold)
    if crossed > 0.0:
        stamp = account.stamp
        cross_side(s, t, number, bar, time, 1, crossed, stamp)
        cross_side(s, t, number, bar, time, -1, crossed, stamp)


@kernel
def next_crossing(s, number, side, stamp):
    """Return slot and place of the next marked order of a side, reductions first, then by id; slot -1 at the end."""
    best_slot, best_k, best_id, best_opens = -1, -1, 0, 0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if order.tried != stamp or order.side != side or order.kind != MARKET:
                continue
            opens = 0 if order.reduce_only else 1
            if best_slot < 0 or opens < best_opens or (opens == best_opens and order.id < best_id):
                best_slot, best_k, best_id, best_opens = slot_number, k, order.id, opens
    return best_slot, best_k


@kernel
def cross_side(s, t, number, bar, time, side, crossed, stamp):
    """Give one side's share of a cross to its marked orders."""
    lot, price = s.symbols[number].lot, t.open[bar]
    while not is_dust(crossed, lot) and s.account[0].status == RUNNING:
        slot_number, k = next_crossing(s, number, side, stamp)
        if slot_number < 0:
            return
        order = s.working[slot_number, k]
        order.tried = 0
        qty = without_dust(min(crossed, wanted_quantity(s, slot_number, order)), lot)
        if qty > 0.0:
            crossed -= qty
            stop_id = settle(s, t, slot_number, k, qty, price, price, 0.0, bar, time, AT_OPEN, False, True, False)
            if stop_id > 0:
                exit_if_gapped(s, t, slot_number, stop_id, side, price, bar, time, AT_OPEN)


@kernel
def match_open(s, t, first, last, time):
    """Match working orders against the opens of the events [first, last), reductions of all symbols first."""
    account = s.account[0]
    if account.flow_due <= time:
        pay(s, t, time)
    if account.working > 0 and account.expiry <= time:
        expire(s, time, time)
    active = 0
    for event in range(first, last):
        number = symbol_of(t, event)
        symbol = s.symbols[number]
        if not rests(t, symbol, bar_of(t, event)):
            s.active[active] = event
            active += 1
            symbol.bar = bar_of(t, event)
            begin_bar(s, t, number, symbol.bar)
    count = 0
    for i in range(active):
        number, bar = symbol_of(t, s.active[i]), bar_of(t, s.active[i])
        if s.symbols[number].working > 0:
            count = collect_due(s, t, number, bar, count, time)
    for i in range(active):
        event = s.active[i]
        number = symbol_of(t, event)
        if s.symbols[number].working > 1 and s.symbol_first[number + 1] - s.symbol_first[number] > 1:
            cross_internally(s, t, number, bar_of(t, event), time)
    fill_due(s, t, count, time, AT_OPEN)
    if account.status != RUNNING:
        return
    for i in range(active):
        number = symbol_of(t, s.active[i])
        if s.symbols[number].waiting & WAITS_CHANCE:
            end_chances(s, number, time)


@kernel
def collect_due(s, t, number, bar, count, time):
    """Append the orders of a symbol that its open fills to the scratch; return how many there are now."""
    through = s.settings[0].limit_through * s.symbols[number].tick
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if order.kind == STOP_LIMIT and is_passed(t, order, bar, time):
                become_limit(s, order)
                refresh(s, slot_number)
            if is_due(t, order, bar, through, time):
                count = append_due(s, slot_number, order, count)
    return count
