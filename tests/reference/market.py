"""The nouns of the market: rounding, settings, bars, orders and the rows of the tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from framework.model.enums import OrderKind, OrderStatus, Role, TimeInForce, Verb
from framework.model.records import UNSET

NAN = math.nan
PROTECTIVE = (Role.STOP, Role.TRAIL, Role.TARGET, Role.LIQUIDATION, Role.HALT)


def forgiven(n: float) -> float:
    """Return how far a number of steps may miss a whole one: a billionth, and dozens of roundings."""
    return 1e-9 + 64 * 2**-52 * abs(n)


def down(x: float, step: float) -> float:
    """Round x down to a multiple of step; 0 is no step."""
    return x if step == 0 else math.floor(x / step + forgiven(x / step)) * step


def up(x: float, step: float) -> float:
    """Round x up to a multiple of step; 0 is no step."""
    return x if step == 0 else math.ceil(x / step - forgiven(x / step)) * step


def round_limit(price: float, side: int, tick: float) -> float:
    """Round a limit price: a buy down, a sell up."""
    return down(price, tick) if side > 0 else up(price, tick)


def round_stop(price: float, side: int, tick: float) -> float:
    """Round a stop price, or the fill price of a market or stop order: a buy up, a sell down."""
    return up(price, tick) if side > 0 else down(price, tick)


def is_tighter(side: int, level: float, price: float) -> bool:
    """Return whether a stop of a long (+1) or short position is nearer to the market, by more than rounding."""
    return side * (level - price) > 64 * 2**-52 * abs(price)


def snap(quantity: float, lot: float) -> float:
    """Return 0 for a quantity that is too small to count: below 1e-3 lots, or 1e-12 without a lot."""
    return 0.0 if abs(quantity) < (1e-3 * lot if lot else 1e-12) else quantity


def on_lots(quantity: float, lot: float) -> float:
    """Return the whole number of lots that a quantity is but for a thousandth of one; else the quantity."""
    if not lot:
        return snap(quantity, lot)
    whole = math.floor(quantity / lot + 0.5) * lot
    return whole if abs(quantity - whole) < 1e-3 * lot else quantity


def freed(net: float, side: int, lot: float) -> float:
    """Return how much of an order only takes a net quantity back, and so needs no buying power."""
    return on_lots(max(0.0, -side * net), lot)


@dataclass
class Bar:
    """One bar; all zero before a symbol has any."""

    open_time: int = 0
    close_time: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    minutes_to_close: int = 0


def no_slippage(reference: float, qty: float, bar: Bar, mean_volume: float, volatility: float) -> float:
    """Fill at the reference."""
    return reference


@dataclass
class Settings:
    """The rules of one run that are not in the tape; money in the account currency, bps of the notional."""

    capital: float = 100_000.0
    leverage: float = 1.0
    shorts: bool = True
    cash_buffer: float = 0.0
    taker_bps: float = 0.0
    maker_bps: float = 0.0
    per_share: float = 0.0
    per_order: float = 0.0
    minimum: float = 0.0
    participation: float | None = None
    volume_window: int = 20
    volume_basis: str = "mean"
    limit_through: float = 0.0
    slippage: Callable[[float, float, Bar, float, float], float] = no_slippage
    sizing: Callable[[Any], float] = lambda order: 0.0
    rules: list[Any] = field(default_factory=list)
    """Functions of an opening that return (allowed, refused, value, limit), or rules of tests.reference.rules."""
    start: int = -(2**63)
    end: int = 2**63 - 1
    maintenance: float = 0.0
    close_at_end: bool = False
    delisted_after: float = 7.0
    borrow_percent: float = 0.0
    interest_percent: float = 0.0
    loan_percent: float = 0.0
    tax: Any = None
    """TaxRules of a tax that is paid inside the run."""

    def bps(self, kind: int) -> float:
        """Return the fee of a kind of order: limits make, the others take."""
        return self.maker_bps if kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT) else self.taker_bps

    def unit_cost(self, price: float, multiplier: float, kind: int) -> float:
        """Return what one unit costs with its fees."""
        return price * multiplier * (1 + self.bps(kind) / 10_000) + self.per_share

    @property
    def fixed_cost(self) -> float:
        """Return what an order costs however small it is."""
        return max(self.per_order, self.minimum)


@dataclass
class Intent:
    """What one verb asked for; the fields of records.INTENT."""

    verb: int = Verb.ORDER
    side: int = 0
    kind: int = OrderKind.MARKET
    reduce_only: int = 0
    tag: int = 0
    group: int = 0
    qty: float = UNSET
    weight: float = UNSET
    price: float = UNSET
    priority: float = 0.0
    stop: float = UNSET
    stop_offset: float = UNSET
    target: float = UNSET
    target_offset: float = UNSET
    trail: float = UNSET
    trail_after: float = UNSET
    tif: int = TimeInForce.GTC
    until: int = 0
    limit: float = UNSET
    oco: int = 0

    def given(self, name: str) -> float | None:
        """Return an optional number, None when the author left it out."""
        value = getattr(self, name)
        return None if value == UNSET else float(value)


@dataclass
class Bracket:
    """The exits that an opening carries until its first fill."""

    stop: float | None = None
    stop_offset: float | None = None
    target: float | None = None
    target_offset: float | None = None
    trail: float | None = None
    trail_after: float | None = None

    @classmethod
    def of(cls, intent: Intent) -> Bracket:
        """Return what an intent named."""
        return cls(*(intent.given(name) for name in cls.__dataclass_fields__))

    def stop_at(self, entry: float, side: int) -> tuple[float | None, bool]:
        """Return the first price of the stop for an entry price, and whether it is the trail's."""
        level = self.stop
        if level is None and self.stop_offset is not None:
            level = entry - side * self.stop_offset
        if self.trail is not None and self.trail_after is None:
            trailing = entry - side * self.trail
            if level is None or is_tighter(side, trailing, level):
                return trailing, True
        return level, False

    def target_at(self, entry: float, side: int) -> float | None:
        """Return the price of the target for an entry price."""
        if self.target is not None:
            return self.target
        return None if self.target_offset is None else entry + side * self.target_offset

    @property
    def names_stop(self) -> bool:
        """Return whether any of stop, stop_offset and trail was named."""
        return not (self.stop is None and self.stop_offset is None and self.trail is None)


