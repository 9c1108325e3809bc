"""Intake: from intents to working orders; here numbers, cancels, tags and reductions, in `openings` what opens.

docs/fills.md tells the rules in words under *Size and risk*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.layout import WAITS_MOVE
from framework.engine.ledger import ROLE_STOP, is_protective, refresh
from framework.engine.lifetime import set_lifetime
from framework.engine.openings import open_queued
from framework.engine.orders import (
    CANCELED,
    ROLE_EXIT,
    end_order,
    end_partial_openings,
    find_stop,
    make_stop,
    new_order,
    set_limit,
    set_origin,
    set_price,
)
from framework.engine.prices import (
    STOP,
    down,
    is_priced,
    is_set,
    limit_price,
    on_lots,
    order_price,
    reference_price,
    waiting_price,
)
from framework.engine.refusals import (
    CANCEL,
    CANCEL_ALL,
    CLOSE,
    DONE,
    MOVE_STOP,
    NOTHING_TO_CLOSE,
    RUNNING,
    TARGET,
    UNKNOWN_TAG,
    WRONG_SIDE,
    check_numbers,
    is_full,
    refuse,
)
from framework.model.records import UNSET

ALL_TAGS = -(1 << 63)
"""No tag is this number: cancel whatever there is."""


@kernel
def take_intents(s, t, count, time):
    """Turn the intents in the queue into working orders."""
    sort_queue(s, count, False)
    for i in range(count):
        check_numbers(s, s.queue[i, 0], s.queue[i, 1], time)
    for i in range(count):
        withdraw(s, t, s.queue[i, 0], s.queue[i, 1], time)
    for i in range(count):
        replace_tagged(s, s.queue[i, 0], s.queue[i, 1], time)
    sort_queue(s, count, True)
    for i in range(count):
        s.wanted[i] = reduce_position(s, t, s.queue[i, 0], s.queue[i, 1], time)
    for i in range(count):
        if s.wanted[i] != 0.0 and s.account[0].status == RUNNING:
            open_queued(s, t, i, count, time)


@kernel
def comes_before(s, slot_a, number_a, place, by_priority):
    """Return whether intent a is taken before the one at a place: higher priority, then slot, then order of call."""
    slot_b, number_b = s.queue[place, 0], s.queue[place, 1]
    if by_priority:
        priority_a, priority_b = s.nows[slot_a].intents[number_a].priority, s.nows[slot_b].intents[number_b].priority
        if priority_a != priority_b:
            return priority_a > priority_b
    if slot_a != slot_b:
        return slot_a < slot_b
    return number_a < number_b


@kernel
def sort_queue(s, count, by_priority):
    """Sort the queue by slot and order of call, or before them by priority: Shell's sort, in place."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            slot_number, number = s.queue[i, 0], s.queue[i, 1]
            j = i
            while j >= gap and comes_before(s, slot_number, number, j - gap, by_priority):
                s.queue[j, 0], s.queue[j, 1] = s.queue[j - gap, 0], s.queue[j - gap, 1]
                j -= gap
            s.queue[j, 0], s.queue[j, 1] = slot_number, number
        gap //= 2


# --- cancels, moves, tags ---------------------------------------------------------------------------------------------


@kernel
def withdraw(s, t, slot_number, number, time):
    """Carry out a cancel or a move of the stop."""
    intent = s.nows[slot_number].intents[number]
    if intent.verb == MOVE_STOP:
        move_protective_stop(s, t, slot_number, intent.price, time)
    elif intent.verb == CANCEL:
        if cancel_tagged(s, slot_number, intent.tag, time) == 0:
            refuse(s, slot_number, 0, CANCEL, UNKNOWN_TAG, 0.0, 0.0, intent.tag, 0.0, time)
    elif intent.verb == CANCEL_ALL:
        cancel_tagged(s, slot_number, ALL_TAGS, time)
    if intent.verb > TARGET:
        intent.verb = DONE


@kernel
def cancel_tagged(s, slot_number, tag, time):
    """Cancel the slot's orders with this tag (or ALL_TAGS); protective orders stay; return how many were cancelled."""
    count = 0
    k = s.slots[slot_number].working - 1
    while k >= 0:
        order = s.working[slot_number, k]
        if not is_protective(order) and (tag == ALL_TAGS or order.tag == tag):
            end_order(s, slot_number, k, CANCELED, time)
            count += 1
        k -= 1
    if count > 0:
        refresh(s, slot_number)
    return count


