"""Decide: fill in what a strategy may know at a close, and ask it."""

from __future__ import annotations

import math

from framework.boundary.address import call_at, prefetch_column, read_column, read_truth, read_truths
from framework.boundary.jit import inlined, kernel
from framework.boundary.tables import prefetch
from framework.engine.checks import write_account, write_clock
from framework.engine.layout import (
    FAULT_DECIDE,
    USES_ACCOUNT,
    USES_BAR,
    USES_CLOCK,
    USES_FILLS,
    USES_ORDERS,
)
from framework.engine.ledger import ROLE_STOP, ROLE_TRAIL, is_protective
from framework.engine.orders import ROLE_TARGET
from framework.engine.prices import FAULT, copy_bar
from framework.engine.refusals import ORDER, TOO_MANY_ORDERS, refuse
from framework.model.enums import Status
from framework.model.records import MAX_ORDERS, UNSET

RUNNING = int(Status.RUNNING)

SLEEP_MAX = 1024
"""Bars that are looked ahead for the next one to wake at: bounded, so that frequent fills do not make it quadratic."""


@inlined
def write_market(s, t, slot_number, bar, close_time):
    """Copy the bar that closed, its clock and the indicators at it and before it into the slot's `now`."""
    slot = s.slots[slot_number]
    now = s.nows[slot_number]
    now.bar.close_time = close_time
    if slot.uses & USES_BAR:
        copy_bar(now.bar, t, bar)
    if slot.uses & USES_CLOCK:
        write_clock(now.clock, t, bar)
    index = bar - t.series[slot.symbol]
    count = slot.indicators
    for j in range(count):
        address = s.columns[slot.first_column + j]
        s.tails[slot_number, j] = read_column(address, index)
        s.tails[slot_number, count + j] = read_column(address, index - 1) if index > 0 else math.nan


@inlined
def write_position(s, slot_number):
    """Copy the slot's position, the account and the time into its `now`."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    now = s.nows[slot_number]
    view = now.position
    has_position = slot.qty != 0.0
    view.qty = slot.qty
    view.pending = slot.pending_buys - slot.pending_sells
    view.entry_price = slot.entry_price if has_position else 0.0
    view.pnl = slot.qty * (symbol.mark - slot.entry_price) * symbol.multiplier
    view.high_water = slot.high_water if has_position else 0.0
    view.bars_held = now.clock.bars_held = slot.bars_held if has_position else 0
    now.clock.time_ns = s.account[0].time
    view.stop = view.target = UNSET
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if order.role == ROLE_STOP or order.role == ROLE_TRAIL:
            view.stop = order.price
        elif order.role == ROLE_TARGET:
            view.target = order.price
    if slot.uses & USES_ACCOUNT:
        write_account(now.account, s)


@kernel
def write_orders(s, slot_number):
    """Copy the slot's working orders into its `now`."""
    slot = s.slots[slot_number]
    now = s.nows[slot_number]
    count = min(slot.working, MAX_ORDERS)
    now.order_count = count
    for k in range(count):
        order = s.working[slot_number, k]
        view = now.orders[k]
        view.order_id, view.side, view.kind, view.role = order.id, order.side, order.kind, order.role
        view.tag, view.qty, view.price = order.tag, order.remaining, order.price


@kernel
def write_fills(s, slot_number):
    """Copy the slot's fills since its last decision, at most the last MAX_ORDERS of them, into its `now`."""
    slot = s.slots[slot_number]
    now = s.nows[slot_number]
    count = 0
    identity = slot.last_fill
    while identity > slot.fills_seen and count < MAX_ORDERS:
        count += 1
        identity = s.fills[identity - 1].previous
    now.fill_count = count
    identity = slot.last_fill
    for place in range(count - 1, -1, -1):
        fill = s.fills[identity - 1]
        view = now.fills[place]
        view.order_id, view.time, view.side, view.role = fill.order_id, fill.time, fill.side, fill.role
        view.tag, view.qty, view.price, view.fee = fill.tag, fill.qty, fill.price, fill.fee
        identity = fill.previous
    slot.fills_seen = slot.last_fill


@inlined
def prepare(s, t, slot_number, bar, close_time, age):
    """Fill in the slot's `now` at its last closed bar; what the strategy does not read and what costs is left out."""
    slot = s.slots[slot_number]
    now = s.nows[slot_number]
    now.age, now.fresh = age, age == 0 and bar >= slot.ready
    if bar >= 0 and (age == 0 or now.bar.close_time != close_time):
        write_market(s, t, slot_number, bar, close_time)
    write_position(s, slot_number)
    if slot.uses & USES_ORDERS:
        write_orders(s, slot_number)
    if slot.uses & USES_FILLS:
        write_fills(s, slot_number)
    now.intent_count = 0
    now.intents_refused = 0


