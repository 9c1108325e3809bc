"""Breaks out of the range of the previous bars, and turns at its edges."""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.indicators import (
    Bars,
    Condition,
    Expression,
    adx,
    atr,
    crossed_above,
    crossed_below,
    ema,
    highest,
    lowest,
    sma,
)
from framework.strategy import UNSET
from framework_strategy_trend.entries import enter, never


class RangeBreakout(Strategy):
    """Join a close that crosses the range of the previous bars while volatility holds up; leave by stop, target, trail.

    Volume, trend and ADX are further conditions that `use_volume`, `use_trend` and `use_adx` switch on.
    """

    name = "range_breakout"
    length = Param(20, low=2, high=400, doc="previous bars whose high and low are the range")
    atr_ratio = Param(0.9, low=0.0, high=5.0, doc="ATR of 14 bars over that of four bars ago that an entry exceeds")
    use_volume = Param(False, doc="ask for volume")
    volume_ratio = Param(0.8, low=0.0, high=10.0, doc="volume over its mean of 20 bars that an entry exceeds")
    use_trend = Param(False, doc="ask for a close beyond the trend average")
    trend = Param(50, low=2, high=400, doc="bars of the trend EMA")
    use_adx = Param(False, doc="ask for a trend")
    adx_above = Param(20.0, low=0.0, high=100.0, doc="ADX of 14 bars that an entry exceeds")
    stop_atr = Param(1.0, low=0.1, high=20.0, doc="distance of the stop, in ATRs")
    target_atr = Param(2.0, low=0.1, high=50.0, doc="distance of the target, in ATRs")
    trail_atr = Param(1.0, low=0.0, high=20.0, doc="distance of the trailing stop, in ATRs; 0: none")
    trail_after_atr = Param(1.0, low=0.0, high=20.0, doc="profit that starts the trail, in ATRs")
    shorts = Param(False, doc="whether breaks below the range are sold")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the range before this bar and what the conditions look at."""
        true_range = atr(bars, 14)
        return {"close": bars.close, "top": highest(bars.high, self.length).shift(1),
                "bottom": lowest(bars.low, self.length).shift(1), "atr": true_range, "atr_before": true_range.shift(4),
                "mean_volume": sma(bars.volume, 20), "trend": ema(bars.close, self.trend), "adx": adx(bars, 14).adx}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where the close crosses the range."""
        seen = self.indicators(bars)
        breaks = crossed_above(seen["close"], seen["top"]) | crossed_below(seen["close"], seen["bottom"])
        return {"flat": breaks, "held": never(bars)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter while flat at a cross that every chosen condition confirms."""
        ind, prev, p = now.ind, now.prev, now.p
        side = 0
        if ind.close > ind.top and prev.close <= prev.top:
            side = 1
        elif p.shorts and ind.close < ind.bottom and prev.close >= prev.bottom:
            side = -1
        is_confirmed = (ind.atr > p.atr_ratio * ind.atr_before
                        and (not p.use_volume or now.bar.volume > p.volume_ratio * ind.mean_volume)
                        and (not p.use_trend or side * (ind.close - ind.trend) > 0.0)
                        and (not p.use_adx or ind.adx > p.adx_above))
        if is_confirmed and now.position.qty == 0.0 and now.position.pending == 0.0:
            trail = p.trail_atr * ind.atr if p.trail_atr > 0.0 else UNSET
            trail_after = p.trail_after_atr * ind.atr if p.trail_atr > 0.0 else UNSET
            enter(now, side, p.stop_atr * ind.atr, p.target_atr * ind.atr, trail, trail_after)


class QuickFlip(Strategy):
    """Join a strong candle out of the range, or a turn of candles at its edge, for some bars.

    Breakout: the close is beyond the range of the previous bars, the body more than `body_above` of its candle.
    Reversal: the candle reaches into the outer `zone` of the range, closes inside it, and turns the one before.
    The stop lies `stop_atr` beyond the signal candle, the target at `target_atr`; `bars_held` ends what is left.
    """

    name = "quick_flip"
    length = Param(20, low=2, high=400, doc="previous bars whose high and low are the range")
    body_above = Param(0.5, low=0.0, high=1.0, doc="body over high - low that a breakout exceeds")
    zone = Param(0.3, low=0.0, high=0.5, doc="share of the range at each edge in which it turns")
    stop_atr = Param(0.1, low=0.0, high=10.0, doc="distance of the stop beyond the signal candle, in ATRs of 14 bars")
    target_atr = Param(1.5, low=0.1, high=50.0, doc="distance of the target, in ATRs")
    bars_held = Param(10, low=1, high=500, doc="bars after which a position is closed")
    shorts = Param(True, doc="whether the other side is traded too")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the range before this bar, its ATR, and the body for the bar before."""
        return {"top": highest(bars.high, self.length).shift(1), "bottom": lowest(bars.low, self.length).shift(1),
                "atr": atr(bars, 14), "body": bars.close - bars.open}

    @staticmethod
    def decide(now: Now) -> None:
        """Close what has lasted; enter while flat at a breakout or a reversal."""
        bar, ind, p = now.bar, now.ind, now.p
        if now.position.qty != 0.0 or now.position.pending != 0.0:
            if now.position.bars_held >= p.bars_held:
                close_position(now)
            return
        edge = p.zone * (ind.top - ind.bottom)
        is_strong = abs(ind.body) > p.body_above * (bar.high - bar.low)
        is_inside = ind.bottom <= bar.close <= ind.top
        if ind.body > 0.0:
            turns = is_inside and bar.low <= ind.bottom + edge and now.prev.body < 0.0
            if turns or (is_strong and bar.close > ind.top):
                buy(now, stop=bar.low - p.stop_atr * ind.atr, target_offset=p.target_atr * ind.atr)
        elif ind.body < 0.0 and p.shorts:
            turns = is_inside and bar.high >= ind.top - edge and now.prev.body > 0.0
            if turns or (is_strong and bar.close < ind.bottom):
                sell(now, stop=bar.high + p.stop_atr * ind.atr, target_offset=p.target_atr * ind.atr)
