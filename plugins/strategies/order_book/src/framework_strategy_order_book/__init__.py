"""Order flow: `order_book_imbalance` goes with the heavier side of the book.

This module is what the entry point names.  It imports the strategy when it is asked for, so that
`framework --help` need not load the compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework import hookimpl

if TYPE_CHECKING:
    from framework import Strategy


@hookimpl
def register_strategies() -> list[type[Strategy]]:
    """Return the strategies of this package."""
    from framework_strategy_order_book.strategy import OrderBookImbalance

    return [OrderBookImbalance]
