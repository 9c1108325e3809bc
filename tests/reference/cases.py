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

from framework.data.series import BarSeries
from framework.data.tape import Tape, build_tape
from framework.model.instrument import Instrument
from framework.risk import RiskRule, SizingRule, reduce, refuse
from framework.slippage import SlippageModel
from framework.strategy import (
    BUY,
    SELL,
    UNSET,
    Param,
    Strategy,
    buy,
    cancel,
    cancel_all,
    close_position,
    compiled,
    move_stop,
    place_limit,
    place_stop,
    sell,
    target,
)
from tests.reference.market import Settings
from tests.reference.simulator import ReferenceStrategy

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01
MODULUS = 2_147_483_647
MANY = 45
"""More intents than a decision may have."""

# --- what the authors of a case wrote ---------------------------------------------------------------------------------


@compiled
def draw(now, n):
    """Return a whole number in [0, n) from the slot's own generator (Park and Miller 1988)."""
    now.state.rng = (now.state.rng * 48271) % MODULUS
    return (now.state.rng // 8) % n


@compiled
def stir(now):
    """Mix the time and the price of this bar into the slot's generator."""
    minute = now.clock.time_ns // MINUTE
    mixed = now.state.rng + now.p.seed * 7919 + (minute % 1_000_003) * 31 + int(now.bar.close * 8.0) * 101
    now.state.rng = 1 + mixed % (MODULUS - 1)


@compiled
def act(now):
    """Express one random view."""
    close = now.bar.close
    grid = now.p.grid
    side = BUY if draw(now, 2) == 0 else SELL
    verb = draw(now, 16)
    if now.position.qty == 0.0 and verb in (10, 11, 14, 15) and draw(now, 8) > 0:
        verb = draw(now, 10)
    tag = draw(now, 6)
    tag = tag if tag < 4 else 0
    group = draw(now, 8)
    group = group if group < 3 else 0
    priority = float(draw(now, 3))
    reduce_only = draw(now, 6) == 0
    qty = UNSET
    weight = UNSET
    size = draw(now, 8)
    if size < 4:
        qty = 0.5 * (1 + draw(now, 40))
    elif size < 6:
        weight = 0.1 * (1 + draw(now, 12))
    price = close + grid * 0.5 * (draw(now, 17) - 8)
    stop = UNSET
    stop_offset = UNSET
    goal = UNSET
    target_offset = UNSET
    trail = UNSET
    trail_after = UNSET
    named = draw(now, 6)
    if named == 0 or named == 1:
        stop = close - side * grid * 0.5 * (draw(now, 12) - 1)
    elif named == 2:
        stop_offset = grid * 0.5 * (draw(now, 9) + 1)
    named = draw(now, 6)
    if named == 0 or named == 1:
        goal = close + side * grid * 0.5 * (draw(now, 12) - 1)
    elif named == 2:
        target_offset = grid * 0.5 * (draw(now, 9) + 1)
    if draw(now, 4) == 0:
        trail = grid * 0.5 * (draw(now, 8) + 1)
        if draw(now, 2) == 0:
            trail_after = grid * 0.5 * draw(now, 6)
    if draw(now, 40) == 0:
        bad = draw(now, 11)
        if bad == 0:
            qty = math.nan
        elif bad == 1:
            stop = math.nan
        elif bad == 2:
            price = -1.0
        elif bad == 3:
            qty = 0.0
        elif bad == 4:
            stop_offset = -grid
        elif bad == 5:
            trail = 0.0
        elif bad == 6:
            trail_after = -1.0
        elif bad == 7:
            priority = math.nan
        elif bad == 8:
            price = 0.01 * grid
        elif bad == 9:
            side = 3 * side
        else:
            goal = math.inf
    if verb < 3:
        buy(now, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal, target_offset=target_offset,
            trail=trail, trail_after=trail_after, priority=priority, tag=tag, group=group)  # fmt: skip
    elif verb < 6:
        sell(now, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal, target_offset=target_offset,
             trail=trail, trail_after=trail_after, priority=priority, tag=tag, group=group)  # fmt: skip
    elif verb < 8:
        place_limit(now, side, price, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal,
                    target_offset=target_offset, trail=trail, trail_after=trail_after, priority=priority, tag=tag,
                    group=group, reduce_only=reduce_only)  # fmt: skip
    elif verb < 10:
        place_stop(now, side, price, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal,
                   target_offset=target_offset, trail=trail, trail_after=trail_after, priority=priority, tag=tag,
                   group=group, reduce_only=reduce_only)  # fmt: skip
    elif verb == 10:
        close_position(now, 1.0 + 0.5 * draw(now, 2), priority=priority, tag=tag)
    elif verb == 11:
        close_position(now, 0.1 * (1 + draw(now, 9)), priority=priority, tag=tag)
    elif verb == 12:
        if draw(now, 3) == 0:
            target(now, qty=0.0, priority=priority)
        elif draw(now, 2) == 0:
            wanted = 0.5 * (draw(now, 41) - 20)
            target(now, qty=wanted if draw(now, 20) > 0 else UNSET, priority=priority, tag=tag, group=group)
        else:
            target(now, weight=0.1 * (draw(now, 21) - 10), priority=priority, tag=tag, group=group)
    elif verb == 13:
        if draw(now, 4) == 0:
            cancel_all(now)
        else:
            cancel(now, 1 + draw(now, 3))
    else:
        steps = draw(now, 7) - 1
        move_stop(now, close - (grid * 0.5 * steps if now.position.qty > 0 else -grid * 0.5 * steps))


@compiled
def look(now):
    """Let what the decision sees of its position and orders weigh in, so that a wrong view shows."""
    seen = now.position.bars_held + 3 * now.order_count + 7 * now.fill_count
    if now.position.qty > 0:
        seen += 11
    if now.position.pending > 1e-6:
        seen += 13
    if now.position.pnl > 1e-6:
        seen += 19
    if now.position.high_water > now.bar.close + 1e-6:
        seen += 23
    if now.ind.before < now.bar.close:
        seen += 29
    if now.prev.before > now.ind.before:
        seen += 31
    for i in range(now.order_count):
        seen += 37 * now.orders[i].kind + 41 * now.orders[i].tag + 43 * now.orders[i].role + 47 * now.orders[i].side
    for i in range(now.fill_count):
        seen += 53 * now.fills[i].role + 59 * now.fills[i].tag + 61 * now.fills[i].side
    seen += 67 * now.account.open_positions + now.clock.minute + now.clock.bars_in_session + now.clock.bars_held
    seen += now.age // MINUTE
    if now.fresh:
        seen += 71
    if now.position.stop > 0 and now.position.stop >= now.bar.close - now.p.grid:
        seen += 17
    now.state.rng = 1 + (now.state.rng + seen) % (MODULUS - 1)


class RandomFlow(Strategy):
    """Act at random, once to three times (now and then far too often), on some of the bars."""

    name = "random_flow"
    seed = Param(1, low=0, high=1_000_000)
    grid = Param(1.0, low=0.0)
    idle = Param(2, low=0, high=20)
    state = {"rng": 0}  # noqa: RUF012
    tags = ("a", "b", "c")

    def indicators(self, bars):
        return {"before": bars.close.shift(1)}

    @staticmethod
    def decide(now):
        stir(now)
        look(now)
        if draw(now, now.p.idle + 1) == 0:
            for _ in range(MANY if draw(now, 120) == 0 else 1 + draw(now, 3)):
                act(now)


class RandomUniverse(Strategy):
    """Act at random on all symbols at once, also on those whose bar is not fresh."""

    name = "random_universe"
    seed = Param(1, low=0, high=1_000_000)
    grid = Param(1.0, low=0.0)
    idle = Param(2, low=0, high=20)
    state = {"rng": 0}  # noqa: RUF012
    tags = ("a", "b", "c")

    def indicators(self, bars):
        return {"before": bars.close.shift(1)}

    @staticmethod
    def decide_all(nows):
        for i in range(len(nows)):
            now = nows[i]
            if now.bar.close > 0.0:
                stir(now)
                look(now)
                if draw(now, now.p.idle + 1) == 0:
                    for _ in range(1 + draw(now, 2)):
                        act(now)


class RandomSlippage(SlippageModel):
    """Costs in proportion to price, to size over volume, to the last bar's range and to volatility; may be negative."""

    name = "random_slippage"
    fraction = Param(0.0)
    impact = Param(0.0)
    spread = Param(0.0)
    noise = Param(0.0)

    @staticmethod
    def price(fill):
        share = min(2.0, abs(fill.qty) / (fill.mean_volume + 1.0))
        cost = fill.reference * (fill.p.fraction + fill.p.impact * share + fill.p.noise * fill.volatility)
        cost += fill.p.spread * (fill.bar.high - fill.bar.low)
        return fill.reference + cost if fill.qty > 0.0 else fill.reference - cost


class RandomSizing(SizingRule):
    """Risk a fraction of equity to the stop; without one, spend a fraction of it; now and then nothing."""

    name = "random_sizing"
    fraction = Param(0.1)

    @staticmethod
    def size(order):
        if int(order.entry * 4.0) % 11 == 0:
            return math.nan
        if order.stop != UNSET:
            return order.account.equity * order.p.fraction * 0.1 / abs(order.entry - order.stop)
        return order.account.equity * order.p.fraction / order.entry


class RandomRule(RiskRule):
    """Cap the quantity, what may be lost and what working orders may cost, and refuse at some prices."""

    name = "random_rule"
    cap = Param(10.0)
    step = Param(7)
    heat = Param(10.0)
    most = Param(10)

    @staticmethod
    def check(order):
        if not order.symbol_committed and order.committed_positions >= order.p.most:
            refuse(order, order.committed_positions, order.p.most)
            return
        each = order.entry if order.stop == UNSET else abs(order.entry - order.stop)
        most = order.account.equity * order.p.heat
        if order.heat + order.qty * each > most and each > 0.0:
            reduce(order, (most - order.heat) / each, order.heat, most)
        if order.working_notional + order.qty * order.entry > 4.0 * most:
            reduce(order, (4.0 * most - order.working_notional) / order.entry, order.working_notional, order.available)
        if order.symbol_pending * order.side > order.qty + 1e-6:
            reduce(order, order.qty * 0.75, order.symbol_pending, order.position_qty)
        if int(order.bar.close * 4.0) % order.p.step == 0:
            refuse(order, order.entry, 1.5)
        elif order.symbol_qty * order.side > 0.0:
            reduce(order, order.qty * 0.5, order.qty, 2.5)
        else:
            reduce(order, order.p.cap, order.qty, order.p.cap)


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
        return build_tape([series(shape, f"S{i}") for i, shape in enumerate(self.symbols)], "24/7")

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
                            min_notional=shape.min_notional)  # fmt: skip
    times = [START + column * MINUTE for column in columns[:2]]
    prices = [column * shape.grid for column in columns[2:6]]
    return BarSeries(instrument, f"{shape.minutes}m", *times, *prices, columns[6])


