"""Taxes inside the run: what sales withhold, and what is paid for a tax year once it is over.

docs/fills.md tells the rules in words under *Taxes in equity*.
"""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.cash import next_due, write_flow
from framework.engine.layout import FOREVER
from framework.model.enums import CashKind

TDS, TAX = int(CashKind.TDS), int(CashKind.TAX)
DAY_NS = 86_400_000_000_000


@kernel
def count_gain(s, trade):
    """Count what a round trip that has just ended brought, as the tax counts it, to the tax year of its end."""
    account, settings = s.account[0], s.settings[0]
    end_years(s, trade.exit_time)
    gain = trade.pnl
    if settings.deduct_fees == 0:
        gain += trade.fees
    if settings.count_cash_flows == 0:
        gain -= trade.cash_flows
    if gain > 0.0:
        account.tax_gains += gain
    else:
        account.tax_losses += gain
    account.has_tax_year = 1


@kernel
def withhold(s, slot_number, qty, price, time):
    """Withhold the share of a sale's value that the tax asks for."""
    account, settings = s.account[0], s.settings[0]
    end_years(s, time)
    value = qty * price * s.symbols[s.slots[slot_number].symbol].multiplier
    write_flow(s, slot_number, TDS, qty, value, settings.tds, -settings.tds * value, time)
    account.tax_withheld += settings.tds * value
    account.has_tax_year = 1


@kernel
def settle_taxes(s, t, time):
    """Pay at a mark what is due for the tax years that are over, and at the last mark for the one under way."""
    account, settings = s.account[0], s.settings[0]
    end_years(s, time)
    pay_owed(s, time)
    account.tax_due = min(account.tax_end, settings.tax_last)
    if time >= settings.tax_last:
        end_year(s)
        pay_owed(s, time)
        account.tax_due = FOREVER
    account.flow_due = next_due(t, account)


@kernel
def end_years(s, time):
    """Close the books of every tax year that was over at a time."""
    account = s.account[0]
    while account.tax_end <= time:
        end_year(s)
        account.tax_year += 1
        months = (account.tax_year + 1 - 1970) * 12 + s.settings[0].first_month - 1
        account.tax_end = first_day(months) * DAY_NS


@kernel
def end_year(s):
    """Close the books of the tax year under way: what it owes is to be paid at a mark, its loss goes on."""
    account, settings = s.account[0], s.settings[0]
    taxable = account.tax_gains
    if settings.offset_losses != 0:
        net = account.tax_gains + account.tax_losses
        carried = max(account.open_losses, -net) if net > 0.0 else 0.0
        account.open_losses += min(net, 0.0) - carried
        taxable = max(net + carried, 0.0)
    account.tax_base += taxable
    account.tax_owed += taxable * settings.tax_rate
    if settings.credit_tds != 0:
        account.tax_owed -= account.tax_withheld
    account.owes_tax |= account.has_tax_year
    account.tax_gains = account.tax_losses = account.tax_withheld = 0.0
    account.has_tax_year = 0


@kernel
def pay_owed(s, time):
    """Pay what tax years whose books are closed owe, or take back what was withheld beyond it."""
    account = s.account[0]
    if account.owes_tax != 0:
        write_flow(s, -1, TAX, 0.0, account.tax_base, s.settings[0].tax_rate, -account.tax_owed, time)
    account.tax_base = account.tax_owed = 0.0
    account.owes_tax = 0


@kernel
def first_day(months):
    """Return the day, counted from 1970-01-01, with which a month begins that is counted from January 1970.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    """
    from_march = (months + 10) % 12
    year = 1970 + (months - 2) // 12
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * from_march + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
