"""Limits on a single order, whatever the account holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.risk import Param, RiskRule, refuse
from framework.rules.order import require_order


class OrderValidation(RiskRule):
    """Refuse an opening whose size, value, price or expected slippage lies outside of the limits.

    Size is what came to the rule, value is that at the expected fill price, price is the reference: the close, or a
    limit's or stop's own. Slippage is the cost of the fill against the reference, percent of it: the expected one, and
    once more that of the fill itself.
    """

    name = "order_validation"
    min_order_size = Param(1.0, low=0.0, doc="units")
    max_order_size = Param(1_000.0, low=0.0, doc="units")
    max_order_value = Param(10_000.0, low=0.0, doc="currency")
    min_price = Param(0.01, low=0.0, doc="currency")
    max_price = Param(10_000.0, low=0.0, doc="currency")
    max_slippage_percent = Param(0.5, low=0.0, least=0.01, high=100.0, unit="percent",
                                 doc="percent of the reference price")

    @property
    def max_slippage(self) -> float:
        """Hold fills to the same limit as decisions."""
        return float(self.values()["max_slippage_percent"]) / 100.0

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters; ConfigError also when a least value is above its greatest."""
        values: dict[str, Any] = super().validate(params)
        require_order(cls.name, values, values, "min_order_size", "max_order_size")
        require_order(cls.name, values, values, "min_price", "max_price")
        return values

    @staticmethod
    def check(order: Any) -> None:
        """Refuse outside of the limits; the first that is broken is recorded."""
        p = order.p
        value = order.qty * order.entry * order.instrument.multiplier
        slippage = 100.0 * order.side * (order.entry - order.reference) / order.reference
        if order.reference < p.min_price:
            refuse(order, order.reference, p.min_price)
        elif order.reference > p.max_price:
            refuse(order, order.reference, p.max_price)
        elif order.qty < p.min_order_size:
            refuse(order, order.qty, p.min_order_size)
        elif order.qty > p.max_order_size:
            refuse(order, order.qty, p.max_order_size)
        elif value > p.max_order_value:
            refuse(order, value, p.max_order_value)
        elif slippage > p.max_slippage_percent * (1.0 + 1e-9):
            refuse(order, slippage, p.max_slippage_percent)
