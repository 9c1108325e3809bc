"""The checks of a broker: at its own in-memory venue, with everything that goes wrong between the two.

The venue's ledger is what is true; see `framework.testing.venue`.  Each check has a new venue and a new broker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from framework.broker import KINDS, TIMES_IN_FORCE, Bar, Broker, Capabilities, Execution, OrderRequest, VenueOrder
from framework.errors import ConfigError, FrameworkError, OutcomeUnknown, VenueRejected, VenueUnavailable
from framework.testing.contract import check_contract, check_refusals
from framework.testing.desk import VERBS, Desk, apart, logged, raises, request, same, set_variables
from framework.testing.report import Failed, Probe
from framework.testing.venue import MemoryVenue

CANARY = "canary-b3f1c2d4-secret"
AT_DESK = Callable[[Desk], Coroutine[Any, Any, str]]


@attrs.define(eq=False)
class BrokerChecks:
    """All checks of one broker class; params: of the instances that run."""

    cls: type[Broker]
    params: Mapping[str, Any]

    essential = ("contract", "has an in-memory venue", "connects")

    def checks(self) -> Iterator[tuple[str, Probe]]:
        """Yield name and function of every check, in order."""
        yield "contract", self.contract
        yield "bad parameters are refused", lambda: check_refusals(self.cls)
        yield "has an in-memory venue", self.has_venue
        yield "connects", self.at_desk(self.connects)
        for name, check in (
            ("an order arrives as it was asked", self.arrives),
            ("what it cannot do is refused before it is sent", self.incapable),
            ("the venue's no is VenueRejected", self.rejected),
            ("a client order id is used once", self.duplicate),
            ("a lost answer is OutcomeUnknown and nothing is sent twice", self.lost_answer),
            ("a lost request is OutcomeUnknown too", self.lost_request),
            ("a venue that is down is VenueUnavailable", self.down),
            ("partial fills are told once each", self.partial_fills),
            ("a fill before the answer knows its order", self.fill_first),
            ("a repeated execution keeps its id", self.repeated),
            ("a cancel leaves what has filled", self.cancels),
            ("a cancel that crosses a fill", self.cancel_race),
            ("a replaced order keeps its name", self.replaces),
            ("a broken stream ends, and connect goes on", self.reconnects),
            ("another process finds everything", self.restarts),
            ("fills come from all pages, each once", self.pages),
            ("account and positions are the venue's to the last digit", self.books),
            ("market data lasts over a reconnect", self.data),
            ("close leaves orders working", self.closes),
        ):
            yield name, self.at_desk(check)
        yield "secrets come from the environment and stay there", self.secrets

    # --- the ground ---------------------------------------------------------------------------------------------------

    def venue(self) -> MemoryVenue:
        """Return a new venue."""
        venue = self.cls.memory_venue()
        if not isinstance(venue, MemoryVenue):
            raise Failed(f"memory_venue() returned {venue!r}; return a framework.testing.MemoryVenue that speaks the "
                         "venue's protocol, so that the rest can be checked")
        return venue

    def at_desk(self, check: AT_DESK) -> Probe:
        """Return a check that runs with a connected broker of its own, credentials set."""

        async def run() -> str:
            venue = self.venue()
            async with Desk(venue, venue.broker(**self.params)) as desk:
                return await check(desk)

        return lambda: self.run(run)

    def run(self, main: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Run a check to its end, with a credential in every declared variable."""
        with set_variables(dict.fromkeys(self.cls.secrets, CANARY)):
            return str(apart(main))

    def contract(self) -> str:
        """Name, description, parameters, verbs that can be awaited, capabilities that exist."""
        missing: frozenset[str] = getattr(self.cls, "__abstractmethods__", frozenset())
        if missing:
            raise Failed(f"it does not implement {', '.join(sorted(missing))}")
        for verb in VERBS:
            if not inspect.iscoroutinefunction(getattr(self.cls, verb)):
                raise Failed(f"{verb} is not async; write `async def {verb}`")
        if not isinstance(self.cls.capabilities, Capabilities):
            raise Failed(f"capabilities = {self.cls.capabilities!r}; it must be a framework.broker.Capabilities")
        if not self.cls.capabilities.order_kinds or not self.cls.capabilities.times_in_force:
            raise Failed("capabilities name no order_kinds or no times_in_force: nothing could be sent")
        if isinstance(self.cls.secrets, str) or not all(isinstance(name, str) and name for name in self.cls.secrets):
            raise Failed(f"secrets = {self.cls.secrets!r}; it must be a tuple of names of environment variables")
        return check_contract(self.cls, needs_high=False)

    def has_venue(self) -> str:
        """There is a venue, it makes brokers of this class, and each call makes another."""
        venue = self.venue()
        one, other = venue.broker(**self.params), venue.broker(**self.params)
        if type(one) is not self.cls or one is other or self.venue() is venue:
            raise Failed(f"memory_venue().broker() returned {one!r}; it must be a new {self.cls.__name__} at each "
                         "call, and memory_venue() a new venue")
        return type(venue).__name__

    # --- requests -----------------------------------------------------------------------------------------------------

    async def connects(self, desk: Desk) -> str:
        """A refused credential and a venue that is down are told apart; nothing works before."""
        stranger = desk.venue.broker(**self.params)
        await raises(VenueUnavailable, "submit before connect", stranger.submit(desk.order()))
        desk.venue.refuses_credentials = True
        await raises(VenueRejected, "connect with a refused credential", stranger.connect())
        desk.venue.refuses_credentials, desk.venue.is_up = False, False
        await raises(VenueUnavailable, "connect to a venue that is down", stranger.connect())
        desk.venue.is_up = True
        same("orders at the venue", desk.venue.requests, [])
        return ""

    async def arrives(self, desk: Desk) -> str:
        """Every kind, side and time in force of the capabilities, digit by digit."""
        able = desk.broker.capabilities
        asked: list[OrderRequest] = []
        for kind in sorted(able.order_kinds):
            for in_force in sorted(able.times_in_force):
                for side in ("buy", "sell"):
                    asked.append(await desk.placed(kind=kind, time_in_force=in_force, side=side, lots=3))
        if able.can_reduce_only:
            asked.append(await desk.placed(reduce_only=True))
        for sent, arrived in zip(asked, desk.venue.requests, strict=False):
            same("the order at the venue", arrived, sent)
        same("orders at the venue", len(desk.venue.requests), len(asked))
        for sent in asked:
            truth = desk.venue.find(sent.client_order_id)
            same(f"find_order({sent.client_order_id!r})", await desk.broker.find_order(sent.client_order_id), truth)
        truths = sorted(desk.venue.open_orders(), key=_id)
        same("open_orders()", sorted(await desk.broker.open_orders(), key=_id), truths)
        same("find_order of an id that nobody used", await desk.broker.find_order("nobody"), None)
        return f"{len(asked)} orders"

    async def incapable(self, desk: Desk) -> str:
        """Each kind and time in force that the capabilities lack, and an id that is too long."""
        able = desk.broker.capabilities
        kind = min(able.order_kinds)
        orders = [request(able, desk.venue, "kit", lacking) for lacking in KINDS if lacking not in able.order_kinds]
        orders += [request(able, desk.venue, "kit", kind, time_in_force=lacking)
                   for lacking in TIMES_IN_FORCE if lacking not in able.times_in_force]
        orders.append(request(able, desk.venue, "k" * (able.longest_client_order_id + 1), kind))
        if not able.can_reduce_only:
            orders.append(request(able, desk.venue, "kit", kind, reduce_only=True))
        for order in orders:
            await raises(VenueRejected, f"submit of {able.lacks(order)}", desk.broker.submit(order))
        same("orders at the venue", desk.venue.requests, [])
        return f"{len(orders)} orders"

    async def rejected(self, desk: Desk) -> str:
        """The venue's words are in the error, and no order is left behind."""
        desk.venue.refusal = "insufficient buying power"
        order = desk.order()
        error = await raises(VenueRejected, "submit of a refused order", desk.broker.submit(order))
        if "insufficient buying power" not in str(error):
            raise Failed(f"the error says {str(error)!r}; it must carry the venue's words, 'insufficient buying power'")
        await raises(VenueRejected, "cancel of an order that is not there", desk.broker.cancel("nobody"))
        same("orders at the venue", (desk.venue.requests, list(await desk.broker.open_orders())), ([], []))
        return str(error)

    async def duplicate(self, desk: Desk) -> str:
        """The second order of an id is not sent or not taken; it is no rejection: the first one lives."""
        order = await desk.placed()
        again = await raises(OutcomeUnknown, "submit of a used client_order_id", desk.broker.submit(order))
        same("the error's client_order_id", again.client_order_id, order.client_order_id)
        desk.venue.fill(order.client_order_id)
        await raises(OutcomeUnknown, "submit of the id of a filled order", desk.broker.submit(order))
        same("orders at the venue", desk.venue.requests, [order])
        return ""

    async def lost_answer(self, desk: Desk) -> str:
        """The order is at the venue, once; asking by client order id finds it.  For cancel and replace too."""
        order = desk.order()
        desk.venue.lost = "answer"
        error = await raises(OutcomeUnknown, "submit with a lost answer", desk.broker.submit(order))
        same("the error's client_order_id", error.client_order_id, order.client_order_id)
        await desk.settle()
        same("orders at the venue", desk.venue.requests, [order])
        found = await desk.broker.find_order(order.client_order_id)
        same("find_order after it", found, desk.venue.find(order.client_order_id))
        if desk.broker.capabilities.can_replace:
            desk.venue.lost = "answer"
            change = desk.broker.replace(order.client_order_id, qty=order.qty * 2)
            await raises(OutcomeUnknown, "replace with a lost answer", change)
            found = await desk.broker.find_order(order.client_order_id)
            same("qty after it", found and found.qty, order.qty * 2)
        desk.venue.lost = "answer"
        await raises(OutcomeUnknown, "cancel with a lost answer", desk.broker.cancel(order.client_order_id))
        found = await desk.broker.find_order(order.client_order_id)
        same("status after it", found and found.status, "canceled")
        return ""

    async def lost_request(self, desk: Desk) -> str:
        """A broker cannot tell it from a lost answer; the venue knows nothing, and is not asked again by itself."""
        order = desk.order()
        desk.venue.lost = "request"
        await raises(OutcomeUnknown, "submit with a lost request", desk.broker.submit(order))
        await desk.settle()
        same("orders at the venue", desk.venue.requests, [])
        same("find_order after it", await desk.broker.find_order(order.client_order_id), None)
        return ""

    async def down(self, desk: Desk) -> str:
        """Nothing is sent, now or later; every question says so; then it goes on."""
        desk.venue.is_up = False
        broker, order = desk.broker, desk.order()
        questions: Mapping[str, tuple[Any, ...]] = {
            "submit": (order,), "cancel": ("kit",), "find_order": ("kit",), "open_orders": (), "positions": (),
            "account": (), "fills": (0,)}
        for what, arguments in questions.items():
            await raises(VenueUnavailable, f"{what} at a venue that is down", getattr(broker, what)(*arguments))
        desk.venue.is_up = True
        await desk.settle()
        same("orders at the venue", desk.venue.requests, [])
        await broker.submit(order)
        same("orders at the venue", desk.venue.requests, [order])
        return ""

    # --- fills --------------------------------------------------------------------------------------------------------

    async def partial_fills(self, desk: Desk) -> str:
        """Three parts: executions by event and by `fills` are the venue's; quantities never fall; it ends as filled."""
        order = await desk.placed(lots=10)
        for lots in (3, 6, None):
            desk.venue.fill(order.client_order_id, None if lots is None else desk.venue.lot * lots)
        updates = desk.updates
        await desk.until("no update said that the order is filled", lambda: any(
            update.status == "filled" for update in updates(order.client_order_id)))
        await desk.settle()
        same("executions by event", desk.executions(order.client_order_id), desk.venue.executions)
        same("executions by fills(0)", list(await desk.broker.fills(0)), desk.venue.executions)
        told = [update.filled for update in updates(order.client_order_id)]
        same("filled quantities told", told, sorted(told))
        same("the last update", updates(order.client_order_id)[-1], desk.venue.find(order.client_order_id))
        return f"{len(desk.venue.executions)} executions"

    async def fill_first(self, desk: Desk) -> str:
        """The execution is told before submit returns, and carries our id."""
        desk.venue.fills_on_arrival = True
        order = await desk.placed()
        await desk.until("no execution of this order came", lambda: bool(desk.executions(order.client_order_id)))
        await desk.settle()
        same("executions by event", desk.executions(order.client_order_id), desk.venue.executions)
        return ""

    async def repeated(self, desk: Desk) -> str:
        """The session drops a repetition by its id: it must be the same one."""
        order = await desk.placed()
        desk.venue.send(desk.venue.fill(order.client_order_id))
        await desk.until("no execution came", lambda: bool(desk.executions(order.client_order_id)))
        await desk.settle()
        same("execution ids", {one.execution_id for one in desk.executions(order.client_order_id)},
             {desk.venue.executions[0].execution_id})
        return ""

    async def cancels(self, desk: Desk) -> str:
        """After a partial fill the rest goes, the part stays."""
        order = await desk.placed(lots=10)
        desk.venue.fill(order.client_order_id, desk.venue.lot * 4)
        await desk.broker.cancel(order.client_order_id)
        await desk.until("no update said that the order is canceled", lambda: any(
            update.status == "canceled" for update in desk.updates(order.client_order_id)))
        found = await desk.broker.find_order(order.client_order_id)
        same("what is filled of it", found and (found.status, found.filled), ("canceled", desk.venue.lot * 4))
        await raises(VenueRejected, "a second cancel", desk.broker.cancel(order.client_order_id))
        return ""

    async def cancel_race(self, desk: Desk) -> str:
        """The order fills before the cancel arrives: its execution is told once, the cancel is at most refused."""
        order = await desk.placed()
        desk.venue.fills_before_cancel = True
        try:
            await desk.broker.cancel(order.client_order_id)
        except VenueRejected:
            pass
        except FrameworkError as error:
            raise Failed(f"cancel raised {type(error).__name__}: {error}; the venue answered: it must be VenueRejected "
                         "or nothing") from error
        await desk.until("the fill was not told", lambda: bool(desk.executions(order.client_order_id)))
        await desk.settle()
        same("executions by event", desk.executions(order.client_order_id), desk.venue.executions)
        found = await desk.broker.find_order(order.client_order_id)
        same("its status", found and found.status, "filled")
        return ""

    async def replaces(self, desk: Desk) -> str:
        """Quantity and price change, what is filled stays, the client order id finds it; or it is refused."""
        order = await desk.placed(lots=10)
        id_, lot = order.client_order_id, desk.venue.lot
        if not desk.broker.capabilities.can_replace:
            await raises(VenueRejected, "replace, which its capabilities lack", desk.broker.replace(id_, qty=lot))
            same("the order", desk.venue.find(id_) and desk.venue.working(id_).qty, order.qty)
            return "it cannot"
        desk.venue.fill(id_, lot * 2)
        price = None if order.limit_price is None else order.limit_price - 1
        new = await desk.broker.replace(id_, qty=lot * 7, limit_price=price)
        truth = desk.venue.working(id_)
        same("the order", (truth.qty, truth.filled, truth.limit_price), (lot * 7, lot * 2, price or order.limit_price))
        same("the venue's order id", new, truth.venue_order_id)
        same("find_order after it", await desk.broker.find_order(id_), truth)
        desk.venue.fill(id_)
        await desk.until("the rest was not told", lambda: len(desk.executions(id_)) == 2)
        await raises(VenueRejected, "replace of a filled order", desk.broker.replace(id_, qty=lot * 20))
        return ""

    # --- connections --------------------------------------------------------------------------------------------------

    async def reconnects(self, desk: Desk) -> str:
        """What was missed is in `fills`; nothing is sent while nobody listens; after connect, events go on."""
        order = await desk.placed(lots=10)
        desk.venue.drop()
        await desk.until_ended()
        await raises(VenueUnavailable, "submit after the stream broke", desk.broker.submit(desk.order()))
        same("orders at the venue", desk.venue.requests, [order])
        missed = desk.venue.fill(order.client_order_id, desk.venue.lot * 4)
        await desk.connect()
        same("fills(0) after it", list(await desk.broker.fills(0)), [missed])
        last = desk.venue.fill(order.client_order_id)
        await desk.until("events after the second connect do not tell a fill",
                         lambda: last in desk.executions(order.client_order_id))
        same("executions by event", desk.executions(order.client_order_id).count(last), 1)
        return ""

    async def restarts(self, desk: Desk) -> str:
        """Another broker of this account sees the orders, fills and positions of the first, and foreign ones."""
        order = await desk.placed(lots=10)
        desk.venue.fill(order.client_order_id, desk.venue.lot * 4)
        foreign = attrs.evolve(desk.venue.working(order.client_order_id), client_order_id="", venue_order_id="foreign",
                               filled=Decimal(0), status="accepted", average_price=None)
        desk.venue.orders[foreign.venue_order_id] = foreign
        await desk.broker.close()
        async with Desk(desk.venue, desk.venue.broker(**self.params)) as other:
            same("open_orders()", sorted(await other.broker.open_orders(), key=_id),
                 sorted(desk.venue.open_orders(), key=_id))
            same("fills(0)", list(await other.broker.fills(0)), desk.venue.executions)
            held = {one.symbol: one.qty for one in await other.broker.positions()}
            same("positions()", held, {desk.venue.symbol: desk.venue.lot * 4})
            last = desk.venue.fill(order.client_order_id)
            await other.until("a fill of an order of the other process is not told with its id",
                              lambda: other.executions(order.client_order_id) == [last])
        return ""

    async def pages(self, desk: Desk) -> str:
        """More than two pages, all of one instant across the first boundary; `since` includes its instant."""
        count = 2 * desk.venue.page_size + desk.venue.page_size // 2 + 1
        order = await desk.placed(lots=count)
        for number in range(count):
            desk.venue.fill(order.client_order_id, desk.venue.lot, at_once=0 < number < desk.venue.page_size + 2)
        truth = desk.venue.executions
        same("fills(0)", _ids(await desk.broker.fills(0)), _ids(truth))
        for since in sorted({one.time_ns for one in truth}):
            for moment in (since, since + 1):
                same(f"fills({moment})", _ids(await desk.broker.fills(moment)),
                     _ids([one for one in truth if one.time_ns >= moment]))
        return f"{count} executions in pages of {desk.venue.page_size}"

    async def books(self, desk: Desk) -> str:
        """Long, flat and short, odd prices and fees: what the venue says, in Decimal."""
        for lots in (3, 7):
            order = await desk.placed(lots=lots)
            desk.venue.fill(order.client_order_id)
        same("account()", await desk.broker.account(), desk.venue.account())
        held = {one.symbol: one.qty for one in await desk.broker.positions()}
        same("positions()", held, {desk.venue.symbol: desk.venue.lot * 10})
        order = await desk.placed(lots=10, side="sell")
        desk.venue.fill(order.client_order_id)
        flat = [one for one in await desk.broker.positions() if one.qty != 0]
        same("positions() when flat", flat, [])
        if desk.broker.capabilities.can_short:
            order = await desk.placed(lots=3, side="sell")
            desk.venue.fill(order.client_order_id)
            held = {one.symbol: one.qty for one in await desk.broker.positions()}
            same("positions() when short", held, {desk.venue.symbol: desk.venue.lot * -3})
        return f"cash {desk.venue.cash}"

    async def data(self, desk: Desk) -> str:
        """A bar is told as it was sent, after a reconnect too; a symbol that is not traded is refused."""
        if "bar" not in desk.broker.capabilities.channels:
            return "it has no bars"
        symbol, start = desk.venue.symbol, desk.venue.time_ns
        await desk.broker.subscribe([symbol], ["bar"])
        await raises(VenueRejected, "subscribe to an unknown symbol", desk.broker.subscribe(["NO-SUCH"], ["bar"]))
        for minute in range(2):
            opened = start + minute * 60_000_000_000
            bar = Bar(symbol, opened, opened + 60_000_000_000, 100.1, 101.7, 99.3, 100.4, 1_234.5 + minute)
            desk.venue.send(bar)
            await desk.until(f"the bar {bar} was not told{' after a reconnect' if minute else ''}",
                             lambda bar=bar: bar in desk.heard)  # type: ignore[misc]
            if minute == 0:
                desk.venue.drop()
                await desk.until_ended()
                await desk.connect()
        return ""

    async def closes(self, desk: Desk) -> str:
        """Events end, verbs say VenueUnavailable, the order still works."""
        order = await desk.placed()
        await desk.broker.close()
        await desk.until("close() did not end events()", lambda: not desk.is_listening)
        await raises(VenueUnavailable, "submit after close", desk.broker.submit(desk.order()))
        same("orders at the venue", [one.client_order_id for one in desk.venue.open_orders()], [order.client_order_id])
        await desk.broker.close()
        return ""

    def secrets(self) -> str:
        """A missing variable is named; a credential is in no text that the broker makes."""
        if not self.cls.secrets:
            return "it has none"
        for name in self.cls.secrets:
            with set_variables({**dict.fromkeys(self.cls.secrets, CANARY), name: None}):
                connecting = self.venue().broker(**self.params).connect()
                error = apart(partial(raises, ConfigError, f"connect without {name}", connecting))
            if name not in str(error):
                raise Failed(f"connect without {name} says {str(error)!r}; it must name the variable")
        texts: list[str] = []

        async def talk(desk: Desk) -> str:
            texts.append(repr(desk.broker))
            for switch in ("refusal", "lost"):
                setattr(desk.venue, switch, "answer")
                error = await raises(FrameworkError, "submit", desk.broker.submit(desk.order()))
                texts.append(f"{error!r} {error.__cause__!r}")
            desk.venue.refuses_credentials = True
            error = await raises(VenueRejected, "connect", desk.venue.broker(**self.params).connect())
            texts.append(f"{error!r} {error.__cause__!r}")
            return ""

        with logged(texts):
            self.at_desk(talk)()
        for text in texts:
            if CANARY in text:
                raise Failed(f"a credential is in a text: {text.replace(CANARY, '<the credential>')}")
        return ", ".join(self.cls.secrets)


def _id(order: VenueOrder) -> str:
    return order.venue_order_id


def _ids(rows: Any) -> list[str]:
    return [row.execution_id for row in rows if isinstance(row, Execution)]
