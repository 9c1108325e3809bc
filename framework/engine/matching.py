"""Matching: what the open and the range of a bar do to working orders.

docs/fills.md tells the rules in words; the functions here follow its sections *Open*, *Range*, *One fill* and
*Consequences of a fill*.
"""

from __future__ import annotations

import math

import numpy as np

from framework.boundary.jit import kernel
from framework.engine.ledger import MARKET, ROLE_STOP, buying_power, execute, is_protective, refresh
from framework.engine.orders import (
    FILLED,
    LIMIT,
    POSITION_CLOSED,
    end_order,
    end_partial_openings,
    end_reductions,
    find_order,
    make_bracket,
    set_price,
    wake,
)
from framework.engine.prices import (
    STOP,
    charge,
    down,
    fee_rate,
    is_dust,
    is_set,
    mean_volume,
    on_lots,
    slipped,
    up,
    without_dust,
)
from framework.model.enums import OrderStatus, Status
from framework.model.records import UNSET

CUT_AT_FILL = int(OrderStatus.CUT_AT_FILL)
RUNNING = int(Status.RUNNING)
STOPS, ENTRIES, BRACKET_STOPS, BRACKET_TARGETS, TARGETS = 0, 1, 2, 3, 4
"""The steps of the range phase, in their order."""
STOP_TOUCHED, ENTRY_TOUCHED, TARGET_TOUCHED = 1, 2, 4


# --- one fill ---------------------------------------------------------------------------------------------------------


@kernel
def wanted_quantity(s, slot_number, order):
    """Return what the order still asks for; a reduction at most what there is to reduce."""
    if not order.reduce_only:
        return order.remaining
    held = -order.side * s.slots[slot_number].qty
    if held <= 0.0:
        return 0.0
    return held if is_protective(order) else min(order.remaining, held)


@kernel
def affordable_quantity(s, number, order, price):
    """Return what of an opening buying power covers at this price; what lowers the net position is free."""
    settings = s.settings[0]
    symbol = s.symbols[number]
    free = max(0.0, -order.side * symbol.net)
    unit = price * symbol.multiplier * (1.0 + fee_rate(s, order.kind)) + settings.per_share
    fixed = max(settings.per_order, settings.minimum)
    return down(free + max(0.0, buying_power(s) - fixed) / unit, symbol.lot)


@kernel
def fill_price(s, t, slot_number, order, reference, qty):
    """Return the price of a fill: a limit's own, else the reference with slippage, on the tick against the order.

    A price that rounds to nothing becomes one tick.
    """
    if order.kind == LIMIT:
        return reference
    number = s.slots[slot_number].symbol
    symbol = s.symbols[number]
    price = slipped(s, t, number, order.side, qty, reference, symbol.closed)
    price = up(price, symbol.tick) if order.side > 0 else down(price, symbol.tick)
    return price if price > 0.0 else symbol.tick


@kernel
def fill_order(s, t, slot_number, k, reference, bar, time, inside):
    """Try to fill the slot's k-th working order; an entry beyond its own new stop is closed at once."""
    side = s.working[slot_number, k].side
    stop_id, price = attempt(s, t, slot_number, k, reference, bar, time, inside, False)
    if stop_id > 0:
        exit_if_gapped(s, t, slot_number, stop_id, side, price, bar, time, inside)


@kernel
def exit_if_gapped(s, t, slot_number, stop_id, side, price, bar, time, inside):
    """Fill a new stop at once when its entry was filled at or beyond it: a gap never earns."""
    k = find_order(s, slot_number, stop_id)
    stop = s.working[slot_number, k]
    if is_set(stop.price) and side * (price - stop.price) <= 0.0:
        attempt(s, t, slot_number, k, price, bar, time, inside, True)


