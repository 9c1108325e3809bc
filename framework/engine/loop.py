"""The step and its loop: one function, `advance`, that every driver calls.

The life of a bar, group by group of simultaneous events:

    CLOSE   range -> close -> mark -> indicators -> decide -> size and risk
    OPEN    open

The indicators are columns that were computed before; the step reads them at the bar that closed.
"""

from __future__ import annotations

from framework.boundary.jit import entry, inlined
from framework.engine.blocks import open_state, open_tape
from framework.engine.cash import pay
from framework.engine.checks import prefetch_clock
from framework.engine.closes import match_close
from framework.engine.decide import decide_slot, decide_universe
from framework.engine.endings import end_symbols
from framework.engine.events import bar_of, closes, end_of_group, symbol_of, time_of
from framework.engine.guards import is_alarmed, place_partials, protect, watch
from framework.engine.intake import take_intents
from framework.engine.layout import USES_CLOCK, WAITS_CLOSE
from framework.engine.ledger import rests
from framework.engine.lifetime import expire
from framework.engine.margin import call_margin
from framework.engine.marks import mark_group
from framework.engine.matching import match_range
from framework.engine.opens import match_open
from framework.engine.quiet import pass_quiet
from framework.engine.room import logs_have_room, marks_have_room
from framework.model.enums import Status

RUNNING, FULL, FAULT = int(Status.RUNNING), int(Status.FULL), int(Status.FAULT)


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
            slot_number = s.slot_of[number, symbol_of(t, event)]
            if slot_number >= 0:
                count = decide_slot(s, t, slot_number, bar_of(t, event), count, time)
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
            number = symbol_of(t, event)
            if not rests(t, s.symbols[number], bar_of(t, event)):
                match_range(s, t, number, bar_of(t, event))
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
        watch(s, t, bar_of(t, first), time)
    if awake > 0 and account.status == RUNNING:
        decide_group(s, t, awake, time)


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
    has_clock = s.settings[0].check_uses & USES_CLOCK != 0
    while first < last:
        if not has_margin:
            first = pass_quiet(s, t, first, min(last, account.final))
            if first >= last or account.status != RUNNING:
                return first, account.status
        if has_clock:
            prefetch_clock(t, bar_of(t, first))
        if account.orders != orders or account.fills != fills or account.refusals != refusals:
            if not logs_have_room(s):
                return first, FULL
            orders, fills, refusals = account.orders, account.fills, account.refusals
        if not marks_have_room(s):
            return first, FULL
        end = end_of_group(t, first)
        time = time_of(t, first)
        if closes(t, first):
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
