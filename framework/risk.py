"""The contracts of sizing rules and risk rules: how much, and whether at all.

Exactly one sizing rule says how much an opening without a quantity buys; then every risk rule of the config,
in its order, may reduce or refuse the opening.  Reductions never come here: what lowers the account's risk is
never blocked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from framework.boundary.jit import compiled
from framework.model.records import ORDER_CHECK, UNSET, record
from framework.parameters import Param, Plugin, fields_of, state_fields, store_state

if TYPE_CHECKING:
    from framework.indicators import Bars, Expression

__all__ = ["UNSET", "Param", "RiskRule", "Rule", "SizingRule", "check_dtype", "compiled", "reduce", "refuse"]


class Rule(Plugin):
    """What sizing and risk rules share: indicators of the order's symbol and a memory of their own.

    `order` carries:

    qty, side, kind      what is left of the opening when the rule is asked: units, BUY or SELL, OrderKind
    entry, stop, target  expected fill price, and the protective prices known now (UNSET without one)
    position_qty         of the slot; symbol_qty: the account's net; symbol_pending: signed, of working orders
    available            currency that openings may cost; heat: currency at risk without this order
    working_notional     currency, of working openings; committed_positions: symbols with a position or a working
                         opening; symbol_committed: whether this symbol is one of them
    bar, account, clock, instrument, ind, p, state
    """

    state: ClassVar[Mapping[str, Any]] = {}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return named expressions over the order's symbol, read as `order.ind.NAME`."""
        return {}

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

    watch: ClassVar[Any] = None
    """watch(order), optional: called at every mark with account and clock filled in, to keep `state`."""


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
