"""Random markets, strategies and settings: what the engine and the reference must agree on.

Hypothesis draws the shape of a case (and shrinks it); bars and decisions come from seeds inside it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from framework.data.cash_flows import CashFlows, with_cash_flows
from framework.data.series import BarSeries
from framework.data.tape import Tape, build_tape
from framework.model.enums import CashKind
from framework.model.instrument import Instrument
from framework.strategy import Strategy
from tests.reference.authors import MINUTE, RandomFlow, RandomRule, RandomSizing, RandomSlippage, RandomUniverse
from tests.reference.market import Settings
from tests.reference.simulator import ReferenceStrategy

START = 1_704_067_200_000_000_000  # 2024-01-01

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


@dataclass(frozen=True)
class StrategyShape:
    """One use of a strategy: all symbols at once, or each for itself."""

    is_universe: bool
    symbols: tuple[int, ...]
    seed: int
    grid: float
    idle: int
    warm_up: int

    @property
    def params(self) -> dict[str, Any]:
        return {"seed": self.seed, "grid": self.grid, "idle": self.idle}

    @property
    def strategy_class(self) -> type[Strategy]:
        return RandomUniverse if self.is_universe else RandomFlow


@dataclass(frozen=True)
class Case:
    """One market, its strategies and settings; the numbers of the settings are those of reference.Settings."""

    symbols: tuple[SymbolShape, ...]
    strategies: tuple[StrategyShape, ...]
    numbers: dict[str, Any]
    slippage: dict[str, float]
    sizing: dict[str, float]
    rules: tuple[dict[str, float], ...]
    window: tuple[int, int] = field(default=(0, 0))
    """Minutes cut off from the start and the end of decisions."""

    @cached_property
    def tape(self) -> Tape:
        tape = build_tape([series(shape, f"S{i}") for i, shape in enumerate(self.symbols)], "24/7")
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
                decide=None if s.is_universe else RandomFlow.decide,
                decide_all=RandomUniverse.decide_all if s.is_universe else None,
                state=RandomFlow.state,
                params=s.params,
                tags=RandomFlow.tags,
                columns={symbol: {"before": self.closes_before(symbol)} for symbol in s.symbols},
                ready=self.ready(s),
            )
            for s in self.strategies
        ]

    def closes_before(self, symbol: int) -> list[float]:
        """Return at each bar of a symbol the close of the bar before."""
        first, last = self.tape.series[symbol : symbol + 2]
        return [math.nan, *map(float, self.tape.close[first : last - 1])]

    def reference_settings(self) -> Settings:
        """Return the settings as the reference takes them."""

        def slippage(reference: float, qty: float, bar: Any, mean_volume: float, volatility: float) -> float:
            fill = SimpleNamespace(reference=reference, qty=qty, bar=bar, mean_volume=mean_volume,
                                   volatility=volatility, p=SimpleNamespace(**self.slippage))  # fmt: skip
            return RandomSlippage.price(fill)

        def sizing(order: Any) -> float:
            order.p = SimpleNamespace(**self.sizing)
            return RandomSizing.size(order)

        rules = [as_reference_rule(params) for params in self.rules]
        return Settings(**self.numbers, slippage=slippage, sizing=sizing, rules=rules, start=self.start, end=self.end)


def as_reference_rule(params: dict[str, float]) -> Any:
    """Return a rule as the reference calls it."""

    def rule(order: Any) -> tuple[float, bool, float, float]:
        order.p = SimpleNamespace(**params)
        order.allowed, order.refused, order.value, order.limit = order.qty, 0, 0.0, 0.0
        RandomRule.check(order)
        return order.allowed, bool(order.refused), order.value, order.limit

    rule.max_slippage = params["slippage"]
    return rule


def series(shape: SymbolShape, symbol: str) -> BarSeries:
    """Return a random walk on a coarse grid, with gaps in price and time, ties, touches and bars without volume."""
    rng = random.Random(shape.seed)
    level, minute, rows = 40, shape.first_minute, []
    for i in range(shape.n_bars):
        if i and i % shape.session == 0:
            minute += 60 * rng.choice((1, 7, 20))
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
    instrument = Instrument(symbol, lot=shape.lot, tick=shape.tick, min_qty=shape.min_qty, multiplier=shape.multiplier,
                            min_notional=shape.min_notional, borrow_percent=shape.borrow_percent)  # fmt: skip
    times = [START + column * MINUTE for column in columns[:2]]
    prices = [column * shape.grid for column in columns[2:6]]
    return BarSeries(instrument, f"{shape.minutes}m", *times, *prices, columns[6])


def cash_flows(tape: Tape, number: int, shape: SymbolShape) -> CashFlows:
    """Return payments on a symbol at opens, at closes, inside bars and between them."""
    rng = random.Random(shape.seed + 1)
    kind = rng.choice((CashKind.DIVIDEND, CashKind.FUNDING))
    edges = [int(time) for time in (*tape.open_time, *tape.close_time)]
    times = sorted(rng.choice(edges) + rng.choice((0, 0, 1, -1, 30 * 10**9)) for _ in range(shape.flows))
    rates = [rng.choice((0.1, 0.25, 1.0) if kind == CashKind.DIVIDEND else (0.01, -0.02, 0.001)) for _ in times]
    return CashFlows(kind, np.array(times, np.int64), np.full(len(times), number, np.int64), np.array(rates))


def chance(*values: Any) -> st.SearchStrategy[Any]:
    """Draw one of some values; the first is the simplest."""
    return st.sampled_from(values)


@st.composite
def symbol_shapes(draw: Any, grid: float, begins: int) -> SymbolShape:
    """Draw the shape of a market."""
    return SymbolShape(
        n_bars=draw(st.integers(2, 40)),
        first_minute=begins + draw(chance(0, 0, 1, 7, 30)),
        minutes=draw(chance(1, 1, 2, 3, 5)),
        seed=draw(st.integers(0, 10**6)),
        grid=grid,
        tick=draw(chance(0.0, grid, 2 * grid, 0.3 * grid)),
        lot=draw(chance(1.0, 0.1, 3.0, 1e-4, 1e-8)),
        min_qty=draw(chance(0.0, 0.0, 2.0)),
        min_notional=draw(chance(0.0, 0.0, 100.0)),
        multiplier=draw(chance(1.0, 1.0, 2.0)),
        gap_share=draw(chance(0.0, 0.1, 0.5)),
        session=draw(chance(100, 12, 5)),
        borrow_percent=draw(chance(None, None, 0.0, 700.0)),
        flows=draw(chance(0, 0, 3, 20)),
    )


@st.composite
def cases(draw: Any) -> Case:
    """Draw a case."""
    grid = draw(chance(1.0, 0.5, 0.25))
    begins = draw(chance(0, 1_380, 1_425))
    symbols = tuple(draw(symbol_shapes(grid, begins)) for _ in range(draw(chance(1, 1, 2, 3, 4))))
    uses = []
    for _ in range(draw(chance(1, 2, 3))):
        mine = draw(st.sets(st.integers(0, len(symbols) - 1), min_size=1))
        is_universe, seed = draw(chance(False, False, True)), draw(st.integers(0, 10**6))
        idle, warm_up = draw(chance(0, 1, 3)), draw(chance(0, 0, 2))
        uses.append(StrategyShape(is_universe, tuple(sorted(mine)), seed, grid, idle, warm_up))
    numbers = {
        "capital": draw(chance(1_000.0, 300.0, 10_000.0)),
        "leverage": draw(chance(1.0, 1.0, 2.0, 0.5, 6.0, 12.0, 12.0)),
        "shorts": draw(chance(True, True, False)),
        "cash_buffer": draw(chance(0.0, 0.0025, 0.1)),
        "taker_bps": draw(chance(0.0, 10.0, 100.0)),
        "maker_bps": draw(chance(0.0, 5.0)),
        "per_share": draw(chance(0.0, 0.0, 0.05)),
        "per_order": draw(chance(0.0, 0.0, 1.0)),
        "minimum": draw(chance(0.0, 0.0, 2.0)),
        "participation": draw(chance(None, 0.1, 0.5)),
        "volume_window": draw(chance(20, 1, 3)),
        "limit_through": draw(chance(0.0, 0.0, 1.0)),
        "maintenance": draw(chance(0.0, 0.0, 0.0, 0.6, 0.95)),
        "close_at_end": draw(chance(False, False, True)),
        "delisted_after": draw(chance(7.0, 0.0, 0.01, 0.03)),
        "borrow_percent": draw(chance(0.0, 0.0, 400.0)),
        "interest_percent": draw(chance(0.0, 0.0, 90.0)),
        "loan_percent": draw(chance(0.0, 0.0, 300.0)),
    }
    slippage = {"fraction": draw(chance(0.0, 0.0, 0.01, -0.01)), "impact": draw(chance(0.0, 0.0, 0.1)),
                "spread": draw(chance(0.0, 0.0, 0.2)), "noise": draw(chance(0.0, 0.0, 0.5))}  # fmt: skip
    rule = st.fixed_dictionaries({"cap": chance(100.0, 6.0, 0.7), "step": chance(1_000, 7, 3),
                                  "heat": chance(10.0, 0.2), "most": chance(10, 1),
                                  "slippage": chance(10.0, 0.02, 0.0)})  # fmt: skip
    return Case(symbols, tuple(uses), numbers, slippage, {"fraction": draw(chance(0.1, 0.5, 2.0))},
                tuple(draw(st.lists(rule, max_size=2))), draw(chance((0, 0), (0, 0), (10, 5))))  # fmt: skip
