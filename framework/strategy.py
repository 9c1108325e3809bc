"""The contract of a strategy: what an author writes and the verbs that express a view.

    class MaCross(Strategy):
        name = "ma_cross"
        fast = Param(20, low=2, high=200)
        slow = Param(50, low=5, high=400)

        def indicators(self, bars):
            return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

        @staticmethod
        def decide(now):
            if now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
                buy(now)
            elif now.position.qty > 0 and now.ind.fast < now.ind.slow:
                close_position(now)

`decide` is a pure function of what is known at a close.  It is compiled; called from Python it is the
same function.  A verb writes an intent into `now`; the step sizes it, asks the risk rules and places the
order, which can fill from the next open on.  Doing nothing is "no view", never an exit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from framework.boundary.jit import compiled
from framework.constraints import parse_constraint
from framework.model.enums import OrderKind, Side, TimeInForce, Verb
from framework.model.records import HEADER, MAX_ORDERS, UNSET, record
from framework.parameters import Param, Plugin, fields_of, state_fields, store_state

if TYPE_CHECKING:
    from framework.data import Tape
    from framework.indicators import Bars, Condition, Expression

__all__ = ["BUY", "DAY", "FOK", "GTC", "GTD", "IOC", "SELL", "UNSET", "Now", "Param", "Strategy", "Train", "buy",
           "cancel", "cancel_all", "close_position", "compiled", "move_stop", "place_limit", "place_stop",
           "place_stop_limit", "sell", "target"]

BUY = int(Side.BUY)
SELL = int(Side.SELL)
MARKET, LIMIT = int(OrderKind.MARKET), int(OrderKind.LIMIT)
STOP, STOP_LIMIT = int(OrderKind.STOP), int(OrderKind.STOP_LIMIT)
MARKET_ON_CLOSE = int(OrderKind.MARKET_ON_CLOSE)
GTC, DAY, GTD = int(TimeInForce.GTC), int(TimeInForce.DAY), int(TimeInForce.GTD)
IOC, FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
ORDER, CLOSE, TARGET = int(Verb.ORDER), int(Verb.CLOSE), int(Verb.TARGET)
CANCEL, CANCEL_ALL, MOVE_STOP = int(Verb.CANCEL), int(Verb.CANCEL_ALL), int(Verb.MOVE_STOP)


class Now:
    """What a decision sees: copies of everything known at this close; only `state` and `shared` can be written.

    bar       open_time, close_time [ns UTC], open, high, low, close, volume of the bar that closed
    ind, prev the indicators by the names of `indicators`, at this bar and at the bar before
    p         the parameters; tag: the declared tags
    state     this slot's own memory; shared: the memory of all slots of this strategy
    position  qty (signed), pending (signed quantity of working orders), entry_price, pnl (unrealised), stop and
              target (UNSET without one), high_water, bars_held
    account   equity, cash, buying_power, exposure, peak, drawdown (fraction), day_start_equity, open_positions
    clock     time_ns, minute (of the local day), weekday (Monday 0), bars_in_session, minutes_to_close, bars_held
    fills     since the last decision: fills[0 .. fill_count-1] with order_id, time, side, role, tag, qty, price, fee
    orders    working ones: orders[0 .. order_count-1] with order_id, side, kind, role, tag, qty (remaining), price
    model     what `fit` returned, for a strategy that has one
    """

    bar: Any
    ind: Any
    prev: Any
    p: Any
    tag: Any
    state: Any
    shared: Any
    position: Any
    account: Any
    clock: Any
    fills: Any
    orders: Any
    model: Any
    fill_count: int
    order_count: int
    universe: int
    fresh: bool
    age: int
    intents: Any
    intent_count: int
    intents_refused: int


@attrs.frozen(eq=False)
class Train:
    """What a strategy is trained on: bars that closed before `until`, and none of what comes after.

    tape: those bars, of all symbols of the run; the ones that closed before `start` are there to warm indicators up.
    symbols: those that the strategy looks at.  start, until: the training leg, ns UTC; start None: all that there is.
    seed: that of the run, for whatever is random in training.
    """

    strategy: Strategy
    tape: Tape
    symbols: tuple[str, ...]
    start: int | None
    until: int
    seed: int

    def rows(self, symbol: str) -> slice:
        """Return the rows of a symbol's bars of the training leg in the arrays of the tape."""
        own = self.tape.rows(self.tape.symbol_index(symbol))
        closes = self.tape.close_time[own]
        first = 0 if self.start is None else int(np.searchsorted(closes, self.start, side="left"))
        return slice(own.start + first, own.stop)

    def columns(self, symbol: str) -> dict[str, np.ndarray]:
        """Return the strategy's indicators by name, float64, one element for each of `rows(symbol)`; NaN while cold."""
        from framework.indicators import Bars, ColumnCache, evaluate

        number, cache = self.tape.symbol_index(symbol), ColumnCache()
        first = self.rows(symbol).start - self.tape.rows(number).start
        return {name: evaluate(expression, self.tape, number, cache)[first:]
                for name, expression in self.strategy.indicators(Bars(symbols=self.symbols)).items()}


