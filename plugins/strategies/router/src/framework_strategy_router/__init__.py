"""Trend, reversion or momentum by the regime of the market: `router`.

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
    from framework_strategy_router.strategy import Router

    return [Router]
