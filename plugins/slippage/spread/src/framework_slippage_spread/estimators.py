"""The bid-ask spread estimated from bars: two estimators of two consecutive bars each, to be averaged over a window."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators import indicator

CURVATURE = 3.0 - 2.0 * math.sqrt(2.0)


@indicator(bar_inputs=("high", "low", "close"), parameters={}, state={"close": float, "middle": float},
           lookback=lambda p: 1, source="Abdi and Ranaldo (2017), Review of Financial Studies 30, eq. 11")
def close_against_middles(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Product of the previous close's distances, in logs, from the middles of its own bar and of this one.

    Its mean is the square of half the relative spread: the close is at bid or ask, and both middles are free of it.
    """
    middle = 0.5 * (math.log(high) + math.log(low))
    product = (s.close - s.middle) * (s.close - middle)
    s.close = math.log(close)
    s.middle = middle
    return product  # type: ignore[no-any-return]


@indicator(bar_inputs=("high", "low", "close"), parameters={},
           state={"high": float, "low": float, "close": float, "square": float}, lookback=lambda p: 1,
           source="Corwin and Schultz (2012), Journal of Finance 67, eqs. 14 and 18")
def high_low_spread(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Relative spread of two bars: their ranges hold two variances and two spreads, their joint range two and one.

    The second bar is moved back by the gap between its range and the close before, as the paper does for nights; a
    negative estimate is 0.
    """
    square = math.log(high / low) ** 2
    spread = 0.0
    if s.count > 1:
        gap = max(0.0, s.close - high) + min(0.0, s.close - low)
        joint = math.log(max(high + gap, s.high) / min(low + gap, s.low)) ** 2
        both = s.square + square
        alpha = (math.sqrt(2.0 * both) - math.sqrt(both)) / CURVATURE - math.sqrt(joint / CURVATURE)
        spread = max(0.0, 2.0 * (math.exp(alpha) - 1.0) / (1.0 + math.exp(alpha)))
    s.high = high
    s.low = low
    s.close = close
    s.square = square
    return spread
