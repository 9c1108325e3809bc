"""The contracts of sizing rules and risk rules: how much, and whether at all.

Exactly one sizing rule says how much an opening without a quantity buys; then every risk rule of the config,
in its order, may reduce or refuse the opening.  Reductions never come here: what lowers the account's risk is
never blocked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from framework.boundary.jit import compiled
from framework.model.records import ORDER_CHECK, UNSET, record
from framework.parameters import Param, Plugin, state_fields, store_state

if TYPE_CHECKING:
    from framework.indicators import Bars, Expression

__all__ = ["UNSET", "Param", "RiskRule", "Rule", "SizingRule", "check_dtype", "compiled", "reduce", "refuse"]


class Rule(Plugin):
    """What sizing and risk rules share: indicators of the order's symbol and a memory of their own.

    `order` carries: qty, entry (expected fill price), stop and target (UNSET without one), side, kind, reference bar, position_qty (the
    slot's), symbol_qty (the account's net), symbol_pending (signed, working orders), available (currency), heat
    (currency, without this order), working_notional and committed_positions (working orders counted), symbol_committed,
    account, clock, instrument, ind, p, state.
    """

    state: ClassVar[Mapping[str, Any]] = {}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return named expressions over the order's symbol, read as `order.ind.NAME`."""
        return {}


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
def reduce(order, qty, value, limit):  # type: ignore[no-untyped-def]
    """Let at most `qty` through; value and limit (what was measured, what is allowed) go into the record."""
    if qty < order.allowed:
        order.allowed = max(0.0, qty)
        order.value = value
        order.limit = limit


@compiled
def refuse(order, value, limit):  # type: ignore[no-untyped-def]
    """Let nothing through; value and limit go into the record."""
    order.allowed = 0.0
    order.refused = 1
    order.value = value
    order.limit = limit


def check_dtype(rule: Rule, indicator_names: tuple[str, ...]) -> np.dtype:
    """Return the record layout of `order` for one rule: the header, `ind`, then its own names."""
    fields = [(name, ORDER_CHECK.fields[name][0]) for name in ORDER_CHECK.names]
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
