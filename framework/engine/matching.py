"""Matching: one fill and its consequences, and what the range of a bar does to working orders.

docs/fills.md tells the rules in words; the functions here follow its sections *Range*, *Finer bars*, *One fill* and
*Consequences of a fill*.

`row` is the row of prices that is looked at: the bar itself, or one of the finer bars inside it; `symbol.bar` is the
bar.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.layout import IN_RANGE, WAITS_TRIGGER
from framework.engine.ledger import MARKET, buying_power, execute, is_protective, refresh, see_rows
from framework.engine.lifetime import FOK, has_one_chance
from framework.engine.orders import (
    CANCELED,
    FILLED,
    LIMIT,
    POSITION_CLOSED,
    become_limit,
    end_order,
    end_partial_openings,
    end_reductions,
    end_siblings,
    find_order,
    is_same_intent,
    make_bracket,
    trail_stop,
    wake,
)
from framework.engine.prices import (
    ROUNDINGS,
    STOP,
    STOP_LIMIT,
    charge,
    down,
    fee_rate,
    is_dust,
    is_set,
    on_lots,
    slipped,
    up,
)
from framework.engine.refusals import ORDER, RULE, refuse
from framework.engine.tax import withhold
from framework.model.enums import OrderStatus, Status

CUT_AT_FILL, SLIPPAGE = int(OrderStatus.CUT_AT_FILL), int(OrderStatus.SLIPPAGE)
RUNNING = int(Status.RUNNING)
STOPS, ENTRIES, BRACKET_STOPS, BRACKET_TARGETS, TARGETS = 0, 1, 2, 3, 4
"""The steps of the range phase, in their order."""
STOP_TOUCHED, ENTRY_TOUCHED, TARGET_TOUCHED, SIBLINGS_TOUCHED = 1, 2, 4, 8 | 16
"""What a row touched of a slot's orders: two bits or more make it ambiguous."""


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
    price = slipped(s, t, number, order.side, qty, reference, symbol.bar)
    price = up(price, symbol.tick) if order.side > 0 else down(price, symbol.tick)
    return price if price > 0.0 else symbol.tick


@kernel
def fill_order(s, t, slot_number, k, reference, row, time, phase):
    """Try to fill the slot's k-th working order; an entry beyond its own new stop is closed at once."""
    side = s.working[slot_number, k].side
    stop_id, price = attempt(s, t, slot_number, k, reference, row, time, phase, False)
    if stop_id > 0:
        exit_if_gapped(s, t, slot_number, stop_id, side, price, row, time, phase)


@kernel
def exit_if_gapped(s, t, slot_number, stop_id, side, price, row, time, phase):
    """Fill a new stop at once when its entry was filled at or beyond it: a gap never earns."""
    k = find_order(s, slot_number, stop_id)
    stop = s.working[slot_number, k]
    if is_set(stop.price) and side * (price - stop.price) <= 0.0:
        attempt(s, t, slot_number, k, price, row, time, phase, True)


