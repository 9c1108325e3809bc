"""Indicators of price and volume together."""

from __future__ import annotations

import math
from typing import Any

from framework.boundary.fused import fma
from framework.indicators.blocks import MOMENTS, ROUNDING, helper, kept_by, next_place, update_moments, window_sums
from framework.indicators.definition import Place, indicator, length


@indicator(bar_inputs=("close", "volume"), parameters={}, state={"before": float, "total": float},
           lookback=lambda p: 0, source="Granville (1963), TA-Lib OBV")
def obv(s: Any, window: Any, close: float, volume: float) -> float:
    """On-balance volume: the volume of bars that closed higher less that of bars that closed lower, since the first."""
    side = (1.0 if close > s.before else 0.0) - (1.0 if close < s.before else 0.0)
    s.total += volume * (side if s.seen > 1 else 1.0)
    s.before = close
    return s.total  # type: ignore[no-any-return]


@helper
def flow(high: float, low: float, close: float, volume: float) -> float:
    """Return the volume times the place of the close in its bar: -1 at the low, 1 at the high, 0 without a range."""
    return ((close - low) - (high - close)) / (high - low) * volume if high > low else 0.0


@indicator(bar_inputs=("high", "low", "close", "volume"), parameters={}, state={"total": float}, lookback=lambda p: 0,
           source="Chaikin, TA-Lib AD")
def ad_line(s: Any, window: Any, high: float, low: float, close: float, volume: float) -> float:
    """Chaikin's accumulation/distribution line: the sum of volume times the place of the close in its bar, -1 to 1."""
    s.total += flow(high, low, close, volume)
    return s.total  # type: ignore[no-any-return]


@indicator(bar_inputs=("high", "low", "close", "volume"), parameters={"fast": length(2, 3), "slow": length(2, 10)},
           state={"fast_lag": float, "slow_lag": float},
           lookback=lambda p: max(p.fast, p.slow) - 1, source="Chaikin, TA-Lib ADOSC")
def chaikin_oscillator(s: Any, window: Any, high: float, low: float, close: float, volume: float) -> float:
    """Chaikin oscillator: a fast less a slow EMA of the accumulation/distribution line, both from its first value."""
    change = flow(high, low, close, volume)
    if s.seen > 1:
        s.fast_lag = fma(s.fast_lag, kept_by(s.fast), change * kept_by(s.fast))
        s.slow_lag = fma(s.slow_lag, kept_by(s.slow), change * kept_by(s.slow))
    return s.slow_lag - s.fast_lag  # type: ignore[no-any-return]


@indicator(bar_inputs=("high", "low", "close", "volume"), parameters={"length": length(1, 20)},
           state={"at": Place, "flows": float, "units": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length - 1, source="Chaikin, TA-Lib CMF")
def chaikin_money_flow(s: Any, window: Any, high: float, low: float, close: float, volume: float) -> float:
    """Chaikin money flow: the volume of `length` bars by the place of their closes over all of it; 0 without volume."""
    flows, units, s.flows, s.units = window_sums(window, 0, s.length, s.at, s.flows, flow(high, low, close, volume),
                                                 s.units, volume)
    s.at = next_place(s.at, s.length)
    return flows / units if units > 0.0 else 0.0


@indicator(bar_inputs=("high", "low", "close", "volume"), parameters={"length": length(2, 14)},
           state={"at": Place, "before": float, "rising": float, "falling": float}, window=lambda p: 2 * p.length,
           lookback=lambda p: p.length, source="Quong and Soudack (1989), TA-Lib MFI")
def mfi(s: Any, window: Any, high: float, low: float, close: float, volume: float) -> float:
    """Money flow index: the share of turnover at rising typical prices in `length` changes, 0 to 100; 0 if none."""
    typical = (high + low + close) / 3.0
    change = typical - s.before if s.seen > 1 else 0.0
    s.before = typical
    turnover = typical * volume if abs(change) > ROUNDING * typical else 0.0
    rising, falling, s.rising, s.falling = window_sums(
        window, 0, s.length, s.at, s.rising, turnover if change > 0.0 else 0.0, s.falling,
        turnover if change < 0.0 else 0.0)
    s.at = next_place(s.at, s.length)
    moved = rising + falling
    return 100.0 * (rising / moved) if moved > 0.0 else 0.0


@indicator(bar_inputs=("volume",), parameters={"length": length(2, 20)}, state=MOMENTS,
           window=lambda p: 3 * p.length, lookback=lambda p: p.length - 1, source="(volume - SMA) / STDDEV of TA-Lib")
def volume_zscore(s: Any, window: Any, volume: float) -> float:
    """Distance of the volume from its mean over `length` bars in standard deviations; 0 when they are all equal."""
    update_moments(s, window, volume)
    return (volume - s.mean) / s.deviation if s.deviation > 0.0 else 0.0


VWAP = {"turnover": float, "units": float}
"""The state of `price_by_volume`."""


@helper
def price_by_volume(s: Any, high: float, low: float, close: float, volume: float) -> float:
    """Return the mean typical price by volume of all bars since the sums began; the price itself without volume."""
    three_prices = high + low + close
    s.turnover += three_prices * volume
    s.units += 3.0 * volume
    return s.turnover / s.units if s.units > 0.0 else three_prices / 3.0


@indicator(bar_inputs=("high", "low", "close", "volume", "bars_in_session"), parameters={},
           state={**VWAP, "place": float}, lookback=lambda p: 0,
           source="Berkowitz, Logue and Noser (1988), TA-Lib VWAP")
def session_vwap(s: Any, window: Any, high: float, low: float, close: float, volume: float, place: float) -> float:
    """Mean typical price by volume since the first bar of the session of the bar's exchange."""
    if place <= s.place:
        s.turnover = 0.0
        s.units = 0.0
    s.place = place
    return price_by_volume(s, high, low, close, volume)


@indicator(bar_inputs=("high", "low", "close", "volume"), inputs=("anchor",), parameters={},
           state={**VWAP, "is_set": Place, "before": float}, lookback=lambda p: 0,
           source="Berkowitz, Logue and Noser (1988), TA-Lib VWAP")
def anchored_vwap(s: Any, window: Any, high: float, low: float, close: float, volume: float, anchor: float) -> float:
    """Mean typical price by volume since the last bar at which `anchor` left 0; no value before the first one."""
    if anchor != 0.0 and s.before == 0.0:
        s.is_set = 1
        s.turnover = 0.0
        s.units = 0.0
    s.before = anchor
    return price_by_volume(s, high, low, close, volume) if s.is_set == 1 else math.nan
