"""Random markets, strategies, rules and settings: what the engine and the reference must agree on.

One seed makes a case: the shape of its markets, and the seeds of their bars and of the decisions.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from framework.data.cash_flows import CashFlows, with_cash_flows
from framework.data.series import BarSeries
from framework.data.tape import Tape, build_tape
from framework.model.enums import CashKind
from framework.model.instrument import Instrument
from framework.strategy import Strategy
from tests.reference.authors import (
    MINUTE,
    DrowsyFlow,
    RandomFlow,
    RandomRule,
    RandomSizing,
    RandomSlippage,
    RandomUniverse,
    SleepyFlow,
)
from tests.reference.draws import DAYS, MANY_TRIPS, RuleShape, risk_rules, sizing_rule
from tests.reference.market import Settings
from tests.reference.rules import rule_called, sizing_called
from tests.reference.rules_hours import ALWAYS_OPEN, sessions_of
from tests.reference.simulator import ReferenceStrategy
from tests.reference.taxes import TaxRules

START = 1_704_067_200_000_000_000  # 2024-01-01, a Monday
SESSIONS = 15 * 1_440
"""Minutes from START to the day on which the hand-written sessions of exchanges begin."""

# --- a case -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SymbolShape:
    """How one symbol's market looks; prices are whole multiples of `grid`."""

    n_bars: int
    first_minute: int
    minutes: int
    seed: int
    grid: float
    tick: float
    lot: float
    min_qty: float
    min_notional: float
    multiplier: float
    gap_share: float
    """Share of bars that are missing."""
    session: int
    """Bars between two breaks."""
    borrow_percent: float | None
    flows: int
    """How many dividends and payments of funding it has."""
    exchange: str = ALWAYS_OPEN


@dataclass(frozen=True)
class StrategyShape:
    """One use of a strategy: all symbols at once, or each for itself."""

    is_universe: bool
    symbols: tuple[int, ...]
    seed: int
    grid: float
    idle: int
    warm_up: int
    calm: bool
    sleepy: bool = False

    @property
    def params(self) -> dict[str, Any]:
        return {"seed": self.seed, "grid": self.grid, "idle": self.idle, "calm": self.calm}

    @property
    def strategy_class(self) -> type[Strategy]:
        if self.is_universe:
            return RandomUniverse
        if self.sleepy:
            return SleepyFlow
        return DrowsyFlow if self.seed % 3 == 0 else RandomFlow


@dataclass(frozen=True)
class Case:
    """One market, its strategies and settings; the numbers of the settings are those of reference.Settings."""

    symbols: tuple[SymbolShape, ...]
    strategies: tuple[StrategyShape, ...]
    numbers: dict[str, Any]
    slippage: dict[str, float]
    sizing: RuleShape
    rules: tuple[RuleShape, ...]
    window: tuple[int, int] = field(default=(0, 0))
    """Minutes cut off from the start and the end of decisions."""
    calendar: str = ALWAYS_OPEN
    """Of the account."""
    tax: TaxRules | None = None

    @cached_property
    def tape(self) -> Tape:
        tape = build_tape([series(shape, f"S{i}") for i, shape in enumerate(self.symbols)], self.calendar)
        return with_cash_flows(tape, [cash_flows(tape, i, shape) for i, shape in enumerate(self.symbols)])

    @property
    def start(self) -> int:
        return int(self.tape.event_time[0]) + self.window[0] * MINUTE

    @property
    def end(self) -> int:
        return int(self.tape.event_time[-1]) + (1 - self.window[1]) * MINUTE

    def ready(self, shape: StrategyShape) -> dict[int, int]:
        """Return the first local bar of a decision by symbol."""
        return dict.fromkeys(shape.symbols, shape.warm_up)

    def reference_strategies(self) -> list[ReferenceStrategy]:
        """Return the strategies as the reference takes them; the functions are those the engine compiles."""
        return [
            ReferenceStrategy(
                s.symbols,
                decide=None if s.is_universe else s.strategy_class.decide,
                decide_all=RandomUniverse.decide_all if s.is_universe else None,
                state=RandomFlow.state,
                params=s.params,
                tags=RandomFlow.tags,
                columns={symbol: self.closes_before(symbol) for symbol in s.symbols},
                ready=self.ready(s),
            )
            for s in self.strategies
        ]

    def closes_before(self, symbol: int) -> dict[str, list[float]]:
        """Return at each bar of a symbol the closes of the three bars before."""
        first, last = self.tape.series[symbol : symbol + 2]
        closes = [*map(float, self.tape.close[first:last])]
        return {name: ([math.nan] * k + closes)[: len(closes)]
                for k, name in ((1, "before"), (2, "two"), (3, "three"))}  # fmt: skip

    def reference_settings(self) -> Settings:
        """Return the settings as the reference takes them."""

        def slippage(reference: float, qty: float, bar: Any, mean_volume: float, volatility: float) -> float:
            fill = SimpleNamespace(reference=reference, qty=qty, bar=bar, mean_volume=mean_volume,
                                   volatility=volatility, p=SimpleNamespace(**self.slippage))  # fmt: skip
            return RandomSlippage.price(fill)

        sizing, rules = as_reference_sizing(self.sizing), [as_reference_rule(shape) for shape in self.rules]
        return Settings(**self.numbers, slippage=slippage, sizing=sizing, rules=rules, start=self.start, end=self.end,
                        tax=self.tax)  # fmt: skip


