"""The contract of a broker: what a trading session needs of a venue.

A broker is an async class that a plug-in registers with `register_brokers`.  Keep its wire protocol in a module that
does no I/O, so that it can be tested without sockets, and let this class be the thin shell around it.

Three answers to a request must never be confused, because the session reacts differently to each:

- `VenueUnavailable`: nothing was sent; the session may try again, with a bound.
- `VenueRejected`: the venue said no; the request had no effect and never will.
- `OutcomeUnknown`: the request may have left and its answer was lost, or the venue says that it knows this client order
  id already.  The order is not failed: its risk stays reserved until `find_order` answers, and nothing is sent twice.

A question that gets no answer is VenueUnavailable as well: it changes nothing and may be asked again.

A broker sends a request that changes something exactly once: it never repeats one by itself.  It does not reconnect by
itself either.  When the connection breaks, `events` yields a `ConnectionChange` and ends; the session waits, calls
`connect` again, asks for orders and fills, and goes on.  So there is one place that waits, and it is not a plug-in.

Quantities, prices of orders and money are `Decimal`, as exact as the venue's texts; market data is float64.  Times are
int64 nanoseconds UTC.  `framework.testing` has the checks that every broker must pass.
"""

from __future__ import annotations

import abc
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import attrs

from framework.errors import ConfigError, did_you_mean
from framework.parameters import Param, Plugin

if TYPE_CHECKING:
    from framework.testing.venue import MemoryVenue

__all__ = ["CHANNELS", "KINDS", "SIDES", "STATUSES", "TERMINAL", "TIMES_IN_FORCE", "AccountState", "Bar",
           "BookChange", "Broker", "Capabilities", "ConnectionChange", "Event", "Execution", "Holding", "OrderRequest",
           "Param", "Quote", "Trade", "VenueOrder", "exact"]

SIDES = ("buy", "sell")

KINDS = {"market": (), "limit": ("limit_price",), "stop": ("stop_price",), "stop_limit": ("limit_price", "stop_price"),
         "trailing_stop": ("trail",), "market_on_close": ()}
"""Every kind of order with the prices that it has; it has no other."""

TIMES_IN_FORCE = ("gtc", "day", "gtd", "ioc", "fok")

STATUSES = ("accepted", "partially_filled", "pending_cancel", "filled", "canceled", "expired", "rejected", "unknown")
"""What a venue says of an order; "unknown" is a word that the plug-in does not know, never a guess."""

TERMINAL = frozenset({"filled", "canceled", "expired", "rejected"})
"""The statuses that an order never leaves."""

CHANNELS = ("bar", "quote", "trade", "book")


def exact(value: Any) -> Decimal:
    """Return a finite number as the Decimal that its text says; ConfigError for anything else.

    >>> exact(0.1) + exact("0.2")
    Decimal('0.3')
    """
    if isinstance(value, Decimal | int | float | str) and not isinstance(value, bool):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise ConfigError(f"{value!r} is no finite number; give a Decimal, a whole number, a float or a text such as '0.1'")


def _exact_field(default: Any = attrs.NOTHING, *, optional: bool = False) -> Any:
    """Return an attrs field that holds a Decimal, or None where it is optional."""

    def convert(value: Any, field: attrs.Attribute[Any]) -> Decimal | None:
        if value is None and optional:
            return None
        try:
            return exact(value)
        except ConfigError as error:
            raise ConfigError(f"{field.name}: {error}") from None

    return attrs.field(default=default, converter=attrs.Converter(convert, takes_field=True))


