"""Intake: from intents to working orders, through sizing, buying power and the risk rules.

docs/fills.md tells the rules in words under *Size and risk*; numbers in the comments are its steps.
"""

from __future__ import annotations

import math

from framework.boundary.jit import kernel
from framework.engine.checks import ask_rule, ask_size, write_check
from framework.engine.layout import FAULT_REFUSED
from framework.engine.ledger import MARKET, available, is_protective, refresh
from framework.engine.orders import (
    CANCELED,
    LIMIT,
    ROLE_ENTRY,
    ROLE_EXIT,
    end_order,
    end_partial_openings,
    find_order,
    find_stop,
    make_stop,
    new_order,
    set_price,
)
from framework.engine.ledger import ROLE_STOP
from framework.engine.prices import FAULT, STOP, down, fee_rate, is_set, order_price, slipped
from framework.model.enums import Reason, Status, Verb
from framework.model.records import MAX_ORDERS, UNSET

ORDER, CLOSE, TARGET = int(Verb.ORDER), int(Verb.CLOSE), int(Verb.TARGET)
CANCEL, CANCEL_ALL, MOVE_STOP = int(Verb.CANCEL), int(Verb.CANCEL_ALL), int(Verb.MOVE_STOP)
NOT_A_NUMBER, WRONG_SIDE, BELOW_MINIMUM = int(Reason.NOT_A_NUMBER), int(Reason.WRONG_SIDE), int(Reason.BELOW_MINIMUM)
NO_BUYING_POWER, NOTHING_TO_CLOSE = int(Reason.NO_BUYING_POWER), int(Reason.NOTHING_TO_CLOSE)
TOO_MANY_ORDERS, SHORTS_NOT_ALLOWED = int(Reason.TOO_MANY_ORDERS), int(Reason.SHORTS_NOT_ALLOWED)
GROUP_REFUSED, UNKNOWN_TAG, RULE = int(Reason.GROUP_REFUSED), int(Reason.UNKNOWN_TAG), int(Reason.RULE)
RUNNING = int(Status.RUNNING)


@kernel
def refuse(s, slot_number, side, verb, reason, asked, allowed, value, limit, time):
    """Record an intent that was refused (allowed = 0) or reduced; with `strict` a wrong side stops the run."""
    account = s.account[0]
    row = s.refusals[account.refusals]
    account.refusals += 1
    row.time, row.slot, row.symbol, row.side, row.verb = time, slot_number, s.slots[slot_number].symbol, side, verb
    row.reason, row.asked, row.allowed, row.value, row.limit = reason, asked, allowed, value, limit
    if s.settings[0].strict and (reason == WRONG_SIDE or reason == NOT_A_NUMBER):
        account.status, account.fault_kind, account.fault_at = FAULT, FAULT_REFUSED, slot_number


@kernel
def take_intents(s, t, count, time):
    """Turn the intents in the queue into working orders."""
    for i in range(count):
        withdraw(s, t, s.queue[i, 0], s.queue[i, 1], time)
    for i in range(count):
        replace_tagged(s, i, count, time)
    sort_queue(s, count)
    for i in range(count):
        if s.queue[i, 0] >= 0:
            s.wanted[i] = reduce_position(s, t, s.queue[i, 0], s.queue[i, 1], time)
    for i in range(count):
        if s.queue[i, 0] >= 0 and s.wanted[i] != 0.0 and s.account[0].status == RUNNING:
            open_queued(s, t, i, count, time)


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
        cancel_tagged(s, slot_number, -1, time)


@kernel
def cancel_tagged(s, slot_number, tag, time):
    """Cancel the slot's orders with this tag (-1: all); protective orders stay; return how many were cancelled."""
    count = 0
    k = s.slots[slot_number].working - 1
    while k >= 0:
        order = s.working[slot_number, k]
        if not is_protective(order) and (tag == -1 or order.tag == tag):
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
    if not (math.isfinite(price) and price > 0.0):
        refuse(s, slot_number, -side, MOVE_STOP, NOT_A_NUMBER, 0.0, 0.0, price, 0.0, time)
        return
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
        symbol.moves = 1
    refresh(s, slot_number)


@kernel
def replace_tagged(s, i, count, time):
    """Let the later of two intents of one decision with the same tag count, and cancel the tag's working orders."""
    slot_number, number = s.queue[i, 0], s.queue[i, 1]
    now = s.nows[slot_number]
    intent = now.intents[number]
    if intent.verb > TARGET:
        s.queue[i, 0] = -1
        return
    if intent.tag == 0:
        return
    for later in range(number + 1, now.intent_count):
        if now.intents[later].tag == intent.tag and now.intents[later].verb <= TARGET:
            s.queue[i, 0] = -1
            return
    cancel_tagged(s, slot_number, intent.tag, time)


