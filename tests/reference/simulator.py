"""The loop over events: which phase comes when, and what a strategy sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from types import SimpleNamespace
from typing import Any

from framework.data.timeframe import DAY, parse_timeframe
from framework.model.enums import EventKind, OrderStatus, Role
from framework.model.records import MAX_ORDERS, UNSET
from tests.reference.account import Account, Slot, Symbol
from tests.reference.cash import Cashier
from tests.reference.details import parts_of, see, walk
from tests.reference.endings import end_symbol, find_last_bars
from tests.reference.guards import place_partials, remember, watch
from tests.reference.intake import take_in
from tests.reference.lifetime import expire
from tests.reference.margin import call, is_called
from tests.reference.market import Bar, Day, Intent, ReferenceResult, Settings
from tests.reference.matching import STOPS, close_orders_phase, open_phase
from tests.reference.taxes import TaxOffice, last_mark


@dataclass
class ReferenceStrategy:
    """One strategy on some symbols: its function, and what `now` shows of its own names.

    symbols: indices into the tape.  columns: symbol -> name -> one value a bar.  ready: symbol -> local bar
    of the first decision.
    """

    symbols: Sequence[int]
    decide: Callable[[Any], None] | None = None
    decide_all: Callable[[Any], None] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    columns: Mapping[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    ready: Mapping[int, int] = field(default_factory=dict)


class Simulation:
    """One run: the account, the tape's bars and the records that decisions see."""

    def __init__(self, tape: Any, strategies: Sequence[ReferenceStrategy], settings: Settings) -> None:
        self.tape, self.strategies, self.settings = tape, strategies, settings
        columns = (tape.open_time, tape.close_time, tape.open, tape.high, tape.low, tape.close, tape.volume,
                   tape.minutes_to_close)  # fmt: skip
        self.bars = [Bar(*row) for row in zip(*(list(map(plain, column)) for column in columns), strict=True)]
        self.parts = parts_of(tape, self.bars)
        symbols = [Symbol(i, instrument) for i, instrument in enumerate(tape.instruments)]
        closes = [[bar.close_time for bar in self.bars[a:b]] for a, b in pairwise(map(int, tape.series))]
        find_last_bars(symbols, closes, settings)
        slots: list[Slot] = []
        self.nows: list[SimpleNamespace] = []
        for number, strategy in enumerate(strategies):
            shared = SimpleNamespace(**strategy.shared)
            for symbol in sorted(strategy.symbols):
                slots.append(Slot(len(slots), number, symbol, strategy.ready.get(symbol, 0)))
                self.nows.append(blank_now(strategy, shared))
        self.account = Account(settings, symbols, slots)
        self.cashier = Cashier(tape, self.account)
        self.office = None
        if settings.tax is not None:
            last = last_mark(tape, settings.end)
            self.office = TaxOffice(self.account, settings.tax, int(tape.event_time[0]), last)
            self.account.on_fill = self.office.sold
        self.account.day_of = lambda symbol, place: int(tape.account_day[int(tape.series[symbol.index]) + place])
        if hasattr(tape, "timeframes"):
            self.account.is_daily = lambda symbol: parse_timeframe(tape.timeframes[symbol.index]) == DAY
        self.day: int | None = None
        self.day_start_equity = settings.capital

    def run(self) -> ReferenceResult:
        """Process every group of events, then let what still works end."""
        tape, account = self.tape, self.account
        events = list(
            zip(
                map(int, tape.event_time),
                map(int, tape.event_kind),
                map(int, tape.event_symbol),
                map(int, tape.event_bar),
                strict=True,
            )
        )
        for (time, kind), group in groupby(events, key=lambda event: event[:2]):
            account.time = time
            rows = [(account.symbols[symbol], row) for _, _, symbol, row in group]
            if kind == EventKind.OPEN:
                for symbol, row in rows:
                    symbol.forming, symbol.forming_row = self.bars[row], row
                self.cashier.pay(time)
                expire(account, time)
                open_phase(account, [symbol for symbol, _ in rows])
                place_partials(account)
            elif not self.close_phase(rows):
                account.result.counters["ruined"] = 1
                break
        if self.day is not None:
            self.close_day()
        for order in list(account.working):
            account.end(order, OrderStatus.ENDED)
        account.result.positions = [slot.position for slot in account.slots]
        rules = [(number, rule) for number, rule in enumerate(self.settings.rules) if hasattr(rule, "told")]
        account.result.watching = {number for number, rule in rules if rule.looks_at_marks}
        account.result.told = {number: rule.told(account) for number, rule in rules}
        result, start = account.result, self.settings.start
        result.marks = [mark for mark in result.marks if mark.time >= start]
        result.days = [day for day in result.days if day.time >= start]
        return result

    def close_phase(self, rows: list[tuple[Symbol, int]]) -> bool:
        """Range, mark, decide, size and risk; return False when the account is ruined."""
        account = self.account
        self.cashier.pay(account.time - 1)
        expire(account, account.time - 1)
        for symbol, _ in rows:
            walk(account, symbol, self.parts[symbol.forming_row])
        close_orders_phase(account, [symbol for symbol, _ in rows])
        expire(account, account.time)
        place_partials(account)
        for symbol, _ in rows:
            if symbol.ends == account.time:
                end_symbol(account, symbol)
        for symbol, row in rows:
            symbol.closed.append(self.bars[row])
        closed = {symbol.index for symbol, _ in rows}
        for slot in account.slots:
            if slot.symbol in closed and slot.position:
                self.mark_position(slot)
        self.roll_day(max(int(self.tape.account_day[row]) for _, row in rows))
        self.cashier.pay(account.time)
        if self.office is not None:
            self.office.settle(account.time)
        self.cashier.charge_nights(account.time)
        mark = account.mark()
        if mark.equity <= 0:
            return False
        remember(account, self.day or 0)
        account.is_called = is_called(account)
        if account.is_called:
            call(account)
        watch(account)
        if self.settings.start <= account.time < self.settings.end:
            take_in(account, self.decide({symbol.index: row for symbol, row in rows}), closed)
        return True

    def mark_position(self, slot: Slot) -> None:
        """Count the bar, offer its last part's excursions, move the high-water mark and the trail."""
        assert slot.trade is not None
        slot.trade.bars += 1
        parts = self.parts[self.account.symbols[slot.symbol].forming_row]
        see(self.account, slot, parts, parts[-1])

    def roll_day(self, day: int) -> None:
        if self.day is not None and day > self.day:
            self.close_day()
            self.day_start_equity = self.account.result.marks[-1].equity
        self.day = day if self.day is None else max(day, self.day)

    def close_day(self) -> None:
        last = self.account.result.marks[-1]
        self.account.result.days.append(Day(self.day or 0, last.time, last.equity, last.exposure))

    # --- decide -------------------------------------------------------------------------------------------------------

    def decide(self, rows: dict[int, int]) -> list[tuple[Slot, list[Intent]]]:
        """Call the strategies; return what each slot intends."""
        asked: list[Slot] = []
        fresh = [s for s in self.account.slots if s.symbol in rows and self.is_ready(s)]
        for slot in fresh:
            strategy = self.strategies[slot.strategy]
            if strategy.decide is not None:
                self.show(slot, rows)
                strategy.decide(self.nows[slot.index])
                asked.append(slot)
        for number, strategy in enumerate(self.strategies):
            if strategy.decide_all is not None and any(slot.strategy == number for slot in fresh):
                slots = [slot for slot in self.account.slots if slot.strategy == number]
                for slot in slots:
                    self.show(slot, rows)
                strategy.decide_all([self.nows[slot.index] for slot in slots])
                asked += [slot for slot in slots if self.account.symbols[slot.symbol].closed]
        for slot in asked:
            slot.fills = []
        return [(slot, self.intents_of(slot)) for slot in asked]

    def intents_of(self, slot: Slot) -> list[Intent]:
        """Return what a slot asked for, with blanks for what went beyond MAX_ORDERS."""
        now = self.nows[slot.index]
        return now.intents[: now.intent_count] + [Intent() for _ in range(now.intents_refused)]

    def is_ready(self, slot: Slot) -> bool:
        """Return whether a slot is warmed up: its bar number `ready` has closed."""
        return len(self.account.symbols[slot.symbol].closed) > slot.ready

    def show(self, slot: Slot, rows: dict[int, int]) -> None:
        """Write what is known at this close into the slot's `now`."""
        account, now, symbol = self.account, self.nows[slot.index], self.account.symbols[slot.symbol]
        strategy, local = self.strategies[slot.strategy], len(symbol.closed) - 1
        orders, bar = account.orders_of(slot), symbol.last_bar
        stop = account.protection(slot, *STOPS)
        target = account.protection(slot, Role.TARGET)
        held = slot.trade.bars if slot.trade else 0
        now.intents = [Intent() for _ in range(MAX_ORDERS)]
        now.intent_count = now.intents_refused = 0
        now.bar, now.fresh = bar, slot.symbol in rows and self.is_ready(slot)
        now.age = account.time - bar.close_time if symbol.closed else -1
        columns = strategy.columns.get(slot.symbol, {})
        now.ind = SimpleNamespace(**{n: c[local] if local >= 0 else math.nan for n, c in columns.items()})
        now.prev = SimpleNamespace(**{n: c[local - 1] if local >= 1 else math.nan for n, c in columns.items()})
        now.position = SimpleNamespace(
            qty=slot.position,
            pending=sum(o.side * o.remaining for o in account.placed_by(slot)),
            entry_price=slot.average if slot.position else 0.0,
            bars_held=held,
            high_water=slot.high_water if slot.position else 0.0,
            pnl=slot.position * (symbol.mark - slot.average) * symbol.instrument.multiplier,
            stop=stop.price if stop and not math.isnan(stop.price) else UNSET,
            target=target.price if target else UNSET,
        )
        equity = account.equity()
        now.account = SimpleNamespace(
            equity=equity,
            cash=account.cash,
            buying_power=account.buying_power(),
            exposure=account.exposure(),
            peak=account.peak,
            drawdown=(account.peak - equity) / account.peak,
            day_start_equity=self.day_start_equity,
            open_positions=sum(s.net != 0 for s in account.symbols),
        )
        row = int(self.tape.series[slot.symbol]) + max(local, 0)
        now.clock = SimpleNamespace(
            time_ns=account.time,
            bars_held=held,
            minute=int(self.tape.local_minute[row]),
            weekday=int(self.tape.weekday[row]),
            bars_in_session=int(self.tape.bars_in_session[row]),
            minutes_to_close=int(self.tape.minutes_to_close[row]),
        )
        now.fills = slot.fills[-MAX_ORDERS:]
        now.fill_count = len(now.fills)
        now.orders = [
            SimpleNamespace(
                order_id=o.id, side=o.side, kind=o.kind, role=o.role, tag=o.tag, price=o.price,
                qty=0.0 if o.protective else o.remaining,
            )
            for o in orders[:MAX_ORDERS]
        ]
        now.order_count = len(now.orders)


def blank_now(strategy: ReferenceStrategy, shared: SimpleNamespace) -> SimpleNamespace:
    """Return the `now` of one slot with what never changes and what only the author writes."""
    tags = {name: number for number, name in enumerate(strategy.tags, start=1)}
    return SimpleNamespace(
        p=SimpleNamespace(**strategy.params),
        tag=SimpleNamespace(**tags),
        shared=shared,
        member=0,
        state=SimpleNamespace(**strategy.state),
        universe=len(strategy.symbols),
    )


def plain(value: Any) -> Any:
    """Return a numpy number as Python's own."""
    return value.item() if hasattr(value, "item") else value


def simulate(tape: Any, strategies: Sequence[ReferenceStrategy], settings: Settings) -> ReferenceResult:
    """Run strategies over a tape by the rules of docs/fills.md."""
    return Simulation(tape, strategies, settings).run()
