"""Strategies that go with the move: crosses, stacked averages, momentum, breakouts, supertrend.

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
    from framework_strategy_trend.breakouts import QuickFlip, RangeBreakout
    from framework_strategy_trend.crosses import EmaCross, MaCross
    from framework_strategy_trend.following import Supertrend, TrendFollowing
    from framework_strategy_trend.momentum import Momentum, MomentumScalper

    return [MaCross, EmaCross, TrendFollowing, Momentum, MomentumScalper, RangeBreakout, QuickFlip, Supertrend]
