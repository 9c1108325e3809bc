"""The step and its loop: one function, `advance`, that every driver calls.

The life of a bar, group by group of simultaneous events:

    CLOSE   range -> close -> mark -> indicators -> decide -> size and risk
    OPEN    open

The indicators are columns that were computed before; the step reads them at the bar that closed.
"""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import entry, inlined, kernel
from framework.engine.blocks import open_state, open_tape
from framework.engine.cash import charge_nights, pay
from framework.engine.closes import match_close
from framework.engine.decide import decide_slot, decide_universe
from framework.engine.endings import end_symbols
from framework.engine.guards import is_alarmed, place_partials, protect, watch
from framework.engine.intake import take_intents
from framework.engine.layout import FOREVER, WAITS_CLOSE
from framework.engine.ledger import mark_account, mark_slot, rests, revalue, roll_day
from framework.engine.lifetime import expire
from framework.engine.margin import call_margin
from framework.engine.matching import match_range
from framework.engine.opens import match_open
from framework.engine.orders import trail_stop
from framework.model.enums import EventKind, Status

CLOSE = int(EventKind.CLOSE)
RUNNING, FULL, FAULT = int(Status.RUNNING), int(Status.FULL), int(Status.FAULT)


@inlined
def end_of_group(t, first):
    """Return the event behind the group that `first` begins: equal time, equal kind."""
    time, kind = t.event_time[first], t.event_kind[first]
    last = first + 1
    while last < t.event_time.size and t.event_time[last] == time and t.event_kind[last] == kind:
        last += 1
    return last


@inlined
def mark_symbol(s, t, number, bar):
    """Mark a symbol at its close, and the slots that hold it; return whether a slot of it is awake."""
    symbol = s.symbols[number]
    symbol.closed = bar
    symbol.mark = t.close[bar]
    if symbol.held > 0:
        revalue(s, number)
        for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
            slot_number = s.symbol_slots[i]
            if s.slots[slot_number].qty != 0.0:
                mark_slot(s, t, slot_number, bar)
                if s.slots[slot_number].working > 0:
                    trail_stop(s, slot_number)
    return symbol.asleep_until <= bar


@inlined
def mark_group(s, t, first, last, time):
    """Mark every symbol that closes and its slots, pay what is due then, and mark the account.

    Returns how many symbols have a slot that is to be asked; their events are in s.active.
    """
    roll_day(s, np.int64(t.account_day[t.event_bar[first]]))
    awake = 0
    for event in range(first, last):
        if mark_symbol(s, t, np.int64(t.event_symbol[event]), t.event_bar[event]):
            s.active[awake] = event
            awake += 1
    if s.account[0].flow_due <= time:
        pay(s, t, time)
    if s.settings[0].accrues != 0:
        charge_nights(s, t, t.event_bar[first], time)
    mark_account(s, time)
    return awake


@inlined
def decide_group(s, t, awake, time):
    """Ask every strategy about the symbols that are awake, slot by slot, then those that look at the whole universe."""
    settings = s.settings[0]
    if time < settings.start or time >= settings.end:
        return
    count = 0
    for number in range(s.strategies.size):
        if s.strategies[number].decide_all != 0:
            continue
        for i in range(awake):
            event = s.active[i]
            slot_number = s.slot_of[number, np.int64(t.event_symbol[event])]
            if slot_number >= 0:
                count = decide_slot(s, t, slot_number, t.event_bar[event], count, time)
    for number in range(s.strategies.size):
        if s.strategies[number].decide_all != 0:
            count = decide_universe(s, t, number, count, time)
    if count > 0 and settings.protects != 0:
        protect(s, t, count, time)
    if count > 0 and s.account[0].status == RUNNING:
        take_intents(s, t, count, time)