@kernel
def attempt(s, t, slot_number, k, reference, row, time, phase, gapped):
    """Fill what can be filled of an order; return the id of the stop that this made (0: none) and the price."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    order = s.working[slot_number, k]
    qty = wanted_quantity(s, slot_number, order)
    if qty <= 0.0:
        return 0, 0.0
    if qty > symbol.budget:
        qty = 0.0 if order.tif == FOK else down(symbol.budget, symbol.lot)
    if qty <= 0.0:
        leave(s, slot_number, k, time)
        refresh(s, slot_number)
        return 0, 0.0
    price = fill_price(s, t, slot_number, order, reference, qty)
    is_cut = False
    if not order.reduce_only:
        if slips_too_far(s, slot_number, order.side, qty, price, reference, time):
            end_order(s, slot_number, k, SLIPPAGE, time)
            refresh(s, slot_number)
            return 0, 0.0
        affordable = affordable_quantity(s, slot.symbol, order, price)
        if affordable < qty:
            qty, is_cut = 0.0 if order.tif == FOK else affordable, True
    if qty <= 0.0:
        end_order(s, slot_number, k, CUT_AT_FILL, time)
        refresh(s, slot_number)
        return 0, 0.0
    symbol.budget -= qty
    fee = charge(s, order, qty, price, symbol.multiplier)
    stop_id = settle(s, t, slot_number, k, qty, price, reference, fee, row, time, phase, gapped, False, is_cut)
    return stop_id, price


@kernel
def slips_too_far(s, slot_number, side, qty, price, reference, time):
    """Return whether the slippage of an opening is above what a rule allows, and record its refusal then."""
    settings = s.settings[0]
    slippage = side * (price - reference) / reference
    if slippage <= settings.max_slippage * (1.0 + 1e-9):
        return False
    refuse(s, slot_number, side, ORDER, RULE + settings.max_slippage_rule - 1, qty, 0.0, 100.0 * slippage,
           100.0 * settings.max_slippage, time)
    return True


@kernel
def leave(s, slot_number, k, time):
    """Let what an attempt left of an order end, if that was its one chance, or keep working.

    A stop that was touched is a market order from then on: it does not wait for the price again.
    """
    order = s.working[slot_number, k]
    if has_one_chance(order):
        end_order(s, slot_number, k, CANCELED, time)
    elif order.kind == STOP:
        order.kind = s.orders[order.id - 1].kind = MARKET


@kernel
def settle(s, t, slot_number, k, qty, price, reference, fee, row, time, phase, gapped, is_cross, is_cut):
    """Book a fill and its consequences: the order, its siblings, its bracket; return the id of a new stop, or 0.

    The consequences look at the order as it was before the fill: the copy is taken before anything is written to it.
    """
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    order = s.working[slot_number, k]
    s.parent[0] = order
    parent = s.parent[0]
    slippage = abs(price - reference) * qty * symbol.multiplier
    has_ended = execute(s, slot_number, order.side, qty, price, fee, slippage, order.role, symbol.bar, time, phase)
    write_fill(s, slot_number, order, qty, price, reference, fee, slippage, time, gapped, is_cross)
    if order.side < 0 and not is_cross and s.settings[0].tds > 0.0:
        withhold(s, slot_number, qty, price, time)
    order.filled = 1
    order.remaining = on_lots(max(0.0, order.remaining - qty), symbol.lot)
    makes_bracket = not order.reduce_only and not order.bracketed and order.side * slot.qty > 0.0
    if not order.reduce_only and order.side * slot.qty > 0.0 and slot.trade_fills == 1:
        slot.partial_distance = order.partial_distance
        slot.partial_share = order.partial_share if makes_bracket else 0.0
    if makes_bracket:
        order.bracketed = 1
    if has_ended if is_protective(order) else is_dust(order.remaining, symbol.lot):
        end_order(s, slot_number, k, FILLED, time)
    elif is_cut:
        end_order(s, slot_number, k, CUT_AT_FILL, time)
    elif not is_cross:
        leave(s, slot_number, k, time)
    if parent.oco != 0:
        end_siblings(s, slot_number, parent, time)
    if has_ended:
        end_reductions(s, slot_number, time)
        if is_protective(parent):
            end_partial_openings(s, slot_number, POSITION_CLOSED, time)
    stop_id = 0
    if makes_bracket:
        stop_id = make_bracket(s, t, slot_number, parent, price, row, time, phase)
        if phase == IN_RANGE:
            note_touched(s, t, slot_number, row, True)
    refresh(s, slot_number)
    return stop_id


@kernel
def write_fill(s, slot_number, order, qty, price, reference, fee, slippage, time, gapped, cross):
    """Append a fill, and bring the order's row up to it."""
    slot = s.slots[slot_number]
    account = s.account[0]
    fill = s.fills[account.fills]
    account.fills += 1
    fill.id, fill.order_id, fill.time, fill.bar = account.fills, order.id, time, s.symbols[slot.symbol].bar
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
def meets_range(order):
    """Return whether the range of a bar can fill an order."""
    return order.kind == LIMIT or order.kind == STOP


@kernel
def touches(t, order, row, through):
    """Return whether the range of a row reaches a limit or stop order."""
    if not is_set(order.price) or not meets_range(order):
        return False
    if order.kind == STOP:
        return t.high[row] >= order.price if order.side > 0 else t.low[row] <= order.price
    return t.low[row] <= order.price - through if order.side > 0 else t.high[row] >= order.price + through


@kernel
def step_of(order, row):
    """Return the step of the range phase that an order belongs to."""
    if not order.reduce_only:
        return ENTRIES
    if order.born_inside == row:
        return BRACKET_STOPS if order.kind == STOP else BRACKET_TARGETS
    return STOPS if order.kind == STOP else TARGETS


@kernel
def is_touched_in(t, order, row, through, step):
    """Return whether the order fills in this step: the target of a bracket needs the close beyond it."""
    if step == BRACKET_TARGETS:
        return order.side * (order.price - t.close[row]) >= through
    return touches(t, order, row, through)


@kernel
def range_reference(t, order, row, step):
    """Return the price at which the range fills an order, before slippage."""
    if step == BRACKET_TARGETS:
        return order.price
    if step == BRACKET_STOPS:
        return max(order.price, t.low[row]) if order.side > 0 else min(order.price, t.high[row])
    if (order.kind == STOP) == (order.side > 0):
        return max(order.price, t.open[row])
    return min(order.price, t.open[row])


