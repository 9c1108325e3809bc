"""Openings: sizing, buying power, the risk rules, and groups that open together or not at all.

docs/fills.md tells the rules in words under *Size and risk*; numbers in the comments are its steps.
"""

from __future__ import annotations

import math

from framework.boundary.jit import kernel
from framework.engine.checks import ask_rule, ask_size, write_check
from framework.engine.ledger import available, refresh
from framework.engine.lifetime import set_lifetime
from framework.engine.orders import ROLE_ENTRY, find_order, is_tighter, new_order, set_limit, set_origin
from framework.engine.prices import (
    down,
    fee_rate,
    is_limit,
    is_set,
    limit_price,
    on_lots,
    reference_price,
    slipped,
    waiting_price,
    without_dust,
)
from framework.engine.refusals import (
    BELOW_MINIMUM,
    GROUP_REFUSED,
    LOST,
    MARGIN_CALL,
    NO_BUYING_POWER,
    RULE,
    RUNNING,
    SHORTS_NOT_ALLOWED,
    SYMBOL_ENDED,
    WRONG_SIDE,
    is_full,
    refuse,
)


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
    """Check one opening (steps 0 to 10) and accept it (step 11); return the quantities asked and accepted."""
    intent = s.nows[slot_number].intents[number]
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    side, kind, verb = intent.side, intent.kind, intent.verb
    reference = reference_price(intent, t.close[symbol.closed], symbol.tick)
    if symbol.ended:                                                                                        # 0
        refuse(s, slot_number, side, verb, SYMBOL_ENDED, known(wanted), 0.0, 0.0, 0.0, time)
        return known(wanted), 0.0
    if s.account[0].called:
        account, most = s.account[0], s.settings[0].maintenance * s.account[0].exposure
        refuse(s, slot_number, side, verb, MARGIN_CALL, known(wanted), 0.0, account.equity, most, time)
        return known(wanted), 0.0
    if side < 0 and not s.settings[0].shorts:                                                              # 1
        refuse(s, slot_number, side, verb, SHORTS_NOT_ALLOWED, known(wanted), 0.0, 0.0, 0.0, time)
        return known(wanted), 0.0
    for level, beyond in ((intent.stop, side), (intent.target, -side)):                                     # 2
        if is_set(level) and beyond * (reference - level) <= 0.0:
            refuse(s, slot_number, side, verb, WRONG_SIDE, known(wanted), 0.0, level, reference, time)
            return known(wanted), 0.0
    budget = available(s)
    guess = wanted if is_set(wanted) else budget / (reference * symbol.multiplier)
    entry = reference if is_limit(kind) else slipped(s, t, slot.symbol, side, guess, reference, -1)  # 3
    stop = known_stop(intent, side, entry)                                                                  # 4
    target = intent.target
    if not is_set(target) and is_set(intent.target_offset):
        target = entry + side * intent.target_offset
    if s.rules.size > 1 or not is_set(wanted):
        write_check(s, t, slot_number, side, kind, entry, stop, target, budget)
    if not is_set(wanted):                                                                                  # 5
        wanted = ask_size(s, t, slot.symbol)
        if not (math.isfinite(wanted) and wanted > 0.0):
            refuse(s, slot_number, side, verb, BELOW_MINIMUM, 0.0, 0.0, wanted, 0.0, time)
            return 0.0, 0.0
    free = free_quantity(symbol, side)                                                                      # 6
    unit = entry * symbol.multiplier * (1.0 + fee_rate(s, kind)) + s.settings[0].per_share
    fixed = max(s.settings[0].per_order, s.settings[0].minimum)
    most = without_dust(free + max(0.0, budget - fixed) / unit, symbol.lot)
    qty = wanted
    if is_less(most, qty):
        refuse(s, slot_number, side, verb, NO_BUYING_POWER, qty, most, qty * unit, budget, time)
        qty = most
    qty = pass_rules(s, t, slot_number, side, verb, qty, min(wanted, free), time)                           # 7
    if qty <= 0.0:
        return wanted, 0.0
    qty = down(qty, symbol.lot)                                                                             # 8
    if not reaches_minimum(s, slot_number, side, verb, wanted, qty, entry, time):                           # 9
        return wanted, 0.0
    if is_full(s, slot_number, side, verb, wanted, time):                                                   # 10
        return wanted, 0.0
    accept(s, t, slot_number, number, qty, entry, stop, free, unit, time)                            # 11
    return wanted, qty


