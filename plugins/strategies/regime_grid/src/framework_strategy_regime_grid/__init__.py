"""A ladder of resting limit orders whose width follows the market regime: `regime_grid`.

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
    from framework_strategy_regime_grid.strategy import RegimeGrid

    return [RegimeGrid]