@kernel
def comes_before(s, slot_a, number_a, slot_b, number_b):
    """Return whether intent a is taken before intent b: higher priority, then slot, then order of call."""
    priority_a = s.nows[slot_a].intents[number_a].priority if slot_a >= 0 else 0.0
    priority_b = s.nows[slot_b].intents[number_b].priority if slot_b >= 0 else 0.0
    if priority_a != priority_b:
        return priority_a > priority_b
    if slot_a != slot_b:
        return slot_a < slot_b
    return number_a < number_b


@kernel
def sort_queue(s, count):
    """Sort the queue by priority, slot and order of call: Shell's sort, in place."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            slot_number, number = s.queue[i, 0], s.queue[i, 1]
            j = i
            while j >= gap and comes_before(s, slot_number, number, s.queue[j - gap, 0], s.queue[j - gap, 1]):
                s.queue[j, 0], s.queue[j, 1] = s.queue[j - gap, 0], s.queue[j - gap, 1]
                j -= gap
            s.queue[j, 0], s.queue[j, 1] = slot_number, number
        gap //= 2


# --- reductions -------------------------------------------------------------------------------------------------------


@kernel
def held_quantity(s, slot_number):
    """Return what of the position is not on its way out by a market reduction."""
    slot = s.slots[slot_number]
    out = 0.0
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.reduce_only and order.kind == MARKET and not is_protective(order):
            out += order.remaining
    return max(0.0, abs(slot.qty) - out)


@kernel
def reduce_position(s, t, slot_number, number, time):
    """Place the reducing part of an intent; return what it wants to open (0: nothing, UNSET: as sizing says)."""
    intent = s.nows[slot_number].intents[number]
    if not numbers_hold(s, slot_number, intent, time):
        return 0.0
    if intent.verb == CLOSE:
        close_slot(s, t, slot_number, intent, time)
        return 0.0
    if intent.verb == TARGET:
        return reduce_to_target(s, t, slot_number, intent, time)
    return reduce_for_order(s, t, slot_number, intent, time)


@kernel
def close_slot(s, t, slot_number, intent, time):
    """Place the market reduction of `close_position`."""
    slot = s.slots[slot_number]
    side = -1 if slot.qty > 0.0 else 1
    qty = held_quantity(s, slot_number)
    if intent.weight < 1.0:
        qty = min(qty, down(abs(slot.qty) * intent.weight, s.symbols[slot.symbol].lot))
    if qty <= 0.0:
        refuse(s, slot_number, side, CLOSE, NOTHING_TO_CLOSE, 0.0, 0.0, 0.0, 0.0, time)
        return
    if intent.weight >= 1.0:
        end_partial_openings(s, slot_number, CANCELED, time)
        refresh(s, slot_number)
    place_reduction(s, t, slot_number, intent, side, qty, UNSET, time)


@kernel
def reduce_to_target(s, t, slot_number, intent, time):
    """Turn a target into the order of the difference; place its reduction and return its opening, its side in intent."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    wanted = intent.qty
    if not is_set(wanted):
        wanted = intent.weight * s.account[0].equity / (t.close[symbol.closed] * symbol.multiplier)
    difference = wanted - (slot.qty + slot.pending)
    qty = abs(difference) if wanted == 0.0 else down(abs(difference), symbol.lot)
    if qty <= 0.0:
        return 0.0
    intent.side = 1 if difference > 0.0 else -1
    intent.qty, intent.weight = qty, UNSET
    return reduce_for_order(s, t, slot_number, intent, time)