class Strategy(Plugin):
    """Base class of strategies; one instance holds the parameters of one use of it.

    state    name -> initial value of this slot's memory (numbers, truth values, arrays of fixed shape)
    shared   the same, one for all slots of the strategy; with `decide_all` it is read at `nows[0].shared`
    tags     names of orders, seen as `now.tag.NAME` (1, 2, ... in this order; 0 is no tag)
    constraints   conditions between parameters that it is made for, such as "fast < slow": written as those of
             [optimize]; a run whose parameters do not satisfy one says so in its notes
    """

    state: ClassVar[Mapping[str, Any]] = {}
    shared: ClassVar[Mapping[str, Any]] = {}
    tags: ClassVar[tuple[str, ...]] = ()
    constraints: ClassVar[tuple[str, ...]] = ()

    def doubts(self) -> list[str]:
        """Return in a sentence each which constraints these parameters do not satisfy; ConfigError for a bad one."""
        values, told = self.values(), []
        for one in (parse_constraint(text, values) for text in self.constraints):
            if not one.holds(values):
                shown = ", ".join(f"{name} = {values[name]}" for name in values if name in one.names)
                told.append(f"{shown}, but it is made for {one.text}: so set, it does not do what it says")
        return told

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the named expressions that the decision reads as `now.ind.NAME` and `now.prev.NAME`."""
        return {}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Return where `decide` has to be asked: conditions under "flat", without a position, and "held", with one.

        It is an optional promise that makes runs faster: `decide` would do nothing at a close where the condition is
        false, so that it need not be asked there.  It is asked there all the same while the slot has working orders
        other than a position's stop and target, and after a fill or the end of an order.  Without a condition it is
        asked at every close.  `framework plugins check` proves on data that nothing is lost.
        """
        return {}

    def fit(self, train: Train) -> Any:
        """Return a model trained on the past, read by the decision as `now.model`; a strategy without one has no `fit`.

        It is called once per training leg: with the bars before `trained_until` of a backtest, with those of each
        training window of a walk-forward.  Decisions begin where training ended, and so do statistics.  It must give
        equal models for equal bars, parameters and `train.seed`, and decisions must not change the model.  A strategy
        with a model runs interpreted.
        """

    @classmethod
    def is_fitted(cls) -> bool:
        """Return whether the strategy is trained before it decides: whether it has a `fit` of its own."""
        return cls.fit is not Strategy.fit

    @staticmethod
    def decide(now: Now) -> None:
        """Look at one symbol at its close and express a view by verbs."""

    decide_all: ClassVar[Any] = None
    """decide_all(nows), instead of `decide`: once per instant over all slots of the strategy, in symbol order."""


