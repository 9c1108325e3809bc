"""Rules beside the chain: what watches marks, what gives openings their protection, and the closing of everything."""

from __future__ import annotations

import math

from framework.boundary.address import call_at
from framework.boundary.jit import inlined, kernel
from framework.engine.checks import (
    note_nearness,
    rule_failed,
    write_account,
    write_clock,
    write_indicators,
    write_past,
    write_surroundings,
)
from framework.engine.intake import ALL_TAGS, cancel_tagged, held_quantity
from framework.engine.layout import FAULT_PROTECT, FAULT_WATCH, USES_CLOCK, USES_PAST
from framework.engine.ledger import ROLE_STOP, ROLE_TRAIL, refresh
from framework.engine.margin import HALT, is_sent_out, send_out
from framework.engine.orders import ROLE_EXIT, ROLE_TARGET, new_order
from framework.engine.prices import LIMIT, down, is_set, order_price, reference_price
from framework.engine.refusals import ORDER, RUNNING, TARGET, bad_number
from framework.model.records import MAX_ORDERS, UNSET


@inlined
def is_alarmed(s):
    """Return whether the mark is one that a rule wants to look at."""
    account = s.account[0]
    is_quiet = account.alarm_below < account.equity <= account.alarm_above
    return not is_quiet or account.equity < account.alarm_margin * account.exposure


@kernel
def watch(s, t, bar, time):
    """Let every rule that watches see the account after a mark, and close everything when one says so.

    Each answers when it wants to look next: without an answer, at the next mark.  `bar` is the first that closed.
    """
    account = s.account[0]
    account.alarm_below, account.alarm_above, account.alarm_margin = -math.inf, math.inf, 0.0
    is_flattening = False
    for number in range(s.rules.size):
        if s.rules[number].watch == 0:
            continue
        check = s.checks[number]
        check.alarm_below, check.alarm_above, check.alarm_margin, check.flattens = math.inf, math.inf, 0.0, 0
        check.nearness, check.alert_at = 0.0, s.rules[number].alert_at
        write_account(check.account, s)
        if s.settings[0].check_uses & USES_CLOCK:
            write_clock(check.clock, t, bar)
        if s.settings[0].check_uses & USES_PAST:
            write_past(check.past, s)
        check.clock.time_ns = time
        check.clock.bars_held = 0
        if call_at(s.rules[number].watch, s.rules[number].pointer) != 0:
            rule_failed(s, number, FAULT_WATCH)
        note_nearness(s, number, time)
        account.alarm_below = max(account.alarm_below, check.alarm_below)
        account.alarm_above = min(account.alarm_above, check.alarm_above)
        account.alarm_margin = max(account.alarm_margin, check.alarm_margin)
        is_flattening |= check.flattens != 0
    if is_flattening and account.status == RUNNING:
        flatten(s, time)


@kernel
def flatten(s, time):
    """Cancel what works and close every position at its symbol's next open; protective orders work until then.

    What is on its way out already is left alone.
    """
    for slot_number in range(s.slots.size):
        slot = s.slots[slot_number]
        if slot.openings > 0 or (held_quantity(s, slot_number) > 0.0 and not is_sent_out(s, slot_number)):
            cancel_tagged(s, slot_number, ALL_TAGS, time)
            send_out(s, slot_number, HALT, time)


@kernel
def protect(s, t, count, time):
    """Let rules give stop, target and trail to the openings among the intents in the queue, before they are sized."""
    for i in range(count):
        slot_number = s.queue[i, 0]
        intent = s.nows[slot_number].intents[s.queue[i, 1]]
        is_opening = (intent.verb == ORDER or intent.verb == TARGET) and not intent.reduce_only
        intent.partial_distance = intent.partial_share = 0.0
        if is_opening and bad_number(s, slot_number, intent, time)[0] < 0:
            for number in range(1, s.rules.size):
                if s.rules[number].protect != 0 and s.account[0].status == RUNNING:
                    protect_intent(s, t, slot_number, intent, number)


