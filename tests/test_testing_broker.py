"""The conformance kit on brokers: the one that `framework new broker` writes passes, every cheat is named."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from framework.broker import AccountState, Broker, ConnectionChange, Event, Execution, OrderRequest
from framework.cli.scaffold import write_package
from framework.errors import ConfigError, OutcomeUnknown, VenueRejected, VenueUnavailable
from framework.testing import Report, check_plugin, desk
from framework.testing.venue import MemoryVenue


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The modules of a broker package, as it is written for a new author."""
    folder = tmp_path_factory.mktemp("written") / "sea"
    write_package("broker", "sea", folder)
    sys.path.insert(0, str(folder / "src"))
    try:
        yield [importlib.import_module(f"framework_broker_sea.{name}") for name in ("broker", "venue")]
    finally:
        sys.path.remove(str(folder / "src"))
        for name in [name for name in sys.modules if name.startswith("framework_broker_sea")]:
            del sys.modules[name]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come in a fifth of a second does not come."""
    monkeypatch.setattr(desk, "PATIENCE_S", 0.2)


def failures(report: Report) -> dict[str, str]:
    """Return the messages of the failed checks by name."""
    return {check.name: check.message for check in report.failures}


Members = dict[str, Any]


def cheat(written: Any, members: Callable[[Any], Members]) -> type[Broker]:
    """Return the written broker with some members replaced, and its venue making brokers of it."""
    broker, venue = written
    base = broker.Sea

    class Cheat(base):  # type: ignore[misc, valid-type]
        """A broker that is not quite right."""

        name = "cheat"

        @classmethod
        def memory_venue(cls) -> Any:
            class Venue(venue.SeaVenue):  # type: ignore[misc, name-defined]
                def broker(self, **params: Any) -> Any:
                    return cls(open_wire=self.open_wire, **params)

            return Venue()

    for name, value in members(base).items():
        setattr(Cheat, name, value)
    return Cheat


def resending(base: Any) -> Members:
    async def submit(self: Any, order: OrderRequest) -> str:
        try:
            return str(await base.submit(self, order))
        except OutcomeUnknown:
            return str(await base.submit(self, attrs.evolve(order, client_order_id=f"{order.client_order_id}-again")))

    return {"submit": submit}


def reporting_as(error: type[Exception]) -> Callable[[Any], Members]:
    def members(base: Any) -> Members:
        async def submit(self: Any, order: OrderRequest) -> str:
            try:
                return str(await base.submit(self, order))
            except OutcomeUnknown as lost:
                raise error(str(lost)) from lost

        return {"submit": submit}

    return members


def one_page(base: Any) -> Members:
    async def fills(self: Any, since_ns: int) -> list[Execution]:
        rows = await self._question("fills", since_ns=since_ns, after="")
        return [Execution(**row) for row in rows]

    return {"fills": fills}


def after_only(base: Any) -> Members:
    async def fills(self: Any, since_ns: int) -> list[Execution]:
        return [row for row in await base.fills(self, since_ns) if row.time_ns > since_ns]

    return {"fills": fills}


def by_time(base: Any) -> Members:
    """Page by the time of the last row instead of its id: what shares the instant is lost."""

    async def fills(self: Any, since_ns: int) -> list[Execution]:
        rows: list[Execution] = []
        while True:
            page = await self._question("fills", since_ns=rows[-1].time_ns + 1 if rows else since_ns, after="")
            if not page:
                return rows
            rows += [Execution(**row) for row in page]

    return {"fills": fills}


def in_floats(base: Any) -> Members:
    async def account(self: Any) -> AccountState:
        true = await base.account(self)
        return AccountState(float(true.equity), float(true.cash), float(true.buying_power))

    return {"account": account}


def unsigned(base: Any) -> Members:
    async def positions(self: Any) -> Any:
        return [attrs.evolve(one, qty=abs(one.qty)) for one in await base.positions(self)]

    return {"positions": positions}


def told(change: Callable[[Any, Event], Event | None]) -> Callable[[Any], Members]:
    """Replace each event by another, or by none."""

    def members(base: Any) -> Members:
        async def events(self: Any) -> AsyncIterator[Event]:
            async for event in base.events(self):
                changed = change(self, event)
                if changed is not None:
                    yield changed

        return {"events": events}

    return members


def only_acknowledged(base: Any) -> Members:
    """Tell fills only of orders whose submit has returned, as a table of acknowledged ids would."""

    async def submit(self: Any, order: OrderRequest) -> str:
        answer = str(await base.submit(self, order))
        await asyncio.sleep(0.05)
        vars(self).setdefault("known", set()).add(order.client_order_id)
        return answer

    def known(self: Any, event: Event) -> Event | None:
        is_strange = isinstance(event, Execution) and event.client_order_id not in vars(self).get("known", set())
        return None if is_strange else event

    return {"submit": submit, **told(known)(base)}


numbers = iter(range(1_000_000))


def renumbered(self: Any, event: Event) -> Event:
    return attrs.evolve(event, execution_id=f"n{next(numbers)}") if isinstance(event, Execution) else event


def deaf(base: Any) -> Members:
    async def events(self: Any) -> AsyncIterator[Event]:
        await asyncio.Event().wait()
        yield ConnectionChange(0)

    return {"events": events}


def raising(base: Any) -> Members:
    async def events(self: Any) -> AsyncIterator[Event]:
        async for event in base.events(self):
            if isinstance(event, Execution):
                raise KeyError("position_qty")
            yield event

    return {"events": events}


def forgetting(base: Any) -> Members:
    async def connect(self: Any) -> None:
        self._wanted.clear()
        await base.connect(self)

    return {"connect": connect}


def sending_deaf(base: Any) -> Members:
    """Go on sending over a wire whose stream has broken."""

    async def _leave(self: Any) -> None:
        return None

    async def close(self: Any) -> None:
        await base._leave(self)

    return {"_leave": _leave, "close": close}


def careless(base: Any) -> Members:
    async def connect(self: Any) -> None:
        try:
            await base.connect(self)
        except VenueRejected:
            self._wire = await self._open_wire()

    return {"connect": connect}


def telling_all(base: Any) -> Members:
    async def connect(self: Any) -> None:
        logging.getLogger("sea").debug("hello with %s", self.secret("SEA_KEY"))
        await base.connect(self)

    return {"connect": connect}


def shown_in_text(base: Any) -> Members:
    return {"__repr__": lambda self: f"<sea {self.secret('SEA_KEY')}>"}


def keyless(base: Any) -> Members:
    return {"secret": lambda self, name: "a key that lies in the code"}


def quiet_cancel(base: Any) -> Members:
    async def cancel(self: Any, client_order_id: str) -> None:
        try:
            await base.cancel(self, client_order_id)
        except VenueRejected:
            return

    return {"cancel": cancel}


def old_id(base: Any) -> Members:
    async def replace(self: Any, client_order_id: str, **changes: Any) -> str:
        before = await self.find_order(client_order_id)
        await base.replace(self, client_order_id, **changes)
        return str(before.venue_order_id)

    return {"replace": replace}


def unguarded(base: Any) -> Members:
    async def submit(self: Any, order: OrderRequest) -> str:
        return str((await self._change("submit", order.client_order_id, order=order))["venue_order_id"])

    return {"submit": submit}


def rounding(base: Any) -> Members:
    async def submit(self: Any, order: OrderRequest) -> str:
        return str(await base.submit(self, attrs.evolve(order, qty=round(order.qty, 0) or Decimal(1))))

    return {"submit": submit}


def silent(base: Any) -> Members:
    async def positions(self: Any) -> Any:
        await asyncio.Event().wait()

    return {"positions": positions}


def own_only(base: Any) -> Members:
    async def open_orders(self: Any) -> Any:
        return [order for order in await base.open_orders(self) if order.client_order_id]

    return {"open_orders": open_orders}


def unsure(base: Any) -> Members:
    async def cancel(self: Any, client_order_id: str) -> None:
        try:
            await base.cancel(self, client_order_id)
        except VenueRejected as error:
            raise OutcomeUnknown(str(error), client_order_id=client_order_id) from error

    return {"cancel": cancel}


def raw(base: Any) -> Members:
    async def _question(self: Any, verb: str, **values: Any) -> Any:
        from framework_broker_sea import protocol  # type: ignore[import-not-found]

        return protocol.answer(await self._ask(protocol.request(verb, **values)))

    return {"_question": _question}


CHEATS: list[tuple[Any, str, str]] = [
    (resending, "a lost answer is OutcomeUnknown and nothing is sent twice", "submit with a lost answer returned 'v2'"),
    (resending, "a lost request is OutcomeUnknown too", "it must raise OutcomeUnknown"),
    (reporting_as(VenueRejected), "a lost answer is OutcomeUnknown and nothing is sent twice",
     "raised VenueRejected: cheat: the answer to submit of 'kit-1' was lost"),
    (reporting_as(VenueRejected), "a client order id is used once",
     "submit of a used client_order_id raised VenueRejected"),
    (reporting_as(VenueUnavailable), "a lost request is OutcomeUnknown too", "raised VenueUnavailable"),
    (one_page, "fills come from all pages, each once", "fills(0): ['x1', 'x2', 'x3', 'x4']; it must be"),
    (after_only, "fills come from all pages, each once", "it must be"),
    (by_time, "fills come from all pages, each once", "it must be"),
    (in_floats, "account and positions are the venue's to the last digit", "account(): AccountState("),
    (unsigned, "account and positions are the venue's to the last digit", "positions() when short"),
    (only_acknowledged, "a fill before the answer knows its order", "no execution of this order came; heard: ["),
    (told(renumbered), "a repeated execution keeps its id", "execution ids: {'n"),
    (told(renumbered), "partial fills are told once each", "executions by event"),
    (told(lambda self, event: None if isinstance(event, ConnectionChange) else event),
     "a broken stream ends, and connect goes on", "it must be a ConnectionChange"),
    (deaf, "partial fills are told once each", "no update said that the order is filled; heard: nothing"),
    (deaf, "close leaves orders working", "close() did not end events()"),
    (raising, "partial fills are told once each", "events() raised KeyError: 'position_qty'"),
    (forgetting, "market data lasts over a reconnect", "was not told after a reconnect"),
    (sending_deaf, "a broken stream ends, and connect goes on", "submit after the stream broke returned"),
    (careless, "connects", "connect with a refused credential returned None; it must raise VenueRejected"),
    (telling_all, "secrets come from the environment and stay there", "is in a text: hello with <the credential>"),
    (shown_in_text, "secrets come from the environment and stay there", "is in a text: <sea <the credential>>"),
    (keyless, "secrets come from the environment and stay there", "connect without SEA_KEY returned None"),
    (quiet_cancel, "the venue's no is VenueRejected", "cancel of an order that is not there returned None"),
    (quiet_cancel, "a cancel leaves what has filled", "a second cancel returned None"),
    (old_id, "a replaced order keeps its name", "the venue's order id: 'v1'; it must be 'v1r'"),
    (unguarded, "what it cannot do is refused before it is sent", "submit of "),
    (rounding, "an order arrives as it was asked", "the order at the venue: OrderRequest("),
    (silent, "another process finds everything", "positions did not answer within 0.2 s"),
    (own_only, "another process finds everything", "open_orders(): [VenueOrder("),
    (unsure, "a cancel that crosses a fill", "cancel raised OutcomeUnknown: order kit-1 is filled; the venue answered"),
    (raw, "a venue that is down is VenueUnavailable", "raised ConnectionRefusedError: the venue is down"),
]


def test_the_broker_that_is_written_for_a_new_author_passes(written: Any) -> None:
    report = check_plugin(written[0].Sea)
    assert report.passed, str(report)
    assert len(report.checks) == 24


@pytest.mark.parametrize(("members", "check", "said"), CHEATS,
                         ids=[f"{number}-{getattr(c[0], '__name__', 'x')}" for number, c in enumerate(CHEATS)])
def test_a_broker_that_cheats_is_caught_where_it_does(
    written: Any, impatient: None, members: Callable[[Any], Members], check: str, said: str
) -> None:
    found = failures(check_plugin(cheat(written, members)))
    assert said in found.get(check, f"passed; failed: {found}")


@pytest.mark.parametrize(("members", "said"), [
    ({"memory_venue": classmethod(lambda cls: None)}, "memory_venue() returned None; return a framework.test"),
    ({"fills": lambda self, since_ns: []}, "fills is not async; write `async def fills`"),
    ({"capabilities": {"orders"}}, "it must be a framework.broker.Capabilities"),
    ({"secrets": "SEA_KEY"}, "it must be a tuple of names of environment variables"),
    ({"name": "Sea"}, "name = 'Sea'; a name is lower-case letters"),
])
def test_a_class_that_is_no_broker_is_told_first(written: Any, members: Members, said: str) -> None:
    report = check_plugin(cheat(written, lambda base: members))
    assert said in str(report)
    assert report.not_run


def test_a_verb_that_is_missing_is_named() -> None:
    report = check_plugin(type("Half", (Broker,), {"__doc__": "Half of one.", "name": "half"}))
    assert "it does not implement account, cancel, close" in str(report)


def test_the_parameters_of_the_checked_broker_can_be_given(written: Any) -> None:
    assert check_plugin(written[0].Sea, params={"timeout_s": 2}).passed
    with pytest.raises(ConfigError, match="out of bounds"):
        check_plugin(written[0].Sea, params={"timeout_s": 0})


class Ledger(MemoryVenue):
    """A venue without a wire."""

    def broker(self, **params: Any) -> Broker:
        raise NotImplementedError


def test_the_ledger_of_the_kit_adds_up_by_hand() -> None:
    """100 at the start; 0.3 * 100.05 = 30.015 with a fee of 2.5 bps = 0.00750375."""
    venue = Ledger(Decimal(100))
    venue.place(OrderRequest("a", "TEST", "buy", "limit", "0.4", limit_price="100.05"))
    venue.fill("a", Decimal("0.3"))
    assert venue.cash == Decimal("69.97749625")
    assert venue.held == {"TEST": Decimal("0.3")}
    assert venue.account().equity == Decimal("99.99249625")
    venue.cancel("a")
    assert (venue.orders["v1"].status, venue.orders["v1"].filled) == ("canceled", Decimal("0.3"))
    assert venue.open_orders() == []


def test_the_ledger_gives_pages_in_order() -> None:
    venue = Ledger()
    venue.place(OrderRequest("a", "TEST", "buy", "market", 1))
    for _ in range(6):
        venue.fill("a", Decimal("0.1"))
    first = venue.page(0)
    assert [row.execution_id for row in first] == ["x1", "x2", "x3", "x4"]
    assert [row.execution_id for row in venue.page(0, "x4")] == ["x5", "x6"]
    assert [row.execution_id for row in venue.page(first[1].time_ns)] == ["x2", "x3", "x4", "x5"]


def test_a_folder_of_a_broker_package_is_complete(tmp_path: Path) -> None:
    assert write_package("broker", "sea", tmp_path / "sea") == [
        "README.md", "pyproject.toml", *(f"src/framework_broker_sea/{name}" for name in
                                         ("__init__.py", "broker.py", "protocol.py", "py.typed", "venue.py")),
        "tests/test_sea.py"]


def test_the_kit_runs_where_a_loop_is_running_already(written: Any) -> None:
    """As in a notebook."""

    async def cell() -> Report:
        return check_plugin(written[0].Sea)

    assert asyncio.run(cell()).passed
