"""The contracts of sizing rules and risk rules: how much, and whether at all.

First the risk rules that protect give an opening its stop and target.  Exactly one sizing rule says how much an opening
without a quantity buys; then every risk rule of the config, in its order, may reduce or refuse the opening.  Reductions
never come here: what lowers the account's risk is never blocked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from framework.boundary.jit import compiled
from framework.model.records import ORDER_CHECK, UNSET, record
from framework.parameters import Param, Plugin, fields_of, state_fields, store_state

if TYPE_CHECKING:
    from framework.indicators import Bars, Expression

__all__ = ["UNSET", "Param", "RiskRule", "Rule", "SizingRule", "call_again", "check_dtype", "compiled", "flatten",
           "measured", "protect", "reduce", "refuse", "take_partial"]


class Rule(Plugin):
    """What sizing and risk rules share: indicators of the order's symbol and a memory of their own.

    `order` carries:

    qty, side, kind      what is left of the opening when the rule is asked: units, BUY or SELL, OrderKind
    reference, entry     the price without slippage (the close, a limit's or stop's own) and the expected fill price
    stop, target         the protective prices known now (UNSET without one)
    position_qty         of the slot; symbol_qty: the account's net; symbol_pending: signed, of what works on the
                         order's side
    available            currency that openings may cost; heat: currency at risk without this order; slot_heat: of it,
                         the slot's own
    carried              currency: exposure, where strategies hold both sides of a symbol that of the larger one;
                         proceeds: what exits at the next open free of it
    working_notional     currency, of working openings; committed_positions: symbols with a position or a working
                         opening; symbol_committed: whether this symbol is one of them
    correlation          the highest of the new position's daily returns with those of another symbol's position, over
                         `correlation_days`; -1 without another
    alert_at             shown to `watch` only: the share of a limit from which on `alerts` tell that it is near, inf
                         without
    past                 day, week, month of the account calendar and their equities at the start, round_trips,
                         losing_streak, trades_today, last_exit_time
    trips                the last `trip_window` round trips in sums: count, wins, losses, won, lost
    bar, account, clock, instrument, ind, p, state
    """

    state: ClassVar[Mapping[str, Any]] = {}

    @property
    def trip_window(self) -> int:
        """How many of the last round trips `order.trips` sums up."""
        return 0

    @property
    def correlation_days(self) -> int:
        """How many daily returns `order.correlation` compares."""
        return 0

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return named expressions over the order's symbol, read as `order.ind.NAME`."""
        return {}

    def clocks(self, exchange: str, close_time: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return named columns that depend on time alone, read as `order.ind.NAME`.

        exchange: of the symbol.  close_time: of its bars, ns UTC.  Each column float64, one value a bar.
        """
        return {}

    def outcome(self, state: Any) -> list[str]:
        """Return what the reader of a result should know of how the rule ended; state: its memory after the run."""
        return []

    def notes(self, columns: Sequence[Mapping[str, np.ndarray]]) -> list[str]:
        """Return what the reader of a result should know; columns: the indicators of each symbol, over all its bars."""
        return []


class SizingRule(Rule):
    """Base class of sizing rules."""

    @staticmethod
    def size(order: Any) -> float:
        """Return the quantity to open; buying power and the risk rules come after it."""
        return 0.0


class RiskRule(Rule):
    """Base class of risk rules."""

    @staticmethod
    def check(order: Any) -> None:
        """Leave the opening alone, `reduce` it or `refuse` it."""

    watch: Any = None
    """watch(order), optional: called at marks with account, past and clock filled in, to keep `state`.

    At every mark, unless it says by `call_again` when it wants to look next; then it is called at the first mark that
    this names, at the first of every day, after every round trip and whenever another rule is.
    """

    protect: Any = None
    """protect(order), optional: called before an opening is sized, to give it protection by `protect`.

    Filled in: reference, entry, stop, target, trail, trail_after, held_stop and held_target (the prices that protect
    the position it adds to), side, kind, position_qty, symbol_qty, bar, account, past, clock, instrument, ind.
    """

    @property
    def max_slippage(self) -> float:
        """How far from its reference price an opening may be filled by slippage, a fraction of it; inf for any.

        The core holds fills to it: an opening that would slip further is refused and ends as `slippage`.
        """
        return math.inf

    alert_kind: ClassVar[str] = ""
    """"position" or "loss": which threshold of the rule `alerts` holds for what it reports by `measured`."""


@compiled
def reduce(order: Any, qty: float, value: float, limit: float) -> None:
    """Let at most `qty` through; value and limit (what was measured, what is allowed) go into the record.

    A quantity that is not a number lets nothing through: a rule that cannot tell does not permit.
    """
    if not qty >= order.allowed:
        order.allowed = qty if qty > 0.0 else 0.0
        order.value = value
        order.limit = limit


@compiled
def refuse(order: Any, value: float, limit: float) -> None:
    """Let nothing through; value and limit go into the record."""
    order.allowed = 0.0
    order.refused = 1
    order.value = value
    order.limit = limit


@compiled
def measured(order: Any, value: float, limit: float) -> None:
    """Report what was measured against a limit above 0, whether it bites or not: the rule `alerts` looks at it."""
    if limit > 0.0 and value > order.nearness * limit:
        order.nearness = value / limit


@compiled
def protect(order: Any, stop: float = UNSET, target: float = UNSET, trail: float = UNSET,
            trail_after: float = UNSET) -> None:
    """Give an opening a stop or target price, or a trail with its threshold, in place of its own; for `protect` only.

    What the intent gave as an offset, or not at all, counts from the fill: as far from it as the price here is from
    `order.entry`.
    """
    if stop != UNSET:
        order.stop = stop
    if target != UNSET:
        order.target = target
    if trail != UNSET:
        order.trail = trail
        order.trail_after = trail_after


@compiled
def take_partial(order: Any, distance: float, share: float) -> None:
    """Have a share of the position closed by a limit when its profit reaches a distance; for `protect` only.

    distance: fraction of the entry price.  share: of the quantity with which the position begins, 0 for none.
    """
    order.partial_distance = distance
    order.partial_share = share


@compiled
def call_again(order: Any, below: float, above: float, margin: float = 0.0) -> None:
    """Say at which mark `watch` is to be called next: equity <= below, equity > above, equity < margin * exposure."""
    order.alarm_below = below
    order.alarm_above = above
    order.alarm_margin = margin


@compiled
def flatten(order: Any) -> None:
    """Have all orders cancelled and all positions closed at their next open; for `watch` only."""
    order.flattens = 1


def check_dtype(rule: Rule, indicator_names: tuple[str, ...]) -> np.dtype:
    """Return the record layout of `order` for one rule: the header, `ind`, then its own names."""
    fields: list[tuple[Any, ...]] = [*fields_of(ORDER_CHECK)]
    tails = (("ind", [(name, "f8") for name in indicator_names]), ("p", rule.param_fields()),
             ("state", state_fields(rule.state)))
    fields += [(name, record(*parts)) for name, parts in tails if parts]
    return record(*fields)


def store_rule(rule: Rule, order: Any) -> None:
    """Write parameters and the initial state into a rule's record."""
    if rule.params():
        rule.store_params(order["p"])
    if rule.state:
        store_state(order["state"], rule.state)