def as_reference_sizing(shape: RuleShape) -> Any:
    """Return a sizing rule as the reference calls it."""
    if shape.name != RandomSizing.name:
        return sizing_called(shape.name, shape.keys)

    def sizing(order: Any) -> float:
        order.p = SimpleNamespace(**shape.keys)
        return RandomSizing.size(order)

    return sizing


def as_reference_rule(shape: RuleShape) -> Any:
    """Return a rule as the reference calls it."""
    if shape.name != RandomRule.name:
        return rule_called(shape.name, shape.keys)

    def rule(order: Any) -> tuple[float, bool, float, float]:
        order.p = SimpleNamespace(**shape.keys)
        order.allowed, order.refused, order.value, order.limit = order.qty, 0, 0.0, 0.0
        RandomRule.check(order)
        return order.allowed, bool(order.refused), order.value, order.limit

    rule.max_slippage = shape.keys["slippage"]
    return rule


def series(shape: SymbolShape, symbol: str) -> BarSeries:
    """Return a random walk on a coarse grid, with gaps in price and time, ties, touches and bars without volume."""
    rng = random.Random(shape.seed)
    level, minute, rows = 40, shape.first_minute, []
    for i in range(shape.n_bars):
        if i and i % shape.session == 0:
            minute += rng.choice((60, 420, 1_200) if shape.minutes < 60 else (shape.minutes, 3 * shape.minutes))
        length = shape.minutes if rng.random() < 0.9 else max(1, shape.minutes - 1)  # a short bar now and then
        if rng.random() >= shape.gap_share:
            open_ = max(20, level + rng.choice((0, 0, 0, 0, 1, -1, 1, -1, 2, -2, 5, -5, 16, -16)))
            close = max(20, open_ + rng.choice((0, 0, 1, -1, 1, -1, 3, -3)))
            high = max(open_, close) + rng.choice((0, 0, 1, 2, 4))
            low = max(16, min(open_, close) - rng.choice((0, 0, 1, 2, 4)))
            rows.append((minute, minute + length, open_, high, low, close, rng.choice((0, 5, 10, 20, 50, 100))))
            level = close
        minute += shape.minutes
    if not rows:
        rows = [(minute, minute + shape.minutes, 40, 40, 40, 40, 10)]
    columns = np.array(rows, dtype=np.int64).T
    instrument = Instrument(symbol, shape.exchange, lot=shape.lot, tick=shape.tick, min_qty=shape.min_qty,
                            multiplier=shape.multiplier, min_notional=shape.min_notional,
                            borrow_percent=shape.borrow_percent)  # fmt: skip
    opens = [time_of(shape.exchange, int(minute)) for minute in columns[0]]
    closes = [time + MINUTE * int(length) for time, length in zip(opens, columns[1] - columns[0], strict=True)]
    prices = [column * shape.grid for column in columns[2:6]]
    return BarSeries(instrument, f"{shape.minutes}m", np.array(opens), np.array(closes), *prices, columns[6])


