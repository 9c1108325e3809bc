"""Dividends, funding, borrow and interest: money that no fill moves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from framework.model.enums import CashKind, EventKind
from tests.reference.account import Account, Symbol


@dataclass
class CashFlow:
    """One payment; amount > 0 is received."""

    time: int
    slot: int
    symbol: int
    kind: int
    qty: float
    base: float
    rate: float
    amount: float


class Cashier:
    """What the tape says is to be paid, in order of time, and which instants are followed by nights."""

    def __init__(self, tape: Any, account: Account) -> None:
        self.account = account
        columns = (tape.flow_time, tape.flow_symbol, tape.flow_kind, tape.flow_rate)
        self.due = list(zip(*(list(column) for column in columns), strict=True))
        days: dict[int, int] = {}
        for time, kind, row in zip(tape.event_time, tape.event_kind, tape.event_bar, strict=True):
            if kind == EventKind.CLOSE:
                days[int(time)] = max(days.get(int(time), 0), int(tape.account_day[row]))
        instants = sorted(days)
        self.nights = {now: days[later] - days[now] for now, later in pairwise(instants)}

    def pay(self, until: int) -> None:
        """Pay what is due at `until` or before, by the positions and marks of now."""
        while self.due and self.due[0][0] <= until:
            time, number, kind, rate = self.due.pop(0)
            symbol = self.account.symbols[int(number)]
            for slot in self.account.slots:
                if slot.symbol != symbol.index or not slot.position:
                    continue
                units = slot.position * symbol.instrument.multiplier
                base = units if kind == CashKind.DIVIDEND else units * symbol.mark
                amount = base * rate if kind == CashKind.DIVIDEND else -base * rate
                self.move(CashFlow(int(time), slot.index, symbol.index, kind, slot.position, base, rate, amount))

    def charge_nights(self, now: int) -> None:
        """Charge borrow, then interest, for the nights between this instant and the next day with a close."""
        account, settings = self.account, self.account.settings
        nights = self.nights.get(now, 0)
        if nights <= 0 or now < settings.start:
            return
        for symbol in account.symbols:
            self.charge_borrow(symbol, nights, now)
        short = sum(-value for value in map(self.value, account.symbols) if value < 0)
        balance = account.cash - short
        yearly = settings.interest_percent if balance > 0 else settings.loan_percent
        rate = yearly / 100 * (nights / 365)
        if rate and balance:
            self.move(CashFlow(now, -1, -1, CashKind.INTEREST, 0.0, balance, rate, balance * rate))

    def charge_borrow(self, symbol: Symbol, nights: int, now: int) -> None:
        """Charge a symbol's net short quantity to its short slots, in proportion."""
        settings, own = self.account.settings, symbol.instrument.borrow_percent
        yearly = settings.borrow_percent if own is None else own
        if symbol.net >= 0 or not yearly:
            return
        short = [slot for slot in self.account.slots if slot.symbol == symbol.index and slot.position < 0]
        total = sum(slot.position for slot in short)
        for slot in short:
            qty = slot.position / total * symbol.net
            value, rate = qty * symbol.mark * symbol.instrument.multiplier, yearly / 100 * nights / 365
            self.move(CashFlow(now, slot.index, symbol.index, CashKind.BORROW, qty, value, rate, value * rate))

    def value(self, symbol: Symbol) -> float:
        return symbol.net * symbol.mark * symbol.instrument.multiplier

    def move(self, flow: CashFlow) -> None:
        """Move the money, and let the trade that is open know."""
        account = self.account
        account.cash += flow.amount
        account.received += flow.amount
        account.result.cash_flows.append(flow)
        if flow.slot >= 0:
            trade = account.slots[flow.slot].trade
            assert trade is not None
            trade.cash_flows += flow.amount
