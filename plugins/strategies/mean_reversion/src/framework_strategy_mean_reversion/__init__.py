"""Strategies that go against a stretched price: `bollinger`, `zscore` and `rsi`.

This module is what the entry point names.  It imports the strategies when they are asked for, so that
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
    from framework_strategy_mean_reversion.reversion import BollingerReversion, RsiReversion, ZscoreReversion

    return [BollingerReversion, ZscoreReversion, RsiReversion]