@compiled
def buy(now: Any, qty: float = UNSET, weight: float = UNSET, stop: float = UNSET, stop_offset: float = UNSET,
        target: float = UNSET, target_offset: float = UNSET, trail: float = UNSET, trail_after: float = UNSET,
        priority: float = 0.0, tag: int = 0, group: int = 0, tif: int = GTC, until: int = 0, oco: int = 0,
        on_close: bool = False) -> None:
    """Buy at the next open: close a short position first, then open a long one.

    qty in units, or weight as a fraction of equity, or neither: then the sizing rule decides.
    stop, target are prices; stop_offset, target_offset distances from the fill price; trail is the distance of
    the stop from the high-water mark, active once the profit has reached trail_after (a distance as well).
    tif is how long the order works: GTC until it is cancelled, DAY for a session, GTD until the time `until` [ns UTC],
    IOC and FOK for one open: what that leaves is cancelled, and FOK fills all or nothing.
    oco: a fill of one of the slot's orders with the same number (not 0) ends the others.
    on_close: fill at the close of the next bar instead of at its open.
    """
    kind = MARKET_ON_CLOSE if on_close else MARKET
    _intend(now, ORDER, BUY, kind, 0, qty, weight, UNSET, stop, stop_offset, target, target_offset, trail,
            trail_after, priority, tag, group, tif, until, oco)


@compiled
def sell(now: Any, qty: float = UNSET, weight: float = UNSET, stop: float = UNSET, stop_offset: float = UNSET,
         target: float = UNSET, target_offset: float = UNSET, trail: float = UNSET, trail_after: float = UNSET,
         priority: float = 0.0, tag: int = 0, group: int = 0, tif: int = GTC, until: int = 0, oco: int = 0,
         on_close: bool = False) -> None:
    """Sell at the next open: close a long position first, then open a short one; arguments as for `buy`."""
    kind = MARKET_ON_CLOSE if on_close else MARKET
    _intend(now, ORDER, SELL, kind, 0, qty, weight, UNSET, stop, stop_offset, target, target_offset, trail,
            trail_after, priority, tag, group, tif, until, oco)


@compiled
def place_limit(now: Any, side: int, price: float, qty: float = UNSET, weight: float = UNSET, stop: float = UNSET,
                stop_offset: float = UNSET, target: float = UNSET, target_offset: float = UNSET,
                trail: float = UNSET, trail_after: float = UNSET, priority: float = 0.0, tag: int = 0,
                group: int = 0, reduce_only: bool = False, tif: int = GTC, until: int = 0, oco: int = 0) -> None:
    """Place a limit order (side BUY or SELL); IOC and FOK are for the next open only."""
    _intend(now, ORDER, side, LIMIT, reduce_only, qty, weight, price, stop, stop_offset, target, target_offset, trail,
            trail_after, priority, tag, group, tif, until, oco)


@compiled
def place_stop(now: Any, side: int, price: float, qty: float = UNSET, weight: float = UNSET, stop: float = UNSET,
               stop_offset: float = UNSET, target: float = UNSET, target_offset: float = UNSET,
               trail: float = UNSET, trail_after: float = UNSET, priority: float = 0.0, tag: int = 0,
               group: int = 0, reduce_only: bool = False, tif: int = GTC, until: int = 0, oco: int = 0) -> None:
    """Place a stop order (side BUY or SELL): a market order once the price has reached `price`.

    IOC and FOK count from then: what is not filled at once is cancelled.
    """
    _intend(now, ORDER, side, STOP, reduce_only, qty, weight, price, stop, stop_offset, target, target_offset, trail,
            trail_after, priority, tag, group, tif, until, oco)


@compiled
def place_stop_limit(now: Any, side: int, price: float, limit: float, qty: float = UNSET, weight: float = UNSET,
                     stop: float = UNSET, stop_offset: float = UNSET, target: float = UNSET,
                     target_offset: float = UNSET, trail: float = UNSET, trail_after: float = UNSET,
                     priority: float = 0.0, tag: int = 0, group: int = 0, reduce_only: bool = False, tif: int = GTC,
                     until: int = 0, oco: int = 0) -> None:
    """Place a stop-limit order (side BUY or SELL): a limit order at `limit` once the price has reached `price`.

    Reached inside a bar it is a limit from the next bar on; passed by an open it is a limit at that open.
    """
    _intend(now, ORDER, side, STOP_LIMIT, reduce_only, qty, weight, price, stop, stop_offset, target, target_offset,
            trail, trail_after, priority, tag, group, tif, until, oco, limit)


