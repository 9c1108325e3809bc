"""Breakouts out of calm markets.

The volatility regime is r = Wilder ATR(atr_period) / mean of it over `regime_window` bars: Compression up to 0.6,
Normal below 1.5, Expansion below 2.5, Extreme from there on.
"""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position
from framework.indicators import Bars, Condition, Expression, adx, atr, crossed_above, ema, highest, sma


class VolatilityRegime(Strategy):
    """Buy a breakout in a calm, trending market; leave when volatility turns extreme or a profit meets a weak close.

    Entry, all at one close: r < normal_below (Compression or Normal), fast EMA > slow EMA, ADX > adx_above, and the
    close crosses above highest high of the previous `breakout_bars` bars - breakout_atr * ATR.
    Exit: r >= extreme_from; or the position is in profit and the close is below the slow EMA. Protection from the fill
    price on, in ATRs of the entry's close: stop_atr, target_atr, and a trail of trail_atr once the profit has reached
    trail_after_atr.
    """

    name = "volatility_regime"
    fast = Param(8, low=2, high=100, doc="bars of the fast EMA")
    slow = Param(21, low=3, high=400, doc="bars of the slow EMA")
    adx_period = Param(14, low=2, high=100, doc="bars of the ADX")
    adx_above = Param(30.0, low=0.0, high=100.0, doc="trend strength that an entry needs")
    atr_period = Param(14, low=2, high=100, doc="bars of the ATR")
    regime_window = Param(20, low=2, high=400, doc="bars of the ATR's mean")
    normal_below = Param(1.5, low=0.0, high=10.0, doc="r below which the regime is Compression or Normal")
    extreme_from = Param(2.5, low=0.0, high=20.0, doc="r from which the regime is Extreme")
    breakout_bars = Param(20, low=2, high=400, doc="previous bars whose highest high is the breakout level")
    breakout_atr = Param(1.5, low=0.0, high=10.0, doc="ATRs below that high at which an entry begins")
    stop_atr = Param(2.5, low=0.1, high=20.0, doc="distance of the stop, in ATRs")
    target_atr = Param(5.0, low=0.1, high=50.0, doc="distance of the target, in ATRs")
    trail_atr = Param(1.5, low=0.1, high=20.0, doc="distance of the trailing stop, in ATRs")
    trail_after_atr = Param(0.5, low=0.0, high=20.0, doc="profit that starts the trail, in ATRs")
    constraints = ("fast < slow", "normal_below <= extreme_from")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return what `decide` reads; the level looks at the bars before this one."""
        true_range = atr(bars, self.atr_period)
        return {
            "close": bars.close,
            "fast": ema(bars.close, self.fast),
            "slow": ema(bars.close, self.slow),
            "adx": adx(bars, self.adx_period).adx,
            "atr": true_range,
            "regime": true_range / sma(true_range, self.regime_window),
            "level": highest(bars.high, self.breakout_bars).shift(1) - self.breakout_atr * true_range,
        }

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask where the close crosses the level; with a position in an extreme regime and below the slow EMA."""
        seen = self.indicators(bars)
        is_weak = seen["close"] < seen["slow"]
        return {"flat": crossed_above(seen["close"], seen["level"]),
                "held": (seen["regime"] >= self.extreme_from) | is_weak}

    @staticmethod
    def decide(now: Now) -> None:
        """Look for an entry while flat and nothing is working, for an exit while long."""
        ind, p = now.ind, now.p
        if now.position.qty == 0.0 and now.position.pending == 0.0:
            is_calm = ind.regime < p.normal_below
            is_trending = ind.fast > ind.slow and ind.adx > p.adx_above
            crosses = ind.close > ind.level and now.prev.close <= now.prev.level
            if is_calm and is_trending and crosses:
                buy(now, stop_offset=p.stop_atr * ind.atr, target_offset=p.target_atr * ind.atr,
                    trail=p.trail_atr * ind.atr, trail_after=p.trail_after_atr * ind.atr)
        elif now.position.qty > 0.0:
            is_extreme = ind.regime >= p.extreme_from
            is_weak_profit = now.position.pnl > 0.0 and ind.close < ind.slow
            if is_extreme or is_weak_profit:
                close_position(now)
