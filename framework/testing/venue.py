"""A venue in memory: its own ledger, faults on demand, and no sockets.

The author of a broker derives from `MemoryVenue`, implements `broker`, and translates between the venue's wire format
and the ledger's methods; the conformance kit turns the switches.  What is checked is checked against this ledger,
never against what the broker says of itself.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import attrs

from framework.broker import (
    AccountState,
    Bar,
    BookChange,
    Broker,
    Event,
    Execution,
    Holding,
    OrderRequest,
    Quote,
    Trade,
    VenueOrder,
)
from framework.errors import VenueRejected

Answer = TypeVar("Answer")

CHANNEL_OF: dict[type, str] = {Bar: "bar", Quote: "quote", Trade: "trade", BookChange: "book"}
SECOND = 1_000_000_000


class DuplicateOrder(VenueRejected):
    """The venue has an order of this client order id; on the wire it is an error of its own code."""


@attrs.define(eq=False)
class Stream:
    """One client's stream: where messages go, None when it breaks, and the (symbol, channel) that it asked for."""

    deliver: Callable[[Event | None], None]
    wanted: set[tuple[str, str]] = attrs.field(factory=set)


class MemoryVenue(abc.ABC):
    """The ledger of one account at a venue, and switches for what goes wrong.

    cash: at the start; more digits than a float64 holds, so that a float on the way is noticed.

    symbol, lot, price: what the kit trades, in which steps [units], about what price.  page_size: rows of one page of
    fills.  fee_bps: of the value of each fill.

    Switches: is_up; refuses_credentials; refusal: the venue's words against the next order; lost: "request" or
    "answer" of the next change is lost; fills_on_arrival, fills_before_cancel: the next order, or the order of the next
    cancel, is filled completely before its answer.
    """

    symbol: ClassVar[str] = "TEST"
    lot: ClassVar[Decimal] = Decimal("0.1")
    price: ClassVar[Decimal] = Decimal("100.05")
    page_size: ClassVar[int] = 4
    fee_bps: ClassVar[Decimal] = Decimal("2.5")

    def __init__(self, cash: Decimal = Decimal("100000000.123456789012")) -> None:
        self.cash = cash
        self.orders: dict[str, VenueOrder] = {}
        self.requests: list[OrderRequest] = []
        self.executions: list[Execution] = []
        self.held: dict[str, Decimal] = {}
        self.streams: list[Stream] = []
        self.time_ns = 1_700_000_000 * SECOND
        self.is_up = True
        self.refuses_credentials = False
        self.refusal = ""
        self.lost = ""
        self.fills_on_arrival = False
        self.fills_before_cancel = False

    @abc.abstractmethod
    def broker(self, **params: Any) -> Broker:
        """Return a new broker that talks to this venue; another call is another process of the same account."""

    # --- what the author's side of the wire calls ---------------------------------------------------------------------

    def serve(self, act: Callable[[], Answer], *, changes: bool) -> Answer:
        """Return what a request is answered with.

        changes: whether it changes anything; only such requests get lost.  Raises ConnectionRefusedError when the venue
        is down, so that nothing was sent, and ConnectionResetError when the request or its answer was lost.
        """
        if not self.is_up:
            raise ConnectionRefusedError("the venue is down")
        lost = self.lost if changes else ""
        if lost:
            self.lost = ""
        if lost == "request":
            raise ConnectionResetError("the connection was reset")
        answer = act()
        if lost == "answer":
            raise ConnectionResetError("the connection was reset")
        return answer

    def open_stream(self, deliver: Callable[[Event | None], None]) -> Stream:
        """Return the stream of a client that has authenticated; VenueRejected when its credentials are refused."""
        if not self.is_up:
            raise ConnectionRefusedError("the venue is down")
        if self.refuses_credentials:
            raise VenueRejected("not authorized")
        stream = Stream(deliver)
        self.streams.append(stream)
        return stream

    def close_stream(self, stream: Stream) -> None:
        """Forget a client that has left."""
        self.streams = [other for other in self.streams if other is not stream]

    def subscribe(self, stream: Stream, symbols: Sequence[str], channels: Sequence[str]) -> None:
        """Add market data to a stream; VenueRejected for a symbol that is not traded here."""
        for symbol in symbols:
            if symbol != self.symbol:
                raise VenueRejected(f"unknown symbol {symbol}")
        stream.wanted |= {(symbol, channel) for symbol in symbols for channel in channels}

    def place(self, request: OrderRequest) -> VenueOrder:
        """Accept an order; VenueRejected with `refusal`, DuplicateOrder for an id that was here before."""
        self.time_ns += SECOND
        if any(order.client_order_id == request.client_order_id for order in self.orders.values()):
            raise DuplicateOrder("client_order_id must be unique")
        if self.refusal:
            words, self.refusal = self.refusal, ""
            raise VenueRejected(words)
        self.requests.append(request)
        order = self._keep(VenueOrder(
            request.client_order_id, f"v{len(self.orders) + 1}", request.symbol, request.side, request.kind, "accepted",
            request.qty, limit_price=request.limit_price, stop_price=request.stop_price, trail=request.trail,
            time_in_force=request.time_in_force, time_ns=self.time_ns))
        if self.fills_on_arrival:
            self.fills_on_arrival = False
            self.fill(order.client_order_id)
        return self.orders[order.venue_order_id]

    def cancel(self, client_order_id: str) -> VenueOrder:
        """Cancel what is left of a working order; VenueRejected when there is none."""
        self.time_ns += SECOND
        if self.fills_before_cancel:
            self.fills_before_cancel = False
            self.fill(client_order_id)
        order = self.working(client_order_id)
        return self._keep(attrs.evolve(order, status="canceled", time_ns=self.time_ns))

    def replace(self, client_order_id: str, qty: Decimal | None, limit_price: Decimal | None,
                stop_price: Decimal | None) -> VenueOrder:
        """Change a working order, which gets a new venue order id; VenueRejected when there is none."""
        self.time_ns += SECOND
        order = self.working(client_order_id)
        given = {"qty": qty, "limit_price": limit_price, "stop_price": stop_price}
        changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if changed.get("qty", order.qty) <= order.filled:
            raise VenueRejected(f"qty {changed['qty']} is not above the filled {order.filled}")
        self.orders.pop(order.venue_order_id)
        new_id = f"{order.venue_order_id}r"
        return self._keep(attrs.evolve(order, **changed, venue_order_id=new_id, time_ns=self.time_ns))

    def find(self, client_order_id: str) -> VenueOrder | None:
        """Return the order of a client order id, working or not."""
        return next((order for order in self.orders.values() if order.client_order_id == client_order_id), None)

    def working(self, client_order_id: str) -> VenueOrder:
        """Return the working order of a client order id; VenueRejected when there is none."""
        order = self.find(client_order_id)
        if order is None or not order.is_working:
            raise VenueRejected(f"order {client_order_id} is {order.status if order else 'not known'}")
        return order

    def open_orders(self) -> list[VenueOrder]:
        """Return all working orders."""
        return [order for order in self.orders.values() if order.is_working]

    def positions(self) -> list[Holding]:
        """Return what is held."""
        return [Holding(symbol, qty) for symbol, qty in self.held.items() if qty]

    def account(self) -> AccountState:
        """Return the account, positions valued at `price`."""
        equity = self.cash + sum((qty * self.price for qty in self.held.values()), Decimal(0))
        return AccountState(equity, self.cash, max(Decimal(0), equity))

    def page(self, since_ns: int, after: str = "") -> list[Execution]:
        """Return a page of executions at or after a time, oldest first: those that follow the execution id `after`."""
        rows = [row for row in self.executions if row.time_ns >= since_ns]
        ids = [row.execution_id for row in rows]
        start = ids.index(after) + 1 if after in ids else 0
        return rows[start: start + self.page_size]

    # --- what the kit does --------------------------------------------------------------------------------------------

    def fill(self, client_order_id: str, qty: Decimal | None = None, *, at_once: bool = False) -> Execution:
        """Fill a working order, all that is left of it by default, at `price`; at_once: no time passes before it."""
        if not at_once:
            self.time_ns += SECOND
        order = self.working(client_order_id)
        amount = order.qty - order.filled if qty is None else qty
        value = amount * self.price
        fee = value * self.fee_bps / 10_000
        signed = amount if order.side == "buy" else -amount
        self.held[order.symbol] = self.held.get(order.symbol, Decimal(0)) + signed
        self.cash -= signed * self.price + fee
        done = Execution(f"x{len(self.executions) + 1}", client_order_id, order.venue_order_id, order.symbol,
                         order.side, amount, self.price, self.time_ns, fee)
        self.executions.append(done)
        filled = order.filled + amount
        self.send(done)
        self._keep(attrs.evolve(order, status="filled" if filled == order.qty else "partially_filled", filled=filled,
                                average_price=self.price, time_ns=self.time_ns))
        return done

    def send(self, event: Event) -> None:
        """Send an event to every client that listens to it."""
        channel = CHANNEL_OF.get(type(event))
        for stream in list(self.streams):
            if channel is None or (getattr(event, "symbol", ""), channel) in stream.wanted:
                stream.deliver(event)

    def drop(self) -> None:
        """Break every stream; the venue stays up, and what happens from now on is not told to those clients."""
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.deliver(None)

    def _keep(self, order: VenueOrder) -> VenueOrder:
        self.orders[order.venue_order_id] = order
        self.send(order)
        return order
