"""Quiet bars: those at which nobody is asked and no order is touched, marked one after another at little cost."""

from __future__ import annotations

from framework.boundary.jit import inlined, kernel
from framework.boundary.tables import prefetch
from framework.engine.events import bar_of, closes, is_lone, symbol_of, time_of
from framework.engine.guards import is_alarmed, watch
from framework.engine.layout import FOREVER
from framework.engine.ledger import mark_account, rests, write_mark
from framework.engine.marks import mark_symbol
from framework.engine.room import logs_have_room
from framework.model.enums import Status

RUNNING = int(Status.RUNNING)


@kernel
def pass_quiet(s, t, first, last):
    """Mark bar after bar while there is nothing else to do; return the first other event.

    Else is: a slot is awake, an order is touched or expires, a day begins, cash flows.  Most bars of a long run go
    through here; what happens at one is what `marks.mark_group` does.
    """
    account, settings = s.account[0], s.settings[0]
    if settings.watches != 0 and not logs_have_room(s):
        return first
    room = s.marks.size - s.margins[4] - account.marks if settings.log_marks else FOREVER
    quiet_until = min(account.flow_due, account.expiry) if account.working > 0 else account.flow_due
    if is_lone(t) and settings.accrues == 0 and t.close_time[first // 2] >= settings.start:
        return pass_bars(s, t, first, last, room, quiet_until)
    return pass_groups(s, t, first, last, room, quiet_until)


@inlined
def pass_groups(s, t, first, last, room, quiet_until):
    """Mark group after group until `quiet_until`, at most `room` of them."""
    account, settings = s.account[0], s.settings[0]
    begin, stop, accrues, day = settings.start, settings.end, settings.accrues != 0, account.day
    has_orders = account.working > 0
    while first < last and account.status == RUNNING and room > 0:
        time = time_of(t, first)
        if time >= quiet_until:
            break
        bar = bar_of(t, first)
        if not closes(t, first):
            if has_orders and not rests(t, s.symbols[symbol_of(t, first)], bar):
                break
            first += 1
            continue
        if t.account_day[bar] > day or (accrues and t.nights[bar] > 0):
            break
        end = end_of_quiet_group(s, t, first, time, begin <= time < stop, has_orders)
        if end == first:
            break
        for event in range(first, end):
            mark_symbol(s, t, symbol_of(t, event), bar_of(t, event))
        mark_account(s, time)
        room -= 1
        if account.status == RUNNING and is_alarmed(s):
            watch(s, t, bar, time)
            has_orders = account.working > 0
        first = end if account.status == RUNNING else first
    return first


@inlined
def end_of_quiet_group(s, t, first, time, is_asking, has_orders):
    """Return the event behind the closing group at `first`; `first` when a slot is awake or an order touched."""
    event = first
    while event < t.event_time.size and time_of(t, event) == time and closes(t, event):
        bar, symbol = bar_of(t, event), s.symbols[symbol_of(t, event)]
        if (is_asking and symbol.asleep_until <= bar) or (has_orders and not rests(t, symbol, bar)):
            return first
        event += 1
    return event


@inlined
def pass_bars(s, t, first, last, room, quiet_until):
    """The same on a tape of one symbol: event 2 * bar is the bar's open, the next one its close."""
    account, symbol = s.account[0], s.symbols[0]
    begin, day = first // 2, account.day
    end = begin + min(last // 2 - begin, room)
    if end > begin and t.close_time[begin] < s.settings[0].end:
        end = min(end, symbol.asleep_until)
    if quiet_until < FOREVER:
        end = first_to_close(t, begin, end, quiet_until)
    prefetch_group(t, end)
    bar = begin
    while bar < end and t.account_day[bar] <= day and rests(t, symbol, bar):
        time = t.close_time[bar]
        mark_symbol(s, t, 0, bar)
        mark_account(s, time)
        bar += 1
        if account.status == RUNNING and is_alarmed(s):
            watch(s, t, bar - 1, time)
        elif symbol.held == 0 and symbol.working == 0:
            bar = pass_flat(s, t, bar, end)
        elif bar < end:
            holder = only_holder(s)
            if holder >= 0:
                bar = pass_held(s, t, bar, end, holder)
        if account.status != RUNNING:
            return 2 * bar - 1
    event = max(first, 2 * bar)
    if event < last and event == 2 * bar and opens_before(t, bar, quiet_until) and rests(t, symbol, bar):
        event += 1
    return event


@inlined
def opens_before(t, bar, time):
    """Return whether a bar opens before a time; that it does before none needs no look."""
    return time == FOREVER or t.open_time[bar] < time


@inlined
def first_to_close(t, first, last, time):
    """Return the first of the bars [first, last) that closes at a time or later, `last` when none does."""
    while first < last:
        middle = (first + last) // 2
        if t.close_time[middle] < time:
            first = middle + 1
        else:
            last = middle
    return first


@inlined
def pass_flat(s, t, bar, end):
    """Go on while nothing is held and no rule was to look at the last mark: only the clock and the price change."""
    account, begin, logs = s.account[0], bar, s.settings[0].log_marks != 0
    day, marks = account.day, account.marks
    equity, cash, exposure = account.equity, account.cash, account.exposure
    while bar < end and t.account_day[bar] <= day:
        if logs:
            write_mark(s.marks[marks + bar - begin], t.close_time[bar], equity, cash, exposure)
        bar += 1
    if bar > begin:
        s.symbols[0].closed, s.symbols[0].mark = bar - 1, t.close[bar - 1]
        account.time = t.close_time[bar - 1]
        account.marks += bar - begin if logs else 0
    return bar


@kernel
def only_holder(s):
    """Return the one slot with a position, -1 when there are several."""
    if s.symbols[0].held == 1:
        for slot_number in range(s.slots.size):
            if s.slots[slot_number].qty != 0.0:
                return slot_number
    return -1


@inlined
def pass_held(s, t, bar, end, slot_number):
    """Go on while one slot holds: its position sees the range, the account is marked, and all of it is in registers.

    The bar before was marked in full.  Stops before one that touches an order, moves a stop, alarms a rule or ends the
    run.
    """
    account, symbol, slot = s.account[0], s.symbols[0], s.slots[slot_number]
    begin, day, marks, logs = bar, account.day, account.marks, s.settings[0].log_marks != 0
    equity, cash, exposure, peak = account.equity, account.cash, account.exposure, account.peak
    below, above, margin = max(account.alarm_below, 0.0), account.alarm_above, account.alarm_margin
    net, larger, multiplier = symbol.net, max(symbol.longs, symbol.shorts), symbol.multiplier
    value, has_orders, follows, is_long = symbol.value, symbol.working > 0, slot.working > 0, slot.qty > 0.0
    lowest, highest, high_water = slot.lowest, slot.highest, slot.high_water
    carried, of_symbol = account.carried, symbol.carried
    while bar < end and t.account_day[bar] <= day:
        low, high = t.low[bar], t.high[bar]
        if has_orders and (low <= symbol.touch_low or high >= symbol.touch_high):
            break
        water = max(high_water, high) if is_long else min(high_water, low)
        if follows and water != high_water:
            break
        unit = t.close[bar] * multiplier
        marked = net * unit
        worth = equity + (marked - value)
        at_risk = exposure + (abs(marked) - abs(value))
        if not (below < worth <= above) or worth < margin * at_risk:
            break
        carried += larger * unit - of_symbol
        equity, exposure, value, of_symbol, high_water = worth, at_risk, marked, larger * unit, water
        peak, lowest, highest = max(peak, equity), min(lowest, low), max(highest, high)
        if logs:
            write_mark(s.marks[marks + bar - begin], t.close_time[bar], equity, cash, exposure)
        bar += 1
    if bar > begin:
        account.time, account.peak = t.close_time[bar - 1], peak
        account.equity = account.marked_equity = equity
        account.exposure = account.marked_exposure = exposure
        account.carried, account.marks = carried, marks + bar - begin if logs else marks
        symbol.closed, symbol.mark, symbol.value, symbol.carried = bar - 1, t.close[bar - 1], value, of_symbol
        slot.bars_held += bar - begin
        slot.lowest, slot.highest, slot.high_water = lowest, highest, high_water
    return bar


@inlined
def prefetch_group(t, bar):
    """Ask for what the close of a bar and the next open will read, on a tape of one symbol."""
    prefetch(t.open, bar + 1)
    prefetch(t.open_time, bar + 1)
