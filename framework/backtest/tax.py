"""Tax on what a run made: gains by tax year, what becomes of losses, tax withheld from sales.

A gain is realised when its trade is flat; what is open at the end is not taxed.  The presets follow the law as a
configuration can: `india_crypto` is section 115BBH of the Income-tax Act (30 % of every gain, no loss set off against
any gain, nothing deducted but the cost of acquisition) with the 1 % that section 194S withholds from the value of each
sale; `rate` taxes the net gain of a year, with losses carried forward.  With `in_equity` the step pays by the same
rules while the run goes on (docs/fills.md, *Taxes in equity*), and what is here tells the years of what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.fields import choice, flag, number, whole
from framework.model.enums import Side

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Structured = NDArray[np.void]


@attrs.frozen(kw_only=True)
class Tax:
    """What is taken off, after the run or within it; rates are fractions.

    mode: names the defaults that `TAX_DEFAULTS` has.  rate: of taxable gains.  cess: of the tax, on top of it.
    tds: of the value of each sale, withheld when it happens.  credit_tds: whether that counts towards the tax.
    offset_losses: whether losses lower gains, of the same tax year and of later ones.
    deduct_fees: whether gains are counted after fees.  count_cash_flows: whether dividends, funding and borrow of a
    position are part of its gain.  first_month: with which month of the calendar a tax year begins.  in_equity: whether
    the account pays while the run goes on.
    """

    SECTION: ClassVar[str] = "tax"
    mode: str = choice("rate", ["rate", "india_crypto"])
    rate: float = number(low=0.0, high=1.0)
    cess: float = number(0.0, low=0.0, high=1.0)
    tds: float = number(0.0, low=0.0, high=1.0)
    credit_tds: bool = flag(True)
    offset_losses: bool = flag(True)
    deduct_fees: bool = flag(True)
    count_cash_flows: bool = flag(True)
    first_month: int = whole(1, low=1, high=12)
    in_equity: bool = flag(False)


INDIA_CRYPTO, INDIA_CESS = "india_crypto", 0.04
"""The mode, and the health and education cess that the yearly Finance Act adds to its tax: no default of the mode,
which is the 30 % and the 1 % alone."""

TAX_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "rate": {},
    INDIA_CRYPTO: {"rate": 0.30, "tds": 0.01, "offset_losses": False, "deduct_fees": False,
                     "count_cash_flows": False, "first_month": 4},
}
"""What a mode of [tax] sets unless the section says otherwise."""


@attrs.frozen(kw_only=True)
class TaxYear:
    """One tax year, in account currency.

    year: in which it begins. gains, losses: of trades, >= 0 and <= 0. carried: losses of earlier years that lowered the
    taxable gain, <= 0. tax: due, cess included. withheld: from sales. balance: still to be paid, negative when withheld
    money comes back; where what is withheld does not count towards the tax, the whole tax.
    """

    year: int
    gains: float
    losses: float
    carried: float
    taxable: float
    tax: float
    withheld: float
    balance: float

    @property
    def cost(self) -> float:
        """What the year takes away in the end: withheld + balance."""
        return self.withheld + self.balance


def tax_years(trades: Structured, fills: Structured, multipliers: Floats, tax: Tax) -> tuple[TaxYear, ...]:
    """Return every tax year from the first to the last with a trade closed or a sale.

    trades, fills: TRADE and FILL rows; a trade counts on the day it is flat, a sale on the day of its fill (UTC).
    multipliers: float64[n_symbols]. Sales between strategies of the account are none.
    """
    sold = fills[(fills["side"] == Side.SELL) & ~fills["is_cross"]]
    closed, sales = year_of(trades["exit_time"], tax.first_month), year_of(sold["time"], tax.first_month)
    value = sold["qty"] * sold["price"] * multipliers[sold["symbol"]]
    gain = gains_of(trades, tax)
    every = np.concatenate((closed, sales))
    years, open_losses = [], 0.0
    for year in range(int(every.min()), int(every.max()) + 1) if len(every) else ():
        of_year = gain[closed == year]
        gains, losses = float(of_year[of_year > 0.0].sum()), float(of_year[of_year < 0.0].sum())
        withheld = tax.tds * float(value[sales == year].sum())
        carried = 0.0
        taxable = gains
        if tax.offset_losses:
            net = gains + losses
            carried = max(open_losses, -net) if net > 0.0 else 0.0
            open_losses += min(net, 0.0) - carried
            taxable = max(net + carried, 0.0)
        due = taxable * tax.rate * (1.0 + tax.cess)
        years.append(TaxYear(year=year, gains=gains, losses=losses, carried=carried + 0.0, taxable=taxable, tax=due,
                             withheld=withheld, balance=due - withheld if tax.credit_tds else due))
    return tuple(years)


def gains_of(trades: Structured, tax: Tax) -> Floats:
    """Return the gain of each trade as the tax counts it, float64[n]: what prices brought, less or with the rest."""
    gain = np.asarray(trades["pnl"], np.float64)
    if not tax.deduct_fees:
        gain = gain + trades["fees"]
    return gain if tax.count_cash_flows else gain - trades["cash_flows"]


def year_of(time: Integers, first_month: int) -> Integers:
    """Return the calendar year in which the tax year of each time (ns UTC) begins, int64[n]."""
    months = time.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    year: Integers = 1970 + (months - (first_month - 1)) // 12
    return year
