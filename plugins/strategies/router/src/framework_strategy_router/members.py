"""The strategies that the router chooses between: each says which side it would enter, and when it would leave.

A side is 1 (long), -1 (short) or 0 (no view). They read the router's `now`.
"""

from __future__ import annotations

from typing import Any

from framework import compiled


@compiled
def trend_side(now: Any) -> int:
    """Return the side of three stacked EMAs."""
    ind = now.ind
    if ind.fast > ind.middle and ind.middle > ind.slow:
        return 1
    if ind.fast < ind.middle and ind.middle < ind.slow:
        return -1
    return 0


@compiled
def leaves_trend(now: Any, side: float) -> bool:
    """Return whether the fast and the middle EMA no longer lie as the side needs them."""
    return bool(side * (now.ind.fast - now.ind.middle) < 0.0)


@compiled
def reversion_side(now: Any) -> int:
    """Return the side against a touch of a Bollinger band, before the close is back at the middle."""
    bar, ind = now.bar, now.ind
    if bar.low <= ind.lower and bar.close < ind.band:
        return 1
    if bar.high >= ind.upper and bar.close > ind.band:
        return -1
    return 0


@compiled
def leaves_reversion(now: Any, side: float) -> bool:
    """Return whether the close is back at the middle band."""
    return bool(side * (now.bar.close - now.ind.band) >= 0.0)


@compiled
def momentum_side(now: Any) -> int:
    """Return the side of an RSI between 60 and 80 (20 and 40) with which MACD agrees."""
    ind = now.ind
    if 60.0 <= ind.rsi <= 80.0 and ind.histogram > 0.0:
        return 1
    if 20.0 <= ind.rsi <= 40.0 and ind.histogram < 0.0:
        return -1
    return 0


@compiled
def leaves_momentum(now: Any, side: float) -> bool:
    """Return whether MACD has turned against the side."""
    return bool(side * now.ind.histogram < 0.0)