@inlined
def call_strategy(s, slot_number, address):
    """Call a strategy at an address with the slot's `now`; its shared memory goes in before and comes out after."""
    slot = s.slots[slot_number]
    strategy = s.strategies[slot.strategy]
    offset = strategy.shared_offset
    for i in range(strategy.shared_bytes):
        s.now_bytes[slot_number, offset + i] = s.shared[slot.strategy, i]
    account = s.account[0]
    if account.status == RUNNING and call_at(address, slot.pointer) != 0:
        account.status, account.fault_kind, account.fault_at = FAULT, FAULT_DECIDE, slot_number
    for i in range(strategy.shared_bytes):
        s.shared[slot.strategy, i] = s.now_bytes[slot_number, offset + i]


@inlined
def queue_intents(s, slot_number, count, time):
    """Append the slot's intents to the queue; return how many it holds now."""
    now = s.nows[slot_number]
    if now.intents_refused > 0:
        asked = MAX_ORDERS + now.intents_refused
        refuse(s, slot_number, 0, ORDER, TOO_MANY_ORDERS, asked, 0.0, asked, MAX_ORDERS, time)
    for number in range(min(max(now.intent_count, 0), MAX_ORDERS)):
        s.queue[count, 0], s.queue[count, 1] = slot_number, number
        count += 1
    return count


@inlined
def fall_asleep(s, t, slot_number, bar):
    """Let a slot that did nothing sleep until its `wake` says so, at most SLEEP_MAX bars; a fill wakes it earlier."""
    slot = s.slots[slot_number]
    column = slot.wake_flat if slot.qty == 0.0 else slot.wake_held
    if column == 0 or (slot.working > 0 and has_own_orders(s, slot_number)):
        return
    first = t.series[slot.symbol]
    end = min(t.series[slot.symbol + 1], bar + SLEEP_MAX)
    bar += 1
    while bar + 8 <= end and not read_truths(column, bar - first):
        bar += 8
    while bar < end and not read_truth(column, bar - first):
        bar += 1
    slot.asleep_until = bar
    if slot.uses & USES_BAR:
        prefetch(t.volume, bar)
        prefetch(t.open, bar)
    for j in range(slot.indicators):
        prefetch_column(s.columns[slot.first_column + j], bar - first)
    symbol = s.symbols[slot.symbol]
    for i in range(s.symbol_first[slot.symbol], s.symbol_first[slot.symbol + 1]):
        bar = min(bar, s.slots[s.symbol_slots[i]].asleep_until)
    symbol.asleep_until = bar


@kernel
def has_own_orders(s, slot_number):
    """Return whether an order works in the slot that is not its position's stop or target."""
    count = 0
    for k in range(s.slots[slot_number].working):
        if not is_protective(s.working[slot_number, k]):
            count += 1
    return count > 0


@inlined
def decide_slot(s, t, slot_number, bar, count, time):
    """Ask the slot's strategy about the bar that closed; return the length of the queue."""
    slot = s.slots[slot_number]
    if slot.decide == 0 or bar < slot.ready or bar < slot.asleep_until:
        return count
    prepare(s, t, slot_number, bar, time, 0)
    call_strategy(s, slot_number, slot.decide)
    if s.nows[slot_number].intent_count == 0:
        fall_asleep(s, t, slot_number, bar)
        return count
    return queue_intents(s, slot_number, count, time)


@kernel
def decide_universe(s, t, number, count, time):
    """Ask a strategy about all of its slots at once; return the length of the queue."""
    strategy = s.strategies[number]
    first, last = strategy.first_slot, strategy.first_slot + strategy.slots
    asked = False
    for slot_number in range(first, last):
        bar = s.symbols[s.slots[slot_number].symbol].closed
        if bar >= s.slots[slot_number].ready and t.close_time[bar] == time:
            asked = True
    if not asked:
        return count
    for slot_number in range(first, last):
        bar = s.symbols[s.slots[slot_number].symbol].closed
        close_time = t.close_time[bar] if bar >= 0 else time + 1
        prepare(s, t, slot_number, bar, close_time, time - close_time)
    call_strategy(s, first, strategy.decide_all)
    for slot_number in range(first, last):
        if s.symbols[s.slots[slot_number].symbol].closed >= 0:
            count = queue_intents(s, slot_number, count, time)
    return count