@kernel
def free_quantity(symbol, side):
    """Return what of the net position an opening on a side brings back, and nothing that works does already."""
    same = symbol.pending_buys if side > 0 else symbol.pending_sells
    return on_lots(max(0.0, -side * symbol.net - same), symbol.lot)


@kernel
def is_less(allowed, qty):
    """Return whether a quantity is reduced, and not only by the rounding of sums that came before."""
    return allowed < qty * (1.0 - 1e-12)


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
        if not is_set(stop) or is_tighter(side, trailed, stop):
            stop = trailed
    return stop


@kernel
def pass_rules(s, t, slot_number, side, verb, qty, free, time):
    """Ask the risk rules in their order; return what they let through, recording every reduction and refusal.

    free: what brings the net position nearer to zero; no rule takes it away.
    """
    symbol_number = s.slots[slot_number].symbol
    lot = s.symbols[symbol_number].lot
    for number in range(1, s.rules.size):
        if qty <= 0.0 or (free > 0.0 and not is_less(free, qty)) or s.account[0].status != RUNNING:
            return qty
        ask_rule(s, t, number, symbol_number, qty)
        check = s.checks[number]
        allowed = 0.0 if check.refused else without_dust(min(qty, max(0.0, check.allowed)), lot)
        allowed = max(allowed, min(qty, free))
        if is_less(allowed, qty):
            refuse(s, slot_number, side, verb, RULE + number - 1, qty, allowed, check.value, check.limit, time)
            qty = allowed
    return qty


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
def accept(s, t, slot_number, number, qty, entry, stop, free, unit, time):
    """Make the working order of an opening, with its reservation and its risk."""
    intent = s.nows[slot_number].intents[number]
    tick = s.symbols[s.slots[slot_number].symbol].tick
    price = waiting_price(intent, tick)
    order = new_order(s, slot_number, intent.side, intent.kind, ROLE_ENTRY, 0, qty, price, time, time)
    set_limit(s, slot_number, order, limit_price(intent, tick))
    set_origin(s, slot_number, order, intent, number)
    order.entry, order.unit_cost, order.free = entry, unit, free
    order.reserved_qty = max(0.0, qty - free)
    order.risk_each = max(0.0, intent.side * (entry - stop)) if is_set(stop) else entry
    order.stop, order.stop_offset, order.target, order.target_offset = (
        intent.stop, intent.stop_offset, intent.target, intent.target_offset)
    order.trail, order.trail_after = intent.trail, intent.trail_after
    if s.settings[0].protects != 0:
        order.partial_distance, order.partial_share = intent.partial_distance, intent.partial_share
    row = s.orders[order.id - 1]
    order.group = row.group = intent.group
    row.stop, row.target = intent.stop, intent.target
    set_lifetime(s, t, slot_number, order, intent, time)
    refresh(s, slot_number)


# --- groups -----------------------------------------------------------------------------------------------------------


@kernel
def open_group(s, t, first, count, strategy, group, time):
    """Place the legs of a group, all scaled by one factor, or none of them."""
    before = s.account[0].orders
    factor = 1.0
    failed = count if has_lost_leg(s, count, strategy, group) else -1
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
    if s.wanted[i] == 0.0 or s.slots[slot_number].strategy != strategy:
        return False
    return s.nows[slot_number].intents[s.queue[i, 1]].group == group


@kernel
def has_lost_leg(s, count, strategy, group):
    """Return whether a leg of the group was refused for its numbers."""
    for i in range(count):
        slot_number = s.queue[i, 0]
        intent = s.nows[slot_number].intents[s.queue[i, 1]]
        if intent.verb == LOST and intent.group == group and s.slots[slot_number].strategy == strategy:
            return True
    return False


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
            entry = s.working[slot_number, find_order(s, slot_number, identity)].entry
            verb = s.nows[slot_number].intents[s.queue[i, 1]].verb
            if not reaches_minimum(s, slot_number, row.side, verb, s.wanted[i], qty, entry, time):
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
