"""One broker at its in-memory venue: what the checks of a broker ask, expect and hear."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from framework.broker import (
    KINDS,
    Broker,
    Capabilities,
    ConnectionChange,
    Event,
    Execution,
    OrderRequest,
    VenueOrder,
)
from framework.errors import FrameworkError, OutcomeUnknown, VenueRejected, VenueUnavailable
from framework.testing.report import Failed
from framework.testing.venue import MemoryVenue

PATIENCE_S = 5.0
"""How long anything may take that a venue in memory answers at once."""

VERBS = ("connect", "close", "submit", "cancel", "replace", "find_order", "open_orders", "positions", "account",
         "fills", "subscribe")

ANSWERS = {VenueUnavailable: "nothing was sent", VenueRejected: "the venue said no",
           OutcomeUnknown: "the answer was lost, or the order is there already"}


class Bounded:
    """A broker whose verbs end: with an answer, an error, or Failed when there is none in time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._broker, name)
        return (lambda *given, **named: within(name, value(*given, **named))) if name in VERBS else value

    def __repr__(self) -> str:
        return repr(self._broker)


class Desk:
    """A broker with its venue, and every event since it connected; use it as `async with`."""

    def __init__(self, venue: MemoryVenue, broker: Broker) -> None:
        self.venue, self.broker = venue, Bounded(broker)
        self.heard: list[Event] = []
        self.fault: BaseException | None = None
        self._listening: asyncio.Task[None] | None = None
        self._number = 0

    async def __aenter__(self) -> Desk:
        await self.connect()
        return self

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self.broker.close()
        finally:
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)

    async def connect(self) -> None:
        """Connect the broker and listen to its events from then on."""
        await self.broker.connect()
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for event in self.broker.events():
                self.heard.append(event)
        except Exception as error:
            self.fault = error

    @property
    def is_listening(self) -> bool:
        """Whether `events` has not ended."""
        return self._listening is not None and not self._listening.done()

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until something was heard; Failed with `what` and the last events when it is not."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not condition():
            if self.fault is not None:
                raise Failed(f"events() raised {type(self.fault).__name__}: {self.fault}") from self.fault
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"{what}; heard: {self.heard[-3:] or 'nothing'}")
            await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """Let what is on its way arrive: a request and its answer later, every earlier event has been heard."""
        await self.broker.open_orders()
        for _ in range(20):
            await asyncio.sleep(0)

    def executions(self, client_order_id: str) -> list[Execution]:
        """Return the executions heard of an order, repetitions included."""
        return [event for event in self.heard
                if isinstance(event, Execution) and event.client_order_id == client_order_id]

    def updates(self, client_order_id: str) -> list[VenueOrder]:
        """Return the changes heard of an order."""
        return [event for event in self.heard
                if isinstance(event, VenueOrder) and event.client_order_id == client_order_id]

    async def until_ended(self) -> None:
        """Wait for the end of `events`, which tells a ConnectionChange last."""
        await self.until("the stream broke, and events() did not end", lambda: not self.is_listening)
        if not self.heard or not isinstance(self.heard[-1], ConnectionChange):
            raise Failed(f"the stream broke, and the last event is {self.heard[-1:]}; it must be a ConnectionChange")

    def order(self, *, lots: int = 10, side: str = "buy", **changes: Any) -> OrderRequest:
        """Return the next order, one that the broker can send: a limit if there is such."""
        self._number += 1
        able = self.broker.capabilities
        kind = changes.pop("kind", None) or min(able.order_kinds, key=_limit_first)
        return request(able, self.venue, f"kit-{self._number}", kind, lots=lots, side=side, **changes)

    async def placed(self, **changes: Any) -> OrderRequest:
        """Return an order that the venue has accepted."""
        order = self.order(**changes)
        await self.broker.submit(order)
        return order


def _limit_first(kind: str) -> tuple[bool, str]:
    return kind != "limit", kind


def request(capabilities: Capabilities, venue: MemoryVenue, client_order_id: str, kind: str, *, lots: int = 10,
            side: str = "buy", **changes: Any) -> OrderRequest:
    """Return an order of a kind, with the prices that it needs and a time in force that the venue takes."""
    prices = {name: venue.price if name != "trail" else venue.price / 100 for name in KINDS[kind]}
    times = capabilities.times_in_force
    in_force = changes.pop("time_in_force", "gtc" if "gtc" in times else min(times, default="gtc"))
    if in_force == "gtd":
        changes.setdefault("expires_ns", venue.time_ns + 86_400_000_000_000)
    return OrderRequest(client_order_id, venue.symbol, side, kind, venue.lot * lots, time_in_force=in_force,
                        **{**prices, **changes})


def apart(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return what a coroutine returns, run in a thread and loop of its own: a notebook's thread has a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(main())).result()


async def within(what: str, answer: Awaitable[Any]) -> Any:
    """Return an answer; Failed when it does not come."""
    try:
        return await asyncio.wait_for(answer, PATIENCE_S)
    except TimeoutError:
        raise Failed(f"{what} did not answer within {PATIENCE_S:g} s") from None


async def raises(error: type[FrameworkError], what: str, answer: Awaitable[Any]) -> Any:
    """Return the error that a request must end in; Failed says what it did instead, and what the right one means."""
    rule = f"it must raise {error.__name__}" + (f": {ANSWERS[error]}" if error in ANSWERS else "")
    try:
        returned = await within(what, answer)
    except error as raised:
        return raised
    except Failed:
        raise
    except Exception as other:
        raise Failed(f"{what} raised {type(other).__name__}: {other}; {rule}") from other
    raise Failed(f"{what} returned {returned!r}; {rule}")


def same(what: str, found: Any, expected: Any) -> None:
    """Failed when what was found is not what was expected."""
    if found != expected:
        raise Failed(f"{what}: {found!r}; it must be {expected!r}")


@contextmanager
def logged(texts: list[str]) -> Iterator[None]:
    """Append everything that is logged meanwhile, of all levels."""

    class Catch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(self.format(record))

    root, handler = logging.getLogger(), Catch()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextmanager
def set_variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Hold these environment variables, None for one that is not set, inside the `with`."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _put(values)
        yield
    finally:
        _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