def time_of(exchange: str, minute: int) -> int:
    """Return when a minute of the market begins, ns UTC: of an exchange only those of its sessions count."""
    if exchange == ALWAYS_OPEN:
        return START + minute * MINUTE
    sessions = sessions_of(exchange)
    length = (sessions[0][1] - sessions[0][0]).seconds // 60
    return int(sessions[minute // length][0].timestamp()) * 1_000_000_000 + minute % length * MINUTE


def cash_flows(tape: Tape, number: int, shape: SymbolShape) -> CashFlows:
    """Return payments on a symbol at opens, at closes, inside bars and between them."""
    rng = random.Random(shape.seed + 1)
    kind = rng.choice((CashKind.DIVIDEND, CashKind.FUNDING))
    edges = [int(time) for time in (*tape.open_time, *tape.close_time)]
    times = sorted(rng.choice(edges) + rng.choice((0, 0, 1, -1, 30 * 10**9)) for _ in range(shape.flows))
    rates = [rng.choice((0.1, 0.25, 1.0) if kind == CashKind.DIVIDEND else (0.01, -0.02, 0.001)) for _ in times]
    return CashFlows(kind, np.array(times, np.int64), np.full(len(times), number, np.int64), np.array(rates))


@dataclass(frozen=True)
class Pace:
    """What the symbols of a case have in common: how long bars are, and when they begin, in minutes.

    A bar of an exchange lies within a session: its length divides that of all sessions, 390 and 360 minutes.
    """

    minutes: tuple[int, ...]
    begins: tuple[int, ...]
    shifts: tuple[int, ...] = (0,)
    delisted_after: tuple[float, ...] = (7.0, 0.0, 3.0)
    exchanges: tuple[str, ...] = (ALWAYS_OPEN,)


DAY = 1_440
QUICK = Pace((1, 1, 2, 3, 5), (0, 1_380, 1_425, 6 * DAY + 1_380, 30 * DAY + 1_425, 90 * DAY + 1_380),
             (0, 0, 1, 7, 30), (7.0, 0.0, 0.01, 0.03))  # fmt: skip
"""Minutes, over midnights of a Monday, a Sunday, the end of a month, and a Sunday that ends a month."""
SLOW = Pace((480, 240, 1_440), (0, 28 * DAY, 84 * DAY))
"""Days and parts of them."""
LONG = (60, 100)
"""Bars of a market with many round trips."""
SESSION = Pace((5, 10, 15, 30), (0, 330, 0), exchanges=("XNYS", "XTKS", "XNYS", ALWAYS_OPEN))
"""Minutes within sessions of exchanges."""


def symbol_shape(rng: random.Random, grid: float, pace: Pace, begins: int, bars: tuple[int, int]) -> SymbolShape:
    """Draw the shape of a market."""
    exchange = rng.choice(pace.exchanges)
    is_beside = exchange == ALWAYS_OPEN and pace is SESSION
    return SymbolShape(
        n_bars=rng.randint(*bars),
        first_minute=begins + rng.choice(pace.shifts) + (SESSIONS + 870 if is_beside else 0),
        minutes=rng.choice(pace.minutes),
        seed=rng.randrange(10**6),
        grid=grid,
        tick=rng.choice((0.0, grid, 2 * grid, 0.3 * grid)),
        lot=rng.choice((1.0, 0.1, 3.0, 1e-4, 1e-4 if bars == LONG else 1e-8)),
        min_qty=rng.choice((0.0, 0.0, 2.0)),
        min_notional=rng.choice((0.0, 0.0, 100.0)),
        multiplier=rng.choice((1.0, 1.0, 2.0)),
        gap_share=rng.choice((0.0, 0.1, 0.5)),
        session=10**6 if pace is SESSION else rng.choice((100, 12, 5)),
        borrow_percent=rng.choice((None, None, 0.0, 700.0)),
        flows=rng.choice((0, 0, 3, 20)),
        exchange=exchange,
    )


def settings_drawn(rng: random.Random, pace: Pace, capital: float, needs_credit: bool) -> dict[str, Any]:
    """Draw the numbers of reference.Settings."""
    return {
        "capital": capital,
        "leverage": rng.choice((6.0, 12.0) if needs_credit else (1.0, 1.0, 2.0, 0.5, 6.0, 12.0, 12.0)),
        "shorts": rng.choice((True, True, False)),
        "cash_buffer": rng.choice((0.0, 0.0025, 0.1)),
        "taker_bps": rng.choice((0.0, 10.0, 100.0)),
        "maker_bps": rng.choice((0.0, 5.0)),
        "per_share": rng.choice((0.0, 0.0, 0.05)),
        "per_order": rng.choice((0.0, 0.0, 1.0)),
        "minimum": rng.choice((0.0, 0.0, 2.0)),
        "participation": rng.choice((None, 0.1, 0.5)),
        "volume_window": rng.choice((20, 1, 3)),
        "limit_through": rng.choice((0.0, 0.0, 1.0)),
        "maintenance": rng.choice((0.0, 0.0, 0.0, 0.6, 0.95)),
        "close_at_end": rng.choice((False, False, True)),
        "delisted_after": rng.choice(pace.delisted_after),
        "borrow_percent": rng.choice((0.0, 0.0, 400.0)),
        "interest_percent": rng.choice((0.0, 0.0, 90.0)),
        "loan_percent": rng.choice((0.0, 0.0, 300.0)),
    }


def tax_drawn(rng: random.Random, begins: int) -> TaxRules | None:
    """Draw a tax for a third of the cases; most of its years end with the month in which the market begins."""
    if rng.random() >= 0.35:
        return None
    month = datetime.fromtimestamp(START // 10**9 + 60 * begins, UTC).month % 12 + 1
    return TaxRules(
        rate=rng.choice((0.3, 0.25, 0.6, 0.0)),
        cess=rng.choice((0.0, 0.0, 0.04)),
        tds=rng.choice((0.0, 0.01, 0.01, 0.2)),
        credit_tds=rng.choice((True, True, False)),
        offset_losses=rng.choice((True, True, False)),
        deduct_fees=rng.choice((True, False)),
        count_cash_flows=rng.choice((True, False)),
        first_month=rng.choice((month, month, month, rng.randint(1, 12))),
    )


def case_of(seed: int) -> Case:
    """Return the case of a seed."""
    rng = random.Random(seed)
    grid, capital = rng.choice((1.0, 0.5, 0.25)), rng.choice((1_000.0, 300.0, 10_000.0))
    sizing = sizing_rule(rng, capital)
    needs_trips = sizing.name == MANY_TRIPS
    rules = risk_rules(rng, capital, grid, few=needs_trips)
    is_calm = rng.random() < 0.1
    needs_credit = any(rule.keys.get("allow_leverage", False) for rule in rules)
    needs_days = any(rule.name in DAYS for rule in (sizing, *rules))
    pace = SLOW if needs_days else QUICK if needs_trips else rng.choice((QUICK, QUICK, QUICK, SLOW, SESSION))
    begins, bars = rng.choice(pace.begins), LONG if needs_trips else (15, 45) if needs_days else (2, 40)
    n_symbols = rng.choice((2, 3, 4) if needs_days else (1, 2) if needs_trips else (1, 1, 2, 3, 4))
    symbols = tuple(symbol_shape(rng, grid, pace, begins, bars) for _ in range(n_symbols))
    uses = []
    for _ in range(rng.choice((1, 2, 3))):
        mine = rng.sample(range(n_symbols), rng.randint(1, n_symbols))
        is_universe, author = rng.choice((False, False, True)), rng.randrange(10**6)
        idle, warm_up = 0 if needs_trips else rng.choice((0, 1, 3)), rng.choice((0, 0, 2))
        uses.append(StrategyShape(is_universe, tuple(sorted(mine)), author, grid, idle, warm_up, is_calm))
    slippage = {"fraction": rng.choice((0.0, 0.0, 0.01, -0.01)), "impact": rng.choice((0.0, 0.0, 0.1)),
                "spread": rng.choice((0.0, 0.0, 0.2)), "noise": rng.choice((0.0, 0.0, 0.5))}  # fmt: skip
    calendar = rng.choice((ALWAYS_OPEN, "XNYS")) if pace is SESSION else ALWAYS_OPEN
    numbers = settings_drawn(rng, pace, capital, needs_credit)
    numbers["volume_basis"] = "bar" if seed % 7 == 3 else "mean"
    return Case(symbols, tuple(uses), numbers, slippage, sizing, rules,
                rng.choice(((0, 0), (0, 0), (10, 5))), calendar,
                tax_drawn(random.Random(seed * 7919 + 11), begins))  # fmt: skip


def quiet_case_of(seed: int) -> Case:
    """Return the case of a seed on one symbol, with nothing but strategies that sleep: most of its bars are quiet.

    Those of every second seed hold long positions, whose orders rest for many bars.
    """
    case = case_of(seed)
    rng = random.Random(seed)
    sleepy = seed % 2 == 0
    n_bars = rng.randint(80, 240) if sleepy else rng.randint(40, 120)
    symbol = replace(case.symbols[0], n_bars=n_bars, flows=rng.choice((0, 0, 2)),
                     gap_share=rng.choice((0.0, 0.1)))  # fmt: skip
    uses = tuple(StrategyShape(False, (0,), 3 * rng.randrange(10**5), symbol.grid, rng.choice((0, 0, 1)),
                               rng.choice((0, 2)), True, sleepy) for _ in range(rng.choice((1, 1, 2))))  # fmt: skip
    free = {"maintenance": 0.0, "interest_percent": 0.0, "loan_percent": 0.0, "borrow_percent": 0.0}
    symbol = replace(symbol, borrow_percent=None)
    return replace(case, symbols=(symbol,), strategies=uses, numbers={**case.numbers, **free})
