"""The contract of a broker: what a trading session needs of a venue.

A broker is an async class that a plug-in registers with `register_brokers`.  Keep its wire protocol in a module that
does no I/O, so that it can be tested without sockets, and let this class be the thin shell around it.

Three answers must never be confused, because the session reacts differently to each:

- `VenueUnavailable`: nothing was sent; the session may try again.
- `VenueRejected`: the venue said no; the order is dead.
- `OutcomeUnknown`: the request left and its answer was lost.  The order is not failed: its risk stays reserved until
  the venue answers by client order id, and nothing is sent twice.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import attrs

from framework.errors import ConfigError


@attrs.frozen
class Capabilities:
    """What a venue can do; the session refuses at start-up what it cannot.

    order_kinds: of "market", "limit", "stop".  time_in_force: of "gtc", "day", "ioc", "fok".
    """

    order_kinds: frozenset[str] = frozenset({"market", "limit"})
    time_in_force: frozenset[str] = frozenset({"gtc"})
    can_replace: bool = False
    can_short: bool = False
    is_paper: bool = False


@attrs.frozen
class OrderRequest:
    """One order on its way out.

    client_order_id: unique for ever, durable in the journal before the request leaves.
    side: "buy" or "sell".  kind: "market", "limit" or "stop".  qty: units of the instrument, > 0.
    price: the limit or the stop price; None for a market order.
    """

    client_order_id: str
    symbol: str
    side: str
    kind: str
    qty: float
    price: float | None = None
    time_in_force: str = "gtc"
    reduce_only: bool = False

    def __attrs_post_init__(self) -> None:
        if self.side not in ("buy", "sell"):
            raise ConfigError(f"order {self.client_order_id!r}: side is {self.side!r}; it must be 'buy' or 'sell'")
        if not 0 < self.qty < float("inf"):
            raise ConfigError(f"order {self.client_order_id!r}: qty is {self.qty!r}; it must be a finite number > 0")
        if (self.price is None) != (self.kind == "market"):
            raise ConfigError(
                f"order {self.client_order_id!r}: price is {self.price!r} for kind {self.kind!r}; a market order has "
                "none and every other order has one"
            )


@attrs.frozen
class Event:
    """One thing that a venue said: its kind ("order", "fill", "bar", ...), the venue's time in ns UTC, the message."""

    kind: str
    time_ns: int
    payload: Mapping[str, Any]


class Broker(abc.ABC):
    """A venue.  Every method but `events` returns when the venue has answered, or raises one of the three errors."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities] = Capabilities()

    @abc.abstractmethod
    async def connect(self) -> None:
        """Open the connection and authenticate; the answer to the authentication is checked."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the connection; working orders keep working at the venue."""

    @abc.abstractmethod
    async def submit(self, order: OrderRequest) -> str:
        """Send an order once and return the venue's order id."""

    @abc.abstractmethod
    async def cancel(self, client_order_id: str) -> None:
        """Ask to cancel; the fill that crossed the request on its way is reported by `events`."""

    @abc.abstractmethod
    async def replace(self, client_order_id: str, qty: float | None = None, price: float | None = None) -> str:
        """Change a working order and return the venue's order id, which may be new."""

    @abc.abstractmethod
    async def open_orders(self) -> Sequence[Mapping[str, Any]]:
        """Return all working orders, foreign ones included."""

    @abc.abstractmethod
    async def positions(self) -> Mapping[str, float]:
        """Return the signed quantity held of each symbol."""

    @abc.abstractmethod
    async def account(self) -> Mapping[str, float]:
        """Return at least `equity`, `cash` and `buying_power`, in the account currency."""

    @abc.abstractmethod
    async def fills(self, since_ns: int) -> Sequence[Mapping[str, Any]]:
        """Return every execution since a time in ns UTC, oldest first, each with the venue's execution id."""

    @abc.abstractmethod
    def events(self) -> AsyncIterator[Event]:
        """Yield what the venue says, in its order, until `close`."""

    @abc.abstractmethod
    async def subscribe(self, symbols: Sequence[str], channels: Sequence[str]) -> None:
        """Ask for market data: channels are of "bar", "quote", "trade", "book"."""
