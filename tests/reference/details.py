"""Finer bars inside bars: the range of a bar is walked through them, one after another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tests.reference.account import Account, Slot, Symbol, Trade
from tests.reference.market import Bar
from tests.reference.matching import move_trail, range_phase

COLUMNS = ("open_time", "close_time", "open", "high", "low", "close")


def parts_of(tape: Any, bars: list[Bar]) -> list[list[Bar]]:
    """Return what each bar is walked through: its finer bars, or itself."""
    details = getattr(tape, "details", None)
    if details is None:
        return [[bar] for bar in bars]
    rows = zip(*(np.asarray(getattr(details, name)).tolist() for name in COLUMNS), strict=True)
    finer = [Bar(*row) for row in rows]
    return [finer[first:last] for first, last in pairwise(np.asarray(details.first).tolist())]


def walk(account: Account, symbol: Symbol, parts: list[Bar]) -> None:
    """Match against every part; between two of them positions see the first and their stops trail."""
    at_close, ambiguous = account.time, set()
    for part in parts:
        account.time = part.close_time
        ambiguous |= range_phase(account, symbol, part)
        if part is not parts[-1]:
            for slot in account.slots:
                if slot.symbol == symbol.index and slot.position:
                    see(account, slot, parts, part)
    account.time = at_close
    account.result.counters["ambiguous"] += len(ambiguous)


def see(account: Account, slot: Slot, parts: list[Bar], part: Bar) -> None:
    """Offer a part to a position: excursions, high-water mark and trail."""
    assert slot.trade is not None
    is_first = began_in(slot.trade, account.symbols[slot.symbol].forming_row, parts, part)
    for price in (part.low, part.high) if slot.trade.entered_at_open or not is_first else (part.close,):
        slot.offer(price)
    best = part.close if is_first else part.high if slot.side > 0 else part.low
    slot.high_water = max(slot.high_water, best) if slot.side > 0 else min(slot.high_water, best)
    move_trail(account, slot)


def began_in(trade: Trade, row: int, parts: list[Bar], part: Bar) -> bool:
    """Return whether a trade began in this part of the bar `row`, or after its range."""
    if trade.entry_bar != row:
        return False
    return part is parts[0] if trade.entered_at_open else trade.entry_time >= part.close_time
