"""Quiet bars: those at which nobody is asked and no order is touched, marked one after another at little cost."""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import inlined, kernel
from framework.boundary.tables import prefetch
from framework.engine.guards import is_alarmed, watch
from framework.engine.layout import FOREVER
from framework.engine.ledger import log_mark, mark_account, rests
from framework.engine.marks import mark_symbol
from framework.engine.room import logs_have_room
from framework.model.enums import EventKind, Status

CLOSE, RUNNING = int(EventKind.CLOSE), int(Status.RUNNING)


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
    if s.symbols.size == 1 and settings.accrues == 0 and t.event_time[first] >= settings.start:
        return pass_bars(s, t, first, last, room, quiet_until)
    return pass_groups(s, t, first, last, room, quiet_until)


@inlined
def pass_groups(s, t, first, last, room, quiet_until):
    """Mark group after group until `quiet_until`, at most `room` of them."""
    account, settings = s.account[0], s.settings[0]
    begin, stop, accrues, day = settings.start, settings.end, settings.accrues != 0, account.day
    has_orders = account.working > 0
    while first < last and account.status == RUNNING and room > 0:
        time = t.event_time[first]
        if time >= quiet_until:
            break
        bar = t.event_bar[first]
        if t.event_kind[first] != CLOSE:
            if has_orders and not rests(t, s.symbols[np.int64(t.event_symbol[first])], bar):
                break
            first += 1
            continue
        if t.account_day[bar] > day or (accrues and t.nights[bar] > 0):
            break
        end = end_of_quiet_group(s, t, first, time, begin <= time < stop, has_orders)
        if end == first:
            break
        for event in range(first, end):
            mark_symbol(s, t, np.int64(t.event_symbol[event]), t.event_bar[event])
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
    while event < t.event_time.size and t.event_time[event] == time and t.event_kind[event] == CLOSE:
        bar, symbol = t.event_bar[event], s.symbols[np.int64(t.event_symbol[event])]
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
        if account.status != RUNNING:
            return 2 * bar - 1
    event = max(first, 2 * bar)
    if event < last and event == 2 * bar and t.open_time[bar] < quiet_until and rests(t, symbol, bar):
        event += 1
    return event


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
    account, begin = s.account[0], bar
    while bar < end and t.account_day[bar] <= account.day:
        if s.settings[0].log_marks:
            log_mark(s, t.close_time[bar])
        bar += 1
    if bar > begin:
        s.symbols[0].closed, s.symbols[0].mark = bar - 1, t.close[bar - 1]
        account.time = t.close_time[bar - 1]
    return bar


@inlined
def prefetch_group(t, bar):
    """Ask for what the close of a bar and the next open will read, on a tape of one symbol."""
    event = 2 * bar + 1
    prefetch(t.event_time, event)
    prefetch(t.event_kind, event)
    prefetch(t.event_symbol, event)
    prefetch(t.event_bar, event)
    prefetch(t.open, bar + 1)
    prefetch(t.open_time, bar + 1)
