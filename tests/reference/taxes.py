"""Taxes that are paid inside a run: the section *Taxes in equity* of docs/fills.md, from the tables alone.

Every sum is made afresh from all trades and fills so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from framework.model.enums import CashKind
from tests.reference.account import Account, Trade
from tests.reference.cash import CashFlow
from tests.reference.market import Fill


@dataclass(frozen=True)
class TaxRules:
    """What [tax] says, under its names."""

    rate: float
    cess: float = 0.0
    tds: float = 0.0
    credit_tds: bool = True
    offset_losses: bool = True
    deduct_fees: bool = True
    count_cash_flows: bool = True
    first_month: int = 1

    def gain(self, trade: Trade) -> float:
        """Return what a trade brought: the prices' part, less fees and with cash flows where they count."""
        parts = [trade.realised]
        if self.deduct_fees:
            parts.append(-trade.fees)
        if self.count_cash_flows:
            parts.append(trade.cash_flows)
        return math.fsum(parts)

    def year(self, time: int) -> int:
        """Return the calendar year in which the tax year of a time begins."""
        moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
        return moment.year if moment.month >= self.first_month else moment.year - 1


class TaxOffice:
    """What the tax office has had from an account."""

    def __init__(self, account: Account, rules: TaxRules, first: int, last: int) -> None:
        self.account, self.rules, self.last = account, rules, last
        self.open_year = rules.year(first)
        self.is_over = False

    def sold(self, fill: Fill) -> None:
        """Withhold from a sale in the market."""
        if fill.side > 0 or fill.is_cross or not self.rules.tds:
            return
        value = self.value(fill)
        self.move(CashFlow(fill.time, fill.slot, fill.symbol, CashKind.TDS, fill.qty, value, self.rules.tds,
                           -value * self.rules.tds))  # fmt: skip

    def settle(self, now: int) -> None:
        """Have the years paid that are over at a mark, and at the last mark the one under way."""
        while self.open_year < self.rules.year(now):
            self.collect(self.open_year, now)
            self.open_year += 1
        if now == self.last and not self.is_over:
            self.collect(self.open_year, now)
            self.is_over = True

    def collect(self, year: int, now: int) -> None:
        """Have one year paid, unless nothing happened in it."""
        rules = self.rules
        gains, withheld = self.gains(year), self.withheld(year)
        if self.is_over or (not gains and not withheld):
            return
        taxable = math.fsum(gain for gain in gains if gain > 0)
        if rules.offset_losses:
            before, net = self.losses_before(year), math.fsum(gains)
            taxable = max(0.0, net + before)
            if before < 0 < net:
                self.account.result.carried.append(before)
        rate = rules.rate + rules.rate * rules.cess
        credit = math.fsum(withheld) if rules.credit_tds else 0.0
        self.move(CashFlow(now, -1, -1, CashKind.TAX, 0.0, taxable, rate, credit - taxable * rate))

    def losses_before(self, year: int) -> float:
        """Return what losses of earlier years are left, <= 0."""
        left = 0.0
        for earlier in range(min(map(self.year_of, self.account.result.trades), default=year), year):
            left = min(0.0, left + math.fsum(self.gains(earlier)))
        return left

    def gains(self, year: int) -> list[float]:
        return [self.rules.gain(trade) for trade in self.account.result.trades if self.year_of(trade) == year]

    def year_of(self, trade: Trade) -> int:
        return self.rules.year(trade.exit_time)

    def withheld(self, year: int) -> list[float]:
        """Return what was withheld from the sales of a year."""
        flows = [flow for flow in self.account.result.cash_flows if flow.kind == CashKind.TDS]
        return [-flow.amount for flow in flows if self.rules.year(flow.time) == year]

    def value(self, fill: Fill) -> float:
        return float(fill.qty * fill.price * self.account.symbols[fill.symbol].instrument.multiplier)

    def move(self, flow: CashFlow) -> None:
        """Move the money; no trade knows of it."""
        self.account.cash += flow.amount
        self.account.received += flow.amount
        self.account.result.cash_flows.append(flow)


def last_mark(tape: Any, end: int) -> int:
    """Return the last close of the run: the last one before its end."""
    return max((int(time) for time in tape.close_time if time < end), default=-1)
