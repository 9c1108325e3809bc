"""What is due when: the ends of symbols, cash flows, and taxes that are paid inside the run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from framework.backtest.tax import year_of
from framework.data.tape import Tape
from framework.data.timeframe import DAY
from framework.engine import layout, state
from framework.engine.layout import FOREVER
from framework.model.enums import Role

if TYPE_CHECKING:
    from framework.backtest.compose import Terms


def set_cash_flows(made: layout.State, tape: Tape, terms: Terms) -> None:
    """Write down what nights cost and earn, and the first cash flow of the data."""
    settings, account = made.settings[0], terms.account
    given = (instrument.borrow_percent for instrument in tape.instruments)
    made.symbols["borrow"] = [(account.borrow_percent if percent is None else percent) / 100.0 for percent in given]
    settings["interest"], settings["loan"] = account.interest_percent / 100.0, account.loan_percent / 100.0
    settings["accrues"] = bool(settings["interest"] or settings["loan"] or made.symbols["borrow"].any())
    due = int(tape.flow_time[0]) if tape.flow_time.size else FOREVER
    made.account["flow_due"] = np.minimum(due, made.account["tax_due"])


def set_taxes(made: layout.State, tape: Tape, terms: Terms) -> None:
    """Write down what taxes are paid inside the run, and when they are settled first."""
    settings, account, tax = made.settings[0], made.account[0], terms.tax
    account["tax_due"] = FOREVER
    if tax is None or not tax.in_equity or not tape.n_events:
        return
    settings["taxes"], settings["tax_rate"] = 1, tax.rate * (1.0 + tax.cess)
    for name in ("tds", "credit_tds", "offset_losses", "deduct_fees", "count_cash_flows", "first_month"):
        settings[name] = getattr(tax, name)
    year = int(year_of(tape.event_time[:1], tax.first_month)[0])
    account["tax_year"] = year
    account["tax_end"] = np.datetime64(f"{year + 1}-{tax.first_month:02d}", "ns").astype(np.int64)
    settings["tax_last"] = max(last_closes(tape, terms.end).values(), default=FOREVER)
    account["tax_due"] = min(account["tax_end"], settings["tax_last"])


def most_cash_flows(tape: Tape, slot_symbols: Sequence[int], terms: Terms) -> int:
    """Return how many rows of cash flows one group of events may write: what the data have, nights and taxes."""
    least = len(slot_symbols) + 1
    if terms.tax is not None and terms.tax.in_equity:
        least += 2 + state.most_fills(len(slot_symbols))
    if not tape.flow_time.size:
        return least
    counts = np.unique(np.searchsorted(np.unique(tape.close_time), tape.flow_time), return_counts=True)[1]
    return int(counts.max() * np.bincount(slot_symbols).max()) + least


def set_endings(made: layout.State, tape: Tape, terms: Terms) -> None:
    """Write down at which closes symbols end: all at their last one with `close_at_end`, delisted ones in any case."""
    symbols = made.symbols
    symbols["final"], symbols["end_role"] = FOREVER, Role.END
    closes = last_closes(tape, terms.end)
    margin = round(terms.fills.delisted_after * DAY) or FOREVER
    latest = max(closes.values(), default=0)
    for number, close in closes.items():
        is_delisted = latest - close > margin
        if is_delisted or terms.close_at_end:
            symbols["final"][number] = np.searchsorted(tape.event_time, close, side="left")
            symbols["end_role"][number] = Role.DELISTED if is_delisted else Role.END
    made.account["final"] = symbols["final"].min()


def last_closes(tape: Tape, end: int) -> dict[int, int]:
    """Return when the last bar before an end (ns) closes, by symbol, for those that have one."""
    closes = {}
    for number, (begin, stop) in enumerate(itertools.pairwise(tape.series)):
        last = begin + np.searchsorted(tape.close_time[begin:stop], end, side="left") - 1
        if last >= begin:
            closes[number] = int(tape.close_time[last])
    return closes
