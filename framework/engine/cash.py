"""Cash: dividends, funding, borrow and interest, the money that no fill moves, and how it is booked.

docs/fills.md tells the rules in words under *Cash flows*.
"""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import kernel
from framework.engine.layout import FOREVER
from framework.model.enums import CashKind

DIVIDEND, FUNDING = int(CashKind.DIVIDEND), int(CashKind.FUNDING)
BORROW, INTEREST = int(CashKind.BORROW), int(CashKind.INTEREST)
TDS = int(CashKind.TDS)
DAYS_OF_YEAR = 365.0
"""Nights are counted in a year of 365 days (Actual/365 Fixed)."""


@kernel
def pay(s, t, until):
    """Pay the cash flows of the tape that are due at `until` or before, on the positions and marks there are now."""
    account = s.account[0]
    while account.next_flow < t.flow_time.size and t.flow_time[account.next_flow] <= until:
        flow = account.next_flow
        number = np.int64(t.flow_symbol[flow])
        for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
            if s.slots[s.symbol_slots[i]].qty != 0.0:
                pay_slot(s, s.symbol_slots[i], np.int64(t.flow_kind[flow]), t.flow_rate[flow], t.flow_time[flow])
        account.next_flow = flow + 1
    account.flow_due = next_due(t, account)


@kernel
def next_due(t, account):
    """Return when the next cash flow of the tape or the next settlement of taxes is due."""
    due = t.flow_time[account.next_flow] if account.next_flow < t.flow_time.size else FOREVER
    return min(due, account.tax_due)


@kernel
def pay_slot(s, slot_number, kind, rate, time):
    """Pay a dividend or funding on the position of a slot."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    units = slot.qty * symbol.multiplier
    if kind == DIVIDEND:
        write_flow(s, slot_number, kind, slot.qty, units, rate, units * rate, time)
    else:
        value = units * symbol.mark
        write_flow(s, slot_number, kind, slot.qty, value, rate, -value * rate, time)


@kernel
def charge_nights(s, t, bar, time):
    """Charge borrow and interest for the nights that follow the last mark of a day, on what is held at it."""
    account, settings = s.account[0], s.settings[0]
    nights = t.nights[bar]
    if nights == 0 or time < settings.start:
        return
    years = nights / DAYS_OF_YEAR
    borrowed = 0.0
    for number in range(s.symbols.size):
        symbol = s.symbols[number]
        borrowed -= min(0.0, symbol.value)
        if symbol.value < 0.0 and symbol.borrow > 0.0:
            charge_borrow(s, number, symbol.borrow * years, time)
    balance = account.cash - borrowed
    rate = (settings.interest if balance > 0.0 else settings.loan) * years
    if rate * balance != 0.0:
        write_flow(s, -1, INTEREST, 0.0, balance, rate, balance * rate, time)


@kernel
def charge_borrow(s, number, rate, time):
    """Charge the short net position of a symbol to the slots that are short, by their shares of it."""
    symbol = s.symbols[number]
    shorts = 0.0
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        shorts += min(0.0, s.slots[s.symbol_slots[i]].qty)
    for i in range(s.symbol_first[number], s.symbol_first[number + 1]):
        slot_number = s.symbol_slots[i]
        qty = min(0.0, s.slots[slot_number].qty) * (symbol.net / shorts)
        if qty < 0.0:
            value = qty * symbol.mark * symbol.multiplier
            write_flow(s, slot_number, BORROW, qty, value, rate, value * rate, time)


@kernel
def write_flow(s, slot_number, kind, qty, base, rate, amount, time):
    """Move money in or out of the account, and append it to the log; slot -1 is the account itself.

    What is withheld from a sale is no part of the trade.
    """
    account = s.account[0]
    account.cash += amount
    account.equity += amount
    row = s.cash_flows[account.cash_flows]
    account.cash_flows += 1
    row.id = account.cash_flows
    row.time, row.slot, row.symbol, row.kind = time, slot_number, -1, kind
    row.qty, row.base, row.rate, row.amount = qty, base, rate, amount
    if slot_number >= 0:
        slot = s.slots[slot_number]
        row.symbol = slot.symbol
        if kind != TDS:
            slot.cash_flows += amount