@kernel
def move_protective_stop(s, t, slot_number, price, time):
    """Move or make the stop of the position; in a bar in progress it waits for the symbol's next open."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    side = 1 if slot.qty > 0.0 else -1
    if slot.qty == 0.0:
        refuse(s, slot_number, 0, MOVE_STOP, NOTHING_TO_CLOSE, 0.0, 0.0, 0.0, 0.0, time)
        return
    close = t.close[symbol.closed]
    if side * (close - price) <= 0.0:
        refuse(s, slot_number, -side, MOVE_STOP, WRONG_SIDE, 0.0, 0.0, price, close, time)
        return
    price = order_price(STOP, -side, price, symbol.tick)
    k = find_stop(s, slot_number)
    if k < 0:
        make_stop(s, slot_number, price, ROLE_STOP, time, time, 0, -1)
    elif t.close_time[symbol.closed] == time:
        set_price(s, s.working[slot_number, k], price, ROLE_STOP)
        s.working[slot_number, k].next_price = UNSET
    else:
        s.working[slot_number, k].next_price = price
        symbol.waiting |= WAITS_MOVE
    refresh(s, slot_number)


@kernel
def replace_tagged(s, slot_number, number, time):
    """Let the later of two intents of one decision with the same tag count, and cancel the tag's working orders."""
    now = s.nows[slot_number]
    intent = now.intents[number]
    if intent.verb < 0 or intent.tag == 0:
        return
    for later in range(number + 1, now.intent_count):
        if now.intents[later].tag == intent.tag and now.intents[later].verb >= 0:
            intent.verb = DONE
            return
    cancel_tagged(s, slot_number, intent.tag, time)


# --- reductions -------------------------------------------------------------------------------------------------------


@kernel
def held_quantity(s, slot_number):
    """Return what of the position is not on its way out by a market reduction, at an open or a close."""
    slot = s.slots[slot_number]
    out = 0.0
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.reduce_only and not is_priced(order.kind) and not is_protective(order):
            out += order.remaining
    return on_lots(max(0.0, abs(slot.qty) - out), s.symbols[slot.symbol].lot)


@kernel
def reduce_position(s, t, slot_number, number, time):
    """Place the reducing part of an intent; return what it wants to open (0: nothing, UNSET: as sizing says)."""
    intent = s.nows[slot_number].intents[number]
    if intent.verb < 0:
        return 0.0
    if intent.verb == CLOSE:
        close_slot(s, t, slot_number, number, time)
        return 0.0
    if intent.verb == TARGET:
        return reduce_to_target(s, t, slot_number, number, time)
    return reduce_for_order(s, t, slot_number, number, time)


@kernel
def close_slot(s, t, slot_number, number, time):
    """Place the market reduction of `close_position`."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    side = -1 if slot.qty > 0.0 else int(slot.qty < 0.0)
    qty = held_quantity(s, slot_number)
    if intent.weight >= 1.0:
        end_partial_openings(s, slot_number, CANCELED, time)
        refresh(s, slot_number)
    else:
        qty = min(qty, down(abs(slot.qty) * intent.weight, s.symbols[slot.symbol].lot))
    if qty <= 0.0:
        refuse(s, slot_number, side, CLOSE, NOTHING_TO_CLOSE, 0.0, 0.0, 0.0, 0.0, time)
        return
    place_reduction(s, t, slot_number, number, side, qty, time)


@kernel
def reduce_to_target(s, t, slot_number, number, time):
    """Turn a target into the order of the difference; place its reduction and return what it wants to open."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    wanted = intent.qty
    if not is_set(wanted):
        wanted = intent.weight * s.account[0].equity / (t.close[symbol.closed] * symbol.multiplier)
    difference = on_lots(wanted - (slot.qty + slot.pending_buys - slot.pending_sells), symbol.lot)
    qty = abs(difference) if wanted == 0.0 else down(abs(difference), symbol.lot)
    if qty <= 0.0:
        return 0.0
    intent.side = 1 if difference > 0.0 else -1
    intent.qty, intent.weight = qty, UNSET
    return reduce_for_order(s, t, slot_number, number, time)


@kernel
def reduce_for_order(s, t, slot_number, number, time):
    """Place the reducing part of an order; return the quantity that it wants to open."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    side = intent.side
    qty = intent.qty
    if not is_set(qty) and is_set(intent.weight):
        reference = reference_price(intent, t.close[symbol.closed], symbol.tick)
        qty = intent.weight * s.account[0].equity / (reference * symbol.multiplier)
    reduction = 0.0
    if side * slot.qty < 0.0:
        reduction = held_quantity(s, slot_number)
        if is_set(qty) and qty < reduction:
            reduction = down(qty, symbol.lot)
    if reduction > 0.0:
        place_reduction(s, t, slot_number, number, side, reduction, time)
    elif intent.reduce_only:
        refuse(s, slot_number, side, intent.verb, NOTHING_TO_CLOSE, qty if is_set(qty) else 0.0, 0.0, 0.0, 0.0, time)
    if intent.reduce_only or not is_set(qty):
        return 0.0 if intent.reduce_only else UNSET
    opening = qty - reduction
    return opening if reduction == 0.0 or down(opening, symbol.lot) > 0.0 else 0.0


@kernel
def place_reduction(s, t, slot_number, number, side, qty, time):
    """Accept a reduce-only order: never blocked, but for a slot that is full of working orders."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    if is_full(s, slot_number, side, intent.verb, qty, time):
        return
    price = waiting_price(intent, symbol.tick)
    order = new_order(s, slot_number, side, intent.kind, ROLE_EXIT, 1, qty, price, time, time)
    set_limit(s, slot_number, order, limit_price(intent, symbol.tick))
    order.proceeds_each = symbol.mark * symbol.multiplier * (1.0 - s.settings[0].taker)
    set_origin(s, slot_number, order, intent, number)
    set_lifetime(s, t, slot_number, order, intent, time)
    refresh(s, slot_number)