@compiled
def close_position(now: Any, fraction: float = 1.0, priority: float = 0.0, tag: int = 0,
                   on_close: bool = False) -> None:
    """Close the position, or a fraction of it, at the next open, or with on_close at the close of the next bar."""
    kind = MARKET_ON_CLOSE if on_close else MARKET
    _intend(now, CLOSE, 0, kind, 1, UNSET, fraction, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, priority,
            tag, 0)


@compiled
def target(now: Any, weight: float = UNSET, qty: float = UNSET, priority: float = 0.0, tag: int = 0,
           group: int = 0) -> None:
    """Order the difference between a wanted position and the present one, working orders included.

    weight is a signed fraction of equity, qty a signed quantity; 0 closes.
    """
    _intend(now, TARGET, 0, MARKET, 0, qty, weight, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, priority, tag,
            group)


@compiled
def cancel(now: Any, tag: int) -> None:
    """Cancel this slot's working orders with this tag; protective orders of the position stay."""
    _intend(now, CANCEL, 0, MARKET, 0, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 0.0, tag, 0)


@compiled
def cancel_all(now: Any) -> None:
    """Cancel this slot's working orders; protective orders of the position stay."""
    _intend(now, CANCEL_ALL, 0, MARKET, 0, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 0.0, 0, 0)


@compiled
def move_stop(now: Any, price: float) -> None:
    """Move the position's protective stop to `price`, or make one there."""
    _intend(now, MOVE_STOP, 0, STOP, 1, UNSET, UNSET, price, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 0.0, 0, 0)


@compiled
def _intend(now: Any, verb: int, side: int, kind: int, reduce_only: int, qty: float, weight: float, price: float,
            stop: float, stop_offset: float, target: float, target_offset: float, trail: float, trail_after: float,
            priority: float, tag: int, group: int, tif: int = GTC, until: int = 0, oco: int = 0,
            limit: float = UNSET) -> None:
    """Write one intent behind the others; beyond MAX_ORDERS it is counted as refused."""
    n = now.intent_count
    if n >= MAX_ORDERS:
        now.intents_refused += 1
        return
    now.intent_count = n + 1
    intent = now.intents[n]
    intent.verb = verb
    intent.side = side
    intent.kind = kind
    intent.reduce_only = reduce_only
    intent.qty = qty
    intent.weight = weight
    intent.price = price
    intent.stop = stop
    intent.stop_offset = stop_offset
    intent.target = target
    intent.target_offset = target_offset
    intent.trail = trail
    intent.trail_after = trail_after
    intent.priority = priority
    intent.tag = tag
    intent.group = group
    intent.tif = tif
    intent.until = until
    intent.oco = oco
    intent.limit = limit


def now_dtype(strategy: Strategy, indicator_names: tuple[str, ...]) -> np.dtype:
    """Return the record layout of `now` for one strategy: the header, then its own names.

    `ind` and `prev` come first, so that the step finds them at the header's end for every strategy.
    """
    fields: list[tuple[Any, ...]] = [*fields_of(HEADER)]
    if indicator_names:
        values = record(*((name, "f8") for name in indicator_names))
        fields += [("ind", values), ("prev", values)]
    tails = (("p", strategy.param_fields()), ("tag", [(name, "i8") for name in strategy.tags]),
             ("state", state_fields(strategy.state)), ("shared", state_fields(strategy.shared)))
    fields += [(name, record(*parts)) for name, parts in tails if parts]
    return record(*fields)


def shown_with_model(dtype: np.dtype) -> np.dtype:
    """Return the layout of `now` for a check of names, with the `model` that stands beside the record."""
    return record(*fields_of(dtype), ("model", "i8"))


def store_constants(strategy: Strategy, now: Any) -> None:
    """Write parameters, tags and the initial state into one record of `now`."""
    if strategy.params():
        strategy.store_params(now["p"])
    for number, name in enumerate(strategy.tags, start=1):
        now["tag"][name] = number
    if strategy.state:
        store_state(now["state"], strategy.state)
    if strategy.shared:
        store_state(now["shared"], strategy.shared)