@kernel
def reduce_for_order(s, t, slot_number, intent, time):
    """Place the reducing part of an order; return the quantity that it wants to open."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    side = intent.side
    price = t.close[symbol.closed]
    if intent.kind != MARKET:
        price = order_price(intent.kind, side, intent.price, symbol.tick)
    qty = intent.qty
    if not is_set(qty) and is_set(intent.weight):
        qty = intent.weight * s.account[0].equity / (price * symbol.multiplier)
    reduction = 0.0
    if side * slot.qty < 0.0:
        reduction = held_quantity(s, slot_number)
        if is_set(qty) and qty < reduction:
            reduction = down(qty, symbol.lot)
    if reduction > 0.0:
        place_reduction(s, t, slot_number, intent, side, reduction, price if intent.kind != MARKET else UNSET, time)
    elif intent.reduce_only:
        refuse(s, slot_number, side, intent.verb, NOTHING_TO_CLOSE, qty if is_set(qty) else 0.0, 0.0, 0.0, 0.0, time)
    if intent.reduce_only or not is_set(qty):
        return 0.0 if intent.reduce_only else UNSET
    opening = qty - reduction
    return opening if reduction == 0.0 or down(opening, symbol.lot) > 0.0 else 0.0


@kernel
def place_reduction(s, t, slot_number, intent, side, qty, price, time):
    """Accept a reduce-only order: never blocked, but for a slot that is full of working orders."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    if not has_room(s, slot_number):
        refuse(s, slot_number, side, intent.verb, TOO_MANY_ORDERS, qty, 0.0, MAX_ORDERS, MAX_ORDERS, time)
        return
    order = new_order(s, slot_number, side, intent.kind, ROLE_EXIT, 1, qty, price, time, time)
    order.proceeds_each = symbol.mark * symbol.multiplier * (1.0 - s.settings[0].taker)
    order.tag = intent.tag
    s.orders[order.id - 1].tag = intent.tag
    refresh(s, slot_number)


@kernel
def has_room(s, slot_number):
    """Return whether the slot may have one more working order."""
    count = 0
    for k in range(s.slots[slot_number].working):
        if not is_protective(s.working[slot_number, k]):
            count += 1
    return count < MAX_ORDERS


@kernel
def numbers_hold(s, slot_number, intent, time):
    """Return whether the numbers of an intent are numbers; record the first that is not."""
    side, verb = intent.side, intent.verb
    if is_set(intent.qty) and not (math.isfinite(intent.qty) and (intent.qty > 0.0 or verb == TARGET)):
        refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, intent.qty, 0.0, time)
        return False
    if is_set(intent.weight) and not (math.isfinite(intent.weight) and (intent.weight > 0.0 or verb == TARGET)):
        refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, intent.weight, 0.0, time)
        return False
    if verb == TARGET and not is_set(intent.qty) and not is_set(intent.weight):
        refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, 0.0, 0.0, time)
        return False
    if verb == ORDER and intent.kind != MARKET and not (math.isfinite(intent.price) and intent.price > 0.0):
        refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, intent.price, 0.0, time)
        return False
    for level in (intent.stop, intent.target):
        if is_set(level) and not (math.isfinite(level) and level > 0.0):
            refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, level, 0.0, time)
            return False
    for offset in (intent.stop_offset, intent.target_offset, intent.trail):
        if is_set(offset) and not (math.isfinite(offset) and offset > 0.0):
            reason = WRONG_SIDE if math.isfinite(offset) else NOT_A_NUMBER
            refuse(s, slot_number, side, verb, reason, 0.0, 0.0, offset, 0.0, time)
            return False
    if is_set(intent.trail_after) and not (math.isfinite(intent.trail_after) and intent.trail_after >= 0.0):
        refuse(s, slot_number, side, verb, NOT_A_NUMBER, 0.0, 0.0, intent.trail_after, 0.0, time)
        return False
    return True


# --- openings ---------------------------------------------------------------------------------------------------------


@kernel
def open_queued(s, t, i, count, time):
    """Check and place the opening of one intent, or of its whole group when it is the group's first."""
    slot_number, number = s.queue[i, 0], s.queue[i, 1]
    group = s.nows[slot_number].intents[number].group
    if group == 0:
        open_position(s, t, slot_number, number, s.wanted[i], time)
    else:
        open_group(s, t, i, count, s.slots[slot_number].strategy, group, time)


