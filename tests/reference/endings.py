"""The end of a symbol: the section of docs/fills.md with that name."""

from __future__ import annotations

from framework.model.enums import OrderKind, OrderStatus, Role
from tests.reference.account import Account, Symbol
from tests.reference.market import NAN, Order, Settings, round_stop
from tests.reference.matching import execute, slipped

DAY = 86_400_000_000_000


def find_last_bars(symbols: list[Symbol], closes: list[list[int]], settings: Settings) -> None:
    """Write down when each symbol ends, and why: `closes` are the close times of its bars."""
    last = [max((time for time in times if time < settings.end), default=None) for times in closes]
    latest = max((time for time in last if time is not None), default=0)
    for symbol, time in zip(symbols, last, strict=True):
        if time is None:
            continue
        is_early = settings.delisted_after > 0 and latest - time > settings.delisted_after * DAY
        if is_early or settings.close_at_end:
            symbol.ends, symbol.exit_role = time, Role.DELISTED if is_early else Role.END


def end_symbol(account: Account, symbol: Symbol) -> None:
    """Let nothing work any more, and close what is held at the close: with costs, whatever participation says."""
    symbol.is_over, symbol.budget = True, float("inf")
    account.in_range_phase = True
    for slot in [slot for slot in account.slots if slot.symbol == symbol.index]:
        for order in account.orders_of(slot):
            account.end(order, OrderStatus.ENDED)
        if not slot.position:
            continue
        quantity, side, close = abs(slot.position), -slot.side, symbol.forming.close
        order = account.add(
            Order(slot.index, symbol.index, side, OrderKind.MARKET, symbol.exit_role, quantity, NAN, True,
                  account.time, account.time, remaining=quantity)
        )  # fmt: skip
        tick = symbol.instrument.tick
        price = round_stop(slipped(account, symbol, close, side, quantity), side, tick)
        execute(account, order, quantity, price if price > 0 else tick, close)
    account.in_range_phase = False