@kernel
def attempt(s, t, slot_number, k, reference, bar, time, inside, gapped):
    """Fill what can be filled of an order; return the id of the stop that this made (0: none) and the price."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    order = s.working[slot_number, k]
    qty = wanted_quantity(s, slot_number, order)
    if qty <= 0.0:
        return 0, 0.0
    if qty > symbol.budget:
        qty = down(symbol.budget, symbol.lot)
    if qty <= 0.0:
        keep_as_market(s, slot_number, order)
        return 0, 0.0
    price = fill_price(s, t, slot_number, order, reference, qty)
    is_cut = False
    if not order.reduce_only:
        affordable = affordable_quantity(s, slot.symbol, order, price)
        if affordable < qty:
            qty, is_cut = affordable, True
    if qty <= 0.0:
        end_order(s, slot_number, k, CUT_AT_FILL, time)
        refresh(s, slot_number)
        return 0, 0.0
    symbol.budget -= qty
    fee = charge(s, order, qty, price, symbol.multiplier)
    stop_id = settle(s, t, slot_number, k, qty, price, reference, fee, bar, time, inside, gapped, False, is_cut)
    return stop_id, price


@kernel
def keep_as_market(s, slot_number, order):
    """Turn a stop that was touched into a market order: what did not fill now does not wait for the price again."""
    if order.kind != STOP:
        return
    order.kind = MARKET
    s.orders[order.id - 1].kind = MARKET
    refresh(s, slot_number)


@kernel
def settle(s, t, slot_number, k, qty, price, reference, fee, bar, time, inside, gapped, is_cross, is_cut):
    """Book a fill and its consequences: the order, its siblings, its bracket; return the id of a new stop, or 0."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    order = s.working[slot_number, k]
    slippage = abs(price - reference) * qty * symbol.multiplier
    has_ended = execute(s, slot_number, order.side, qty, price, fee, slippage, order.role, bar, time, inside)
    write_fill(s, slot_number, order, qty, price, reference, fee, slippage, bar, time, gapped, is_cross)
    order.filled = 1
    order.remaining = on_lots(max(0.0, order.remaining - qty), symbol.lot)
    makes_bracket = not order.reduce_only and not order.bracketed and order.side * slot.qty > 0.0
    if makes_bracket:
        order.bracketed = 1
    s.parent[0] = order
    parent = s.parent[0]
    if has_ended if is_protective(order) else is_dust(order.remaining, symbol.lot):
        end_order(s, slot_number, k, FILLED, time)
    elif is_cut:
        end_order(s, slot_number, k, CUT_AT_FILL, time)
    else:
        keep_as_market(s, slot_number, order)
    if has_ended:
        end_reductions(s, slot_number, time)
        if is_protective(parent):
            end_partial_openings(s, slot_number, POSITION_CLOSED, time)
    stop_id = 0
    if makes_bracket:
        stop_id = make_bracket(s, t, slot_number, parent, price, bar, time, inside)
        if inside:
            note_touched(s, t, slot_number, bar, True)
    refresh(s, slot_number)
    return stop_id


@kernel
def write_fill(s, slot_number, order, qty, price, reference, fee, slippage, bar, time, gapped, cross):
    """Append a fill, and bring the order's row up to it."""
    slot = s.slots[slot_number]
    account = s.account[0]
    fill = s.fills[account.fills]
    account.fills += 1
    fill.id, fill.order_id, fill.time, fill.bar = account.fills, order.id, time, bar
    fill.slot, fill.symbol, fill.side, fill.role, fill.tag = slot_number, slot.symbol, order.side, order.role, order.tag
    fill.qty, fill.price, fill.reference, fill.fee, fill.slippage = qty, price, reference, fee, slippage
    fill.previous = slot.last_fill
    slot.last_fill = fill.id
    wake(s, slot_number)
    fill.position, fill.is_maker, fill.is_cross, fill.is_gapped = slot.qty, order.kind == LIMIT, cross, gapped
    account.gapped += gapped
    row = s.orders[order.id - 1]
    total = row.filled + qty
    row.average_price = (row.average_price * row.filled + price * qty) / total
    row.filled = total


# --- the range of a bar -----------------------------------------------------------------------------------------------


@kernel
def touches(t, order, bar, through):
    """Return whether the bar's range reaches a limit or stop order."""
    if not is_set(order.price) or order.kind == MARKET:
        return False
    if order.kind == STOP:
        return t.high[bar] >= order.price if order.side > 0 else t.low[bar] <= order.price
    return t.low[bar] <= order.price - through if order.side > 0 else t.high[bar] >= order.price + through


@kernel
def step_of(order, bar):
    """Return the step of the range phase that an order belongs to."""
    if not order.reduce_only:
        return ENTRIES
    if order.born_inside == bar:
        return BRACKET_STOPS if order.kind == STOP else BRACKET_TARGETS
    return STOPS if order.kind == STOP else TARGETS


@kernel
def is_touched_in(t, order, bar, through, step):
    """Return whether the order fills in this step: the target of a bracket needs the close beyond it."""
    if step == BRACKET_TARGETS:
        return order.side * (order.price - t.close[bar]) >= through
    return touches(t, order, bar, through)


@kernel
def range_reference(t, order, bar, step):
    """Return the price at which the range fills an order, before slippage."""
    if step == BRACKET_TARGETS:
        return order.price
    if step == BRACKET_STOPS:
        return max(order.price, t.low[bar]) if order.side > 0 else min(order.price, t.high[bar])
    if (order.kind == STOP) == (order.side > 0):
        return max(order.price, t.open[bar])
    return min(order.price, t.open[bar])


@kernel
def nearest_touched(s, t, number, bar, step, stamp):
    """Return slot and place of the untried order of a step that is nearest to the open; slot -1 when there is none."""
    through = s.settings[0].limit_through * s.symbols[number].tick
    best_slot, best_k, best_id, best_distance = -1, -1, 0, 0.0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if order.kind == MARKET or order.tried == stamp or order.active_from > t.open_time[bar]:
                continue
            if step_of(order, bar) != step or not is_touched_in(t, order, bar, through, step):
                continue
            distance = abs(order.price - t.open[bar])
            if best_slot < 0 or distance < best_distance or (distance == best_distance and order.id < best_id):
                best_slot, best_k, best_id, best_distance = slot_number, k, order.id, distance
    return best_slot, best_k