@kernel
def open_position(s, t, slot_number, number, wanted, time):
    """Check one opening (steps 1 to 10) and accept it (step 11); return the quantities asked and accepted."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    side, kind, verb = intent.side, intent.kind, intent.verb
    reference = t.close[symbol.closed] if kind == MARKET else order_price(kind, side, intent.price, symbol.tick)
    if side < 0 and not s.settings[0].shorts:                                                              # 1
        refuse(s, slot_number, side, verb, SHORTS_NOT_ALLOWED, known(wanted), 0.0, 0.0, 0.0, time)
        return known(wanted), 0.0
    for level, beyond in ((intent.stop, side), (intent.target, -side)):                                     # 2
        if is_set(level) and beyond * (reference - level) <= 0.0:
            refuse(s, slot_number, side, verb, WRONG_SIDE, known(wanted), 0.0, level, reference, time)
            return known(wanted), 0.0
    budget = available(s)
    guess = wanted if is_set(wanted) else budget / (reference * symbol.multiplier)
    entry = reference if kind == LIMIT else slipped(s, t, slot.symbol, side, guess, reference, symbol.closed)  # 3
    stop = known_stop(intent, side, entry)                                                                  # 4
    target = intent.target
    if not is_set(target) and is_set(intent.target_offset):
        target = entry + side * intent.target_offset
    write_check(s, t, slot_number, side, kind, entry, stop, target, budget)
    if not is_set(wanted):                                                                                  # 5
        wanted = ask_size(s, t, slot.symbol)
        if not (math.isfinite(wanted) and wanted > 0.0):
            refuse(s, slot_number, side, verb, BELOW_MINIMUM, 0.0, 0.0, 0.0, least_quantity(symbol), time)
            return 0.0, 0.0
    free = max(0.0, -side * (symbol.net + symbol.pending))                                                  # 6
    unit = entry * symbol.multiplier * (1.0 + fee_rate(s, kind)) + s.settings[0].per_share
    fixed = max(s.settings[0].per_order, s.settings[0].minimum)
    most = free + max(0.0, budget - fixed) / unit
    qty = wanted
    if qty > most:
        refuse(s, slot_number, side, verb, NO_BUYING_POWER, qty, most, qty * unit, budget, time)
        qty = most
    qty = pass_rules(s, t, slot_number, side, verb, qty, free, time)                                        # 7
    qty = down(max(qty, min(wanted, free)), symbol.lot)                                                     # 8
    if not reaches_minimum(s, slot_number, side, verb, wanted, qty, entry, time):                           # 9
        return wanted, 0.0
    if not has_room(s, slot_number):                                                                        # 10
        refuse(s, slot_number, side, verb, TOO_MANY_ORDERS, qty, 0.0, MAX_ORDERS, MAX_ORDERS, time)
        return wanted, 0.0
    accept(s, slot_number, intent, qty, reference, entry, stop, free, unit, time)                            # 11
    return wanted, qty


@kernel
def known(wanted):
    """Return a wanted quantity for the records: 0 where it was left to the sizing rule."""
    return wanted if is_set(wanted) else 0.0


@kernel
def known_stop(intent, side, entry):
    """Return the stop price that sizing and rules may count on, UNSET without one."""
    stop = intent.stop
    if not is_set(stop) and is_set(intent.stop_offset):
        stop = entry - side * intent.stop_offset
    if is_set(intent.trail) and not is_set(intent.trail_after):
        trailed = entry - side * intent.trail
        if not is_set(stop) or side * (trailed - stop) > 0.0:
            stop = trailed
    return stop


@kernel
def pass_rules(s, t, slot_number, side, verb, qty, free, time):
    """Ask the risk rules in their order; return what they let through, recording every reduction and refusal."""
    symbol_number = s.slots[slot_number].symbol
    for number in range(1, s.rules.size):
        if qty <= 0.0 or s.account[0].status != RUNNING:
            return 0.0
        ask_rule(s, t, number, symbol_number, qty)
        check = s.checks[number]
        allowed = 0.0 if check.refused else min(qty, max(0.0, check.allowed))
        if allowed < qty:
            refuse(s, slot_number, side, verb, RULE + number - 1, qty, allowed, check.value, check.limit, time)
            qty = allowed
    return qty


@kernel
def least_quantity(symbol):
    """Return the smallest quantity that could be ordered."""
    return max(symbol.min_qty, symbol.lot)


@kernel
def reaches_minimum(s, slot_number, side, verb, asked, qty, entry, time):
    """Return whether a rounded quantity may be ordered; record the minimum that it misses."""
    symbol = s.symbols[s.slots[slot_number].symbol]
    if qty <= 0.0 or qty < symbol.min_qty:
        limit = symbol.lot if qty <= 0.0 else symbol.min_qty
        refuse(s, slot_number, side, verb, BELOW_MINIMUM, asked, 0.0, qty, limit, time)
        return False
    if qty * entry * symbol.multiplier < symbol.min_notional:
        refuse(s, slot_number, side, verb, BELOW_MINIMUM, asked, 0.0, qty, symbol.min_notional, time)
        return False
    return True


@kernel
def accept(s, slot_number, intent, qty, reference, entry, stop, free, unit, time):
    """Make the working order of an opening, with its reservation and its risk."""
    price = UNSET if intent.kind == MARKET else reference
    order = new_order(s, slot_number, intent.side, intent.kind, ROLE_ENTRY, 0, qty, price, time, time)
    order.tag, order.group = intent.tag, intent.group
    order.entry, order.unit_cost, order.free = entry, unit, free
    order.reserved_qty = max(0.0, qty - free)
    order.risk_each = max(0.0, intent.side * (entry - stop)) if is_set(stop) else entry
    order.stop, order.stop_offset, order.target, order.target_offset = (
        intent.stop, intent.stop_offset, intent.target, intent.target_offset)
    order.trail, order.trail_after = intent.trail, intent.trail_after
    row = s.orders[order.id - 1]
    row.tag, row.group, row.stop, row.target = intent.tag, intent.group, intent.stop, intent.target
    refresh(s, slot_number)

# --- groups -----------------------------------------------------------------------------------------------------------


@kernel
def open_group(s, t, first, count, strategy, group, time):
    """Place the legs of a group, all scaled by one factor, or none of them."""
    before = s.account[0].orders
    factor = 1.0
    failed = -1
    for i in range(first, count):
        if failed < 0 and is_leg(s, i, strategy, group):
            asked, accepted = open_position(s, t, s.queue[i, 0], s.queue[i, 1], s.wanted[i], time)
            s.wanted[i] = asked
            if accepted > 0.0:
                factor = min(factor, accepted / asked)
            else:
                failed = i
                s.wanted[i] = max(asked, 1.0)
    if failed < 0:
        failed = leg_below_minimum(s, first, count, strategy, group, before, factor, time)
    if failed >= 0:
        refuse_group(s, first, count, strategy, group, failed, before, time)
    else:
        scale_group(s, first, count, strategy, group, before, factor)
    for i in range(first, count):
        if is_leg(s, i, strategy, group):
            s.wanted[i] = 0.0


@kernel
def is_leg(s, i, strategy, group):
    """Return whether the i-th intent of the queue is an opening leg of the group."""
    slot_number = s.queue[i, 0]
    if slot_number < 0 or s.wanted[i] == 0.0 or s.slots[slot_number].strategy != strategy:
        return False
    return s.nows[slot_number].intents[s.queue[i, 1]].group == group


@kernel
def leg_below_minimum(s, first, count, strategy, group, before, factor, time):
    """Return the first leg that the factor takes below a minimum, recording it; -1 when all stay above."""
    identity = before
    for i in range(first, count):
        if is_leg(s, i, strategy, group):
            identity += 1
            slot_number = s.queue[i, 0]
            row = s.orders[identity - 1]
            qty = down(s.wanted[i] * factor, s.symbols[row.symbol].lot)
            k = find_order(s, slot_number, identity)
            verb = s.nows[slot_number].intents[s.queue[i, 1]].verb
            if not reaches_minimum(s, slot_number, row.side, verb, s.wanted[i], qty, s.working[slot_number, k].entry, time):
                return i
    return -1


@kernel
def scale_group(s, first, count, strategy, group, before, factor):
    """Bring every leg's order down to asked * factor."""
    identity = before
    for i in range(first, count):
        if is_leg(s, i, strategy, group):
            identity += 1
            slot_number = s.queue[i, 0]
            row = s.orders[identity - 1]
            order = s.working[slot_number, find_order(s, slot_number, identity)]
            order.remaining = row.qty = down(s.wanted[i] * factor, s.symbols[row.symbol].lot)
            order.reserved_qty = max(0.0, order.remaining - order.free)
            refresh(s, slot_number)


@kernel
def refuse_group(s, first, count, strategy, group, failed, before, time):
    """Withdraw the legs that were accepted, as if they had never been, and record all but the failing one."""
    account = s.account[0]
    while account.orders > before:
        account.orders -= 1
        slot_number = s.orders[account.orders].slot
        slot = s.slots[slot_number]
        slot.working -= 1
        account.working -= 1
        s.symbols[slot.symbol].working -= 1
        refresh(s, slot_number)
    for i in range(first, count):
        if i != failed and is_leg(s, i, strategy, group):
            slot_number = s.queue[i, 0]
            intent = s.nows[slot_number].intents[s.queue[i, 1]]
            refuse(s, slot_number, intent.side, intent.verb, GROUP_REFUSED, known(s.wanted[i]), 0.0, 0.0, 0.0, time)