@inlined
def close_group(s, t, first, last, time):
    """Carry a group of closing bars through range, close, mark, decide, size and risk."""
    account = s.account[0]
    if account.flow_due < time:
        pay(s, t, time - 1)
    if account.working > 0:
        begun = account.begun
        if account.expiry < time:
            expire(s, time - 1, time)
        waiting = 0
        for event in range(first, last):
            number = np.int64(t.event_symbol[event])
            if not rests(t, s.symbols[number], t.event_bar[event]):
                match_range(s, t, number, t.event_bar[event])
                waiting |= s.symbols[number].waiting
        if waiting & WAITS_CLOSE:
            match_close(s, t, first, last, time)
        if account.expiry <= time:
            expire(s, time, time)
        if account.begun != begun and s.settings[0].protects != 0:
            place_partials(s, t, time)
    if first == account.final:
        end_symbols(s, t, first, last, time)
    awake = mark_group(s, t, first, last, time)
    if account.status == RUNNING and s.settings[0].maintenance > 0.0:
        call_margin(s, time)
    if account.status == RUNNING and is_alarmed(s):
        watch(s, t, t.event_bar[first], time)
    if awake > 0 and account.status == RUNNING:
        decide_group(s, t, awake, time)


@inlined
def logs_have_room(s):
    """Return whether the logs of orders, fills, trades and refusals can take the most that one group may write."""
    account = s.account[0]
    margins = s.margins
    return (account.orders + margins[0] <= s.orders.size and account.fills + margins[1] <= s.fills.size
            and account.trades + margins[2] <= s.trades.size and account.refusals + margins[3] <= s.refusals.size)


@inlined
def marks_have_room(s):
    """Return whether the logs of marks, days and cash flows can take one more group."""
    account, margins = s.account[0], s.margins
    return (account.marks + margins[4] <= s.marks.size and account.days + margins[5] <= s.days.size
            and account.cash_flows + margins[6] <= s.cash_flows.size)


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


@kernel
def pass_quiet(s, t, first, last):
    """Mark bar after bar while there is nothing else to do; return the first other event.

    Else is: a slot is awake, an order is touched or expires, a day begins, cash flows.  Most bars of a long run go
    through this loop; what happens in it is what `mark_group` does.
    """
    account, settings = s.account[0], s.settings[0]
    if settings.watches != 0 and not logs_have_room(s):
        return first
    room, day = FOREVER, account.day
    if settings.log_marks:
        room = s.marks.size - s.margins[4] - account.marks
    begin, stop, accrues = settings.start, settings.end, settings.accrues != 0
    has_orders = account.working > 0
    quiet_until = min(account.flow_due, account.expiry) if has_orders else account.flow_due
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


@entry
def advance(state, tape, first, last):
    """Process the events of the tape from `first` on, whole groups at a time, while first < last.

    state, tape: blocks of the arrays of State and Tape.  Returns (next event, Status).  FULL: enlarge the logs and
    call again; FAULT: a plug-in raised in the group at `next`, and the state is to be restored from before; RUINED:
    equity is gone.
    """
    s, t = open_state(state), open_tape(tape)
    account = s.account[0]
    orders = fills = refusals = -1
    has_margin = s.settings[0].maintenance > 0.0
    while first < last:
        if not has_margin:
            first = pass_quiet(s, t, first, min(last, account.final))
            if first >= last or account.status != RUNNING:
                return first, account.status
        if account.orders != orders or account.fills != fills or account.refusals != refusals:
            if not logs_have_room(s):
                return first, FULL
            orders, fills, refusals = account.orders, account.fills, account.refusals
        if not marks_have_room(s):
            return first, FULL
        end = end_of_group(t, first)
        time = t.event_time[first]
        if t.event_kind[first] == CLOSE:
            close_group(s, t, first, end, time)
        else:
            begun = account.begun
            match_open(s, t, first, end, time)
            if account.begun != begun and s.settings[0].protects != 0:
                place_partials(s, t, time)
        if account.status != RUNNING:
            return (first if account.status == FAULT else end), account.status
        first = end
    return first, account.status
