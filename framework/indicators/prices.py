"""One price of a bar made of several, and the logarithm."""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.definition import indicator


@indicator(bar_inputs=("high", "low", "close"), parameters={}, lookback=lambda p: 0, source="TA-Lib TYPPRICE")
def typical_price(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Mean of high, low and close."""
    return (high + low + close) / 3.0


@indicator(bar_inputs=("high", "low"), parameters={}, lookback=lambda p: 0, source="TA-Lib MEDPRICE")
def median_price(s: Any, window: Any, high: float, low: float) -> float:
    """Middle of high and low."""
    return (high + low) / 2.0


@indicator(bar_inputs=("high", "low", "close"), parameters={}, lookback=lambda p: 0, source="TA-Lib WCLPRICE")
def weighted_close(s: Any, window: Any, high: float, low: float, close: float) -> float:
    """Mean of high, low and twice the close."""
    return (high + low + close * 2.0) / 4.0


@indicator(bar_inputs=("open", "high", "low", "close"), parameters={}, lookback=lambda p: 0, source="TA-Lib AVGPRICE")
def average_price(s: Any, window: Any, open: float, high: float, low: float, close: float) -> float:
    """Mean of open, high, low and close."""
    return (open + high + low + close) / 4.0


@indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="TA-Lib LN")
def log(s: Any, window: Any, x: float) -> float:
    """Natural logarithm; no value for 0 and below."""
    return math.log(x) if x > 0.0 else math.nan