@kernel
def protect_intent(s, t, slot_number, intent, number):
    """Show one rule the protection of one intent as prices around the reference, and take over what it changed."""
    slot = s.slots[slot_number]
    check = s.checks[number]
    side = side_of(s, t, slot_number, intent)
    entry = reference_price(intent, t.close[s.symbols[slot.symbol].closed], s.symbols[slot.symbol].tick)
    stop, target = intent.stop, intent.target
    if not is_set(stop) and is_set(intent.stop_offset):
        stop = entry - side * intent.stop_offset
    if not is_set(target) and is_set(intent.target_offset):
        target = entry + side * intent.target_offset
    check.qty, check.side, check.kind = 0.0, side, intent.kind
    check.reference = check.entry = entry
    check.stop, check.target, check.trail, check.trail_after = stop, target, intent.trail, intent.trail_after
    check.held_stop = check.held_target = UNSET
    check.partial_distance = check.partial_share = 0.0
    if side * slot.qty > 0.0:
        write_held(s, slot_number, check)
    check.position_qty, check.symbol_qty = slot.qty, s.symbols[slot.symbol].net
    write_surroundings(s, t, check, slot_number)
    write_indicators(s, t, number, slot.symbol)
    if call_at(s.rules[number].protect, s.rules[number].pointer) != 0:
        rule_failed(s, number, FAULT_PROTECT)
    if check.stop != stop:
        if is_set(intent.stop):
            intent.stop = check.stop
        else:
            intent.stop_offset = abs(entry - check.stop)
    if check.target != target:
        if is_set(intent.target):
            intent.target = check.target
        else:
            intent.target_offset = abs(entry - check.target)
    intent.trail, intent.trail_after = check.trail, check.trail_after
    if check.partial_share > 0.0:
        intent.partial_distance, intent.partial_share = check.partial_distance, check.partial_share


@kernel
def side_of(s, t, slot_number, intent):
    """Return the side of an order, for a target that of its difference to the position and what works."""
    if intent.verb == ORDER:
        return intent.side
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    wanted = intent.qty
    if not is_set(wanted):
        wanted = intent.weight * s.account[0].equity / (t.close[symbol.closed] * symbol.multiplier)
    return 1 if wanted >= slot.qty + slot.pending_buys - slot.pending_sells else -1


@kernel
def place_partials(s, t, time):
    """Place the first targets of positions that began in the phase that is over, each for a share of the position.

    One that began inside a bar, be it at the close of a finer one, has not been marked yet.
    """
    for slot_number in range(s.slots.size):
        slot = s.slots[slot_number]
        symbol = s.symbols[slot.symbol]
        has_begun = slot.entry_time == time or (slot.bars_held == 0 and slot.entry_time > t.open_time[symbol.bar])
        if slot.qty == 0.0 or slot.partial_share <= 0.0 or not has_begun or slot.working >= MAX_ORDERS:
            continue
        side = -1 if slot.qty > 0.0 else 1
        qty = down(abs(slot.qty) * min(1.0, slot.partial_share), symbol.lot)
        price = order_price(LIMIT, side, slot.entry_price * (1.0 - side * slot.partial_distance), symbol.tick)
        slot.partial_share = 0.0
        if qty > 0.0 and price > 0.0:
            new_order(s, slot_number, side, LIMIT, ROLE_EXIT, 1, qty, price, time, time)
            refresh(s, slot_number)


@kernel
def write_held(s, slot_number, check):
    """Fill in the protective prices that a position has already; a trail without a price counts at its entry."""
    slot = s.slots[slot_number]
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.role == ROLE_STOP or order.role == ROLE_TRAIL:
            check.held_stop = order.price if is_set(order.price) else slot.entry_price
        elif order.role == ROLE_TARGET:
            check.held_target = order.price