@dataclass(eq=False)
class Order:
    """One order; qty of a protective one is 0, its price is NaN while it has none."""

    slot: int
    symbol: int
    side: int
    kind: int
    role: int
    qty: float
    price: float
    reduce_only: bool
    placed_time: int
    active_from: int
    tag: int = 0
    group: int = 0
    parent: int = -1
    id: int = -1
    status: int = OrderStatus.WORKING
    ended_time: int = -1
    remaining: float = 0.0
    filled: float = 0.0
    filled_value: float = 0.0
    born_inside: int = -1
    """The close of the bar in whose range phase the order was born."""
    bracket: Bracket | None = None
    """None for reductions, protective orders and openings that have made theirs."""
    trail: float | None = None
    trail_after: float | None = None
    next_price: float | None = None
    """A move_stop that takes effect at the symbol's next open."""
    entry: float = 0.0
    """Expected entry price of an opening, and what one unit of it loses at the stop that was known."""
    risk_each: float = 0.0
    reserved_qty: float = 0.0
    unit_cost: float = 0.0
    accepted_mark: float = 0.0
    fee_raw: float = 0.0
    fee_charged: float = 0.0
    has_paid: bool = False
    tif: int = TimeInForce.GTC
    oco: int = 0
    call: int = -1
    """The place of its intent among those of the decision."""
    limit: float = NAN
    """Of a stop-limit, also after it has become a limit."""
    is_sized: bool = False
    """Whether the sizing rule said how much."""
    partial: tuple[float, float] | None = None
    """Of an opening: distance of the first target, a fraction of the entry price, and the share it closes."""
    expires: int | None = None
    """When a DAY or GTD order ends; None while the session of a DAY order has not begun."""

    @property
    def until(self) -> int:
        return self.expires or 0

    @property
    def protective(self) -> bool:
        return self.role in PROTECTIVE

    def is_sibling(self, other: Order) -> bool:
        """Return whether the fill of one ends the other: same number, same slot, and not two parts of one intent."""
        is_one_intent = (self.placed_time, self.call) == (other.placed_time, other.call)
        return self.oco == other.oco != 0 and self.slot == other.slot and not is_one_intent

    @property
    def working(self) -> bool:
        return self.status == OrderStatus.WORKING

    @property
    def average_price(self) -> float:
        return self.filled_value / self.filled if self.filled else NAN


@dataclass
class Fill:
    """One execution; slippage is its cost in currency, position the slot's after it."""

    order_id: int
    time: int
    bar: int
    slot: int
    symbol: int
    side: int
    role: int
    tag: int
    qty: float
    price: float
    reference: float
    fee: float
    slippage: float
    position: float
    is_maker: bool
    is_cross: bool
    is_gapped: bool


@dataclass
class Refusal:
    """One intent refused (allowed 0) or reduced."""

    time: int
    slot: int
    symbol: int
    side: int
    verb: int
    reason: int
    asked: float
    allowed: float
    value: float
    limit: float


@dataclass
class Mark:
    """The account after one CLOSE group."""

    time: int
    equity: float
    cash: float
    exposure: float


@dataclass
class Day:
    """The account at the last mark of one day of the account calendar."""

    day: int
    time: int
    equity: float
    exposure: float


@dataclass
class ReferenceResult:
    """The tables of a run in the order in which things happened, and its counters."""

    orders: list[Order]
    fills: list[Fill]
    trades: list[Any]
    refusals: list[Refusal]
    marks: list[Mark]
    days: list[Day]
    cash_flows: list[Any]
    counters: dict[str, int]
    positions: list[float]
    flattened: list[int] = field(default_factory=list)
    """The rules that had everything closed, once for every mark at which they did."""
    protected: Counter[int] = field(default_factory=Counter)
    """By rule: how many orders and targets it gave a stop, a trail or a target, or another one."""
    alerts: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """By rule: when an opening was near one of its limits, and how near."""
    watching: set[int] = field(default_factory=set)
    """Rules that are asked about marks as well, where the reference counts no alerts."""
    carried: list[float] = field(default_factory=list)
    """Losses of earlier tax years that lowered a taxable gain."""
    told: dict[int, dict[str, int]] = field(default_factory=dict)
    """By rule: halts and trips, counted at the end."""