def _one_of(words: Any) -> Any:
    """Return an attrs validator for one of a few words."""

    def check(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value not in words:
            named = f"{type(instance).__name__}: {field.name} is {value!r}; it must be"
            raise ConfigError(f"{named} {' or '.join(map(repr, words))}{did_you_mean(str(value), words)}")

    return check


def _some_of(words: Any) -> Any:
    """Return an attrs validator for a set of some of these words."""
    one = _one_of(words)

    def check(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        for word in sorted(value):
            one(instance, field, word)

    return check


def _as_set(words: Iterable[str]) -> frozenset[str]:
    return frozenset(words)


@attrs.frozen
class OrderRequest:
    """One order on its way out; ConfigError for one that makes no sense.

    client_order_id: unique for ever, durable in the journal before the request leaves.
    qty: units of the instrument, > 0.  limit_price, stop_price, trail: currency per unit, > 0, as `KINDS` says;
    trail is the distance of a trailing stop.  expires_ns: of "gtd" orders only, ns UTC.
    """

    client_order_id: str
    symbol: str
    side: str = attrs.field(validator=_one_of(SIDES))
    kind: str = attrs.field(validator=_one_of(KINDS))
    qty: Decimal = _exact_field()
    limit_price: Decimal | None = _exact_field(None, optional=True)
    stop_price: Decimal | None = _exact_field(None, optional=True)
    trail: Decimal | None = _exact_field(None, optional=True)
    time_in_force: str = attrs.field(default="gtc", validator=_one_of(TIMES_IN_FORCE))
    expires_ns: int | None = None
    reduce_only: bool = False

    def __attrs_post_init__(self) -> None:
        what = f"order {self.client_order_id!r}"
        if not self.client_order_id or not self.symbol:
            raise ConfigError(f"{what} of {self.symbol!r}: an order has a client_order_id and a symbol")
        for name in ("qty", "limit_price", "stop_price", "trail"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{what}: {name} is {value}; it must be > 0")
        given = {name for name in ("limit_price", "stop_price", "trail") if getattr(self, name) is not None}
        if given != set(KINDS[self.kind]):
            raise ConfigError(f"{what}: a {self.kind} order has {', '.join(KINDS[self.kind]) or 'no price'}; given: "
                              f"{', '.join(sorted(given)) or 'none'}")
        if (self.expires_ns is not None) != (self.time_in_force == "gtd"):
            raise ConfigError(f"{what}: expires_ns is {self.expires_ns!r} with time_in_force {self.time_in_force!r}; a "
                              "gtd order has it and no other")


@attrs.frozen
class Capabilities:
    """What a venue can do; the session refuses at start-up what it cannot.

    order_kinds, times_in_force, channels: of `KINDS`, `TIMES_IN_FORCE` and `CHANNELS`.  can_replace: a working order's
    quantity and prices can be changed.  longest_client_order_id: characters.
    """

    order_kinds: frozenset[str] = attrs.field(
        default=frozenset({"market", "limit"}), converter=_as_set, validator=_some_of(KINDS))
    times_in_force: frozenset[str] = attrs.field(
        default=frozenset({"gtc"}), converter=_as_set, validator=_some_of(TIMES_IN_FORCE))
    channels: frozenset[str] = attrs.field(default=frozenset(), converter=_as_set, validator=_some_of(CHANNELS))
    can_replace: bool = False
    can_short: bool = False
    can_reduce_only: bool = False
    is_paper: bool = False
    longest_client_order_id: int = 36

    def lacks(self, order: OrderRequest) -> str:
        """Return what this venue cannot do with an order, "" when it can take it.

        >>> Capabilities().lacks(OrderRequest("a", "AAPL", "sell", "stop", 1, stop_price=9))
        'stop orders; it takes limit, market'
        """
        if order.kind not in self.order_kinds:
            return f"{order.kind} orders; it takes {', '.join(sorted(self.order_kinds))}"
        if order.time_in_force not in self.times_in_force:
            return f"time_in_force {order.time_in_force}; it takes {', '.join(sorted(self.times_in_force))}"
        if order.reduce_only and not self.can_reduce_only:
            return "reduce_only orders"
        if len(order.client_order_id) > self.longest_client_order_id:
            return (f"a client_order_id of {len(order.client_order_id)} characters; it takes "
                    f"{self.longest_client_order_id}")
        return ""


@attrs.frozen
class VenueOrder:
    """An order as the venue sees it, at a time in ns UTC: an answer, and an event when it changes.

    client_order_id: "" for a foreign order that has none.  venue_order_id: may change when the order is replaced.
    filled: units so far, never falling.  average_price: of what is filled; None before.  reason: the venue's words.
    """

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: str = attrs.field(validator=_one_of(SIDES))
    kind: str = attrs.field(validator=_one_of(KINDS))
    status: str = attrs.field(validator=_one_of(STATUSES))
    qty: Decimal = _exact_field()
    filled: Decimal = _exact_field(Decimal(0))
    average_price: Decimal | None = _exact_field(None, optional=True)
    limit_price: Decimal | None = _exact_field(None, optional=True)
    stop_price: Decimal | None = _exact_field(None, optional=True)
    trail: Decimal | None = _exact_field(None, optional=True)
    time_in_force: str = attrs.field(default="gtc", validator=_one_of(TIMES_IN_FORCE))
    time_ns: int = 0
    reason: str = ""

    @property
    def is_working(self) -> bool:
        """Whether the order can still fill; an unknown status may."""
        return self.status not in TERMINAL


@attrs.frozen
class Execution:
    """One fill, at a time in ns UTC: an event, and a row of `fills`.

    execution_id: the venue's, unique for ever; the same in the event and in `fills`, and in every repetition of either.
    client_order_id: "" only for a foreign order.  qty: units, > 0.  price: currency per unit.
    fee: in `fee_asset`, >= 0 unless it is a rebate; fee_asset "" means the account currency.
    """

    execution_id: str
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: str = attrs.field(validator=_one_of(SIDES))
    qty: Decimal = _exact_field()
    price: Decimal = _exact_field()
    time_ns: int = 0
    fee: Decimal = _exact_field(Decimal(0))
    fee_asset: str = ""
    is_maker: bool = False


@attrs.frozen
class Holding:
    """A position as the venue sees it: the signed quantity and, where the venue says it, the average entry price."""

    symbol: str
    qty: Decimal = _exact_field()
    average_price: Decimal | None = _exact_field(None, optional=True)


@attrs.frozen
class AccountState:
    """The account as the venue sees it, in its currency."""

    equity: Decimal = _exact_field()
    cash: Decimal = _exact_field()
    buying_power: Decimal = _exact_field()
    currency: str = "USD"


@attrs.frozen
class ConnectionChange:
    """The connection broke at a time in ns UTC; the last event of its `events`."""

    time_ns: int
    reason: str = ""


@attrs.frozen
class Bar:
    """A closed bar; times in ns UTC, volume in units."""

    symbol: str
    open_time_ns: int
    time_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@attrs.frozen
class Quote:
    """The best bid and ask; sizes in units."""

    symbol: str
    time_ns: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


@attrs.frozen
class Trade:
    """One trade in the market; size in units."""

    symbol: str
    time_ns: int
    price: float
    size: float


@attrs.frozen
class BookChange:
    """Levels (price, size) of an order book that have changed; size 0 removes one.

    is_snapshot: these levels are the whole book.  first, last: the venue's sequence numbers, 0 where it has none.
    """

    symbol: str
    time_ns: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    is_snapshot: bool = False
    first: int = 0
    last: int = 0


Event: TypeAlias = VenueOrder | Execution | ConnectionChange | Bar | Quote | Trade | BookChange
"""What a venue says without being asked, each with its `time_ns`."""


class Broker(Plugin, abc.ABC):
    """A venue.  Every verb returns when the venue has answered, or raises one of the three errors.

    Parameters are `Param` attributes, given as keys of ``[broker]``.  Secrets are not parameters: `secrets` names the
    environment variables that hold them, and `secret` reads one, when it is needed.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    secrets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def memory_venue(cls) -> MemoryVenue | None:
        """Return a new in-memory stand-in of the venue, for the conformance kit; None when there is none."""
        return None

    def secret(self, name: str) -> str:
        """Return one of the declared secrets; ConfigError names the environment variable when it is not set."""
        if name not in self.secrets:
            near = did_you_mean(name, self.secrets)
            raise ConfigError(f"broker {self.name}: {name!r} is not one of its secrets{near}")
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"broker {self.name} needs the environment variable {name}; set it to your credential")
        return value

    def __repr__(self) -> str:
        """Return name and parameters, and nothing else that an instance holds."""
        return f"<broker {self.name} {self.values()}>"

    @abc.abstractmethod
    async def connect(self) -> None:
        """Open the connection, authenticate, and ask again for what was subscribed before it broke.

        VenueRejected when the answer to the authentication is no; VenueUnavailable when there is none.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the connection, ending `events`; working orders keep working at the venue.

        Any verb after it raises VenueUnavailable, until `connect`.
        """

    @abc.abstractmethod
    async def submit(self, order: OrderRequest) -> str:
        """Send an order once and return the venue's order id.

        VenueRejected also for what the capabilities lack, before anything is sent.  OutcomeUnknown, with the client
        order id, also when the venue says that it has this id already: the order may be alive.
        """

    @abc.abstractmethod
    async def cancel(self, client_order_id: str) -> None:
        """Ask to cancel; `events` says what became of it, and a fill that crossed the request comes first.

        VenueRejected when the venue has no such working order; the order may have filled.
        """

    @abc.abstractmethod
    async def replace(self, client_order_id: str, *, qty: Decimal | None = None, limit_price: Decimal | None = None,
                      stop_price: Decimal | None = None) -> str:
        """Change a working order and return the venue's order id, which may be new; None leaves a value as it is.

        qty is the whole order's, including what is filled.  The client order id goes on naming it.  VenueRejected when
        the order does not work any more, or when the venue cannot replace.
        """

    @abc.abstractmethod
    async def find_order(self, client_order_id: str) -> VenueOrder | None:
        """Return an order, working or not, by our id; None when the venue says that it has none of that id."""

    @abc.abstractmethod
    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return all working orders, foreign ones included."""

    @abc.abstractmethod
    async def positions(self) -> Sequence[Holding]:
        """Return what is held; a symbol that is not there is flat."""

    @abc.abstractmethod
    async def account(self) -> AccountState:
        """Return equity, cash and buying power."""

    @abc.abstractmethod
    async def fills(self, since_ns: int) -> Sequence[Execution]:
        """Return every execution at or after a time in ns UTC, each once, oldest first, over all pages."""

    @abc.abstractmethod
    def events(self) -> AsyncIterator[Event]:
        """Yield what the venue says from the last `connect` on, in its order; end after `close` or ConnectionChange.

        Nothing between `connect` and the first event asked for is lost.  An execution may be repeated, with its id.
        After ConnectionChange every verb raises VenueUnavailable, until `connect`: no order leaves unwatched.
        """

    @abc.abstractmethod
    async def subscribe(self, symbols: Sequence[str], channels: Sequence[str]) -> None:
        """Add market data of these symbols: channels are of the capabilities'.  It lasts until `close`.

        VenueRejected when the venue does not confirm it.
        """
