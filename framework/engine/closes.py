"""Closes: what the close of a bar does to market-on-close orders.

docs/fills.md tells the rules in words under *Close*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.due import append_due, fill_due
from framework.engine.events import bar_of, symbol_of
from framework.engine.layout import AT_CLOSE, WAITS_CLOSE
from framework.engine.matching import RUNNING
from framework.engine.prices import MARKET_ON_CLOSE


@kernel
def match_close(s, t, first, last, time):
    """Fill market-on-close orders at the closes of the events [first, last), reductions of all symbols first."""
    count = 0
    for event in range(first, last):
        count = collect_closing(s, t, symbol_of(t, event), bar_of(t, event), count)
    fill_due(s, t, count, time, AT_CLOSE)
    if s.account[0].status != RUNNING:
        return
    for event in range(first, last):
        keep_waiting(s, symbol_of(t, event))


@kernel
def collect_closing(s, t, number, bar, count):
    """Append the symbol's orders for this close to the scratch of due orders; return how many there are now."""
    s.symbols[number].bar = bar
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            order = s.working[slot_number, k]
            if order.kind == MARKET_ON_CLOSE and order.active_from <= t.open_time[bar]:
                count = append_due(s, slot_number, order, count)
    return count


@kernel
def keep_waiting(s, number):
    """Find out whether market-on-close orders of the symbol work on: those that are for a later bar or not yet full."""
    symbol = s.symbols[number]
    symbol.waiting &= ~WAITS_CLOSE
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        for k in range(s.slots[slot_number].working):
            if s.working[slot_number, k].kind == MARKET_ON_CLOSE:
                symbol.waiting |= WAITS_CLOSE