def chance(*values: Any) -> st.SearchStrategy[Any]:
    """Draw one of some values; the first is the simplest."""
    return st.sampled_from(values)


@st.composite
def symbol_shapes(draw: Any, grid: float) -> SymbolShape:
    """Draw the shape of a market."""
    return SymbolShape(
        n_bars=draw(st.integers(2, 40)),
        first_minute=draw(chance(0, 0, 1, 7, 30)),
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
    )


@st.composite
def cases(draw: Any) -> Case:
    """Draw a case."""
    grid = draw(chance(1.0, 0.5, 0.25))
    symbols = tuple(draw(symbol_shapes(grid)) for _ in range(draw(chance(1, 1, 2, 3, 4))))
    uses = []
    for _ in range(draw(chance(1, 2, 3))):
        mine = draw(st.sets(st.integers(0, len(symbols) - 1), min_size=1))
        is_universe, seed = draw(chance(False, False, True)), draw(st.integers(0, 10**6))
        idle, warm_up = draw(chance(0, 1, 3)), draw(chance(0, 0, 2))
        uses.append(StrategyShape(is_universe, tuple(sorted(mine)), seed, grid, idle, warm_up))
    numbers = {
        "capital": draw(chance(1_000.0, 300.0, 10_000.0)),
        "leverage": draw(chance(1.0, 1.0, 2.0, 0.5, 6.0)),
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
    }
    slippage = {"fraction": draw(chance(0.0, 0.0, 0.01, -0.01)), "impact": draw(chance(0.0, 0.0, 0.1)),
                "spread": draw(chance(0.0, 0.0, 0.2)), "noise": draw(chance(0.0, 0.0, 0.5))}  # fmt: skip
    rule = st.fixed_dictionaries({"cap": chance(100.0, 6.0, 0.7), "step": chance(1_000, 7, 3), "heat": chance(10.0, 0.2),
                                  "most": chance(10, 1)})
    return Case(symbols, tuple(uses), numbers, slippage, {"fraction": draw(chance(0.1, 0.5, 2.0))},
                tuple(draw(st.lists(rule, max_size=2))), draw(chance((0, 0), (0, 0), (10, 5))))  # fmt: skip
