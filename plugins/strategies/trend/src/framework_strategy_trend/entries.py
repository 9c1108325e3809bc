"""What the strategies of this package share: an entry by side, and a condition that never holds."""

from __future__ import annotations

from typing import Any

from framework import buy, compiled, sell
from framework.indicators import Bars, Condition
from framework.strategy import UNSET


@compiled
def enter(now: Any, side: int, stop: float, target: float, trail: float = UNSET, trail_after: float = UNSET) -> None:
    """Buy (side 1), sell (side -1) or do nothing (side 0) with a stop, target and trail at distances from the fill."""
    if side > 0:
        buy(now, stop_offset=stop, target_offset=target, trail=trail, trail_after=trail_after)
    elif side < 0:
        sell(now, stop_offset=stop, target_offset=target, trail=trail, trail_after=trail_after)


def never(bars: Bars) -> Condition:
    """Return a condition that never holds: nobody has to be asked while stop and target watch a position."""
    return bars.close < 0.0
