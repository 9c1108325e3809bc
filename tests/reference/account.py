"""The account: positions of slots, net quantities of symbols, cash, and what may be bought with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from framework.model.enums import OrderKind, OrderStatus, Role
from tests.reference.history import Moment
from tests.reference.market import NAN, Bar, Fill, Mark, Order, ReferenceResult, Settings, on_lots


@dataclass
class Trade:
    """One round trip of a slot, flat to flat; the sums from which its row is made."""

    slot: int
    symbol: int
    side: int
    entry_time: int
    entry_bar: int
    entered_at_open: bool
    exit_time: int = 0
    exit_role: int = 0
    bars: int = 0
    fills: int = 0
    qty: float = 0.0
    entry_value: float = 0.0
    exit_value: float = 0.0
    realised: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    cash_flows: float = 0.0
    mae: float = 0.0
    mfe: float = 0.0

    @property
    def pnl(self) -> float:
        return self.realised - self.fees + self.cash_flows

    @property
    def entry_price(self) -> float:
        return self.entry_value / self.qty

    @property
    def exit_price(self) -> float:
        return self.exit_value / self.qty


@dataclass
class Slot:
    """One strategy on one symbol."""

    index: int
    strategy: int
    symbol: int
    ready: int
    position: float = 0.0
    average: float = 0.0
    high_water: float = NAN
    trade: Trade | None = None
    fills: list[Fill] = field(default_factory=list)
    """Since the last decision."""
    partial: tuple[float, float] | None = None
    """Distance and share of the first target of the entry with which the position began."""
    is_new: bool = False
    """Whether a position began in the present phase."""

    @property
    def side(self) -> int:
        return (self.position > 0) - (self.position < 0)

    def offer(self, price: float) -> None:
        """Let a price count as an excursion of the open trade."""
        assert self.trade is not None
        move = self.side * (price - self.average) / self.average
        self.trade.mae, self.trade.mfe = min(self.trade.mae, move), max(self.trade.mfe, move)


@dataclass
class Symbol:
    """One symbol: its closed bars, the bar that is forming, and the account's net quantity in it."""

    index: int
    instrument: Any
    net: float = 0.0
    budget: float = math.inf
    closed: list[Bar] = field(default_factory=list)
    forming: Bar = field(default_factory=Bar)
    forming_row: int = -1
    ends: int | None = None
    """When the symbol has its last close, if that ends it."""
    exit_role: int = Role.END
    is_over: bool = False

    @property
    def last_bar(self) -> Bar:
        return self.closed[-1] if self.closed else Bar()

    @property
    def mark(self) -> float:
        return self.last_bar.close

    def mean_volume(self, window: int) -> float:
        """Return the mean volume of the last closed bars, as many as exist up to the window; 0 without any."""
        bars = self.closed[-window:]
        return sum(bar.volume for bar in bars) / len(bars) if bars else 0.0

    def volatility(self, window: int) -> float:
        """Return the population standard deviation of the last `window` log returns of closes; 0 below two."""
        closes = [bar.close for bar in self.closed[-window - 1 :]]
        returns = [math.log(b / a) for a, b in pairwise(closes)]
        if len(returns) < 2:
            return 0.0
        mean = sum(returns) / len(returns)
        return math.sqrt(sum((r - mean) ** 2 for r in returns) / len(returns))