@kernel
def nearest_touched(s, t, number, row, step, stamp):
    """Return slot and place of the untried order of a step that is nearest to the open; slot -1 when there is none.

    Of those that nothing but rounding sets apart, the first by id.
    """
    alike = ROUNDINGS * t.open[row]
    through = s.settings[0].limit_through * s.symbols[number].tick
    opened = t.open_time[s.symbols[number].bar]
    best_slot, best_k, best_id, best_distance = -1, -1, 0, 0.0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if not meets_range(order) or order.tried == stamp or order.active_from > opened:
                continue
            if step_of(order, row) != step or not is_touched_in(t, order, row, through, step):
                continue
            distance = abs(order.price - t.open[row])
            is_first = distance <= best_distance + alike and order.id < best_id
            if best_slot < 0 or distance < best_distance - alike or is_first:
                best_slot, best_k, best_id, best_distance = slot_number, k, order.id, distance
    return best_slot, best_k


@kernel
def note_touched(s, t, slot_number, row, born):
    """Remember which classes of a slot's orders a row touches: more than one makes the bar ambiguous.

    born: look at those that were born inside the row, else at the others.
    """
    slot = s.slots[slot_number]
    through = s.settings[0].limit_through * s.symbols[slot.symbol].tick
    opened = t.open_time[s.symbols[slot.symbol].bar]
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.active_from > opened or (order.born_inside == row) != born:
            continue
        if touches(t, order, row, through):
            if not order.reduce_only:
                slot.touched |= ENTRY_TOUCHED
            else:
                slot.touched |= STOP_TOUCHED if order.kind == STOP else TARGET_TOUCHED
            if order.oco != 0 and touches_sibling(s, t, slot_number, k, row, through, opened):
                slot.touched |= SIBLINGS_TOUCHED


@kernel
def touches_sibling(s, t, slot_number, k, row, through, opened):
    """Return whether the range of a row reaches a sibling of the slot's k-th order that stands before it."""
    order = s.working[slot_number, k]
    count = 0
    for i in range(k):
        other = s.working[slot_number, i]
        if other.oco != order.oco or other.active_from > opened or is_same_intent(s, order, other):
            continue
        if touches(t, other, row, through):
            count += 1
    return count > 0


@kernel
def trigger_stop_limits(s, t, number, row, time):
    """Turn the symbol's stop-limits that the range of a row touched into limits for the next row.

    One that has one chance has it at the next open.
    """
    symbol = s.symbols[number]
    opened = t.open_time[symbol.bar]
    symbol.waiting &= ~WAITS_TRIGGER
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if order.kind != STOP_LIMIT:
                continue
            is_touched = t.high[row] >= order.price if order.side > 0 else t.low[row] <= order.price
            if is_touched and order.active_from <= opened:
                become_limit(s, order)
                if has_one_chance(order):
                    order.active_from = time
                refresh(s, slot_number)
            else:
                symbol.waiting |= WAITS_TRIGGER


@kernel
def match_row(s, t, number, row, time):
    """Match one symbol's working orders against the range of one row; `time` is that of its close."""
    account = s.account[0]
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        note_touched(s, t, s.symbol_slots[i], row, False)
    for step in range(5):
        account.stamp += 1
        stamp = account.stamp
        while account.status == RUNNING:
            slot_number, k = nearest_touched(s, t, number, row, step, stamp)
            if slot_number < 0:
                break
            order = s.working[slot_number, k]
            order.tried = stamp
            fill_order(s, t, slot_number, k, range_reference(t, order, row, step), row, time, IN_RANGE)
    if s.symbols[number].waiting & WAITS_TRIGGER:
        trigger_stop_limits(s, t, number, row, time)


@kernel
def pass_row(s, t, number, bar, row):
    """Go on behind a finer row of the bar: positions see it, their stops trail, and that it was ambiguous is kept."""
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        slot = s.slots[slot_number]
        slot.walked = bar
        if slot.touched & (slot.touched - 1) == 0:
            slot.touched = 0
        if slot.qty != 0.0:
            slot.entry_bar = bar
            see_rows(s, t, slot_number, bar, row, row + 1)
            if slot.working > 0:
                trail_stop(s, slot_number)


@kernel
def match_range(s, t, number, bar):
    """Match one symbol's working orders against the range of the bar that closes, or of the finer bars inside it."""
    account = s.account[0]
    symbol = s.symbols[number]
    symbol.bar = bar
    first, last = bar, bar + 1
    if t.detail.size > 1:
        first, last = t.detail[bar], t.detail[bar + 1]
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        s.slots[s.symbol_slots[i]].touched = 0
    for row in range(first, last):
        match_row(s, t, number, row, t.close_time[row])
        if row + 1 < last and account.status == RUNNING:
            pass_row(s, t, number, bar, row)
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        touched = s.slots[s.symbol_slots[i]].touched
        if touched & (touched - 1):
            account.ambiguous += 1