@kernel
def note_touched(s, t, slot_number, bar, born):
    """Remember which classes of a slot's orders the bar touches: more than one makes the bar ambiguous.

    born: look at those that were born inside the bar, else at the others.
    """
    slot = s.slots[slot_number]
    through = s.settings[0].limit_through * s.symbols[slot.symbol].tick
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.active_from > t.open_time[bar] or (order.born_inside == bar) != born:
            continue
        if touches(t, order, bar, through):
            if not order.reduce_only:
                slot.touched |= ENTRY_TOUCHED
            else:
                slot.touched |= STOP_TOUCHED if order.kind == STOP else TARGET_TOUCHED


@kernel
def match_range(s, t, number, bar, time):
    """Match one symbol's working orders against the range of the bar that closes."""
    account = s.account[0]
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        s.slots[s.symbol_slots[i]].touched = 0
        note_touched(s, t, s.symbol_slots[i], bar, False)
    for step in range(5):
        account.stamp += 1
        stamp = account.stamp
        while account.status == RUNNING:
            slot_number, k = nearest_touched(s, t, number, bar, step, stamp)
            if slot_number < 0:
                break
            order = s.working[slot_number, k]
            order.tried = stamp
            fill_order(s, t, slot_number, k, range_reference(t, order, bar, step), bar, time, True)
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        touched = s.slots[s.symbol_slots[i]].touched
        if touched & (touched - 1):
            account.ambiguous += 1


# --- the open of a bar ------------------------------------------------------------------------------------------------


@kernel
def is_due(t, order, bar, through, time):
    """Return whether the open of the bar, at `time`, fills an order."""
    if order.active_from > time:
        return False
    if order.kind == MARKET:
        return True
    if not is_set(order.price):
        return False
    if order.kind == STOP:
        return order.side * (t.open[bar] - order.price) >= 0.0
    return order.side * (order.price - t.open[bar]) >= through


@kernel
def begin_bar(s, t, number, bar):
    """Set the participation budget of a new bar and let waiting stop moves take effect."""
    symbol = s.symbols[number]
    settings = s.settings[0]
    symbol.budget = math.inf
    if settings.participation > 0.0:
        symbol.budget = settings.participation * mean_volume(t, t.series[number], symbol.closed, settings.volume_window)
    if symbol.moves == 0:
        return
    symbol.moves = 0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if is_set(order.next_price):
                set_price(s, order, order.next_price, ROLE_STOP)
                order.next_price = UNSET
        refresh(s, slot_number)


@kernel
def is_due_market(order, time):
    """Return whether an order is a market order that an open at `time` fills."""
    return order.kind == MARKET and order.active_from <= time


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
            stop_id = settle(s, t, slot_number, k, qty, price, price, 0.0, bar, time, False, False, True, False)
            if stop_id > 0:
                exit_if_gapped(s, t, slot_number, stop_id, side, price, bar, time, False)


@kernel
def sort_due(due, count):
    """Sort the scratch of due orders by (opening, id): Shell's sort, in place, no memory of its own."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            identity, slot_number, opens = due[i, 0], due[i, 1], due[i, 2]
            j = i
            while j >= gap and (due[j - gap, 2] > opens or (due[j - gap, 2] == opens and due[j - gap, 0] > identity)):
                for c in range(3):
                    due[j, c] = due[j - gap, c]
                j -= gap
            due[j, 0], due[j, 1], due[j, 2] = identity, slot_number, opens
        gap //= 2


@kernel
def match_open(s, t, first, last, time):
    """Match working orders against the opens of the events [first, last), reductions of all symbols first."""
    account = s.account[0]
    active = False
    for event in range(first, last):
        number, bar = np.int64(t.event_symbol[event]), t.event_bar[event]
        symbol = s.symbols[number]
        symbol.bar = bar
        if symbol.working > 0:
            active = True
            begin_bar(s, t, number, bar)
    if not active:
        return
    count = 0
    for event in range(first, last):
        number, bar = np.int64(t.event_symbol[event]), t.event_bar[event]
        if s.symbols[number].working == 0:
            continue
        count = collect_due(s, t, number, bar, count, time)
    for event in range(first, last):
        number = np.int64(t.event_symbol[event])
        if s.symbols[number].working > 1 and s.symbol_first[number + 1] - s.symbol_first[number] > 1:
            cross_internally(s, t, number, t.event_bar[event], time)
    sort_due(s.due, count)
    for i in range(count):
        if account.status != RUNNING:
            return
        slot_number = s.due[i, 1]
        k = find_order(s, slot_number, s.due[i, 0])
        if k >= 0:
            bar = s.symbols[s.slots[slot_number].symbol].bar
            fill_order(s, t, slot_number, k, t.open[bar], bar, time, False)


@kernel
def collect_due(s, t, number, bar, count, time):
    """Append the orders of a symbol that its open fills to the scratch; return how many there are now."""
    through = s.settings[0].limit_through * s.symbols[number].tick
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if is_due(t, order, bar, through, time):
                s.due[count, 0], s.due[count, 1] = order.id, slot_number
                s.due[count, 2] = 0 if order.reduce_only else 1
                count += 1
    return count