class Account:
    """Everything that changes during a run."""

    def __init__(self, settings: Settings, symbols: list[Symbol], slots: list[Slot]) -> None:
        self.settings, self.symbols, self.slots = settings, symbols, slots
        self.cash = settings.capital
        self.realised = 0.0
        self.fees = 0.0
        self.received = 0.0
        self.traded = 0.0
        self.working: list[Order] = []
        self.result = ReferenceResult([], [], [], [], [], [], [], {"ambiguous": 0, "gapped": 0, "ruined": 0}, [])
        self.time = 0
        self.in_range_phase = False
        self.is_called = False
        self.born: list[Order] = []
        """Orders born in the present range phase of a symbol."""
        self.moments: list[Moment] = []
        """Every mark so far, with its day and the round trips until then."""
        self.peak = settings.capital
        self.day_of: Callable[[Symbol, int], int] = lambda symbol, place: 0
        """The day of the account's calendar of a bar of a symbol, by its place among the closed ones."""
        self.on_fill: Callable[[Fill], None] = lambda fill: None
        """What a tax withholds from it."""
        self.is_daily: Callable[[Symbol], bool] = lambda symbol: False
        """Whether the bars of a symbol are days."""

    # --- what the account is worth ------------------------------------------------------------------------------------

    def equity(self) -> float:
        return self.cash + sum(s.net * s.mark * s.instrument.multiplier for s in self.symbols)

    def exposure(self) -> float:
        return sum(abs(s.net * s.mark * s.instrument.multiplier) for s in self.symbols)

    def carried(self) -> float:
        """Return what exposure may become by exits alone: of each symbol the larger side of its positions."""
        return sum(max(self.sides(s)) * s.mark * s.instrument.multiplier for s in self.symbols if any(self.sides(s)))

    def sides(self, symbol: Symbol) -> tuple[float, float]:
        """Return what slots hold of a symbol, long and short."""
        held = [slot.position for slot in self.slots if slot.symbol == symbol.index]
        lot = symbol.instrument.lot
        return on_lots(sum(q for q in held if q > 0), lot), on_lots(-sum(q for q in held if q < 0), lot)

    def leaving(self, symbol: Symbol) -> tuple[float, float]:
        """Return what market reductions take away at the next open, of the longs and of the shorts."""
        exits = [o for o in self.working if o.symbol == symbol.index and is_next_exit(o)]
        return sum(o.remaining for o in exits if o.side < 0), sum(o.remaining for o in exits if o.side > 0)

    def freed(self, symbol: Symbol) -> float:
        """Return what the exits at the next open free, at the marks of their acceptance: of the larger side only."""
        sides, leaving = self.sides(symbol), self.leaving(symbol)
        larger = 0 if sides[0] >= sides[1] else 1
        if not leaving[larger]:
            return 0.0
        stays = max(sides[0] - leaving[0], sides[1] - leaving[1])
        worth = sum(
            o.remaining * o.accepted_mark * symbol.instrument.multiplier * (1 - self.settings.taker_bps / 10_000)
            for o in self.working
            if o.symbol == symbol.index and is_next_exit(o) and o.side == (-1, 1)[larger]
        )
        return worth * max(0.0, sides[larger] - stays) / leaving[larger]

    def buying_power(self) -> float:
        return self.settings.leverage * self.equity() - self.carried()

    def available(self) -> float:
        """Return what a decision may spend: buying power less reservations plus exits on their way, less the buffer."""
        reserved = sum(min(o.remaining, o.reserved_qty) * o.unit_cost for o in self.working if not o.reduce_only)
        return max(0.0, (self.buying_power() - reserved + self.proceeds()) * (1 - self.settings.cash_buffer))

    def proceeds(self) -> float:
        return sum(self.freed(symbol) for symbol in self.symbols)

    def heat(self) -> float:
        """Return what is lost if every stop is hit: positions at theirs, working openings at the one that was known."""
        return sum(self.slot_heat(slot) for slot in self.slots)

    def slot_heat(self, slot: Slot) -> float:
        """Return what one slot loses if every stop is hit."""
        stop = self.protection(slot, Role.STOP, Role.TRAIL)
        each = slot.average
        if stop is not None and not math.isnan(stop.price):
            each = max(0.0, slot.side * (slot.average - stop.price))
        lot, exits = self.symbols[slot.symbol].instrument.lot, [o for o in self.orders_of(slot) if is_next_exit(o)]
        units = on_lots(max(0.0, abs(slot.position) - sum(o.remaining for o in exits)), lot) * each
        units += sum(o.remaining * o.risk_each for o in self.orders_of(slot) if not o.reduce_only)
        return units * self.symbols[slot.symbol].instrument.multiplier

    def working_notional(self) -> float:
        """Return the expected value of what working openings add."""
        return sum(
            min(o.remaining, o.reserved_qty) * o.entry * self.symbols[o.symbol].instrument.multiplier
            for o in self.working
            if not o.reduce_only
        )

    def committed(self) -> set[int]:
        """Return the symbols with a position that stays beyond the next open, or a working opening."""
        stays = set()
        for symbol in self.symbols:
            kept = [held - out for held, out in zip(self.sides(symbol), self.leaving(symbol), strict=True)]
            if on_lots(max(kept), symbol.instrument.lot) > 0:
                stays.add(symbol.index)
        return stays | {o.symbol for o in self.working if not o.reduce_only}

    def pending(self, symbol: Symbol, side: int) -> float:
        """Return the remaining quantity of the working orders of a symbol on one side that are not protective."""
        mine = [o for o in self.working if o.symbol == symbol.index and o.side == side and not o.protective]
        return sum(o.remaining for o in mine)

    # --- orders -------------------------------------------------------------------------------------------------------

    def add(self, order: Order) -> Order:
        """Accept an order: it gets the next number and works."""
        order.id = len(self.result.orders)
        self.result.orders.append(order)
        self.working.append(order)
        return order

    def end(self, order: Order, status: OrderStatus) -> None:
        """Let an order end."""
        order.status, order.ended_time = status, self.time
        self.working.remove(order)

    def orders_of(self, slot: Slot) -> list[Order]:
        return [o for o in self.working if o.slot == slot.index]

    def placed_by(self, slot: Slot) -> list[Order]:
        """Return the working orders of a slot that are not protective."""
        return [o for o in self.orders_of(slot) if not o.protective]

    def held(self, slot: Slot) -> float:
        """Return what of the position is not on its way out by market reductions."""
        out = sum(o.remaining for o in self.orders_of(slot) if is_market_reduction(o))
        return on_lots(max(0.0, abs(slot.position) - out), self.symbols[slot.symbol].instrument.lot)

    def protection(self, slot: Slot, *roles: Role) -> Order | None:
        """Return the protective order of the slot's position in one of some roles."""
        return next((o for o in self.orders_of(slot) if o.role in roles), None)

    # --- one fill -----------------------------------------------------------------------------------------------------

    def book(
        self,
        order: Order,
        qty: float,
        price: float,
        reference: float,
        *,
        is_maker: bool,
        is_cross: bool,
        is_gapped: bool,
    ) -> Trade | None:
        """Move cash, net and position by one fill; return the trade that it ended, if any."""
        symbol, slot = self.symbols[order.symbol], self.slots[order.slot]
        multiplier = symbol.instrument.multiplier
        fee = 0.0 if is_cross else self._fee(order, qty, price, multiplier)
        slippage = 0.0 if is_maker else order.side * (price - reference) * qty * multiplier
        self.cash += -order.side * qty * price * multiplier - fee
        self.fees += fee
        self.traded += qty * price * multiplier
        symbol.net = on_lots(symbol.net + order.side * qty, symbol.instrument.lot)
        if not is_cross:
            symbol.budget -= qty
        order.filled += qty
        order.remaining = on_lots(max(0.0, order.remaining - qty), symbol.instrument.lot)
        order.filled_value += qty * price
        ended = self._move_position(slot, symbol, order, qty, price, fee, slippage)
        fill = Fill(
            order.id,
            self.time,
            symbol.forming_row,
            slot.index,
            symbol.index,
            order.side,
            order.role,
            order.tag,
            qty,
            price,
            reference,
            fee,
            slippage,
            slot.position,
            is_maker,
            is_cross,
            is_gapped,
        )
        self.result.fills.append(fill)
        slot.fills.append(fill)
        self.on_fill(fill)
        return ended

    def _fee(self, order: Order, qty: float, price: float, multiplier: float) -> float:
        settings = self.settings
        order.fee_raw += qty * price * multiplier * settings.bps(order.kind) / 10_000 + qty * settings.per_share
        if not order.has_paid:
            order.fee_raw += settings.per_order
            order.has_paid = True
        fee = max(settings.minimum, order.fee_raw) - order.fee_charged
        order.fee_charged += fee
        return fee

    def _move_position(
        self, slot: Slot, symbol: Symbol, order: Order, qty: float, price: float, fee: float, slippage: float
    ) -> Trade | None:
        """Close first, then open; fee and slippage of a fill that does both are shared by quantity."""
        before, multiplier = slot.position, symbol.instrument.multiplier
        after = on_lots(before + order.side * qty, symbol.instrument.lot)
        closed = min(qty, abs(before)) if before * order.side < 0 else 0.0
        opened = on_lots(qty - closed, symbol.instrument.lot) if after * order.side > 0 else 0.0
        closing_share = 1.0 if not opened else closed / qty
        ended = None
        if closed:
            trade = slot.trade
            assert trade is not None
            slot.offer(price)
            gain = slot.side * closed * (price - slot.average) * multiplier
            self.realised += gain
            trade.realised += gain
            trade.exit_value += closed * price
            _share(trade, fee * closing_share, slippage * closing_share)
            if after * before <= 0:
                trade.exit_time, trade.exit_role = self.time, order.role
                self.result.trades.append(trade)
                ended, slot.trade, slot.position = trade, None, 0.0
        if opened:
            if slot.trade is None:
                slot.trade = Trade(
                    slot.index,
                    symbol.index,
                    order.side,
                    self.time,
                    symbol.forming_row,
                    entered_at_open=not self.in_range_phase,
                )
                slot.high_water = slot.average = price
                slot.partial, slot.is_new = order.partial, True
            order.partial = None
            held = abs(before) - closed
            slot.average += (price - slot.average) * (opened / (held + opened))
            slot.trade.qty += opened
            slot.trade.entry_value += opened * price
            _share(
                slot.trade, fee * (1 - closing_share if closed else 1), slippage * (1 - closing_share if closed else 1)
            )
        slot.position = after
        return ended

    # --- marks --------------------------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Record the account and hold the two identities of the ledger."""
        row = Mark(self.time, self.equity(), self.cash, self.exposure())
        self.result.marks.append(row)
        self.check()
        return row

    def check(self) -> None:
        """Change of equity = closed + open P&L + cash flows, and the net of a symbol is the sum of its slots."""
        open_pnl = sum(
            slot.position
            * (self.symbols[slot.symbol].mark - slot.average)
            * self.symbols[slot.symbol].instrument.multiplier
            for slot in self.slots
            if slot.position
        )
        change = self.equity() - self.settings.capital
        tolerance = 1e-6 * (1.0 + self.traded)
        explained = self.realised - self.fees + open_pnl + self.received
        assert abs(change - explained) <= tolerance, (change, self.realised, open_pnl)
        for symbol in self.symbols:
            lot = symbol.instrument.lot
            total = on_lots(math.fsum(slot.position for slot in self.slots if slot.symbol == symbol.index), lot)
            assert abs(total - symbol.net) <= 1e-5 * (lot or 1.0), (total, symbol.net)


def _share(trade: Trade, fee: float, slippage: float) -> None:
    trade.fills += 1
    trade.fees += fee
    trade.slippage += slippage


def is_next_exit(order: Order) -> bool:
    """Return whether an order is a market reduction for the next open that the strategy placed."""
    return is_market_reduction(order) and order.kind == OrderKind.MARKET


def is_market_reduction(order: Order) -> bool:
    """Return whether an order is a market reduction that the strategy placed (a triggered stop included)."""
    is_market = order.kind in (OrderKind.MARKET, OrderKind.MARKET_ON_CLOSE)
    return order.reduce_only and is_market and not order.protective
